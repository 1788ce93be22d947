"""The disk against the ledger of published series."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from support.frames import Case, series_rows
from support.listing import DSO_BYTES, N_SLICES, ROOT, SLICE_BYTES, Listing, make_listing

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.ledger import PublishedSeries
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import frame
from crlm_qc.rules import registry

WHOLE = Settings(depth=Depth.HEADERS)
PART = replace(WHOLE, subset=True)
CT, SEG = f"{ROOT}.1001.1", f"{ROOT}.1001.2"
BESIDE = ("LED", "MET", "MAN", "REL008", "REL009", "XRF001", "XRF008")


@pytest.fixture
def listing() -> Listing:
    return make_listing()


def published(*patients: str) -> Profile:
    """The profile with a ledger of a CT series and an object of each patient, as the listing has them."""
    series = [
        PublishedSeries(patient, modality, f"{ROOT}.{int(patient[-4:])}.{number}", files, size)
        for patient in patients or ("CRLM-CT-1001", "CRLM-CT-1002")
        for number, (modality, files, size) in enumerate(
            (("CT", N_SLICES, N_SLICES * SLICE_BYTES), ("SEG", 1, DSO_BYTES)), start=1
        )
    ]
    return replace(load_profile(), ledger={one.series_uid: one for one in series})


def report(
    listing: Listing,
    profile: Profile | None = None,
    settings: Settings = WHOLE,
    only: str | tuple[str, ...] = "",
    checksums: Collection[dict[str, Any]] = (),
) -> Report:
    tables = {
        "sources": [source for source in (listing.metadata_source, listing.manifest_source) if source],
        "metadata": listing.rows,
        "manifest": listing.manifest,
        "patients": listing.patients,
        "files": listing.files,
        "series": series_rows(Case({"files": [{"modality": None, **row} for row in listing.files]})),
        "slices": listing.slices,
        "dsos": listing.dsos,
        "checksums": checksums,
    }
    facts = Facts(root="release", depth=Depth.PIXELS)
    evidence = Evidence(facts, {name: frame(name, rows) for name, rows in tables.items()})
    rules = [item for item in registry() if item.code.startswith(only or BESIDE)]
    found = judge(evidence, profile or published(), settings, rules)
    assert not found.incomplete
    return found


def told(*arguments: Any, **options: Any) -> list[tuple[str, str | None, str]]:
    return [(one.rule, one.patient, one.message) for one in report(*arguments, **options).findings]


def files_of(listing: Listing, uid: str) -> list[dict[str, Any]]:
    return [row for row in listing.files if row["series_uid"] == uid]


def copied(listing: Listing, uid: str, new: str, folder: str) -> None:
    """Files of a series once more, as another one."""
    listing.files += [
        row
        | {
            "series_uid": new,
            "sop_instance_uid": f"{new}.{row['sop_instance_uid'].rpartition('.')[2]}",
            "folder": folder,
            "path": f"{folder}/{row['name']}",
        }
        for row in files_of(listing, uid)
    ]


@pytest.mark.parametrize("settings", [WHOLE, PART])
def test_a_whole_release_is_silent(listing: Listing, settings: Settings) -> None:
    assert told(listing, settings=settings) == []


def test_another_release_is_not_compared(listing: Listing) -> None:
    for profile, why in (
        (load_profile(), "no series on disk is one of the published"),
        (replace(load_profile(), ledger={}), "the profile names no ledger of published series"),
    ):
        outcomes = report(listing, profile, only="LED").outcomes
        assert {outcome.reason for outcome in outcomes} == {why}


def without_tables(listing: Listing) -> None:
    listing.metadata_source, listing.manifest_source, listing.rows, listing.manifest = {}, {}, [], []


@pytest.mark.parametrize("tables", [True, False])
def test_an_absent_series_is_told_of_once(listing: Listing, tables: bool) -> None:
    listing.remove_files(SEG)
    if not tables:
        without_tables(listing)
    (finding,) = report(listing).findings
    assert (finding.rule, finding.patient, finding.subject.uid) == ("LED001", "CRLM-CT-1001", SEG)
    assert finding.message == "The published SEG series is not on disk."
    assert (finding.expected, finding.observed) == ("1 file, 163,310 bytes", "none")


def test_rules_that_are_not_run_leave_it_to_those_that_are(listing: Listing) -> None:
    listing.remove_files(SEG)
    assert [code for code, *_ in told(listing, only="MET")] == ["MET016"]
    assert [code for code, *_ in told(listing, only="REL008")] == ["REL008"]


def test_many_absent_series_are_one_finding(listing: Listing) -> None:
    names = [f"CRLM-CT-{number}" for number in range(1001, 1009)]
    listing.patients += [
        {"patient": name, "folder": f"Colorectal-Liver-Metastases/{name}", "valid": True} for name in names[2:]
    ]
    without_tables(listing)
    (finding,) = report(listing, published(*names), PART).findings
    assert (finding.rule, finding.patient, finding.count, finding.observed) == ("LED001", None, 12, "12 of 16 series")
    assert finding.message.startswith("12 published series are not on disk: CRLM-CT-1003 CT, CRLM-CT-1003 SEG, ")
    assert len(finding.examples) == 5


def test_patients_of_whom_nothing_is_there_are_one_finding_of_the_whole(listing: Listing) -> None:
    gone = [f"{ROOT}.1002.{number}" for number in (1, 2)]
    for uid in gone:
        listing.remove_files(uid)
    del listing.patients[1]
    assert told(listing) == [
        ("LED007", None, "1 of 2 published patients is not on disk: CRLM-CT-1002."),
    ]
    assert told(listing, settings=PART) == []


def test_a_patients_folder_that_is_a_link_is_not_said_to_be_missing(listing: Listing) -> None:
    for uid in (f"{ROOT}.1002.1", f"{ROOT}.1002.2"):
        listing.remove_files(uid)
    del listing.patients[1]
    folder = "Colorectal-Liver-Metastases"
    listing.files.append(
        {
            "path": f"{folder}/CRLM-CT-1002",
            "folder": folder,
            "name": "CRLM-CT-1002",
            "kind": "link",
            "problem": "link-folder",
            "in_collection": True,
        }
    )
    assert told(listing, only="LED") == []


def test_files_missing(listing: Listing) -> None:
    listing.files.remove(files_of(listing, CT)[-1])
    assert told(listing) == [("LED002", "CRLM-CT-1001", "2 of 3 published files are on disk.")]


def test_a_file_that_can_not_be_read_may_be_the_missing_one(listing: Listing) -> None:
    files_of(listing, CT)[-1].update(kind="unreadable", series_uid=None, sop_instance_uid=None)
    assert told(listing) == []


def test_a_folder_that_can_not_be_read_may_be_the_missing_series(listing: Listing) -> None:
    files_of(listing, SEG)[0].update(kind="unreadable", series_uid=None, sop_instance_uid=None)
    assert told(listing) == []


def test_other_bytes(listing: Listing) -> None:
    files_of(listing, CT)[0]["size"] += 2
    assert told(listing) == [
        (
            "LED003",
            "CRLM-CT-1001",
            "The files of the series have 1,582,442 bytes, published are 1,582,440.",
        )
    ]


def test_bytes_of_a_file_that_is_cut_are_another_rules(listing: Listing) -> None:
    files_of(listing, CT)[0].update(size=SLICE_BYTES - 2, pixel_bytes_found=8)
    assert told(listing, only="LED") == []


def test_a_copy_counts_once_and_litter_not_at_all(listing: Listing) -> None:
    first = files_of(listing, CT)[0]
    listing.files.append(first | {"name": "1-1(1).dcm", "path": first["path"].replace("1-1.", "1-1(1).")})
    listing.files.append(
        {
            **{key: first[key] for key in ("patient", "folder", "in_collection")},
            "path": "x/.DS_Store",
            "name": ".DS_Store",
            "kind": "system",
            "size": 7,
        }
    )
    assert told(listing, only="LED") == []


def test_a_surplus_file(listing: Listing) -> None:
    first = files_of(listing, CT)[0]
    listing.files.append(first | {"sop_instance_uid": f"{CT}.9", "name": "1-9.dcm", "path": first["path"] + "9"})
    assert told(listing) == [("LED006", "CRLM-CT-1001", "4 files are on disk, published are 3.")]


def test_a_further_ct_series_is_named(listing: Listing) -> None:
    copied(listing, CT, f"{ROOT}.1001.7", "Colorectal-Liver-Metastases/CRLM-CT-1001/study/7")
    assert told(listing) == [("LED004", "CRLM-CT-1001", "This CT series of 3 files was not published.")]


def test_a_further_object_is_left_to_the_rules_on_objects(listing: Listing) -> None:
    copied(listing, SEG, f"{ROOT}.1001.7", "Colorectal-Liver-Metastases/CRLM-CT-1001/study/7")
    assert {code for code, *_ in told(listing)} == {"MET015", "REL009"}


def test_a_patient_who_was_not_published(listing: Listing) -> None:
    assert sorted(told(listing, published("CRLM-CT-1001"))) == [
        ("LED004", "CRLM-CT-1002", "This CT series of 3 files was not published."),
        ("LED004", "CRLM-CT-1002", "This SEG series of 1 file was not published."),
    ]


def test_a_series_in_the_place_of_a_published_one(listing: Listing) -> None:
    for row in (*files_of(listing, SEG), *(row for row in listing.dsos if row["series_uid"] == SEG)):
        row["series_uid"] = f"{ROOT}.1001.8"
    assert told(listing) == [
        (
            "LED005",
            "CRLM-CT-1001",
            "The published SEG series is not on disk; another one lies in its place.",
        )
    ]


def codes(findings: Collection[tuple[str, str | None, str]]) -> set[str]:
    return {code for code, *_ in findings}


def test_of_a_part_only_the_patients_that_are_there_are_asked_for(listing: Listing) -> None:
    listing.remove_files(SEG)
    profile = published("CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003")
    assert codes(told(listing, profile, PART)) == {"LED001"}
    assert codes(told(listing, profile, WHOLE)) == {"LED001", "LED007"}


def test_figures_of_a_release_that_lacks_series_are_not_compared_with_the_published_ones(listing: Listing) -> None:
    profile = published("CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003")
    judged = {one.rule: one for one in report(listing, profile, only="PUB").outcomes}
    assert judged["PUB001"].status is Status.FAILED, "the ledger's rules are not run, and nothing else tells"
    listing.remove_files(CT)
    judged = {one.rule: one for one in report(listing, published(), only=("PUB", "LED")).outcomes}
    assert judged["LED001"].status is Status.FAILED
    assert "LED001 and LED007 tell" in judged["PUB001"].reason


def test_a_series_of_a_file_with_another_checksum_is_not_whole(listing: Listing) -> None:
    path = next(row["path"] for row in listing.files if row.get("series_uid") == CT)
    found = report(listing, checksums=[{"patient": "CRLM-CT-1001", "path": path, "state": "wrong"}]).wholeness
    assert found is not None
    assert found.whole == {"CT": 1, "SEG": 2}
    assert [(one.series_uid, one.why) for one in found.to_fetch] == [(CT, "other bytes")]


@pytest.mark.parametrize(("settings", "expected"), [(WHOLE, {"CT": 2, "SEG": 2}), (PART, {"CT": 1, "SEG": 1})])
def test_of_lists_too_a_part_is_asked_only_for_its_patients(
    listing: Listing, settings: Settings, expected: dict[str, int]
) -> None:
    listing.files[:] = [row for row in listing.files if row.get("patient") != "CRLM-CT-1002"]
    listing.patients[:] = [row for row in listing.patients if row["patient"] != "CRLM-CT-1002"]
    found = report(listing, load_profile(), settings).wholeness
    assert found is not None
    assert (found.expected, found.whole) == (expected, {"CT": 1, "SEG": 1})
