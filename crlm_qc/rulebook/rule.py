"""A rule of the catalogue, and what its check comes to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TypeVar

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Seen
from crlm_qc.rulebook.context import Context


class RuleKind(StrEnum):
    """How a rule is written."""

    PLAIN = "plain"
    """A function from tables to findings."""
    TABLE = "table"
    """A check of a Pandera model, made by `table_rule`."""
    EXPECTATION = "expectation"
    """An expectation of a Great Expectations suite."""
    AUDIT = "audit"
    """Speaks of the audit itself, which makes its findings."""


class Scope(StrEnum):
    """How much of a release a rule must see at once."""

    PATIENT = "patient"
    """One patient: what it comes to on a release is what it comes to on each part of it, put together. Patients that share
    a folder, an image or a reference are one part."""
    RELEASE = "release"
    """All of it: it compares patients, counts over all of them, or reads a table of the release."""


class Skip(Exception):  # noqa: N818 - a skip is no error
    """Raised by a check that has nothing to look at, or can't look.

    Parameters
    ----------
    reason : str
        Why, in words for people.
    incomplete : bool
        Whether something that was asked for could not be checked (a missing decoder), so that the audit is incomplete.
    """

    def __init__(self, reason: str, *, incomplete: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.incomplete = incomplete


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to: how many subjects it examined, and what it found on them."""

    examined: int
    findings: Sequence[Found] = ()


Check = Callable[[Context], Checked]
Refused = TypeVar("Refused")
"""What a Pandera model refuses by the checks of one code."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the catalogue; the code is a public contract and keeps its meaning."""

    code: str
    slug: str
    severity: Severity
    title: str
    """What is wrong when it fires, in a few words."""
    why: str
    """Why it matters to who uses the data."""
    fix: str
    """What a curator can do."""
    source: str
    """A section of DICOM PS3, the data dictionary, or the published description."""
    tables: tuple[str, ...]
    """Evidence tables that it reads."""
    spoils: Spoils
    """What its findings spoil."""
    check: Check = field(repr=False, compare=False)
    kind: RuleKind = RuleKind.PLAIN
    depth: Depth = Depth.HEADERS
    """How deep the files must have been read."""
    scope: Scope = Scope.RELEASE
    """How much of a release it must see at once."""
    whole_release: bool = False
    """Compares the release as a whole with the published one: off for a subset."""
    tolerances: tuple[str, ...] = ()
    """Fields of `Tolerances` that decide whether it fires, wherever the comparison is made."""
    seen: Seen | None = None
    """How its findings are seen in the images, if they are."""
    file: str = field(default="", compare=False)
    """File that it stands in, from the folder that holds the package, with forward slashes."""
    line: int = field(default=0, compare=False)
    """Line of that file, counted from 1."""

    @property
    def family(self) -> str:
        """The three letters that the code begins with."""
        return self.code[:3]


class RegistryError(RuntimeError):
    """Two rules share a code or a slug, or a rule is malformed."""


def rule(
    code: str,
    slug: str,
    severity: Severity,
    *,
    title: str,
    why: str,
    fix: str,
    source: str,
    tables: Iterable[str],
    spoils: Spoils,
    depth: Depth = Depth.HEADERS,
    scope: Scope = Scope.RELEASE,
    whole_release: bool = False,
    kind: RuleKind = RuleKind.PLAIN,
    tolerances: Iterable[str] = (),
    seen: Seen | None = None,
    stands_at: tuple[Path, int] | None = None,
) -> Callable[[Check], Rule]:
    """Make a rule of the function below; its module lies in `crlm_qc.rules`, where the registry finds it.

    It is said to stand where this is called, unless `stands_at` names a file and line.
    """
    path, line = stands_at or _caller()

    def decorate(check: Check) -> Rule:
        return Rule(
            code,
            slug,
            severity,
            title,
            why,
            fix,
            source,
            tuple(tables),
            spoils,
            check,
            kind,
            depth,
            scope,
            whole_release,
            tuple(tolerances),
            seen,
            path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name,
            line,
        )

    return decorate


def table_rule(
    code: str,
    slug: str,
    severity: Severity,
    *,
    refused: Callable[[Context], Mapping[str, Refused]],
    title: str,
    why: str,
    fix: str,
    source: str,
    tables: Iterable[str],
    spoils: Spoils,
    tolerances: Iterable[str] = (),
) -> Callable[[Callable[[Context, Refused], Checked]], Rule]:
    """Make a rule of the function below, which judges what a Pandera model refuses.

    Beside the context it is given what `refused` has under the rule's code: what fails the checks of the model that are
    named so. The other arguments are those of `rule`.
    """
    declare = rule(
        code,
        slug,
        severity,
        title=title,
        why=why,
        fix=fix,
        source=source,
        tables=tables,
        spoils=spoils,
        kind=RuleKind.TABLE,
        tolerances=tolerances,
    )

    def decorate(judge: Callable[[Context, Refused], Checked]) -> Rule:
        @wraps(judge)
        def check(context: Context) -> Checked:
            return judge(context, refused(context)[code])

        return declare(check)

    return decorate


_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package, and in a source checkout `expectations` too."""


def _caller() -> tuple[Path, int]:
    """File and line that called the function which asks."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return (Path(), 0) if frame is None else (Path(frame.f_code.co_filename), frame.f_lineno)


def made_by_the_audit(_: Context) -> Checked:
    """The check of a rule of kind `AUDIT`: it is never run."""
    raise RegistryError("the audit makes the findings of this rule itself")
