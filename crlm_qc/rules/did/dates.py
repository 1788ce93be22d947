"""Dates and ages that identify a person."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from crlm_qc.collection.deidentification import GROUP, is_too_old
from crlm_qc.collection.forms import age_in_years, day_of
from crlm_qc.collection.headings import loose_heading
from crlm_qc.collection.show import OLDEST
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Scope, Skip, rule
from crlm_qc.rules.did._shared import each_series, is_within
from crlm_qc.subjects import workbook
from crlm_qc.subjects.identifiers import Series, by_attribute, every_series
from crlm_qc.subjects.words import text


@rule(
    "DID010",
    "age-over-89",
    ERROR,
    title="An age over 89 years",
    why="So few people are that old that an age over 89 may identify one of them.",
    fix="Give all ages over 89 as one group, such as 090Y, in the headers and in the workbook alike, and say so in the data dictionary.",
    source="45 CFR 164.514(b)(2)(i)(C), Safe Harbor; DICOM PS3.15 2024b E.3.7 Retain Patient Characteristics Option",
    tables=("slices", "dsos", "clinical", "sources", "files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def age_over_89(context: Context) -> Checked:
    """PatientAge of every file, in items too, and the workbook's column `age`; 90, the usual name of the group, is allowed."""
    ages_held: dict[str, Counter[str]] = {}
    for table in (context["slices"], context["dsos"]):
        for patient, age in zip(table["patient"].tolist(), table["patient_age"].tolist(), strict=True):
            if isinstance(age, str):
                ages_held.setdefault(text(patient) or "", Counter())[age] += 1
    old = {patient: sum(held[age] for age in held if is_too_old(age)) for patient, held in sorted(ages_held.items())}
    clinical = context["clinical"]
    headings = [isinstance(name, str) and loose_heading(name) == "age" for name in clinical["column"].tolist()]
    ages = clinical.loc[headings, ["row", "patient", "text", "value"]]
    if not ages.empty:
        # The sum of all ages is nobody's age.
        ages = ages[~ages["row"].isin(list(workbook.clinical(context).strays))]
    # A cell may hold `093Y` as text.
    ages = ages.assign(years=ages["value"].fillna(ages["text"].map(age_in_years).astype("float64")))
    ages = ages[ages["years"].notna()]
    findings = [
        Found(
            Subject(Kind.PATIENT, column="PatientAge"),
            f"PatientAge (0010,1010) is over {OLDEST} years in {plural(count, 'file')}.",
            f"at most {OLDEST} years, or 090Y for all above",
            f"over {OLDEST} years",
            patient or None,
            count,
        )
        for patient, count in old.items()
        if count
    ]
    findings += _old_elsewhere(context)
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"].fillna(False).astype(bool)]
    path = context.show.path(used["path"].iloc[0]) if len(used) else None
    findings += [
        Found(
            Subject(Kind.ROW, path=path, row=int(row), column="age"),
            f"Row {row} of the workbook gives an age over {OLDEST} years.",
            f"at most {OLDEST} years, or 90 for all above",
            f"over {OLDEST} years",
            text(patient),
        )
        for row, patient, years in zip(ages["row"], ages["patient"], ages["years"], strict=True)
        if years > GROUP
    ]
    return Checked(sum(held.total() for held in ages_held.values()) + len(ages), findings)


def _old_elsewhere(context: Context) -> list[Found]:
    """Ages in items of sequences, and in files outside of patient folders."""
    try:
        series = every_series(context)
    except Skip:
        return []
    findings = []
    for one in series:
        old = [row for row in one.present if row.tag == "00101010" and row.code == "over"]
        beyond = [row for row in old if one.patient is None or "/" in row.attribute]
        for attribute, rows in by_attribute(beyond):
            count = one.files(rows)
            message = f"{attribute} (0010,1010) is over {OLDEST} years in {count:,} of {one.counted}."
            expected, observed = f"at most {OLDEST} years, or 090Y for all above", f"over {OLDEST} years"
            findings.append(Found(one.subject(attribute), message, expected, observed, one.patient, count))
    return findings


@rule(
    "DID011",
    "dates-not-shifted-together",
    INFO,
    title="A series' date was not shifted with its study's",
    why="Who knows when the series was really made can work out by how much the dates of the study were shifted.",
    fix="Shift the dates of a study by the same number of days; if the date is meant to stay, add it to the profile's series_dates.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options: relationships are preserved",
    tables=("slices", "dsos"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def dates_not_shifted_together(context: Context) -> Checked:
    """SeriesDate against StudyDate of every series; dates that the profile knows not to be shifted are left out."""
    known = context.profile.deidentification
    every = _dates_of_series(context)
    findings = []
    for (patient, uid), dates in sorted(every.items()):
        far: Counter[int] = Counter()
        for (modality, study, series), count in dates.items():
            first, second = _date(study), _date(series)
            if first and second and day_of(series) not in known.series_dates.get(modality, ()):
                far[abs((second - first).days)] += count
        far = Counter({days: count for days, count in far.items() if days > known.same_study_days})
        if not far:
            continue
        years = max(far) / 365.25
        observed = f"about {plural(round(years), 'year')} apart" if years >= 1 else "less than a year apart"
        findings.append(
            Found(
                Subject(
                    Kind.SERIES,
                    context.show.path(_folder_of_series(context, patient, uid)),
                    context.show.uid(uid),
                    column="SeriesDate",
                ),
                f"SeriesDate does not lie by StudyDate in {far.total():,} of {plural(dates.total(), 'file')}.",
                f"at most {known.same_study_days:g} days apart",
                observed,
                patient or None,
                far.total(),
            )
        )
    return Checked(len(every), findings)


@once
def _dates_of_series(context: Context) -> dict[tuple[str, str], Counter[tuple[Any, Any, Any]]]:
    """How many files have each Modality, StudyDate and SeriesDate, by patient and series."""
    found: dict[tuple[str, str], Counter[tuple[Any, Any, Any]]] = {}
    for name in ("slices", "dsos"):
        table = context[name]
        # What is a segmentation object is one whatever its Modality says (DSO001).
        modalities = table["modality"].tolist() if name == "slices" else ["SEG"] * len(table)
        columns = (table[column].tolist() for column in ("patient", "series_uid", "study_date", "series_date"))
        for patient, uid, *dates, modality in zip(*columns, modalities, strict=True):
            found.setdefault((text(patient) or "", text(uid) or ""), Counter())[modality, *dates] += 1
    return found


def _folder_of_series(context: Context, patient: str, uid: str) -> str:
    """The first of the folders that files of a series lie in."""
    folders: list[str] = [
        path.rpartition("/")[0]
        for table in (context["slices"], context["dsos"])
        for own, series, path in zip(*(table[name].tolist() for name in ("patient", "series_uid", "path")), strict=True)
        if (text(own) or "", text(series) or "") == (patient, uid)
    ]
    return min(folders)


@lru_cache(4096)
def _date(value: Any) -> dt.date | None:
    day = day_of(value)
    return None if day is None else dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))


@rule(
    "DID014",
    "study-date-outside-range",
    WARNING,
    title="A study's or acquisition's date outside the release's shifted dates",
    why="The release's dates were all shifted into one range; a date outside it may be a real one.",
    fix="Compare with the source; shift the dates of the patient as the others' were, in headers, folder names and metadata.csv.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options; release profile",
    tables=("slices", "dsos", "files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def study_date_outside_range(context: Context) -> Checked:
    """StudyDate of every file, and the other dates of CT images, against first_date and last_date of the profile."""
    known = context.profile.deidentification
    if not (known.first_date and known.last_date):
        raise Skip("the profile has no range of shifted dates")
    days: dict[str, Counter[str]] = {}
    for (patient, _), dates in _dates_of_series(context).items():
        for (_, study, _), count in dates.items():
            if (day := day_of(study)) is not None:
                days.setdefault(patient, Counter())[day] += count
    findings = []
    for patient, held in sorted(days.items()):
        early = sum(count for day, count in held.items() if day < known.first_date)
        late = sum(count for day, count in held.items() if day > known.last_date)
        if early or late:
            sides = [*(["before"] if early else []), *(["after"] if late else [])]
            where = " and ".join(sides)
            findings.append(
                Found(
                    Subject(Kind.PATIENT, column="StudyDate"),
                    f"StudyDate lies {where} the release's range in {early + late:,} of {plural(held.total(), 'file')}.",
                    f"{known.first_date} to {known.last_date}",
                    f"a date {where} it",
                    str(patient) or None,
                    early + late,
                )
            )
    # Where the study's date is told of, its other dates are those of the same day.
    told = {one.patient for one in findings}
    findings += [one for one in _dates_elsewhere(context) if one.patient not in told]
    return Checked(sum(held.total() for held in days.values()), findings)


def _dates_elsewhere(context: Context) -> Iterator[Found]:
    """Dates of acquisition, content and making of CT images that lie outside of the range."""
    known = context.profile.deidentification
    try:
        series = every_series(context)
    except Skip:
        return
    for one in series:
        strange = [row for row in one.present if row.code in ("before", "after")]
        if not strange:
            continue
        names = [name for name, _ in by_attribute(strange)]
        sides = [side for side in ("before", "after") if any(row.code == side for row in strange)]
        where = " and ".join(sides)
        count = max(one.files(rows) for _, rows in by_attribute(strange))
        yield Found(
            one.subject(names[0]),
            f"{listed(names)} {agree(len(names), 'lies', 'lie')} {where} the release's range in {count:,} of {one.counted}.",
            f"{known.first_date} to {known.last_date}",
            f"a date {where} it",
            one.patient,
            count,
        )


@rule(
    "DID015",
    "date-unreadable",
    WARNING,
    title="A date that can't be read",
    why="Whether it is real or was shifted can't be told, and what shifts dates leaves alone what it can't read: such a value is likely to be the original. Forms that can be told, such as that of ACR-NEMA (1992.06.06), are DID014's and REL019's.",
    fix="Look at the value in the file, and write a shifted date as YYYYMMDD, or none.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options; PS3.5 6.2 (VR DA, DT)",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def date_unreadable(context: Context) -> Checked:
    """Every date, and date with time, of every header, in items too; what no option retains is DID002's."""

    def judge(one: Series) -> Iterator[Found]:
        told = {attribute for attribute, _, _ in one.retained_against}
        strange = [row for row in one.present if row.code == "unreadable" and not is_within(row.attribute, told)]
        if not strange:
            return
        grouped = by_attribute(strange)
        names = [name for name, _ in grouped]
        count = max(one.files(rows) for _, rows in grouped)
        message = f"{listed(names)} {agree(len(names), 'holds', 'hold')} what is no date in {count:,} of {one.counted}: it may be a real one."
        yield Found(one.subject(names[0]), message, "YYYYMMDD", "no date that can be read", one.patient, count)

    return each_series(context, judge)
