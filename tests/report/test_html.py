"""The page."""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support import cohort, reports

from crlm_qc.collection.profile import Profile
from crlm_qc.model.report import PatientFacts, Report, ToleranceText
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report import html, words
from crlm_qc.report.html import folder, render, view

VOID = {"meta", "link", "input", "br", "wbr"}


class Page(HTMLParser):
    """Elements, text and nesting of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        inside = self.stack[-1] if self.stack else ""
        {"script": self.scripts, "style": self.styles}.get(inside, self.text).append(data)

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


REPORTS = {
    "sample": reports.sample(),
    "clean": reports.clean(),
    "incomplete": reports.incomplete(),
    "empty": reports.empty(),
    "hostile": reports.hostile(),
    "compared": reports.compared(),
    "large": reports.large(),
}


@pytest.mark.parametrize("name", REPORTS)
def test_page_is_whole(name: str) -> None:
    page = Page(render(REPORTS[name]))
    ids = page.attributes("id")
    assert [key for key, count in Counter(ids).items() if count > 1] == []
    targets = {link[1:] for link in page.attributes("href") if link.startswith("#")}
    assert targets <= set(ids), f"links without a target: {targets - set(ids)}"
    assert sum(tag == "h1" for tag, _ in page.elements) == 1


@pytest.mark.parametrize("name", REPORTS)
def test_title_and_heading_are_the_verdict(name: str) -> None:
    text = render(REPORTS[name])
    sentence = words.sentence(REPORTS[name])
    assert f"<title>{sentence}</title>" in text
    assert f">{sentence}.</h1>" in text


def test_text_from_files_stays_text() -> None:
    clean_page, page = Page(render(reports.sample())), Page(render(reports.hostile()))
    assert len(page.scripts) == len(clean_page.scripts) == 1
    assert page.scripts == clean_page.scripts
    assert words.clean(reports.HOSTILE) in page.words()
    assert not [tag for tag, attrs in page.elements for name in attrs if name.startswith("on")]
    assert not {"\x1b", "\u202e"} & set(render(reports.hostile()))


def test_policy_lets_nothing_run_but_the_page_itself() -> None:
    page = Page(render(reports.sample()))
    policy = next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))
    assert policy is not None

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest(page.scripts[0])}'" in policy
    assert f"style-src 'sha256-{digest(page.styles[0])}'" in policy
    assert "unsafe" not in policy
    assert not page.attributes("style"), "the policy would drop it"


def test_page_asks_the_network_for_nothing() -> None:
    page = Page(render(reports.sample()))
    assert not page.attributes("src")
    assert [link for link in page.attributes("href") if not link.startswith(("#", "data:,"))] == [
        "https://doi.org/10.7937/QXK2-QG03"
    ]
    for forbidden in ("url(", "@import", "fetch(", "localStorage", "import("):
        assert forbidden not in page.styles[0] + page.scripts[0]


def test_the_folder_is_the_page_with_nothing_inline() -> None:
    report = reports.sample()
    files = folder.render(report)
    assert sorted(files) == ["index.html", "report.css", "report.js"]
    text = files["index.html"]
    assert isinstance(text, str)
    linked, one = Page(text), Page(render(report))
    assert not linked.scripts
    assert not linked.styles
    assert (linked.attributes("src"), one.styles, one.scripts) == (
        ["report.js"],
        [files["report.css"]],
        [files["report.js"]],
    )
    assert linked.words() == one.words()
    assert [attrs["href"] for tag, attrs in linked.elements if tag == "link"] == ["report.css"]
    policy = next(attrs["content"] for _, attrs in linked.elements if attrs.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "data:" not in policy


def test_page_reads_without_script() -> None:
    page = Page(render(reports.sample()))
    for finding in reports.sample().findings:
        assert finding.message in page.words()
        assert f"f-{finding.fingerprint}" in page.attributes("id")
    for text in reports.RULES:
        assert f"r-{text.code}" in page.attributes("id")
        for part in (text.title, text.why, text.fix, text.source):
            assert part in page.words()
    for patient in reports.sample().patients:
        assert f"p-{patient.patient}" in page.attributes("id")
    controls = next(attrs for tag, attrs in page.elements if attrs.get("class") == "controls")
    assert "hidden" in controls


def test_what_was_not_checked_is_said() -> None:
    page = Page(render(reports.incomplete())).words()
    assert "permission denied" in page
    assert "IndexError at seg.py:12" in page
    assert "Everything that was asked for was checked." not in page
    assert "Everything that was asked for was checked." in Page(render(reports.clean())).words()
    assert "only part of the release is audited: 1 rule" in Page(render(reports.sample())).words()


def test_equal_reports_give_equal_pages() -> None:
    assert render(reports.sample()) == render(reports.sample())


def test_a_patient_that_only_a_table_names_has_a_row() -> None:
    base = reports.sample()
    lone = replace(base.findings[0], patient="CRLM-CT-1190", fingerprint="0" * 12)
    page = Page(render(replace(base, findings=[lone])))
    assert "p-CRLM-CT-1190" in page.attributes("id")
    assert "no folder on disk" in page.words()


def test_rows_over_the_cap_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_ROWS", 4)
    page = Page(render(reports.sample()))
    kept = [value for value in page.attributes("id") if re.fullmatch("f-[0-9a-f]{12}", value)]
    assert len(kept) == 4
    assert {link[1:] for link in page.attributes("href") if link.startswith("#")} <= set(page.attributes("id"))
    assert "7 more stand in findings.json alone" in page.words()
    assert "7 findings of 11 stand in findings.json alone" in page.words()


def test_fix_first_takes_the_gravest_and_widest_and_no_note() -> None:
    codes = [group.rule for group in view.View(reports.sample()).fix_first]
    assert codes == ["CTS008", "DSO007", "CLN010"]


def test_cards_are_of_cases_and_a_cut_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    report = reports.with_cases()
    page = render(report)
    shown = Page(page).words()
    assert "Gravest: Missing slice (CTS008; missing or not as published), in CRLM-CT-1001" in shown
    assert "Gravest" not in Page(render(reports.clean())).words()
    assert "Missing or not as published Missing slice CRLM-CT-1001 A slice is missing" in shown
    assert "So also DSO007 ." in shown
    assert "1 case of 2 findings" in shown
    assert "more:" not in shown
    rows = rows_of(page, "findings")
    assert "Follows from CTS008" in rows[1], "what follows stands beneath its cause"
    assert "Follows" not in rows[0] + rows[2]
    monkeypatch.setattr(view, "MAX_FIX_FIRST", 1)
    assert "And 2 more: DSO007 Referenced instance not on disk ; CLN010 Total" in Page(render(report)).words()


def test_what_is_the_same_in_most_patients_is_one_row_that_unfolds() -> None:
    report = reports.sample()
    page = render(report)
    rows = rows_of(page, "findings")
    same = [one for one in report.findings if one.rule == "CTS008"]
    assert len(rows) == len(report.findings) - len(same) + 1
    (row,) = (row for row in rows if "CTS008" in row)
    assert "The same in 7 of 9 patients" in row
    assert all(f"f-{one.fingerprint}" in row and one.patient in row for one in same)
    assert row.endswith(" 7"), "how many they are in all"
    one, *rest = same
    other = replace(report, findings=[replace(one, observed="20.000 mm"), *rest[:4], *report.findings[7:]])
    assert "The same in" not in render(other), "in fewer than half of the patients"


def test_worst_patients_come_first() -> None:
    names = [patient.patient for patient in view.View(reports.sample()).patients]
    assert names[:2] == ["CRLM-CT-1003", "CRLM-CT-1001"]
    assert names[-1] == "CRLM-CT-1020"


def test_anchors_hold_nothing_that_a_link_can_not() -> None:
    assert view.anchor("CRLM-CT-1001") == "CRLM-CT-1001"
    assert view.anchor('patient[3] "x"') == "patient-3---x-"


def test_a_whole_release_stays_small() -> None:
    report = reports.large()
    assert (len(report.patients), len(report.findings)) == (197, 2000)
    # Of which the plots of remnant and veins have 0.14 MB.
    assert len(render(report).encode()) < 3_200_000
    assert html.MAX_ROWS == 5000


def rows_of(page: str, section: str) -> list[str]:
    """Text of the rows of a section's first table."""
    table = page[page.index(f'<section id="{section}"') :]
    table = table[: table.index("</table>")]
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in table.split("<tr")[2:]]


def test_published_against_observed() -> None:
    page = render(reports.compared())
    assert "7 published figures agree with what is on disk, 3 differ, 3 were not measured." in Page(page).words()
    rows = [row.split(">", 1)[1].strip() for row in rows_of(page, "published")]
    assert rows[0] == "Patients with a series in all 197 9 \N{MINUS SIGN}188 exact ! differs"
    assert rows[3] == "median 55 57 +2 exact ! differs"
    assert rows[6] == "median 1,553.36 1,553.36 0 ± 31.1 ✓ agrees"
    assert rows[8] == "Tumour volume of a patient mL smallest 0.24 {0} {0} ± 0.0048 {0} not measured".format(
        "\N{EN DASH}"
    )


def test_a_part_of_the_release_is_not_compared() -> None:
    page = render(replace(reports.compared(), settings=Settings(subset=True)))
    assert "can't be compared with it" in Page(page).words()
    assert "differs" not in " ".join(rows_of(page, "published"))
    assert 'id="published"' not in render(reports.sample()), "nothing was published"


def test_heat_map_counts_by_the_gravest() -> None:
    heat = {row.patient: row for row in view.View(reports.sample()).heat}
    assert next(iter(heat)) == "CRLM-CT-1003"
    cells = {cell.family: cell for cell in heat["CRLM-CT-1001"].cells}
    assert (cells["CTS"].severity, cells["CTS"].said) == (Severity.ERROR, "1 error, 1 note")
    assert cells["CTS"].levels == [("error", 1), ("info", 1)]
    assert not cells["DSO"].findings
    assert not heat["CRLM-CT-1020"].found, "what is waived does not count"
    rows = rows_of(render(reports.sample()), "heat")
    assert any("CRLM-CT-1001" in row and "✕1 i1 1 error, 1 note" in row for row in rows)


def test_findings_of_the_release_have_a_row_of_their_own() -> None:
    base = reports.sample()
    lone = replace(base.findings[0], patient=None, fingerprint="0" * 12)
    page = render(replace(base, findings=[lone, *base.findings]))
    assert view.View(replace(base, findings=[lone, *base.findings])).heat[0].patient is None
    assert 'id="CTS008-release"' in page
    assert '<option value="-">' in page


def test_plots_tell_their_numbers_and_name_outliers() -> None:
    text = render(reports.large())
    assert "197 patients: smallest 412.5" in text
    page = Page(text)
    assert sum(tag == "circle" for tag, _ in page.elements) >= 8 * 197
    tabs = [attrs for tag, attrs in page.elements if tag == "a" and attrs.get("class") == "out"]
    assert [attrs["aria-label"] for attrs in tabs] == [
        "CRLM-CT-1008: 412.5 mL",
        "CRLM-CT-1012: \N{MINUS SIGN}400 HU",
        "CRLM-CT-1001: 1 mm\N{SUPERSCRIPT THREE}",
        "CRLM-CT-1072: 1.25 against 0.8 mm",
        "CRLM-CT-1008: 150 against 37.6 mm",
    ]
    assert all("tabindex" not in attrs for attrs in tabs)
    assert "1 outside of the published range" in page.words()


def test_a_rule_and_a_patient_have_an_anchor() -> None:
    page = Page(render(reports.sample()))
    assert {"CTS008-CRLM-CT-1001", "CTS012-CRLM-CT-1001", "SEG006-CRLM-CT-1020"} <= set(page.attributes("id"))
    large = view.View(reports.large())
    assert len(set(large.pairs.values())) == len(large.pairs) < 2000


def test_a_rule_can_be_run_again() -> None:
    shown = view.View(reports.sample())
    lines = {rule.text.code: shown.rerun(rule) for rule in shown.rules}
    assert lines["DSO007"] == "crlm-qc check manifest-1669817128730 --select DSO007 --patients CRLM-CT-1002"
    assert lines["MET001"] == "crlm-qc check manifest-1669817128730 --select MET001 --subset"
    whole = view.View(reports.large())
    assert whole.rerun(whole.rules[0]) == "crlm-qc check manifest-1669817128730 --select CLN010"
    assert lines["DSO007"] in Page(render(reports.sample())).words()
    evil = view.View(reports.hostile())
    assert evil.rerun(evil.rules[0]).startswith("crlm-qc check '</script>")


def test_sexes_are_crossed_and_compared_with_chance() -> None:
    patients = [
        PatientFacts(f"CRLM-CT-{1001 + index}", sex=images, sex_workbook=own)
        for index, (own, images) in enumerate([("M", "M")] * 6 + [("M", "F")] * 2 + [("F", "M")] + [("F", "F")] * 3)
    ]
    unknown = [PatientFacts("CRLM-CT-1090", sex="M"), PatientFacts("CRLM-CT-1091", sex="other", sex_workbook="M")]
    report = replace(reports.clean(), patients=[*patients, *unknown])
    sexes = view.View(report).sexes
    assert sexes is not None
    assert (sexes.agree, sexes.total) == (9, 12)
    # (8 x 7 + 4 x 5) / 12
    assert sexes.by_chance == pytest.approx(76 / 12)
    page = render(report)
    assert "agree in 9 of 12 patients; if the rows stood in any order, 6 would agree by chance" in Page(page).words()
    assert [row.split(">", 1)[1].strip() for row in rows_of(page, "tables")] == ["M ✓ 6 ! 2", "F ! 1 ✓ 3"]
    assert 'id="tables"' not in render(reports.clean())


def test_waivers_are_listed_by_what_became_of_them() -> None:
    page = render(reports.sample())
    assert "1 active, 1 expired, 1 unused, 2 not judged." in Page(page).words()
    rows = [row.split(">", 1)[1].strip() for row in rows_of(page, "waivers")]
    assert rows[0].startswith("! expired CTS008")
    assert rows[1] == "~ active SEG006 CRLM-CT-1020 Lesion annotated twice e-mail no end qc-team 1"
    assert rows[2].startswith("i unused CLN010 3 patients")
    assert "XYZ001" in rows[4]
    assert "#r-XYZ001" not in page
    assert 'id="waivers"' not in render(replace(reports.sample(), waivers=()))


def test_rules_tell_their_tolerances() -> None:
    base = reports.sample()
    shear = ToleranceText("shear_mm", 0.25, "mm", "Sideways drift.")
    report = replace(base, rules=[replace(text, tolerances=(shear,)) for text in base.rules])
    said = Page(render(report)).words()
    assert "shear_mm 0.25 mm: Sideways drift." in said
    assert "shear_mm 0.25 mm in place of 0.5 mm" in said
    assert "all as the tool has them" in Page(render(base)).words()


def test_the_rule_set_is_named_by_what_its_rules_say() -> None:
    base = reports.sample()
    named = view.View(base).rule_set
    assert re.fullmatch("[0-9a-f]{12}", named)
    assert view.View(replace(base, findings=[], outcomes=())).rule_set == named
    changed = [replace(base.rules[0], why="Another reason."), *base.rules[1:]]
    assert view.View(replace(base, rules=changed)).rule_set != named
    graver = replace(base, settings=replace(base.settings, severity={"CTS012": Severity.ERROR}))
    assert view.View(graver).rule_set != named


def test_a_faulty_cohort_stays_far_below_the_cap(profile: Profile) -> None:
    report = cohort.faulty(profile)
    assert report.release.patients == 197
    assert len(report.findings) > 2000
    size = len(render(report).encode())
    print(f"\n{len(report.findings):,} findings of 197 patients: {size / 1e6:.2f} MB")
    assert size < 5_000_000, "pictures need the rest of the 10 MB that a page may have"


class TestRoom:
    """A page has an end, whatever is in the results."""

    def many(self, patients: int) -> Report:
        facts = [
            PatientFacts(f"CRLM-CT-{2000 + one}", ct_slices=40 + one, liver_ml=1500.0 + one) for one in range(patients)
        ]
        return replace(reports.sample(), patients=facts)

    def test_the_worst_patients_are_listed_and_the_rest_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(view, "MAX_PATIENTS", 10)
        page = Page(render(self.many(30)))
        rows = [one for one in page.attributes("id") if one.startswith("p-")]
        assert len(rows) == 10
        assert "p-CRLM-CT-1001" in rows
        assert "This page lists 10 patients, the worst; all of them stand in findings.json." in page.words()

    def test_no_link_leads_to_a_patient_without_a_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(view, "MAX_PATIENTS", 3)
        page = Page(render(self.many(30)))
        ids = set(page.attributes("id"))
        assert {one for one in page.attributes("href") if one.startswith("#p-")} <= {f"#{one}" for one in ids}

    def test_rows_of_long_texts_end_where_the_room_does(self) -> None:
        long = [
            replace(one, message="<" * 2000, fingerprint=f"{number:012x}")
            for number, one in enumerate(reports.sample().findings * 200)
        ]
        text = render(replace(reports.sample(), findings=long))
        assert len(text.encode()) < 10_000_000
        assert re.search(r"This page lists the first [\d,]+ findings; [\d,]+ more stand in findings.json alone", text)

    def test_lists_of_patients_have_an_end(self) -> None:
        many = [
            replace(reports.missing_slice(1001), patient=f"CRLM-CT-{number}", fingerprint=f"{number:012x}")
            for number in range(10_000, 11_200)
        ]
        facts = [PatientFacts(f"CRLM-CT-{number}") for number in range(10_000, 11_200)]
        text = render(replace(reports.sample(), findings=many, patients=facts))
        assert "1,200 patients, of whom 1,000 are listed" in text

    def test_limits_have_an_end(self) -> None:
        text = render(
            replace(reports.sample(), limits=tuple(f"folder {number} was not read" for number in range(5000)))
        )
        assert "folder 99 was not read" in text
        assert "folder 100 was not read" not in text
        assert "4,900 more limits stand in findings.json" in text
