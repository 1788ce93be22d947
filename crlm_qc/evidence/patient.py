"""Reads one patient: the unit of work. Takes items, returns rows, and never raises for bad data."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from crlm_qc.collection.forms import originals_first
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.alike import Alike, First, Patterns
from crlm_qc.evidence.arena import Arena
from crlm_qc.evidence.checksums import Listed, checksum_rows, read_lists
from crlm_qc.evidence.ct import Row, expected_bytes, identity, lacks_of, series_rows, slice_row, unpadded_bytes
from crlm_qc.evidence.deidentification import TOO_DEEP, IdentifierScan
from crlm_qc.evidence.dicom.conformance import ValueScan, each_once
from crlm_qc.evidence.dicom.header import Header, Unreadable, quiet, read_header, undecodable
from crlm_qc.evidence.dicom.values import invalid_uids, tag_of, text
from crlm_qc.evidence.dso import DsoRows, dso_rows, is_dso
from crlm_qc.evidence.files import file_row, hash_file, refused, told_content, unread
from crlm_qc.evidence.kinds import aside_kind
from crlm_qc.evidence.limits import Beyond
from crlm_qc.evidence.masks.measures import measure_masks
from crlm_qc.evidence.masks.stack import MaskStack
from crlm_qc.evidence.others import of_others
from crlm_qc.evidence.pixels import SlicePixels, measure_pixels, slice_pixels
from crlm_qc.evidence.rows import PatientRead
from crlm_qc.evidence.source import Item, ahead, reason
from crlm_qc.evidence.standard import Candidates, standard_rows
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TOO_LARGE

HELD_BYTES = 256 << 20
"""Pixel Data of one patient kept from the first reading; what is beyond is read when its turn comes."""


@dataclass(slots=True)
class _Patient:
    """The state of a reading."""

    patient: str
    profile: Profile
    depth: Depth
    hashed: bool = False
    candidates: Candidates | None = None
    """Files for the validators of the standard, if they are asked."""
    read: PatientRead = field(default_factory=PatientRead)
    dsos: list[tuple[Header, DsoRows]] = field(default_factory=list)
    pixels: list[SlicePixels] = field(default_factory=list)
    budget: int = HELD_BYTES
    arena: Arena = field(default_factory=Arena)
    lists: dict[str, Listed] = field(default_factory=dict)
    """Checksums of the downloader, by folder."""
    digests: dict[str, str] = field(default_factory=dict)
    """MD5 of files that are to be compared with them, by path."""
    identifiers: IdentifierScan = field(init=False)
    values: ValueScan = field(default_factory=ValueScan)
    patterns: Patterns = field(init=False)

    def __post_init__(self) -> None:
        self.identifiers = IdentifierScan(self.patient, self.profile)
        self.patterns = Patterns(self.profile, self.values, self.identifiers)


def read_patient(
    patient: str,
    items: Sequence[Item],
    profile: Profile,
    depth: Depth,
    *,
    hashed: bool = False,
    standard: bool = False,
) -> PatientRead:
    """Read every file of one patient.

    Parameters
    ----------
    patient : str
        Patient ID, as `patients.patient` names it.
    items : sequence of Item
        Everything in the patient's folders.
    profile : Profile
        The collection's profile.
    depth : Depth
        How deep to read.
    hashed : bool
        Whether every byte is read, for its SHA-256.
    standard : bool
        Whether the validators of dicom3tools are run on it.

    Returns
    -------
    PatientRead
        Rows of each of `TABLES`, in the order of paths.
    """
    quiet()
    state = _Patient(patient, profile, depth, hashed, Candidates() if standard else None)
    with warnings.catch_warnings():
        # pydicom warns of values that it does not like; the rules say so in their own words.
        warnings.simplefilter("ignore")
        ordered = sorted(items, key=lambda item: originals_first(item.path))
        state.lists = read_lists(patient, ordered, state.read.limits)
        with ahead(
            [item for item in ordered if hashed or not aside_kind(item)], whole=hashed or depth.covers(Depth.PIXELS)
        ):
            for item in ordered:
                state.read.rows["files"].append(_read_file(state, item))
        _leave_out(state, _copies(state.read.rows["files"], items))
        _measure(state)
    state.arena.give_back()
    rows = state.read.rows
    rows["series"] = _series(patient, rows["files"])
    rows["checksums"] = checksum_rows(patient, state.lists, ordered, state.digests)
    rows["identifiers"] = state.identifiers.rows()
    if state.candidates is not None:
        rows["standard"] = standard_rows(patient, state.candidates, state.read.limits)
    if state.identifiers.too_deep:
        state.read.limits.append(f"{patient}: {TOO_DEEP}")
    return state.read


def _copies(files: Sequence[Row], items: Sequence[Item]) -> set[str]:
    """Paths of files that hold the same bytes as another of their SOP Instance UID; `copy_of` says which.

    Of all others no byte is read for it.
    """
    by_path = {item.path: item for item in items}
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in files:
        if row.get("sop_instance_uid"):
            groups.setdefault((row["sop_instance_uid"], row["size"]), []).append(row)
    for rows in groups.values():
        first: dict[str, str] = {}
        for row in rows if len(rows) > 1 else ():
            try:
                digest = row.get("sha256") or by_path[row["path"]].digest()[0]
            except OSError:
                continue
            row["copy_of"] = first.get(digest)
            first.setdefault(digest, row["path"])
    return {row["path"] for row in files if row.get("copy_of")}


def _leave_out(state: _Patient, copies: set[str]) -> None:
    """Copies are listed in `files` alone, so that nothing is measured or judged twice."""
    rows = state.read.rows
    rows["slices"] = [row for row in rows["slices"] if row["path"] not in copies]
    state.pixels = [source for source in state.pixels if source.row["path"] not in copies]
    state.dsos = [(header, found) for header, found in state.dsos if found.dso["path"] not in copies]


def _read_file(state: _Patient, item: Item) -> Row:
    if kind := aside_kind(item):
        if item.problem == "permission":
            state.read.limits.append(f"{state.patient}: a file was not read: permission denied")
        row = file_row(state.patient, item, kind)
        if state.hashed:
            hash_file(row, item, state.read.limits)
        return row
    row = file_row(state.patient, item, "unreadable")
    try:
        with _opened(state, item, row) as stream:
            if (alike := state.patterns.read(stream, item)) is not None:
                row |= _describe_alike(state, alike, row)
                _hold(state, alike.header, "ct", stream)
                return row
            header = read_header(stream, item)
            row |= _describe(state, header, row, stream)
            _hold(state, header, row["kind"], stream)
            if state.candidates is not None:
                state.candidates.add(item, header, row["kind"], row.get("series_uid"))
    except Unreadable as fault:
        meant = _meant_as_dicom(item)
        if fault.problem == "not-dicom":
            row["content"] = told_content(item, row, dicom=meant)
        if fault.problem in ("empty", "not-dicom") and not meant:
            return row | {"kind": "unexpected"}
        return row | {"problem": fault.problem, "detail": fault.detail}
    except Beyond as fault:
        return row | {"problem": TOO_LARGE, "detail": str(fault)}
    except OSError as error:
        state.read.limits.append(unread(state.patient, error))
        return row | refused(error)
    except Exception as error:  # noqa: BLE001 - values in a header may be anything; the file is named, the rest goes on
        return row | {"kind": "unreadable", "problem": "bad-header", "detail": f"{type(error).__name__} while reading"}
    return row


@contextmanager
def _opened(state: _Patient, item: Item, row: Row) -> Iterator[BinaryIO]:
    """A file open at its beginning. Where it is hashed, the bytes read for that are those parsed."""
    # The pixels of all files are read at this depth, so that their MD5 costs no further reading.
    summed = item.folder in state.lists and (state.hashed or state.depth.covers(Depth.PIXELS))
    with item.opened() as stream:
        if not (state.hashed or summed):
            yield stream
            return
        content = stream.read() if (item.size or 0) <= HELD_BYTES else None
        if state.hashed:
            row["sha256"] = item.digest()[0] if content is None else hashlib.sha256(content).hexdigest()
        if summed:
            md5 = item.digest("md5")[0] if content is None else hashlib.md5(content, usedforsecurity=False).hexdigest()
            state.digests[item.path] = md5
        yield stream if content is None else BytesIO(content)


def _meant_as_dicom(item: Item) -> bool:
    """Whether a file's name says that it should be DICOM: `.dcm`, or no ending of letters."""
    return item.suffix == ".dcm" or not any(character.isalpha() for character in item.suffix)


def _describe_alike(state: _Patient, alike: Alike, row: Row) -> Row:
    """Columns of `files` of a CT image like one before; its row of `slices` is added to the state."""
    _add_slice(state, alike.header, alike.slice | {"path": row["path"]})
    return alike.file


def _describe(state: _Patient, header: Header, row: Row, stream: BinaryIO) -> Row:
    """Columns of `files`; rows of the other tables are added to the state."""
    raw = [*header.meta.items(), *header.data.items()]
    if columns := of_others(header, state.profile):
        return columns
    shared: Row = {"patient": row["patient"], "path": row["path"], **identity(header)}
    columns = {key: value for key, value in shared.items() if key not in ("patient", "path")}
    by_element = state.values.by_element(header.data)
    wrong = each_once(by_element)
    columns["invalid_values"] = json.dumps(wrong) if wrong else None
    columns["meta_sop_instance_uid"] = text(header.meta, "MediaStorageSOPInstanceUID")
    columns["meta_sop_class_uid"] = text(header.meta, "MediaStorageSOPClassUID")
    columns["trailing_bytes"] = header.trailing
    columns |= {"problem": header.start.problem, "meta_length_off": header.start.meta_length_off}
    bad = invalid_uids([header.meta, header.data])
    if is_dso(header):
        found = dso_rows(header, shared)
        state.dsos.append((header, found))
        columns["kind"] = "dso"
        bad += [keyword for keyword in found.invalid_uids if keyword not in bad]
    elif _is_image(header, state.profile):
        slices = slice_row(header, shared)
        lacks = lacks_of(header)
        _add_slice(state, header, dict(slices))
        columns["kind"] = "ct"
    else:
        columns["kind"] = "other-dicom"
    if columns["kind"] != "other-dicom":
        columns["pixel_bytes_expected"] = expected_bytes(header)
        columns["pixel_bytes_unpadded"] = unpadded_bytes(header)
        columns["pixel_bytes_found"] = 0 if header.pixels is None else header.pixels.found
    columns["invalid_uids"] = json.dumps(bad) if bad else None
    if columns["kind"] != "ct":
        state.identifiers.add(header)
        return columns
    walked = state.identifiers.add(header, dict(raw))
    # The validators of the standard are shown headers in full.
    if state.candidates is None:
        state.patterns.learn(First(header, raw, columns, slices, lacks, by_element, walked), stream)
    return columns


def _add_slice(state: _Patient, header: Header, row: Row) -> None:
    state.read.rows["slices"].append(row)
    if state.depth.covers(Depth.PIXELS):
        if source := slice_pixels(header, row):
            state.pixels.append(source)
        else:
            row |= {"pixels": "failed", "pixels_detail": "there is no Pixel Data"}


def _is_image(header: Header, profile: Profile) -> bool:
    data = header.data
    return (
        header.pixels is not None
        or tag_of("Rows") in data
        or tag_of("Columns") in data
        or profile.sop_classes.get(text(data, "SOPClassUID") or "") == "CT"
    )


def _hold(state: _Patient, header: Header, kind: str, stream: BinaryIO) -> None:
    """Keep Pixel Data that will be needed while the file is open, as far as the budget goes."""
    wanted = (kind == "dso" and state.depth.covers(Depth.MASKS)) or (kind == "ct" and state.depth.covers(Depth.PIXELS))
    pixels = header.pixels
    if not wanted or pixels is None or pixels.held is not None or pixels.length > state.budget:
        return
    state.budget -= pixels.length
    pixels.hold(stream, state.arena.room(pixels.length) if kind == "ct" else None)


def _measure(state: _Patient) -> None:
    """Everything that needs more than one file."""
    rows = state.read.rows
    rows["ct_series"] = series_rows(state.patient, rows["slices"], state.profile.tolerances)
    stacks: list[tuple[DsoRows, MaskStack]] = []
    for header, found in state.dsos:
        if state.depth.covers(Depth.MASKS):
            stack = _masks(state, header, found)
            if stack is not None:
                stacks.append((found, stack))
    if state.depth.covers(Depth.PIXELS):
        laid, problems = measure_pixels(state.pixels, stacks, state.profile)
        rows.update(laid)
        state.read.limits += [f"{state.patient}: {problem}" for problem in problems]
    for _, found in state.dsos:
        rows["dsos"].append(found.dso)
        rows["references"] += found.references
        rows["frames"] += found.frames
        rows["segments"] += found.segments


def _masks(state: _Patient, header: Header, found: DsoRows) -> MaskStack | None:
    rows = state.read.rows
    try:
        stack, pairs = measure_masks(header, found, rows["slices"], rows["ct_series"], state.profile)
    except OSError as error:
        found.dso |= {"masks": "failed", "masks_detail": reason(error)}
        stack, pairs, unsaid = None, [], True
    except Exception as error:  # noqa: BLE001 - values in a header may be anything; the object is named, the rest goes on
        found.dso |= {"masks": "failed", "masks_detail": f"{type(error).__name__} while measuring"}
        stack, pairs, unsaid = None, [], True
    else:
        # Of other masks that can't be read, rules tell.
        unsaid = header.pixels is not None and undecodable(header.transfer_syntax, header.pixels)
    if found.dso["masks"] == "no-decoder" or (found.dso["masks"] == "failed" and unsaid):
        state.read.limits.append(f"{state.patient}: masks were not read: {found.dso['masks_detail']}")
    rows["segment_pairs"] += pairs
    return stack


def _series(patient: str, files: Sequence[Row]) -> list[Row]:
    """Rows of `series`: DICOM files by Series Instance UID and role."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in files:
        if row["kind"] in ("ct", "dso") and not row.get("copy_of"):
            grouped.setdefault((row.get("series_uid") or "", row["kind"]), []).append(row)
    result = []
    for (uid, role), members in sorted(grouped.items()):
        folders = sorted({row["folder"] for row in members})
        modalities = sorted(row["modality"] for row in members if row.get("modality"))
        result.append(
            {
                "patient": patient,
                "series_uid": uid or None,
                "role": role,
                "modality": max(modalities, key=modalities.count, default=None),
                "n_instances": len(members),
                "n_folders": len(folders),
                "folder": folders[0],
                "size": sum(row["size"] or 0 for row in members),
            }
        )
    return result
