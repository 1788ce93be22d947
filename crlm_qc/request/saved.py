"""Saved results of an audit: findings.json read again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

from crlm_qc.model.errors import UsageError
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report
from crlm_qc.report import FORMATS


def findings_in(path: Path) -> Path:
    """The saved results that a path names: a file, or the folder that an audit wrote its reports to."""
    return path / FORMATS["json"].goes_to if path.is_dir() else path


def load_report(path: str | Path) -> Report:
    """Read findings.json.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, or the folder that an audit wrote it to.

    Returns
    -------
    Report
        The report that it was written from.

    Raises
    ------
    UsageError
        The file can't be read, or is not what this version reads; the message names it.
    """
    path = findings_in(Path(path))
    try:
        raw = json.loads(path.read_bytes(), parse_constant=_no_constant)
        return Report.from_dict(raw)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {os.strerror(error.errno or 0).lower()}") from None
    except PlainError as error:
        raise UsageError(f"{path} is no findings.json that can be read: {error}") from None
    except (ValueError, RecursionError):
        # The text of a decoder's error may hold what stands in the file.
        raise UsageError(f"{path} is no findings.json that can be read: it is not JSON") from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError
