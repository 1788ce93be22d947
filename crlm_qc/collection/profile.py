"""A release profile: what belongs to one collection and not to the tool."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from crlm_qc.collection.invisible import plain_text
from crlm_qc.collection.ledger import PublishedSeries
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

READING = ("position_mm", "lattice_fraction", "direction", "shear_mm", "spacing_mm", "spacing_fraction")
"""Tolerances that the reading of a patient uses: what it says of stacks, of lattices and of masks depends on them."""

_SEPARATORS = re.compile(r"[\s_\-.]+")


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
    detached_rows: frozenset[str] = frozenset()
    """Digests of its rows, if these are known not to describe the images of their patients: see `digest_of_row`."""


_DIGITS = 6


def digest_of_row(patient: str, age: float, sex: float) -> str:
    """What a row of a known edition is recognised by: the beginning of the SHA-256 of patient, age and code of sex."""
    return hashlib.sha256(f"{patient} {age:g} {sex:g}".encode()).hexdigest()[:_DIGITS]


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
class Others:
    """Objects that others made of the collection's images, and that archives hand out beside the published ones."""

    name: str
    """What findings call them, in the plural."""
    modality: str
    series_description: re.Pattern[str]
    manufacturer: str
    uid_root: str
    """Root of their Series Instance UIDs."""


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
    ledger: Mapping[str, PublishedSeries] = field(default_factory=dict)
    """Every published series by its UID; empty where the profile names no ledger."""
    tolerances: Tolerances = field(default_factory=Tolerances)
    folder: Path | None = None
    """Where the profile's suites lie."""
    others: tuple[Others, ...] = ()
    """Objects of others, which are not audited."""

    def is_patient_id(self, text: str) -> bool:
        """Whether `text` has the form of this collection's patient IDs."""
        return bool(self.patient_id_pattern.fullmatch(text))

    def meant_patient_id(self, text: str) -> str | None:
        """The patient ID that a text is meant to be.

        Case, separators, a lost part of the prefix, lost zeros and what nobody sees are forgiven.

        Returns
        -------
        str or None
            An ID of this collection's form; None if the text is none.
        """
        plain = plain_text(text).strip()
        number = re.search("n+$", self.patient_id_form)
        if self.is_patient_id(plain) or number is None:
            return plain if self.is_patient_id(plain) else None
        prefix, width = self.patient_id_form[: number.start()], len(number[0])
        parts = re.fullmatch(rf"(.*?){_SEPARATORS.pattern[:-1]}*([0-9]{{1,{width}}})(?:[.,]0+)?", plain)
        whole = _SEPARATORS.sub("", prefix).casefold()
        had = _SEPARATORS.sub("", parts[1]).casefold() if parts else ""
        if parts is None or not (whole.startswith(had) or whole.endswith(had)):
            return None
        meant = prefix + parts[2].zfill(width)
        return meant if self.is_patient_id(meant) else None

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

    def reading(self) -> Profile:
        """The profile without what the reading of a patient has no use for: published figures, tables, words of reports.

        Who reads is given this one alone, so that what is read can depend on nothing else of a profile.
        """
        used = {name: getattr(self.tolerances, name) for name in READING}
        return replace(
            self,
            title="", doi="", licence="", suites=(), known_issues=None, folder=None,
            published=Published(), plausible={}, ledger={},
            metadata_columns=(), date_format="", date_form="",
            patient_sheet="", dictionary_sheet="", patient_column="", missing_code=0.0, editions=(), variables={},
            tolerances=Tolerances().replaced(used),
        )  # fmt: skip

    @property
    def has_workbook(self) -> bool:
        """Whether the collection has a clinical workbook."""
        return bool(self.editions)

    def has_role(self, role: str) -> bool:
        """Whether the vocabulary has a segment of a role."""
        return any(term.role == role for term in self.segments)

    def role(self, label: str | None) -> str | None:
        """What the rules call a segment: one of `ROLES`, or None if it has no label, or none of the vocabulary."""
        term = None if label is None else self.term(label)
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
