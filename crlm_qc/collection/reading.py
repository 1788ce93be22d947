"""Reads a release profile from TOML, strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from crlm_qc.collection.forms import UID
from crlm_qc.collection.ledger import read_ledger
from crlm_qc.collection.profile import (
    CT,
    DATE_FORM,
    DATE_FORMAT,
    LIVER,
    METADATA_COLUMNS,
    MODALITIES,
    PLAUSIBLE,
    ROLES,
    SEG,
    Deidentification,
    Edition,
    Others,
    Profile,
    Published,
    SegmentTerm,
    Sort,
    Span,
    Variable,
)
from crlm_qc.collection.strict import StrictError, Table, read_toml
from crlm_qc.model.errors import ProfileError
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.model.words import did_you_mean

_DIGEST = re.compile(r"[0-9a-f]{6}")
_FILE_NAME = re.compile(r"[^/\\]+")


def load_profile(path: Path | None = None) -> Profile:
    """Read a release profile.

    Parameters
    ----------
    path : pathlib.Path, optional
        A TOML file; by default the profile of Colorectal-Liver-Metastases.

    Returns
    -------
    Profile
        The profile, its tolerances applied.

    Raises
    ------
    ProfileError
        The file can't be read, or a key is missing, unknown or of the wrong type.
    """
    return _usual() if path is None else _read(path)


@cache
def _usual() -> Profile:
    """The profile of Colorectal-Liver-Metastases, which lies beside the program."""
    from crlm_qc.collection.resources import expectations_folder

    return _read(expectations_folder() / "crlm.toml")


def _read(path: Path) -> Profile:
    try:
        raw = read_toml(path)
    except StrictError as error:
        raise ProfileError(f"profile {path.name} {error}") from None
    try:
        return _build(Table(raw), path.parent)
    except StrictError as error:
        raise ProfileError(f"profile {path.name}: {error}") from None


_SECTIONS = (
    "collection",
    "published",
    "plausible",
    "metadata",
    "modalities",
    "segments",
    "others",
    "clinical",
    "words",
    "deidentification",
    "tolerances",
)


def _build(raw: Table, folder: Path) -> Profile:
    raw.allow(_SECTIONS)
    collection = raw.table("collection")
    collection.allow(
        (
            "name",
            "title",
            "doi",
            "licence",
            "patient_id_pattern",
            "patient_id_form",
            "uid_root",
            "known_issues",
            "ledger",
            "suites",
        )
    )
    metadata = raw.table("metadata", optional=True)
    metadata.allow(("columns", "date_format", "date_form"))
    words = raw.table("words", optional=True)
    words.allow(("description", "patterns"))
    segments = tuple(map(_term, raw.tables("segments")))
    if twice := _twice([term.label for term in segments]):
        raise StrictError(f"two [[segments]] have the label {twice}")
    clinical = _clinical(raw)
    editions = tuple(map(_edition, clinical.tables("editions", optional=True)))
    patient_column = clinical.text("patient_column", default="")
    return Profile(
        name=collection.text("name", form=_FILE_NAME),
        title=collection.text("title", default=""),
        doi=collection.text("doi", default=""),
        licence=collection.text("licence", default=""),
        patient_id_pattern=collection.pattern("patient_id_pattern"),
        patient_id_form=collection.text("patient_id_form"),
        uid_root=collection.text("uid_root", form=UID),
        suites=collection.texts("suites", default=()),
        known_issues=collection.text("known_issues", default="") or None,
        published=_published(raw.table("published", optional=True)),
        plausible=_plausible(raw, segments),
        metadata_columns=metadata.texts("columns", default=METADATA_COLUMNS),
        date_format=metadata.text("date_format", default=DATE_FORMAT),
        date_form=metadata.text("date_form", default=DATE_FORM),
        modalities=_modalities(raw),
        segments=segments,
        patient_sheet=clinical.text("patient_sheet", default=""),
        dictionary_sheet=clinical.text("dictionary_sheet", default=""),
        patient_column=patient_column,
        missing_code=clinical.number("missing", default=0.0),
        editions=editions,
        variables=_variables(clinical.table("variables", optional=True), editions, patient_column),
        description_words=frozenset(word.upper() for word in words.texts("description", default=())),
        description_patterns=words.patterns("patterns"),
        deidentification=_deidentification(raw.table("deidentification", optional=True)),
        tolerances=_tolerances(raw.table("tolerances", optional=True)),
        ledger=read_ledger(_beside(folder, collection.text("ledger")), MODALITIES) if "ledger" in collection else {},
        folder=folder,
        others=_others(raw, collection.text("uid_root")),
    )


def _beside(folder: Path, name: str) -> Path:
    """A file beside the profile, or of that name among those that are shipped: a copy of a profile needs no copy of it."""
    from crlm_qc.collection.resources import expectations_folder

    path = folder / name
    return path if path.exists() else expectations_folder() / name


def _twice(values: list[str]) -> str | None:
    return next((value for value in values if values.count(value) > 1), None)


def _term(raw: Table) -> SegmentTerm:
    raw.allow(("role", "label", "pattern", "required"))
    role = raw.choice("role", ROLES)
    return SegmentTerm(role, raw.text("label"), raw.pattern("pattern"), raw.flag("required", default=False))


def _others(raw: Table, own_root: str) -> tuple[Others, ...]:
    """Objects of others. What could be the collection's own, or a CT series, is never one."""
    found = []
    for one in raw.tables("others", optional=True):
        one.allow(("name", "modality", "series_description", "manufacturer", "uid_root"))
        root, modality = one.text("uid_root", form=UID), one.text("modality", default=SEG)
        if f"{own_root}.".startswith(f"{root}.") or f"{root}.".startswith(f"{own_root}."):
            raise StrictError(f"{one.place('uid_root')} must be another than the collection's")
        if modality == CT:
            raise StrictError(f"{one.place('modality')} can't be {CT}: every CT series is audited")
        found.append(
            Others(one.text("name"), modality, one.pattern("series_description"), one.text("manufacturer"), root)
        )
    return tuple(found)


def _published(raw: Table) -> Published:
    spans = (
        "slices_per_series", "spacing_in_plane_mm", "spacing_slices_mm", "liver_volume_ml", "tumour_volume_ml",
    )  # fmt: skip
    wholes = ("patients", "series", "ct_slices", "rows", "columns")
    counts = ("sex", "manufacturers", "pixel_representation")
    raw.allow((*wholes, *spans, *counts, "series_per_patient", "transfer_syntax_uid", "missing_patients"))
    per_patient = raw.counts("series_per_patient") or {CT: 1, SEG: 1}
    if set(per_patient) != {CT, SEG}:
        raise StrictError(f"{raw.place('series_per_patient')} must say how many of {CT} and of {SEG}")
    figures: dict[str, Any] = {key: raw.whole(key) for key in wholes if key in raw}
    figures |= {key: _span(raw.table(key)) for key in spans if key in raw}
    figures |= {key: raw.counts(key) for key in counts if key in raw}
    if "transfer_syntax_uid" in raw:
        figures["transfer_syntax_uid"] = raw.text("transfer_syntax_uid", form=UID)
    if "missing_patients" in raw:
        figures["missing_patients"] = raw.texts("missing_patients")
    return Published(**figures, series_per_patient=per_patient)


def _span(raw: Table) -> Span:
    raw.allow(("min", "max", "median"))
    low, high = raw.number("min"), raw.number("max")
    if low > high:
        raise StrictError(f"{raw.place('min')} is above max")
    return Span(low, high, raw.number("median") if "median" in raw else None)


def _plausible(raw: Table, segments: tuple[SegmentTerm, ...]) -> Mapping[str, Span]:
    table = raw.table("plausible", optional=True)
    table.allow(PLAUSIBLE)
    needed = PLAUSIBLE if any(term.role == LIVER for term in segments) else ()
    return {key: _span(table.table(key)) for key in PLAUSIBLE if key in table or key in needed}


def _modalities(raw: Table) -> Mapping[str, Mapping[str, str]]:
    table = raw.table("modalities", optional=True)
    table.allow((CT, SEG))
    return {
        modality: table.table(modality).strings() if modality in table else dict(MODALITIES[modality])
        for modality in (CT, SEG)
    }


def _clinical(raw: Table) -> Table:
    """The section on the workbook; an empty one where the collection has none."""
    clinical = raw.table("clinical", optional=True)
    clinical.allow(("patient_sheet", "dictionary_sheet", "patient_column", "missing", "editions", "variables"))
    if "clinical" in raw:
        clinical.need("patient_sheet", "dictionary_sheet", "patient_column", "missing", "editions")
    return clinical


def _edition(raw: Table) -> Edition:
    raw.allow(("name", "columns", "detached_rows"))
    detached = raw.text("detached_rows", default="").split()
    if any(not _DIGEST.fullmatch(one) for one in detached):
        raise StrictError(f"{raw.place('detached_rows')} must be digests of rows, six hexadecimal digits each")
    return Edition(raw.text("name"), raw.texts("columns"), frozenset(detached))


def _variables(raw: Table, editions: tuple[Edition, ...], patient_column: str) -> Mapping[str, Variable]:
    """Every column of the editions; one that is not described is free text."""
    columns = dict.fromkeys(column for edition in editions for column in edition.columns)
    if editions and patient_column not in columns:
        raise StrictError(f"patient_column of [clinical] is in no edition{did_you_mean(patient_column, columns)}")
    raw.allow([column for column in columns if column != patient_column])
    described = {column: _variable(raw.table(column)) for column in raw}
    described |= {patient_column: Variable(Sort.PATIENT)} if editions else {}
    return {column: described.get(column, Variable(Sort.NOTE)) for column in columns}


_OF_SORT = {
    Sort.PSEUDONYM: ("pattern", "form"),
    Sort.CODE: ("codes",),
    Sort.NUMBER: ("min", "max", "unit"),
    Sort.PERCENT: (),
    Sort.NOTE: (),
}
"""Keys that a column of each sort may have."""


def _variable(raw: Table) -> Variable:
    sort = Sort(raw.choice("sort", [item.value for item in _OF_SORT]))
    raw.allow(("sort", *_OF_SORT[sort]))
    if sort is Sort.PSEUDONYM:
        return Variable(sort, pattern=raw.pattern("pattern"), form=raw.text("form"))
    if sort is Sort.CODE:
        return Variable(sort, frozenset(raw.integers("codes")))
    if sort is Sort.PERCENT:
        return Variable(sort, low=0.0, high=1.0)
    low, high = raw.number("min", default=-math.inf), raw.number("max", default=math.inf)
    if low > high:
        raise StrictError(f"{raw.place('min')} is above max")
    return Variable(sort, low=low, high=high, unit=raw.text("unit", default=""))


def _deidentification(raw: Table) -> Deidentification:
    raw.allow(("codes", "private_creators", "first_date", "last_date", "series_dates", "same_study_days"))
    dates = {key: raw.date(key).strftime("%Y%m%d") for key in ("first_date", "last_date") if key in raw}
    days = raw.table("series_dates", optional=True)
    return Deidentification(
        codes=frozenset(raw.texts("codes", default=())),
        private_creators=frozenset(raw.texts("private_creators", default=())),
        # A single day may stand without its list.
        series_dates={modality: days.texts(modality, single=True) for modality in days},
        same_study_days=raw.number("same_study_days", default=7.0),
        **dates,
    )


def _tolerances(raw: Table) -> Tolerances:
    raw.allow(Tolerances.__slots__)
    values = {name: raw.number(name) for name in raw}
    try:
        return Tolerances().replaced(values)
    except ValueError as error:
        raise StrictError(f"[tolerances]: {error}") from None
