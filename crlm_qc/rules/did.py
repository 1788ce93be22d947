"""DID: de-identification, after DICOM PS3.15 Annex E (edition 2024b) and the options that the release declares.

Nothing here ever sees a value that may identify somebody: the table `identifiers` holds states alone. Where one element
is wrong, one rule says so: what DID001, DID002 or DID006 tell of is not told again for what its text looks like (DID009).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from crlm_qc.model.deidentification import GROUP, Attribute, AttributeKind, attribute_table, is_too_old
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.rule import Checked, Context, Skip, rule
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import OLDEST
from crlm_qc.rules._uid import is_uid
from crlm_qc.rules._words import file_names, file_subject, folder_of, folder_subject, listed, plural, text

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

ANNEX = "DICOM PS3.15 2024b Annex E, Table E.1-1"
_METHODS = "DeidentificationMethodCodeSequence"
_GRAVITY = {
    AttributeKind.DIRECT: ERROR,
    AttributeKind.INSTITUTION: ERROR,
    AttributeKind.TRIAL: INFO,
    AttributeKind.CHARACTERISTIC: WARNING,
    AttributeKind.DATE: WARNING,
    AttributeKind.DEVICE: WARNING,
    AttributeKind.DESCRIPTOR: WARNING,
}
"""What a value that no option retains comes to. Attributes of a clinical trial name the trial, and archives add some."""
_NAME, _ID = "00100010", "00100020"
_PLANE = re.compile("(50|60)[0-9A-F]{2}3000")
"""Curve and overlay data of any group."""
_UIDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "frame_of_reference_uid": "FrameOfReferenceUID",
}


class _Held(NamedTuple):
    """A row of `identifiers`."""

    attribute: str
    tag: str
    state: str
    code: str | None
    pattern: str | None
    creator: str | None
    n_files: int


Rows = Sequence[_Held]


@dataclass(frozen=True)
class _Series:
    """The files of one series, and what their headers hold."""

    context: Context
    patient: str | None
    uid: str | None
    folder: str
    n_files: int
    rows: Rows
    segmentation: bool = False
    """Whether its files are segmentation objects."""

    def subject(self, attribute: str) -> Subject:
        show = self.context.show
        return Subject(Kind.SERIES, path=show.path(self.folder or "."), uid=show.uid(self.uid), column=attribute)

    def files(self, rows: Rows) -> int:
        """Files that rows speak of: texts of several lengths may stand in one file."""
        return min(self.n_files, sum(row.n_files for row in rows))

    def of(self, attribute: str) -> Rows:
        return [row for row in self.rows if row.attribute == attribute]

    @property
    def present(self) -> Rows:
        return [row for row in self.rows if row.state == "present"]

    @property
    def is_directory(self) -> bool:
        """Whether it is no series, but a directory of files outside of patient folders, which says nothing of itself."""
        return self.patient is None and self.uid is None

    @property
    def counted(self) -> str:
        return plural(self.n_files, "file")

    @cached_property
    def declared(self) -> frozenset[str]:
        """Options that all its files declare; the profile's where they declare none, which is DID004's to tell."""
        sets = [frozenset(row.code.split()) for row in self.of(_METHODS) if row.code]
        return frozenset.intersection(*sets) if sets else self.context.profile.deidentification.codes

    @cached_property
    def retained_against(self) -> list[tuple[str, Attribute, Rows]]:
        """Attributes of Table E.1-1 that hold a value which no declared option retains, with their rows."""
        table = attribute_table()
        found: list[tuple[str, Attribute, Rows]] = []
        for attribute, rows in _by(self.present, lambda row: row.attribute):
            tag = rows[0].tag
            known = None if "x" in tag or tag == _NAME else table.get(int(tag, 16))
            if known is None or known.kind not in _GRAVITY:
                continue
            if tag == _ID:
                # Of a file of a patient's folder, the ID itself is REL011's.
                if "/" not in attribute and self.patient is not None:
                    continue
            elif known.may_hold_a_value(self.declared, segmentation=self.segmentation):
                continue
            # What lies in a sequence that should not be there is told with the sequence.
            if not any(attribute.startswith(outer + "/") for outer, _, _ in found):
                found.append((attribute, known, rows))
        return found


def _by(rows: Rows, key: Callable[[_Held], str]) -> list[tuple[str, Rows]]:
    """Rows by a key, in its order."""
    groups: dict[str, list[_Held]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.items(), key=lambda item: item[0])


def _every_series(context: Context) -> list[_Series]:
    def make() -> list[_Series]:
        rows: dict[tuple[str, str], list[_Held]] = {}
        table = context["identifiers"].astype(object)
        table = table.where(table.notna(), None)
        columns = [table[name] for name in ("patient", "series_uid", *_Held._fields)]
        for patient, uid, *held in zip(*columns, strict=True):
            rows.setdefault((patient or "", uid or ""), []).append(_Held(*held))
        files = context["files"]
        files = files[files["kind"].isin(["ct", "dso", "other-dicom"])]
        keyed = files.assign(**{name: files[name].fillna("") for name in ("patient", "series_uid", "folder")})
        keyed["is_dso"] = keyed["kind"] == "dso"
        grouped = keyed.groupby(["patient", "series_uid"], sort=True)
        counted = grouped.agg(folder=("folder", "min"), size=("folder", "size"), is_dso=("is_dso", "all"))
        return [
            _Series(context, patient or None, uid or None, folder, int(size), rows[patient, uid], bool(is_dso))
            for (patient, uid), folder, size, is_dso in zip(
                counted.index, counted["folder"], counted["size"], counted["is_dso"], strict=True
            )
            if (patient, uid) in rows
        ]

    found = context.once((__name__, "series"), make)
    if not found:
        raise Skip("no DICOM header was read")
    return found


def _each(context: Context, judge: Callable[[_Series], Iterable[Found]]) -> Checked:
    series = _every_series(context)
    return Checked(len(series), [found for one in series for found in judge(one)])


def _not_as_declared(one: _Series, attribute: str, wanted: str) -> Iterator[Found]:
    """An attribute of one value that all files must have."""
    if one.is_directory:
        return
    counts: dict[str, int] = {}
    for row in one.of(attribute):
        if row.code:
            counts[row.code] = counts.get(row.code, 0) + row.n_files
    good = counts.pop(wanted, 0)
    if good >= one.n_files:
        return
    if (absent := one.n_files - good - sum(counts.values())) > 0:
        counts["no value"] = absent
    bad = one.n_files - good
    observed = ", ".join(
        f"{'another value' if code == 'other' else code} in {plural(count, 'file')}" for code, count in counts.items()
    )
    message = f"{attribute} is not {wanted} in {bad:,} of {one.counted}."
    yield Found(one.subject(attribute), message, wanted, observed, one.patient, bad)


@rule(
    "DID001",
    "patient-name",
    ERROR,
    title="PatientName is neither empty nor the patient ID",
    why="A name identifies the patient to whoever opens the file, and travels with every copy of it.",
    fix="Withhold the release, empty PatientName or set it to the PatientID in all files, and find out how it got through.",
    source=f"{ANNEX}: Patient's Name (0010,0010), action Z",
    tables=("files", "identifiers"),
)
def patient_name(context: Context) -> Checked:
    """PatientName of every file; equal to a PatientID of the collection's form, it names nobody."""

    def judge(one: _Series) -> Iterator[Found]:
        names = [row for row in one.present if row.tag == _NAME]
        for attribute, rows in _by(names, lambda row: row.attribute):
            count = one.files(rows)
            yield Found(
                one.subject(attribute),
                f"PatientName (0010,0010) has a value that is not the PatientID in {count:,} of {one.counted}.",
                "empty, or the PatientID",
                "another value, which is not shown",
                one.patient,
                count,
            )

    return _each(context, judge)


@rule(
    "DID002",
    "identifier-present",
    ERROR,
    title="An attribute that may identify somebody has a value",
    why="The Basic Profile removes or empties it, and no option that the release declares retains it: the files hold more than the release says.",
    fix="Withhold the release, and remove or empty the attribute; or, if it was cleaned and is meant to stay, declare the option that retains it.",
    source=ANNEX,
    tables=("files", "identifiers"),
)
def identifier_present(context: Context) -> Checked:
    """Every attribute of expectations/deidentification.toml, in nested items too, against the options declared.

    A value that names a person, a place or an order is an error; a date, device, characteristic or description that no
    option retains is a warning; an attribute of a clinical trial is a note.
    """

    def judge(one: _Series) -> Iterator[Found]:
        for attribute, known, rows in one.retained_against:
            count = one.files(rows)
            if known.tag == int(_ID, 16):
                yield _another_id(one, attribute, count)
                continue
            options = ", ".join(sorted(known.retained_by))
            yield Found(
                one.subject(attribute),
                f"{attribute} ({known.tag >> 16:04X},{known.tag & 0xFFFF:04X}) has a value in {count:,} of {one.counted}.",
                f"no value; action {known.action}" + (f", unless {options} is declared" if options else ""),
                f"a value of VR {known.vr}, which is not shown",
                one.patient,
                count,
                severity=_GRAVITY[known.kind],
            )

    return _each(context, judge)


def _another_id(one: _Series, attribute: str, count: int) -> Found:
    form = one.context.profile.patient_id_form
    own = "/" in attribute
    return Found(
        one.subject(attribute),
        f"{attribute} (0010,0020) is "
        + ("not the file's own PatientID" if own else f"not of the form {form}")
        + f" in {count:,} of {one.counted}.",
        "the file's PatientID, or no value" if own else f"an ID of the form {form}",
        "another ID, which is not shown",
        one.patient,
        count,
    )


@rule(
    "DID003",
    "identity-not-removed",
    ERROR,
    title="PatientIdentityRemoved is not YES",
    why="Archives and tools take the file for one that still identifies the patient, and they may be right.",
    fix="Make sure that the file was de-identified, then set PatientIdentityRemoved (0012,0062) to YES.",
    source="DICOM PS3.15 2024b E.1.1 (De-identifier); PS3.3 C.7.1.1 Patient Module",
    tables=("files", "identifiers"),
)
def identity_not_removed(context: Context) -> Checked:
    """PatientIdentityRemoved of every file."""
    return _each(context, lambda one: _not_as_declared(one, "PatientIdentityRemoved", "YES"))


@rule(
    "DID004",
    "method-codes",
    WARNING,
    title="De-identification method codes are missing, or not the release's",
    why="The codes say what was removed and what was kept; without them nobody can tell whether a value is there on purpose.",
    fix="Set DeidentificationMethodCodeSequence (0012,0064) in all files to the codes of the procedure that was used.",
    source="DICOM PS3.15 2024b E.1.1; PS3.16 CID 7050 De-identification Method; release profile",
    tables=("files", "identifiers"),
)
def method_codes(context: Context) -> Checked:
    """DeidentificationMethodCodeSequence of every file, against the codes of the profile."""
    wanted = context.profile.deidentification.codes

    def judge(one: _Series) -> Iterator[Found]:
        if one.is_directory:
            return
        good, bad, seen = 0, 0, []
        for row in one.of(_METHODS):
            if not row.code:
                continue
            if not wanted or set(row.code.split()) == wanted:
                good += row.n_files
            else:
                bad += row.n_files
                said = row.code.replace("other", "codes that are none of its options")
                seen.append(f"{said} in {plural(row.n_files, 'file')}")
        if good >= one.n_files:
            return
        if (absent := one.n_files - good - bad) > 0:
            seen.append(f"none in {plural(absent, 'file')}")
        bad = one.n_files - good
        message = f"{_METHODS} is missing or has other codes in {bad:,} of {one.counted}."
        expected = " ".join(sorted(wanted)) if wanted else "at least one code"
        yield Found(one.subject(_METHODS), message, expected, "; ".join(seen), one.patient, bad)

    return _each(context, judge)


@rule(
    "DID005",
    "dates-not-declared-modified",
    WARNING,
    title="LongitudinalTemporalInformationModified is missing or not MODIFIED",
    why="Who uses the dates can't tell whether they are real; if they are, they may identify the patient.",
    fix="Make sure that the dates were shifted, then set LongitudinalTemporalInformationModified (0028,0303) to MODIFIED.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options",
    tables=("files", "identifiers"),
)
def dates_not_declared_modified(context: Context) -> Checked:
    """LongitudinalTemporalInformationModified of every file; only where the release retains modified dates."""
    codes = context.profile.deidentification.codes
    if codes and "113107" not in codes:
        raise Skip("the profile's releases do not retain modified dates (113107)")
    return _each(context, lambda one: _not_as_declared(one, "LongitudinalTemporalInformationModified", "MODIFIED"))


@rule(
    "DID006",
    "private-attribute",
    WARNING,
    title="Private attributes beyond those allowed",
    why="What a private element means is known to its maker alone, and scanners keep names and dates in some.",
    fix="Remove the elements, or, if they are known to be safe, add their creator to the profile's private_creators.",
    source=f"{ANNEX}: private attributes, action X; E.3.10 Retain Safe Private Option",
    tables=("files", "identifiers"),
)
def private_attribute(context: Context) -> Checked:
    """Private elements with a value, by creator and group; creators without elements are allowed."""
    allowed = context.profile.deidentification.private_creators

    def judge(one: _Series) -> Iterator[Found]:
        for key, rows in _by(_strange_private(one, allowed), lambda row: f"{row.tag[:4]} {row.creator}"):
            group, _, creator = key.partition(" ")
            count = one.files(rows)
            attributes = sorted({row.attribute for row in rows})
            looks = sorted({row.pattern for row in rows if row.pattern})
            whose = {"none": "without a creator", "other": "of a creator that is not publicly known"}.get(
                creator, f"of {creator}"
            )
            yield Found(
                one.subject(f"({group},eeee)"),
                f"{plural(len(attributes), 'private attribute')} {whose} hold{'s' if len(attributes) == 1 else ''} a value "
                f"in up to {count:,} of {one.counted}: {listed(attributes)}.",
                f"private attributes of {', '.join(sorted(allowed))} alone" if allowed else "no private attribute",
                f"{plural(len(attributes), 'attribute')}" + (f"; looks like: {', '.join(looks)}" if looks else ""),
                one.patient,
                count,
            )

    return _each(context, judge)


def _strange_private(one: _Series, allowed: Collection[str]) -> Rows:
    return [row for row in one.present if row.creator is not None and row.creator not in allowed]


@rule(
    "DID007",
    "burned-in-annotation",
    ERROR,
    title="BurnedInAnnotation is YES",
    why="The pixels may hold the patient's name or number as text.",
    fix="Look at the images; clean or withhold them, then set BurnedInAnnotation (0028,0301) to NO.",
    source="DICOM PS3.3 C.7.6.1 General Image Module; PS3.15 2024b E.3.1 Clean Pixel Data Option",
    tables=("files", "identifiers"),
)
def burned_in_annotation(context: Context) -> Checked:
    """BurnedInAnnotation of every file; absent means that nothing is said."""

    def judge(one: _Series) -> Iterator[Found]:
        rows = [row for row in one.of("BurnedInAnnotation") if row.code == "YES"]
        if rows:
            count = one.files(rows)
            message = f"BurnedInAnnotation is YES in {count:,} of {one.counted}."
            yield Found(one.subject("BurnedInAnnotation"), message, "NO, or absent", "YES", one.patient, count)

    return _each(context, judge)


@rule(
    "DID008",
    "overlay-or-graphics",
    WARNING,
    title="Overlays, curves, graphics or an icon image",
    why="They may show the patient's name, and viewers draw them on the image.",
    fix="Look at them, and remove them, or keep them and declare the Clean Graphics Option (113103).",
    source=f"{ANNEX}: Overlay Data, Curve Data, Graphic Annotation Sequence, Icon Image Sequence; E.3.3 Clean Graphics Option",
    tables=("files", "identifiers"),
)
def overlay_or_graphics(context: Context) -> Checked:
    """Overlay and curve data of any group, graphic annotations and icon images with a value."""
    graphics = {
        f"{item.tag:08X}" for item in attribute_table().attributes.values() if item.kind is AttributeKind.GRAPHIC
    }

    def judge(one: _Series) -> Iterator[Found]:
        if "113103" in one.declared:
            return
        drawn = [row for row in one.present if row.tag in graphics or _PLANE.fullmatch(row.tag)]
        for attribute, rows in _by(drawn, lambda row: row.attribute):
            count = one.files(rows)
            message = f"{attribute} is there in {count:,} of {one.counted}."
            yield Found(one.subject(attribute), message, "none", "present", one.patient, count)

    return _each(context, judge)


@rule(
    "DID009",
    "text-identifies",
    WARNING,
    title="Free text that looks as if it identified somebody",
    why="Names, telephone numbers, record numbers and real dates hide in comments and descriptions, which options allow to stay once cleaned.",
    fix="Read the attribute in the file, or the cell or name that the finding tells, and clean it wherever it stands.",
    source="DICOM PS3.15 2024b E.3.5 Clean Descriptors Option",
    tables=("files", "identifiers", "texts"),
)
def text_identifies(context: Context) -> Checked:
    """Every text of every header, nested and private too, and every text of tables and names of files; the collection's own words and shifted dates are left out."""
    allowed = context.profile.deidentification.private_creators

    def judge(one: _Series) -> Iterator[Found]:
        told = {attribute for attribute, _, _ in one.retained_against}
        private = {row.attribute for row in _strange_private(one, allowed)}
        for name, rows in _by([row for row in one.rows if row.pattern], lambda row: row.attribute):
            if name in private or any(name == outer or name.startswith(outer + "/") for outer in told):
                continue
            looks = sorted({row.pattern for row in rows if row.pattern})
            count = one.files(rows)
            message = f"{name} holds what looks like {_a(looks)} in {count:,} of {one.counted}."
            yield Found(one.subject(name), message, "text that identifies nobody", ", ".join(looks), one.patient, count)

    elsewhere = [*_cells_that_identify(context), *_names_that_identify(context)]
    try:
        checked = _each(context, judge)
    except Skip:
        if not elsewhere:
            raise
        checked = Checked(0)
    return Checked(checked.examined + len(elsewhere), [*checked.findings, *elsewhere])


def _a(kinds: Sequence[str]) -> str:
    return " and ".join(f"an {kind}" if kind[0] == "e" else f"a {kind}" for kind in kinds)


_TABLES = {
    "clinical": "the workbook",
    "dictionary": "the Data Dictionary",
    "metadata": "metadata.csv",
    "manifest": "the manifest",
}


def _cells_that_identify(context: Context) -> Iterator[Found]:
    """A finding a column of a table."""
    texts = context["texts"]
    cells = texts[texts["source"].isin(list(_TABLES))]
    known = {
        *context.profile.variables,
        *context.profile.metadata_columns,
        "variable",
        "description",
        "values",
        "entry",
    }
    for (source, path, column), rows in cells.groupby(["source", "path", "column"], sort=True):
        looks = sorted(set(rows["pattern"]))
        shown = context.show.text(str(column), known=known)
        patients = sorted(set(rows["patient"].dropna()))
        places = tuple(f"row {row}" for row in sorted(set(rows["row"].dropna())))
        one = len(rows) == 1
        yield Found(
            Subject(
                Kind.ROW if one else Kind.COLUMN,
                context.show.path(str(path)),
                row=int(rows["row"].iloc[0]) if one else None,
                column=shown,
            ),
            f"{plural(len(rows), 'cell')} of {shown} in {_TABLES[str(source)]} "
            f"{'holds' if one else 'hold'} what looks like {_a(looks)}: {listed(places)}.",
            "text that identifies nobody",
            ", ".join(looks),
            patients[0] if len(patients) == 1 and one else None,
            len(rows),
            places,
        )


def _names_that_identify(context: Context) -> Iterator[Found]:
    """A finding a folder in which files or folders have such names."""
    texts = context["texts"]
    named = texts[texts["source"].isin(["file", "folder"])]
    for (source, above), rows in named.groupby(["source", named["path"].map(folder_of)], sort=True):
        looks = sorted(set(rows["pattern"]))
        paths = list(rows["path"])
        names = file_names(context, paths) if source == "file" else ()
        if len(rows) == 1:
            kind = Kind.FILE if source == "file" else Kind.FOLDER
            subject = Subject(kind, context.show.path(paths[0]))
            whose = f"The name of {names[0]}" if names else "The name of the folder"
            message = f"{whose} looks like {_a(looks)}."
        else:
            subject = folder_subject(context, str(above))
            what = f"The names of {len(rows)} {source}s"
            message = f"{what} look like {_a(looks)}{': ' if names else ''}{listed(names)}."
        patient = text(rows["patient"].iloc[0])
        yield Found(subject, message, "a name that names nobody", ", ".join(looks), patient, len(rows), tuple(names))


@rule(
    "DID010",
    "age-over-89",
    ERROR,
    title="An age over 89 years",
    why="So few people are that old that an age over 89 may identify one of them.",
    fix="Give all ages over 89 as one group, such as 090Y, in the headers and in the workbook alike, and say so in the data dictionary.",
    source="45 CFR 164.514(b)(2)(i)(C), Safe Harbor; DICOM PS3.15 2024b E.3.7 Retain Patient Characteristics Option",
    tables=("slices", "dsos", "clinical", "sources", "files", "identifiers"),
)
def age_over_89(context: Context) -> Checked:
    """PatientAge of every file, in items too, and the workbook's column `age`; 90, the usual name of the group, is allowed."""
    import pandas as pd

    headers = pd.concat([context[name][["patient", "patient_age"]] for name in ("slices", "dsos")], ignore_index=True)
    headers = headers[headers["patient_age"].notna()]
    old = headers[headers["patient_age"].map(is_too_old).astype(bool)]
    clinical = context["clinical"]
    ages = clinical[(clinical["column"].str.strip().str.casefold() == "age") & clinical["value"].notna()]
    findings = [
        Found(
            Subject(Kind.PATIENT, column="PatientAge"),
            f"PatientAge (0010,1010) is over {OLDEST} years in {plural(len(rows), 'file')}.",
            f"at most {OLDEST} years, or 090Y for all above",
            f"over {OLDEST} years",
            str(patient) or None,
            len(rows),
        )
        for patient, rows in old.groupby(old["patient"].fillna(""), sort=True)
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
        for row, patient, value in zip(ages["row"], ages["patient"], ages["value"], strict=True)
        if value > GROUP
    ]
    return Checked(len(headers) + len(ages), findings)


def _old_elsewhere(context: Context) -> list[Found]:
    """Ages in items of sequences, and in files outside of patient folders."""
    try:
        series = _every_series(context)
    except Skip:
        return []
    findings = []
    for one in series:
        old = [row for row in one.present if row.tag == "00101010" and row.code == "over"]
        beyond = [row for row in old if one.patient is None or "/" in row.attribute]
        for attribute, rows in _by(beyond, lambda row: row.attribute):
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
)
def dates_not_shifted_together(context: Context) -> Checked:
    """SeriesDate against StudyDate of every series; dates that the profile knows not to be shifted are left out."""
    import pandas as pd

    known = context.profile.deidentification
    columns = ["patient", "path", "series_uid", "modality", "study_date", "series_date"]
    # What is a segmentation object is one whatever its Modality says (DSO001).
    dsos = context["dsos"][columns].assign(modality="SEG")
    rows = pd.concat([context["slices"][columns], dsos], ignore_index=True)
    findings, examined = [], 0
    for (patient, uid), group in rows.groupby([rows["patient"].fillna(""), rows["series_uid"].fillna("")], sort=True):
        examined += 1
        apart = []
        for modality, study, series in zip(group["modality"], group["study_date"], group["series_date"], strict=True):
            first, second = _date(study), _date(series)
            if first and second and series not in known.series_dates.get(modality, ()):
                apart.append(abs((second - first).days))
        far = [days for days in apart if days > known.same_study_days]
        if not far:
            continue
        years = max(far) / 365.25
        observed = f"about {plural(round(years), 'year')} apart" if years >= 1 else "less than a year apart"
        folder = group["path"].str.rpartition("/")[0].min()
        findings.append(
            Found(
                Subject(Kind.SERIES, context.show.path(folder), context.show.uid(str(uid)), column="SeriesDate"),
                f"SeriesDate does not lie by StudyDate in {len(far):,} of {plural(len(group), 'file')}.",
                f"at most {known.same_study_days:g} days apart",
                observed,
                str(patient) or None,
                len(far),
            )
        )
    return Checked(examined, findings)


@lru_cache(4096)
def _date(value: Any) -> dt.date | None:
    try:
        return dt.datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007 - a DA has no time zone
    except (TypeError, ValueError):
        return None


@rule(
    "DID012",
    "workbook-names-a-person",
    INFO,
    title="The workbook's properties name a person",
    why="Spreadsheets keep who made and last saved them, and where; it is seldom meant to be published.",
    fix="Remove the properties: in Excel, File > Info > Inspect Document.",
    source="ECMA-376 Part 2, 11 Core Properties (docProps/core.xml)",
    tables=("workbook", "sources"),
)
def workbook_names_a_person(context: Context) -> Checked:
    """creator, lastModifiedBy, Manager and the folder last saved in; names of programs are left out."""
    sources = context["sources"]
    used = sources[(sources["source"] == "clinical") & sources["used"].fillna(False).astype(bool)]
    if used.empty:
        raise Skip("no workbook was found")
    facts = context["workbook"]
    names = sorted(set(facts.loc[(facts["fact"] == "property") & facts["has_value"], "name"].dropna()))
    if not names:
        return Checked(1)
    message = f"The workbook's properties {listed(names)} hold what may name a person."
    subject = replace(file_subject(context, str(used["path"].iloc[0])), column="properties")
    return Checked(1, [Found(subject, message, "empty", ", ".join(names), None, len(names), tuple(names))])


@rule(
    "DID013",
    "uid-of-another-root",
    INFO,
    title="A UID outside the release's root",
    why="A UID that was not replaced leads to the image in the hospital's archive; one that was replaced otherwise breaks references between files.",
    fix="Replace the UID, and all references to it, by one under the release's root.",
    source=f"{ANNEX}: UIDs, action U; E.3.9 Retain UIDs Option",
    tables=("files",),
)
def uid_of_another_root(context: Context) -> Checked:
    """SOP Instance, Series, Study and Frame of Reference UID of every file; malformed ones are REL011's."""
    root = context.profile.uid_root + "."
    files = context["files"]
    files = files[files["kind"].isin(["ct", "dso"])]
    findings = []
    for (patient, uid), rows in files.groupby([files["patient"].fillna(""), files["series_uid"].fillna("")], sort=True):
        for column, keyword in _UIDS.items():
            strange = [one for one in rows[column] if is_uid(one) and not one.startswith(root)]
            if strange:
                shown: Sequence[str] = sorted({context.show.uid(one) for one in strange})
                findings.append(
                    Found(
                        Subject(
                            Kind.SERIES,
                            context.show.path(str(rows["folder"].fillna("").min()) or "."),
                            context.show.uid(str(uid)),
                            column=keyword,
                        ),
                        f"{keyword} is not under the release's root in {len(strange):,} of {plural(len(rows), 'file')}.",
                        f"{root}{chr(0x2026)}",
                        listed(shown),
                        str(patient) or None,
                        len(strange),
                    )
                )
    return Checked(len(files), findings)


@rule(
    "DID014",
    "study-date-outside-range",
    WARNING,
    title="A study's or acquisition's date outside the release's shifted dates",
    why="The release's dates were all shifted into one range; a date outside it may be a real one.",
    fix="Compare with the source; shift the dates of the patient as the others' were, in headers, folder names and metadata.csv.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options; release profile",
    tables=("slices", "dsos", "files", "identifiers"),
)
def study_date_outside_range(context: Context) -> Checked:
    """StudyDate of every file, and the other dates of CT images, against first_date and last_date of the profile."""
    import pandas as pd

    known = context.profile.deidentification
    if not (known.first_date and known.last_date):
        raise Skip("the profile has no range of shifted dates")
    rows = pd.concat([context[name][["patient", "study_date"]] for name in ("slices", "dsos")], ignore_index=True)
    rows = rows[rows["study_date"].map(_date).notna()]
    findings = []
    for patient, group in rows.groupby(rows["patient"].fillna(""), sort=True):
        early = int((group["study_date"] < known.first_date).sum())
        late = int((group["study_date"] > known.last_date).sum())
        if early or late:
            sides = [*(["before"] if early else []), *(["after"] if late else [])]
            where = " and ".join(sides)
            findings.append(
                Found(
                    Subject(Kind.PATIENT, column="StudyDate"),
                    f"StudyDate lies {where} the release's range in {early + late:,} of {plural(len(group), 'file')}.",
                    f"{known.first_date} to {known.last_date}",
                    f"a date {where} it",
                    str(patient) or None,
                    early + late,
                )
            )
    # Where the study's date is told of, its other dates are those of the same day.
    told = {one.patient for one in findings}
    findings += [one for one in _dates_elsewhere(context) if one.patient not in told]
    return Checked(len(rows), findings)


def _dates_elsewhere(context: Context) -> Iterator[Found]:
    """Dates of acquisition, content and making of CT images that lie outside of the range."""
    known = context.profile.deidentification
    try:
        series = _every_series(context)
    except Skip:
        return
    for one in series:
        strange = [row for row in one.present if row.code in ("before", "after")]
        if not strange:
            continue
        names = [name for name, _ in _by(strange, lambda row: row.attribute)]
        sides = [side for side in ("before", "after") if any(row.code == side for row in strange)]
        where = " and ".join(sides)
        count = max(one.files(rows) for _, rows in _by(strange, lambda row: row.attribute))
        yield Found(
            one.subject(names[0]),
            f"{listed(names)} {'lies' if len(names) == 1 else 'lie'} {where} the release's range in {count:,} of {one.counted}.",
            f"{known.first_date} to {known.last_date}",
            f"a date {where} it",
            one.patient,
            count,
        )
