"""Counts of a kept audit in a small file beside it, so that a trend over audits reads no findings again."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

from crlm_qc.model.errors import UsageError
from crlm_qc.model.finding import DOWNLOAD_FOLDER
from crlm_qc.model.plain import cut, from_plain, to_plain
from crlm_qc.model.report import Report
from crlm_qc.model.trend import TOLD, Summary
from crlm_qc.report.writing import put
from crlm_qc.request.saved import load_report

ROOM = 4_096
"""Bytes of such a file at most: what is larger is none."""
MOST_COUNTED = 10**9
_LONGEST_VERSION = 40
_VERSION = re.compile(r"[0-9A-Za-z.+_-]+")


def scope_of(report: Report) -> tuple[object, ...]:
    """What an audit looked at: equal for audits of the same release, as deep and as wide."""
    settings = report.settings
    root = "" if DOWNLOAD_FOLDER.fullmatch(report.release.root) else report.release.root
    return (
        root,
        report.release.collection,
        settings.depth,
        settings.partial,
        settings.standard,
        settings.all_objects,
        *(frozenset(names) for names in (settings.select, settings.ignore, settings.patients)),
    )


def scope_digest(report: Report) -> str:
    """The scope of an audit as a digest, which names no folder and no patient; empty for one that had nothing to check."""
    if report.empty:
        return ""
    told = [sorted(part) if isinstance(part, frozenset) else part for part in scope_of(report)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def summary_of(report: Report, when: str) -> Summary:
    """Counts of an audit.

    Parameters
    ----------
    report : Report
        The audit.
    when : str
        Day and minute, UTC.
    """
    counts = report.counts
    version = cut(report.tool_version, _LONGEST_VERSION)
    return Summary(when, version, counts["error"], counts["warning"], report.open_cases)


def put_summary(kept: Path, report: Report) -> None:
    """Write the counts of an audit beside it.

    Raises
    ------
    UsageError
        They can't be written.
    """
    told = to_plain(summary_of(report, ""))
    del told["when"]
    put(summary_file(kept), json.dumps({"scope": scope_digest(report), **told}) + "\n")


def read_summary(kept: Path, when: str) -> tuple[str, Summary] | None:
    """Digest of the scope, and counts, of an audit that was kept.

    Where they do not lie beside it, it is read whole, once, and they are put there.

    Parameters
    ----------
    kept : pathlib.Path
        The audit.
    when : str
        Day and minute, UTC, which its name tells.

    Returns
    -------
    tuple of str and Summary, or None
        None for a file that can't be read.
    """
    if (found := _beside(summary_file(kept), when)) is not None:
        return found
    try:
        report = load_report(kept)
    except UsageError:
        return None
    # A folder that nobody may write to is no reason to tell less.
    with suppress(UsageError):
        put_summary(kept, report)
    return scope_digest(report), summary_of(report, when)


def summary_file(kept: Path) -> Path:
    """Where the counts of a kept audit lie."""
    return kept.with_name(f"{kept.stem}.summary.json")


def _beside(path: Path, when: str) -> tuple[str, Summary] | None:
    try:
        if not path.is_file() or path.stat().st_size > ROOM:
            return None
        raw = json.loads(path.read_bytes())
        summary: Summary = from_plain(Summary, {**raw, "when": when})
        scope: str = from_plain(str, raw.get("scope"))
    except (OSError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    sound = all(0 <= summary.count(name) <= MOST_COUNTED for name in TOLD)
    version = summary.tool_version
    return (scope, summary) if sound and len(version) <= _LONGEST_VERSION and _VERSION.fullmatch(version) else None
