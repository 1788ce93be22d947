"""The contact sheet in a browser: every image is shown, nothing runs over, nothing is asked of the network."""

from pathlib import Path

import pytest
from support.browsing import widths_of_images
from support.pictures import illustrated

from crlm_qc.report.html.sheet import render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.browser

Driver = webdriver.Chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report, files = illustrated()
    path = tmp_path_factory.mktemp("page") / "contact-sheet.html"
    path.write_text(render(report, report.pictures, files, beside="report.html"), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [320, 1280])
def test_a_sheet_is_shown_whole_without_a_request(driver: Driver, page: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert widths_of_images(driver, page) == [384, 384, 384]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    beside = driver.execute_script(
        "return new Set([...document.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().left)).size"
    )
    assert (beside > 1) is (width > 500)
