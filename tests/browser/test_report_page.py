"""The page in a browser: from disk, with the network refused."""

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from support import reports

from crlm_qc.report.html import render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.browser

Driver = webdriver.Chrome
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    browser, service = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or service is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield made
    made.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name in ("sample", "clean", "hostile", "compared", "large"):
        (folder / f"{name}.html").write_text(render(getattr(reports, name)()), encoding="utf-8")
    return folder


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
    assert len(rows(driver)) == 10
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
    assert len(rows(driver)) == 10


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
    assert rows(driver)[:2] == ["CTS012", "DSO007"]


def test_a_link_to_a_finding_shows_it_even_if_it_is_filtered_out(driver: Driver, pages: Path) -> None:
    waived = next(finding for finding in reports.sample().findings if finding.waived)
    show(driver, pages / "sample.html", f"#f-{waived.fingerprint}")
    assert driver.execute_script(f"return document.getElementById('f-{waived.fingerprint}').offsetParent !== null")


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


@pytest.mark.parametrize("name", ["sample", "compared"])
def test_axe_finds_nothing_against_wcag(driver: Driver, pages: Path, name: str) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    show(driver, pages / f"{name}.html")
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true;")
    driver.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    driver.set_script_timeout(60)
    assert driver.execute_async_script(AXE) == []


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
    assert driver.execute_script("return document.querySelectorAll('.strip a').length") == 8 * 197
    choose(driver, "patient", "CRLM-CT-1002")
    assert 0 < len(rows(driver)) < 30


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(driver: Driver, pages: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    show(driver, pages / "hostile.html")
    show(driver, pages / "compared.html")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    show(driver, pages / "sample.html")
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


def test_everything_is_there_without_script(driver: Driver, pages: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(driver, pages / "sample.html")
    body = driver.find_element("tag name", "body").text
    controls = driver.find_element("css selector", ".controls").is_displayed()
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert body.count("A slice is missing") == 7
    assert "Tumor_1 and Tumor_2 share 1,204 voxels." in body
    assert not controls
