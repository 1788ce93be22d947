"""The page in a browser: from disk, with the network refused."""

import base64
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest
from support import cohort, reports
from support.releases import MATRIX, MAX_SLICES, small_release

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.cases import open_cases
from crlm_qc.model.finding import Finding
from crlm_qc.model.outcome import Status
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.report.html import folder, render, view
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.writer import profile_for

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.browser

Driver = webdriver.Chrome
FAULTS = (
    "ct-slice-lost:CRLM-CT-1002",
    "dso-sources-swapped:CRLM-CT-1003",
    "image-mirrored:CRLM-CT-1004",
    "tumour-annotated-twice:CRLM-CT-1005",
    "clinical-response-sum:CRLM-CT-1001",
    "row-images-off:CRLM-CT-1003",
    "manifest-entry-missing:CRLM-CT-1006",
    "sex-differs:CRLM-CT-1007",
)
WAIVER = Waiver("SEG006", "Looked at, and accepted", ("CRLM-CT-1005",))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name in ("sample", "clean", "hostile", "compared", "large"):
        trend = reports.trend() if name == "compared" else None
        (folder / f"{name}.html").write_text(render(getattr(reports, name)(), trend=trend), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a synthetic release of twelve patients with faults planted."""
    release = small_release(tmp_path_factory.mktemp("faulty") / "release", patients=12, seed=3, jobs=1)
    for fault in FAULTS:
        plant(release, fault)
    profile = profile_for(MATRIX, max_slices=MAX_SLICES)
    return audit(release.root, settings=Settings(subset=True), profile=profile, jobs=1, waivers=[WAIVER])


@pytest.fixture(scope="module")
def faulty_page(pages: Path, faulty: Report) -> Path:
    path = pages / "faulty.html"
    path.write_text(render(faulty), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def short_page(pages: Path, faulty: Report) -> Path:
    """The same with two rules of each family and status that found nothing."""
    kept: Counter[tuple[str, Status]] = Counter()
    outcomes = []
    for one in faulty.outcomes:
        kind = one.rule[:3], one.status
        kept[kind] += 1
        if one.status is Status.FAILED or kept[kind] <= 2:
            outcomes.append(one)
    codes = {one.rule for one in outcomes}
    rules = [one for one in faulty.rules if one.code in codes]
    path = pages / "short.html"
    path.write_text(render(replace(faulty, rules=rules, outcomes=tuple(outcomes))), encoding="utf-8")
    return path


def show(driver: Driver, page: Path, fragment: str = "") -> None:
    # A change of the fragment alone would not load the page again.
    driver.get("about:blank")
    driver.get(page.as_uri() + fragment)


def rows(driver: Driver) -> list[str]:
    """Rule codes of the findings that are shown, in order."""
    script = "return [...document.querySelectorAll('.findings tbody tr')].filter(r => r.offsetParent).map(r => r.cells[1].textContent.trim())"
    return list(driver.execute_script(script))


def choose(driver: Driver, name: str, value: str) -> None:
    script = (
        "const field = document.querySelector('.controls').elements[arguments[0]];"
        "field.value = arguments[1]; field.dispatchEvent(new Event('input', {bubbles: true}));"
    )
    driver.execute_script(script, name, value)


@pytest.mark.parametrize("name", ["sample", "clean", "hostile"])
def test_no_errors_and_no_requests(driver: Driver, pages: Path, name: str) -> None:
    driver.get_log("performance")
    show(driver, pages / f"{name}.html")
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    sent = [
        entry["message"] for entry in driver.get_log("performance") if "Network.requestWillBeSent" in entry["message"]
    ]
    assert not [message for message in sent if '"url":"http' in message]
    assert driver.execute_script("return window.performance.getEntriesByType('resource').length") == 0


def test_injected_script_does_not_run(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    driver.execute_script(
        "const made = document.createElement('script'); made.textContent = 'window.ran = true'; document.body.append(made);"
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\" onerror=\"window.ran = true\">');"
    )
    assert driver.execute_script("return window.ran") is None
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


def test_filters_narrow_the_table_and_live_in_the_link(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    # Seven findings are the same in most patients: one row.
    assert rows(driver) == ["CTS008", "DSO007", "CLN010", "CTS012"]
    shown = "return document.querySelector('.shown').textContent"
    assert driver.execute_script(shown) == "10 of 11 shown"
    choose(driver, "patient", "CRLM-CT-1003")
    assert rows(driver) == ["CTS008", "CLN010"]
    assert driver.execute_script(shown) == "2 of 11 shown"
    choose(driver, "patient", "")
    choose(driver, "severity", "warning")
    assert rows(driver) == ["CLN010"]
    assert driver.execute_script("return document.querySelector('.shown').textContent") == "1 of 11 shown"
    assert driver.execute_script("return location.hash") == "#severity=warning"
    choose(driver, "severity", "")
    choose(driver, "q", "slice 1003")
    assert rows(driver) == ["CTS008"]
    choose(driver, "q", "nowhere")
    assert rows(driver) == []
    assert driver.execute_script("return document.querySelector('.nothing').offsetParent !== null")
    choose(driver, "q", "")
    choose(driver, "state", "waived")
    assert rows(driver) == ["SEG006"]
    driver.find_element("css selector", ".controls button[type=reset]").click()
    driver.execute_async_script("setTimeout(arguments[0], 20)")
    assert len(rows(driver)) == 4


def test_a_link_brings_its_filters(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html", "#q=slice&family=CTS&patient=CRLM-CT-1001")
    assert rows(driver) == ["CTS008", "CTS012"]


def test_sorting(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    heading = driver.find_element("xpath", "//table[contains(@class,'findings')]//th[.='Count']")
    button = heading.find_element("tag name", "button")
    driver.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert rows(driver)[-1] == "CTS012"
    driver.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "descending"
    assert rows(driver)[:2] == ["CTS012", "CTS008"]


def test_a_link_to_a_finding_shows_it_even_if_it_is_filtered_out(driver: Driver, pages: Path) -> None:
    waived = next(finding for finding in reports.sample().findings if finding.waived)
    show(driver, pages / "sample.html", f"#f-{waived.fingerprint}")
    assert driver.execute_script(f"return document.getElementById('f-{waived.fingerprint}').offsetParent !== null")


def test_a_link_to_a_finding_unfolds_the_row_that_it_stands_in(driver: Driver, pages: Path) -> None:
    last = [finding for finding in reports.sample().findings if finding.rule == "CTS008"][-1]
    for fragment in (f"f-{last.fingerprint}", f"CTS008-{last.patient}"):
        show(driver, pages / "sample.html", f"#{fragment}")
        assert driver.execute_script(f"return document.getElementById('{fragment}').offsetHeight > 0")


def test_a_link_to_a_rule_opens_it(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html", "#r-CTS008")
    assert driver.execute_script("return document.getElementById('r-CTS008').open")
    top = driver.execute_script("return document.getElementById('r-CTS008').getBoundingClientRect().top")
    assert 0 <= top < driver.execute_script("return innerHeight")


def test_dark_and_light(driver: Driver, pages: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        show(driver, pages / "sample.html")
        colours[scheme] = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colours["light"] != colours["dark"]
    driver.find_element("css selector", ".theme").click()
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == colours["light"]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (c) => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
const poor = new Set();
for (const e of document.querySelectorAll('body *')) {
  if (!e.offsetParent || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
}
return [...poor];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_all_text(driver: Driver, pages: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    show(driver, pages / "sample.html")
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true;")
    poor = driver.execute_script(CONTRAST)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert poor == []


AXE = """
const done = arguments[0];
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
axe.run(document, {resultTypes: ['violations'], runOnly: {type: 'tag', values: tags}})
  .then(found => done(found.violations.map(one => `${one.impact} ${one.id}: ${one.nodes[0].html}`)), error => done([String(error)]));
"""


@contextmanager
def seen(driver: Driver, *, scheme: str = "light", width: int = 1280) -> Iterator[None]:
    """A colour scheme and a width of the window."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        # What differs by scheme or by width alone shows on one page, and there on two rules of a kind; all take their time.
        ("faulty", "light", 1280),
        ("short", "light", 390),
        *product(["short"], ["dark"], [1280, 390]),
        *product(["sample", "compared"], ["light"], [1280]),
        *product(["sample", "compared"], ["dark"], [390]),
    ],
)
def test_axe_finds_nothing_against_wcag(
    driver: Driver, pages: Path, faulty_page: Path, short_page: Path, name: str, scheme: str, width: int
) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    with seen(driver, scheme=scheme, width=width):
        assert violations(driver, pages / f"{name}.html") == []


KINDS = "return [...new Set([...document.querySelectorAll('body *')].map(e => e.tagName + ' ' + e.getAttribute('class')))].sort()"


def test_the_short_page_has_every_kind_of_element(driver: Driver, faulty_page: Path, short_page: Path) -> None:
    kinds = []
    for page in (faulty_page, short_page):
        show(driver, page)
        kinds.append(driver.execute_script(KINDS))
    assert kinds[0] == kinds[1]


def violations(driver: Driver, page: Path) -> list[str]:
    show(driver, page)
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true;")
    driver.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    driver.set_script_timeout(60)
    return list(driver.execute_async_script(AXE))


def test_heat_map_targets_are_large_enough(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    script = "return [...document.querySelectorAll('.heat a, .heat-controls input, .heat-controls select')].map(a => {const r = a.getBoundingClientRect(); return Math.min(r.width, r.height)})"
    assert min(driver.execute_script(script)) >= 24


def heat_rows(driver: Driver) -> list[str]:
    script = (
        "return [...document.querySelectorAll('.heat tbody tr')].filter(r => r.offsetParent).map(r => r.dataset.name)"
    )
    return list(driver.execute_script(script))


def test_heat_map_orders_and_hides_the_quiet(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    assert heat_rows(driver)[:2] == ["CRLM-CT-1003", "CRLM-CT-1001"]
    script = (
        "const form = document.querySelector('.heat-controls'); form.elements.order.value = arguments[0];"
        "form.elements.only.checked = arguments[1]; form.dispatchEvent(new Event('input'));"
        "return document.querySelector('.heat-shown').textContent"
    )
    assert driver.execute_script(script, "patient", False) == "9 of 9 rows shown"
    assert heat_rows(driver) == sorted(heat_rows(driver))
    assert driver.execute_script(script, "worst", True) == "8 of 9 rows shown"
    assert "CRLM-CT-1020" not in heat_rows(driver)
    assert heat_rows(driver)[0] == "CRLM-CT-1003"


def test_heat_map_leads_to_the_findings(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    cell = driver.find_element("css selector", ".heat a[data-patient='CRLM-CT-1001'][data-family=CTS]")
    driver.execute_script("arguments[0].click()", cell)
    assert rows(driver) == ["CTS008", "CTS012"]
    assert driver.execute_script("return location.hash") == "#family=CTS&patient=CRLM-CT-1001"
    head = driver.find_element("css selector", ".heat thead a[data-family=DSO]")
    driver.execute_script("arguments[0].click()", head)
    assert rows(driver) == ["DSO007"]


def test_a_link_to_a_rule_and_patient_shows_it_even_if_it_is_filtered_out(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html", "#SEG006-CRLM-CT-1020")
    assert driver.execute_script("return document.getElementById('SEG006-CRLM-CT-1020').offsetParent !== null")


def test_patient_lists_are_copied_in_three_shapes(driver: Driver, pages: Path) -> None:
    show(driver, pages / "sample.html")
    driver.execute_script(
        "window.copied = []; Object.defineProperty(navigator, 'clipboard', {value: {writeText: async t => copied.push(t)}});"
        "for (const b of document.querySelectorAll('#r-CTS012 button')) b.click();"
        "document.querySelector('.copy-patients').click();"
    )
    assert driver.execute_script("return copied") == [
        "CRLM-CT-1001",
        "--patients CRLM-CT-1001",
        '["CRLM-CT-1001"]',
        "crlm-qc check manifest-1669817128730 --select CTS012 --patients CRLM-CT-1001",
        "\n".join(f"CRLM-CT-{number}" for number in range(1001, 1009)),
    ]


def test_a_whole_release_is_all_there(driver: Driver, pages: Path) -> None:
    show(driver, pages / "large.html")
    assert len(rows(driver)) == 2000
    # Eleven strips of all patients, one of those with an overlap, one of referenced slices, and two of two measures.
    assert driver.execute_script("return document.querySelectorAll('.strip a').length") == 12 * 197 + 10 + 2 * 197
    choose(driver, "patient", "CRLM-CT-1002")
    assert 0 < len(rows(driver)) < 30


def test_rows_that_are_not_laid_out_are_there_all_the_same(driver: Driver, pages: Path) -> None:
    last = view.View(reports.large()).findings[-1]
    show(driver, pages / "large.html", f"#f-{last.fingerprint}")
    place = f"const e = document.getElementById('f-{last.fingerprint}'), r = e.getBoundingClientRect();"
    style = "getComputedStyle(e).contentVisibility"
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    top, height, shown = driver.execute_script(f"{place} return [r.top, innerHeight, {style}]")
    assert 0 <= top < height
    assert shown == "auto"
    # As Ctrl+F does.
    show(driver, pages / "large.html")
    assert driver.execute_script(f"return find('f-{last.fingerprint}')")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = driver.execute_script(f"{place} return {style}")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == "visible"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(driver: Driver, pages: Path, faulty_page: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    show(driver, pages / "hostile.html")
    show(driver, pages / "compared.html")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    show(driver, pages / "sample.html")
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    show(driver, faulty_page)
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true;")
    faulty = driver.execute_script("return document.documentElement.scrollWidth")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width
    assert faulty <= width


OVERFLOWING = """
return [...document.querySelectorAll('.scroll')].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth)
  .map(e => `${e.firstElementChild.className} ${e.scrollWidth} of ${e.clientWidth}`)
"""


def test_no_table_is_cut_off_on_a_laptop(driver: Driver, pages: Path, faulty_page: Path) -> None:
    for page in (faulty_page, pages / "large.html", pages / "sample.html", pages / "compared.html"):
        # 15 pixels are for a scroll bar.
        with seen(driver, width=1265):
            show(driver, page)
            assert driver.execute_script(OVERFLOWING) == []


def test_the_findings_fit_a_tablet(driver: Driver, faulty_page: Path) -> None:
    with seen(driver, width=768):
        show(driver, faulty_page)
        assert [said for said in driver.execute_script(OVERFLOWING) if said.startswith("findings")] == []


def test_a_note_below_the_tiles_keeps_off_the_edge(driver: Driver, pages: Path) -> None:
    show(driver, pages / "hostile.html")
    script = (
        "const box = document.querySelector('.verdict'); const last = box.lastElementChild;"
        "return [last.matches('.tiles'), box.getBoundingClientRect().bottom - last.getBoundingClientRect().bottom]"
    )
    tiles, room = driver.execute_script(script)
    assert not tiles
    assert room >= 12


def test_lists_of_patients_in_the_waivers_are_one_line(driver: Driver, pages: Path) -> None:
    names = tuple(f"CRLM-CT-{number}" for number in range(1001, 1026))
    known = next(use for use in reports.WAIVERS if use.known)
    reason = "As published: tumour segments of this patient overlap; public users of the collection leave it out. "
    page = pages / "waived.html"
    page.write_text(
        render(replace(reports.sample(), waivers=[replace(known, patients=names, reason=reason * 2)])), encoding="utf-8"
    )
    script = (
        "const [fold, code] = ['summary', '.code'].map(s => { const text = document.createRange();"
        "text.selectNodeContents(document.querySelector(`.waivers ${s}`)); return text.getClientRects(); });"
        "return [fold.length, Math.abs(fold[0].bottom - code[0].bottom)]"
    )
    with seen(driver, width=1280):
        show(driver, page)
        lines, apart = driver.execute_script(script)
    assert lines == 1
    assert apart < 8


def test_everything_is_there_without_script(driver: Driver, pages: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(driver, pages / "sample.html")
    body = driver.find_element("tag name", "body").text
    controls = driver.find_element("css selector", ".controls").is_displayed()
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert body.count("A slice is missing") == 2, "on its card, and in the row that tells all seven"
    assert "The same in 7 of 9 patients" in body
    assert "Tumor_1 and Tumor_2 share 1,204 voxels." in body
    assert not controls


# --- the report of a faulty release ----------------------------------------------------------------------------------


def told(report: Report) -> list[Finding]:
    """The findings that count, in the order of all formats."""
    return [finding for group in open_cases(report) for finding in group.findings]


def test_a_faulty_release_shows_without_errors_or_requests(driver: Driver, faulty_page: Path, faulty: Report) -> None:
    driver.get_log("performance")
    show(driver, faulty_page)
    assert driver.get_log("browser") == []
    messages = [entry["message"] for entry in driver.get_log("performance")]
    assert not [said for said in messages if "Network.requestWillBeSent" in said and '"url":"http' in said]
    assert driver.title == driver.find_element("tag name", "h1").text.rstrip(".")
    opened = [one.rule for one in told(faulty)]
    assert rows(driver) == opened
    assert {"CTS008", "DSO011", "SEG011", "CLN010", "MET017", "MAN005", "XRF002"} <= set(opened)


def test_every_filter_of_a_faulty_release(driver: Driver, faulty_page: Path, faulty: Report) -> None:
    show(driver, faulty_page)
    opened = told(faulty)

    def after(name: str, value: str) -> list[str]:
        choose(driver, name, value)
        shown = rows(driver)
        choose(driver, name, "open" if name == "state" else "")
        return shown

    assert after("severity", "error") == [one.rule for one in opened if one.severity.value == "error"]
    assert after("family", "DSO") == [one.rule for one in opened if one.rule.startswith("DSO")]
    assert after("patient", "CRLM-CT-1003") == [one.rule for one in opened if one.patient == "CRLM-CT-1003"]
    assert after("q", "dso011") == [one.rule for one in opened if one.rule == "DSO011"]
    assert after("state", "waived") == ["SEG006"]
    assert len(after("state", "all")) == len(opened) + 1
    assert rows(driver) == [one.rule for one in opened]


SORTED = """
const table = document.querySelector('table.findings');
const head = table.tHead.rows[0].cells[arguments[0]];
const values = () => [...table.tBodies[0].rows].map(r => r.cells[arguments[0]].dataset.value ?? r.cells[arguments[0]].textContent.trim());
const button = head.querySelector('button');
button.click();
const up = [values(), head.getAttribute('aria-sort')];
button.click();
return [...up, values(), head.getAttribute('aria-sort'), head.textContent.trim()];
"""


@pytest.mark.parametrize("column", range(7))
def test_findings_are_sorted_by_every_column(driver: Driver, faulty_page: Path, faulty: Report, column: int) -> None:
    show(driver, faulty_page)
    up, said_up, down, said_down, name = driver.execute_script(SORTED, column)
    assert (said_up, said_down) == ("ascending", "descending")
    assert len(up) == len(faulty.findings)
    assert sorted(up) == sorted(down)
    if name in ("Severity", "Count"):
        assert list(map(int, up)) == sorted(map(int, up))
        assert list(map(int, down)) == sorted(map(int, up), reverse=True)
    elif name in ("Rule", "Patient", "Finding"):
        assert up == sorted(up)
        assert down == sorted(up, reverse=True)


def test_links_lead_to_rows_even_if_filters_hide_them(driver: Driver, faulty_page: Path, faulty: Report) -> None:
    waived = next(one for one in faulty.findings if one.waived)
    swapped = next(one for one in faulty.findings if one.rule == "DSO011")
    places = [
        f"DSO011-{swapped.patient}",
        f"f-{swapped.fingerprint}",
        f"f-{waived.fingerprint}",
        f"SEG006-{waived.patient}",
        "p-CRLM-CT-1003",
        "p-CRLM-CT-1012",
        "r-DSO011",
        "r-PUB001",
        "fam-DSO",
    ]
    for fragment in places:
        show(driver, faulty_page, f"#{fragment}")
        top, height, drawn = driver.execute_script(
            "const e = document.getElementById(arguments[0]), r = e.getBoundingClientRect();"
            "return [r.top, innerHeight, e.getClientRects().length > 0];",
            fragment,
        )
        assert drawn, fragment
        assert -1 <= top < height, fragment
    # A link followed on the page reveals as well.
    show(driver, faulty_page)
    choose(driver, "q", "nowhere")
    driver.execute_script(f"location.hash = '#f-{swapped.fingerprint}'")
    driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert driver.execute_script(f"return document.getElementById('f-{swapped.fingerprint}').offsetParent !== null")


def test_filters_show_what_they_say(driver: Driver, faulty_page: Path) -> None:
    show(driver, faulty_page, "#severity=warning&q=sum")
    values = "return ['severity', 'q'].map(n => document.querySelector('.controls').elements[n].value)"
    assert driver.execute_script(values) == ["warning", "sum"]
    driver.find_element("css selector", "body").send_keys("\ue00c")
    assert driver.execute_script(values) == ["", ""]
    assert driver.execute_script("return location.hash") == ""


def test_lists_of_patients_can_be_copied(driver: Driver, faulty_page: Path, faulty: Report) -> None:
    show(driver, faulty_page)
    driver.execute_script(
        "window.copied = []; Object.defineProperty(navigator, 'clipboard', {value: {writeText: async t => copied.push(t)}});"
    )
    choose(driver, "severity", "error")
    driver.execute_script("document.querySelector('.copy-patients').click()")
    wanted = sorted({one.patient for one in faulty.findings if one.severity.value == "error" and one.patient})
    assert driver.execute_script("return copied") == ["\n".join(wanted)]
    assert driver.find_element("css selector", ".toast").text == "Copied."


PRINTED = """
dispatchEvent(new Event('beforeprint'));
const gone = ['.controls', '.heat-controls', '.top', '.skip', 'button:not(thead button)', 'textarea'].flatMap(s => [...document.querySelectorAll(s)])
  .filter(e => e.getClientRects().length).map(e => e.className || e.tagName);
const seen = e => e.checkVisibility({contentVisibilityAuto: true});
const folded = e => e.matches('.passed, .skipped');
const rules = [...document.querySelectorAll('.rule')];
const long = rules.filter(e => folded(e) && seen(e.querySelector('dl'))).length;
const hidden = rules.filter(e => !seen(e) || !folded(e) && !seen(e.querySelector('dl'))).length;
dispatchEvent(new Event('afterprint'));
return [gone, long, hidden, document.querySelectorAll('details:not([open])').length];
"""


def test_print_tells_what_was_found_and_hides_the_controls(driver: Driver, faulty_page: Path) -> None:
    show(driver, faulty_page)
    before = driver.execute_script("return document.querySelectorAll('details:not([open])').length")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    gone, long, hidden, after = driver.execute_script(PRINTED)
    ink = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (gone, long, hidden) == ([], 0, 0)
    assert after == before > 0
    assert ink == "rgb(255, 255, 255)"


def test_print_makes_few_pages(driver: Driver, faulty_page: Path) -> None:
    show(driver, faulty_page)
    options = {"printBackground": False, "paperWidth": 8.27, "paperHeight": 11.69}
    made = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", options)["data"])
    assert made.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type /Page\b", made))
    print(f"\n{pages} pages")
    assert 5 < pages <= 25


HEADINGS = """
return [...document.querySelectorAll('table.findings thead th, table.patients thead th')].map(head => {
  const text = document.createRange(), button = head.querySelector('button');
  text.selectNodeContents(head);
  // A button with a box is left out where a browser repeats the headings on the next sheet.
  const plain = !button || getComputedStyle(button).display === 'contents' && getComputedStyle(button, '::after').display === 'none';
  return [text.toString(), text.getBoundingClientRect().height > 0 && plain];
});
"""


def test_printed_tables_have_headings(driver: Driver, faulty_page: Path) -> None:
    show(driver, faulty_page)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    heads = driver.execute_script(HEADINGS)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(heads) == 7 + 12 + 7
    assert [text for text, readable in heads if not readable] == []


def toast(driver: Driver) -> str:
    return str(driver.find_element("css selector", ".toast").text)


@pytest.mark.parametrize("fragment", ["#q=50%", "#q=%E0%A4%A", "#50%", "#%"])
def test_a_link_that_is_no_escape_breaks_nothing(driver: Driver, faulty_page: Path, fragment: str) -> None:
    driver.get_log("browser")
    show(driver, faulty_page, fragment)
    assert driver.get_log("browser") == []
    folds = "return document.querySelectorAll('details:not([open])').length"
    before = driver.execute_script(folds)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert driver.execute_script(folds) < before
    if fragment == "#q=50%":
        assert driver.execute_script("return document.querySelector('.controls').elements.q.value") == "50%"
    elif fragment == "#50%":
        assert toast(driver) == "This page has nothing at #50%."


def test_a_link_to_what_is_not_there_says_so(driver: Driver, faulty_page: Path) -> None:
    show(driver, faulty_page, "#DSO011-CRLM-CT-1046")
    assert toast(driver) == "This page has no finding of DSO011 for CRLM-CT-1046."
    driver.execute_script("location.hash = '#CTS008-release'")
    driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert toast(driver) == "This page has no finding of CTS008 for the release."
    show(driver, faulty_page, "#findings")
    assert toast(driver) == ""


def test_a_faulty_release_reads_without_script(driver: Driver, faulty_page: Path, faulty: Report) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(driver, faulty_page)
    body = driver.find_element("tag name", "body").text
    controls = [one.is_displayed() for one in driver.find_elements("css selector", ".controls, .heat-controls, .theme")]
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert not any(controls)
    for finding in faulty.findings:
        assert f"f-{finding.fingerprint}" in body
        assert " ".join(finding.message.split()) in " ".join(body.split())


# --- behind a server that allows nothing inline ----------------------------------------------------------------------

JENKINS = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"
"""What Jenkins sends with files of a build by default."""


class Quiet(SimpleHTTPRequestHandler):
    """Sends a folder with a policy, and logs nothing."""

    def __init__(self, *args: object, policy: str, **more: object) -> None:
        self.policy = policy
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(place: Path, policy: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(place), policy=policy))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory, faulty: Report) -> Path:
    place = tmp_path_factory.mktemp("split")
    for name, content in folder.render(faulty).items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return place


def styled(driver: Driver) -> bool:
    """Whether the page's own style holds: the brand of a page without one is as large as its text."""
    return bool(
        driver.execute_script(
            "return getComputedStyle(document.querySelector('.top')).position === 'sticky' && document.styleSheets.length === 1"
        )
    )


def complaints(driver: Driver) -> list[str]:
    """Messages of the console, without those about an icon, which browsers ask every server for by themselves."""
    return [entry["message"] for entry in driver.get_log("browser") if "favicon.ico" not in entry["message"]]


def test_the_folder_works_where_scripts_are_allowed(driver: Driver, split: Path, faulty: Report) -> None:
    with served(split, "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'") as address:
        driver.get_log("browser")
        driver.get(address)
        assert styled(driver)
        assert complaints(driver) == []
        choose(driver, "family", "DSO")
        assert rows(driver) == [one.rule for one in faulty.findings if one.rule.startswith("DSO") and not one.waived]


def test_the_folder_keeps_its_looks_under_the_policy_of_jenkins(driver: Driver, split: Path, faulty: Report) -> None:
    with served(split, JENKINS) as address:
        driver.get_log("browser")
        driver.get(address)
        assert styled(driver)
        refused = complaints(driver)
        assert refused
        assert all("script" in said for said in refused), "nothing but the script is refused"
        body = driver.find_element("tag name", "body").text
        assert not driver.find_element("css selector", ".controls").is_displayed()
        for finding in faulty.findings:
            assert f"f-{finding.fingerprint}" in body


def test_the_folder_works_from_disk(driver: Driver, split: Path, faulty: Report) -> None:
    driver.get_log("browser")
    show(driver, split / "index.html")
    assert styled(driver)
    assert driver.get_log("browser") == []
    choose(driver, "family", "DSO")
    assert rows(driver) == [one.rule for one in faulty.findings if one.rule.startswith("DSO") and not one.waived]


# --- a whole cohort --------------------------------------------------------------------------------------------------

TIMED = """
const form = document.querySelector('.controls'), began = performance.now();
form.elements.q.value = 'slice 1100'; form.dispatchEvent(new Event('input', {bubbles: true}));
document.body.offsetHeight;
const filtered = performance.now() - began, load = performance.getEntriesByType('navigation')[0];
return [load.domContentLoadedEventEnd, load.loadEventEnd, filtered];
"""


def test_a_faulty_cohort_is_filtered_as_one_types(driver: Driver, pages: Path, profile: Profile) -> None:
    report = cohort.faulty(profile)
    page = pages / "cohort.html"
    page.write_text(render(report), encoding="utf-8")
    show(driver, page)
    parsed, loaded, filtered = driver.execute_script(TIMED)
    print(
        f"\n{len(report.findings):,} findings, {page.stat().st_size / 1e6:.2f} MB: parsed after {parsed:.0f} ms, "
        f"loaded after {loaded:.0f} ms, filtered in {filtered:.0f} ms"
    )
    wanted = [one.rule for one in report.findings if one.patient == "CRLM-CT-1100"]
    assert 0 < len(rows(driver)) <= len(wanted)
    assert set(rows(driver)) <= set(wanted)
