"""REL: each test changes one thing of a clean release and names everything that the rules then find."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from support.frames import FAMILIES, PATIENTS, Case, clean, flat, only, run, uid

from crlm_qc.collection.profile import Profile
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Kind
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import ExitCode
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked
from crlm_qc.rules import registry

P1, P2 = PATIENTS


@pytest.fixture
def case() -> Case:
    return clean()


def test_a_clean_release_raises_nothing(case: Case, profile: Profile) -> None:
    report = run(case, profile)
    assert report.findings == []
    # No lock file, and the frames are of bare segmentation objects: no FRACTIONAL one, and no Pixel Measures.
    quiet = [outcome.rule for outcome in report.outcomes if outcome.status is not Status.PASSED]
    assert [code for code in quiet if code not in ("DSO032", "SEG020")] == ["REL015", "REL022"]
    assert len(report.outcomes) == sum(item.code.startswith(FAMILIES) for item in registry())


def test_nothing_at_all_is_no_crash(profile: Profile) -> None:
    found = flat(Case(), profile)
    assert found == [(code, None, "release") for code in ("REL001", "REL002", "REL003")]


@pytest.mark.parametrize("depth", list(Depth))
def test_shallow_reading_finds_no_more(case: Case, profile: Profile, depth: Depth) -> None:
    for segment in case["segments"]:
        segment.update(dict.fromkeys(("voxels", "volume_ml", "components", "largest_component", "specks", "hu_median")))
    for row in case["frames"]:
        row["voxels"] = None
    for row in case["dsos"]:
        row["masks"] = "not-asked"
    assert flat(case, profile, Settings(depth=depth)) == []


@pytest.mark.parametrize(("source", "code"), [("metadata", "REL001"), ("clinical", "REL002"), ("manifest", "REL003")])
def test_missing_sources(case: Case, profile: Profile, source: str, code: str) -> None:
    case.drop("sources", lambda row: row["source"] != source)
    case[source] = []
    assert flat(case, profile) == [(code, None, "release")]


@pytest.mark.parametrize("layout", ["idc", "series", "flat"])
def test_tables_that_a_layout_comes_without_are_noted(case: Case, profile: Profile, layout: str) -> None:
    case["sources"], case["metadata"], case["manifest"], case["clinical"] = [], [], [], []
    case.facts = replace(case.facts, layout=layout)
    found = run(case, profile).findings
    assert {(one.rule, one.severity) for one in found} == {(f"REL00{n}", Severity.INFO) for n in (1, 2, 3)}


def test_a_folder_of_several_series_is_a_fault_only_where_folders_are_series(case: Case, profile: Profile) -> None:
    for row in case["files"]:
        row["folder"] = ""
    assert "REL014" in {code for code, *_ in flat(case, profile)}
    case.facts = replace(case.facts, layout="flat")
    assert "REL014" not in {code for code, *_ in flat(case, profile)}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("document", "none of 3 files is a DICOM image"),
        ("other-dicom", "3 DICOM files lie in no patient's folder and carry no patient ID of"),
        ("link", "3 links were not followed"),
        ("unreadable", "3 files can't be read"),
    ],
)
def test_where_no_image_was_audited(profile: Profile, kind: str, said: str) -> None:
    case = Case()
    case["files"] = [
        {"path": f"{name}.dcm", "folder": "", "name": f"{name}.dcm", "kind": kind, "size": 1} for name in "abc"
    ]
    (found,) = (one for one in run(case, profile).findings if one.rule == "REL020")
    assert said in found.message
    report = run(case, profile)
    assert report.empty
    assert report.exit_code() is ExitCode.NOTHING


@pytest.mark.parametrize(("source", "code"), [("metadata", "REL001"), ("clinical", "REL002")])
def test_several_sources_are_named(case: Case, profile: Profile, source: str, code: str) -> None:
    used = next(row for row in case["sources"] if row["source"] == source)
    case["sources"].append({**used, "path": "2023/" + used["path"], "used": False})
    assert flat(case, profile) == [(code, None, "release")]
    assert only(case, code, profile).count == 2


@pytest.mark.parametrize(("relation", "severity"), [("copy", Severity.WARNING), ("edition", Severity.ERROR)])
def test_a_copy_of_a_table_is_called_one(case: Case, profile: Profile, relation: str, severity: Severity) -> None:
    used = next(row for row in case["sources"] if row["source"] == "metadata")
    more = {"relation": relation, "n_differing": 2, "differing": '["Manufacturer"]'} if relation == "edition" else {}
    case["sources"].append(used | {"path": "metadata (1).csv", "used": False, "relation": relation} | more)
    found = only(case, "REL001", profile)
    said = "is byte for byte a copy" if relation == "copy" else "says something else in 2 rows (Manufacturer)"
    assert found.severity is severity
    assert f"metadata (1).csv {said}" in found.message


def test_tables_that_are_read_as_one_are_a_note(case: Case, profile: Profile) -> None:
    used = next(row for row in case["sources"] if row["source"] == "metadata")
    used["relation"] = "part"
    case["sources"].append(used | {"path": "manifest-2/metadata.csv"})
    assert flat(case, profile) == [("REL021", None, "release")]
    assert only(case, "REL021", profile).severity is Severity.INFO


def test_another_collection_is_one_note(case: Case, profile: Profile) -> None:
    for name in ("a", "b"):
        folder = f"manifest-2/Other/{name}"
        row = {"path": f"{folder}/1.dcm", "folder": folder, "kind": "other-dicom", "size": 9, "in_collection": False}
        case["files"].append(row | {"other_collection": True})
    for source in ("metadata", "manifest"):
        more = {"source": source, "path": f"manifest-2/{source}", "used": False, "relation": "other-collection"}
        case["sources"].append(more)
    found = only(case, "REL007", profile)
    assert (found.severity, found.count) == (Severity.INFO, 4)
    assert "2 DICOM files in manifest-2/" in found.message
    assert len(flat(case, profile)) == 1


def test_a_download_that_lies_there_twice_is_one_finding(case: Case, profile: Profile) -> None:
    for table in ("slices", "files"):
        for row in list(case[table]):
            copy = {**row, "path": "manifest-2/" + row["path"]}
            if table == "files":
                copy |= {"folder": "manifest-2/" + row["folder"], "copy_of": row["path"]}
            case[table].append(copy)
    finding = only(case, "REL006", profile)
    assert finding.patient is None
    assert "byte for byte the same, in the top folder, manifest-2" in finding.message
    assert {code for code, *_ in flat(case, profile)} == {"REL006"}


@pytest.mark.parametrize("name", [5, 1, 24])
def test_an_unreadable_slice_is_told_once(case: Case, profile: Profile, name: int) -> None:
    case.unreadable(name)
    assert flat(case, profile) == [("REL004", P1, f"1-{name:02d}.dcm")]


def test_an_unreadable_slice_does_not_hide_another_that_is_missing(case: Case, profile: Profile) -> None:
    case.unreadable(5)
    case.remove_ct(12)
    assert {code for code, *_ in flat(case, profile)} == {"REL004", "CTS008", "CTS011", "DSO007", "DSO009"}


def test_many_unreadable_files_are_one_finding(case: Case, profile: Profile) -> None:
    for name in (3, 4, 5):
        case.unreadable(name)
    assert flat(case, profile) == [("REL004", P1, "101.000000-NA-20001")]
    assert only(case, "REL004", profile).count == 3


@pytest.mark.parametrize("kind", ["ct", "dso"])
def test_a_series_of_unreadable_files_is_not_missing_too(case: Case, profile: Profile, kind: str) -> None:
    for row in case["files"]:
        if row["patient"] == P1 and row["kind"] == kind:
            row |= {"kind": "unreadable", "problem": "not-dicom", "series_uid": None, "sop_instance_uid": None}
    tables = (
        ("slices",) if kind == "ct" else ("dsos", "frames", "segments", "references", "segment_pairs", "alignments")
    )
    for table in tables:
        case.drop(table, lambda row: row["patient"] != P1)
    assert {code for code, *_ in flat(case, profile)} == {"REL004"}


@pytest.mark.parametrize("change", [{"pixel_bytes_found": 1000}, {"trailing_bytes": 64}])
def test_bytes_of_a_slice(case: Case, profile: Profile, change: dict[str, int]) -> None:
    case.change(case.ct(7), **change)
    assert flat(case, profile) == [("REL005", P1, "1-07.dcm")]


def test_a_missing_padding_byte_is_a_warning(case: Case, profile: Profile) -> None:
    """Of an odd number of bytes all are there; with another file that lacks some, it is an error of both."""
    one, other = (next(row for row in case.ct(name) if "kind" in row) for name in (7, 8))
    one.update(pixel_bytes_expected=530, pixel_bytes_unpadded=529, pixel_bytes_found=529)
    found = only(case, "REL005", profile)
    assert found.severity is Severity.WARNING
    assert found.message == "1-07.dcm: Pixel Data lacks the byte that pads its 529 bytes (all bits are there)."
    other.update(pixel_bytes_expected=530, pixel_bytes_unpadded=530, pixel_bytes_found=529)
    assert only(case, "REL005", profile).severity is Severity.ERROR


def test_bytes_of_a_mask_are_told_by_one_rule(case: Case, profile: Profile) -> None:
    file = next(row for row in case.of("files") if row["kind"] == "dso")
    file["pixel_bytes_found"] -= 100
    case.dso()["pixel_bytes_found"] -= 100
    assert flat(case, profile) == [("DSO016", P1, "1-1.dcm")]


def test_bytes_after_a_mask(case: Case, profile: Profile) -> None:
    next(row for row in case.of("files") if row["kind"] == "dso")["trailing_bytes"] = 2
    assert flat(case, profile) == [("REL005", P1, "1-1.dcm")]


def test_compressed_pixel_data_has_no_expected_length(case: Case, profile: Profile) -> None:
    case.change(case.ct(7), pixel_bytes_expected=None, pixel_bytes_found=900)
    assert flat(case, profile) == []


def test_a_copied_file(case: Case, profile: Profile) -> None:
    for table in ("slices", "files"):
        row = next(row for row in case.ct(7) if ("position_x" in row) == (table == "slices"))
        case[table].append({**row, "path": row["path"].replace("1-07", "1-07 (1)")})
    assert [code for code, *_ in flat(case, profile)] == ["REL006"]


def test_a_copied_uid_hides_no_reference(case: Case, profile: Profile) -> None:
    case.change(case.ct(24), sop_instance_uid=uid(1, 5, 23), meta_sop_instance_uid=uid(1, 5, 23))
    assert flat(case, profile) == [("REL006", P1, "1-24.dcm")]


def test_a_copied_uid_of_a_slice_that_is_referred_to(case: Case, profile: Profile) -> None:
    case.change(case.ct(10), sop_instance_uid=uid(1, 5, 11), meta_sop_instance_uid=uid(1, 5, 11))
    found = flat(case, profile)
    assert ("REL006", P1, "1-11.dcm") in found
    # The UID that is gone is what the object refers to.
    assert {code for code, *_ in found} == {"REL006", "DSO007", "DSO009"}


def test_a_copied_series_folder(case: Case, profile: Profile) -> None:
    for table in ("slices", "files"):
        for row in [row for row in case.ct() if ("position_x" in row) == (table == "slices")]:
            copy = {**row, "path": row["path"].replace("-20001/", "-20001 copy/")}
            if table == "files":
                copy["folder"] = row["folder"] + " copy"
            case[table].append(copy)
    assert flat(case, profile) == [("REL006", P1, "101.000000-NA-20001 copy")]
    assert only(case, "REL006", profile).count == 24


def test_copies_in_many_folders_are_one_finding(case: Case, profile: Profile) -> None:
    for number, row in enumerate([row for row in case.ct() if "position_x" not in row][:13]):
        above, _, name = row["path"].rpartition("/")
        row |= {"folder": f"{above}/{number}", "path": f"{above}/{number}/{name}"}
        copies = [row["path"].replace(".dcm", f" ({copy}).dcm") for copy in (1, 2)]
        case["files"] += [{**row, "path": path, "copy_of": row["path"]} for path in copies]
    found = only(case, "REL006", profile)
    assert (found.subject.kind, found.count, found.observed) == (Kind.RELEASE, 13, "39 files")
    assert found.message == "13 SOP Instance UIDs are in several files each, byte for byte the same, in 13 folders."


def test_stray_files(case: Case, profile: Profile) -> None:
    folder = case.ct(1)[1]["folder"]
    row = {"patient": P1, "folder": folder, "size": 3, "in_collection": True}
    case["files"].append({**row, "path": f"{folder}/checked by J Smith.txt", "kind": "unexpected"})
    case["files"].append({**row, "path": f"{folder}/LICENSE", "kind": "licence"})
    case["files"].append({**row, "path": f"{folder}/.DS_Store", "kind": "system"})
    finding = only(case, "REL007", profile)
    assert "Smith" not in str(finding.as_dict())
    assert len(flat(case, profile)) == 1


def test_files_whose_names_are_not_shown_are_told_by_their_place(case: Case, profile: Profile) -> None:
    folder = case.ct(1)[1]["folder"]
    row = {"patient": P1, "folder": folder, "size": 3, "in_collection": True, "kind": "unexpected"}
    for name in ("Doe letter.txt", "Roe letter.txt", "1-001 copy.dcm", "readme.txt"):
        case["files"].append({**row, "path": f"{folder}/{name}"})
    case["files"].sort(key=lambda one: str(one["path"]))
    finding = only(case, "REL007", profile)
    there = sorted(
        name for one in case["files"] if one["folder"] == folder for name in [one["path"].rpartition("/")[2]]
    )
    places = [f"….txt (file {there.index(name) + 1} of {len(there)} by name)" for name in there if "letter" in name]
    assert finding.examples == ("1-001 copy.dcm", *places, "readme.txt")
    assert len(set(finding.examples)) == 4


def test_dicom_outside_of_patient_folders(case: Case, profile: Profile) -> None:
    case["files"].append({"path": "DICOMDIR", "folder": "", "kind": "other-dicom", "in_collection": False, "size": 9})
    finding = only(case, "REL007", profile)
    assert (finding.subject.path, finding.observed) == ("DICOMDIR", "a DICOM file outside of patient folders")


def test_a_series_number_that_may_be_a_record_number_is_not_shown(case: Case, profile: Profile) -> None:
    for row in case.ct():
        if "series_number" in row:
            row["series_number"] = 88121024
    finding = only(case, "REL010", profile)
    assert "a number of 8 digits" in finding.expected
    assert "8812" not in str(finding.as_dict())


def test_documents_at_the_root(case: Case, profile: Profile) -> None:
    case["files"].append({"path": "README.md", "folder": "", "kind": "document", "in_collection": False})
    assert flat(case, profile) == []


def _drop_objects(case: Case, patient: str = P1) -> None:
    for table in ("dsos", "frames", "segments", "references", "segment_pairs", "alignments"):
        case.drop(table, lambda row: row["patient"] != patient)
    case.drop("files", lambda row: row["patient"] != patient or row["kind"] != "dso")


def test_a_patient_without_object(case: Case, profile: Profile) -> None:
    _drop_objects(case)
    assert flat(case, profile) == [("REL008", P1, P1)]
    assert "segmentation object" in only(case, "REL008", profile).message


def test_a_release_of_ct_alone(case: Case, profile: Profile) -> None:
    for patient in PATIENTS:
        _drop_objects(case, patient)
    assert flat(case, profile) == [("REL008", P1, P1), ("REL008", P2, P2)]


def test_a_patient_without_ct(case: Case, profile: Profile) -> None:
    case.drop("slices", lambda row: row["patient"] != P1)
    case.drop("files", lambda row: row["patient"] != P1 or row["kind"] != "ct")
    assert flat(case, profile) == [("REL008", P1, P1)]


def test_a_second_ct_series(case: Case, profile: Profile) -> None:
    folder = "102.000000-NA-00009"
    series = uid(1, 5, 900009)
    for row in list(case.ct()):
        table = "slices" if "position_x" in row else "files"
        copy = {**row, "path": row["path"].replace("101.000000-NA-20001", folder), "series_uid": series}
        copy["sop_instance_uid"] = row["sop_instance_uid"] + ".7"
        if table == "files":
            copy |= {"folder": row["folder"].replace("101.000000-NA-20001", folder)}
            copy["meta_sop_instance_uid"] = copy["sop_instance_uid"]
        else:
            copy["series_number"] = 102
        case[table].append(copy)
    assert flat(case, profile) == [("REL009", P1, "patient")]


def test_series_mixed_in_a_folder(case: Case, profile: Profile) -> None:
    case.change(case.ct(10), series_uid=uid(1, 2, 77777))
    assert flat(case, profile) == [("REL014", P1, "101.000000-NA-20001")]


def test_a_series_in_two_folders(case: Case, profile: Profile) -> None:
    for row in case.ct(10):
        row["path"] = row["path"].replace("/101.000000-NA-20001", "")
        if "folder" in row:
            row["folder"] = row["folder"].replace("/101.000000-NA-20001", "")
    assert flat(case, profile) == [("REL014", P1, "101.000000-NA-20001")]


def _rename(case: Case, old: str, new: str) -> None:
    for table in ("slices", "files", "dsos"):
        for row in case.of(table):
            row["path"] = row["path"].replace(old, new)
            if "folder" in row:
                row["folder"] = row["folder"].replace(old, new)
    for table in ("frames", "segments", "references", "segment_pairs", "alignments"):
        for row in case.of(table):
            row["dso"] = row["dso"].replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "keyword"),
    [
        ("/06-06-1992-", "/06-07-1992-", "StudyDate"),
        ("-CT ABD WITH PEL-", "-CT CHEST-", "StudyDescription"),
        ("/101.000000-", "/102.000000-", "SeriesNumber"),
        ("/100.000000-Segmentation-", "/100.000000-LIVER-", "SeriesDescription"),
        ("-NA-20001", "-NA-20002", "SeriesInstanceUID"),
    ],
)
def test_folder_names(case: Case, profile: Profile, old: str, new: str, keyword: str) -> None:
    _rename(case, old, new)
    assert [code for code, *_ in flat(case, profile)] == ["REL010"]
    assert keyword in only(case, "REL010", profile).message


@pytest.mark.parametrize(
    ("values", "old", "new"),
    [
        ({"study_description": "CT ABD/PEL W/ CONTRAST"}, "CT ABD WITH PEL", "CT ABDPEL W CONTRAST"),
        ({"study_description": None}, "-CT ABD WITH PEL-", "-NA-"),
        ({"study_id": "4711"}, "-NA-CT ABD", "-4711-CT ABD"),
        ({"study_description": "CT ABD WITH PEL AND CHEST AND MORE"}, "CT ABD WITH PEL", "CT ABD WITH PEL AND CH"),
        ({}, "-NA-CT ABD WITH PEL-", "-NA-CT ABD WITH PEL-"),
    ],
)
def test_folder_names_that_hold_what_a_file_system_allows(
    case: Case, profile: Profile, values: dict[str, str | None], old: str, new: str
) -> None:
    _rename(case, old, new)
    for table in ("slices", "dsos"):
        case.change(case.of(table), **values)
    assert flat(case, profile) == []


@pytest.mark.parametrize(
    ("series", "tail"),
    [("1.2.3.123", "3.123"), ("1.2.3.1234", ".1234"), ("1.2.3.1234", "1234"), ("1.2.3.1234", "31234")],
)
def test_the_end_of_a_uid_may_hold_a_point(case: Case, profile: Profile, series: str, tail: str) -> None:
    _rename(case, "101.000000-NA-20001", f"101.000000-NA-{tail}")
    case.change([row for row in case.of("slices") if row["patient"] == P1], series_uid=series)
    assert not _check("REL010", case, profile).findings


def test_folders_of_another_form_contradict_nothing(case: Case, profile: Profile) -> None:
    _rename(case, "101.000000-NA-20001", "CT")
    assert flat(case, profile) == []


@pytest.mark.reference
def test_the_published_folder_names(profile: Profile, reference: Path) -> None:
    with (reference / "series-headers.csv").open(encoding="utf-8") as file:
        headers = {row["SeriesInstanceUID"]: row for row in csv.DictReader(file)}
    with (reference / "metadata-reconstructed.csv").open(encoding="utf-8") as file:
        locations = {row["Series UID"]: row["File Location"] for row in csv.DictReader(file)}
    assert len(locations) == 394
    case = Case()
    for series, location in locations.items():
        header = headers[series]
        case["slices"].append(
            {
                "patient": header["PatientID"],
                "path": location.removeprefix("./") + "/1-001.dcm",
                "study_date": header["StudyDate"].replace("-", ""),
                "study_description": header["StudyDescription"] or None,
                "series_description": header["SeriesDescription"] or None,
                "series_number": int(float(header["SeriesNumber"])),
                "study_uid": header["StudyInstanceUID"],
                "series_uid": series,
            }
        )
    evidence_case = Case(tables={"slices": case["slices"]})
    checked = _check("REL010", evidence_case, profile)
    assert not checked.findings
    assert checked.examined == 197 + 394
    # The names are compared at all: each row with the next patient's folder contradicts.
    moved = [row["path"] for row in case["slices"]][2:] + [row["path"] for row in case["slices"]][:2]
    for row, path in zip(case["slices"], moved, strict=True):
        row["path"] = path
    assert len(_check("REL010", Case(tables={"slices": case["slices"]}), profile).findings) > 550


def _check(code: str, case: Case, profile: Profile) -> Checked:
    tables = {name: frame(name, rows) for name, rows in case.tables.items()}
    return registry()[code].check(Context(Evidence(case.facts, tables), profile))


def test_another_patients_id(case: Case, profile: Profile) -> None:
    for table in ("slices", "files", "dsos"):
        case.change(case.of(table), patient_id=P2)
    assert flat(case, profile) == [
        ("REL011", P1, "1-1.dcm"),
        ("REL011", P1, "101.000000-NA-20001"),
    ]


def test_an_id_that_names_a_person_is_not_shown(case: Case, profile: Profile) -> None:
    for table in ("slices", "files", "dsos"):
        case.change(case.of(table), patient_id="DOE^JOHN")
    report = run(case, profile)
    assert report.findings
    assert "DOE" not in str([finding.as_dict() for finding in report.findings])


def test_a_folder_that_is_no_patient(case: Case, profile: Profile) -> None:
    for table in list(case.tables):
        for row in case[table]:
            if row.get("patient") == P1 and table not in ("metadata", "clinical"):
                row["patient"] = "patient[1]"
    case["patients"][0]["valid"] = False
    assert {(code, patient) for code, patient, _ in flat(case, profile)} == {("REL011", "patient[1]")}


def test_file_meta(case: Case, profile: Profile) -> None:
    case.change(case.ct(3), meta_sop_instance_uid=uid(9, 9))
    assert flat(case, profile) == [("REL012", P1, "1-03.dcm")]
    case.change(case.ct(), meta_sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    assert flat(case, profile) == [("REL012", P1, "101.000000-NA-20001")]


@pytest.mark.parametrize("problem", ["link-outside", "link-broken", "link-folder"])
def test_links(case: Case, profile: Profile, problem: str) -> None:
    folder = case.ct(1)[1]["folder"]
    case["files"].append(
        {
            "patient": P1,
            "path": f"{folder}/1-999.dcm",
            "folder": folder,
            "kind": "link",
            "problem": problem,
            "in_collection": True,
        }
    )
    assert flat(case, profile) == [("REL013", P1, "1-999.dcm")]


def test_invalid_uids(case: Case, profile: Profile) -> None:
    case.change([row for row in case.of("files") if row["kind"] == "ct"], invalid_uids='["FrameOfReferenceUID"]')
    assert flat(case, profile) == [("REL016", P1, "101.000000-NA-20001")]
    assert only(case, "REL016", profile).count == 24


def test_every_rule_tells_what_it_needs() -> None:
    for item in registry():
        if item.code.startswith(FAMILIES):
            assert not item.title.endswith("."), item.code
            assert item.why.endswith("."), item.code
            assert item.fix.endswith("."), item.code


def test_kinds_of_subjects(case: Case, profile: Profile) -> None:
    case.unreadable(3)
    assert only(case, "REL004", profile).subject.kind is Kind.FILE
    case.unreadable(4)
    assert only(case, "REL004", profile).subject.kind is Kind.FOLDER


def test_that_no_image_was_audited_is_told_first(case: Case, profile: Profile) -> None:
    for table in list(case.tables):
        if table not in ("files", "metadata"):
            case[table] = []
    case["files"] = [{"path": "x.dcm", "folder": "", "kind": "other-dicom", "in_collection": False, "size": 9}]
    report = run(case, profile)
    assert [one.rule for one in report.findings][:2] == ["REL020", "REL001"]
    assert report.exit_code() == ExitCode.NOTHING


def test_objects_of_others(case: Case, profile: Profile) -> None:
    name = profile.others[0].name
    other = {"path": "ai/1.dcm", "folder": "ai", "kind": "other-object", "in_collection": False, "others": name}
    case["files"].append(other | {"patient_id": P2, "series_uid": "1.2.276.0.7230010.3.1.3.1"})
    case["files"].append(other | {"path": "ai/2.dcm", "patient": P1, "others": "what another profile calls them"})
    (note,) = [one for one in run(case, profile).findings if one.rule == "REL023"]
    assert (note.count, note.examples) == (2, (P1, P2))
    assert f"in 2 patients: 1 {name}. They were not audited" in note.message
