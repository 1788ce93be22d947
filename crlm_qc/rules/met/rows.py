"""One row of metadata.csv: its own values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.forms import begins_with_day
from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, table_rule
from crlm_qc.rules.met._model import FILE, HEADINGS, failures, found_on_row, rows, sop_class_columns, source
from crlm_qc.rules.met._shared import DOWNLOADER, TABLES, UID_FORM, Told, each_refused, gathered, labelled
from crlm_qc.subjects.words import text

if TYPE_CHECKING:
    from crlm_qc.engines.pandera_engine import Failure


@table_rule(
    "MET003",
    "metadata-uid-invalid",
    ERROR,
    refused=failures,
    title="Series UID or Study UID is no valid DICOM UID",
    why="The row can't be matched with the files, nor found in the archive.",
    fix="Copy the UID from the DICOM header; a spreadsheet may have cut or rounded it.",
    source="DICOM PS3.5 9.1 (UID encoding rules)",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def uid_invalid(context: Context, refused: Sequence[Failure]) -> Checked:
    """Both UIDs of every row."""

    def say(row: Any, columns: list[str]) -> Told:
        shown = [f"{HEADINGS[column]}: {context.show.uid(text(getattr(row, column)))}" for column in columns]
        names = " and ".join(HEADINGS[column] for column in columns)
        verb = agree(len(columns), "is no valid DICOM UID", "are no valid DICOM UIDs")
        message = f"{names} {verb}."
        found = found_on_row(context, row, columns, message, UID_FORM, "; ".join(shown), count=len(columns))
        return Told(found, message)

    return each_refused(context, refused, ("series_uid", "study_uid"), say)


@table_rule(
    "MET004",
    "metadata-series-twice",
    ERROR,
    refused=failures,
    title="A Series UID stands in two rows",
    why="The series is counted and downloaded twice, and the rows may contradict each other.",
    fix="Take the surplus row out.",
    source=DOWNLOADER + ": one row a series",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def series_twice(context: Context, refused: Sequence[Failure]) -> Checked:
    """Every Series UID; one finding for all rows that stand there twice alike, and one a UID for those that differ."""
    table = rows(context, "series_uid")
    labels = [failure.row for failure in refused]
    told: list[Found] = []
    alike: dict[str, list[str]] = {}
    for uid in dict.fromkeys(table.loc[labels, "series_uid"]):
        same = table[table["series_uid"] == uid]
        lines = [str(int(line)) for line in same["row"]]
        if len(same[_TELLING].drop_duplicates()) == 1:
            alike[uid] = lines
        second = next(row for _, row in labelled(context, same.iloc[1:2]))
        message, observed = f"its Series UID stands in lines {listed(lines)}.", plural(len(same), "row")
        examples = [f"line {line}" for line in lines]
        told.append(
            found_on_row(
                context, second, ["series_uid"], message, "one row", observed, count=len(same), examples=examples
            )
        )
    if len(alike) > 1:
        surplus = [f"line {line}" for lines in alike.values() for line in lines[1:]]
        joint = Found(
            Subject(Kind.COLUMN, path=context.show.path(source(context).path), column=HEADINGS["series_uid"]),
            f"{len(surplus):,} of {len(table):,} rows of {FILE} repeat another row.",
            "one row a series",
            f"{plural(len(alike), 'series', 'series')} in {plural(len(alike) + len(surplus), 'row')}",
            count=len(surplus),
            examples=tuple(surplus[:MAX_EXAMPLES]),
        )
        shown = {context.show.uid(uid) for uid in alike}
        told = [joint, *(one for one in told if one.subject.uid not in shown)]
    return Checked(len(table), gathered(context, told, len(table)))


_TELLING = [column for column in HEADINGS if column != "download_timestamp"]
"""Columns in which rows of one series that is downloaded again are alike."""


@table_rule(
    "MET005",
    "metadata-collection",
    ERROR,
    refused=failures,
    title="Collection is another than the release's",
    why="The row is of another data set, or the list was merged with one.",
    fix="Take the row out, or correct the name of the collection.",
    source="published description: name of the collection",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def collection(context: Context, refused: Sequence[Failure]) -> Checked:
    """Collection of every row."""
    name = context.profile.name

    def say(row: Any, _: list[str]) -> Found:
        return found_on_row(
            context, row, ["collection"], f"Collection is not {name}.", name, context.show.text(text(row.collection))
        )

    return each_refused(context, refused, ("collection",), say)


@table_rule(
    "MET006",
    "metadata-subject-malformed",
    ERROR,
    refused=failures,
    title="Subject ID has not the form of the collection",
    why="The row can't be matched with the patient's folder or the clinical workbook.",
    fix="Write the ID as the collection does; the finding shows the form.",
    source="published description: patient IDs",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def subject_malformed(context: Context, refused: Sequence[Failure]) -> Checked:
    """Subject ID of every row."""
    form = context.profile.patient_id_form

    def say(row: Any, _: list[str]) -> Found:
        shown = context.show.patient(text(row.subject_id))
        return found_on_row(context, row, ["subject_id"], f"Subject ID is not of the form {form}.", form, shown)

    return each_refused(context, refused, ("subject_id",), say)


@table_rule(
    "MET007",
    "metadata-modality",
    ERROR,
    refused=failures,
    title="Modality is not CT or SEG",
    why="The release holds CT series and segmentation objects alone; the row can be neither counted nor checked.",
    fix="Copy Modality (0008,0060) from the DICOM header, or take the row out.",
    source="published description: modalities CT and SEG; DICOM PS3.3 C.7.3.1.1.1",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def modality(context: Context, refused: Sequence[Failure]) -> Checked:
    """Modality of every row."""
    known = list(context.profile.modalities)

    def say(row: Any, _: list[str]) -> Found:
        expected = " or ".join(known)
        shown = context.show.text(text(row.modality), known=_MODALITIES)
        return found_on_row(context, row, ["modality"], f"Modality is not {expected}.", expected, shown)

    return each_refused(context, refused, ("modality",), say)


# Defined terms of DICOM PS3.3 C.7.3.1.1.1 that a list of series is likely to hold.
_MODALITIES = frozenset({"CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "RTSTRUCT", "SEG", "SR", "US", "XA"})


@table_rule(
    "MET008",
    "metadata-sop-class",
    ERROR,
    refused=failures,
    title="SOP class contradicts Modality",
    why="Who picks series by one of the two gets others than by the other.",
    fix="Copy SOP Class UID (0008,0016) and Modality (0008,0060) from the DICOM header.",
    source="DICOM PS3.4 B.5 (storage SOP classes), PS3.6 Annex A (their names)",
    tables=TABLES,
    spoils=NOTHING,
)
def sop_class(context: Context, refused: Sequence[Failure]) -> Checked:
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
        message = f"{headings} {are(len(wrong))} not of Modality {row.modality}."
        observed = "; ".join(shown[column] for column in wrong)
        return found_on_row(context, row, wrong, message, expected, observed, count=len(wrong))

    return each_refused(context, refused, ("sop_class_uid", "sop_class_name"), say)


@table_rule(
    "MET009",
    "metadata-images",
    ERROR,
    refused=failures,
    title="Number of Images is no positive whole number, or not 1 for a SEG",
    why="A download can't be checked for completeness; a segmentation is one object, whatever its frames.",
    fix="Write the number of files of the series.",
    source=DOWNLOADER,
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def images(context: Context, refused: Sequence[Failure]) -> Checked:
    """Number of Images of every row; 27.0 reads as 27."""

    def say(row: Any, columns: list[str]) -> Found:
        shown = context.show.text(text(row.number_of_images))
        if columns == [""]:
            message, expected = "Number of Images of a SEG series is not 1.", "1"
        else:
            message, expected = "Number of Images is no positive whole number.", "a whole number of at least 1"
        return found_on_row(context, row, ["number_of_images"], message, expected, shown)

    return each_refused(context, refused, ("number_of_images",), say)


@table_rule(
    "MET010",
    "metadata-size-unreadable",
    WARNING,
    refused=failures,
    title="File Size can't be read",
    why="A download can't be checked for completeness by its bytes.",
    fix="Write a number and a unit, such as 84.84 MB.",
    source=DOWNLOADER,
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def size_unreadable(context: Context, refused: Sequence[Failure]) -> Checked:
    """File Size of every row."""

    def say(row: Any, _: list[str]) -> Told:
        said = text(row.file_size)
        comma = re.fullmatch(r"\s*[0-9.]+,[0-9]{1,2}\s*[A-Za-z]*\s*", said or "")
        message = "File Size has a decimal comma." if comma else "File Size is no number with a unit."
        return Told(
            found_on_row(context, row, ["file_size"], message, "for example 84.84 MB", context.show.text(said)), message
        )

    return each_refused(context, refused, ("file_size",), say)


@table_rule(
    "MET013",
    "metadata-date",
    ERROR,
    refused=failures,
    title="Study Date is no date of the form MM-DD-YYYY",
    why="Programs that parse the column fail, or take day for month.",
    fix="Write the date as MM-DD-YYYY; a spreadsheet may have changed it.",
    source=DOWNLOADER,
    tables=TABLES,
    spoils=NOTHING,
)
def date(context: Context, refused: Sequence[Failure]) -> Checked:
    """Study Date of every row; of the archive's list of series (MET026) those that no date can be read from."""
    form = context.profile.date_form
    day_first = any(map(begins_with_day, rows(context, "study_date")["study_date"].dropna()))

    def say(row: Any, _: list[str]) -> Told:
        said = text(row.study_date)
        shown, message = context.show.date(said), f"Study Date is no date {form}."
        found = found_on_row(context, row, ["study_date"], message, form, shown)
        written = _form_of_date(said, day_first=day_first)
        return Told(found, f"{message[:-1]}, but {written}." if written else message, written or shown)

    return each_refused(context, refused, ("study_date",), say)


_FORMS = {
    r"[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}": "YYYY{0}MM{0}DD",
    r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{4}": "{1}{0}{2}{0}YYYY",
    r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{2}": "{1}{0}{2}{0}YY",
    r"[0-9]{8}()": "YYYYMMDD",
    r"[0-9]{5}()": "a number of days, as spreadsheets count them",
}


def _form_of_date(said: str | None, *, day_first: bool) -> str | None:
    """The form that a date of another form has, without the date; the column tells whether the day comes first."""
    for pattern, form in _FORMS.items():
        if match := re.fullmatch(pattern, (said or "").strip()):
            # Who writes dots writes the day first.
            order = ("D", "M") if day_first or match[1] == "." else ("M", "D")
            return form.format(match[1], *order)
    return None
