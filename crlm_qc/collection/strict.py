"""Tables of a TOML file, read strictly: what is missing, unknown or of the wrong type is said with its place."""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crlm_qc.model.words import did_you_mean


class StrictError(ValueError):
    """A file does not hold what it should; the message names table and key."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    StrictError
        It can't be read, or is no TOML; the message follows the file's name.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StrictError(f"can't be read: {(error.strerror or 'unknown error').lower()}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StrictError(f"can't be read as TOML: {error}") from None
    except RecursionError:
        raise StrictError("can't be read as TOML: it is nested too deep") from None
    except ValueError:
        # Python reads no number of more than 4,300 digits.
        raise StrictError("can't be read as TOML: a number has too many digits") from None


class Table:
    """A table of a TOML file, and its name for messages."""

    def __init__(self, raw: Mapping[str, Any], name: str = "") -> None:
        self._raw = raw
        self._name = name

    def __contains__(self, key: object) -> bool:
        """Whether the file has the key."""
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        """Its keys, in the order of the file."""
        return iter(self._raw)

    def place(self, key: str) -> str:
        """A key as messages name it: `doi in [collection]`."""
        return f"{key} in [{self._name}]" if self._name else key

    def allow(self, known: Collection[str]) -> None:
        """Refuse every key that is not known.

        Raises
        ------
        StrictError
            Names the first, and what is close to it.
        """
        for key in self._raw:
            if key not in known:
                hint = did_you_mean(key, known) or (f". Known: {', '.join(known)}" if known else "")
                raise StrictError(f"unknown key {self.place(key)}{hint}")

    def need(self, *keys: str) -> None:
        """Refuse a table that lacks one of some keys."""
        for key in keys:
            if key not in self._raw:
                raise StrictError(f"it lacks the key {self.place(key)}")

    def value(self, key: str) -> Any:
        """Whatever stands under a key that must be there."""
        self.need(key)
        return self._raw[key]

    def _of(self, key: str, kind: type | tuple[type, ...], words: str) -> Any:
        value = self.value(key)
        # A boolean is an integer to Python, but not to who writes a file.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise StrictError(f"{self.place(key)} must be {words}")
        return value

    def text(self, key: str, *, default: str | None = None, form: re.Pattern[str] | None = None) -> str:
        """Text; only a key without default must be there and hold any."""
        if default is not None and key not in self._raw:
            return default
        value: str = self._of(key, str, "text")
        if (default is None and not value.strip()) or (form is not None and not form.fullmatch(value)):
            raise StrictError(f"{self.place(key)} is not of the right form")
        return value

    def choice(self, key: str, known: Sequence[str]) -> str:
        """One of some words."""
        value = self.text(key)
        if value not in known:
            raise StrictError(f"{self.place(key)} must be one of {', '.join(known)}{did_you_mean(value, known)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        return bool(self._of(key, bool, "true or false")) if key in self._raw else default

    def whole(self, key: str) -> int:
        """A whole number of 0 or more."""
        value = int(self._of(key, int, "a whole number"))
        if value < 0:
            raise StrictError(f"{self.place(key)} must be at least 0")
        return value

    def number(self, key: str, *, default: float | None = None) -> float:
        """A finite number."""
        if default is not None and key not in self._raw:
            return default
        value = float(self._of(key, (int, float), "a number"))
        if not math.isfinite(value):
            raise StrictError(f"{self.place(key)} must be a finite number")
        return value

    def date(self, key: str) -> dt.date:
        """A date without time."""
        value = self.value(key)
        if type(value) is not dt.date:
            raise StrictError(f"{self.place(key)} must be a date, such as 1991-06-03 without quotes")
        return value

    def texts(self, key: str, *, default: tuple[str, ...] | None = None, single: bool = False) -> tuple[str, ...]:
        """A list of texts; where a `single` one will do, that may stand without brackets."""
        if default is not None and key not in self._raw:
            return default
        if single and isinstance(self._raw.get(key), str):
            return (self.text(key),)
        values = self._of(key, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise StrictError(f"{self.place(key)} must be a list of texts")
        return tuple(values)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        values = self._of(key, list, "a list of whole numbers")
        if not all(type(value) is int for value in values):
            raise StrictError(f"{self.place(key)} must be a list of whole numbers")
        return tuple(values)

    def pattern(self, key: str) -> re.Pattern[str]:
        """A regular expression."""
        return self._compiled(key, self.text(key))

    def patterns(self, key: str) -> tuple[re.Pattern[str], ...]:
        """A list of regular expressions, empty where there is none."""
        return tuple(self._compiled(key, text) for text in self.texts(key, default=()))

    def _compiled(self, key: str, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text)
        except re.error as error:
            raise StrictError(f"{self.place(key)} is no regular expression: {error}") from None

    def table(self, key: str, *, optional: bool = False) -> Table:
        """A table in it; an empty one where it may be left out."""
        name = f"{self._name}.{key}" if self._name else key
        if optional and key not in self._raw:
            return Table({}, name)
        if key not in self._raw:
            raise StrictError(f"it lacks the table [{name}]")
        return Table(self._of(key, dict, "a table"), name)

    def tables(self, key: str, *, optional: bool = False) -> list[Table]:
        """A list of one table or more, as `[[key]]` writes it."""
        name = f"{self._name}.{key}" if self._name else key
        if optional and key not in self._raw:
            return []
        if key not in self._raw:
            raise StrictError(f"it lacks [[{name}]]")
        values = self._of(key, list, f"tables, each under [[{name}]]")
        if not values or not all(isinstance(value, dict) for value in values):
            raise StrictError(f"{self.place(key)} must be tables, each under [[{name}]]")
        # The place of an entry is told only where there are several.
        return [Table(value, name if len(values) == 1 else f"{name} {at}") for at, value in enumerate(values, start=1)]

    def counts(self, key: str) -> dict[str, int]:
        """Whole numbers by name, empty where there is no such table."""
        table = self.table(key, optional=True)
        return {name: table.whole(name) for name in table}

    def strings(self) -> dict[str, str]:
        """The whole table, whose values are texts."""
        return {name: self.text(name) for name in self}
