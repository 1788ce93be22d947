"""Waivers written into a file of them, whose other lines stay as they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from crlm_qc.collection.waivers import parse_waivers
from crlm_qc.model.errors import WaiverError
from crlm_qc.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Why findings are accepted, and until when."""

    reason: str
    date: dt.date
    """When it was decided."""
    until: dt.date | None = None
    """Last day that it holds; None for ever."""
    owner: str = ""


def with_waivers(text: str, name: str, findings: Iterable[Finding], accepted: Acceptance) -> str:
    """A file of waivers with one more for each finding, at its end.

    Parameters
    ----------
    text : str
        What the file holds; empty where there is none yet.
    name : str
        Its name, for messages.
    findings : iterable of Finding
        What is accepted.
    accepted : Acceptance
        Why.

    Returns
    -------
    str
        The file; comments, order and form of what was in it are as they were.

    Raises
    ------
    WaiverError
        The file was no file of waivers.
    """
    import tomlkit
    from tomlkit.items import AoT

    parse_waivers(text, name)
    document = tomlkit.parse(f"{text.rstrip()}\n\n" if text.strip() else "")
    entries = document.get("waiver")
    if entries is not None and not isinstance(entries, AoT):
        raise WaiverError(
            f"waivers {name}: entries stand in one list; write each under [[waiver]] to have more appended"
        )
    if entries is None:
        entries = tomlkit.aot()
        document["waiver"] = entries
    for finding in findings:
        entries.append(_entry(finding, accepted))
    written = tomlkit.dumps(document)
    parse_waivers(written, name)
    return written


def _entry(finding: Finding, accepted: Acceptance) -> object:
    import tomlkit

    entry = tomlkit.table()
    entry["rule"] = finding.rule
    if finding.patient is not None:
        entry["patients"] = [finding.patient]
    entry["fingerprint"] = finding.fingerprint
    entry["reason"] = accepted.reason
    if accepted.owner:
        entry["owner"] = accepted.owner
    entry["date"] = accepted.date
    if accepted.until is not None:
        entry["until"] = accepted.until
    entry.add(tomlkit.nl())
    return entry
