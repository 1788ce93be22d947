"""Every value that something may depend on has a say in a digest."""

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from crlm_qc.cache.digests import digest, drawer_digest, reader_digest, tool_digest
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.picture import ImageRequest, PictureRequest, Plane
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity


def changes(value: Any) -> Iterator[Any]:
    """The value with one thing in it another, for everything in it."""
    if isinstance(value, Enum):
        yield next((other for other in type(value) if other is not value), None)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            for other in changes(getattr(value, item.name)):
                yield replace(value, **{item.name: other})
    elif isinstance(value, re.Pattern):
        yield from (re.compile(value.pattern + "x?"), re.compile(value.pattern, value.flags ^ re.IGNORECASE))
    elif isinstance(value, Mapping):
        yield from ({**value, "another": None}, {name: value[name] for name in [*value][1:]} if value else {"a": 1})
        yield from ({**value, name: other} for name in [*value][:3] for other in changes(value[name]))
        yield from [dict(reversed(value.items()))] if len(value) > 1 else []
    elif isinstance(value, frozenset):
        yield value | {"another"}
    elif isinstance(value, tuple):
        yield from ((*value, "another"), value[1:] or ("another",))
        yield from (
            (*value[:at], other, *value[at + 1 :]) for at in range(min(len(value), 3)) for other in changes(value[at])
        )
        yield from [value[::-1]] if len(set(map(repr, value))) > 1 else []
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1 if math.isfinite(value) else 0.5
    else:
        yield f"{value}x" if isinstance(value, str) else 1.5


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile()


def test_whatever_of_a_profile_is_another_its_digest_is(profile: Profile) -> None:
    found = [digest(changed) for changed in changes(profile)]
    assert len(found) > 250
    assert digest(profile) not in found


def test_whatever_of_settings_is_another_their_digest_is() -> None:
    settings = Settings(severity={"CTS001": next(iter(Severity))}, tolerances={"air_hu": 1.0})
    found = [digest(changed) for changed in changes(settings)]
    assert len(found) > 12
    assert digest(settings) not in found


def test_whatever_of_what_reading_uses_is_another_the_key_of_reads_is(profile: Profile) -> None:
    reading = profile.reading()
    used = [digest(changed.reading()) for changed in changes(reading) if changed.reading() != reading]
    assert len(used) > 20
    assert digest(reading) not in used
    # What reading is not given is left out of the key, and nothing else is.
    assert digest(replace(profile, doi="another").reading()) == digest(reading)


def test_whatever_of_a_picture_is_another_its_digest_is() -> None:
    request = PictureRequest(
        "P", ("f",), Plane.AXIAL, 0, "t", "c", "a", ("R", "A", "L", "P"), (1.0, 1.0), 1.0, True,
        (ImageRequest("1.dcm"),), "dso.dcm", (), (),
    )  # fmt: skip
    found = [digest(changed) for changed in changes(request)]
    assert len(found) > 20
    assert digest(request) not in found


def test_values_of_other_types_are_others() -> None:
    values = [
        None,
        "",
        "None",
        0,
        0.0,
        False,
        "0",
        [],
        {},
        [None],
        float("inf"),
        "Infinity",
        dt.date(2026, 1, 1),
        Path("x"),
    ]
    assert len({digest(value) for value in values}) == len(values)
    with pytest.raises(TypeError):
        digest(object())


def test_what_reads_has_a_say_in_what_draws_and_that_in_what_judges() -> None:
    assert len({reader_digest(), drawer_digest(), tool_digest()}) == 3
