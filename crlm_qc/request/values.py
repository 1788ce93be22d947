"""Kinds of values that keys take, and how each source writes them: a file, a variable, an option.

Whatever wrote it, a value is the same plain one: text, number, truth value, tuple of texts, or mapping.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crlm_qc.collection.strict import StrictError, Table
from crlm_qc.model.errors import UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.words import did_you_mean
from crlm_qc.report import FORMATS, STDOUT
from crlm_qc.request.choice import unknown_rule
from crlm_qc.rules import registry

OFF = "off"
"""The level that leaves a rule out."""
LEVELS = (*Severity, OFF)

_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")


class Kind(ABC):
    """What values a key takes."""

    default: Any = None
    """What holds where no source says anything."""
    choices: tuple[str, ...] = ()
    """All values that it may have, where they are few words."""

    @abstractmethod
    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """The value that stands in a table of a configuration file; relative paths begin at the folder.

        Raises
        ------
        StrictError
            It is no such value.
        """

    def in_variable(self, text: str) -> Any:
        """What an environment variable holds, as an option would be given it."""
        return text

    @abstractmethod
    def given(self, value: Any, option: str, /) -> Any:
        """The value that an option is given: as text, or as the parser of a command line or Python has it.

        Raises
        ------
        UsageError
            It is no such value; the message names the option.
        """


class Text(Kind):
    """A text."""

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        return table.text(key)

    def given(self, value: Any, _: str, /) -> Any:
        """As `Kind`."""
        return str(value)


class Place(Kind):
    """The path of a file or folder."""

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        return _from(folder, table.text(key))

    def given(self, value: Any, _: str, /) -> Any:
        """As `Kind`."""
        return str(Path(value))


class Saved(Place):
    """The path of saved results, or the word for the last that were kept."""

    def __init__(self, last: str) -> None:
        self._last = last

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        return self._last if table.text(key) == self._last else super().in_file(table, key, folder)


class Share(Kind):
    """A part of a release: `3/16`."""

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        try:
            return str(Part.parse(table.text(key)))
        except UsageError as error:
            raise StrictError(f"{table.place(key)}: {error}") from None

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`."""
        return str(Part.parse(str(value), option))


class Flag(Kind):
    """Yes or no."""

    def __init__(self, *, default: bool = False) -> None:
        self.default = default

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        return table.flag(key, default=False)

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`."""
        said = str(value).strip().lower()
        if said not in (*_TRUE, *_FALSE):
            raise _invalid(option, f"{value!r} is neither true nor false")
        return said in _TRUE


class Number(Kind):
    """A whole number."""

    def __init__(self, *, least: int, most: int | None = None, default: int | None = None) -> None:
        self.default = default
        self._least = least
        self._most = most

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        number = table.whole(key)
        if self._most is not None and number not in range(self._least, self._most + 1):
            *rest, last = map(str, range(self._least, self._most + 1))
            raise StrictError(f"{table.place(key)} must be {', '.join(rest)} or {last}")
        if number < self._least:
            raise StrictError(f"{table.place(key)} must be at least {self._least}")
        return number

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`; more than the most that a file may say is as good as the most."""
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise _invalid(option, f"{value!r} is no whole number") from None
        if number < self._least:
            raise _invalid(option, f"{number} is not at least {self._least}")
        return number


class Choice(Kind):
    """One of a few words."""

    def __init__(self, known: Iterable[str], *, default: str) -> None:
        self.choices = tuple(map(str, known))
        self.default = default

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        return table.choice(key, self.choices)

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`."""
        if str(value) not in self.choices:
            raise _invalid(option, f"{str(value)!r} is not one of {', '.join(map(repr, self.choices))}")
        return str(value)


class Texts(Kind):
    """Several texts, which a file may give as one too."""

    default: tuple[str, ...] = ()

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        value = table.value(key)
        return (table.text(key),) if isinstance(value, str) else table.texts(key)

    def in_variable(self, text: str) -> Any:
        """As `Kind`: with blanks between them."""
        return tuple(text.split())

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`."""
        if isinstance(value, str | Path):
            return (str(value),)
        if not isinstance(value, Iterable):
            raise _invalid(option, f"{value!r} is no text and no list of texts")
        return tuple(map(str, value))


class Codes(Texts):
    """Rules: codes, beginnings of codes, or slugs."""

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        codes = words_of(super().in_file(table, key, folder))
        every = registry()
        for code in codes:
            if not every.matching(code):
                raise _unknown_in_file(code, table.place(key))
        return codes


class Outputs(Texts):
    """Reports: `FORMAT` or `FORMAT:PATH`."""

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        outputs = []
        for spec in super().in_file(table, key, folder):
            name, colon, where = spec.partition(":")
            if name not in FORMATS:
                hint = did_you_mean(name, FORMATS) or f". Known: {', '.join(FORMATS)}"
                raise StrictError(f"unknown format {name} in {table.place(key)}{hint}")
            outputs.append(spec if where in ("", STDOUT) else f"{name}{colon}{_from(folder, where)}")
        return tuple(outputs)


class Patients(Texts):
    """Patients, and files that list some: `@FILE`."""

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        parts = super().in_file(table, key, folder)
        return tuple(f"@{_from(folder, part[1:])}" if part.startswith("@") else part for part in parts)


class Places(Texts):
    """Paths of files."""

    def in_file(self, table: Table, key: str, folder: Path, /) -> Any:
        """As `Kind`."""
        return tuple(_from(folder, path) for path in super().in_file(table, key, folder))

    def in_variable(self, text: str) -> Any:
        """As `Kind`: with what the system puts between paths."""
        return tuple(text.split(os.pathsep))

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`."""
        return tuple(str(Path(path)) for path in super().given(value, option))


class Pairs(Kind):
    """A table of values by name, which options and variables write as NAME=VALUE."""

    def __init__(self) -> None:
        self.default = {}

    def in_variable(self, text: str) -> Any:
        """As `Kind`: with blanks between them."""
        return text.split()

    def given(self, value: Any, option: str, /) -> Any:
        """As `Kind`; of several for one name the last holds. Python may give a mapping."""
        pairs = [f"{name}={said}" for name, said in value.items()] if isinstance(value, Mapping) else words_of(value)
        return dict(self._pair(pair, option) for pair in pairs)

    @abstractmethod
    def _pair(self, pair: str, option: str) -> tuple[str, Any]:
        """Name and value of one pair."""


class Levels(Pairs):
    """Severities by rule, or that a rule is off."""

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        levels, every = table.table(key), registry()
        for code in levels:
            if code.upper() not in every:
                raise _unknown_in_file(code, table.place(key))
        return {code.upper(): levels.choice(code, LEVELS) for code in levels}

    def _pair(self, pair: str, option: str) -> tuple[str, Any]:
        code, equals, level = pair.partition("=")
        if not equals or level not in LEVELS:
            raise UsageError(f"{option} {pair}: write CODE=LEVEL, LEVEL one of {', '.join(LEVELS)}")
        if code.upper() not in registry():
            raise unknown_rule(registry(), code.upper(), option)
        return code.upper(), level


class Bounds(Pairs):
    """Tolerances by name."""

    def in_file(self, table: Table, key: str, _: Path, /) -> Any:
        """As `Kind`."""
        given = table.table(key)
        given.allow(Tolerances.__slots__)
        values = {name: given.number(name) for name in given}
        try:
            Tolerances().replaced(values)
        except ValueError as error:
            raise StrictError(f"{table.place(key)}: {error}") from None
        return values

    def _pair(self, pair: str, option: str) -> tuple[str, Any]:
        name, _, said = pair.partition("=")
        if name not in Tolerances.__slots__:
            raise UsageError(f"unknown tolerance {name} in {option}{did_you_mean(name, Tolerances.__slots__)}")
        try:
            value = float(said)
        except ValueError:
            raise UsageError(f"{option} {pair}: write NAME=VALUE, VALUE a number") from None
        try:
            Tolerances().replaced({name: value})
        except ValueError as error:
            raise UsageError(f"{option} {pair}: {error}") from None
        return name, value


def words_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Words that stand in one text or several, with commas or blanks between them."""
    return tuple(word for text in texts for word in text.replace(",", " ").split())


def _from(folder: Path, path: str) -> str:
    return str(folder / path)


def _invalid(option: str, said: str) -> UsageError:
    return UsageError(f"Invalid value for '{option}': {said}")


def _unknown_in_file(code: str, place: str) -> StrictError:
    return StrictError(
        f"unknown rule {code} in {place}{did_you_mean(code.upper(), [item.code for item in registry()])}"
    )
