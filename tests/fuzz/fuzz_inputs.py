"""Feeds changed files to everything that reads files: nox -s fuzz -- 20000.

An input is named by its target and a number, which gives the same input again as long as the mutators stay as they are.
Numbers that once found a fault are kept in kept.txt and are always tried; the fault itself has a test of its own.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz.targets import TARGETS, Late, Target

INPUTS = int(os.environ.get("CRLM_QC_FUZZ", "2000"))
SEED = int(os.environ.get("CRLM_QC_FUZZ_SEED", "1"))
CHUNKS = 10
"""Parts of a target's inputs, which processes share."""
_WHOLE = sum(share for _, share in TARGETS.values())
_KEPT = Path(__file__).with_name("kept.txt")


def _numbers() -> Iterator[tuple[str, tuple[int, ...]]]:
    kept = [line.split() for line in _KEPT.read_text().splitlines() if line and not line.startswith("#")]
    for name, (_, share) in TARGETS.items():
        yield name, tuple(int(number) for target, number in (one[:2] for one in kept) if target == name)
        count = max(1, INPUTS * share // _WHOLE)
        for start in range(min(CHUNKS, count)):
            yield name, tuple(SEED * 10_000_000 + number for number in range(start, count, CHUNKS))


@pytest.fixture(scope="session")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Target]:
    """The targets, each made once."""
    made: dict[str, Target] = {}
    folder = tmp_path_factory.mktemp("fuzz")

    def get(name: str) -> Callable[[random.Random], None]:
        if name not in made:
            made[name] = TARGETS[name][0](folder / name)
        return made[name]

    return get


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "numbers"), [pytest.param(*one, id=f"{one[0]}-{one[1][0]}") for one in _numbers() if one[1]]
)
def test_inputs(name: str, numbers: tuple[int, ...], fed: Callable[[str], Target]) -> None:
    failed = []
    for number in numbers:
        try:
            fed(name)(random.Random(number))
        except (Exception, Late) as error:  # noqa: BLE001 - each input is told by itself
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
            failed.append(f"{name} {number} {type(error).__name__}: {str(error)[:300]} ({where})")
    assert not failed, "\n".join(failed)
