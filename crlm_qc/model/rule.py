"""Rules and their registry."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Found
from crlm_qc.model.places import Places
from crlm_qc.model.profile import Profile
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import Show
from crlm_qc.model.tables import TABLES
from crlm_qc.model.tolerances import Tolerances, meanings

CODE = re.compile(r"[A-Z]{3}[0-9]{3}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

T = TypeVar("T")


class RuleKind(StrEnum):
    """How a rule is written."""

    PLAIN = "plain"
    """A function from tables to findings."""
    TABLE = "table"
    """A check of a Pandera model."""
    EXPECTATION = "expectation"
    """An expectation of a Great Expectations suite."""
    AUDIT = "audit"
    """Speaks of the audit itself, which makes its findings."""


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


@dataclass(frozen=True)
class Context:
    """What a check may look at: tables, profile and settings; never a file."""

    evidence: Evidence
    profile: Profile
    settings: Settings = field(default_factory=Settings)
    show: Show = field(init=False)
    _memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Make the one gate through which values are shown."""
        object.__setattr__(self, "show", Show(self.profile, self._places() if self.settings.redact_paths else None))

    def _places(self) -> Places:
        patients, files = self.evidence["patients"], self.evidence["files"]
        inside = files[files["patient"].notna() & files["folder"].notna()]
        return Places(
            dict(zip(patients["folder"], patients["patient"], strict=True)),
            list(zip(inside["folder"], inside["kind"], strict=True)),
        )

    def __getitem__(self, table: str) -> Any:
        """An evidence table (a `pandas.DataFrame`)."""
        return self.evidence[table]

    @property
    def tolerances(self) -> Tolerances:
        """The profile's tolerances."""
        return self.profile.tolerances

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that several rules share, made at the first call."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to: how many subjects it examined, and what it found on them."""

    examined: int
    findings: Sequence[Found] = ()


Check = Callable[[Context], Checked]


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
    check: Check = field(repr=False, compare=False)
    kind: RuleKind = RuleKind.PLAIN
    depth: Depth = Depth.HEADERS
    """How deep the files must have been read."""
    whole_release: bool = False
    """Compares the release as a whole with the published one: off for a subset."""
    tolerances: tuple[str, ...] = ()
    """Fields of `Tolerances` that decide whether it fires, wherever the comparison is made."""

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
    depth: Depth = Depth.HEADERS,
    whole_release: bool = False,
    kind: RuleKind = RuleKind.PLAIN,
    tolerances: Iterable[str] = (),
) -> Callable[[Check], Rule]:
    """Make a rule of the function below; its module lies in `crlm_qc.rules`, where the registry finds it."""

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
            check,
            kind,
            depth,
            whole_release,
            tuple(tolerances),
        )

    return decorate


def made_by_the_audit(_: Context) -> Checked:
    """The check of a rule of kind `AUDIT`: it is never run."""
    raise RegistryError("the audit makes the findings of this rule itself")


class Registry:
    """All rules, in the order of their codes."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[str, Rule] = {}
        slugs: dict[str, str] = {}
        for item in rules:
            self._refuse_malformed(item)
            if item.code in self._rules:
                raise RegistryError(f"two rules have the code {item.code}")
            if item.slug in slugs:
                raise RegistryError(f"{item.code} and {slugs[item.slug]} have the slug {item.slug}")
            self._rules[item.code] = item
            slugs[item.slug] = item.code
        self._rules = dict(sorted(self._rules.items()))

    @staticmethod
    def _refuse_malformed(item: Rule) -> None:
        if not CODE.fullmatch(item.code):
            raise RegistryError(f"{item.code!r} is no rule code: three capitals and three digits")
        if not _SLUG.fullmatch(item.slug):
            raise RegistryError(f"{item.code}: {item.slug!r} is no slug")
        if unknown := set(item.tables) - set(TABLES):
            raise RegistryError(f"{item.code} reads unknown tables: {', '.join(sorted(unknown))}")
        if unknown := set(item.tolerances) - set(meanings()):
            raise RegistryError(f"{item.code} names unknown tolerances: {', '.join(sorted(unknown))}")
        for name in ("title", "why", "fix", "source"):
            if not getattr(item, name).strip():
                raise RegistryError(f"{item.code} has no {name}")

    def __iter__(self) -> Iterator[Rule]:
        """All rules, in the order of their codes."""
        return iter(self._rules.values())

    def __len__(self) -> int:
        """How many rules there are."""
        return len(self._rules)

    def __getitem__(self, code: str) -> Rule:
        """The rule of that code."""
        return self._rules[code]

    def __contains__(self, code: str) -> bool:
        """Whether there is such a rule."""
        return code in self._rules

    def matching(self, prefix: str) -> list[Rule]:
        """Rules whose code begins with `prefix`, or whose slug it is."""
        return [item for item in self if item.code.startswith(prefix.upper()) or item.slug == prefix.lower()]


def discover(package: ModuleType) -> list[Rule]:
    """Every rule that stands at the top level of a module of `package`, or in the list `RULES` of one.

    Modules whose names begin with an underscore hold helpers and are left alone.
    """
    found: dict[int, Rule] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for value in vars(module).values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Rule):
                    found[id(item)] = item
    return list(found.values())
