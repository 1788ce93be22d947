"""From a release to a report: reads evidence, and has it judged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from crlm_qc.auditing.parting import evidence_of, list_release, of_part, read_part
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.engines import gx_engine
from crlm_qc.engines.imports import lasting
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.request.request import Parts, Request, settings_from, waivers_from
from crlm_qc.rulebook.rule import Rule, RuleKind

if TYPE_CHECKING:
    from crlm_qc.auditing.memory import Memory
    from crlm_qc.evidence.release import Release
    from crlm_qc.evidence.store import Saved
    from crlm_qc.model.evidence import Evidence
    from crlm_qc.model.part import Part
    from crlm_qc.workers import Progress
    from crlm_qc.workers.executors import ExecutorSource


def audit(
    release: str | Path,
    *,
    depth: Depth | str | None = None,
    subset: bool | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    patients: str | Iterable[str] | None = None,
    severity: Mapping[str, Severity | str] | None = None,
    tolerances: Mapping[str, float] | None = None,
    known_issues: bool | None = None,
    redact_paths: bool | None = None,
    standard: bool | None = None,
    all_objects: bool | None = None,
    settings: Settings | None = None,
    profile: Profile | str | Path | None = None,
    parts: Parts | None = None,
    lock: Path | None = None,
    jobs: int | None = None,
    evidence_to: str | Path | None = None,
    waivers: Iterable[Waiver | str | Path] = (),
    today: dt.date | None = None,
    progress: Progress | None = None,
    hashed: bool = False,
    on_evidence: Callable[[Evidence], None] | None = None,
    allow_did_waivers: bool = False,
    memory: Memory | None = None,
    access: Access = PLAIN,
    part: Part | None = None,
    executor: ExecutorSource | None = None,
) -> Report:
    """Audit a release, or the evidence of one.

    Parameters
    ----------
    release : str or pathlib.Path
        Folder or archive of the release, or a folder that an earlier audit wrote evidence to.
    depth : Depth or str, optional
        How deep to read: `headers`, `masks` or `pixels`, which is the default.
    subset : bool, optional
        Part of the release on purpose: what compares the whole is skipped.
    select, ignore : str or iterable of str, optional
        Codes, beginnings of codes, or slugs of rules: only these, and all but these. A text may have several, by comma.
    patients : str or iterable of str, optional
        Patients to audit; all by default. `@FILE` stands for the lines of a file.
    severity : mapping of str to Severity or str, optional
        Severities in place of the rules' own, by code: `error`, `warning`, `info`, or `off`.
    tolerances : mapping of str to float, optional
        Tolerances in place of the profile's, by name.
    known_issues : bool, optional
        Whether the documented faults of the published release are waived; they are by default.
    redact_paths : bool, optional
        Whether folders are named after patient and contents alone.
    standard : bool, optional
        Whether the validators of dicom3tools are run too.
    all_objects : bool, optional
        Whether objects of others, which the profile tells apart, are audited too.
    settings : Settings, optional
        All of the above in one value, in their place.
    profile : Profile, str or pathlib.Path, optional
        The collection's profile, or its file; by default that of Colorectal-Liver-Metastases.
    parts : Parts, optional
        Tables and lists that lie elsewhere than in the release.
    lock : pathlib.Path, optional
        Lock file to compare every byte of the release with.
    jobs : int, optional
        Processes to read with; by default one a core.
    evidence_to : str or pathlib.Path, optional
        Folder to write the evidence tables to, as Parquet; texts that may identify somebody are replaced by numbers.
    waivers : iterable of Waiver, str or pathlib.Path
        Findings that are accepted, or files of them (TOML), beside the known issues of the published release.
    today : datetime.date, optional
        The day that the expiry of waivers is judged on; by default today (UTC).
    progress : callable, optional
        Told of the reading's progress.
    hashed : bool
        Hash every file as it is read, even without a lock file.
    on_evidence : callable, optional
        Given the evidence before it is judged; not where the verdict itself was remembered. Of saved evidence that is judged
        in batches, it is given what is held of it, after: `crlm_qc.auditing.batches.HELD`.
    allow_did_waivers : bool
        Whether waivers may accept what identifies a person: errors of the family DID.
    memory : Memory, optional
        What earlier audits came to. With a lock file, or where every file is hashed, it is not asked.
    access : Access, optional
        What is said of a release that lies elsewhere: its listing, the server, whether requests are signed.
    part : Part, optional
        Share of the patients to audit, as if they alone were asked for; what is written to `evidence_to` is then what
        `crlm_qc.auditing.parting.merge` takes.
    executor : concurrent.futures.Executor or callable, optional
        What patients are read on, in place of processes of this machine: an executor, which is left open, or what makes
        one, such as a class of executors, and another when it breaks. `jobs` then says how many tasks are in flight.
        A patient that workers are lost of is tried once more alone, then its headers alone, and else named in the
        report's limits. What a broken executor takes no more is read by processes of this machine.

    Returns
    -------
    Report
        Outcomes and findings of every rule; equal for equal input.

    Raises
    ------
    TypeError
        `settings` is given, and something beside it that belongs into it.
    UsageError
        The path is no folder, a value can't be used, a code is unknown, a patient is not there, the lock file can't be used, a waiver
        accepts what identifies a person, or a worker of the executor does not see the release.
    """
    from crlm_qc.auditing.judging import judge

    options = {
        "depth": depth,
        "subset": subset,
        "select": select,
        "ignore": ignore,
        "patients": patients,
        "severity": severity,
        "tolerances": tolerances,
        "known-issues": known_issues,
        "redact-paths": redact_paths,
        "standard": standard,
        "all-objects": all_objects,
    }
    settings = settings_from(settings, {key: value for key, value in options.items() if value is not None})
    profile = profile if isinstance(profile, Profile) else load_profile(None if profile is None else Path(profile))
    profile = profile.with_tolerances(settings.tolerances)
    request = Request(
        settings=settings,
        profile=profile,
        parts=parts or Parts(),
        access=access,
        lock=lock,
        jobs=jobs,
        waivers=waivers_from(waivers),
        allow_did_waivers=allow_did_waivers,
    )
    if request.parts.clinical is not None and not profile.has_workbook:
        raise UsageError(f"--clinical: the profile of {profile.name} describes no clinical workbook")
    chosen, accepted = request.rules(), request.accepted()
    whole_alone = part is None and evidence_to is None
    if whole_alone and (many := _many(Path(release), request, hashed=hashed)) is not None:
        from crlm_qc.auditing.batches import judge_saved

        report, held = judge_saved(
            many, profile, settings, chosen, waivers=accepted, today=today, jobs=jobs, progress=progress
        )
        if on_evidence is not None:
            on_evidence(held)
        return report
    remembered = memory if _may_remember(Path(release), request, hashed=hashed) else None
    whole = request
    if remembered is not None:
        remembered.look(Path(release), request)
    listed = None if remembered is None else remembered.release
    if part is not None:
        listed = list_release(Path(release), request, listed)
        request = of_part(request, part, listed)
    if remembered is not None and evidence_to is None:
        day = today or dt.datetime.now(tz=dt.UTC).date()
        if (verdict := remembered.verdict(request, chosen, accepted, day)) is not None:
            return verdict
    reading: _Reading = {
        "progress": progress,
        "meanwhile": lambda: _load(chosen, request.settings),
        "memory": remembered,
        "listed": listed,
        "executor": executor,
    }
    if part is not None and evidence_to is not None:
        read_part(Path(release), whole, part, Path(evidence_to), **reading)
        evidence, evidence_to = evidence_of(Path(evidence_to), request), None
    else:
        evidence = _evidence(Path(release), request, hashed=hashed, **reading)
    if on_evidence is not None:
        on_evidence(evidence)
    if evidence_to is not None:
        from crlm_qc.auditing.redaction import redact
        from crlm_qc.evidence.store import save

        save(redact(evidence, profile), Path(evidence_to))
    return judge(evidence, profile, request.settings, chosen, waivers=accepted, today=today)


class _Reading(TypedDict):
    """With what a release is read."""

    progress: Progress | None
    meanwhile: Callable[[], None]
    memory: Memory | None
    listed: Release | None
    executor: ExecutorSource | None


def _load(rules: Sequence[Rule], settings: Settings) -> None:
    """Import what rules will run on. It takes longer than to read a patient, so it is done while patients are read."""
    with lasting():
        import pandas  # noqa: F401, ICN001

        if not settings.partial and any(rule.kind is RuleKind.EXPECTATION for rule in rules):
            gx_engine.load()


def _may_remember(release: Path, request: Request, *, hashed: bool) -> bool:
    """Whether what earlier audits came to may stand for this one: not for one that every byte is read for."""
    from crlm_qc.evidence.store import is_evidence

    return not hashed and request.lock is None and not is_evidence(release)


def _evidence(
    release: Path,
    request: Request,
    *,
    hashed: bool,
    progress: Progress | None,
    meanwhile: Callable[[], None],
    memory: Memory | None,
    listed: Release | None,
    executor: ExecutorSource | None,
) -> Evidence:
    """The evidence that was saved, or that a release gives."""
    from crlm_qc.evidence.collect import collect
    from crlm_qc.evidence.store import is_evidence, load

    if is_evidence(release):
        _refuse(release, request, hashed=hashed)
        loaded = load(release, request.settings.patients)
        _refuse_others(release, request, loaded["files"])
        return loaded
    return collect(
        release,
        request.profile_to_read,
        depth=request.settings.depth,
        patients=request.settings.patients,
        metadata=request.parts.metadata,
        clinical=request.parts.clinical,
        manifest=request.parts.manifest,
        access=request.access,
        lock=request.lock,
        hashed=hashed,
        standard=request.settings.standard,
        jobs=request.jobs,
        progress=progress,
        meanwhile=meanwhile,
        kept=memory,
        listed=listed,
        executor=executor,
    )


def _many(release: Path, request: Request, *, hashed: bool) -> Saved | None:
    """Saved evidence of so many patients that it is judged in batches; None for anything else."""
    from crlm_qc.evidence.store import is_evidence, saved

    if request.settings.patients or not is_evidence(release):
        return None
    _refuse(release, request, hashed=hashed)
    found = saved(release)
    from crlm_qc.auditing.batches import MANY

    if found.length("patients") < MANY:
        return None
    _refuse_others(release, request, found.columns("files", ["others"]))
    return found


def _refuse(release: Path, request: Request, *, hashed: bool) -> None:
    """Refuse what saved evidence can't give."""
    if request.lock is not None:
        raise UsageError(
            f"{release} is saved evidence, which --lock can't be compared with: give the release itself. "
            "Evidence that was collected with a lock file keeps the comparison"
        )
    if hashed:
        raise UsageError(f"{release} is saved evidence, whose files can't be hashed: give the release itself")


def _refuse_others(release: Path, request: Request, files: Any) -> None:
    if request.settings.all_objects and files["others"].notna().any():
        raise UsageError(
            f"{release} is saved evidence, in which objects of others were left out: give the release itself"
        )
