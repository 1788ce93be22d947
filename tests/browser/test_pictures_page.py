"""The page's pictures in a browser: shown, in their place, without a request."""

from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.browsing import widths_of_images
from support.pictures import illustrated

from crlm_qc.model.picture import Frame, Gap, Hatch
from crlm_qc.report.html import render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.browser

Driver = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report, pictures = illustrated()
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(report, pictures=pictures), encoding="utf-8")
    return path


def test_every_picture_is_shown_without_error_or_request(driver: Driver, page: Path) -> None:
    assert widths_of_images(driver, page) == [384, 384, 384]


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contours_lie_over_their_picture_and_nothing_runs_over(
    driver: Driver, page: Path, width: int, scheme: str
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page.as_uri())
    boxes = driver.execute_script(
        "return [...document.querySelectorAll('.film')].map(f => [f.querySelector('img'), f.querySelector('svg')].map("
        "e => {const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height].map(Math.round)}))"
    )
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    stroke = driver.execute_script(
        "const c = r => getComputedStyle(document.querySelector(r)); return ["
        "c('.film .contour.liver').stroke, c('.film .contour.liver').strokeDasharray, c('.film .contour.tumour').stroke]"
    )
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(boxes) == 3
    assert all(image == drawing and image[2] > 200 for image, drawing in boxes)
    assert wide <= width
    assert stroke == ["rgb(255, 106, 92)", "none", "rgb(95, 226, 124)"]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report, pictures = illustrated()
    hatch = Hatch("M1000 1000l900 0 0 900 -900 0z", "what both share")
    first = replace(report.pictures[0], hatches=(hatch,), frame=Frame(900, 900, 1200, 1200))
    third = replace(report.pictures[2], gaps=(Gap(900, 40, "gap 1.6 mm", 740),))
    path = tmp_path_factory.mktemp("marked") / "report.html"
    report = replace(report, pictures=(first, report.pictures[1], third))
    path.write_text(render(report, pictures=pictures), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [320, 1280])
def test_marks_are_painted_and_read(driver: Driver, marked: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(marked.as_uri())
    film = driver.find_element("css selector", ".film:has(.hatch)")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", film)
    with Image.open(BytesIO(film.screenshot_as_png)) as shot:
        grey = np.asarray(shot.convert("L")).astype(int)
    driver.execute_script("document.querySelectorAll('.film .hatch').forEach(one => one.remove())")
    with Image.open(BytesIO(film.screenshot_as_png)) as shot:
        without = np.asarray(shot.convert("L")).astype(int)
    # The hatched square is painted with the page's pattern, light lines and dark ones; the noise beside it stays.
    changed = np.abs(grey - without) > 8
    side = len(grey) / 384
    inside = np.zeros(changed.shape, dtype=bool)
    inside[round(100 * side) : round(190 * side), round(100 * side) : round(190 * side)] = True
    assert changed[inside].mean() > 0.5
    assert not changed[~inside].any() or changed[~inside].mean() < 0.02
    text, picture = driver.execute_script(
        "const t = document.querySelector('.gap-text');"
        "return [t, t.closest('.film')].map(e => {const r = e.getBoundingClientRect(); return [r.x, r.right, r.height]})"
    )
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert picture[0] < text[0] < text[1] < picture[1]
    assert text[2] >= 8


AXE = """
const done = arguments[0];
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
axe.run(document.querySelector('#patients'), {resultTypes: ['violations'], runOnly: {type: 'tag', values: tags}})
  .then(found => done(found.violations.map(one => `${one.id}: ${one.nodes[0].html}`)), error => done([String(error)]));
"""


@pytest.mark.parametrize("which", ["page", "marked"])
def test_axe_finds_nothing(driver: Driver, request: pytest.FixtureRequest, which: str) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    driver.get(request.getfixturevalue(which).as_uri())
    driver.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    driver.set_script_timeout(60)
    assert driver.execute_async_script(AXE) == []
