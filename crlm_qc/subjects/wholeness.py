"""Whether the download is whole: by the ledger of published series, else by what the manifest or metadata.csv lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from crlm_qc.collection.forms import is_uid
from crlm_qc.collection.profile import CT, SEG
from crlm_qc.model.wholeness import SERIES, ListedBy, ToFetch, Wholeness
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.checksums import series_of_wrong_files
from crlm_qc.subjects.disk import Disk, disk
from crlm_qc.subjects.ledger import MODALITY, Held, State, compared
from crlm_qc.subjects.words import text, whole

Entry = tuple[str, str | None, str | None, int | None]
"""Series Instance UID, patient, modality and files of a series that a list has, as far as they are known."""


def wholeness(context: Context) -> Wholeness | None:
    """Series that should be on disk beside those that are; None where no list tells, or no series is on disk."""
    try:
        found = disk(context)
    except Skip:
        return None
    try:
        held, other = compared(context).held, series_of_wrong_files(context)
        return _of_ledger(held, other, partial=context.settings.partial)
    except Skip:
        pass
    listed_by, entries = _listed(context, found)
    return _as_listed(context, found, listed_by, entries) if entries else None


def _of_ledger(held: Iterable[Held], other: Collection[str], *, partial: bool) -> Wholeness:
    expected: Counter[str] = Counter()
    there: Counter[str] = Counter()
    to_fetch = []
    for one in held:
        series = one.series
        # As many bytes as published may be other ones, as the downloader's checksums tell (REL022).
        changed = series.series_uid in other
        complete = one.state in (State.WHOLE, State.FILES_SURPLUS) and not changed
        expected[series.modality] += 1
        there[series.modality] += complete
        if not complete:
            why = {
                State.FILES_MISSING: f"{one.files:,} of {plural(series.files, 'file')}",
                State.OTHER_BYTES: "other bytes",
            }.get(one.state, "other bytes" if changed else "absent")
            to_fetch.append(ToFetch(series.series_uid, series.patient, series.modality, why))
    return Wholeness(
        ListedBy.LEDGER, partial, dict(sorted(expected.items())), dict(sorted(there.items())), tuple(to_fetch)
    )


def _listed(context: Context, found: Disk) -> tuple[ListedBy, list[Entry]]:
    """Series of the manifest, else of metadata.csv; each once."""
    known: dict[str, Entry] = {}
    for uid, one in found.series.items():
        known[uid] = (uid, one.patient, next((MODALITY[role] for role in sorted(one.roles)), None), None)
    rows = context["metadata"]
    listed = []
    for uid, patient, modality, images in zip(
        rows["series_uid"], rows["patient"], rows["modality"], rows["images"], strict=True
    ):
        if is_uid(uid):
            said = text(modality)
            known[uid] = (uid, text(patient), said if said in (CT, SEG) else None, whole(images))
            listed.append(uid)
    manifest = [uid for uid in context["manifest"]["entry"] if is_uid(uid)]
    listed_by = ListedBy.MANIFEST if manifest else ListedBy.METADATA
    return listed_by, [known.get(uid, (uid, None, None, None)) for uid in dict.fromkeys(manifest or listed)]


def _as_listed(context: Context, found: Disk, listed_by: ListedBy, entries: list[Entry]) -> Wholeness:
    patients = {one.patient for one in found.series.values()}
    named = all(modality for _, _, modality, _ in entries)
    expected: Counter[str] = Counter()
    there: Counter[str] = Counter()
    to_fetch = []
    for uid, patient, modality, images in entries:
        group = modality if named and modality else SERIES
        own = found.series.get(uid)
        elsewhere = context.settings.partial and patient not in patients
        if elsewhere and patient is not None:
            continue
        complete = own is not None and (images is None or own.n_files >= images)
        expected[group] += 1
        there[group] += complete
        if complete or elsewhere:
            continue
        why = "absent" if own is None or images is None else f"{own.n_files:,} of {context.show.number(images)} files"
        shown = context.show.uid(uid)
        # A UID that may not be shown can't be fetched by what is shown.
        if is_uid(shown):
            to_fetch.append(ToFetch(shown, context.show.patient(patient) if patient else None, modality, why))
    return Wholeness(
        listed_by,
        context.settings.partial,
        dict(sorted(expected.items())),
        dict(sorted(there.items())),
        tuple(to_fetch),
    )
