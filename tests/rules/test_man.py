"""Rules about the manifest."""

import pytest
from support.listing import ROOT, Listing, make_listing

from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity


@pytest.fixture
def listing() -> Listing:
    return make_listing()


def test_a_manifest_that_can_not_be_read_is_man001s_alone(listing: Listing) -> None:
    listing.manifest = []
    listing.manifest_source |= {"problem": "no-list", "detail": "the file has no ListOfSeriesToDownload"}
    report = listing.report()
    (finding,) = report.findings
    assert finding.rule == "MAN001"
    assert finding.message == "The manifest can't be used: the file has no ListOfSeriesToDownload."
    assert finding.subject.path == "manifest-1.tcia"
    skipped = {outcome.rule for outcome in report.outcomes if outcome.reason == "the manifest could not be read"}
    assert skipped == {"MAN002", "MAN003", "MAN004", "MAN005", "MAN008"}


def test_no_manifest_is_a_skip(listing: Listing) -> None:
    listing.manifest_source = {}
    listing.manifest = []
    man = [outcome for outcome in listing.report().outcomes if outcome.rule.startswith("MAN")]
    assert {(outcome.status, outcome.reason) for outcome in man} == {(Status.SKIPPED, "no .tcia manifest was found")}


def test_an_invalid_entry(listing: Listing) -> None:
    listing.manifest.append({"line": 11, "entry": "Jane Doe"})
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.uid) == ("MAN002", 11, None)
    assert finding.message == "Line 11 of the manifest is no valid UID."
    assert "Jane" not in str(finding.as_dict())


def test_an_entry_that_became_invalid_is_not_missing_too(listing: Listing) -> None:
    listing.manifest[0]["entry"] += "x"
    assert listing.flat() == [("MAN002", 7, None)]


def test_an_entry_twice(listing: Listing) -> None:
    listing.manifest += [{"line": line, "entry": f"{ROOT}.1001.1"} for line in (11, 12)]
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.count, finding.severity) == ("MAN003", 11, 3, Severity.WARNING)
    assert finding.message == "The manifest lists this series in lines 7, 11, 12."


def test_a_list_that_stands_there_twice_is_one_finding(listing: Listing) -> None:
    listing.manifest += [row | {"line": row["line"] + len(listing.manifest)} for row in listing.manifest]
    (finding,) = listing.found()
    assert (finding.rule, finding.count, finding.observed) == ("MAN003", 4, "2 lines")
    assert finding.message == "All 4 series of the manifest: the manifest lists them more than once."


def test_a_series_that_the_list_does_not_have(listing: Listing) -> None:
    listing.manifest.append({"line": 11, "entry": f"{ROOT}.7"})
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.subject.uid) == ("MAN004", 11, f"{ROOT}.7")
    assert finding.message == "Line 11 of the manifest names a series that metadata.csv does not have."
    assert listing.flat(settings=Settings(subset=True)) == []


def test_a_series_that_the_manifest_does_not_have(listing: Listing) -> None:
    del listing.manifest[3]
    (finding,) = listing.found()
    assert (finding.rule, finding.subject.row, finding.patient) == ("MAN005", 5, "CRLM-CT-1002")
    assert finding.message == "The manifest does not list the series of line 5 of metadata.csv."


def test_without_the_list_nothing_is_compared_with_it(listing: Listing) -> None:
    listing.metadata_source |= {"problem": "encoding", "detail": "a character is not UTF-8", "line": 3}
    listing.rows = []
    outcomes = {outcome.rule: outcome.reason for outcome in listing.report().outcomes}
    assert outcomes["MAN004"] == outcomes["MAN005"] == "metadata.csv could not be read"


@pytest.mark.parametrize(("settings", "level"), [(Settings(), Severity.ERROR), (Settings(subset=True), Severity.INFO)])
def test_without_the_list_the_disk_is_compared_with_the_manifest(
    listing: Listing, settings: Settings, level: Severity
) -> None:
    listing.metadata_source, listing.rows = {}, []
    assert listing.flat(settings=settings) == []
    for uid in (gone := [f"{ROOT}.1002.1", f"{ROOT}.1002.2"]):
        listing.remove_files(uid)
    (finding,) = listing.found(settings)
    assert (finding.rule, finding.severity, finding.count, list(finding.examples)) == ("MAN008", level, 2, gone)
    assert finding.message == "2 of 4 series of the manifest are on disk; 2 are not."


def test_series_that_can_not_be_read_may_be_those_of_the_manifest(listing: Listing) -> None:
    listing.metadata_source, listing.rows = {}, []
    for row in listing.files:
        if row["series_uid"] == f"{ROOT}.1002.2":
            row.update(kind="unreadable", series_uid=None)
    assert listing.flat() == []


def test_with_patients_asked_for_the_manifest_is_not_compared_with_the_disk(listing: Listing) -> None:
    listing.metadata_source, listing.rows = {}, []
    listing.remove_files(f"{ROOT}.1002.2")
    assert listing.flat(settings=Settings(patients=("CRLM-CT-1001",))) == []


def test_what_stands_round_the_uids_is_one_finding(listing: Listing) -> None:
    where = {"source": "manifest", "path": "manifest-1.tcia"}
    listing.notes = [{**where, "kind": "marks", "row": line, "detail": "commas"} for line in (7, 8)]
    listing.notes.append({**where, "kind": "marks", "row": 9, "detail": "comments"})
    (finding,) = listing.found()
    assert (finding.rule, finding.count, finding.subject.row) == ("MAN002", 3, 7)
    assert finding.message == "3 lines of the manifest hold more than a UID: commas, comments."


def test_many_lines_of_one_cause_are_one_finding(listing: Listing) -> None:
    listing.manifest += [{"line": 20 + k, "entry": f"{ROOT}.77.{k}"} for k in range(40)]
    listing.manifest += [{"line": 70 + k, "entry": "x" * k} for k in range(1, 20)]
    assert [(one.rule, one.count) for one in listing.found()] == [("MAN002", 19), ("MAN004", 40)]


@pytest.mark.parametrize(
    ("relation", "severity", "said"),
    [
        ("copy", Severity.INFO, "manifest-2.tcia is byte for byte a copy"),
        ("repeat", Severity.WARNING, "manifest-2.tcia has nothing of its own, and lists 4 series"),
        ("edition", Severity.WARNING, "manifest-2.tcia is another edition, and lists 4 series"),
    ],
)
def test_two_manifests(listing: Listing, relation: str, severity: Severity, said: str) -> None:
    more = {"source": "manifest", "path": "manifest-2.tcia", "used": False, "relation": relation, "n_rows": 4}
    listing.more_sources = [more]
    (found,) = listing.found()
    assert (found.rule, found.severity, found.observed) == ("MAN006", severity, "2")
    assert said in found.message
    more["relation"] = "other-collection"
    assert listing.found() == []


def test_manifests_that_are_read_as_one(listing: Listing) -> None:
    listing.more_sources = [{"source": "manifest", "path": "manifest-2.tcia", "used": True, "relation": "part"}]
    listing.manifest[-1]["path"] = "manifest-2.tcia"
    listing.manifest[-1]["entry"] = "no uid"
    found = {one.rule: one for one in listing.found()}
    assert set(found) == {"MAN002", "MAN006"}
    assert found["MAN006"].severity is Severity.INFO
    assert "of manifest-2.tcia is no valid UID" in found["MAN002"].message
