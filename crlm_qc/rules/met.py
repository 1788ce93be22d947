"""Rules about metadata.csv, the downloader's list of series.

Checks of a row's own values stand in the Pandera model of `_met_model`; what compares rows with one another or with the
disk is plain. Where one cell is wrong, one rule says so:

- a Series UID that is invalid (MET003) is compared with nothing;
- a row whose series is not on disk is MET016's, whatever its File Location; MET011 speaks where the series is there and
  the location does not lead to it, where the UID can't tell, and where a location leads outside;
- files that can't be read (REL004), copies (REL006) and mixed folders (REL014) explain a count that is off.

For part of a release (`--subset`, `--patients`) the rows of patients that are not on disk, or were not read, are not
compared with the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.headings import plain_heading
from crlm_qc.model.profile import Profile
from crlm_qc.model.rule import Checked, Context, RuleKind, Skip, rule
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import LARGEST
from crlm_qc.rules._met_disk import disk, headers
from crlm_qc.rules._met_model import (
    FILE,
    HEADINGS,
    failed,
    failures,
    found_on_row,
    rows,
    sop_class_columns,
    source,
)
from crlm_qc.rules._uid import is_uid
from crlm_qc.rules._words import listed, number, plural, text, whole

if TYPE_CHECKING:
    import pandas as pd

ERROR, WARNING = Severity.ERROR, Severity.WARNING
TABLES = ("sources", "metadata")
DISK = (*TABLES, "files", "patients")
DOWNLOADER = "metadata.csv as the NBIA Data Retriever writes it"
UID_FORM = "a DICOM UID"


def _labelled(table: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    """Labels and rows as named tuples."""
    return zip(table.index, table.itertuples(index=False), strict=True)


def _model_rule(
    context: Context, code: str, columns: tuple[str, ...], say: Callable[[Any, list[str]], Found]
) -> Checked:
    """One finding a row that fails a check of the model."""
    given = source(context)
    present = [column for column in columns if given.has(column)]
    table = rows(context, *(columns[:1] if not present else present[:1]))
    wrong: dict[Any, list[str]] = {}
    for failure in failures(context).get(code, ()):
        wrong.setdefault(failure.row, []).append(failure.column or "")
    chosen = table.loc[list(wrong)]
    return Checked(len(table), [say(row, wrong[label]) for label, row in _labelled(chosen)])


# The file and its columns.


@rule(
    "MET001",
    "metadata-column-missing",
    ERROR,
    title="metadata.csv lacks a column",
    why="Programs that read the list stop or guess, and what the column says of each series can't be checked.",
    fix="Export metadata.csv again with all of the downloader's columns.",
    source=DOWNLOADER,
    tables=("sources",),
)
def column_missing(context: Context) -> Checked:
    """Every heading that the profile lists."""
    given = source(context)
    if given.headings is None or given.problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    expected = context.profile.metadata_columns
    there = {plain_heading(heading) for heading in given.headings}
    return Checked(
        len(expected),
        [
            Found(
                Subject(Kind.COLUMN, path=context.show.path(given.path), column=heading),
                f"{FILE} has no column {heading}.",
                f"a column {heading}",
                f"{plural(len(given.headings), 'column')}, none of this name",
            )
            for heading in expected
            if plain_heading(heading) not in there
        ],
    )


@rule(
    "MET002",
    "metadata-column-unknown",
    WARNING,
    title="metadata.csv has an unknown column, or one written otherwise",
    why="A column that the downloader does not write was added by hand, and may hold what must not be published.",
    fix="Take the column out, or write its heading as the downloader does.",
    source=DOWNLOADER,
    tables=("sources",),
)
def column_unknown(context: Context) -> Checked:
    """Every heading of the file."""
    given = source(context)
    if given.headings is None or given.problem not in (None, "no-rows"):
        raise Skip(f"{FILE} could not be read")
    expected = {plain_heading(heading): heading for heading in context.profile.metadata_columns}
    seen: set[str] = set()
    findings = []
    for place, heading in enumerate(given.headings, start=1):
        known = expected.get(plain_heading(heading))
        shown = context.show.text(heading, known=expected.values())
        if known is None:
            what, wanted = f"is unknown: {shown}", "a column of the downloader"
        elif plain_heading(heading) in seen:
            what, wanted = f"repeats the heading {known}; the first one is used", f"one column {known}"
        elif heading != known:
            what, wanted = f"is not written {known}", known
        else:
            seen.add(plain_heading(heading))
            continue
        seen.add(plain_heading(heading))
        findings.append(
            Found(
                Subject(Kind.COLUMN, path=context.show.path(given.path), column=known or f"column {place}"),
                f"Column {place} of {FILE} {what}.",
                wanted,
                shown if known is None else f"another spelling of {known}" if heading != known else f"{known} again",
            )
        )
    return Checked(len(given.headings), findings)


@rule(
    "MET020",
    "metadata-not-parsed",
    ERROR,
    title="metadata.csv can't be parsed",
    why="Half a list would make what it lacks look missing, so nothing in it was compared with the release.",
    fix="Save it as CSV with commas, in UTF-8, each row with as many fields as the heading; mend the line that is named.",
    source="RFC 4180; " + DOWNLOADER,
    tables=("sources",),
)
def not_parsed(context: Context) -> Checked:
    """The file that the audit took for metadata.csv."""
    given = source(context)
    if given.problem is None:
        return Checked(1)
    where = "" if given.line is None else f" (line {given.line})"
    expected = "CSV in UTF-8 with commas and the downloader's columns"
    found = Found(
        Subject(Kind.FILE, path=context.show.path(given.path), row=given.line),
        f"{FILE} can't be parsed: {given.detail}{where}.",
        expected,
        given.detail,
    )
    return Checked(1, [found])


# Each row by itself: the Pandera model.


@rule(
    "MET003",
    "metadata-uid-invalid",
    ERROR,
    title="Series UID or Study UID is no valid DICOM UID",
    why="The row can't be matched with the files, nor found in the archive.",
    fix="Copy the UID from the DICOM header; a spreadsheet may have cut or rounded it.",
    source="DICOM PS3.5 9.1 (UID encoding rules)",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def uid_invalid(context: Context) -> Checked:
    """Both UIDs of every row."""

    def say(row: Any, columns: list[str]) -> Found:
        shown = [f"{HEADINGS[column]}: {context.show.uid(text(getattr(row, column)))}" for column in columns]
        names = " and ".join(HEADINGS[column] for column in columns)
        verb = "is no valid DICOM UID" if len(columns) == 1 else "are no valid DICOM UIDs"
        return found_on_row(context, row, columns, f"{names} {verb}.", UID_FORM, "; ".join(shown), count=len(columns))

    return _model_rule(context, "MET003", ("series_uid", "study_uid"), say)


@rule(
    "MET004",
    "metadata-series-twice",
    ERROR,
    title="A Series UID stands in two rows",
    why="The series is counted and downloaded twice, and the rows may contradict each other.",
    fix="Take the surplus row out.",
    source=DOWNLOADER + ": one row a series",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def series_twice(context: Context) -> Checked:
    """Every Series UID; one finding for all rows of a UID."""
    table = rows(context, "series_uid")
    labels = [failure.row for failure in failures(context).get("MET004", ())]
    findings = []
    for uid in dict.fromkeys(table.loc[labels, "series_uid"]):
        same = table[table["series_uid"] == uid]
        lines = [str(int(line)) for line in same["row"]]
        second = next(row for _, row in _labelled(same.iloc[1:2]))
        findings.append(
            found_on_row(
                context,
                second,
                ["series_uid"],
                f"its Series UID stands in lines {listed(lines)}.",
                "one row",
                plural(len(same), "row"),
                count=len(same),
                examples=[f"line {line}" for line in lines],
            )
        )
    return Checked(len(table), findings)


@rule(
    "MET005",
    "metadata-collection",
    ERROR,
    title="Collection is another than the release's",
    why="The row is of another data set, or the list was merged with one.",
    fix="Take the row out, or correct the name of the collection.",
    source="published description: name of the collection",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def collection(context: Context) -> Checked:
    """Collection of every row."""
    name = context.profile.name

    def say(row: Any, _: list[str]) -> Found:
        return found_on_row(
            context, row, ["collection"], f"Collection is not {name}.", name, context.show.text(text(row.collection))
        )

    return _model_rule(context, "MET005", ("collection",), say)


@rule(
    "MET006",
    "metadata-subject-malformed",
    ERROR,
    title="Subject ID has not the form of the collection",
    why="The row can't be matched with the patient's folder or the clinical workbook.",
    fix="Write the ID as the collection does; the finding shows the form.",
    source="published description: patient IDs",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def subject_malformed(context: Context) -> Checked:
    """Subject ID of every row."""
    form = context.profile.patient_id_form

    def say(row: Any, _: list[str]) -> Found:
        shown = context.show.patient(text(row.subject_id))
        return found_on_row(context, row, ["subject_id"], f"Subject ID is not of the form {form}.", form, shown)

    return _model_rule(context, "MET006", ("subject_id",), say)


@rule(
    "MET007",
    "metadata-modality",
    ERROR,
    title="Modality is not CT or SEG",
    why="The release holds CT series and segmentation objects alone; the row can be neither counted nor checked.",
    fix="Copy Modality (0008,0060) from the DICOM header, or take the row out.",
    source="published description: modalities CT and SEG; DICOM PS3.3 C.7.3.1.1.1",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def modality(context: Context) -> Checked:
    """Modality of every row."""
    known = list(context.profile.modalities)

    def say(row: Any, _: list[str]) -> Found:
        expected = " or ".join(known)
        shown = context.show.text(text(row.modality), known=_MODALITIES)
        return found_on_row(context, row, ["modality"], f"Modality is not {expected}.", expected, shown)

    return _model_rule(context, "MET007", ("modality",), say)


# Defined terms of DICOM PS3.3 C.7.3.1.1.1 that a list of series is likely to hold.
_MODALITIES = frozenset({"CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "RTSTRUCT", "SEG", "SR", "US", "XA"})


@rule(
    "MET008",
    "metadata-sop-class",
    ERROR,
    title="SOP class contradicts Modality",
    why="Who picks series by one of the two gets others than by the other.",
    fix="Copy SOP Class UID (0008,0016) and Modality (0008,0060) from the DICOM header.",
    source="DICOM PS3.4 B.5 (storage SOP classes), PS3.6 Annex A (their names)",
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def sop_class(context: Context) -> Checked:
    """SOP Class UID and Name of every row with a known Modality."""
    given = source(context)
    rows(context, "modality")
    present = [column for column in ("sop_class_uid", "sop_class_name") if given.has(column)]
    names = {name for classes in context.profile.modalities.values() for name in classes.values()}

    def say(row: Any, _: list[str]) -> Found:
        classes = context.profile.modalities[row.modality]
        wrong = sop_class_columns(classes, row.sop_class_uid, row.sop_class_name, present)
        shown = {
            "sop_class_uid": context.show.uid(text(row.sop_class_uid)),
            "sop_class_name": context.show.text(text(row.sop_class_name), known=names),
        }
        headings = " and ".join(HEADINGS[column] for column in wrong)
        expected = " or ".join(f"{name} ({uid})" for uid, name in classes.items())
        message = f"{headings} {'is' if len(wrong) == 1 else 'are'} not of Modality {row.modality}."
        observed = "; ".join(shown[column] for column in wrong)
        return found_on_row(context, row, wrong, message, expected, observed, count=len(wrong))

    return _model_rule(context, "MET008", ("sop_class_uid", "sop_class_name"), say)


@rule(
    "MET009",
    "metadata-images",
    ERROR,
    title="Number of Images is no positive whole number, or not 1 for a SEG",
    why="A download can't be checked for completeness; a segmentation is one object, whatever its frames.",
    fix="Write the number of files of the series.",
    source=DOWNLOADER,
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def images(context: Context) -> Checked:
    """Number of Images of every row; 27.0 reads as 27."""

    def say(row: Any, columns: list[str]) -> Found:
        shown = context.show.text(text(row.number_of_images))
        if columns == [""]:
            message, expected = "Number of Images of a SEG series is not 1.", "1"
        else:
            message, expected = "Number of Images is no positive whole number.", "a whole number of at least 1"
        return found_on_row(context, row, ["number_of_images"], message, expected, shown)

    return _model_rule(context, "MET009", ("number_of_images",), say)


@rule(
    "MET010",
    "metadata-size-unreadable",
    WARNING,
    title="File Size can't be read",
    why="A download can't be checked for completeness by its bytes.",
    fix="Write a number and a unit, such as 84.84 MB.",
    source=DOWNLOADER,
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def size_unreadable(context: Context) -> Checked:
    """File Size of every row."""

    def say(row: Any, _: list[str]) -> Found:
        return found_on_row(
            context,
            row,
            ["file_size"],
            "File Size is no number with a unit.",
            "for example 84.84 MB",
            context.show.text(text(row.file_size)),
        )

    return _model_rule(context, "MET010", ("file_size",), say)


@rule(
    "MET013",
    "metadata-date",
    ERROR,
    title="Study Date is no date of the form MM-DD-YYYY",
    why="Programs that parse the column fail, or take day for month.",
    fix="Write the date as MM-DD-YYYY; a spreadsheet may have changed it.",
    source=DOWNLOADER,
    tables=TABLES,
    kind=RuleKind.TABLE,
)
def date(context: Context) -> Checked:
    """Study Date of every row."""
    form = context.profile.date_form

    def say(row: Any, _: list[str]) -> Found:
        shown = context.show.date(text(row.study_date))
        return found_on_row(context, row, ["study_date"], f"Study Date is no date {form}.", form, shown)

    return _model_rule(context, "MET013", ("study_date",), say)


# Rows against one another.


def _roles(context: Context, table: pd.DataFrame) -> dict[Any, str | None]:
    """The Modality of each row; None where it is unknown (MET007) or in doubt (MET008)."""
    doubted = failed(context, "MET007", "MET008")
    return {label: None if label in doubted else text(row.modality) for label, row in _labelled(table)}


def _owners(table: pd.DataFrame, profile: Profile) -> dict[Any, str | None]:
    """The patient of each row; of a row with a malformed Subject ID (MET006) the one in its File Location."""
    owners: dict[Any, str | None] = {}
    for label, row in _labelled(table):
        parts = (text(row.file_location) or "").replace("\\", "/").split("/")
        located = next((part for part in parts if profile.is_patient_id(part)), None)
        owners[label] = text(row.patient) or located
    return owners


def _by_patient(context: Context) -> dict[str, dict[str, dict[Any, Any]]]:
    """Patient to modality to the rows, one a Series UID; patients with a row of unknown modality are left out."""
    table = rows(context, "subject_id", "modality")
    roles, owners = _roles(context, table), _owners(table, context.profile)
    doubtful = {owners[label] for label, role in roles.items() if role is None}
    grouped: dict[str, dict[str, dict[Any, Any]]] = {}
    for label, row in _labelled(table):
        owner, role = owners[label], roles[label]
        if owner is None or role is None or owner in doubtful:
            continue
        key = row.series_uid if is_uid(row.series_uid) else f"line {row.row}"
        grouped.setdefault(owner, {}).setdefault(role, {}).setdefault(key, row)
    return grouped


@rule(
    "MET012",
    "metadata-study-uids",
    ERROR,
    title="CT and SEG of a subject have different Study UIDs",
    why="A segmentation belongs to the study of its CT; archives and viewers group by study and would part them.",
    fix="Copy Study Instance UID (0020,000D) from the DICOM headers.",
    source="published description: CT and DSO in one study",
    tables=TABLES,
)
def study_uids(context: Context) -> Checked:
    """Every subject with one CT row and one SEG row."""
    rows(context, "study_uid")
    grouped = _by_patient(context)
    examined, findings = 0, []
    for patient, by_role in sorted(grouped.items()):
        pairs = [list(by_role.get(role, {}).values()) for role in ("CT", "SEG")]
        if [len(pair) for pair in pairs] != [1, 1]:
            continue
        ct, seg = pairs[0][0], pairs[1][0]
        if not (is_uid(ct.study_uid) and is_uid(seg.study_uid)):
            continue
        examined += 1
        if ct.study_uid != seg.study_uid:
            message = f"Study UID of {patient}'s SEG differs from that of its CT (line {int(ct.row)})."
            expected, observed = context.show.uid(ct.study_uid), context.show.uid(seg.study_uid)
            findings.append(found_on_row(context, seg, ["study_uid"], message, expected, observed))
    return Checked(examined, findings)


@rule(
    "MET014",
    "metadata-subject-pair",
    ERROR,
    title="A subject has not exactly one CT row and one SEG row",
    why="Each patient has one CT series and one segmentation object; a row too few loses one, a row too many is ambiguous.",
    fix="Add the row that is missing, or take the surplus one out.",
    source="published description: one CT series and one segmentation object a patient",
    tables=TABLES,
)
def subject_pair(context: Context) -> Checked:
    """Every subject; rows that repeat a Series UID (MET004) count once."""
    grouped = _by_patient(context)
    wanted = context.profile.published.series_per_patient
    findings = []
    for patient, by_role in sorted(grouped.items()):
        counts = {role: len(by_role.get(role, {})) for role in wanted}
        if counts != dict(wanted):
            observed = ", ".join(plural(count, f"{role} row") for role, count in counts.items())
            expected = ", ".join(plural(count, f"{role} row") for role, count in wanted.items())
            lines = sorted(int(row.row) for found in by_role.values() for row in found.values())
            findings.append(
                Found(
                    Subject(Kind.PATIENT, column=HEADINGS["subject_id"]),
                    f"{patient} has {observed} in {FILE}.",
                    expected,
                    observed,
                    patient=patient,
                    examples=tuple(f"line {line}" for line in lines),
                )
            )
    return Checked(len(grouped), findings)


# Rows against the disk.


def _compared(context: Context) -> pd.DataFrame:
    """Rows that are to be compared with the disk: all of them, or those of the part that is audited.

    Raises
    ------
    Skip
        There are no rows, no series on disk, or no Series UIDs to match them by.
    """
    table = rows(context, "series_uid")
    there = disk(context).series
    read = context.evidence.facts.patients_read or context.settings.patients
    if not context.settings.partial and not read:
        return table
    patients = set(read) or set(context["patients"]["patient"])
    return table[table["patient"].isin(patients) | table["series_uid"].isin(list(there))]


@rule(
    "MET011",
    "metadata-location",
    ERROR,
    title="File Location does not lead to the series",
    why="Who loads the series by this list finds no files, or another series; a location outside the release may lead anywhere. Where the series itself is not on disk, MET016 says so instead.",
    fix="Correct File Location: the folder of the series, relative to the folder of metadata.csv.",
    source=DOWNLOADER
    + "; locations are tried from its folder, then from the release's, then without the collection's folder",
    tables=DISK,
)
def location(context: Context) -> Checked:
    """File Location of every row; one whose series is not on disk is MET016's, unless it leads outside."""
    rows(context, "file_location")
    table, there = _compared(context), disk(context).series
    findings = []
    for _, row in _labelled(table):
        problem = text(row.location_problem)
        one = there.get(row.series_uid) if is_uid(row.series_uid) else None
        absent = one is None and is_uid(row.series_uid)
        if problem == "outside":
            message, observed = "File Location leads outside the release; it was not followed.", "outside the release"
        elif problem is not None and not absent:
            empty = text(row.file_location) is None
            message = "File Location is empty." if empty else "File Location leads to no folder of the release."
            observed = "empty" if empty else "no such folder"
        elif problem is None and one is not None and not one.in_folder(row.folder):
            message = "File Location leads to a folder that does not hold the series."
            observed = context.show.path(row.folder)
        else:
            continue
        expected = "a folder of the release" if one is None else context.show.path(one.folder)
        findings.append(found_on_row(context, row, ["file_location"], message, expected, observed))
    return Checked(len(table), findings)


@rule(
    "MET015",
    "metadata-row-missing",
    ERROR,
    title="A series on disk has no row",
    why="Who works from the list does not know of the series, so it is left out of every analysis.",
    fix="Add its row to metadata.csv, or take the series out of the release.",
    source=DOWNLOADER + ": one row a series",
    tables=DISK,
)
def row_missing(context: Context) -> Checked:
    """Every series on disk, but those that only lie in the folder of another (REL014)."""
    table, found = rows(context, "series_uid"), disk(context)
    known = set(table["series_uid"].dropna())
    # A row whose UID is invalid (MET003) or missing is some series' row: that of its folder, or of its patient.
    lost = table[[not is_uid(uid) for uid in table["series_uid"]]]
    lost_folders = set(lost["folder"].dropna())
    lost_pairs = set(zip(lost["patient"].fillna(""), lost["modality"].fillna(""), strict=True))
    role_of = {"ct": "CT", "dso": "SEG"}
    findings = []
    for uid, one in sorted(found.series.items()):
        pairs = {(patient or "", role_of[role]) for patient in one.patients for role in one.roles}
        if uid in known or found.strays(one) or lost_folders & one.folders or lost_pairs & pairs:
            continue
        findings.append(
            Found(
                Subject(Kind.SERIES, path=context.show.path(one.folder or "."), uid=context.show.uid(uid)),
                f"{FILE} has no row for this series of {plural(one.n_files, 'file')}.",
                "one row",
                "none",
                patient=one.patient,
            )
        )
    return Checked(len(found.series), findings)


@rule(
    "MET016",
    "metadata-files-missing",
    ERROR,
    title="A row has no files on disk",
    why="The list promises a series that the release does not hold: an unfinished download, or a series taken out. With --subset, rows of patients that are not on disk are left alone.",
    fix="Fetch the series again, or take its row out.",
    source=DOWNLOADER + ": one row a series",
    tables=DISK,
)
def files_missing(context: Context) -> Checked:
    """Series UID of every row; a folder with unreadable files (REL004) may hold the series."""
    table, found = _compared(context), disk(context)
    examined, findings = 0, []
    for _, row in _labelled(table):
        if not is_uid(row.series_uid):
            continue
        examined += 1
        folder = text(row.folder)
        if row.series_uid in found.series or (folder is not None and found.unknown(folder)):
            continue
        where = "its folder is not there" if folder is None else "its folder holds no file of it"
        message = f"no file of this series is on disk: {where}."
        findings.append(found_on_row(context, row, ["series_uid"], message, "files of the series", "none"))
    return Checked(examined, findings)


@rule(
    "MET017",
    "metadata-images-differ",
    ERROR,
    title="Number of Images differs from the files on disk",
    why="Slices are missing or surplus: the download is not what the list promises.",
    fix="Fetch the series again, or correct the number.",
    source=DOWNLOADER,
    tables=DISK,
)
def images_differ(context: Context) -> Checked:
    """Every row whose series is on disk; copies, unreadable files and files of other series explain a difference."""
    rows(context, "number_of_images")
    table, found = _compared(context), disk(context)
    unusable = failed(context, "MET009")
    examined, findings = 0, []
    for label, row in _labelled(table):
        one, said = found.series.get(row.series_uid), whole(row.images)
        if one is None or said is None or label in unusable:
            continue
        examined += 1
        if len(one.instances) <= said <= one.n_files + found.uncertain(one):
            continue
        shown = context.show.number(said)
        message = f"Number of Images is {shown}, on disk are {plural(one.n_files, 'file')}."
        findings.append(found_on_row(context, row, ["number_of_images"], message, shown, str(one.n_files)))
    return Checked(examined, findings)


@rule(
    "MET019",
    "metadata-size-differs",
    WARNING,
    title="File Size differs from the bytes on disk",
    why="With the right number of files, other bytes mean other files: cut, compressed or of another version.",
    fix="Fetch the series again, or correct the size.",
    source=DOWNLOADER + ": 41 files of 527,480 bytes are 21.63 MB",
    tables=DISK,
    tolerances=("file_size_fraction",),
)
def size_differs(context: Context) -> Checked:
    """Every row whose series is on disk, complete and sound; read in powers of 1000 and of 1024."""
    rows(context, "file_size")
    table, found = _compared(context), disk(context)
    fraction = context.tolerances.file_size_fraction
    examined, findings = 0, []
    for _, row in _labelled(table):
        one, images = found.series.get(row.series_uid), whole(row.images)
        if one is None or row.size_decimal != row.size_decimal:
            continue
        complete = images is None or images == one.n_files == len(one.instances)
        if not (complete and one.sound) or found.uncertain(one):
            continue
        examined += 1
        slack = fraction * one.size + _rounding(row.file_size, row.size_decimal)
        if min(abs(row.size_decimal - one.size), abs(row.size_binary - one.size)) <= slack:
            continue
        shown = _size_shown(context, row.file_size)
        findings.append(
            found_on_row(
                context,
                row,
                ["file_size"],
                f"File Size is {shown}, the files on disk hold {one.size:,} bytes.",
                f"{_megabytes(one.size)}, within {number(100 * fraction)}%",
                shown,
            )
        )
    return Checked(examined, findings)


def _size_shown(context: Context, said: str) -> str:
    """A File Size that could be read; of a number that may be a record number, how long it is."""
    match = re.match(r"\s*([0-9,]+)", said)
    figure = float(match[1].replace(",", "")) if match else 0.0
    return said.strip() if figure <= LARGEST else f"{context.show.number(figure)}, and a unit"


def _rounding(shown: str, size: float) -> float:
    """Half a unit of the last digit of a File Size, in bytes."""
    match = re.match(r"\s*([0-9,]+)(?:\.([0-9]+))?", shown)
    if match is None:
        return 0.0
    value = float(match[1].replace(",", "") + "." + (match[2] or "0"))
    unit = size / value if value else 1e6
    return float(0.5 * unit * 10.0 ** -len(match[2] or ""))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.2f} KB"


@rule(
    "MET018",
    "metadata-contradicts-headers",
    WARNING,
    title="A value contradicts the DICOM headers",
    why="The list and the files tell different things of one series, and a reader can't know which is right.",
    fix="Export metadata.csv again from the files, or correct the header that is wrong.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.3.1 (General Series), C.12.1 (SOP Common)",
    tables=(*DISK, "slices", "dsos"),
)
def contradicts_headers(context: Context) -> Checked:
    """Every row whose series is on disk: Subject ID, study UID, date and description, series description, manufacturer, SOP class."""
    table, found = _compared(context), headers(context)
    given = source(context)
    doubted = failed(context, "MET008")
    studies: dict[str, set[str]] = {}
    for values in found.values():
        for header in values:
            if isinstance(header["patient"], str) and isinstance(header["study_uid"], str):
                studies.setdefault(header["patient"], set()).add(header["study_uid"])
    examined, findings = 0, []
    for label, row in _labelled(table):
        values = found.get(row.series_uid, []) if is_uid(row.series_uid) else []
        if not values:
            continue
        examined += 1
        wrong = [
            (column, said, held)
            for column, said, held in _contradictions(context, row, values, studies, doubted=label in doubted)
            if given.has(column)
        ]
        if wrong:
            names = [HEADINGS[column] for column, _, _ in wrong]
            verb = "contradicts" if len(wrong) == 1 else "contradict"
            findings.append(
                found_on_row(
                    context,
                    row,
                    [column for column, _, _ in wrong],
                    f"{listed(names, len(names))} {verb} the DICOM headers.",
                    "; ".join(f"{HEADINGS[column]}: {held}" for column, _, held in wrong),
                    "; ".join(f"{HEADINGS[column]}: {said}" for column, said, _ in wrong),
                    count=len(wrong),
                )
            )
    return Checked(examined, findings)


Contradiction = tuple[str, str, str]
"""Column, what the row says, what the headers hold; both as they may be shown."""


def _contradictions(
    context: Context, row: Any, values: list[dict[str, Any]], studies: dict[str, set[str]], *, doubted: bool
) -> Iterable[Contradiction]:
    """Columns of a row that agree with no file of its series. A value that another rule refuses is left alone."""
    show, profile = context.show, context.profile
    patients = {text(header["patient"]) for header in values}
    ids = {text(header["patient_id"]) for header in values}
    # A header that is not of its folder's patient is REL011's.
    if isinstance(row.patient, str) and ids == patients and None not in ids and row.patient not in ids:
        yield "subject_id", row.patient, show.patient(min(map(str, ids)))
    uids = {uid for header in values if is_uid(uid := header["study_uid"])}
    # Series of one patient that are in different studies are DSO004's.
    one_study = all(len(studies.get(patient or "", ())) < 2 for patient in patients)
    if is_uid(row.study_uid) and uids and one_study and row.study_uid not in uids:
        yield "study_uid", show.uid(row.study_uid), show.uid(min(uids))
    dates = {day for header in values if re.fullmatch("[0-9]{8}", day := (text(header["study_date"]) or "").strip())}
    if isinstance(row.date, str) and dates and row.date not in dates:
        yield "study_date", show.date(text(row.study_date)), show.date(min(dates))
    for column in ("study_description", "series_description", "manufacturer"):
        held = {_description(header[column]) for header in values}
        said = _description(getattr(row, column))
        if said not in held:
            known = profile.published.manufacturers if column == "manufacturer" else ()
            yield column, show.text(said, known=known), show.text(min(held), known=known)
    # A header of no known class is CTS001's or DSO001's.
    classes = {text(header["sop_class_uid"]) for header in values}
    if not doubted and classes <= set(profile.sop_classes) and row.sop_class_uid not in classes:
        yield "sop_class_uid", show.uid(text(row.sop_class_uid)), show.uid(min(map(str, classes)))


def _description(value: Any) -> str:
    """Text with its white space evened out; the downloader writes NA for an empty description."""
    plain_text = " ".join((text(value) or "").split())
    return "" if plain_text == "NA" else plain_text
