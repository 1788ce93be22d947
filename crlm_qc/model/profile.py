"""A release profile: what belongs to one collection and not to the tool."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from crlm_qc.model.strict import StrictError, Table, close_to, read_toml
from crlm_qc.model.tolerances import Tolerances

LIVER = "liver"
REMNANT = "remnant"
VESSEL = "vessel"
TUMOUR = "tumour"
OTHER = "other"
"""A structure that belongs to the vocabulary, and that no rule expects anything else of."""
ROLES = (LIVER, REMNANT, VESSEL, TUMOUR, OTHER)

CT, SEG = "CT", "SEG"
METADATA_COLUMNS = (
    "Series UID", "Collection", "3rd Party Analysis", "Data Description URI", "Subject ID", "Study UID",
    "Study Description", "Study Date", "Series Description", "Manufacturer", "Modality", "SOP Class Name",
    "SOP Class UID", "Number of Images", "File Size", "File Location", "Download Timestamp",
)  # fmt: skip
"""Headings that the NBIA downloader writes."""
DATE_FORMAT, DATE_FORM = "%m-%d-%Y", "MM-DD-YYYY"
"""How it writes dates."""
MODALITIES: Mapping[str, Mapping[str, str]] = {
    CT: {"1.2.840.10008.5.1.4.1.1.2": "CT Image Storage"},
    SEG: {
        "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation Storage",
        "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    },
}
"""SOP classes of CT and of segmentation objects (PS3.4 B.5), with the names that the downloader writes."""
PLAUSIBLE = ("liver_volume_ml", "liver_hu")
"""Bounds that a vocabulary with a liver needs."""

_SEPARATORS = re.compile(r"[\s_\-.]+")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_FILE_NAME = re.compile(r"[^/\\]+")


class ProfileError(ValueError):
    """The profile can't be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Span:
    """Published figures of one measure."""

    min: float
    max: float
    median: float | None = None

    def __post_init__(self) -> None:
        """Refuse what TOML calls a number and nobody can compare with: `nan` and `inf`."""
        if not all(math.isfinite(value) for value in (self.min, self.max, self.median or 0.0)):
            raise ValueError("min, max and median must be finite numbers")

    def holds(self, value: float, slack: float = 0.0) -> bool:
        """Whether `value` lies inside, bounds and a slack (in the same unit) included."""
        return self.min - slack <= value <= self.max + slack

    def scaled(self, factor: float) -> Span:
        """The span of as many times the values."""
        return Span(self.min * factor, self.max * factor, None if self.median is None else self.median * factor)


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of the clinical workbook, known by its columns."""

    name: str
    columns: tuple[str, ...]


class Sort(StrEnum):
    """What a column of the workbook holds."""

    PATIENT = "patient"
    """Patient IDs: the column that the profile names."""
    PSEUDONYM = "pseudonym"
    """Names that were made up, each once, of the form that the profile gives."""
    CODE = "code"
    NUMBER = "number"
    PERCENT = "percent"
    """A part of something, as a number from 0 to 1."""
    NOTE = "note"
    """Free text."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One column of the workbook."""

    sort: Sort
    codes: frozenset[int] = frozenset()
    """Codes of the published dictionary; those that the workbook's own dictionary states come first."""
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    pattern: re.Pattern[str] | None = None
    """Form of a pseudonym. What matches may be shown."""
    form: str = ""
    """The same in words."""


@dataclass(frozen=True, slots=True)
class SegmentTerm:
    """An entry of the segment vocabulary."""

    role: str
    """What the rules call it, one of `ROLES`."""
    label: str
    """The label as the collection writes it; one that ends in `n` is numbered where the pattern has a `number`."""
    pattern: re.Pattern[str]
    """Matched against a label in lower case, without separators."""
    required: bool = False
    """Whether every segmentation object has one."""

    @property
    def numbered(self) -> bool:
        """Whether its labels carry a number, as Tumor_n does."""
        return "number" in self.pattern.groupindex

    @property
    def stem(self) -> str:
        """The label without its number."""
        return self.label.removesuffix("n").rstrip(" _-.") if self.numbered else self.label

    def named(self, number: int | None) -> str:
        """The label that has this number."""
        return self.stem if number is None or not self.numbered else f"{self.label.removesuffix('n')}{number}"


@dataclass(frozen=True, slots=True)
class Published:
    """The published description of the collection; what it does not say is None or empty, and is not compared."""

    patients: int | None = None
    series: int | None = None
    ct_slices: int | None = None
    series_per_patient: Mapping[str, int] = field(default_factory=lambda: {CT: 1, SEG: 1})
    rows: int | None = None
    columns: int | None = None
    slices_per_series: Span | None = None
    spacing_in_plane_mm: Span | None = None
    spacing_slices_mm: Span | None = None
    liver_volume_ml: Span | None = None
    tumour_volume_ml: Span | None = None
    transfer_syntax_uid: str | None = None
    sex: Mapping[str, int] = field(default_factory=dict)
    manufacturers: Mapping[str, int] = field(default_factory=dict)
    pixel_representation: Mapping[str, int] = field(default_factory=dict)
    missing_patients: tuple[str, ...] | None = None
    """IDs that were never given; None if patients are not numbered without gaps."""


@dataclass(frozen=True, slots=True)
class Deidentification:
    """How the release was de-identified; what is left out is not compared."""

    codes: frozenset[str] = frozenset()
    """Codes of PS3.16 CID 7050 that every file declares."""
    private_creators: frozenset[str] = frozenset()
    """Private creators whose elements may hold values."""
    first_date: str | None = None
    """Earliest shifted StudyDate, as YYYYMMDD."""
    last_date: str | None = None
    """Latest shifted StudyDate."""
    series_dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modality to SeriesDates that were not shifted with the study, and are known."""
    same_study_days: float = 7.0
    """Days that a series may lie apart from its study."""


@dataclass(frozen=True)
class Profile:
    """One collection, as its profile file describes it.

    Read it with `load_profile`.
    """

    name: str
    """Collection name, which is the name of its folder too."""
    title: str
    doi: str
    licence: str
    patient_id_pattern: re.Pattern[str]
    patient_id_form: str
    uid_root: str
    suites: tuple[str, ...]
    known_issues: str | None
    """File of waivers of documented faults of the published release, beside the profile."""
    published: Published
    plausible: Mapping[str, Span]
    metadata_columns: tuple[str, ...]
    date_format: str
    date_form: str
    modalities: Mapping[str, Mapping[str, str]]
    """Modality to its SOP Class UIDs, each with the name that the downloader writes."""
    segments: tuple[SegmentTerm, ...]
    patient_sheet: str
    dictionary_sheet: str
    patient_column: str
    missing_code: float
    """0 where the collection has no workbook."""
    editions: tuple[Edition, ...]
    """Editions of the clinical workbook, oldest first; none where the collection has no workbook."""
    variables: Mapping[str, Variable]
    """Columns of all editions, by heading."""
    description_words: frozenset[str]
    description_patterns: tuple[re.Pattern[str], ...]
    deidentification: Deidentification = field(default_factory=Deidentification)
    tolerances: Tolerances = field(default_factory=Tolerances)
    folder: Path | None = None
    """Where the profile's suites lie."""

    def is_patient_id(self, text: str) -> bool:
        """Whether `text` has the form of this collection's patient IDs."""
        return bool(self.patient_id_pattern.fullmatch(text))

    def term(self, label: str) -> SegmentTerm | None:
        """The vocabulary's entry for a Segment Label; case and separators are forgiven."""
        plain = _SEPARATORS.sub("", label).lower()
        return next((term for term in self.segments if term.pattern.fullmatch(plain)), None)

    def with_tolerances(self, values: Mapping[str, float]) -> Profile:
        """The profile with some tolerances changed.

        Raises
        ------
        ValueError
            An unknown name, or a value that can't be.
        """
        return replace(self, tolerances=self.tolerances.replaced(values)) if values else self

    @property
    def has_workbook(self) -> bool:
        """Whether the collection has a clinical workbook."""
        return bool(self.editions)

    def has_role(self, role: str) -> bool:
        """Whether the vocabulary has a segment of a role."""
        return any(term.role == role for term in self.segments)

    def role(self, label: str) -> str | None:
        """What the rules call a segment: one of `ROLES`, or None if its label is not in the vocabulary."""
        term = self.term(label)
        return None if term is None else term.role

    def number(self, label: str) -> int | None:
        """The n of a numbered label such as Tumor_n, or None."""
        term = self.term(label)
        match = term and term.pattern.fullmatch(_SEPARATORS.sub("", label).lower())
        number = match.groupdict().get("number") if match else None
        return int(number) if number else None

    @cached_property
    def sop_classes(self) -> Mapping[str, str]:
        """Every SOP Class UID of the collection with the Modality it belongs to."""
        return {uid: modality for modality, classes in self.modalities.items() for uid in classes}


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
    if path is None:
        from crlm_qc.resources import expectations_folder

        path = expectations_folder() / "crlm.toml"
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
        uid_root=collection.text("uid_root", form=_UID),
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
        folder=folder,
    )


def _twice(values: list[str]) -> str | None:
    return next((value for value in values if values.count(value) > 1), None)


def _term(raw: Table) -> SegmentTerm:
    raw.allow(("role", "label", "pattern", "required"))
    role = raw.choice("role", ROLES)
    return SegmentTerm(role, raw.text("label"), raw.pattern("pattern"), raw.flag("required", default=False))


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
        figures["transfer_syntax_uid"] = raw.text("transfer_syntax_uid", form=_UID)
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
    raw.allow(("name", "columns"))
    return Edition(raw.text("name"), raw.texts("columns"))


def _variables(raw: Table, editions: tuple[Edition, ...], patient_column: str) -> Mapping[str, Variable]:
    """Every column of the editions; one that is not described is free text."""
    columns = dict.fromkeys(column for edition in editions for column in edition.columns)
    if editions and patient_column not in columns:
        raise StrictError(f"patient_column of [clinical] is in no edition{close_to(patient_column, columns)}")
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
        series_dates={modality: days.texts(modality) for modality in days},
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
