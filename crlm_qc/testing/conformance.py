"""An audit that ends in an exception, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.auditing.run import audit
from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.report import text, words
from crlm_qc.request.request import Request

if TYPE_CHECKING:
    from crlm_qc.model.finding import Finding
    from crlm_qc.model.report import Report

MOST = 50
"""Findings that one message tells."""


class NotConformantError(AssertionError):
    """The release is not as the rules want it, or not everything could be checked; the message tells what was found."""


def assert_conformant(
    release: str | Path,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    patients: Iterable[str] = (),
    subset: bool = False,
    depth: str = Depth.PIXELS,
    fail_on: str = Severity.ERROR,
    waivers: Iterable[str | Path] = (),
    profile: str | Path | None = None,
    jobs: int | None = None,
    all_objects: bool = False,
) -> Report:
    """Audit a release, and raise if anything is found in it.

    Parameters
    ----------
    release : str or pathlib.Path
        Folder of the release, or of evidence saved from one.
    select, ignore : iterable of str
        Codes, beginnings of codes, or slugs of rules: only these, and all but these.
    patients : iterable of str
        Patients to audit; all by default.
    subset : bool
        Part of the release on purpose: what compares the whole is skipped.
    depth : str
        `headers`, `masks` or `pixels`: how deep to read.
    fail_on : str
        Mildest severity that raises: `error`, `warning` or `info`; `never` if only what could not be checked does.
    waivers : iterable of str or pathlib.Path
        Files of findings that were accepted (TOML).
    profile : str or pathlib.Path, optional
        Release profile in place of the built-in one.
    jobs : int, optional
        Processes to read with; by default one a core.
    all_objects : bool
        Whether objects of others, which the profile tells apart, are audited too.

    Returns
    -------
    Report
        The report, if nothing as grave as `fail_on` was found, and everything asked for could be checked.

    Raises
    ------
    NotConformantError
        Something was found, could not be checked, or nothing was there to check. It is an AssertionError.
    crlm_qc.model.errors.UsageError
        The path is no folder, a code or patient is unknown, or a value can't be used.
    """
    # pytest leaves such frames, and what they hold of the files, out of what it prints.
    __tracebackhide__ = True
    asked = {
        "select": select,
        "ignore": ignore,
        "patients": patients,
        "subset": subset,
        "depth": depth,
        "fail-on": fail_on,
        "waivers": waivers,
        "profile": profile,
        "jobs": jobs,
        "all-objects": all_objects,
    }
    request = Request.of_options({key: value for key, value in asked.items() if value is not None})
    report = audit(release, **request.audited())
    level = request.fail_on
    found = [one for one in words.open_findings(report) if level is not None and one.severity.at_least(level)]
    unchecked = not_checked(report)
    if found or unchecked:
        raise NotConformantError("\n".join([f"{words.sentence(report)}.", *unchecked, block(report, found)]).rstrip())
    return report


def block(report: Report, findings: Sequence[Finding]) -> str:
    """Findings by rule with what was expected and observed, as the terminal shows them.

    Parameters
    ----------
    report : Report
        The report that they stand in.
    findings : sequence of Finding
        Some of its findings, gravest first.

    Returns
    -------
    str
        At most `MOST` of them, and how many more there are; empty if there are none.
    """
    if not findings:
        return ""
    told = text.several(report, findings[:MOST], text.Style())
    # Its last line counts the findings, which the headings do already.
    said = told.rstrip("\n").rpartition("\n")[0].rstrip("\n")
    if len(findings) > MOST:
        patients = sorted({one.patient for one in findings[MOST:] if one.patient})
        said += f"\nand {len(findings) - MOST:,} more"
        said += f", in {words.listing(patients, 10)}" if patients else ""
    return said


def not_checked(report: Report) -> list[str]:
    """What was asked for and could not be checked, in words; empty if all was checked."""
    if report.empty:
        return [words.NOTHING]
    told = [words.clean(limit) for limit in report.limits]
    return told + [
        f"{one.rule} {'crashed' if one.status is Status.ERRORED else 'was not run'}: {words.clean(one.reason)}"
        for one in report.outcomes
        if one.incomplete
    ]
