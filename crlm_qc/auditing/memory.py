"""What earlier audits came to, so that what has not changed since is not read, judged and drawn once more.

An entry is found by all that it depends on: the stamps of the files (size, times, inode), the code and the libraries, and
what was asked for. So nothing is ever out of date: another file, another profile, another version have another key.

Nothing that may identify a person is kept of what was read: a patient of whom redaction would change a text is read each
time. Verdicts and pictures hold what reports show, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.auditing.waiving import standing
from crlm_qc.cache.digests import digest, digest_of_files, drawer_digest, reader_digest, tool_digest
from crlm_qc.cache.store import PICTURES, READS, VERDICTS, Store, user_cache
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.model.picture import Picture, PictureRequest
from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.report import CacheUse, Report

if TYPE_CHECKING:
    from crlm_qc.collection.profile import Profile
    from crlm_qc.collection.waivers import Waiver
    from crlm_qc.evidence.collect import Told, Work
    from crlm_qc.evidence.columns import Columns
    from crlm_qc.evidence.release import Release
    from crlm_qc.evidence.source import Item
    from crlm_qc.request.request import Request
    from crlm_qc.rulebook.rule import Rule

GRAIN_NS = 2_000_000_000
"""A file that changed so short a time before it was listed may change once more without its times telling: FAT counts in 2 s."""
_NAMES = frozenset({"PatientName", "PatientID"})
_UNFIT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What is raised where an entry holds something else than was kept."""


@dataclass
class Memory:
    """What is remembered of one release, for one audit.

    Parameters
    ----------
    store : Store
        Where it is kept.
    purpose : object
        What a verdict depends on that the audit does not know, such as how pictures are made: plain values.
    """

    store: Store
    purpose: Any = None
    release: Release | None = field(default=None, init=False)
    """The release as it was listed before anything was read."""
    pictures: Mapping[str, bytes] | None = field(default=None, init=False)
    """Files of the pictures of a verdict that was remembered."""
    kept: int = field(default=0, init=False)
    """Patients that were read and are kept, so that a run that is stopped need not read them again."""
    _since: int = field(default=0, init=False)
    """Before the listing, in nanoseconds."""
    _verdict: str | None = field(default=None, init=False)
    _use: CacheUse | None = field(default=None, init=False)
    _patients: int = field(default=0, init=False)
    _days: list[str] = field(default_factory=list, init=False)
    """On which days that was read which was not read again."""
    _whole: Profile | None = field(default=None, init=False)
    """The profile, with what the reading of patients has no use for."""
    _read_with: tuple[Profile, str] | None = field(default=None, init=False)
    """The one that patients are read with, and its digest."""
    _work: dict[str, tuple[str, Work]] = field(default_factory=dict, init=False)
    """What was to be read of each patient, and its key."""
    _stored: bool = field(default=False, init=False)

    def look(self, root: Path, request: Request) -> None:
        """List a release, so that what is read of it and what is remembered is known by the same listing.

        Raises
        ------
        ReleaseError
            As `crlm_qc.evidence.release.find_release`.
        """
        from crlm_qc.evidence.release import find_release

        self._since, self._whole = time.time_ns(), request.profile
        parts = request.parts
        self.release = find_release(
            root,
            request.profile_to_read,
            metadata=parts.metadata,
            clinical=parts.clinical,
            manifest=parts.manifest,
            access=request.access,
        )

    def verdict(
        self, request: Request, chosen: Iterable[Rule], waivers: Sequence[Waiver], today: dt.date
    ) -> Report | None:
        """The report of an earlier audit that was asked for the same of the same files.

        Parameters
        ----------
        request : Request
            What is asked for.
        chosen : iterable of Rule
            The rules that run.
        waivers : sequence of Waiver
            All that hold.
        today : datetime.date
            The day that their expiry is judged on.

        Returns
        -------
        Report or None
            Equal to what the audit would come to; None if there is nothing to know that by.
        """
        release = self.release
        files = None if release is None else _files(release)
        if release is None or files is None:
            return None
        days = [standing(waiver, today) for waiver in waivers]
        asked = [
            request.settings,
            request.profile,
            digest_of_files(request.profile.folder, request.profile.suites),
            [rule.code for rule in chosen],
            waivers,
            days,
        ]
        beside = [one.row for one in release.near]
        # Where it lies has a say in what paths of tables outside of it lead to.
        found = [repr(release.source), release.layout, release.limits, release.unlisted, release.folders, files, beside]
        validators = _validators() if request.settings.standard else None
        self._verdict = digest([tool_digest(), asked, self.purpose, request.allow_did_waivers, validators, found])
        return self._recalled(self.store.get(VERDICTS, self._verdict))

    def _recalled(self, found: Any) -> Report | None:
        try:
            report = Report.from_dict(found["report"])
            pictures = {name: b64decode(content) for name, content in found["pictures"].items()}
            use = from_plain(CacheUse, {"patients": found["patients"], "read": 0, "oldest": _day(found)})
        except _UNFIT:
            return None
        self.pictures, self._use = pictures, use
        return report

    def keep(self, report: Report, pictures: Mapping[str, bytes]) -> None:
        """Remember what an audit came to, with its pictures, if that was all there is to say.

        What could not be read, checked or drawn is tried again the next time. Nothing is kept either of files that were
        changed a moment before the audit, or during it.
        """
        if self._verdict is None or self.release is None or self.pictures is not None or report.incomplete:
            return
        every = _every(self.release)
        if self._settled(every) and all(item.unchanged() for item in every) and _is_told_whole(report):
            content = {
                "day": min([_today(), *self._days]),
                "patients": self._patients,
                "report": report.as_dict(),
                "pictures": {name: b64encode(content).decode() for name, content in pictures.items()},
            }
            self._stored |= self.store.put(VERDICTS, self._verdict, content)

    def get(self, work: Work) -> Told | None:
        """What an earlier run read of a patient whose files have not changed since; None if there is nothing."""
        self._patients += 1
        key = self._key(work)
        if key is None:
            return None
        self._work[work.patient] = key, work
        if (found := _told(self.store.get(READS, key))) is None:
            return None
        read, day = found
        self._days.append(day)
        return read

    def put(self, work: Work, read: Told) -> None:
        """Keep what was read of a patient, unless it is not all there is, or may identify somebody.

        Files that were changed a moment before they were listed, or while they were read, are read once more the next time.
        """
        key, _ = self._work.get(work.patient, (None, None))
        if key is None or read.limits or self._whole is None or not self._settled(work.items):
            return
        if not _tells_nobody(work.patient, read.columns, self._whole):
            return
        if all(item.unchanged() for item in work.items):
            stored = self.store.put(READS, key, {"day": _today(), "tables": read.columns.kept()})
            self._stored |= stored
            self.kept += stored

    def drawn(self, requests: Sequence[PictureRequest], how: Any) -> list[tuple[Picture, bytes]] | None:
        """What an earlier run drew of a patient whose files have not changed since; None if there is nothing.

        Parameters
        ----------
        requests : sequence of PictureRequest
            All pictures of the patient.
        how : object
            How they are drawn: plain values.
        """
        key, _ = self._drawing(requests, how)
        return None if key is None else _pictured(self.store.get(PICTURES, key))

    def keep_drawn(self, requests: Sequence[PictureRequest], how: Any, made: list[tuple[Picture, bytes]]) -> None:
        """Keep what was drawn of a patient, unless its files were changed a moment before they were listed, or since."""
        key, items = self._drawing(requests, how)
        if key is not None and self._settled(items) and all(item.unchanged() for item in items):
            content = [[to_plain(picture), b64encode(content).decode()] for picture, content in made]
            self._stored |= self.store.put(PICTURES, key, {"made": content})

    def _drawing(self, requests: Sequence[PictureRequest], how: Any) -> tuple[str | None, tuple[Item, ...]]:
        """What everything hangs on that is drawn of a patient, and its files; None where they don't say all."""
        read, work = self._work.get(requests[0].patient, (None, None))
        if read is None or work is None:
            return None, ()
        # A link in a folder is looked at anew when it is drawn, so that it may lead elsewhere by then.
        known = {item.path for item in work.items if item.key == item.path or item.as_listed}
        shown = {path for request in requests for path in request.paths}
        return (digest([drawer_digest(), read, requests, how]) if shown <= known else None), work.items

    def _key(self, work: Work) -> str | None:
        """What everything hangs on that is read of a patient; None where a file has nothing to know it again by."""
        items = _items(work.items)
        if work.hashed or items is None:
            return None
        validators = _validators() if work.standard else None
        return digest([reader_digest(), self._digest_of(work.profile), work.depth, validators, work.patient, items])

    def _digest_of(self, profile: Profile) -> str:
        if self._read_with is None or self._read_with[0] is not profile:
            self._read_with = profile, digest(profile)
        return self._read_with[1]

    def _settled(self, items: Iterable[Item]) -> bool:
        """Whether all files had been left alone for a while when they were listed."""
        stamps = [one.stamp for one in items if one.stamp is not None]
        return all(one.tag or max(one.modified, one.changed) < self._since - GRAIN_NS for one in stamps)

    @property
    def use(self) -> CacheUse | None:
        """What a run says of what it took from here; None if that was nothing."""
        if self._days and self._use is None:
            return CacheUse(len(self._days), self._patients - len(self._days), min(self._days))
        return self._use

    def end(self) -> None:
        """Make room, after a run that has kept something."""
        if self._stored:
            self.store.prune()


def remember(release: Path, request: Request, purpose: Any = None) -> Memory | None:
    """What earlier audits of a release came to.

    Parameters
    ----------
    release : pathlib.Path
        Folder of the release.
    request : Request
        What is asked for.
    purpose : object
        As `Memory` takes it.

    Returns
    -------
    Memory or None
        None where nothing is to be remembered, or can't be.

    Raises
    ------
    UsageError
        The folder that was named lies in the release, is somebody else's, or others may write to it.
    """
    if request.no_cache:
        return None
    folder = request.cache or user_cache()
    try:
        if resolved(folder).is_relative_to(resolved(release)):
            raise UsageError(
                f"{folder} lies in the release, which is never written to. Give a folder elsewhere: --cache DIR"
            )
        store = Store.opened(folder)
    except UsageError:
        # Of a folder that nobody asked for, nobody is told.
        if request.cache is not None:
            raise
        return None
    return None if store is None else Memory(store, purpose)


def _is_told_whole(report: Report) -> bool:
    """Whether the report is the same when it is read again."""
    try:
        told = json.dumps(report.as_dict())
        return json.dumps(Report.from_dict(json.loads(told)).as_dict()) == told
    except (TypeError, PlainError):
        return False


def _every(release: Release) -> list[Item]:
    """All files of a release, and those of its tables that lie elsewhere."""
    within = [item for one in release.patients for item in one.items] + [one.item for one in release.others]
    return within + _tables(release)


def _files(release: Release) -> list[Any] | None:
    """Everything that the listing told of files, and whose and what they were taken for; None if it told too little of one."""
    patients = [[one.patient, one.folder, one.valid, _items(one.items)] for one in release.patients]
    others = [[one.kind, one.in_collection] for one in release.others]
    # Paths in a table that lies elsewhere start from its folder.
    tables = [[one.part, one.named, _reached(one.item, release)] for one in release.candidates]
    groups = [
        *(items for *_, items in patients),
        *map(_items, ([one.item for one in release.others], _tables(release))),
    ]
    return None if None in groups else [patients, others, tables, groups[-2:]]


def _reached(table: Item, release: Release) -> list[tuple[str, str]]:
    """What paths in a table that lies outside of the release may lead through."""
    from crlm_qc.evidence.source import folders_beside

    return [] if table.source == release.source else folders_beside(table)


def _tables(release: Release) -> list[Item]:
    """Tables and lists, those that lie elsewhere too."""
    return [one.item for one in release.candidates]


def _items(items: Iterable[Item]) -> list[Any] | None:
    """Everything that the listing told of files, in its order; None if it told too little of one."""
    told = list(items)
    if any(one.readable and one.stamp is None for one in told):
        return None
    return [[one.path, one.key, one.size, one.problem, one.detail, one.content, one.stamp] for one in told]


def _told(found: Any) -> tuple[Told, str] | None:
    """What an entry holds that was read of a patient, and the day; None if it holds something else."""
    from crlm_qc.evidence.collect import Told
    from crlm_qc.evidence.columns import Columns

    try:
        return Told(Columns.recalled(found["tables"]), []), _day(found)
    except _UNFIT:
        return None


def _pictured(found: Any) -> list[tuple[Picture, bytes]] | None:
    """What an entry holds that was drawn of a patient; None if it holds something else."""
    try:
        return [(from_plain(Picture, picture), b64decode(content)) for picture, content in found["made"]]
    except _UNFIT:
        return None


def _day(found: Mapping[str, Any]) -> str:
    """The day of an entry."""
    return dt.date.fromisoformat(found["day"]).isoformat()


def _tells_nobody(patient: str, read: Columns, profile: Profile) -> bool:
    """Whether nothing that was read of a patient may identify a person."""
    from crlm_qc.auditing.redaction import tells_nobody

    found = (read.texts("identifiers", name) for name in ("attribute", "state", "pattern"))
    odd = any(pattern or (name in _NAMES and state == "present") for name, state, pattern in zip(*found, strict=True))
    return not odd and profile.is_patient_id(patient) and tells_nobody(read, profile)


def _validators() -> list[Any]:
    """What tells one version of the validators of DICOM from another."""
    from crlm_qc.evidence.source import local_file
    from crlm_qc.evidence.standard import OBJECT, PATIENT, validator

    found = [validator(name) for name in (OBJECT, PATIENT)]
    files = [None if one is None else local_file(Path(one)) for one in found]
    return [None if one is None else [str(one.source), one.key, one.stamp] for one in files]


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()
