"""Imports of large libraries without what they import and seldom use."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from threading import RLock
from types import ModuleType

_ONE_AT_A_TIME = RLock()


@contextmanager
def late(*names: str) -> Iterator[None]:
    """Have these modules load when something of them is first used, where they are imported within.

    Parameters
    ----------
    *names : str
        Full names of modules. One that has been imported before stays as it is.
    """
    with _ONE_AT_A_TIME:
        finder = _Late(names)
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Have these modules not be found within, as where they are not installed, unless they have been imported before.

    Parameters
    ----------
    *names : str
        Full names of modules that other modules can do without.
    """
    with _ONE_AT_A_TIME:
        hidden = [name for name in names if name not in sys.modules]
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
        try:
            yield
        finally:
            for name in hidden:
                sys.modules.pop(name, None)


@contextmanager
def lasting() -> Iterator[None]:
    """Look for no garbage while modules are imported within, and never among what they made: it stays.

    What else there is then is never looked at again either; so nothing is done where all was imported before.
    """
    with _ONE_AT_A_TIME:
        collects, known = gc.isenabled(), len(sys.modules)
        gc.disable()
        try:
            yield
        finally:
            if len(sys.modules) > known:
                gc.freeze()
            if collects:
                gc.enable()


class _Late:
    """Finds modules where they are, and has them load late."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
