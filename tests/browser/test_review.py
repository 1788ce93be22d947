"""Review in the page: by keyboard alone, from disk, and what it downloads is taken by the command line as it is."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from support.pictures import illustrated

from crlm_qc.auditing.rejudging import judge_again
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import load_waivers
from crlm_qc.model.cases import open_cases
from crlm_qc.model.finding import Case
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report
from crlm_qc.model.severity import Severity
from crlm_qc.report.html import render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

pytestmark = pytest.mark.browser

Driver = webdriver.Chrome
REASON = 'Looked at "it": C:\\x, \u00e4'


@pytest.fixture(scope="module")
def report() -> Report:
    made, _ = illustrated()
    # One more is about what identifies a person.
    *rest, last = (one for one in made.findings if one.waived is None)
    # What one rule says is the same in most patients.
    rest = [
        replace(one, observed="the same", message="The same.")
        if one.rule == rest[0].rule and one.patient != last.patient
        else one
        for one in rest
    ]
    text = replace(made.rules[0], code="DID001", severity=Severity.ERROR)
    person = replace(last, rule="DID001", fingerprint="d" * 12)
    waived = [one for one in made.findings if one.waived is not None]
    outcomes = [*made.outcomes, Outcome("DID001", Status.FAILED, 1)]
    # What the first and the last say has one cause.
    first = rest[0]
    case = Case(first.fingerprint, first.rule, first.patient, first.message, (first.fingerprint, last.fingerprint))
    findings = [*rest, last, person, *waived]
    return replace(made, findings=findings, rules=[*made.rules, text], outcomes=outcomes, cases=(case,))


@pytest.fixture(scope="module")
def opened(driver: Driver, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page, once: the folder that it downloads to."""
    folder = tmp_path_factory.mktemp("review")
    page = folder / "report.html"
    page.write_text(render(report, pictures=illustrated()[1]), encoding="utf-8")
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get("about:blank")
    driver.get(page.as_uri())
    yield folder
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})
    driver.get("about:blank")


def press(driver: Driver, *keys: str) -> None:
    ActionChains(driver).send_keys(*keys).perform()


def text(driver: Driver, selector: str) -> str:
    return str(driver.execute_script("return document.querySelector(arguments[0]).textContent", selector))


def tab_to(driver: Driver, selector: str) -> None:
    """Reach an element by the tabulator alone."""
    for _ in range(60):
        press(driver, Keys.TAB)
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"{selector} can't be reached")


def to_decide(report: Report) -> list[list[str]]:
    """Fingerprints, case by case."""
    every = [case.findings for group in open_cases(report) for case in group.cases]
    kinds = {one.code: one.kind for one in report.rules}
    steps = [list(found) for found in every if kinds[found[0].rule] != "audit"]
    same = [found for found in steps if found[0].observed == "the same"]
    assert len(same) >= 5
    at = steps.index(same[0])
    steps = [*steps[:at], [one for found in same for one in found], *(one for one in steps[at:] if one not in same)]
    return [[one.fingerprint for one in found] for found in steps]


def downloaded(folder: Path, name: str, driver: Driver) -> Path:
    WebDriverWait(driver, 10, 0.05).until(lambda _: (folder / name).is_file())
    return folder / name


def test_decisions_by_keyboard_become_files_that_are_taken_as_they_are(
    driver: Driver, opened: Path, report: Report, profile: Profile
) -> None:
    marks = to_decide(report)
    assert len(marks[0]) == 2
    person = marks.index(["d" * 12])
    tab_to(driver, ".review-start button")
    press(driver, Keys.ENTER)
    assert text(driver, ".review-name").startswith(f"1 of {len(marks)}: CRLM-CT-1001, CTS008 ")
    assert driver.execute_script("return document.querySelectorAll('.review-films img').length") == 3
    told = text(driver, ".review-found") + text(driver, ".review-also")
    assert all(" ".join(one.message.split()) in told for one in report.findings if one.fingerprint in marks[0])
    assert driver.execute_script("return document.querySelector('[name=decision]:checked').value") == ""
    # Accepted only with a reason, in which keys are letters; Enter goes on.
    press(driver, "a")
    assert text(driver, ".review-progress") == f"0 of {len(marks)} decided"
    press(driver, REASON, Keys.ENTER)
    assert text(driver, ".review-progress") == f"1 of {len(marks)} decided"
    assert text(driver, ".review-name").startswith("2 of ")
    assert f": {len(marks[1])} patients, " in text(driver, ".review-name")
    press(driver, "m", "j", "x", "n", "=1+1 j", Keys.TAB, "k")
    assert text(driver, ".review-name").startswith("2 of ")
    press(driver, "k")
    assert driver.execute_script("return document.querySelector('.review-form').elements.reason.value") == REASON
    narrow = driver.execute_script("return document.querySelector('.review-films img').width")
    press(driver, "z")
    assert driver.execute_script("return document.querySelector('.review-films img').width") > narrow * 1.4
    press(driver, "z")
    # What identifies a person is not accepted here.
    press(driver, *["j"] * person, "a")
    assert text(driver, ".review-name").startswith(f"{person + 1} of {len(marks)}: CRLM-CT-1001, DID001")
    assert driver.execute_script("return document.querySelector('.review-refused').offsetParent !== null")
    assert text(driver, ".review-progress") == f"3 of {len(marks)} decided"

    leaves = "const left = new Event('beforeunload', {cancelable: true}); return dispatchEvent(left)"
    # The waivers alone do not hold what is to be mended.
    for name, may_leave in (("waivers", False), ("decisions", True)):
        tab_to(driver, f"[data-act={name}]")
        press(driver, Keys.ENTER)
        assert driver.execute_script(leaves) is may_leave
    waivers = load_waivers(downloaded(opened, "waivers.toml", driver))
    assert [(one.fingerprint, one.reason) for one in waivers] == [(one, REASON) for one in marks[0]]
    again = judge_again(report, waivers, profile)
    assert {one.fingerprint for one in again.findings if one.waived == REASON} == set(marks[0])
    with downloaded(opened, "decisions.csv", driver).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    told = [(row["fingerprint"], row["decision"], row["reason"], row["note"]) for row in rows]
    assert told == [
        *((one, "accept", REASON, "") for one in marks[0]),
        *((one, "mend", "", "") for one in marks[1]),
        *((one, "exclude", "", "'=1+1 j") for one in marks[2]),
    ]
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    sent = [one["message"] for one in driver.get_log("performance") if "Network.requestWillBeSent" in one["message"]]
    assert not [message for message in sent if '"url":"http' in message]


def test_keys_can_be_turned_off(driver: Driver, opened: Path) -> None:
    before = text(driver, ".review-name")
    tab_to(driver, "[name=keys]")
    press(driver, " ", "k")
    assert text(driver, ".review-name") == before
    press(driver, " ", "k")
    assert text(driver, ".review-name") != before


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_axe_finds_nothing_and_nothing_runs_over(driver: Driver, opened: Path, width: int, scheme: str) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[0], tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];"
        "axe.run(document.querySelector('.review'), {resultTypes: ['violations'], runOnly: {type: 'tag', values: tags}})"
        ".then(found => done(found.violations.map(one => `${one.id}: ${one.nodes[0].html}`)), error => done([String(error)]));"
    )
    wide = driver.execute_script(
        "return ['.review', '.review-body'].map(name => document.querySelector(name)).map(e => e.scrollWidth - e.clientWidth)"
    )
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found == []
    assert wide == [0, 0]


def test_escape_goes_back_to_the_page_and_keeps_what_was_decided(driver: Driver, opened: Path) -> None:
    press(driver, Keys.ESCAPE)
    assert driver.execute_script("return document.activeElement.matches('.review-start button')")
    assert text(driver, ".review-start span").startswith("3 of ")


def test_without_script_there_is_no_review(driver: Driver, opened: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get((opened / "report.html").as_uri())
    shown = [one.is_displayed() for one in driver.find_elements("css selector", ".review-start, .review")]
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown == [False, False]
