"""A release profile: what belongs to one collection and not to the tool."""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from crlm_qc.model.tolerances import Tolerances

LIVER = "liver"
REMNANT = "remnant"
VESSEL = "vessel"
TUMOUR = "tumour"

_SEPARATORS = re.compile(r"[\s_\-.]+")


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


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of the clinical workbook, known by its columns."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentTerm:
    """An entry of the segment vocabulary."""

    role: str
    label: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Published:
    """The published description of the collection."""

    patients: int
    series: int
    ct_slices: int
    series_per_patient: Mapping[str, int]
    rows: int
    columns: int
    slices_per_series: Span
    spacing_in_plane_mm: Span
    spacing_slices_mm: Span
    liver_volume_ml: Span
    tumour_volume_ml: Span
    transfer_syntax_uid: str
    sex: Mapping[str, int]
    manufacturers: Mapping[str, int]
    pixel_representation: Mapping[str, int]
    missing_patients: tuple[str, ...]


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
    editions: tuple[Edition, ...]
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

    def role(self, label: str) -> str | None:
        """What the rules call a segment: `liver`, `remnant`, `vessel`, `tumour`, or None if unknown."""
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
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"profile {path.name} can't be read: {error}") from None
    try:
        return _build(raw, path.parent)
    except KeyError as error:
        raise ProfileError(f"profile {path.name} lacks the key {error}") from None
    except (TypeError, AttributeError, ValueError, re.error) as error:
        raise ProfileError(f"profile {path.name}: {error}") from None


def _span(raw: Mapping[str, float]) -> Span:
    return Span(**raw)


def _published(raw: Mapping[str, Any]) -> Published:
    known = {item.name for item in fields(Published)}
    if unknown := set(raw) - known:
        raise ProfileError(f"unknown key in [published]: {', '.join(sorted(unknown))}")
    spans = {key: _span(value) for key, value in raw.items() if isinstance(value, Mapping) and "min" in value}
    return Published(**{**raw, **spans, "missing_patients": tuple(raw["missing_patients"])})


def _deidentification(raw: Mapping[str, Any]) -> Deidentification:
    if unknown := set(raw) - {item.name for item in fields(Deidentification)}:
        raise ProfileError(f"unknown key in [deidentification]: {', '.join(sorted(unknown))}")
    for key in ("first_date", "last_date"):
        if key in raw and type(raw[key]) is not dt.date:
            raise TypeError(f"{key} of [deidentification] must be a date, such as 1991-06-03 without quotes")
    dates = {key: raw[key].strftime("%Y%m%d") for key in ("first_date", "last_date") if key in raw}
    return Deidentification(
        codes=frozenset(map(str, raw.get("codes", ()))),
        private_creators=frozenset(raw.get("private_creators", ())),
        series_dates={modality: tuple(days) for modality, days in raw.get("series_dates", {}).items()},
        same_study_days=float(raw.get("same_study_days", 7.0)),
        **dates,
    )


def _patterns(raw: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text) for text in raw)


def _build(raw: Mapping[str, Any], folder: Path) -> Profile:
    collection, clinical, words = raw["collection"], raw["clinical"], raw["words"]
    return Profile(
        name=collection["name"],
        title=collection["title"],
        doi=collection["doi"],
        licence=collection["licence"],
        patient_id_pattern=re.compile(collection["patient_id_pattern"]),
        patient_id_form=collection["patient_id_form"],
        uid_root=collection["uid_root"],
        suites=tuple(collection["suites"]),
        known_issues=collection.get("known_issues"),
        published=_published(raw["published"]),
        plausible={key: _span(value) for key, value in raw["plausible"].items()},
        metadata_columns=tuple(raw["metadata"]["columns"]),
        date_format=raw["metadata"]["date_format"],
        date_form=raw["metadata"]["date_form"],
        modalities=raw["modalities"],
        segments=tuple(
            SegmentTerm(term["role"], term["label"], re.compile(term["pattern"])) for term in raw["segments"]
        ),
        patient_sheet=clinical["patient_sheet"],
        dictionary_sheet=clinical["dictionary_sheet"],
        patient_column=clinical["patient_column"],
        missing_code=float(clinical["missing"]),
        editions=tuple(Edition(item["name"], tuple(item["columns"])) for item in clinical["editions"]),
        description_words=frozenset(word.upper() for word in words["description"]),
        description_patterns=_patterns(words["patterns"]),
        deidentification=_deidentification(raw.get("deidentification", {})),
        tolerances=Tolerances().replaced(raw.get("tolerances", {})),
        folder=folder,
    )
