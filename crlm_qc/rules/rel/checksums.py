"""Checksums that the downloader left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.checksums import wrong_files
from crlm_qc.subjects.disk import Disk, disk
from crlm_qc.subjects.ledger import State, told
from crlm_qc.subjects.words import by_folder, file_names, folder_of, whole

_EXPECTED = "as md5hashes.csv lists"


@rule(
    "REL022",
    "downloader-checksum",
    ERROR,
    title="A file is not the one that was downloaded",
    why="The downloader's md5hashes.csv lists another MD5 than the file has, or a file that is not there: it was changed, damaged or lost after the download, which nothing else may show.",
    fix="Fetch the series again; where files were changed on purpose, take the old md5hashes.csv away.",
    source="md5hashes.csv as the NBIA Data Retriever leaves it in each series' folder, where it is asked to verify",
    tables=("checksums", "files", "metadata"),
    spoils=Spoils(out=("completeness",), care=("segmentation", "volumetry", "lesion-counts", "image-values")),
)
def downloader_checksum(context: Context) -> Checked:
    """Every file that is listed. MD5 is worked out where every byte is read: at --depth pixels, or with a lock file. Of files that are missing from a published series LED002 tells, from one whose row has the number MET017, of files that are cut REL005."""
    table, files = context["checksums"], context["files"]
    folders = set(files.loc[files["kind"].isin(["ct", "dso", "unreadable"]), "folder"].dropna())
    rows = table[table["path"].map(folder_of).isin(folders)] if len(table) else table
    if rows.empty:
        raise Skip("no md5hashes.csv of the downloader lies with the images")
    wrong = rows[rows["path"].isin(list(wrong_files(context)))]
    absent = rows[rows["state"] == "absent"]
    if len(absent):
        absent = absent[~absent["path"].map(folder_of).isin(_told_of(context))]
    checked = rows[rows["state"] != "not-read"]
    if wrong.empty and absent.empty and (rows["state"] == "not-read").any() and not (rows["state"] == "right").any():
        raise Skip("needs --depth pixels: the MD5 of files is worked out where their bytes are read")
    findings = [
        *_told(context, wrong, "not as downloaded", "another MD5"),
        *_told(context, absent, "listed, and not there", "none"),
    ]
    return Checked(len(checked), findings)


def _told(context: Context, rows: Any, said: str, observed: str) -> Iterator[Found]:
    """A finding a folder; one for all where there are many."""
    folders = [*by_folder(context, rows)]
    if len(folders) > MAX_EXAMPLES:
        names = tuple(dict.fromkeys(patient or "" for patient, *_ in folders))
        message = (
            f"{plural(len(rows), 'file')} of {plural(len(names), 'patient')} {are(len(rows))} {said}: {listed(names)}."
        )
        yield Found(RELEASE, message, _EXPECTED, observed, None, len(rows), names)
        return
    for patient, subject, group in folders:
        files = file_names(context, group["path"])
        what, rest = (files[0], "") if len(files) == 1 else (f"{len(files)} files", f": {listed(files)}")
        message = f"{what} {are(len(files))} {said}{rest}."
        yield Found(subject, message, _EXPECTED, observed, patient, len(files), tuple(files))


def _told_of(context: Context) -> frozenset[str]:
    """Folders of series of which another rule tells that files are missing."""
    try:
        found: Disk = disk(context)
    except Skip:
        return frozenset()
    short = set(told(context, State.FILES_MISSING))
    if context.judges("MET017"):
        rows = context["metadata"]
        short |= {
            uid
            for uid, images in zip(rows["series_uid"], rows["images"], strict=True)
            if uid in found.series and found.series[uid].n_files < (whole(images) or 0)
        }
    return frozenset(folder for uid in short for folder in found.series[uid].folders)
