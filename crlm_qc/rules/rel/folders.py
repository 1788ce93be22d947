"""Names of folders against what lies in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from crlm_qc.collection.forms import day_of, downloaded, series_folder, study_folder, uid_tail
from crlm_qc.collection.show import LARGEST
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.rel._shared import DOWNLOADER, counted, images_of
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import by_folder, file_names, folder_of, folder_subject, most_common, name_of, text

_LEAST_CUT = 12
"""A description in a folder name that is shorter than this was not cut short: no file system needs it to be."""


@rule(
    "REL010",
    "folder-name-contradicts",
    WARNING,
    title="A folder's name contradicts the files in it",
    why="People pick series by the folder's date, description, number and last UID digits; a wrong name leads to the wrong images.",
    fix="Download the series again, or rename the folder after its headers.",
    source=DOWNLOADER,
    tables=("slices", "dsos"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation",)),
)
def folder_name_contradicts(context: Context) -> Checked:
    """Every study and series folder whose name has the downloader's form."""
    columns = ["patient", "path", "study_date", "study_id", "study_description", "series_description"]
    columns += ["series_number", "study_uid", "series_uid"]
    rows: dict[str, list[Any]] = {
        name: [value for table in ("slices", "dsos") for value in context[table][name].tolist()] for name in columns
    }
    rows["folder"] = [folder_of(path) for path in rows["path"]]
    rows["parent"] = [folder_of(folder) for folder in rows["folder"]]
    examined, findings = 0, []
    for level, contradictions in (("parent", _study_contradictions), ("folder", _series_contradictions)):
        places: dict[str, list[int]] = {}
        for place, folder in enumerate(rows[level]):
            places.setdefault(folder, []).append(place)
        for folder, own in sorted(places.items()):
            group = {name: [rows[name][place] for place in own] for name in columns}
            found = contradictions(context, name_of(folder), group)
            if found is None:
                continue
            examined += 1
            if found:
                keywords, expected, observed = zip(*found, strict=True)
                findings.append(
                    Found(
                        folder_subject(context, folder),
                        f"The folder's name contradicts {' and '.join(keywords)} of the {len(own)} files in it."
                        if len(own) > 1
                        else f"The folder's name contradicts {' and '.join(keywords)} of the file in it.",
                        "; ".join(expected),
                        "; ".join(observed),
                        text(group["patient"][0]),
                    )
                )
    return Checked(examined, findings)


Contradictions = list[tuple[str, str, str]]
Group = Mapping[str, Sequence[Any]]
"""Columns of the files of one folder."""


def _study_contradictions(context: Context, name: str, rows: Group) -> Contradictions | None:
    folder = study_folder(name)
    if folder is None:
        return None
    month, day, year = folder.date.split("-")
    found: Contradictions = []
    # One that can't be read is DID015's.
    date = most_common(map(day_of, rows["study_date"]))
    if date is not None and date != year + month + day:
        named = context.show.date(folder.date)
        found.append(("StudyDate", f"StudyDate {context.show.date(date)}", f"folder {named}"))
    numbers = {"NA", "", most_common(rows["study_id"]) or ""}
    descriptions = _description_forms(most_common(rows["study_description"]))
    if not any(
        _agree(folder.description, f"{number} {description}") for number in numbers for description in descriptions
    ):
        shown = context.show.text(most_common(rows["study_description"]))
        named = context.show.text(folder.description)
        found.append(("StudyDescription", f"StudyDescription {shown}", f"folder {named}"))
    return found + _tail(context, "StudyInstanceUID", folder.tail, most_common(rows["study_uid"]))


def _series_contradictions(context: Context, name: str, rows: Group) -> Contradictions | None:
    folder = series_folder(name)
    if folder is None:
        return None
    found: Contradictions = []
    series_number = most_common(rows["series_number"])
    number = int(folder.number)
    if series_number is not None and (number != series_number or int(folder.decimals)):
        shown = context.show.number(int(series_number))
        named = f"{folder.number}.{folder.decimals}" if number <= LARGEST else context.show.number(number)
        found.append(("SeriesNumber", f"SeriesNumber {shown}", f"folder {named}"))
    description = most_common(rows["series_description"])
    if not any(_agree(folder.description, form) for form in _description_forms(description)):
        found.append(
            (
                "SeriesDescription",
                f"SeriesDescription {context.show.text(description)}",
                f"folder {context.show.text(folder.description)}",
            )
        )
    return found + _tail(context, "SeriesInstanceUID", folder.tail, most_common(rows["series_uid"]))


def _description_forms(description: str | None) -> tuple[str, ...]:
    """What a folder's name may hold of a description: NA (null, or nothing) where there is none to hold."""
    if description is None or not _plain(downloaded(description)):
        return (description or "", "NA", "null", "")
    return (description, downloaded(description))


def _plain(value: str) -> str:
    """Letters and digits alone: the downloader drops what a file system refuses, and some copies change spaces."""
    composed = unicodedata.normalize("NFC", value)
    return "".join(character for character in composed if character.isalnum()).casefold()


def _agree(shown: str, full: str) -> bool:
    short, whole_text = _plain(shown), _plain(full)
    return short == whole_text or (len(short) >= _LEAST_CUT and whole_text.startswith(short))


def _tail(context: Context, keyword: str, tail: str, uid: str | None) -> Contradictions:
    # Copies lack a point at an end of the tail, or all points of the UID.
    if uid is None or tail.strip(".") in (uid_tail(uid).strip("."), uid_tail(uid.replace(".", ""))):
        return []
    own = uid if context.show.uid(uid) == uid else ""
    ending = f"ending in {own.rpartition('.')[2][-5:]}" if own else context.show.uid(uid)
    # The end of a folder's name is part of every path.
    return [(keyword, f"{keyword} {ending}", f"folder {context.show.text(tail, known=(tail,))}")]


@rule(
    "REL011",
    "patient-of-another-folder",
    ERROR,
    title="PatientID in the file is not the patient of the folder",
    why="One patient's images under another's name: clinical data of the wrong person would be joined to them.",
    fix="Find out whose images they are; move them, or correct PatientID.",
    source="DICOM PS3.3 C.7.1.1 (Patient ID); layout that the NBIA Data Retriever writes",
    tables=("files",),
    scope=Scope.PATIENT,
    spoils=Spoils(
        out=("clinical-pairing",), care=("segmentation", "volumetry", "lesion-counts", "image-values", "completeness")
    ),
)
def patient_of_another_folder(context: Context) -> Checked:
    """Every DICOM image in a patient's folder that has a PatientID."""
    images = images_of(context)
    images = kept(images, images["patient"].notna() & images["patient_id"].notna())
    findings = []
    for patient, subject, rows in by_folder(context, kept(images, images["patient_id"] != images["patient"])):
        ids = sorted({context.show.patient(value) for value in rows["patient_id"]})
        valid = context.profile.is_patient_id(patient or "")
        what = f"of {patient}'s folder" if valid else "of a folder whose name is no patient ID"
        names = file_names(context, rows["path"])
        message = f"PatientID in {counted(names)} {what} is {listed(ids)}."
        expected = patient if valid and patient else f"a folder named {context.profile.patient_id_form}"
        findings.append(Found(subject, message, expected, listed(ids), patient, len(rows), tuple(names)))
    return Checked(len(images), findings)
