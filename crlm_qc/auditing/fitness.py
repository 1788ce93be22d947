"""Whom of a release to use for a purpose, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crlm_qc.model.cohort import Cohort, judge_cohort
from crlm_qc.model.errors import UsageError
from crlm_qc.model.fitness import Fit
from crlm_qc.model.report import Report
from crlm_qc.model.settings import PurposeChoice
from crlm_qc.request.saved import load_report
from crlm_qc.rulebook.purposes import unknown_purpose, with_purposes
from crlm_qc.rules import registry


def usable(
    report: Report | str | Path, purpose: str | tuple[str, ...] = "segmentation", *, strict: bool = False
) -> list[str]:
    """Patients to use for a purpose.

    Parameters
    ----------
    report : Report, str or pathlib.Path
        What `crlm_qc.audit` came to, or findings.json of an earlier audit.
    purpose : str or tuple of str
        Name of a purpose, such as `segmentation` or `lesion-counts`; of several, a patient must be usable for all.
    strict : bool
        Whether those that need care are left out too.

    Returns
    -------
    list of str
        Patient IDs in their order; none that was not judged.

    Raises
    ------
    UsageError
        There is no such purpose, the file can't be read, or not one patient was judged: the audit did not look for what
        spoils the purpose.
    """
    found = cohort(report, purpose, strict=strict)
    if found.patients and len(found.of(Fit.UNKNOWN)) == len(found.patients):
        raise UsageError(f"no patient was judged for {found.name}: {found.patients[0].unknown}")
    return [one.patient for one in found.used]


def cohort(
    report: Report | str | Path, purpose: str | tuple[str, ...] = "segmentation", *, strict: bool = False
) -> Cohort:
    """Every patient with its verdict for a purpose, and the findings behind it.

    Parameters
    ----------
    report, purpose, strict
        As `usable`.

    Returns
    -------
    Cohort
        `used` and `excluded` are patients, each with `fit` and `reasons`.

    Raises
    ------
    UsageError
        There is no such purpose, or the file can't be read.
    """
    told = report if isinstance(report, Report) else load_report(Path(report))
    names = (purpose,) if isinstance(purpose, str) else tuple(purpose)
    return cohort_of(told, names, strict=strict)


def cohort_of(
    report: Report, names: tuple[str, ...], *, strict: bool = False, choices: Mapping[str, PurposeChoice] | None = None
) -> Cohort:
    """The cohort of a report, with the purposes that it was saved with or those that are given.

    Parameters
    ----------
    report : Report
        An audit.
    names : tuple of str
        Names of purposes.
    strict : bool
        As `usable`.
    choices : mapping, optional
        What is said of purposes in place of what the report was told.

    Raises
    ------
    UsageError
        There is no such purpose.
    """
    report = with_its_purposes(report, choices)
    known = [one.name for one in report.purposes]
    for name in names:
        if name not in known:
            raise unknown_purpose(name, known, "what to use patients for")
    return judge_cohort(report, names, strict=strict)


def with_its_purposes(report: Report, choices: Mapping[str, PurposeChoice] | None = None) -> Report:
    """A report that knows its purposes: those that are given, those that it was saved with, or what rules declare today."""
    if choices:
        return with_purposes(report, registry(), choices)
    return report if report.purposes else with_purposes(report, registry(), {})
