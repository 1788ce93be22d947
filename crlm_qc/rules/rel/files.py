"""Files one by one: readable, whole, DICOM, where they belong."""

from __future__ import annotations

import json
from collections import Counter
from posixpath import commonpath
from typing import Any

from crlm_qc.collection.forms import UID_RULES
from crlm_qc.model.contents import ARCHIVES, CONTENTS, POINTERS
from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.tables import NOT_FETCHED, TOO_LARGE
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.rel._shared import DOWNLOADER, by_cause, counted, of_another_collection
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import by_folder, file_names, most_common, whole

_PROBLEMS = {
    "empty": "the file has no bytes",
    "not-dicom": "the file is not DICOM",
    "cut-header": "the file ends within its header",
    "bad-header": "the header can't be parsed",
    "permission": "the file may not be opened",
    "io-error": "the disk did not give it",
}


@rule(
    "REL004",
    "file-unreadable",
    ERROR,
    title="A file in a series folder can't be read as DICOM",
    why="A slice or mask that can't be read is lost, mostly to a broken download or copy. Where permission was refused, or the disk had an error, nothing is known of the file, and the audit is incomplete. Other rules count such a file as there: they raise no missing slice or reference for it.",
    fix="Download or copy the file again; where it may not be opened, or the disk did not give it, mend that and audit again.",
    source="DICOM PS3.10 7.1 (file meta information), PS3.5 7.1 (data elements)",
    tables=("files",),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "completeness")),
)
def file_unreadable(context: Context) -> Checked:
    """Every file of a patient's folder that should be DICOM."""
    files = context["files"]
    candidates = kept(
        files,
        files["kind"].isin(["ct", "dso", "other-dicom", "unreadable"]) & (files["problem"].fillna("") != "unfinished"),
    )
    # Those that ask for too much are REL027's.
    unreadable = candidates["kind"] == "unreadable"
    unread = kept(candidates, unreadable & ~candidates["problem"].isin([TOO_LARGE, NOT_FETCHED]))
    causes = unread["content"].fillna(unread["problem"])
    findings = []
    for patient, subject, rows in by_cause(context, unread, causes, len(candidates)):
        names = file_names(context, rows["path"])
        reasons = Counter(map(_reason, rows["problem"], rows["content"]))
        if len(rows) == 1:
            message = f"{names[0]} can't be read as DICOM: {next(iter(reasons))}{_to_do(rows)}."
        else:
            message = f"{len(rows):,} files can't be read as DICOM{_what_all_are(rows)}: {listed(names)}{_to_do(rows)}."
        observed = "; ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
        findings.append(Found(subject, message, "a DICOM file", observed, patient, len(rows), tuple(names)))
    return Checked(len(candidates), findings)


def _reason(problem: Any, content: Any) -> str:
    if isinstance(content, str):
        return f"it is {CONTENTS[content].one}"
    return _PROBLEMS.get(str(problem), "the file can't be read")


def _what_all_are(rows: Any) -> str:
    """What all of several files are, if it is the same."""
    contents = set(rows["content"].fillna(""))
    return f" but are {CONTENTS[contents.pop()].several}" if len(contents) == 1 and "" not in contents else ""


def _to_do(rows: Any) -> str:
    """What to do about files that are something else, where that is the same for all."""
    ways = {CONTENTS[content].do if content else "" for content in rows["content"].fillna("")}
    way = ways.pop() if len(ways) == 1 else ""
    return f"; {way}" if way else ""


@rule(
    "REL027",
    "file-out-of-proportion",
    ERROR,
    title="A file asks for more than a file of its size can hold",
    why="A small file that unpacks to gigabytes, or that holds a hundred thousand items, is damaged, or made to stop whoever opens it. It was not read any further; other rules count it as there.",
    fix="Export the object again from its source. If it came from elsewhere, ask where; open it with no other program.",
    source="DICOM PS3.5 A.5 (deflated data sets), 7.5 (nesting of data sets), 8.2 (compressed Pixel Data); sizes of the published files",
    tables=("files", "slices"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "sharing", "completeness")),
)
def file_out_of_proportion(context: Context) -> Checked:
    """Every file that is DICOM, or should be, with the pixels of CT images; workbooks beside the clinical one."""
    files, slices = context["files"], context["slices"]
    dicom = files["kind"].isin(["ct", "dso", "other-dicom", "unreadable"])
    # Elsewhere it is a workbook that is not the clinical one.
    candidates = kept(files, dicom | (files["problem"] == TOO_LARGE))
    large = kept(candidates, candidates["problem"] == TOO_LARGE)
    blown = kept(slices, slices["pixels"] == TOO_LARGE)
    # The reader writes the details, with no text from the file.
    details = dict(zip(large["path"], large["detail"], strict=True))
    details |= dict(zip(blown["path"], blown["pixels_detail"], strict=True))
    findings = []
    for patient, subject, rows in by_folder(context, kept(candidates, candidates["path"].isin(list(details)))):
        names = file_names(context, rows["path"])
        observed = str(details[rows["path"].iloc[0]])
        message = f"{names[0]} asks for more than such a file holds: {observed}."
        if len(rows) > 1:
            message = f"{len(rows)} files ask for more than such files hold: {listed(names)}."
        expected = "no more than real files hold several times over"
        findings.append(Found(subject, message, expected, observed, patient, len(rows), tuple(names)))
    return Checked(len(candidates), findings)


@rule(
    "REL005",
    "pixel-data-length",
    ERROR,
    title="Pixel Data is shorter or longer than the header needs, or bytes follow the data set",
    why="Missing bytes are missing pixels, and most readers refuse the file or show rubbish; surplus bytes come from a broken transfer. Where the byte alone is missing that pads an odd number, it is a warning. The length of a segmentation object's Pixel Data is DSO016's.",
    fix="Download or export the file again.",
    source="DICOM PS3.5 8.1.1 (pixel data encoding), PS3.10 7.2 (data set encapsulation)",
    tables=("files",),
    spoils=Spoils(out=("segmentation", "image-values", "completeness"), care=("volumetry",)),
)
def pixel_data_length(context: Context) -> Checked:
    """Every CT image; segmentation objects for bytes after the data set."""
    files = context["files"]
    images = kept(files, files["kind"].isin(["ct", "dso", "other-dicom"]))
    known = images["pixel_bytes_expected"].notna() & images["pixel_bytes_found"].notna() & (images["kind"] != "dso")
    wrong = (known & (images["pixel_bytes_expected"] != images["pixel_bytes_found"])).fillna(False).astype(bool)
    trailing = (images["trailing_bytes"] > 0).fillna(False).astype(bool)
    findings = []
    unlike = kept(images, wrong | trailing)
    causes = None if unlike.empty else _length_causes(unlike)
    for patient, subject, rows in by_cause(context, unlike, causes, len(images)):
        names = file_names(context, rows["path"])
        details = [_length_words(row) for row in rows.to_dict("records")]
        examples = tuple(f"{name}: {detail}" for name, detail in zip(names, details, strict=True))
        if len(rows) == 1:
            message = f"{names[0]}: {details[0]}."
        else:
            message = f"{len(rows):,} files hold fewer or more bytes than they should: {listed(names)}."
        needed = most_common(rows["pixel_bytes_expected"])
        expected = "no bytes after the data set" if needed is None else f"{plural(int(needed), 'byte')} of Pixel Data"
        mild = WARNING if all(map(_unpadded, rows.to_dict("records"))) else None
        findings.append(Found(subject, message, expected, details[0], patient, len(rows), examples, mild))
    return Checked(len(images), findings)


def _length_causes(rows: Any) -> Any:
    """Too few bytes, too many, the missing pad, bytes after the data set."""
    sign = (rows["pixel_bytes_found"] - rows["pixel_bytes_expected"]).fillna(0).clip(-1, 1)
    pad = (rows["pixel_bytes_found"] == rows["pixel_bytes_unpadded"]).fillna(value=False)
    after = (rows["trailing_bytes"] > 0).fillna(value=False)
    return sign.astype(str) + pad.astype(str) + after.astype(str)


def _unpadded(row: dict[str, Any]) -> bool:
    """Whether nothing is wrong with a file's length but that the byte is missing that pads an odd number."""
    found = whole(row["pixel_bytes_found"])
    return found is not None and found == whole(row["pixel_bytes_unpadded"]) and not whole(row["trailing_bytes"])


def _length_words(row: dict[str, Any]) -> str:
    found, needed, after = (whole(row[key]) for key in ("pixel_bytes_found", "pixel_bytes_expected", "trailing_bytes"))
    words = []
    if row["kind"] != "dso" and found is not None and needed is not None and found != needed:
        words.append(
            f"Pixel Data lacks the byte that pads its {plural(found, 'byte')} (all bits are there)"
            if found == whole(row["pixel_bytes_unpadded"])
            else f"Pixel Data holds {plural(found, 'byte')}, {plural(abs(found - needed), 'byte')} too "
            + ("few" if found < needed else "many")
        )
    if after:
        words.append(f"{plural(after, 'byte')} after the data set")
    return " and ".join(words)


@rule(
    "REL007",
    "unexpected-file",
    WARNING,
    title="A file that does not belong into the collection's folders",
    why="Notes, exports and copies that slip into a series folder ship with the release, and may name a patient.",
    fix="Take the file out; documents of the release belong beside the collection's folder.",
    source=DOWNLOADER,
    tables=("files", "sources"),
    spoils=Spoils(care=("sharing",)),
)
def unexpected_file(context: Context) -> Checked:
    """Every file inside the folders of the collection and of patients, and every DICOM file outside of them."""
    files = context["files"]
    in_collection = files["in_collection"].fillna(False).astype(bool)
    # DICOM belongs into patient folders, wherever else it lies.
    inside = in_collection | (files["kind"] == "other-dicom")
    of_others = of_another_collection(files)
    findings = _of_another_collection(context, kept(files, of_others))
    inside = kept(files, inside & ~of_others)
    # Archives have a rule of their own.
    astray = kept(inside, inside["kind"].isin(["unexpected", "other-dicom"]) & ~inside["content"].isin(list(ARCHIVES)))
    for patient, subject, rows in by_cause(context, astray, astray["content"].fillna(astray["kind"]), len(inside)):
        names = file_names(context, rows["path"])
        way = _to_do(rows) if rows["content"].isin(list(POINTERS)).all() else ""
        message = f"{listed(names)} {are(len(rows))} no part of the collection{way}."
        is_dicom = (rows["kind"] == "other-dicom").all()
        outside = (
            "a DICOM file that is no image"
            if rows["patient"].notna().all()
            else "a DICOM file outside of patient folders"
        )
        contents = sorted({CONTENTS[content].one for content in rows["content"].dropna()})
        kinds = outside if is_dicom else listed(contents) or "another file"
        findings.append(
            Found(subject, message, "CT images and segmentation objects", kinds, patient, len(rows), tuple(names))
        )
    return Checked(len(inside), findings)


def _of_another_collection(context: Context, files: Any) -> list[Found]:
    """One note on all that is another collection's: it is no part of the release, and nobody's fault."""
    sources = context["sources"]
    tables = sources.loc[sources["relation"] == "other-collection", "path"]
    if files.empty and tables.empty:
        return []
    # Of each folder at the top, the innermost that holds all of them.
    by_top: dict[str, set[str]] = {}
    for folder in files["folder"]:
        by_top.setdefault(folder.partition("/")[0], set()).add(folder)
    folders = [context.show.path(commonpath(below) or ".") for below in by_top.values()]
    said = [f"{plural(len(files), 'DICOM file')} in {listed(folders)}"] if len(files) else []
    shown = [context.show.path(path) for path in tables]
    said += [f"{plural(len(shown), 'table or list', 'tables and lists')}: {listed(shown)}"] if shown else []
    message = f"What is not of this collection lies in the folder, and was left alone: {'; '.join(said)}."
    count = len(files) + len(tables)
    what = "files of another collection"
    return [Found(RELEASE, message, "", what, None, count, (*folders, *shown), INFO)]


@rule(
    "REL012",
    "file-meta-disagrees",
    ERROR,
    title="File meta information disagrees with the data set",
    why="Archives index by the one and readers by the other, so the same file gets two identities.",
    fix="Write the file again with Media Storage SOP Instance and Class UID taken from the data set.",
    source="DICOM PS3.10 7.1 (Media Storage SOP Class and Instance UID)",
    tables=("files",),
    spoils=Spoils(care=("segmentation", "sharing")),
)
def file_meta_disagrees(context: Context) -> Checked:
    """Every DICOM file that has both."""
    files = context["files"]
    pairs = {
        "MediaStorageSOPInstanceUID": ("meta_sop_instance_uid", "sop_instance_uid"),
        "MediaStorageSOPClassUID": ("meta_sop_class_uid", "sop_class_uid"),
    }
    examined = int((files["meta_sop_instance_uid"].notna() & files["sop_instance_uid"].notna()).sum())
    wrong = {
        keyword: files[meta].notna() & files[data].notna() & (files[meta] != files[data])
        for keyword, (meta, data) in pairs.items()
    }
    either = wrong["MediaStorageSOPInstanceUID"] | wrong["MediaStorageSOPClassUID"]
    findings = []
    unlike = kept(files, either)
    causes = wrong["MediaStorageSOPInstanceUID"][either]
    for patient, subject, rows in by_cause(context, unlike, causes, examined):
        names = file_names(context, rows["path"])
        keywords = [keyword for keyword in pairs if wrong[keyword].loc[rows.index].any()]
        meta, data = pairs[keywords[0]]
        row = rows[wrong[keywords[0]].loc[rows.index]].iloc[0]
        findings.append(
            Found(
                subject,
                f"{' and '.join(keywords)} of {counted(names)} is not the data set's.",
                context.show.uid(row[data]),
                context.show.uid(row[meta]),
                patient,
                len(rows),
                tuple(names),
            )
        )
    return Checked(examined, findings)


@rule(
    "REL016",
    "uid-invalid",
    ERROR,
    title="An invalid UID in a DICOM header",
    why="Archives and viewers refuse such an object, or cut the UID so that references no longer meet.",
    fix="Write the object again with valid UIDs, everywhere that they are referred to.",
    source="DICOM PS3.5 9.1 (UID encoding) and 6.2 (VR UI)",
    tables=("files",),
    spoils=Spoils(care=("sharing",)),
)
def uid_invalid(context: Context) -> Checked:
    """Every DICOM file."""
    files = context["files"]
    dicom = files["kind"].isin(["ct", "dso", "other-dicom"])
    findings = []
    invalid = kept(files, dicom & files["invalid_uids"].notna())
    for patient, subject, rows in by_cause(context, invalid, invalid["invalid_uids"], int(dicom.sum())):
        keywords = Counter(keyword for value in rows["invalid_uids"] for keyword in set(json.loads(value)))
        if not keywords:
            continue
        names = file_names(context, rows["path"])
        message = f"{listed(sorted(keywords))} of {counted(names)} {are(len(keywords))} no valid UID."
        findings.append(
            Found(
                subject,
                message,
                UID_RULES,
                listed([f"{keyword} in {plural(count, 'file')}" for keyword, count in sorted(keywords.items())]),
                patient,
                len(rows),
                tuple(names),
            )
        )
    return Checked(int(dicom.sum()), findings)
