"""A release in parts: one is read on each machine, and together they are the evidence of one audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.cache.digests import digest
from crlm_qc.collection.profile import Profile
from crlm_qc.model.errors import ReleaseError, UsageError
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.paths import resolved
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.words import plural
from crlm_qc.request.request import Request

if TYPE_CHECKING:
    from crlm_qc.auditing.memory import Memory
    from crlm_qc.evidence.parts import Joined
    from crlm_qc.evidence.release import Release
    from crlm_qc.model.part import Part
    from crlm_qc.workers import Progress
    from crlm_qc.workers.executors import ExecutorSource


@dataclass(frozen=True, slots=True)
class PartRead:
    """What came of the reading of a part."""

    patients: int
    """How many it holds."""
    every: int
    """How many all parts hold."""
    limits: tuple[str, ...]
    """What was not read of it though it was asked for."""


def list_release(root: Path, request: Request, listed: Release | None = None) -> Release:
    """The release as it is listed, unless it was before.

    Raises
    ------
    UsageError
        It is saved evidence, or as `crlm_qc.evidence.release.find_release`.
    """
    from crlm_qc.evidence.release import find_release
    from crlm_qc.evidence.store import is_evidence

    if is_evidence(root):
        raise UsageError(f"{root} is saved evidence: --part is of a release")
    parts = request.parts
    return listed or find_release(
        root,
        request.profile_to_read,
        metadata=parts.metadata,
        clinical=parts.clinical,
        manifest=parts.manifest,
        access=request.access,
    )


def of_part(request: Request, part: Part, release: Release) -> Request:
    """The request for the patients of a part alone.

    Parameters
    ----------
    request : Request
        What is asked of all parts.
    part : Part
        Which share.
    release : Release
        What the walk found.

    Raises
    ------
    ReleaseError
        It has no patient.
    """
    from crlm_qc.evidence.shares import share

    asked = request.settings.patients
    every = [one for one in release.patients if not asked or one.patient in asked]
    found = tuple(sorted({one.patient for one in share(every, part)}))
    if not found:
        there = plural(len({one.patient for one in every}), "patient")
        raise ReleaseError(f"part {part} of {release.source.name} has no patient: there are {there} to share out")
    return replace(request, settings=replace(request.settings, patients=found))


def read_part(
    root: Path,
    request: Request,
    part: Part,
    folder: Path | None,
    *,
    progress: Progress | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    memory: Memory | None = None,
    listed: Release | None = None,
    executor: ExecutorSource | None = None,
) -> PartRead:
    """Read a part of a release, and judge nothing.

    Parameters
    ----------
    root : pathlib.Path
        Folder or archive of the release.
    request : Request
        How it is read.
    part : Part
        Which share of the patients.
    folder : pathlib.Path, optional
        Where the part is saved; without it, it is read for what `memory` keeps of it alone.
    progress, meanwhile, executor
        As `crlm_qc.evidence.collect.collect` takes them.
    memory : Memory, optional
        What earlier audits have read, which is not read again; it keeps what is read.
    listed : Release, optional
        What `list_release` gave, so that it is not listed once more.

    Returns
    -------
    PartRead

    Raises
    ------
    UsageError
        The release can't be read, or the part not be written.
    """
    from crlm_qc.evidence.collect import gather
    from crlm_qc.evidence.lock import read_lock
    from crlm_qc.evidence.parts import save_part

    if listed is None:
        if memory is not None:
            memory.look(root, request)
        listed = list_release(root, request, None if memory is None else memory.release)
    settings, profile = request.settings, request.profile_to_read
    gathered = gather(
        root,
        profile,
        depth=settings.depth,
        patients=settings.patients,
        part=part,
        lock=request.lock,
        standard=settings.standard,
        jobs=request.jobs,
        progress=progress,
        meanwhile=meanwhile,
        kept=memory,
        listed=listed,
        access=request.access,
        executor=executor,
    )
    limits = (
        *listed.limits,
        *gathered.outside.limits,
        *(one for told in gathered.reads.values() for one in told.limits),
    )
    found = PartRead(len(gathered.reads), len(gathered.everyone), tuple(dict.fromkeys(limits)))
    if folder is not None:
        how = {
            "version": _version(),
            "depth": settings.depth.value,
            "profile": _digest(profile),
            "tolerances": digest(profile.reading().tolerances),
            "patients": digest(gathered.patients),
            "lock": "" if request.lock is None else digest(read_lock(request.lock)),
            "standard": str(settings.standard),
            "objects": str(settings.all_objects),
        }
        save_part(gathered, part, folder, how)
    return found


def evidence_of(folder: Path, request: Request) -> Evidence:
    """The evidence of one part, to be judged alone."""
    from crlm_qc.evidence.parts import Joined, open_parts

    return Joined(open_parts([folder]), request.profile_to_read, asked=True).evidence


def merge(folders: Sequence[Path], to: Path, profile: Profile, *, allow_missing: bool = False) -> Evidence:
    """Make parts one saved evidence, as one reading of the release would have been saved.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        The parts, in any order.
    to : pathlib.Path
        Where the evidence goes.
    profile : Profile
        The one that they were read with.
    allow_missing : bool
        Whether parts may be missing: their patients are not judged then, which is a limit of the audit.

    Returns
    -------
    Evidence
        What was saved; its tables are made as they are asked for.

    Raises
    ------
    UsageError
        A part is missing or damaged, two do not belong together, the profile is another, or it can't be written.
    """
    from crlm_qc.evidence.parts import Joined, listed, missing, open_parts
    from crlm_qc.evidence.store import save

    parts = open_parts(folders)
    if any(resolved(to).is_relative_to(resolved(one.path)) for one in parts):
        raise UsageError(f"{to} is one of the parts: give another folder with --out")
    if (lacking := missing(parts)) and not allow_missing:
        raise UsageError(
            f"{listed(lacking)} missing: "
            f"crlm-qc evidence read RELEASE --part {lacking[0]} --out FOLDER reads one, and "
            "--allow-missing leaves their patients out, which is a limit of the audit"
        )
    used = replace(profile, others=()) if parts[0].facts.of.get("objects") == str(True) else profile
    if parts[0].facts.of.get("profile") != _digest(used):
        raise UsageError(f"{parts[0].path} was read with another profile: give that one with --profile")
    joined = Joined(parts, used)
    evidence = Evidence(joined.facts, _Redacted(joined, used))
    save(evidence, to)
    return evidence


class _Redacted(Mapping[str, Any]):
    """Tables of several parts, with every text replaced that may identify somebody; made when they are asked for."""

    def __init__(self, joined: Joined, profile: Profile) -> None:
        from crlm_qc.auditing.redaction import Redaction

        self._joined = joined
        self._redaction = Redaction(profile, joined.texts)

    def __getitem__(self, name: str) -> Any:
        return self._redaction.of(name, self._joined[name])

    def __contains__(self, name: object) -> bool:
        # Else the table would be made for it.
        return name in self._joined

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)


def _digest(profile: Profile) -> str:
    """What tells a profile from another, wherever it lies; tolerances are compared by themselves."""
    return digest(replace(profile, tolerances=Tolerances(), folder=None))


def _version() -> str:
    from importlib.metadata import version

    return version("crlm-qc")
