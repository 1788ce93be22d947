"""Checksums that the downloader left."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Found, Subject
from crlm_qc.model.severity import ERROR
from crlm_qc.model.words import are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.checksums import wrong_files
from crlm_qc.subjects.disk import Disk, disk
from crlm_qc.subjects.ledger import State, told
from crlm_qc.subjects.words import by_folder, file_names, folder_of, whole


@rule(
    "REL022",
    "downloader-checksum",
    ERROR,
    title="A file is not the one that was downloaded",
    why="The downloader's md5hashes.csv lists another MD5 than the file has, or a file that is not there: it was changed, damaged or lost after the download, which nothing else may show.",
    fix="Fetch the series again; where files were changed on purpose, take the old md5hashes.csv away.",
    source="md5hashes.csv as the NBIA Data Retriever leaves it in each series' folder, where it is asked to verify",
    tables=("checksums", "files", "metadata"),
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
    differ = [*by_folder(context, wrong)]
    if len(differ) > MAX_EXAMPLES:
        names = tuple(Counter(patient or "" for patient, *_ in differ))
        message = f"{plural(len(wrong), 'file')} of {len(names)} patients {are(len(wrong))} not as downloaded: {listed(names)}."
        findings = [Found(RELEASE, message, "the MD5 that md5hashes.csv lists", "another", None, len(wrong), names)]
    else:
        findings = [
            _found(context, patient, subject, group["path"], f"{are(len(group))} not as downloaded", "another MD5")
            for patient, subject, group in differ
        ]
    findings += [
        _found(context, patient, subject, group["path"], f"{are(len(group))} listed, and not there", "none")
        for patient, subject, group in by_folder(context, absent)
    ]
    return Checked(len(checked), findings)


def _found(context: Context, patient: str | None, subject: Subject, paths: Any, said: str, observed: str) -> Found:
    names = file_names(context, paths)
    what = names[0] if len(names) == 1 else f"{len(names)} files"
    rest = "" if len(names) == 1 else f": {listed(names)}"
    expected = "as md5hashes.csv lists"
    return Found(subject, f"{what} {said}{rest}.", expected, observed, patient, len(names), tuple(names))


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
