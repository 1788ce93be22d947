"""From a release on disk to its evidence: finds the parts, reads the patients in parallel, and puts the tables together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.chosen import Rows, read_sources
from crlm_qc.evidence.lock import lock_rows, read_lock
from crlm_qc.evidence.release import PatientFolder, Release, find_release
from crlm_qc.evidence.source import Item
from crlm_qc.evidence.texts import text_rows
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, empty, frame
from crlm_qc.model.words import suggest
from crlm_qc.workers import default_jobs, executor, ready, start_server

if TYPE_CHECKING:
    from crlm_qc.evidence.patient import PatientRead

__all__ = ["ReleaseError", "collect"]

Progress = Callable[[str, int, int], None]

READING = "reading patients"
"""The phase that progress is told of."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker is given: one patient."""

    patient: str
    items: tuple[Item, ...]
    profile: Profile
    depth: Depth
    hashed: bool = False
    """Whether every byte is read, for its SHA-256."""


@dataclass
class _Tally:
    """Patients that are done, and who is told."""

    total: int
    progress: Progress | None
    done: dict[str, PatientRead] = field(default_factory=dict)

    def add(self, patient: str, read: PatientRead) -> None:
        self.done[patient] = read
        if self.progress is not None:
            self.progress(READING, len(self.done), self.total)


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
    jobs: int | None = None,
    progress: Progress | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Evidence:
    """Read a release.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the release, in either layout.
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
    jobs : int, optional
        Processes to read with; by default one for each core that may be used. One reads in this process.
    progress : callable, optional
        Told of the phase, the patients done and the patients in all.
    meanwhile : callable, optional
        Called while other processes read, if any do: loads what will be needed after.

    Returns
    -------
    Evidence
        All tables; the same for any number of jobs.

    Raises
    ------
    ReleaseError
        The path is no folder that can be audited, a patient asked for is not there, or the lock file can't be used.
    """
    locked = () if lock is None else read_lock(lock)
    release = find_release(root, profile, metadata=metadata, clinical=clinical, manifest=manifest)
    chosen = _choose(release, patients)
    rows: Rows = {name: [] for name in TABLES}
    limits = list(release.limits)
    rows["patients"] = [{"patient": one.patient, "folder": one.folder, "valid": one.valid} for one in chosen]
    rows["lock"] = lock_rows(locked, release, chosen, patients, profile)
    hashed = hashed or lock is not None
    work = _work(chosen, profile, depth, hashed=hashed)
    jobs = default_jobs() if jobs is None else max(1, jobs)
    if min(jobs, len(work)) > 1:
        start_server()
    rows["files"], rows["identifiers"] = _read_outside(release, profile, lock, limits, hashed=hashed)
    # While the server imports what reads a patient, this process reads what it reads itself.
    sources = list(read_sources(release, profile))

    def prepare() -> None:
        # Imports pandas.
        empty("files")
        meanwhile()

    reads = _read_all(work, jobs, progress, prepare)
    for one in work:
        read = reads[one.patient]
        limits += read.limits
        for name, found in read.rows.items():
            rows[name] += found
    rows["files"].sort(key=lambda row: row["path"])
    for candidate_rows in sources:
        for name, found in candidate_rows.items():
            rows[name] += found
    rows["texts"] += text_rows(rows, profile)
    facts = Facts(
        root=release.name,
        layout=release.layout,
        depth=depth,
        patients_read=tuple(sorted(set(patients))),
        limits=tuple(dict.fromkeys(limits)),
        tolerances=profile.tolerances.measuring,
    )
    return Evidence(facts, {name: frame(name, found) for name, found in rows.items()})


def _choose(release: Release, patients: Sequence[str]) -> list[PatientFolder]:
    known = {one.patient for one in release.patients}
    for patient in patients:
        if patient not in known:
            raise ReleaseError(f"no patient {patient} in {release.name}{suggest(patient, sorted(known))}")
    return [one for one in release.patients if not patients or one.patient in patients]


def _read_outside(
    release: Release, profile: Profile, lock: Path | None, limits: list[str], *, hashed: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of `files` and of `identifiers` of what lies outside of the patient folders."""
    from crlm_qc.evidence.deidentification import IdentifierScan
    from crlm_qc.evidence.patient import TOO_DEEP, aside_row, hash_file, scan_outside

    rows = []
    scan = IdentifierScan(None, profile)
    for other in release.others:
        row = scan_outside(aside_row(other.item, other.kind, other.in_collection), other.item, scan)
        # A lock file that lies in the release can't list itself.
        is_lock = lock is not None and Path(other.item.location) == lock.resolve()
        rows.append(hash_file(row, other.item, limits) if hashed and not is_lock else row)
    if scan.too_deep:
        limits.append(f"outside of patient folders: {TOO_DEEP}")
    return rows, scan.rows()


def _work(chosen: Sequence[PatientFolder], profile: Profile, depth: Depth, *, hashed: bool = False) -> list[Work]:
    """One unit a patient, even where it has several folders; in the order of patients."""
    items: dict[str, tuple[Item, ...]] = {}
    for one in chosen:
        items[one.patient] = items.get(one.patient, ()) + one.items
    return [Work(patient, items[patient], profile, depth, hashed) for patient in sorted(items)]


def _read_one(work: Work) -> PatientRead:
    from crlm_qc.evidence.patient import read_patient

    return read_patient(work.patient, work.items, work.profile, work.depth, hashed=work.hashed)


def _read_all(
    work: Sequence[Work], jobs: int, progress: Progress | None, meanwhile: Callable[[], None]
) -> dict[str, PatientRead]:
    tally = _Tally(len(work), progress)
    if min(jobs, len(work)) > 1 and _read_in_processes(work, min(jobs, len(work)), tally, meanwhile):
        return tally.done
    for one in work:
        if one.patient not in tally.done:
            tally.add(one.patient, _read_one(one))
    return tally.done


def _read_in_processes(work: Sequence[Work], jobs: int, tally: _Tally, meanwhile: Callable[[], None]) -> bool:
    """Read in a pool; patients whose process dies are tried once more alone. False if no process can be started."""
    # Those with most files first, so that no process is left alone with a long series at the end.
    waiting = sorted(work, key=lambda one: -len(one.items))
    loading: Future[None] | None = None
    while waiting:
        pool = executor(min(jobs, len(waiting)))
        try:
            pool.submit(ready).result()
        except (BrokenProcessPool, OSError):
            # A script that starts an audit without asking for __main__ can't start workers, nor can a sandbox.
            pool.shutdown(cancel_futures=True)
            return False
        if loading is None:
            # In a thread, so that a process that is done with a patient need not wait for the next.
            loader = ThreadPoolExecutor(1)
            loading = loader.submit(meanwhile)
            loader.shutdown(wait=False)
        suspects = _drain(pool, waiting, jobs, tally)
        pool.shutdown(cancel_futures=True)
        for one in suspects:
            tally.add(one.patient, _read_alone(one))
        waiting = [one for one in waiting if one.patient not in tally.done]
    if loading is not None:
        loading.result()
    return True


def _drain(pool: ProcessPoolExecutor, waiting: Sequence[Work], jobs: int, tally: _Tally) -> list[Work]:
    """Read until all is done or a process dies; then say which patients were being read."""
    source: Iterator[Work] = iter(waiting)
    running: dict[Future[PatientRead], Work] = {}
    while True:
        # No more than the processes take at once, so that few are under suspicion when one dies.
        while len(running) < jobs and (one := next(source, None)) is not None:
            try:
                running[pool.submit(_read_one, one)] = one
            except BrokenProcessPool:
                return [*running.values(), one]
        if not running:
            return []
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            try:
                read = future.result()
            except BrokenProcessPool:
                return list(running.values())
            tally.add(running.pop(future).patient, read)


def _read_alone(one: Work) -> PatientRead:
    """Read a patient in a process of its own, then its headers alone; say so if that fails too."""
    from crlm_qc.evidence.patient import PatientRead, lost_row

    for depth in dict.fromkeys((one.depth, Depth.HEADERS)):
        try:
            with executor(1) as pool:
                read = pool.submit(_read_one, replace(one, depth=depth)).result()
        except BrokenProcessPool:
            continue
        if depth is not one.depth:
            for row in read.rows["dsos"]:
                row |= {"masks": "failed", "masks_detail": "the process that read the masks died"}
            read.limits.append(f"{one.patient}: only headers were read: the process that read more of it died")
        return read
    read = PatientRead()
    read.rows["files"] = [lost_row(one.patient, item) for item in one.items]
    read.limits.append(f"{one.patient}: it was not read: the process that read it died")
    return read
