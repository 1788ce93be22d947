"""Words that every format shares."""

from dataclasses import replace

import pytest
from support import reports

from crlm_qc.model.finding import RELEASE, Kind, Subject
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.wholeness import ListedBy, ToFetch, Wholeness
from crlm_qc.report import html, markdown, text, words
from crlm_qc.report.html.view import View


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (reports.sample(), "Not conformant: 8 errors in 8 of 9 patients; 1 warning; 1 note; 1 waived"),
        (reports.clean(), "Conformant: no errors in 9 patients"),
        (
            replace(reports.clean(), settings=Settings(depth=Depth.HEADERS)),
            "Incomplete: no errors in what was checked; only a part was asked for",
        ),
        (reports.incomplete(), "Incomplete: no errors in what was checked; not everything could be checked"),
        (reports.empty(), "Nothing was checked: no image of a patient was found, or no rule could look at what was"),
    ],
    ids=["faults", "clean", "narrowed", "incomplete", "empty"],
)
def test_verdict(report: reports.Report, expected: str) -> None:
    assert words.sentence(report) == expected


def test_verdict_names_errors_of_the_release_apart() -> None:
    of_release = reports.finding("PUB001", Severity.ERROR, RELEASE, "Too few patients.")
    alone = replace(reports.sample(), findings=[of_release])
    assert words.sentence(alone) == "Not conformant: 1 error in the release as a whole"
    both = replace(reports.sample(), findings=[of_release, reports.missing_slice(1001)])
    assert words.sentence(both) == "Not conformant: 2 errors in 1 of 9 patients and in the release as a whole"


@pytest.mark.parametrize("there", [0, 1, 7])
def test_patients_who_are_not_in_the_release_are_counted_apart(there: int) -> None:
    findings = [reports.missing_slice(1001 + number) for number in range(9)]
    base = reports.sample()
    release = replace(base.release, patients=there)
    report = replace(base, release=release, patients=base.patients[:there], findings=findings)
    here = f"in {there} of {there} patient{'' if there == 1 else 's'} and " if there else ""
    assert words.sentence(report) == f"Not conformant: 9 errors {here}of {9 - there} patients not in the release"
    view = View(report)
    assert max((len(rule.patients) for rule in view.rules), default=0) == there
    assert all(len(family.patients) <= there for family in view.families)
    assert " --patients " not in " ".join(view.rerun(rule) for rule in view.rules)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (84_840_000, "84.8 MB"),
        (10_900_000_000_000, "10,900.0 GB"),
    ],
)
def test_size(count: int, expected: str) -> None:
    assert words.size(count) == expected


def test_clean_takes_what_could_rewrite_a_screen() -> None:
    assert words.clean("a\x1b[2Jb\u202ec\nd\udc80é") == "a\ufffd[2Jb\ufffdc d\ufffdé"


def test_listing() -> None:
    assert words.listing([]) == ""
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing("abcde", 3) == "a, b, c and 2 more"


def test_place_names_only_what_is_known() -> None:
    assert words.place(RELEASE) == ""
    assert words.place(Subject(Kind.ROW, "x.csv", row=3, column="sex")) == "x.csv · row 3 · sex"
    assert words.place(Subject(Kind.SEGMENT, segment=0)) == "segment 0"


def test_narrowing_is_said() -> None:
    narrow = Settings(Depth.HEADERS, True, ("CTS",), ("CTS004",), ("CRLM-CT-1001",), {"CTS001": Severity.INFO})
    said = words.narrowing(replace(reports.sample(), settings=narrow))
    assert len(said) == 5
    assert words.narrowing(reports.clean()) == []


SAID = (
    "Published series on disk: CT 196 of 197, SEG 196 of 197; "
    "2 to fetch: CRLM-CT-1003 SEG and CRLM-CT-1007 CT (40 of 41 files)."
)


def test_the_first_line_says_whether_the_download_is_whole() -> None:
    report = reports.lacking()
    found = report.wholeness
    assert found is not None
    assert words.wholeness(report) == SAID
    assert text.render(report, text.Style(width=140)).startswith(f"{SAID}\n\n")
    assert markdown.render(report).splitlines()[2].startswith("**Published series on disk: CT 196 of 197, ")
    assert SAID in html.render(report)
    whole = replace(found, whole=found.expected, to_fetch=())
    for other, said in (
        (None, ""),
        (whole, "Published series on disk: CT 197 of 197, SEG 197 of 197: whole, to the byte."),
        (
            replace(whole, partial=True, expected={"CT": 1}, whole={"CT": 1}),
            "Published series on disk of the patients that are there: CT 1 of 1: whole, to the byte.",
        ),
        (replace(whole, listed_by=ListedBy.MANIFEST), ""),
        (
            Wholeness(
                ListedBy.MANIFEST, False, {"series": 6}, {"series": 4}, (ToFetch("1.2.840.1", None, None, "absent"),)
            ),
            "Series on disk, as the manifest lists: 4 of 6; 1 to fetch.",
        ),
        (
            Wholeness(ListedBy.METADATA, True, {"series": 6}, {"series": 4}),
            "Series on disk, as metadata.csv lists: 4 of 6.",
        ),
    ):
        assert words.wholeness(replace(report, wholeness=other)) == said
