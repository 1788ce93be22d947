"""The rules: a folder a family, a module a topic; one that stands at the top level of a module is found by itself."""

from __future__ import annotations

from functools import cache

from crlm_qc.rulebook.registry import Registry, discover


@cache
def registry() -> Registry:
    """All rules of the tool.

    Raises
    ------
    crlm_qc.rulebook.rule.RegistryError
        Two rules share a code, or one is malformed.
    """
    import crlm_qc.rules

    return Registry(discover(crlm_qc.rules))
