"""The parts of a release: metadata.csv, workbook, manifest."""

from __future__ import annotations

from typing import Any

from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, rule
from crlm_qc.rules.rel._shared import DOWNLOADER
from crlm_qc.subjects.needs import need_workbook


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
