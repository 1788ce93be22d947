"""Faults of a download that did not end, was not unpacked, or came to something else (REL, and the tables' own)."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WEB_PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body></body></html>\n"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 525000\n"
_ODS = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"


def _move(site: Site, path: Path, name: str, content: bytes | None = None) -> None:
    """Give a file another name, and perhaps another content."""
    site.write(path.with_name(name), path.read_bytes() if content is None else content)
    site.remove(path)


def _packed(files: Iterable[Path], top: Path) -> bytes:
    """A zip archive of files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in files:
            # A fixed time, so that the same release has the same bytes.
            archive.writestr(zipfile.ZipInfo(file.relative_to(top).as_posix()), file.read_bytes())
    return content.getvalue()


@fault(
    "download-unfinished",
    triggers=("REL024",),
    doc="A CT file beyond the segments ends in its middle, and has the name that a browser gives while it downloads.",
)
def _(site: Site) -> None:
    path = site.edge().slice.path
    content = path.read_bytes()
    site.sizes_follow = False
    _move(site, path, f"{path.name}.part", content[: len(content) // 2])


@fault(
    "metadata-unfinished",
    triggers=("REL024",),
    doc="metadata.csv has the name that a browser gives while it downloads.",
    scope="release",
)
def _(site: Site) -> None:
    _move(site, site.release.metadata, "metadata.csv.crdownload")


@fault(
    "archive-not-unpacked",
    triggers=("REL025",),
    doc="The patient's folder holds a zip archive in place of the studies in it.",
)
def _(site: Site) -> None:
    folder = site.ct_folder.parents[1]
    content = _packed([*site.ct_files, site.dso_file], folder)
    site.remove(folder)
    site.sizes_follow = False
    site.write(folder / "images.zip", content)


@fault(
    "files-are-pointers",
    triggers=("REL004",),
    doc="All files of the patient are pointers of git LFS.",
)
def _(site: Site) -> None:
    for number, path in enumerate([*site.ct_files, site.dso_file]):
        site.write(path, _LFS_POINTER % number)
    site.sizes_follow = False


@fault(
    "links-not-fetched",
    triggers=("REL013",),
    doc="All files of the patient are links to content that git-annex did not fetch.",
)
def _(site: Site) -> None:
    for path in [*site.ct_files, site.dso_file]:
        site.remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(f"../../../.git/annex/objects/Xx/Yy/{path.name}")
        site.touch(path)
    site.sizes_follow = False


@fault(
    "metadata-as-workbook",
    triggers=("REL001",),
    doc="metadata.csv was saved as metadata.xlsx.",
    scope="release",
)
def _(site: Site) -> None:
    _move(site, site.release.metadata, "metadata.xlsx", site.release.workbook.read_bytes()[:64])


@fault(
    "workbook-as-ods",
    triggers=("REL002",),
    doc="The clinical workbook was saved as OpenDocument spreadsheet.",
    scope="release",
)
def _(site: Site) -> None:
    book = site.release.workbook
    _move(site, book, f"{book.stem}.ods", b"PK\x03\x04" + bytes(26) + _ODS)


@fault(
    "workbook-strict",
    triggers=("CLN001",),
    doc="The clinical workbook was saved as Strict Open XML.",
    scope="release",
)
def _(site: Site) -> None:
    changed = io.BytesIO()
    namespace = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(site.release.workbook) as book, zipfile.ZipFile(changed, "w") as strict:
        for part in book.infolist():
            content = book.read(part).replace(namespace, b"http://purl.oclc.org/ooxml/spreadsheetml/main")
            strict.writestr(part, content)
    site.write(site.release.workbook, changed.getvalue())


@fault(
    "manifest-of-another-kind",
    triggers=("REL003",),
    doc="In place of the .tcia manifest lies the list that the Imaging Data Commons gives.",
    scope="release",
)
def _(site: Site) -> None:
    _move(site, site.release.manifest, "manifest.s5cmd", b"cp s3://idc-open-data/* .\n")


@fault(
    "manifest-web-page",
    triggers=("MAN001",),
    doc="The manifest holds the page that asks for a log-in.",
    scope="release",
)
def _(site: Site) -> None:
    site.write(site.release.manifest, _WEB_PAGE)
