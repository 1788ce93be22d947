"""A cohort in words and in the files that people and training frameworks read."""

import csv
import io
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.cohorts import BOTH, CARE, EVERYONE, OUT, found, number, report
from support.reports import HOSTILE

from crlm_qc.model.cohort import Cohort, judge_cohort
from crlm_qc.model.fitness import NOTHING, Fit
from crlm_qc.model.report import PatientFacts, Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report import cohort as forms
from crlm_qc.report import html, markdown, text, words
from crlm_qc.report.fitness import sentence, summary

MOVES = {chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} - set("\r\n") | set("\u202e\u2066\u2028\u200f")
VOCABULARY = forms.Vocabulary("Livers", "CT of livers", "10.1/x", "CC BY 4.0", ("Liver", "Liver Remnant", "Tumor"))


def cohort(told: Report, *purposes: str, strict: bool = False) -> Cohort:
    return judge_cohort(told, purposes or ("segmentation",), strict=strict)


def files(told: Report, *purposes: str) -> dict[str, bytes]:
    made = forms.files(cohort(told, *purposes), told, VOCABULARY)
    return {name: content.encode() if isinstance(content, str) else content for name, content in made.items()}


def test_the_sentence() -> None:
    told = report([found(OUT, 1001), found(CARE, 1002)])
    assert sentence(cohort(told)) == (
        f"2 of 3 patients usable for segmentation, 1 of them with care; 1 left out: {OUT} in 1"
    )
    assert sentence(cohort(told, strict=True)) == (
        f"1 of 3 patients usable for segmentation; 1 usable with care alone; 1 left out: {OUT} in 1"
    )
    assert sentence(cohort(told, "sharing", "segmentation")).startswith(
        "2 of 3 patients usable for sharing and segmentation"
    )


def test_the_sentence_says_why_nobody_was_judged() -> None:
    shallow = report(settings=Settings(depth=Depth.HEADERS))
    assert sentence(cohort(shallow)) == (
        "0 of 3 patients usable for segmentation; 3 not judged: audited at depth headers only, and this needs pixels"
    )
    assert summary([cohort(shallow), cohort(shallow, "sharing")]) == "segmentation not judged, sharing 3"


def test_the_text_names_each_who_is_left_out_and_why() -> None:
    told = report([found(OUT, 1001), found(CARE, 1002), found(CARE, 1003), found(OUT)])
    said = forms.render(cohort(told))
    assert f"  CRLM-CT-1001\n    {OUT} Title of {OUT}: Something of {OUT}. f-{told.findings[1].fingerprint}" in said
    assert f"  {CARE} Title of {CARE}, in 2: CRLM-CT-1002 and CRLM-CT-1003" in said
    assert "Of the release, and no patient's" in said


def test_usable_has_a_patient_a_line() -> None:
    assert files(report([found(OUT, 1001)]))["usable.txt"] == b"CRLM-CT-1002\nCRLM-CT-1003\n"


def test_excluded_has_a_row_a_reason() -> None:
    told = report([found(OUT, 1001), found(CARE, 1001)], limits=("CRLM-CT-1003: it was not read: killed",))
    rows = list(csv.DictReader(io.StringIO(files(told)["excluded.csv"].decode())))
    assert [(row["patient"], row["verdict"], row["effect"], row["rule"]) for row in rows] == [
        ("CRLM-CT-1001", "left out", "left out", OUT),
        ("CRLM-CT-1001", "left out", "usable with care", CARE),
        ("CRLM-CT-1003", "not judged", "not judged", ""),
    ]
    assert rows[0]["fingerprint"] == told.findings[0].fingerprint
    assert rows[2]["message"] == "it was not read: killed"


def test_no_cell_is_a_formula_and_no_control_character_gets_through() -> None:
    bad = replace(found(OUT, 1001), message="=HYPERLINK(1)\x1b[2J\u202e")
    made = files(report([bad]))
    row = next(csv.DictReader(io.StringIO(made["excluded.csv"].decode())))
    assert row["message"].startswith("'=HYPERLINK(1)")
    for content in (*made.values(), forms.render(cohort(report([bad]))).encode()):
        assert b"\x1b" not in content
        assert "\u202e".encode() not in content


def load_decathlon_datalist(file: Path, base_dir: Path) -> list[dict[str, Any]]:
    """What MONAI's reader of that name does: paths under `image` and `label` begin at `base_dir`, others where they exist."""
    listed = json.loads(file.read_text())["training"]
    for item in listed:
        assert isinstance(item, dict)
        for key, value in item.items():
            path = base_dir / value
            item[key] = str(path) if key in ("image", "label") or path.exists() else value
    return listed  # type: ignore[no-any-return]


def test_the_datalist_leads_to_folders_and_files(tmp_path: Path) -> None:
    told = report([found(OUT, 1001)])
    (tmp_path / "list.json").write_bytes(files(told)["datalist.json"])
    base = tmp_path / "release"
    listed = load_decathlon_datalist(tmp_path / "list.json", base)
    assert listed == [
        {"image": str(base / f"all/{who}/ct"), "label": str(base / f"all/{who}/seg/1-1.dcm")}
        for who in ("CRLM-CT-1002", "CRLM-CT-1003")
    ]
    assert json.loads((tmp_path / "list.json").read_text())["numTraining"] == 2


def nnunet_cases(folder: Path) -> dict[str, dict[str, Any]]:
    """What nnU-Net v2 reads of a `dataset.json` with `dataset`: paths that are not absolute begin at its folder."""
    told = json.loads((folder / "dataset.json").read_text())
    assert told["channel_names"]
    assert all(name.isdigit() for name in told["channel_names"])
    values = sorted(told["labels"].values())
    # LabelManager: background is 0, and labels follow each other.
    assert told["labels"]["background"] == 0
    assert values == list(range(len(values)))
    ending = told["file_ending"]
    for case in told["dataset"].values():
        assert len(case["images"]) == len(told["channel_names"])
        assert all(path.endswith(ending) for path in (*case["images"], case["label"]))
        case["images"] = [str(folder / path) for path in case["images"]]
        case["label"] = str(folder / case["label"])
    assert told["numTraining"] == len(told["dataset"])
    return told["dataset"]  # type: ignore[no-any-return]


def test_the_skeleton_for_nnunet_names_what_is_to_be_made_and_of_what(tmp_path: Path) -> None:
    made = files(report([found(OUT, 1001)]))
    (tmp_path / "dataset.json").write_bytes(made["dataset.json"])
    cases = nnunet_cases(tmp_path)
    assert list(cases) == ["CRLM-CT-1002", "CRLM-CT-1003"]
    assert cases["CRLM-CT-1002"]["images"] == [str(tmp_path / "imagesTr/CRLM-CT-1002_0000.nii.gz")]
    told = json.loads(made["dataset.json"])
    assert told["labels"] == {"background": 0, "Liver": 1, "Liver Remnant": 2, "Tumor": 3}
    assert told["converted_from"]["CRLM-CT-1003"]["ct"] == "all/CRLM-CT-1003/ct"


def test_who_can_not_be_named_to_a_program_is_in_no_list_and_told_of() -> None:
    told = report()
    facts = [replace(told.patients[0], ct_folder=None), replace(told.patients[1], patient="../x"), told.patients[2]]
    told = replace(told, patients=facts)
    assert [one["image"] for one in json.loads(files(told)["datalist.json"])["training"]] == ["all/CRLM-CT-1003/ct"]
    assert forms.unnamed(cohort(told), told) == ["../x", number(1001)]
    assert b"CRLM-CT-1001" in files(told)["usable.txt"]


@pytest.mark.parametrize("path", ["../elsewhere", "a/../../b", "/etc", ""])
def test_no_path_of_saved_results_leads_out_of_the_release(path: str) -> None:
    told = report()
    facts = [replace(told.patients[0], ct_folder=path), replace(told.patients[1], seg_file=path), told.patients[2]]
    told = replace(told, patients=facts)
    assert [one["image"] for one in json.loads(files(told)["datalist.json"])["training"]] == ["all/CRLM-CT-1003/ct"]


def test_the_reports_open_with_it() -> None:
    told = report([found(OUT, 1001), found(BOTH, 1002), found(EVERYONE)])
    page = html.render(told)
    assert page.index('id="fitness"') < page.index('id="findings"')
    assert f'<a class="code" href="#r-{OUT}">{OUT}</a> in 1' in page
    assert "segmentation 2 of 3, volumetry 3, lesion-counts 2, image-values 3, clinical-pairing 0" in page
    row = page[page.index('id="p-CRLM-CT-1001"') :].partition("</tr>")[0]
    assert row.count('<td class="fit ') == 7
    assert '<span class="hide">left out</span>' in row
    assert f"| segmentation | 1 | 1 | 1 | 0 | {OUT} in 1 |" in markdown.render(told)
    said = text.render(told)
    assert "Patients usable, with care or without: segmentation 2 of 3" in said
    assert "crlm-qc cohort findings.json --for segmentation" in said


@pytest.mark.parametrize("render", [html.render, markdown.render, text.render])
def test_results_of_an_earlier_version_say_nothing_of_it(render: Any) -> None:
    told = replace(report([found(OUT, 1001)]), purposes=())
    said = render(told)
    assert not any(words in said for words in ('id="fitness"', "Whom to use", "Patients usable"))


def test_what_a_rule_spoils_is_told_with_it() -> None:
    told = report([found(BOTH, 1001), found(EVERYONE)])
    said = "a patient is left out of lesion-counts; usable with care for segmentation"
    assert f"<dt>Spoils</dt><dd>{said}</dd>" in html.render(told)
    first = next(one for one in told.findings if one.rule == BOTH)
    assert said in " ".join(text.single(told, first).split())
    assert words.spoils(told.text(CARE).spoils) == "a patient is usable with care for segmentation"
    assert words.spoils(told.text(EVERYONE).spoils).endswith("; so is every patient where it is found of the release")
    assert words.spoils(NOTHING) == "nothing"


def test_whatever_stands_in_saved_results_moves_no_cursor_and_makes_no_second_line() -> None:
    told = report([replace(found(OUT, 1001), patient=HOSTILE, message=HOSTILE), replace(found(CARE), message=HOSTILE)])
    facts = [PatientFacts(HOSTILE, ct_folder=HOSTILE, seg_file=HOSTILE), *told.patients]
    told = replace(told, patients=facts, limits=(HOSTILE, "x\nCRLM-CT-1003: \x1b[2J"))
    made = forms.files(cohort(told), told, VOCABULARY)
    every = [*(one if isinstance(one, str) else one.decode() for one in made.values()), forms.render(cohort(told))]
    for said in every:
        assert not {letter for letter in said if letter in MOVES}
    assert str(made["usable.txt"]).splitlines() == ["CRLM-CT-1001", "CRLM-CT-1002"]
    assert html.render(told).count("<script") == 1


def test_cohort_json_follows_its_schema() -> None:
    schema = json.loads((resources.files("crlm_qc.report") / "cohort.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    told = report([found(OUT, 1001), found(CARE, 1002), found(OUT)], limits=("CRLM-CT-1003: it was not read",))
    plain = json.loads(files(told)["cohort.json"])
    Draft202012Validator(schema).validate(plain)
    assert set(plain) == set(schema["properties"])
    assert set(schema["properties"]["summary"]["required"]) == set(plain["summary"])
    assert {key for one in plain["patients"] for key in one} == set(
        schema["properties"]["patients"]["items"]["properties"]
    )
    assert schema["properties"]["patients"]["items"]["properties"]["verdict"]["enum"] == list(Fit)
    plain["patients"][0]["reasons"][0]["effect"] = "usable"
    assert not Draft202012Validator(schema).is_valid(plain)
