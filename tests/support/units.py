"""Work on small units, some of which ends the process that it is done in; workers import it by name."""

import os
import time
from pathlib import Path

FATAL = 3
"""The unit that ends its process."""


def double(unit: int) -> int:
    return 2 * unit


def slowly(unit: int) -> int:
    time.sleep(0.25)
    return unit


def dies(unit: int) -> int:
    if unit == FATAL:
        os._exit(1)
    # So that others are being worked on when it dies.
    time.sleep(0.05)
    return 2 * unit


def dies_once(unit: tuple[int, str]) -> int:
    """End the process the first time that a unit is worked on, as a lack of memory beside others may."""
    number, marker = unit
    if number == FATAL and not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return 2 * number


def refuses(unit: int) -> int:
    if unit == FATAL:
        raise OSError("no space left")
    return unit
