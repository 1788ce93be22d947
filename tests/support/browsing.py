"""What a browser tells of a page."""

from pathlib import Path
from typing import Any


def widths_of_images(driver: Any, page: Path) -> list[int]:
    """Open a page without an error or a request: widths of its pictures as they were decoded, 0 of one that was not."""
    driver.get_log("performance")
    driver.get(page.as_uri())
    shown: list[int] = driver.execute_async_script(
        "const done = arguments[0]; const all = [...document.querySelectorAll('.film img')];"
        "Promise.all(all.map(i => i.decode().then(() => i.naturalWidth, () => 0))).then(done);"
    )
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    sent = [entry["message"] for entry in driver.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert not [message for message in sent if '"url":"http' in message]
    return shown
