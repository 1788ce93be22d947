"""From a release on disk to its evidence: finds the parts, reads the patients in parallel, and puts the tables together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.assembling import Gathered, Told, assemble
from crlm_qc.evidence.chosen import Sources, folders_of_others, lost, read_sources
from crlm_qc.evidence.columns import Columns
from crlm_qc.evidence.files import lost_row
from crlm_qc.evidence.lock import lock_rows, read_lock
from crlm_qc.evidence.release import PatientFolder, Release, find_release
from crlm_qc.evidence.rows import PatientRead
from crlm_qc.evidence.shares import share
from crlm_qc.evidence.source import Item, reason
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.part import Part
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import empty
from crlm_qc.model.words import suggest
from crlm_qc.workers import ProcessDiedError, Progress, Weighing, alone, default_jobs, each, start_server
from crlm_qc.workers.executors import EngineError, ExecutorSource, each_on

__all__ = ["ReleaseError", "Told", "collect", "gather"]

READING = "reading patients"
"""The phase that progress is told of."""
_DIED = "the process that read it died"
_FILES_A_TASK, _BYTES_A_TASK = 64, 16 << 20
"""Small patients are sent together to an executor, up to so much: a task may take it as long as to read one of them."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What a worker is given: the tables or lists of one part of a release."""

    release: Release
    """Of it no more than them."""
    profile: Profile


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker is given: one patient."""

    patient: str
    items: tuple[Item, ...]
    profile: Profile
    depth: Depth
    hashed: bool = False
    """Whether every byte is read, for its SHA-256."""
    standard: bool = False
    """Whether the validators of the standard are run."""


class Kept(Protocol):
    """What was read of patients by earlier runs, and what is kept of this one."""

    def get(self, work: Work) -> Told | None:
        """What was read of a patient whose files are as they were then; None if it must be read."""

    def put(self, work: Work, read: Told) -> None:
        """Keep what was read of a patient, as soon as it was."""


Unit = tuple[Callable[[Any], Any], Tables | Work]
"""A reader, and what it reads."""


def collect(
    root: Path,
    profile: Profile,
    *,
    depth: Depth,
    patients: Sequence[str] = (),
    metadata: Path | None = None,
    clinical: Path | None = None,
    manifest: Path | None = None,
    lock: Path | None = None,
    hashed: bool = False,
    standard: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    kept: Kept | None = None,
    listed: Release | None = None,
    access: Access = PLAIN,
    executor: ExecutorSource | None = None,
) -> Evidence:
    """Read a release.

    Parameters
    ----------
    root : pathlib.Path
        Folder or archive of the release, in any layout.
    profile : Profile
        The collection's profile.
    depth : Depth
        How deep to read.
    patients : sequence of str, optional
        Patients to read; all by default.
    metadata, clinical, manifest : pathlib.Path, optional
        Parts that lie elsewhere, or that are to be used in place of those found.
    lock : pathlib.Path, optional
        Lock file to compare the release with; every file is hashed then.
    hashed : bool
        Hash every file even without a lock file.
    standard : bool
        Run the validators of dicom3tools on the files of patients.
    jobs : int, optional
        Processes to read with; by default one for each core that may be used. One reads in this process.
    progress : callable, optional
        Told of the phase, the patients done and the patients in all.
    meanwhile : callable, optional
        Called while other processes read, if any do: loads what will be needed after.
    kept : Kept, optional
        What earlier runs have read, which is not read again; not asked where every byte is hashed.
    listed : Release, optional
        What `find_release` has just found there, so that it is not listed once more.
    access : Access, optional
        What the user said of a release that lies elsewhere.
    executor : Executor or callable, optional
        What patients are read on, or what makes such; by default processes of this machine.

    Returns
    -------
    Evidence
        All tables; the same for any number of jobs, and on any executor.

    Raises
    ------
    ReleaseError
        The path is no folder that can be audited, a patient asked for is not there, the lock file can't be used, or a
        worker of the executor does not see the release.
    """
    return assemble(
        gather(
            root,
            profile,
            depth=depth,
            patients=patients,
            metadata=metadata,
            clinical=clinical,
            manifest=manifest,
            lock=lock,
            hashed=hashed,
            standard=standard,
            jobs=jobs,
            progress=progress,
            meanwhile=meanwhile,
            kept=kept,
            listed=listed,
            access=access,
            executor=executor,
        )
    )


def gather(
    root: Path,
    profile: Profile,
    *,
    depth: Depth,
    patients: Sequence[str] = (),
    part: Part | None = None,
    metadata: Path | None = None,
    clinical: Path | None = None,
    manifest: Path | None = None,
    lock: Path | None = None,
    hashed: bool = False,
    standard: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    kept: Kept | None = None,
    listed: Release | None = None,
    access: Access = PLAIN,
    executor: ExecutorSource | None = None,
) -> Gathered:
    """Read a release, or a part of it, and make no tables of it yet.

    Parameters
    ----------
    root, profile, depth, patients, metadata, clinical, manifest, lock, hashed, standard, jobs, progress, meanwhile, kept, listed, access, executor
        As `collect` takes them.
    part : Part, optional
        Which share of the patients to read; all by default. What is of no patient is read with every part.

    Returns
    -------
    Gathered
        What was read; the same for any number of jobs.

    Raises
    ------
    ReleaseError
        As `collect`.
    """
    locked = () if lock is None else read_lock(lock)
    release = listed or find_release(
        root, profile, metadata=metadata, clinical=clinical, manifest=manifest, access=access
    )
    everyone = _choose(release, patients)
    chosen = everyone if part is None else share(everyone, part)
    hashed = hashed or lock is not None
    work = _work(chosen, profile, depth, hashed=hashed, standard=standard)
    # Who asks for checksums wants every byte to be read.
    kept = None if hashed else kept
    known = {} if kept is None else {one.patient: told for one in work if (told := kept.get(one)) is not None}
    unread = [one for one in work if one.patient not in known]
    processes = default_jobs() if jobs is None else max(1, jobs)
    if executor is None and min(processes, len(unread)) > 1:
        start_server()
    # While the server imports what reads a patient, so does this process what it needs itself.
    from crlm_qc.evidence.outside import read_outside

    def prepare() -> None:
        meanwhile()
        # Imports pandas, and what it imports when it makes its first table.
        empty("files")

    parts, keep = _tables(release, profile), _keeping(kept, progress, unread)
    if executor is None:
        read, tables = _read_all(unread, parts, processes, progress, prepare, keep)
    else:
        try:
            read, tables = _read_on(executor, unread, parts, jobs, progress, prepare, keep)
        except EngineError as error:
            raise ReleaseError(f"{root} can't be read on this engine: {error}") from None
    read |= known
    # A table of another collection tells whose files lie where it leads to.
    outside = read_outside(release, profile, hashed=hashed, lock=lock, others=folders_of_others(tables, profile))
    folders = [
        {"patient": one.patient, "folder": one.folder, "valid": one.valid}
        for one in chosen
        if profile.is_patient_id(one.patient) or not _others_alone(read[one.patient].columns)
    ]
    return Gathered(
        release=release,
        profile=profile,
        depth=depth,
        patients=tuple(sorted(set(patients))),
        everyone=tuple(dict.fromkeys(one.patient for one in everyone)),
        chosen=tuple(chosen),
        sources=tables,
        outside=outside,
        lock=lock_rows(locked, release, everyone, patients, profile),
        folders=folders,
        reads={one.patient: read[one.patient] for one in work},
    )


def _choose(release: Release, patients: Sequence[str]) -> list[PatientFolder]:
    known = {one.patient for one in release.patients}
    for patient in patients:
        if patient not in known:
            raise ReleaseError(f"no patient {patient} in {release.source.name}{suggest(patient, sorted(known))}")
    return [one for one in release.patients if not patients or one.patient in patients]


def _work(
    chosen: Sequence[PatientFolder], profile: Profile, depth: Depth, *, hashed: bool = False, standard: bool = False
) -> list[Work]:
    """One unit a patient, even where it has several folders; in the order of patients."""
    items: dict[str, tuple[Item, ...]] = {}
    for one in chosen:
        items[one.patient] = items.get(one.patient, ()) + one.items
    profile = profile.reading()
    return [Work(patient, items[patient], profile, depth, hashed, standard) for patient in sorted(items)]


def _tables(release: Release, profile: Profile) -> list[Tables]:
    """A unit a part of the release that is a table or a list."""
    parts = dict.fromkeys(one.part for one in release.candidates)
    bare = replace(release, patients=(), others=(), folders=())
    return [
        Tables(replace(bare, candidates=tuple(one for one in release.candidates if one.part == part)), profile)
        for part in parts
    ]


def _read_tables(tables: Tables) -> Sources:
    """What is read of tables; what nobody thought of costs no more than these."""
    try:
        return read_sources(tables.release, tables.profile)
    except Exception as error:  # noqa: BLE001 - what strangers wrote may be anything
        return _lost_tables(tables, f"{type(error).__name__} while reading")


def _lost_tables(tables: Tables, why: str = _DIED) -> Sources:
    """That tables are there, and why nothing was read of them."""
    return {
        part: [lost(one, why) for one in tables.release.candidates if one.part == part]
        for part in dict.fromkeys(one.part for one in tables.release.candidates)
    }


def _done(unit: Unit) -> Any:
    """What comes of a unit."""
    read, work = unit
    return read(work) if isinstance(work, Tables) else _in_columns(read(work))


def _lost(unit: Unit) -> Any:
    """What comes of a unit whose process died."""
    _, work = unit
    return _lost_tables(work) if isinstance(work, Tables) else _in_columns(_read_less(work))


def _in_columns(read: PatientRead) -> Told:
    return Told(Columns(read.rows), read.limits)


def _others_alone(read: Columns) -> bool:
    """Whether a folder that names no patient holds objects of others and nothing of the release; its files are nobody's then."""
    kinds = set(read.texts("files", "kind"))
    if "other-object" not in kinds or kinds - {"other-object", "licence", "system"}:
        return False
    read.clear("files", "patient")
    return True


def _read_one(work: Work) -> PatientRead:
    """What is read of a patient; what nobody thought of costs no more than this one."""
    try:
        return _read(work)
    except Exception as error:  # noqa: BLE001 - values in files may be anything
        return _less(work, _read, Exception, f"{type(error).__name__} while reading")


def _read(work: Work) -> PatientRead:
    from crlm_qc.evidence.patient import read_patient

    return read_patient(work.patient, work.items, work.profile, work.depth, hashed=work.hashed, standard=work.standard)


def _keeping(kept: Kept | None, progress: Progress | None, work: Sequence[Work]) -> Callable[[Unit, Any], None]:
    """Has what was read of patients kept, as soon as it was, and its bytes told of."""
    sizes = {one.patient: sum(item.size or 0 for item in one.items) for one in work}
    total, done = sum(sizes.values()), 0
    told: object = progress

    def keep(unit: Unit, read: Any) -> None:
        nonlocal done
        if not isinstance(unit[1], Work):
            return
        if kept is not None:
            kept.put(unit[1], read)
        if isinstance(told, Weighing):
            done += sizes[unit[1].patient]
            told.weigh(done, total)

    return keep


def _read_all(
    work: Sequence[Work],
    tables: Sequence[Tables],
    jobs: int,
    progress: Progress | None,
    meanwhile: Callable[[], None],
    keep: Callable[[Unit, Any], None],
) -> tuple[dict[str, Told], Sources]:
    """What was read of each patient, and of the tables: by other processes too, so that the audit outlives what they hold."""
    patients = _units(work)
    units: list[Unit] = [*((_read_tables, one) for one in tables), *patients]
    first = len(tables)
    # One patient is no work for several processes.
    jobs = jobs if len(work) > 1 else 1
    reads = each(
        _done, units, jobs, phase=READING, progress=progress, lost=_lost, meanwhile=meanwhile, aside=first, keep=keep
    )
    from crlm_qc.evidence.arena import Arena

    Arena.release()
    return _by_patient(patients, reads[first:]), _together(reads[:first])


def _read_on(
    executor: ExecutorSource,
    work: Sequence[Work],
    tables: Sequence[Tables],
    jobs: int | None,
    progress: Progress | None,
    meanwhile: Callable[[], None],
    keep: Callable[[Unit, Any], None],
) -> tuple[dict[str, Told], Sources]:
    """The same by an executor; tables, which may lie outside of the release, by processes of this machine."""
    found = each(_done, [(_read_tables, one) for one in tables], default_jobs(), phase=READING, lost=_lost)
    patients = _units(work)
    reads = each_on(
        executor,
        _done,
        patients,
        phase=READING,
        gone=_gone,
        less=_headers_alone,
        fit=partial(_unfit, _versions()),
        cost=_cost,
        jobs=jobs,
        progress=progress,
        lost=_lost,
        meanwhile=meanwhile,
        keep=keep,
    )
    return _by_patient(patients, reads), _together(found)


def _units(work: Sequence[Work]) -> list[Unit]:
    """Patients to read, those with most files first: so no process is left alone with a long series at the end."""
    return [(_read_one, one) for one in sorted(work, key=lambda one: -len(one.items))]


def _by_patient(units: Sequence[Unit], reads: Sequence[Any]) -> dict[str, Told]:
    return {one.patient: read for (_, one), read in zip(units, reads, strict=True) if isinstance(one, Work)}


def _together(reads: Sequence[Any]) -> Sources:
    """What was read of all tables."""
    return {part: tuple(found) for read in reads for part, found in read.items() if found}


def _cost(unit: Unit) -> float:
    """How much of a task a patient is."""
    items = unit[1].items if isinstance(unit[1], Work) else ()
    return max(len(items) / _FILES_A_TASK, sum(item.size or 0 for item in items) / _BYTES_A_TASK)


def _unfit(versions: Mapping[str, str], units: Sequence[Unit]) -> str | None:
    """Why the process that this is called in can't read patients as the one that listed the release; None if it can."""
    for name, own in _versions().items():
        if own != versions[name]:
            return f"has {name} {own}, and this machine {versions[name]}: install the same there"
    items = [item for _, work in units if isinstance(work, Work) for item in work.items if item.readable]
    try:
        for item in items[:1]:
            item.read(0, 1)
    except OSError as error:
        return f"does not see the release: {reason(error)}"
    return None


@cache
def _versions() -> Mapping[str, str]:
    """Versions of what has a say in what is read, in this process."""
    return {name: _version(name) for name in ("crlm-qc", "pydicom", "numpy", "connected-components-3d")}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of no version"


def _headers_alone(unit: Unit) -> Unit | None:
    """A patient of whom no more than headers is read; None if no more was asked for."""
    read, work = unit
    return (partial(_read_headers, read), work) if isinstance(work, Work) and work.depth is not Depth.HEADERS else None


def _gone(unit: Unit) -> Any:
    """What comes of a patient that no worker came back from."""
    _, work = unit
    return _in_columns(_unread(work, _DIED)) if isinstance(work, Work) else _lost_tables(work)


def _read_less(one: Work) -> PatientRead:
    """Read the headers alone of a patient whose reading ends its process; say so if that fails too."""
    return _less(one, lambda less: alone(_read_one, less), ProcessDiedError, _DIED)


def _read_headers(read: Callable[[Work], PatientRead], one: Work) -> PatientRead:
    """The same in this process, where it is one that may die."""
    return _less(one, read, Exception, _DIED)


def _less(one: Work, read_again: Callable[[Work], PatientRead], failing: type[Exception], why: str) -> PatientRead:
    """What is read of a patient's headers alone, and that no more was; or that nothing was."""
    if one.depth is not Depth.HEADERS:
        with suppress(failing):
            read = read_again(replace(one, depth=Depth.HEADERS))
            for row in read.rows["dsos"]:
                row |= {"masks": "failed", "masks_detail": why}
            read.limits.append(f"{one.patient}: only headers were read: {why}")
            return read
    return _unread(one, why)


def _unread(one: Work, why: str) -> PatientRead:
    """That nothing was read of a patient."""
    read = PatientRead()
    read.rows["files"] = [lost_row(one.patient, item, why) for item in one.items]
    read.limits.append(f"{one.patient}: it was not read: {why}")
    return read
