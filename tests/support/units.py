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


def dies_elsewhere(unit: tuple[int, int]) -> int:
    """End the process on the fatal unit, if it is another than the one given."""
    number, parent = unit
    if number == FATAL and os.getpid() != parent:
        os._exit(1)
    return 2 * number


def tells_and_sleeps(unit: int) -> int:
    print("working", flush=True)
    time.sleep(120)
    return unit
