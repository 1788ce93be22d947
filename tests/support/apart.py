"""Rules that are judged anew only where something that they read has changed since an earlier case.

A rule is a function of the tables that it reads, the profile, the settings and what else is judged; most tests change a
table or two and ask of all rules whether they stay silent. What each rule reads is seen, also through what several rules
have worked out together, so nothing is taken for granted of which rule reads what.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from hashlib import blake2b
from io import BytesIO
from pickle import Pickler
from typing import Any

import pandas as pd
import pytest

from crlm_qc.auditing import judging
from crlm_qc.auditing.tallies import Tally
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.report import Report
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.context import _content as _content_of
from crlm_qc.rulebook.rule import Rule

paused: list[bool] = []
"""Not empty while a test changes the code itself: what rules came to elsewhere says nothing then."""

_tally_of = judging.tally_of
_asked: list[tuple[Any, ...]] = []
"""What has been judged by: profile, settings, facts of the release, codes that are judged."""
_known: dict[tuple[int, int], tuple[Any, dict[tuple[str, ...], dict[tuple[bytes, ...], Any]]]] = {}
"""What rules, and what the report says of patients and figures, came to: by these and what was asked; then by the tables that it read, and by what those held."""


_made: dict[tuple[int, Hashable], dict[tuple[str, ...], dict[tuple[bytes, ...], Any]]] = {}
"""What functions under `once` gave, likewise."""
MOST = 12
"""Results of one such function that are kept, for each set of tables that it read: they may hold tables themselves."""
HOLD_A_CONTEXT = frozenset({"crlm_qc.subjects.identifiers", "crlm_qc.rulebook.context"})
"""Modules whose results ask the context that they were made for: another one does not get them."""


NAMED_AFTER = ["kind", "patient", "series_uid", "folder", "path", "sop_instance_uid"]
"""Columns of `files` that paths are named after."""
NAMES = "files: names"
"""Those columns, as if they were a table."""


class _Tables(Mapping[str, pd.DataFrame]):
    """The tables of a case; every one that is asked for is written down."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.read: list[str] = []
        self._tables, self._digests = tables, dict[str, bytes]()

    def __contains__(self, name: object) -> bool:
        self.read.append(str(name))
        return name in self._tables

    def __getitem__(self, name: str) -> pd.DataFrame:
        self.read.append(name)
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        self.read.extend(self._tables)
        return iter(self._tables)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def digests(self, names: tuple[str, ...]) -> tuple[bytes, ...]:
        """What tables hold, in short; empty of one that is not there."""
        for name in names:
            if name not in self._digests:
                table = self._tables.get("files" if name == NAMES else name)
                self._digests[name] = _digest(table[NAMED_AFTER] if name == NAMES and table is not None else table)
        return tuple(self._digests[name] for name in names)


class _WorkedOut(dict[Hashable, Any]):
    """What functions under `once` gave; who asks for it has read the tables that it was made of."""

    def __init__(self, tables: _Tables) -> None:
        super().__init__()
        self.asked = -1
        self._tables, self._read = tables, tables.read
        self._begun: dict[Hashable, int] = {}
        self._of: dict[Hashable, tuple[str, ...]] = {}

    def __contains__(self, key: object) -> bool:
        if not super().__contains__(key) and not self._is_known(key):
            self._begun[key] = len(self._read)
            return False
        self._read.extend(self._of[key])
        return True

    def _is_known(self, key: Hashable) -> bool:
        """Take what another context came to by the same tables, if there is such."""
        for names, made in _made.get((self.asked, key), {}).items():
            digests = self._tables.digests(names)
            if digests in made:
                self._of[key] = names
                super().__setitem__(key, made[digests])
                return True
        return False

    def __setitem__(self, key: Hashable, value: Any) -> None:
        names = self._of[key] = tuple(sorted(set(self._read[self._begun[key] :])))
        super().__setitem__(key, value)
        if shared(key):
            made = _made.setdefault((self.asked, key), {}).setdefault(names, {})
            made[self._tables.digests(names)] = value
            if len(made) > MOST:
                del made[next(iter(made))]


def shared(key: Any) -> bool:
    """Whether what a function under `once` gave, by its key, may be given to other contexts."""
    work = key[0]
    return work.__module__ not in HOLD_A_CONTEXT


class Watched(Context):
    """A context that knows which tables were read."""

    read: list[str]
    tables: _Tables
    always: tuple[str, ...]
    asked: int

    def __post_init__(self) -> None:
        tables = _Tables(self.evidence.tables)
        worked_out = _WorkedOut(tables)
        evidence = replace(self.evidence, tables=tables)
        self.__dict__.update(read=tables.read, tables=tables, evidence=evidence, worked_out=worked_out)
        super().__post_init__()
        # Show asks it what lies at a path, of any path that any rule shows.
        self.show._contents = partial(_content, tables, _named_alone(self, tables))
        # What is shown of a value may depend on these in any rule.
        always = tuple(tables.read)
        asked = worked_out.asked = _number((self.profile, self.settings, self.evidence.facts, self.judged))
        self.__dict__.update(always=always, asked=asked)


def _named_alone(context: Context, tables: _Tables) -> Callable[[], Context]:
    """What gives a context of nothing but what paths are named after, so that a file's size is no part of it."""

    @cache
    def made() -> Context:
        files = context.evidence["files"]
        return Context(Evidence(context.evidence.facts, {"files": files[NAMED_AFTER]}), context.profile)

    return made


def _content(tables: _Tables, context: Callable[[], Context], path: str) -> str | None:
    before = len(tables.read)
    content = _content_of(context(), path)
    # It has read those columns alone.
    tables.read[before:] = [NAMES]
    return content


def _number(asked: tuple[Any, ...]) -> int:
    for number, known in enumerate(_asked):
        if all(one is other or one == other for one, other in zip(asked, known, strict=True)):
            return number
    _asked.append(asked)
    return len(_asked) - 1


def _digest(table: pd.DataFrame | None) -> bytes:
    if table is None:
        return b""
    out = BytesIO()
    pickler = Pickler(out)
    # Equal values are written alike, whether or not they are one object.
    pickler.fast = True
    pickler.dump([(name, str(column.dtype), column.tolist()) for name, column in table.items()])
    pickler.dump(table.index.tolist())
    return blake2b(out.getbuffer(), digest_size=16).digest()


def _as_before(what: Any, context: Watched, work: Callable[[], Any]) -> Any:
    """What a function of the context came to for the same tables, or comes to now."""
    # A rule takes long to hash; it is kept, so that nothing else has its id.
    _, known = _known.setdefault((id(what), context.asked), (what, {}))
    for names, results in known.items():
        if (digests := context.tables.digests(names)) in results:
            return results[digests]
    context.read[:] = context.always
    result = work()
    if result is not None:
        names = tuple(sorted(set(context.read)))
        known.setdefault(names, {})[context.tables.digests(names)] = result
    return result


def _tallied(item: Rule, context: Watched) -> Tally:
    """What a rule comes to; one that crashes does so every time."""
    crash: list[Tally] = []

    def work() -> Tally | None:
        tally = _tally_of(item, context)
        if not tally.crashed:
            return tally
        crash.append(tally)
        return None

    tally: Tally | None = _as_before(item, context, work)
    return crash[0] if tally is None else tally


def _once_for_all(work: Callable[[Watched], Any]) -> Callable[[Watched], Any]:
    return lambda context: _as_before(work, context, partial(work, context))


@contextmanager
def judged_apart() -> Iterator[list[Context]]:
    """Have rules judged only where what they read has changed; gives the contexts of what is judged, in order."""
    made: list[Context] = []

    def watched(*of: Any) -> Context:
        made.append(Context(*of) if paused else Watched(*of))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "Context", watched)
        if not paused:
            patch.setattr(judging, "tally_of", _tallied)
            for name in ("patient_facts", "figures", "wholeness", "release_facts"):
                patch.setattr(judging, name, _once_for_all(getattr(judging, name)))
        yield made


def judge_apart(*of: Any, **options: Any) -> Report:
    """What `judge` gives, with rules judged only where what they read has changed."""
    with judged_apart():
        return judging.judge(*of, **options)
