"""The registry of rules: found by themselves, refused where they are malformed."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from types import ModuleType

from crlm_qc.model.family import CODE
from crlm_qc.model.fitness import PURPOSES
from crlm_qc.model.tables import TABLES
from crlm_qc.model.tolerances import meanings
from crlm_qc.rulebook.rule import RegistryError, Rule

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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
        if unknown := {*item.spoils.out, *item.spoils.care} - set(PURPOSES):
            raise RegistryError(f"{item.code} spoils unknown purposes: {', '.join(sorted(unknown))}")
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
    """Every rule that stands at the top level of a module below `package`, or in the list `RULES` of one.

    Modules whose names begin with an underscore hold helpers and are left alone.
    """
    found: dict[int, Rule] = {}
    for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module_info.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Rule):
                    found[id(item)] = item
    return list(found.values())
