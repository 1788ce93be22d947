"""REL: the release on disk."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.rule import Checked, Context, RuleKind, Skip, made_by_the_audit, rule
from crlm_qc.model.severity import Severity
from crlm_qc.model.show import LARGEST
from crlm_qc.rules._collection import need_workbook
from crlm_qc.rules._words import (
    by_folder,
    file_names,
    file_subject,
    folder_of,
    folder_subject,
    listed,
    most_common,
    name_of,
    plural,
    text,
    whole,
)

ERROR, WARNING = Severity.ERROR, Severity.WARNING
DOWNLOADER = "layout that the NBIA Data Retriever writes"

_PROBLEMS = {
    "empty": "the file has no bytes",
    "not-dicom": "the file is not DICOM",
    "cut-header": "the file ends within its header",
    "bad-header": "the header can't be parsed",
    "permission": "the file may not be opened",
}
_LINKS = {
    "link-outside": "leads outside the release",
    "link-broken": "leads to nothing",
    "link-folder": "leads to another folder",
}
_STUDY_FOLDER = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4})-(.*)-([0-9.]{1,5})", re.DOTALL)
_SERIES_FOLDER = re.compile(r"([0-9]{1,12})\.([0-9]{6})-(.*)-([0-9.]{1,5})", re.DOTALL)
_LEAST_CUT = 12
"""A description in a folder name that is shorter than this was not cut short: no file system needs it to be."""


def _images(context: Context) -> Any:
    """Files that are CT images or segmentation objects."""
    files = context["files"]
    return files[files["kind"].isin(["ct", "dso"])]


def _used(context: Context, source: str) -> tuple[Any, Any]:
    """Rows of `sources` of one kind, and those of them that the audit reads."""
    sources = context["sources"]
    rows = sources[sources["source"] == source]
    return rows, rows[rows["used"].fillna(False).astype(bool)]


def _source(context: Context, source: str, missing: str, several: str) -> Checked:
    rows, used = _used(context, source)
    if rows.empty:
        return Checked(1, [Found(RELEASE, missing, expected="one", observed="none")])
    if several and len(rows) > 1:
        paths = [context.show.path(path) for path in sorted(rows["path"])]
        read = ", ".join(context.show.path(path) for path in used["path"]) or "none"
        message = f"{several}: {listed(paths)}. The audit reads {read}."
        return Checked(len(rows), [Found(RELEASE, message, "one", str(len(rows)), None, len(rows), tuple(paths))])
    return Checked(len(rows))


@rule(
    "REL001",
    "metadata-not-found",
    ERROR,
    title="metadata.csv is missing, or there are several",
    why="metadata.csv says which series belong to the release and where they lie; without it nothing can be compared.",
    fix="Put the downloader's metadata.csv beside the collection's folder, take surplus ones out, or name one with --metadata.",
    source=DOWNLOADER,
    tables=("sources",),
)
def metadata_not_found(context: Context) -> Checked:
    """One table with the downloader's columns."""
    return _source(
        context,
        "metadata",
        "No metadata.csv was found in the release or beside it.",
        "The release holds several tables with the downloader's columns",
    )


@rule(
    "REL002",
    "workbook-not-found",
    ERROR,
    title="The clinical workbook is missing, or there are several",
    why="Clinical data stand in the workbook alone; two editions in one release contradict each other.",
    fix="Put the workbook of the current edition into the release and take older ones out, or name one with --clinical.",
    source="published description, Data Access table",
    tables=("sources",),
)
def workbook_not_found(context: Context) -> Checked:
    """One workbook with a patient sheet, where the collection has one."""
    need_workbook(context)
    return _source(
        context,
        "clinical",
        "No clinical workbook was found in the release or beside it.",
        "The release holds several clinical workbooks, of which the newest edition counts",
    )


@rule(
    "REL003",
    "manifest-not-found",
    WARNING,
    title="The .tcia manifest is missing",
    why="The manifest is what people download the images with; without it the list of series can't be compared.",
    fix="Put the .tcia file into the release, or name it with --manifest.",
    source="published description, Data Access table",
    tables=("sources",),
)
def manifest_not_found(context: Context) -> Checked:
    """A manifest."""
    return _source(context, "manifest", "No .tcia manifest was found in the release or beside it.", "")


@rule(
    "REL004",
    "file-unreadable",
    ERROR,
    title="A file in a series folder can't be read as DICOM",
    why="A slice or mask that can't be read is lost, mostly to a broken download or copy. Other rules count such a file as there: they raise no missing slice or reference for it.",
    fix="Download or copy the file again.",
    source="DICOM PS3.10 7.1 (file meta information), PS3.5 7.1 (data elements)",
    tables=("files",),
)
def file_unreadable(context: Context) -> Checked:
    """Every file of a patient's folder that should be DICOM."""
    files = context["files"]
    candidates = files[files["kind"].isin(["ct", "dso", "other-dicom", "unreadable"])]
    findings = []
    for patient, subject, rows in by_folder(context, candidates[candidates["kind"] == "unreadable"]):
        names = file_names(context, rows["path"])
        reasons = Counter(_PROBLEMS.get(str(problem), "the file can't be read") for problem in rows["problem"])
        if len(rows) == 1:
            message = f"{names[0]} can't be read as DICOM: {next(iter(reasons))}."
        else:
            message = f"{len(rows)} files can't be read as DICOM: {listed(names)}."
        observed = "; ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
        findings.append(Found(subject, message, "a DICOM file", observed, patient, len(rows), tuple(names)))
    return Checked(len(candidates), findings)


@rule(
    "REL005",
    "pixel-data-length",
    ERROR,
    title="Pixel Data is shorter or longer than the header needs, or bytes follow the data set",
    why="Missing bytes are missing pixels, and most readers refuse the file or show rubbish; surplus bytes come from a broken transfer. The length of a segmentation object's Pixel Data is DSO016's.",
    fix="Download or export the file again.",
    source="DICOM PS3.5 8.1.1 (pixel data encoding), PS3.10 7.2 (data set encapsulation)",
    tables=("files",),
)
def pixel_data_length(context: Context) -> Checked:
    """Every CT image; segmentation objects for bytes after the data set."""
    files = context["files"]
    images = files[files["kind"].isin(["ct", "dso", "other-dicom"])]
    known = images["pixel_bytes_expected"].notna() & images["pixel_bytes_found"].notna() & (images["kind"] != "dso")
    wrong = (known & (images["pixel_bytes_expected"] != images["pixel_bytes_found"])).fillna(False).astype(bool)
    trailing = (images["trailing_bytes"] > 0).fillna(False).astype(bool)
    findings = []
    for patient, subject, rows in by_folder(context, images[wrong | trailing]):
        names = file_names(context, rows["path"])
        details = [_length_words(row) for row in rows.to_dict("records")]
        examples = tuple(f"{name}: {detail}" for name, detail in zip(names, details, strict=True))
        if len(rows) == 1:
            message = f"{names[0]}: {details[0]}."
        else:
            message = f"{len(rows)} files hold fewer or more bytes than they should: {listed(names)}."
        needed = most_common(rows["pixel_bytes_expected"])
        expected = "no bytes after the data set" if needed is None else f"{plural(int(needed), 'byte')} of Pixel Data"
        findings.append(Found(subject, message, expected, details[0], patient, len(rows), examples))
    return Checked(len(images), findings)


def _length_words(row: dict[str, Any]) -> str:
    found, needed, after = (whole(row[key]) for key in ("pixel_bytes_found", "pixel_bytes_expected", "trailing_bytes"))
    words = []
    if row["kind"] != "dso" and found is not None and needed is not None and found != needed:
        words.append(
            f"Pixel Data holds {plural(found, 'byte')}, {plural(abs(found - needed), 'byte')} too "
            + ("few" if found < needed else "many")
        )
    if after:
        words.append(f"{plural(after, 'byte')} after the data set")
    return " and ".join(words)


@rule(
    "REL006",
    "sop-instance-twice",
    ERROR,
    title="One SOP Instance UID in two files",
    why="The UID names one image in the world: archives keep only one of the two files, and references become ambiguous.",
    fix="Remove the copy; if the images differ, give one of them a UID of its own and mend what refers to it.",
    source="DICOM PS3.3 C.12.1.1.1 (SOP Instance UID), PS3.5 9",
    tables=("files",),
)
def sop_instance_twice(context: Context) -> Checked:
    """Every DICOM file with a SOP Instance UID."""
    files = context["files"]
    named = files[files["sop_instance_uid"].notna()]
    twice = named[named["sop_instance_uid"].duplicated(keep=False)].sort_values("path")
    groups: dict[tuple[str, ...], list[tuple[str, list[str], str | None]]] = {}
    for uid, rows in twice.groupby("sop_instance_uid", sort=False):
        paths = rows["path"].tolist()
        key = tuple(sorted({folder_of(path) for path in paths}))
        groups.setdefault(key, []).append((str(uid), paths, text(rows["patient"].iloc[-1])))
    findings = []
    for folders, cases in sorted(groups.items()):
        uid, paths, patient = cases[0]
        examples = tuple(" = ".join(context.show.path(path) for path in same) for _, same, _ in cases)
        if len(cases) == 1:
            subject = Subject(Kind.FILE, context.show.path(paths[-1]), context.show.uid(uid))
            message = f"One SOP Instance UID is in {len(paths)} files: {listed([context.show.path(p) for p in paths])}."
        else:
            subject = folder_subject(context, folders[-1])
            where = f"in {context.show.path(folders[0] or '.')}" if len(folders) == 1 else "in several folders"
            message = f"{len(cases)} SOP Instance UIDs are in two files each, {where}."
        observed = f"{sum(len(same) for _, same, _ in cases)} files"
        findings.append(Found(subject, message, "one file a SOP Instance UID", observed, patient, len(cases), examples))
    return Checked(len(named), findings)


@rule(
    "REL007",
    "unexpected-file",
    WARNING,
    title="A file that does not belong into the collection's folders",
    why="Notes, exports and copies that slip into a series folder ship with the release, and may name a patient.",
    fix="Take the file out; documents of the release belong beside the collection's folder.",
    source=DOWNLOADER,
    tables=("files",),
)
def unexpected_file(context: Context) -> Checked:
    """Every file inside the folders of the collection and of patients, and every DICOM file outside of them."""
    files = context["files"]
    in_collection = files["in_collection"].fillna(False).astype(bool)
    # DICOM belongs into patient folders, wherever else it lies.
    inside = files[in_collection | (files["kind"] == "other-dicom")]
    findings = []
    for patient, subject, rows in by_folder(context, inside[inside["kind"].isin(["unexpected", "other-dicom"])]):
        names = file_names(context, rows["path"])
        what = "is no part of the collection" if len(rows) == 1 else "are no part of the collection"
        message = f"{listed(names)} {what}."
        is_dicom = (rows["kind"] == "other-dicom").all()
        outside = "a DICOM file outside of patient folders" if patient is None else "a DICOM file that is no image"
        kinds = outside if is_dicom else "another file"
        findings.append(
            Found(subject, message, "CT images and segmentation objects", kinds, patient, len(rows), tuple(names))
        )
    return Checked(len(inside), findings)


def _unread_folders(context: Context) -> Counter[str]:
    """Patients with folders that hold unreadable files and no readable image: each may be the series that is missing."""
    files = context["files"]
    unread = files[(files["kind"] == "unreadable") & files["patient"].notna()]
    readable = set(_images(context)["folder"].dropna())
    folders = {(row["patient"], row["folder"]) for row in unread.to_dict("records") if row["folder"] not in readable}
    return Counter(patient for patient, _ in folders)


@rule(
    "REL008",
    "series-missing",
    ERROR,
    title="A patient without CT series or without segmentation object",
    why="Each patient has one of each; a mask without its CT, or a CT without masks, can't be used as described. A series whose files are all unreadable is REL004's.",
    fix="Fetch the missing series, or take the patient out of the release.",
    source="published description: one CT series and one segmentation object a patient",
    tables=("patients", "series", "files"),
)
def series_missing(context: Context) -> Checked:
    """Every patient folder."""
    patients, series = context["patients"], context["series"]
    there = {(row["patient"], row["role"]) for row in series.to_dict("records")}
    unread = _unread_folders(context)
    findings = []
    for patient, folder in zip(patients["patient"], patients["folder"], strict=True):
        lacking = [
            words
            for role, words in (("ct", "CT series"), ("dso", "segmentation object"))
            if (patient, role) not in there
        ]
        if lacking and unread[patient] < len(lacking):
            subject = Subject(Kind.PATIENT, path=context.show.path(folder))
            message = f"{patient} has no {' and no '.join(lacking)}."
            findings.append(
                Found(
                    subject,
                    message,
                    "one CT series and one segmentation object",
                    f"no {', no '.join(lacking)}",
                    patient,
                )
            )
    return Checked(len(patients), findings)


@rule(
    "REL009",
    "series-surplus",
    ERROR,
    title="A patient with more than one CT series or segmentation object",
    why="Nothing says which of them counts, and tools take either. Series mixed in one folder are REL014's, copies REL006's.",
    fix="Keep the series that the segmentation refers to and take the other out.",
    source="published description: series a patient",
    tables=("patients", "series", "files"),
)
def series_surplus(context: Context) -> Checked:
    """Every patient folder."""
    images = _images(context)
    images = images[images["patient"].notna()].sort_values("path")
    images = images[images["sop_instance_uid"].isna() | ~images["sop_instance_uid"].duplicated()]
    words: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    folders: dict[str, list[str]] = {}
    for (patient, role), rows in images.groupby(["patient", "kind"], sort=True):
        # A folder that mixes series counts once; a segmentation object is one file.
        units = rows["path"] if role == "dso" else _merged(rows)
        count = int(units.nunique())
        if count > context.profile.published.series_per_patient["CT" if role == "ct" else "SEG"]:
            what = "CT series" if role == "ct" else "segmentation objects"
            words.setdefault(str(patient), []).append(f"{count} {what}")
            counts[str(patient)] += count
            folders.setdefault(str(patient), []).extend(sorted(rows["folder"].dropna().unique()))
    findings = []
    for patient, observed in words.items():
        shown = [context.show.path(folder) for folder in folders[patient]]
        message = f"{patient} has {' and '.join(observed)}: {listed(shown)}."
        expected = "one CT series and one segmentation object"
        findings.append(
            Found(Subject(Kind.PATIENT), message, expected, ", ".join(observed), patient, counts[patient], tuple(shown))
        )
    return Checked(len(context["patients"]), findings)


def _merged(rows: Any) -> Any:
    """A name for each image's series, series that share a folder taken as one."""
    series = rows["series_uid"].fillna("")
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for uid, folder in sorted(set(zip(series, rows["folder"].fillna(""), strict=True))):
        leader[find("series " + uid)] = find("folder " + folder)
    return series.map(lambda uid: find("series " + uid))


@rule(
    "REL010",
    "folder-name-contradicts",
    WARNING,
    title="A folder's name contradicts the files in it",
    why="People pick series by the folder's date, description, number and last UID digits; a wrong name leads to the wrong images.",
    fix="Download the series again, or rename the folder after its headers.",
    source=DOWNLOADER,
    tables=("slices", "dsos"),
)
def folder_name_contradicts(context: Context) -> Checked:
    """Every study and series folder whose name has the downloader's form."""
    import pandas as pd

    columns = ["patient", "path", "study_date", "study_id", "study_description", "series_description"]
    columns += ["series_number", "study_uid", "series_uid"]
    rows = pd.concat([context["slices"][columns], context["dsos"][columns]], ignore_index=True)
    rows["folder"] = rows["path"].map(folder_of)
    rows["parent"] = rows["folder"].map(folder_of)
    examined, findings = 0, []
    for level, contradictions in (("parent", _study_contradictions), ("folder", _series_contradictions)):
        for folder, group in rows.groupby(level, sort=True):
            found = contradictions(context, name_of(str(folder)), group)
            if found is None:
                continue
            examined += 1
            if found:
                keywords, expected, observed = zip(*found, strict=True)
                findings.append(
                    Found(
                        folder_subject(context, str(folder)),
                        f"The folder's name contradicts {' and '.join(keywords)} of the {len(group)} files in it."
                        if len(group) > 1
                        else f"The folder's name contradicts {' and '.join(keywords)} of the file in it.",
                        "; ".join(expected),
                        "; ".join(observed),
                        text(group["patient"].iloc[0]),
                    )
                )
    return Checked(examined, findings)


Contradictions = list[tuple[str, str, str]]


def _study_contradictions(context: Context, name: str, rows: Any) -> Contradictions | None:
    match = _STUDY_FOLDER.fullmatch(name)
    if not match:
        return None
    month, day, year, middle, tail = match.groups()
    found: Contradictions = []
    date = most_common(rows["study_date"])
    if date is not None and date != year + month + day:
        named = context.show.date(f"{month}-{day}-{year}")
        found.append(("StudyDate", f"StudyDate {context.show.date(date)}", f"folder {named}"))
    numbers = {"NA", "", most_common(rows["study_id"]) or ""}
    descriptions = _description_forms(most_common(rows["study_description"]))
    if not any(_agree(middle, f"{number} {description}") for number in numbers for description in descriptions):
        shown = context.show.text(most_common(rows["study_description"]))
        found.append(("StudyDescription", f"StudyDescription {shown}", f"folder {context.show.text(middle)}"))
    return found + _tail(context, "StudyInstanceUID", tail, most_common(rows["study_uid"]))


def _series_contradictions(context: Context, name: str, rows: Any) -> Contradictions | None:
    match = _SERIES_FOLDER.fullmatch(name)
    if not match:
        return None
    integral, fraction, middle, tail = match.groups()
    found: Contradictions = []
    series_number = most_common(rows["series_number"])
    if series_number is not None and (int(integral) != series_number or int(fraction)):
        shown = context.show.number(int(series_number))
        folder = f"{integral}.{fraction}" if int(integral) <= LARGEST else context.show.number(int(integral))
        found.append(("SeriesNumber", f"SeriesNumber {shown}", f"folder {folder}"))
    description = most_common(rows["series_description"])
    if not any(_agree(middle, form) for form in _description_forms(description)):
        found.append(
            (
                "SeriesDescription",
                f"SeriesDescription {context.show.text(description)}",
                f"folder {context.show.text(middle)}",
            )
        )
    return found + _tail(context, "SeriesInstanceUID", tail, most_common(rows["series_uid"]))


def _description_forms(description: str | None) -> tuple[str, ...]:
    """What a folder's name may hold of a description: NA (or nothing) where there is none to hold."""
    if description is None or not _plain(description):
        return ("NA", "")
    return (description,)


def _plain(value: str) -> str:
    """Letters and digits alone: the downloader drops what a file system refuses, and some copies change spaces."""
    return "".join(character for character in value if character.isalnum()).casefold()


def _agree(shown: str, full: str) -> bool:
    short, whole_text = _plain(shown), _plain(full)
    return short == whole_text or (len(short) >= _LEAST_CUT and whole_text.startswith(short))


def _tail(context: Context, keyword: str, tail: str, uid: str | None) -> Contradictions:
    if uid is None or uid[-5:].strip(".") == tail or uid.replace(".", "")[-5:] == tail:
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
)
def patient_of_another_folder(context: Context) -> Checked:
    """Every DICOM image in a patient's folder that has a PatientID."""
    images = _images(context)
    images = images[images["patient"].notna() & images["patient_id"].notna()]
    findings = []
    for patient, subject, rows in by_folder(context, images[images["patient_id"] != images["patient"]]):
        ids = sorted({context.show.patient(value) for value in rows["patient_id"]})
        valid = context.profile.is_patient_id(patient or "")
        what = f"of {patient}'s folder" if valid else "of a folder whose name is no patient ID"
        files = file_names(context, rows["path"])[0] if len(rows) == 1 else plural(len(rows), "file")
        message = f"PatientID in {files} {what} is {listed(ids)}."
        expected = patient if valid and patient else f"a folder named {context.profile.patient_id_form}"
        names = tuple(file_names(context, rows["path"]))
        findings.append(Found(subject, message, expected, listed(ids), patient, len(rows), names))
    return Checked(len(images), findings)


@rule(
    "REL012",
    "file-meta-disagrees",
    ERROR,
    title="File meta information disagrees with the data set",
    why="Archives index by the one and readers by the other, so the same file gets two identities.",
    fix="Write the file again with Media Storage SOP Instance and Class UID taken from the data set.",
    source="DICOM PS3.10 7.1 (Media Storage SOP Class and Instance UID)",
    tables=("files",),
)
def file_meta_disagrees(context: Context) -> Checked:
    """Every DICOM file that has both."""
    files = context["files"]
    pairs = {
        "MediaStorageSOPInstanceUID": ("meta_sop_instance_uid", "sop_instance_uid"),
        "MediaStorageSOPClassUID": ("meta_sop_class_uid", "sop_class_uid"),
    }
    examined = files[files["meta_sop_instance_uid"].notna() & files["sop_instance_uid"].notna()]
    wrong = {
        keyword: files[meta].notna() & files[data].notna() & (files[meta] != files[data])
        for keyword, (meta, data) in pairs.items()
    }
    either = wrong["MediaStorageSOPInstanceUID"] | wrong["MediaStorageSOPClassUID"]
    findings = []
    for patient, subject, rows in by_folder(context, files[either]):
        names = file_names(context, rows["path"])
        keywords = [keyword for keyword in pairs if wrong[keyword].loc[rows.index].any()]
        meta, data = pairs[keywords[0]]
        row = rows[wrong[keywords[0]].loc[rows.index]].iloc[0]
        files_named = names[0] if len(names) == 1 else plural(len(names), "file")
        findings.append(
            Found(
                subject,
                f"{' and '.join(keywords)} of {files_named} is not the data set's.",
                context.show.uid(row[data]),
                context.show.uid(row[meta]),
                patient,
                len(rows),
                tuple(names),
            )
        )
    return Checked(len(examined), findings)


@rule(
    "REL013",
    "link-outside",
    ERROR,
    title="A link that leads out of the release, or to nothing",
    why="A link ships as nothing, or as whatever lies at its end on another machine. It was not followed.",
    fix="Put the file itself in the link's place, or remove the link.",
    source=DOWNLOADER,
    tables=("files",),
)
def link_outside(context: Context) -> Checked:
    """Every file and link."""
    files = context["files"]
    findings = []
    for row in files[files["problem"].isin(list(_LINKS))].sort_values("path").to_dict("records"):
        what = _LINKS[row["problem"]]
        message = f"{file_names(context, [row['path']])[0]} is a link that {what}; it was not followed."
        findings.append(
            Found(file_subject(context, row["path"]), message, "a file", f"a link that {what}", text(row["patient"]))
        )
    return Checked(len(files), findings)


@rule(
    "REL014",
    "series-spread-or-mixed",
    ERROR,
    title="One series in several folders, or several series in one folder",
    why="People and tools take a folder for a series: they load half of it, or two series as one. Rules on stacks leave the smaller series of a mixed folder alone.",
    fix="Give each series one folder of its own.",
    source=DOWNLOADER,
    tables=("files",),
)
def series_spread_or_mixed(context: Context) -> Checked:
    """Every series and every folder that holds images."""
    images = _images(context)
    images = images[images["series_uid"].notna()].sort_values("path")
    # A folder that holds nothing but copies is REL006's.
    originals = images[images["sop_instance_uid"].isna() | ~images["sop_instance_uid"].duplicated()]
    findings = [*_spread(context, originals), *_mixed(context, originals)]
    return Checked(int(originals["series_uid"].nunique()), findings)


def _spread(context: Context, images: Any) -> Iterator[Found]:
    for (patient, uid), rows in images.groupby(["patient", "series_uid"], dropna=False, sort=True):
        counts = rows["folder"].fillna("").value_counts().sort_index()
        if len(counts) > 1:
            folders = [
                f"{context.show.path(folder or '.')} ({plural(count, 'file')})" for folder, count in counts.items()
            ]
            subject = Subject(Kind.SERIES, path=context.show.path(counts.idxmax() or "."), uid=context.show.uid(uid))
            message = f"The series lies in {len(counts)} folders: {listed(folders)}."
            yield Found(
                subject, message, "one folder", f"{len(counts)} folders", text(patient), len(counts), tuple(folders)
            )


def _mixed(context: Context, images: Any) -> Iterator[Found]:
    for folder, rows in images.groupby(images["folder"].fillna(""), sort=True):
        counts = rows["series_uid"].value_counts()
        if len(counts) > 1:
            smaller = rows[rows["series_uid"] != min(counts.index, key=lambda uid: (-counts[uid], uid))]
            names = file_names(context, smaller["path"])
            message = (
                f"The folder holds {len(counts)} series; {plural(len(smaller), 'file')} "
                f"{'does' if len(smaller) == 1 else 'do'} not belong to the largest: {listed(names)}."
            )
            yield Found(
                folder_subject(context, str(folder)),
                message,
                "one series",
                f"{len(counts)} series",
                text(rows["patient"].iloc[0]),
                len(counts),
                tuple(names),
            )


@rule(
    "REL015",
    "differs-from-lock",
    ERROR,
    title="A file's bytes differ from the lock file, or a locked file is missing, or a file is new",
    why="A lock file says what the release was when it was locked; a changed bit of a pixel or a mask shows nowhere else. Files whose bytes can't be read are REL004's, links REL013's.",
    fix="Fetch the file again from where the lock file was made. If the release was changed on purpose, lock it anew: crlm-qc lock RELEASE.",
    source="FIPS 180-4 (SHA-256); the lock file that was given with --lock",
    tables=("files", "lock", "patients"),
)
def differs_from_lock(context: Context) -> Checked:
    """Every file of the release and of the lock file; of a part of a release, missing files only of patients that are there."""
    lock, files = context["lock"], context["files"]
    if lock.empty:
        raise Skip("no lock file was given")
    locked = {row["path"]: row for row in lock.to_dict("records")}
    there = {row["path"]: row for row in files.to_dict("records")}
    hashed = {path: row for path, row in there.items() if isinstance(row["sha256"], str)}
    if locked.keys().isdisjoint(there):
        message = f"None of the {plural(len(locked), 'locked file')} is in the release: the lock file is another one's, or of another folder."
        return Checked(len(locked), [Found(RELEASE, message, "the release's own lock file", "no file in common")])
    missing = sorted(path for path in locked.keys() - there.keys() if _is_expected(context, path))
    new = sorted(hashed.keys() - locked.keys())
    changed = sorted(path for path, row in hashed.items() if path in locked and row["sha256"] != locked[path]["sha256"])
    on_disk, in_lock = _folders(there), _folders(locked)
    # A folder that is gone, or new, is one finding, however many folders lie in it.
    groups: dict[str, dict[str, list[str]]] = {}
    for kind, paths, known in ((_CHANGED, changed, on_disk), (_MISSING, missing, on_disk), (_NEW, new, in_lock)):
        for path in paths:
            groups.setdefault(_outermost_unknown(folder_of(path), known), {}).setdefault(kind, []).append(path)
    findings = []
    for folder, found in sorted(groups.items()):
        (kind, paths), *more = found.items()
        if not more and len(paths) == 1:
            findings.append(_one_differs(context, kind, locked.get(paths[0]), there.get(paths[0]), paths[0]))
        else:
            findings.append(
                _several_differ(context, folder, found, gone=folder not in on_disk, new=folder not in in_lock)
            )
    return Checked(len(locked.keys() | hashed.keys()), findings)


_CHANGED, _MISSING, _NEW = "with other bytes", "missing", "new"


def _is_expected(context: Context, path: str) -> bool:
    """Whether a locked file must be there: of a part of a release, only what lies in a patient folder that is there."""
    if not context.settings.partial:
        return True
    return any(path.startswith(f"{folder}/") for folder in context["patients"]["folder"])


def _folders(paths: Iterable[str]) -> set[str]:
    """All folders that paths lie in, the release itself as the empty one."""
    found = {""}
    for path in paths:
        while (path := folder_of(path)) not in found:
            found.add(path)
    return found


def _outermost_unknown(folder: str, known: set[str]) -> str:
    """The folder itself if it is known, else the outermost folder on the way to it that is not."""
    while folder not in known and (above := folder_of(folder)) not in known:
        folder = above
    return folder


def _owner(context: Context, paths: Iterable[str]) -> str | None:
    """The patient whose files all of them are; also one who is on disk no more."""
    folders = context.once(
        "patient folders",
        lambda: dict(zip(context["patients"]["folder"], context["patients"]["patient"], strict=True)),
    )
    owners = set()
    for path in paths:
        above = [*path.split("/")[:-1]]
        known = ("/".join(above[:count]) for count in range(1, len(above) + 1))
        owner = next((str(folders[folder]) for folder in known if folder in folders), None)
        owners.add(owner or next((name for name in above if context.profile.is_patient_id(name)), None))
    return owners.pop() if len(owners) == 1 else None


def _bytes_words(row: dict[str, Any] | None) -> str:
    size = None if row is None else whole(row["size"])
    return "" if size is None else f" ({plural(size, 'byte')})"


def _one_differs(
    context: Context, kind: str, locked: dict[str, Any] | None, there: dict[str, Any] | None, path: str
) -> Found:
    name = file_names(context, [path])[0]
    message, expected, observed = {
        _CHANGED: (f"The bytes of {name} differ from the lock file.", "the bytes that were locked", "other bytes"),
        _MISSING: (f"{name} is in the lock file and not in the release.", "the locked file", "no file"),
        _NEW: (f"{name} is not in the lock file.", "no file", "a new file"),
    }[kind]
    expected, observed = expected + _bytes_words(locked), observed + _bytes_words(there)
    return Found(file_subject(context, path), message, expected, observed, _owner(context, [path]))


def _within(context: Context, folder: str, path: str) -> str:
    """A path from a folder on that it lies in, its file told from others of its folder."""
    above, inside = context.show.path(folder), context.show.path(folder_of(path))
    if above == context.show.path(None):
        above = ""
    below = "" if inside == above else inside.removeprefix(f"{above}/") if above else inside
    name = file_names(context, [path])[0]
    return f"{below}/{name}" if below and folder_of(path) else name


def _several_differ(context: Context, folder: str, found: dict[str, list[str]], *, gone: bool, new: bool) -> Found:
    names = {kind: [_within(context, folder, path) for path in paths] for kind, paths in found.items()}
    total = sum(map(len, found.values()))
    observed = ", ".join(f"{len(paths):,} {kind}" for kind, paths in found.items())
    if gone:
        message = f"The folder is gone: {plural(total, 'locked file')} of it {'is' if total == 1 else 'are'} missing."
    elif new:
        message = (
            f"The folder is not in the lock file: {plural(total, 'file')} of it {'is' if total == 1 else 'are'} new."
        )
    else:
        said = "; ".join(f"{len(listing):,} {kind} ({listed(listing)})" for kind, listing in names.items())
        message = f"{plural(total, 'file')} of the folder differ from the lock file: {said}."
    examples = tuple(f"{name}: {kind}" for kind, listing in names.items() for name in listing)
    return Found(
        folder_subject(context, folder),
        message,
        "the files that were locked",
        observed,
        _owner(context, [path for paths in found.values() for path in paths]),
        total,
        examples,
    )


@rule(
    "REL016",
    "uid-invalid",
    ERROR,
    title="An invalid UID in a DICOM header",
    why="Archives and viewers refuse such an object, or cut the UID so that references no longer meet.",
    fix="Write the object again with valid UIDs, everywhere that they are referred to.",
    source="DICOM PS3.5 9.1 (UID encoding) and 6.2 (VR UI)",
    tables=("files",),
)
def uid_invalid(context: Context) -> Checked:
    """Every DICOM file."""
    files = context["files"]
    dicom = files[files["kind"].isin(["ct", "dso", "other-dicom"])]
    findings = []
    for patient, subject, rows in by_folder(context, dicom[dicom["invalid_uids"].notna()]):
        keywords = Counter(keyword for value in rows["invalid_uids"] for keyword in set(json.loads(value)))
        if not keywords:
            continue
        names = file_names(context, rows["path"])
        files_named = names[0] if len(names) == 1 else plural(len(names), "file")
        message = (
            f"{', '.join(sorted(keywords))} of {files_named} {'is' if len(keywords) == 1 else 'are'} no valid UID."
        )
        findings.append(
            Found(
                subject,
                message,
                "digits and dots, no component with a leading zero, at most 64 characters",
                ", ".join(f"{keyword} in {plural(count, 'file')}" for keyword, count in sorted(keywords.items())),
                patient,
                len(rows),
                tuple(names),
            )
        )
    return Checked(len(dicom), findings)


rule_crashed = rule(
    "REL900",
    "rule-crashed",
    ERROR,
    title="A rule crashed",
    why="What the rule looks for was not looked for, so the audit is incomplete; every other rule went on.",
    fix="Report the rule's code and the place that the finding names.",
    source="crlm-qc itself",
    tables=(),
    kind=RuleKind.AUDIT,
)(made_by_the_audit)
