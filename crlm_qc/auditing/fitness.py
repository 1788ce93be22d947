"""Whom of a release to use for a purpose, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.model.cohort import Cohort, judge_cohort
from crlm_qc.model.errors import UsageError
from crlm_qc.model.fitness import Fit
from crlm_qc.model.report import Report
from crlm_qc.model.settings import PurposeChoice, Settings
from crlm_qc.request.request import Request
from crlm_qc.request.saved import load_report
from crlm_qc.rulebook.purposes import unknown_purpose, with_purposes
from crlm_qc.rules import registry

if TYPE_CHECKING:
    from crlm_qc.workers import Progress


def usable(
    report: Report | str | Path,
    purpose: str | tuple[str, ...] = "segmentation",
    *,
    strict: bool = False,
    settings: Settings | None = None,
) -> list[str]:
    """Patients to use for a purpose.

    Parameters
    ----------
    report : Report, str or pathlib.Path
        What `crlm_qc.audit` came to, findings.json of an earlier audit, or a release, which is audited first, as far as
        it is not remembered.
    purpose : str or tuple of str
        Name of a purpose, such as `segmentation` or `lesion-counts`; of several, a patient must be usable for all.
    strict : bool
        Whether those that need care are left out too.
    settings : Settings, optional
        How a release is audited; everything by default.

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
    found = cohort(report, purpose, strict=strict, settings=settings)
    if found.patients and len(found.of(Fit.UNKNOWN)) == len(found.patients):
        raise UsageError(f"no patient was judged for {found.name}: {found.patients[0].unknown}")
    return [one.patient for one in found.used]


def cohort(
    report: Report | str | Path,
    purpose: str | tuple[str, ...] = "segmentation",
    *,
    strict: bool = False,
    settings: Settings | None = None,
) -> Cohort:
    """Every patient with its verdict for a purpose, and the findings behind it.

    Parameters
    ----------
    report, purpose, strict, settings
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
    if isinstance(report, Report):
        told = report
    else:
        source = Path(report)
        told = load_report(source) if is_saved(source) else audited(source, Request(settings=settings or Settings()))
    names = (purpose,) if isinstance(purpose, str) else tuple(purpose)
    return cohort_of(told, names, strict=strict)


def is_saved(source: Path) -> bool:
    """Whether a path is of saved results and not of a release: only these are JSON."""
    return source.suffix.lower() == ".json"


def audited(release: Path, request: Request, progress: Progress | None = None) -> Report:
    """What an audit of a release comes to, or has come to; no report is written.

    Parameters
    ----------
    release : pathlib.Path
        Folder or archive of the release, or saved evidence.
    request : Request
        What is asked for.
    progress : callable, optional
        Told of the reading's progress.
    """
    from crlm_qc.auditing.memory import remember
    from crlm_qc.auditing.run import audit

    # Verdicts of crlm-qc check hold for this, too: they are remembered by how it makes pictures.
    memory = remember(release, request, purpose=request.pictures)
    report = audit(release, **request.audited(), progress=progress, memory=memory)
    if memory is not None:
        memory.end()
    return report


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
