"""Names of the pytest plugin that its parts share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from argparse import Namespace

NAME = "crlm-qc"
"""Name of the active plugin, and beginning of the node ids of the audit's tests."""
GRAINS = ("rule", "family", "full")
INI = "crlm_release"


class QualityWarning(UserWarning):
    """A finding that fails nothing."""


def named_source(config: pytest.Config, options: Namespace) -> Path | None:
    """What to audit, by its name on the command line, or in the ini file, where it begins at that file's folder."""
    if named := options.crlm_release or options.crlm_evidence:
        return Path(named)
    named = config.getini(INI)
    return (config.inipath.parent if config.inipath else config.rootpath) / named if named else None
