"""What a file is that lies in place of another: a closed list, told by names and first bytes, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Content:
    """A kind of content, in words."""

    one: str
    """What a file of it is."""
    several: str
    """What files of it are."""
    do: str = ""
    """What to do where it stands in place of what was meant; empty where there is nothing better than the rule's fix."""


_AGAIN = "download again, logged in where that is needed"
_EXPORT = "put the DICOM file in its place"
_UNPACK = "unpack"
_SAVE = "save it in the format that its name tells"

CONTENTS: Final[Mapping[str, Content]] = {
    "web-page": Content("a web page (HTML)", "web pages (HTML)", _AGAIN),
    "xml": Content("an XML text, as servers answer with errors", "XML texts, as servers answer with errors", _AGAIN),
    "json": Content("a JSON text, as servers answer with errors", "JSON texts, as servers answer with errors", _AGAIN),
    "lfs-pointer": Content("a git LFS pointer", "git LFS pointers", "fetch the content with git lfs pull"),
    "annex-pointer": Content(
        "a git-annex pointer", "git-annex pointers", "fetch the content with datalad get or git annex get"
    ),
    "dvc-pointer": Content("a DVC pointer", "DVC pointers", "fetch the content with dvc pull"),
    "zeros": Content("zero bytes from its beginning", "zero bytes from their beginning", "download again"),
    "gzip": Content("compressed with gzip", "compressed with gzip", _UNPACK),
    "bzip2": Content("compressed with bzip2", "compressed with bzip2", _UNPACK),
    "xz": Content("compressed with xz", "compressed with xz", _UNPACK),
    "zstd": Content("compressed with zstd", "compressed with zstd", _UNPACK),
    "zip": Content("a zip archive", "zip archives", _UNPACK),
    "7z": Content("a 7z archive", "7z archives", _UNPACK),
    "rar": Content("a RAR archive", "RAR archives", _UNPACK),
    "tar": Content("a tar archive", "tar archives", _UNPACK),
    "nifti": Content("a NIfTI image", "NIfTI images", _EXPORT),
    "nrrd": Content("an NRRD image", "NRRD images", _EXPORT),
    "metaimage": Content("a MetaImage", "MetaImages", _EXPORT),
    "png": Content("a PNG picture", "PNG pictures", _EXPORT),
    "jpeg": Content("a JPEG picture", "JPEG pictures", _EXPORT),
    "tiff": Content("a TIFF picture", "TIFF pictures", _EXPORT),
    "gif": Content("a GIF picture", "GIF pictures", _EXPORT),
    "numpy": Content("a NumPy array", "NumPy arrays", _EXPORT),
    "hdf5": Content("an HDF5 file", "HDF5 files", _EXPORT),
    "pdf": Content("a PDF document", "PDF documents"),
    "ods": Content("an OpenDocument spreadsheet", "OpenDocument spreadsheets", _SAVE),
    "office": Content("an Office document, as workbooks are", "Office documents, as workbooks are", _SAVE),
    "ole": Content("a file of an old Office format", "files of an old Office format", _SAVE),
    "text": Content("plain text", "plain text"),
    # What the name alone tells.
    "xlsx": Content("an Excel workbook", "Excel workbooks"),
    "xlsb": Content("a binary Excel workbook (.xlsb)", "binary Excel workbooks (.xlsb)"),
    "numbers": Content("a spreadsheet of Numbers", "spreadsheets of Numbers"),
    "tsv": Content("a table parted by tabs", "tables parted by tabs"),
    "word": Content("a text document", "text documents"),
    "s5cmd": Content("a list of the Imaging Data Commons", "lists of the Imaging Data Commons"),
    "unfinished": Content("an unfinished download", "unfinished downloads", "download again"),
    # Where a link leads.
    "annex-link": Content(
        "a link to content of git-annex", "links to content of git-annex", "fetch it with datalad get or git annex get"
    ),
    "cache-link": Content(
        "a link into a download cache",
        "links into a download cache",
        "copy the release with its links followed (cp -rL), or download it into a folder of its own",
    ),
}
"""By code, as `files.content` has it."""

ARCHIVES: Final = frozenset({"gzip", "bzip2", "xz", "zstd", "zip", "7z", "rar", "tar"})
"""What must be unpacked before anything can be read."""
POINTERS: Final = frozenset({"lfs-pointer", "annex-pointer", "dvc-pointer"})
"""What stands for content that lies elsewhere."""
NO_TABLE: Final = POINTERS | {"web-page", "xml", "json", "zeros", "pdf"}
"""What stands in place of a table or list, and holds none, whatever the name is."""


def told(code: str) -> str:
    """What a file is, and what to do: `a git LFS pointer: fetch the content with git lfs pull`."""
    content = CONTENTS[code]
    return f"{content.one}: {content.do}" if content.do else content.one
