"""Published figures: suites as a curator edits them, and findings that name patients."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.resources import expectations_folder
from crlm_qc.engines.gx_engine import SuiteError, read_suite
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import RuleKind
from crlm_qc.rules import pub

N = 197
PATIENTS = [f"CRLM-CT-{number}" for number in range(1001, 1199) if number != 1024]


def spread(low: float, middle: float, high: float) -> list[float]:
    """As many values as there are patients, with these for min, median and max."""
    return [low, *[middle] * (N - 2), high]


def published() -> dict[str, list[dict[str, Any]]]:
    """Tables of a release whose figures are the published ones."""
    counts = [21, *[55] * 98, *[120] * 97, 240]
    rest = 17639 - sum(counts)
    for place in range(100, 196):
        step = max(min(rest, 239 - counts[place]), 56 - counts[place])
        counts[place] += step
        rest -= step
    assert rest == 0
    ct = [{"patient": p, "series_uid": f"1.{i}", "role": "ct"} for i, p in enumerate(PATIENTS)]
    series = [{**row, "n_instances": n, "n_folders": 1, "size": 1} for row, n in zip(ct, counts, strict=True)] + [
        {"patient": p, "series_uid": f"2.{i}", "role": "dso", "n_instances": 1, "n_folders": 1, "size": 1}
        for i, p in enumerate(PATIENTS)
    ]
    gaps, plane = spread(0.8, 5.0, 7.5), spread(0.609375, 0.78125, 0.976562)
    ct_series = [
        {"patient": p, "series_uid": f"1.{i}", "n_slices": n, "spacing": gap}
        for i, (p, n, gap) in enumerate(zip(PATIENTS, counts, gaps, strict=True))
    ]
    slices = [
        {
            "patient": p,
            "path": f"{p}/1.dcm",
            "series_uid": f"1.{i}",
            "spacing_row": plane[i],
            "spacing_col": plane[i],
            "patient_sex": "M" if i < 117 else "F",
            "manufacturer": {0: "SIEMENS", 1: "Philips Medical Systems"}.get(i, "GE MEDICAL SYSTEMS"),
            "pixel_representation": 0 if i < 2 else 1,
        }
        for i, p in enumerate(PATIENTS)
    ]
    livers, tumours = spread(770.0, 1553.0, 3281.0), spread(0.24, 9.5, 1100.0)
    dsos = [{"patient": p, "path": f"{p}/s.dcm", "masks": "measured"} for p in PATIENTS]
    segments = [
        {
            "patient": p,
            "dso": f"{p}/s.dcm",
            "declared": True,
            "label": label,
            "n_frames": 1,
            "voxels": 1000,
            "volume_ml": ml,
        }
        for i, p in enumerate(PATIENTS)
        for label, ml in (
            ("Liver", livers[i]),
            ("Tumor_1", tumours[i] / 2),
            ("Tumor_2", tumours[i] / 2),
            ("Portal", 9.0),
        )
    ]
    return {"series": series, "ct_series": ct_series, "slices": slices, "dsos": dsos, "segments": segments}


def audit(
    profile: Profile, tables: dict[str, list[dict[str, Any]]], *codes: str, settings: Settings | None = None
) -> Report:
    known = {name: frame(name, rows) for name, rows in tables.items()}
    rules = [item for item in pub.RULES if not codes or item.code in codes]
    return judge(Evidence(Facts(depth=Depth.PIXELS), known), profile, settings, rules)


def codes_of(findings: Sequence[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.rule, finding.subject.column) for finding in findings]


def test_a_release_with_the_published_figures_raises_nothing(profile: Profile) -> None:
    report = audit(profile, published())
    assert report.findings == []
    assert {outcome.status for outcome in report.outcomes} == {Status.PASSED}
    assert len(report.outcomes) == 8


def test_a_patient_short(profile: Profile) -> None:
    tables = published()
    tables["series"] = [row for row in tables["series"] if (row["patient"], row["role"]) != ("CRLM-CT-1007", "dso")]
    (finding,) = audit(profile, tables, "PUB001", "PUB002").findings
    assert finding.rule == "PUB001"
    assert finding.message == "Series: 393, published 394."
    assert finding.examples == ("CRLM-CT-1007",)
    assert finding.severity is Severity.ERROR


def test_a_slice_short(profile: Profile) -> None:
    tables = published()
    tables["series"][5]["n_instances"] -= 1
    (finding,) = audit(profile, tables, "PUB001", "PUB002").findings
    assert (finding.rule, finding.observed, finding.expected) == ("PUB002", "CT slices: 17638", "CT slices: 17639")


def test_spacing_beyond_the_published_names_the_patient(profile: Profile) -> None:
    tables = published()
    tables["ct_series"][7]["spacing"] = 10.0
    (finding,) = audit(profile, tables, "PUB003").findings
    assert codes_of([finding]) == [("PUB003", "spacing")]
    assert finding.message == "Largest slice spacing: 10 mm, published 7.5 mm."
    assert finding.examples == (PATIENTS[7],)
    assert finding.severity is Severity.WARNING


def test_an_extreme_that_is_gone_names_the_one_in_its_place(profile: Profile) -> None:
    tables = published()
    tables["ct_series"][0]["n_slices"] = 30
    (finding,) = audit(profile, tables, "PUB004").findings
    assert finding.message == "Smallest slice count: 30, published 21."
    assert finding.examples == (PATIENTS[0],)


def test_a_shifted_median_is_one_finding_with_the_other_figures_of_its_column(profile: Profile) -> None:
    tables = published()
    for row in tables["segments"]:
        if row["label"] == "Liver":
            row["volume_ml"] *= 1.05
    (finding,) = audit(profile, tables, "PUB005", "PUB006", "PUB007").findings
    assert codes_of([finding]) == [("PUB005", "liver_ml")]
    assert "Smallest liver volume: 808.5 mL, published 770 mL" in finding.message
    assert "median liver volume: 1630.65 mL, published 1553.36 mL" in finding.message
    assert finding.expected.startswith("smallest liver volume: 754.6 to 785.4 mL;")


def test_tumour_volume_is_the_sum_of_the_patients_tumours(profile: Profile) -> None:
    tables = published()
    tables["segments"] = [row for row in tables["segments"] if row["label"] != "Tumor_2"]
    findings = audit(profile, tables, "PUB006").findings
    assert "median tumour volume: 4.75 mL, published 9.53 mL" in findings[0].message


def test_a_patient_without_tumour(profile: Profile) -> None:
    tables = published()
    for row in tables["segments"]:
        if row["patient"] == PATIENTS[50] and row["label"].startswith("Tumor"):
            row["voxels"], row["volume_ml"] = 0, 0.0
    (finding,) = audit(profile, tables, "PUB005", "PUB006", "PUB007").findings
    assert codes_of([finding]) == [("PUB007", "has_tumour")]
    assert finding.message == "Patients without a tumour: 1 of 197, published 0."
    assert finding.examples == (PATIENTS[50],)


def test_masks_that_could_not_be_measured_are_no_absent_livers(profile: Profile) -> None:
    tables = published()
    tables["dsos"][3]["masks"] = "failed"
    assert audit(profile, tables, "PUB005", "PUB007").findings == []


def test_distributions(profile: Profile) -> None:
    tables = published()
    tables["slices"][0]["patient_sex"] = "F"
    tables["slices"][9]["manufacturer"] = "Jane Doe Imaging"
    tables["slices"][8]["pixel_representation"] = None
    findings = audit(profile, tables, "PUB008").findings
    assert [column for _, column in codes_of(findings)] == ["manufacturer", "pixel_representation", "sex"]
    manufacturer, pixels, sex = findings
    assert "Patients with PatientSex M: 116, published 117; patients with PatientSex F: 81" in sex.message
    assert manufacturer.examples == (PATIENTS[9],)
    assert "patients with another Manufacturer: 1 of 197, published 0" in manufacturer.message
    assert "Jane" not in str([finding.as_dict() for finding in findings])
    assert pixels.examples == ()
    assert pixels.message == "Patients with PixelRepresentation 1: 194, published 195."


def test_a_small_group_with_one_too_many_names_its_patients(profile: Profile) -> None:
    tables = published()
    tables["slices"][9]["manufacturer"] = "SIEMENS"
    (finding,) = audit(profile, tables, "PUB008").findings
    assert "patients with Manufacturer SIEMENS: 2, published 1" in finding.message
    assert finding.examples == (PATIENTS[0], PATIENTS[9])


def test_nothing_to_look_at_is_a_skip_with_its_reason(profile: Profile) -> None:
    report = audit(profile, {"patients": []})
    reasons = {outcome.rule: outcome.reason for outcome in report.outcomes}
    assert {outcome.status for outcome in report.outcomes} == {Status.SKIPPED}
    assert reasons["PUB001"] == "the table series is empty"
    assert reasons["PUB003"] == "there is no CT series"
    assert reasons["PUB005"] == "no masks were measured"


def test_part_of_a_release_is_not_compared(profile: Profile) -> None:
    report = audit(profile, {"series": published()["series"][:3]}, settings=Settings(subset=True))
    assert {outcome.reason for outcome in report.outcomes} == {"only part of the release is audited"}


def test_rules_tell_what_they_are() -> None:
    assert [item.code for item in pub.RULES] == [
        "PUB001",
        "PUB002",
        "PUB003",
        "PUB004",
        "PUB005",
        "PUB006",
        "PUB007",
        "PUB008",
    ]
    assert {item.kind for item in pub.RULES} == {RuleKind.EXPECTATION}
    assert all(item.whole_release for item in pub.RULES)
    assert [item.code for item in pub.RULES if item.depth is Depth.MASKS] == ["PUB005", "PUB006", "PUB007"]


# The numbers a curator edits, and the profile's.


def bounds(code: str, column: str | None = None) -> dict[str, dict[str, Any]]:
    """Expectations of a code and column by their type."""
    suites = [read_suite(path) for path in expectations_folder().glob("*.json")]
    found = [one for suite in suites for one in suite.expectations if one.code == code and column in (None, one.column)]
    return {one.type: {**one.kwargs, **one.meta} for one in found}


@pytest.mark.parametrize(
    ("code", "column", "span", "tolerance"),
    [
        ("PUB003", "spacing_row", "spacing_in_plane_mm", "published_spacing_fraction"),
        ("PUB003", "spacing_col", "spacing_in_plane_mm", "published_spacing_fraction"),
        ("PUB003", "spacing", "spacing_slices_mm", "published_spacing_fraction"),
        ("PUB004", "n_slices", "slices_per_series", None),
        ("PUB005", "liver_ml", "liver_volume_ml", "published_volume_fraction"),
        ("PUB006", "tumour_ml", "tumour_volume_ml", "published_volume_fraction"),
    ],
)
def test_bounds_are_the_published_figures(
    profile: Profile, code: str, column: str, span: str, tolerance: str | None
) -> None:
    figures = getattr(profile.published, span)
    within = getattr(profile.tolerances, tolerance) if tolerance else 0.0
    found = bounds(code, column)
    assert len(found) == 3
    for name in ("min", "median", "max"):
        one, figure = found[f"expect_column_{name}_to_be_between"], getattr(figures, name)
        assert one["published"] == figure
        assert one["min_value"] == pytest.approx(figure * (1 - within), abs=1e-6)
        assert one["max_value"] == pytest.approx(figure * (1 + within), abs=1e-6)
        assert one.get("within", 0.0) == within


def test_counts_are_the_published_figures(profile: Profile) -> None:
    counts = bounds("PUB001")
    patients = counts["expect_column_unique_value_count_to_be_between"]
    assert patients["min_value"] == patients["max_value"] == profile.published.patients
    assert counts["expect_table_row_count_to_equal"]["value"] == profile.published.series
    slices = bounds("PUB002")["expect_column_sum_to_be_between"]
    assert slices["min_value"] == slices["max_value"] == profile.published.ct_slices


@pytest.mark.parametrize(
    ("column", "figures"),
    [("sex", "sex"), ("manufacturer", "manufacturers"), ("pixel_representation", "pixel_representation")],
)
def test_distributions_are_the_published_figures(profile: Profile, column: str, figures: str) -> None:
    suite = read_suite(expectations_folder() / "patients.json")
    mine = [one for one in suite.expectations if one.meta["about"] == column]
    counts = {
        str(json.loads(one.kwargs["row_condition"].partition(" == ")[2])): one.kwargs["value"]
        for one in mine
        if "row_condition" in one.kwargs
    }
    assert counts == dict(getattr(profile.published, figures))
    (known,) = [one.kwargs["value_set"] for one in mine if "value_set" in one.kwargs]
    assert {str(value) for value in known} == set(counts)


def test_the_profile_lists_every_suite(profile: Profile) -> None:
    assert set(profile.suites) == {path.name for path in expectations_folder().glob("*.json")}


# A curator's own suites.


def own(tmp_path: Path, profile: Profile, *expectations: dict[str, Any], table: str = "series") -> Profile:
    raw = {"name": "own", "meta": {"table": table}, "expectations": list(expectations)}
    (tmp_path / "own.json").write_text(json.dumps(raw))
    return replace(profile, folder=tmp_path, suites=("own.json",))


ROWS = {
    "type": "expect_table_row_count_to_equal",
    "kwargs": {"value": 2},
    "severity": "info",
    "meta": {"code": "PUB001", "measure": "series"},
}


def test_an_edited_bound_counts_and_so_does_its_severity(tmp_path: Path, profile: Profile) -> None:
    edited = own(tmp_path, profile, ROWS)
    tables = {"series": published()["series"][:1]}
    report = audit(edited, tables, "PUB001", "PUB002")
    (finding,) = report.findings
    assert (finding.severity, finding.expected) == (Severity.INFO, "series: 2")
    assert [outcome.reason for outcome in report.outcomes if outcome.rule == "PUB002"] == [
        "the profile's suites do not have it"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"meta": {"code": "PUB999"}}, "a code that no rule has: PUB999"),
        ({"meta": {}}, "names no rule"),
        ({"severity": "fatal"}, "needs a severity"),
        ({"type": None}, "has no type"),
    ],
)
def test_a_suite_that_can_not_be_used_says_why(
    tmp_path: Path, profile: Profile, change: dict[str, Any], said: str
) -> None:
    edited = own(tmp_path, profile, {**ROWS, **change})
    context = Context(Evidence(Facts(), {"series": frame("series", published()["series"][:1])}), edited)
    with pytest.raises(SuiteError, match=said):
        pub.RULES[0].check(context)


def test_a_suite_about_no_table_says_so(tmp_path: Path, profile: Profile) -> None:
    with pytest.raises(SuiteError, match="unknown table: nowhere"):
        pub.suites_of(own(tmp_path, profile, ROWS, table="nowhere"))


def test_a_code_without_texts_or_in_two_suites_makes_no_rule(tmp_path: Path, profile: Profile) -> None:
    suites = pub.suites_of(own(tmp_path, profile, ROWS))
    with pytest.raises(SuiteError, match="PUB001 has no slug, title, why, fix, source, spoils"):
        pub.make_rules(suites)
    known = pub.suites_of(profile)
    with pytest.raises(SuiteError, match="PUB001 stands in two suites"):
        pub.make_rules([*known, known[0]])


@pytest.mark.parametrize("spoils", [["sharing"], {"uot": []}, {"out": 1}, {"out": ["sharing"], "care": ["sharing"]}])
def test_what_a_code_spoils_is_said_in_lists_of_purposes(tmp_path: Path, profile: Profile, spoils: object) -> None:
    texts = {"slug": "x", "title": "t", "why": "w", "fix": "f", "source": "s"}
    said = {**ROWS, "meta": {**ROWS["meta"], **texts, "spoils": spoils}}
    with pytest.raises(SuiteError, match="spoils of PUB001 must be lists of purposes, out and care"):
        pub.make_rules(pub.suites_of(own(tmp_path, profile, said)))


def test_a_series_of_a_spacing_that_is_missing_is_left_out(profile: Profile) -> None:
    tables = published()
    tables["ct_series"][40]["spacing"] = float("nan")
    assert audit(profile, tables, "PUB003").findings == []
    assert pd.isna(frame("ct_series", tables["ct_series"])["spacing"][40])
