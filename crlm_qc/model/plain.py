"""Objects of the model to plain values and back, for files that an earlier run wrote."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

UNSAVED: Final = {"saved": False}
"""Metadata of a field that is in no file: it is neither written nor read."""
MAX_TEXT: Final = 2_000
"""Characters of a text that a report says. No sentence of a rule comes near it; what is longer is somebody's data, or an attack."""


def cut(text: str, longest: int = MAX_TEXT) -> str:
    """Text of no more than so many characters, the last of them an ellipsis where there was more."""
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


class PlainError(ValueError):
    """A value is not what the model expects; the message names its place and never shows it."""


def to_plain(value: Any) -> Any:
    """Plain values, ready for JSON.

    Parameters
    ----------
    value : Any
        A dataclass, a container or a scalar of the model. A dataclass whose form in files is not that of its fields says
        so itself, by a method `as_dict`.

    Returns
    -------
    Any
        Dicts, lists, strings, numbers, booleans and None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "as_dict"):
            return value.as_dict()
        return {name: to_plain(getattr(value, name)) for name in _fields(type(value))}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_plain(item) for item in value]
    return value


def from_plain(wanted: Any, raw: Any, where: str = "") -> Any:
    """A value of the model from plain values: the inverse of `to_plain`.

    Keys that the model does not know are left out, since later versions may add some; a key that is missing takes the
    field's default, if it has one.

    Parameters
    ----------
    wanted : type
        A dataclass, an enumeration, a scalar type, or a tuple, sequence, mapping or union of such.
    raw : Any
        What JSON gave.
    where : str
        Place of the value in its file, for messages.

    Returns
    -------
    Any
        A value of `wanted`; sequences come as tuples.

    Raises
    ------
    PlainError
        A value has another type, or is missing.
    """
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if raw is None and type(None) in arguments:
            return None
        (wanted,) = (item for item in arguments if item is not type(None))
        return from_plain(wanted, raw, where)
    if origin is not None and issubclass(origin, Mapping):
        values = _of(dict, raw, where)
        return {key: from_plain(arguments[1], item, f"{where}.{key}") for key, item in values.items()}
    if origin is not None and issubclass(origin, Sequence):
        return _several(arguments, _of(list, raw, where), where)
    if dataclasses.is_dataclass(wanted):
        return _record(wanted, _of(dict, raw, where), where)
    if issubclass(wanted, Enum):
        try:
            return wanted(raw)
        except ValueError:
            raise PlainError(f"{where} has a value that is not known") from None
    if wanted is float and type(raw) is int:
        # A number that was written without a point is written so again.
        return raw
    if type(raw) is float and not math.isfinite(raw):
        raise PlainError(f"{where} is no finite number")
    return _of(wanted, raw, where)


def _several(arguments: tuple[Any, ...], raw: list[Any], where: str) -> tuple[Any, ...]:
    kinds = [arguments[0]] * len(raw) if len(arguments) == 1 or arguments[-1] is Ellipsis else list(arguments)
    if len(kinds) != len(raw):
        raise PlainError(f"{where} has not {len(kinds)} values")
    return tuple(
        from_plain(kind, item, f"{where}[{at}]") for at, (kind, item) in enumerate(zip(kinds, raw, strict=True))
    )


def _record(wanted: Any, raw: dict[str, Any], where: str) -> Any:
    given = {
        name: from_plain(kind, raw[name], f"{where}.{name}" if where else name)
        for name, kind in _fields(wanted).items()
        if name in raw
    }
    try:
        return wanted(**given)
    except TypeError:
        missing = [name for name in _needed(wanted) if name not in given]
        raise PlainError(f"{where or 'it'} lacks {'one of ' * (len(missing) > 1)}{', '.join(missing)}") from None


def _of(wanted: type, raw: Any, where: str) -> Any:
    # A boolean is an integer to Python, but not to who reads a report.
    if type(raw) is not wanted:
        raise PlainError(f"{where or 'it'} is missing" if raw is None else f"{where or 'it'} has not the right type")
    return raw


@cache
def _fields(wanted: type) -> dict[str, Any]:
    hints = get_type_hints(wanted)
    return {
        item.name: hints[item.name]
        for item in dataclasses.fields(wanted)
        if item.init and item.metadata.get("saved", True)
    }


@cache
def _needed(wanted: type) -> tuple[str, ...]:
    """Fields without a default."""
    return tuple(
        item.name
        for item in dataclasses.fields(wanted)
        if item.init and item.default is item.default_factory is dataclasses.MISSING
    )
