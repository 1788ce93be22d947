"""What stands before the data set of a DICOM file: preamble and file meta information."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.tables import ENCAPSULATED
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.rel._shared import counted, of_another_collection
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import by_folder, file_names, text

_MISSING = {
    "no-file-meta": "a DICOM data set without preamble and file meta",
    "no-preamble": "file meta without the preamble before it",
    "no-transfer-syntax": "file meta without TransferSyntaxUID",
}
_ROOT = "1.2.840.10008.1.2"
_SYNTAXES = {
    _ROOT: "Implicit VR Little Endian",
    f"{_ROOT}.1": "Explicit VR Little Endian",
    f"{_ROOT}.1.99": "Deflated Explicit VR Little Endian",
    f"{_ROOT}.2": "Explicit VR Big Endian",
    f"{_ROOT}.4.50": "JPEG Baseline",
    f"{_ROOT}.4.51": "JPEG Extended",
    f"{_ROOT}.4.57": "JPEG Lossless",
    f"{_ROOT}.4.70": "JPEG Lossless (Selection Value 1)",
    f"{_ROOT}.4.80": "JPEG-LS Lossless",
    f"{_ROOT}.4.81": "JPEG-LS Near-Lossless",
    f"{_ROOT}.4.90": "JPEG 2000 Lossless",
    f"{_ROOT}.4.91": "JPEG 2000",
    f"{_ROOT}.5": "RLE Lossless",
}
"""Transfer syntaxes that images come in (PS3.6 Table A-1)."""
_FRAGMENTS = "encapsulated as compressed pixels are, by what is not known"
_IDENTIFIERS = {
    "meta_sop_class_uid": "MediaStorageSOPClassUID",
    "meta_sop_instance_uid": "MediaStorageSOPInstanceUID",
}
"""Columns of `files` and the attributes of the file meta that must have a value."""


@rule(
    "REL017",
    "file-meta-untrue",
    ERROR,
    title="File meta information that is untrue of what follows it",
    why="Readers take the data set for what TransferSyntaxUID says, and refuse the file or read its pixels some bytes off. This audit reads it as it is written, so other rules judge the true pixels; where Pixel Data is in fragments and nothing tells by what they were compressed, they are not judged. A wrong group length alone is a warning.",
    fix="Write the file again with the TransferSyntaxUID and FileMetaInformationGroupLength of what it holds; changing the UID alone encodes nothing anew.",
    source="DICOM PS3.10 7.1 (Transfer Syntax UID, File Meta Information Group Length), PS3.5 10 (transfer syntax)",
    tables=("files",),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values"), care=("sharing",)),
)
def file_meta_untrue(context: Context) -> Checked:
    """TransferSyntaxUID and FileMetaInformationGroupLength of every DICOM file, against the bytes after them."""
    files = _read(context)
    findings = []
    for patient, subject, rows in by_folder(
        context, files[files["encoding_found"].notna() | files["meta_length_off"].notna()]
    ):
        lies, off = rows[rows["encoding_found"].notna()], rows[rows["meta_length_off"].notna()]
        said: list[tuple[str, str, str]] = []
        if len(lies):
            said.append(_encodings(context, lies))
        if len(off):
            said.append(_lengths(context, off))
        message, expected, observed = zip(*said, strict=True)
        severity = ERROR if len(lies) else WARNING
        names = tuple(file_names(context, rows["path"]))
        found = Found(
            subject, " ".join(message), "; ".join(expected), "; ".join(observed), patient, len(rows), names, severity
        )
        findings.append(found)
    return Checked(len(files), findings)


def _read(context: Context) -> Any:
    """DICOM files that were read, but for those of another collection, which are left alone; no rule changes them."""
    files = context["files"]
    return kept(files, files["kind"].isin(["ct", "dso", "other-dicom"]) & ~of_another_collection(files))


def _encodings(context: Context, rows: Any) -> tuple[str, str, str]:
    """What a TransferSyntaxUID says, and what the data set is."""
    pairs = Counter(
        (_syntax(context, row["transfer_syntax_uid"]), _syntax(context, row["encoding_found"]))
        for row in rows.to_dict("records")
    )
    (declared, found), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
    message = f"The file meta of {_files(context, rows)} says {declared}, but the data set is {found}."
    if len(pairs) > 1:
        message += f" {plural(len(pairs), 'pair')} of syntaxes disagree so."
    wanted = (
        "the TransferSyntaxUID that they were compressed with"
        if pairs.keys() == {(declared, _FRAGMENTS)}
        else f"TransferSyntaxUID of {found}"
    )
    return message, wanted, declared


def _lengths(context: Context, rows: Any) -> tuple[str, str, str]:
    """By how much the group length is wrong."""
    most = max(rows["meta_length_off"], key=abs)
    wrong = f"{plural(abs(int(most)), 'byte')} too {agree(int(most > 0), 'long', 'short')}"
    upto = "up to " if rows["meta_length_off"].nunique() > 1 else ""
    message = f"FileMetaInformationGroupLength of {_files(context, rows)} is {upto}{wrong}."
    return message, "the length of the file meta", f"{upto}{wrong}"


def _files(context: Context, rows: Any) -> str:
    return counted(file_names(context, rows["path"]))


def _syntax(context: Context, uid: Any) -> str:
    """A transfer syntax by its name, if it is one of those that images come in."""
    shown = context.show.uid(str(uid))
    if uid == ENCAPSULATED:
        return _FRAGMENTS
    known = str(uid).startswith(f"{_ROOT}.")
    return _SYNTAXES.get(str(uid)) or (shown if known else f"an unknown transfer syntax ({shown})")


@rule(
    "REL018",
    "file-meta-missing",
    ERROR,
    title="A DICOM data set without preamble or file meta information",
    why="It is no DICOM file: most readers refuse it, and those that don't must guess how it is encoded. This audit reads it by its first element. Where nothing is missing but the class or UID of the object in the file meta, by which archives index it, it is a warning.",
    fix="Write the data set as a DICOM file, with preamble, prefix and file meta information before it.",
    source="DICOM PS3.10 7.1 (DICOM File Meta Information)",
    tables=("files",),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values"), care=("sharing",)),
)
def file_meta_missing(context: Context) -> Checked:
    """Every DICOM file that was read."""
    files = _read(context)
    lacking = files["problem"].isin(list(_MISSING))
    unnamed = files["problem"].isna() & files[list(_IDENTIFIERS)].isna().any(axis=1)
    findings = []
    for patient, subject, rows in by_folder(context, kept(files, lacking | unnamed)):
        names = file_names(context, rows["path"])
        kinds = Counter(_lack(row) for row in rows.to_dict("records"))
        observed = "; ".join(_each(kind, count, len(kinds)) for kind, count in sorted(kinds.items()))
        message = f"{_holders(names)} {observed}."
        severity = ERROR if rows["problem"].notna().any() else WARNING
        findings.append(
            Found(subject, message, "a DICOM file (PS3.10)", observed, text(patient), len(rows), tuple(names), severity)
        )
    return Checked(len(files), findings)


def _lack(row: dict[str, Any]) -> str:
    """What a file lacks that stands before the data set."""
    if known := _MISSING.get(row["problem"]):
        return known
    return (
        f"file meta without {' and '.join(name for column, name in _IDENTIFIERS.items() if text(row[column]) is None)}"
    )


def _each(kind: str, count: int, kinds: int) -> str:
    return kind if kinds == 1 else f"{kind} ({count:,})"


def _holders(names: Sequence[str]) -> str:
    """The files that hold something, each of them."""
    return f"{names[0]} holds" if len(names) == 1 else f"{plural(len(names), 'file')} ({listed(names)}) each hold"
