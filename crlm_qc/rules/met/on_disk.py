"""metadata.csv against the series on disk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.forms import day_of, downloaded, is_uid
from crlm_qc.collection.show import LARGEST
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING, Severity
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, rule
from crlm_qc.rules.met._model import FILE, HEADINGS, failed, found_on_row, rows, source
from crlm_qc.rules.met._shared import DISK, DOWNLOADER, Told, gathered, labelled
from crlm_qc.subjects.disk import OnDisk, disk, headers
from crlm_qc.subjects.ledger import State, told, told_unknown
from crlm_qc.subjects.words import number, text, whole

if TYPE_CHECKING:
    import pandas as pd


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
    spoils=Spoils(care=("segmentation", "volumetry", "image-values")),
)
def location(context: Context) -> Checked:
    """File Location of every row; one whose series is not on disk is MET016's, unless it leads outside."""
    rows(context, "file_location")
    table, there = _compared(context), disk(context).series
    told = []
    for _, row in labelled(context, table):
        one = there.get(row.series_uid) if is_uid(row.series_uid) else None
        wrong = _wrong_location(context, row, one)
        if wrong is None:
            continue
        message, observed, severity = wrong
        expected = "a folder of the release" if one is None else context.show.path(one.folder)
        found = found_on_row(context, row, ["file_location"], message, expected, observed)
        told.append(Told(replace(found, severity=severity), message, "", _RELATIVE))
    return Checked(len(table), gathered(context, told, len(table)))


_RELATIVE = "paths relative to the folder of metadata.csv, that lead to the series"
_ABSOLUTE = re.compile(r"\s*(?:[/\\]|[A-Za-z]:)")


def _wrong_location(context: Context, row: Any, one: OnDisk | None) -> tuple[str, str, Severity | None] | None:
    """What is wrong with the File Location of a row, what is observed, and how grave it is if that is special."""
    problem, said = text(row.location_problem), text(row.file_location)
    # The series is known by its UID; a folder of the same name says that the tree above it is another.
    moved = one is not None and said is not None and any(_ends_alike(said, folder) for folder in one.folders)
    elsewhere = "; the series lies in a folder of the same name in the release"
    if problem == "outside" and moved:
        what = "an absolute path of another machine" if _ABSOLUTE.match(said or "") else "a path out of the release"
        return f"File Location is {what}{elsewhere}.", what, None
    if problem == "outside":
        return "File Location leads outside the release; it was not followed.", "outside the release", None
    if problem is not None and (one is not None or not is_uid(row.series_uid)):
        if moved:
            return f"File Location leads to no folder{elsewhere}.", "no such folder", WARNING
        if said is None:
            return "File Location is empty.", "empty", None
        return "File Location leads to no folder of the release.", "no such folder", None
    if problem is None and one is not None and not one.in_folder(row.folder):
        return "File Location leads to a folder that does not hold the series.", context.show.path(row.folder), None
    return None


def _ends_alike(location: str, folder: str) -> bool:
    """Whether two paths end in a folder of one name, whatever its case and the form of its accents."""
    ends = (path.replace("\\", "/").rstrip("/ ").rpartition("/")[2] for path in (location, folder))
    one, other = (unicodedata.normalize("NFC", end).casefold() for end in ends)
    return one == other


@rule(
    "MET015",
    "metadata-row-missing",
    ERROR,
    title="A series on disk has no row",
    why="Who works from the list does not know of the series, so it is left out of every analysis.",
    fix="Add its row to metadata.csv, or take the series out of the release.",
    source=DOWNLOADER + ": one row a series",
    tables=DISK,
    spoils=Spoils(care=("completeness",)),
)
def row_missing(context: Context) -> Checked:
    """Every series on disk, but those that only lie in the folder of another (REL014), and those that were not published (LED004, LED005)."""
    table, found = rows(context, "series_uid", unsure=True), disk(context)
    known = set(table["series_uid"].dropna()) | told_unknown(context)
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
    told = [Told(one, f"{FILE} has no row for these series.") for one in findings]
    return Checked(len(found.series), gathered(context, told, len(found.series), "series on disk"))


@rule(
    "MET016",
    "metadata-files-missing",
    ERROR,
    title="A row has no files on disk",
    why="The list promises a series that the release does not hold: an unfinished download, or a series taken out. With --subset, rows of patients that are not on disk are left alone.",
    fix="Fetch the series again, or take its row out.",
    source=DOWNLOADER + ": one row a series",
    tables=DISK,
    spoils=Spoils(out=("completeness",)),
)
def files_missing(context: Context) -> Checked:
    """Series UID of every row; a folder with unreadable files (REL004) may hold the series, and so may an archive (REL025); of published ones LED001, LED005 and LED007 tell."""
    table, found = _compared(context), disk(context)
    published = told(context, State.ABSENT, State.REPLACED)
    files = context["files"]
    # Objects of others (REL023) are there, though they are no series of the release.
    aside = set(files.loc[files["others"].notna(), "series_uid"])
    examined, findings = 0, []
    for _, row in labelled(context, table):
        if not is_uid(row.series_uid) or row.series_uid in aside:
            continue
        examined += 1
        folder = text(row.folder)
        if (
            row.series_uid in published
            or row.series_uid in found.series
            or row.patient in found.elsewhere
            or (folder is not None and found.unknown(folder))
        ):
            continue
        where = "its folder is not there" if folder is None else "its folder holds no file of it"
        message = f"no file of this series is on disk: {where}."
        findings.append(found_on_row(context, row, ["series_uid"], message, "files of the series", "none"))
    return Checked(examined, gathered(context, findings, examined))


@rule(
    "MET017",
    "metadata-images-differ",
    ERROR,
    title="Number of Images differs from the files on disk",
    why="Slices are missing or surplus: the download is not what the list promises.",
    fix="Fetch the series again, or correct the number.",
    source=DOWNLOADER,
    tables=DISK,
    spoils=Spoils(out=("completeness",), care=("segmentation", "volumetry", "image-values")),
)
def images_differ(context: Context) -> Checked:
    """Every row whose series is on disk; copies, unreadable files and files of other series explain a difference, and of published series LED002 and LED006 tell."""
    rows(context, "number_of_images")
    table, found = _compared(context), disk(context)
    published = told(context, State.FILES_MISSING, State.FILES_SURPLUS)
    unusable = failed(context, "MET009")
    examined, findings = 0, []
    for label, row in labelled(context, table):
        one, said = found.series.get(row.series_uid), whole(row.images)
        if one is None or said is None or label in unusable:
            continue
        examined += 1
        if one.uid in published or one.n_instances <= said <= one.n_files + found.uncertain(one):
            continue
        shown = context.show.number(said)
        message = f"Number of Images is {shown}, on disk are {plural(one.n_files, 'file')}."
        finding = found_on_row(context, row, ["number_of_images"], message, shown, str(one.n_files))
        findings.append(Told(finding, "Number of Images differs from the files on disk.", "", "the number of files"))
    return Checked(examined, gathered(context, findings, examined))


@rule(
    "MET018",
    "metadata-contradicts-headers",
    WARNING,
    title="A value contradicts the DICOM headers",
    why="The list and the files tell different things of one series, and a reader can't know which is right.",
    fix="Export metadata.csv again from the files, or correct the header that is wrong.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.3.1 (General Series), C.12.1 (SOP Common)",
    tables=(*DISK, "slices", "dsos"),
    spoils=Spoils(care=("completeness",)),
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
    for label, row in labelled(context, table):
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
            swapped = "; day and month are the other way round" if _is_swapped(row.date, values) else ""
            contradict = agree(len(wrong), "contradicts", "contradict")
            message = f"{listed(names, len(names))} {contradict} the DICOM headers{swapped}."
            finding = found_on_row(
                context,
                row,
                [column for column, _, _ in wrong],
                message,
                "; ".join(f"{HEADINGS[column]}: {held}" for column, _, held in wrong),
                "; ".join(f"{HEADINGS[column]}: {said}" for column, said, _ in wrong),
                count=len(wrong),
            )
            # Whose series it is differs from row to row; what a column holds may be one cause.
            own = {"subject_id", "study_uid"} & {column for column, _, _ in wrong}
            findings.append(Told(finding, message, finding.observed if own else "", "what the headers hold"))
    return Checked(examined, gathered(context, findings, examined))


def _is_swapped(date: object, values: list[dict[str, Any]]) -> bool:
    """Whether a Study Date has the day for the month, and the month for the day, of that in the headers."""
    if not isinstance(date, str):
        return False
    days = {day_of(header["study_date"]) for header in values}
    return date not in days and date[:4] + date[6:] + date[4:6] in days


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
    dates = {day for header in values if (day := day_of(header["study_date"]))}
    if isinstance(row.date, str) and dates and row.date not in dates:
        yield "study_date", show.date(text(row.study_date)), show.date(min(dates))
    for column in ("study_description", "series_description", "manufacturer"):
        held = {_description(header[column]) for header in values}
        said = _description(getattr(row, column))
        if downloaded(said) not in map(downloaded, held):
            known = profile.published.manufacturers if column == "manufacturer" else ()
            yield column, show.text(said, known=known), show.text(min(held), known=known)
    # A header of no known class is CTS001's or DSO001's.
    classes = {text(header["sop_class_uid"]) for header in values}
    if not doubted and classes <= set(profile.sop_classes) and row.sop_class_uid not in classes:
        yield "sop_class_uid", show.uid(text(row.sop_class_uid)), show.uid(min(map(str, classes)))


def _description(value: Any) -> str:
    """Text as it stands there; empty where the downloader knows none."""
    found = text(value) or ""
    return found if downloaded(found) else ""


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
    spoils=Spoils(care=("completeness",)),
)
def size_differs(context: Context) -> Checked:
    """Every row whose series is on disk, complete and sound; read in powers of 1000 and of 1024."""
    rows(context, "file_size")
    table, found = _compared(context), disk(context)
    fraction, published = context.tolerances.file_size_fraction, told(context, State.OTHER_BYTES)
    examined, findings = 0, []
    for _, row in labelled(context, table):
        one, images = found.series.get(row.series_uid), whole(row.images)
        if one is None or row.size_decimal != row.size_decimal:
            continue
        complete = images is None or images == one.n_files == one.n_instances
        if not (complete and one.sound) or found.uncertain(one) or one.uid in published:
            continue
        examined += 1
        slack = fraction * one.size + _rounding(row.file_size, row.size_decimal)
        if min(abs(row.size_decimal - one.size), abs(row.size_binary - one.size)) <= slack:
            continue
        shown = _size_shown(context, row.file_size)
        finding = found_on_row(
            context,
            row,
            ["file_size"],
            f"File Size is {shown}, the files on disk hold {one.size:,} bytes.",
            f"{_megabytes(one.size)}, within {number(100 * fraction)}%",
            shown,
        )
        findings.append(Told(finding, "File Size differs from the bytes on disk.", "", "the bytes of the files"))
    return Checked(examined, gathered(context, findings, examined))


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
