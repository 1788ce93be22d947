"""The parts of a release: images, metadata.csv, workbook, manifest."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from crlm_qc.model.contents import ARCHIVES, CONTENTS
from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.rel._shared import DOWNLOADER, images_of, of_others
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.needs import need_workbook
from crlm_qc.subjects.words import folder_of


@once
def _used(context: Context, source: str) -> tuple[Any, Any]:
    """Rows of `sources` of one kind, and those of them that the audit reads; no rule changes them."""
    sources = context["sources"]
    rows = kept(sources, sources["source"] == source)
    return rows, kept(rows, rows["used"].fillna(False).astype(bool))


_OTHER_WAYS = {
    "idc": "the downloader of the Imaging Data Commons writes none",
    "series": "a downloader whose folders name no patients writes none",
    "flat": "a downloader that puts all files into one folder writes none",
}
"""Why a release of another layout comes without the tables of The Cancer Imaging Archive."""
_FROM = "it can be had from the collection's page at The Cancer Imaging Archive"


_IN_PLACE = {"other-form", "unfinished"}
"""What is wrong with a file that lies in place of a table or list, as `sources.problem` has it."""


def _source(context: Context, source: str, missing: str, several: str) -> Checked:
    rows, used = _used(context, source)
    in_place = rows["problem"].isin(_IN_PLACE)
    near = kept(rows, in_place)
    # What is another collection's is REL007's, and parts of one release that are read as one are REL021's.
    rows = kept(rows, ~in_place & (rows["relation"].fillna("") != "other-collection"))
    surplus = kept(rows, rows["relation"].fillna("") != "part")
    if rows.empty:
        if (near["problem"] == "unfinished").any():
            raise Skip("an unfinished download lies in its place, as REL024 tells")
        if context["series"].empty and _archives(context):
            raise Skip("archives were not unpacked, as REL020 tells")
        way = _OTHER_WAYS.get(context.evidence.facts.layout)
        if way is None and not near.empty:
            return Checked(1, [_in_place(context, missing, near)])
        if way is None:
            return Checked(1, [Found(RELEASE, missing, expected="one", observed="none")])
        message = f"{missing.removesuffix('.')}: {way}, and {_FROM}."
        return Checked(1, [Found(RELEASE, message, expected="one", observed="none", severity=INFO)])
    if several and len(rows) > 1 and len(surplus):
        paths = [context.show.path(path) for path in rows["path"]]
        read = ", ".join(context.show.path(path) for path in used["path"]) or "none"
        message = f"{several}: {listed(paths)}. The audit reads {read}.{_besides(context, surplus)}"
        alike = surplus.loc[~surplus["used"].fillna(value=False).astype(bool), "relation"]
        mild = WARNING if alike.isin(["copy", "repeat"]).all() else None
        found = Found(RELEASE, message, "one", str(len(rows)), None, len(rows), tuple(paths), mild)
        return Checked(len(rows), [found])
    return Checked(len(rows))


def _in_place(context: Context, missing: str, near: Any) -> Found:
    """A table that is missing, and what lies in its place."""
    paths = [context.show.path(path) for path in near["path"]]
    said = [f"{path} lies there, {detail}" for path, detail in zip(paths, near["detail"], strict=True)]
    message = f"{missing.removesuffix('.')}, but {listed(said, joint='; ')}."
    return Found(RELEASE, message, "one", "in another form", examples=tuple(paths))


def _archives(context: Context) -> int:
    """Archives that were not unpacked."""
    return int(context["files"]["content"].isin(list(ARCHIVES)).sum())


def _besides(context: Context, surplus: Any) -> str:
    """What is known of those that are not read."""
    said = []
    for relation, words in (("copy", "byte for byte a copy"), ("repeat", "nothing in it that the other lacks")):
        paths = [context.show.path(path) for path in surplus.loc[surplus["relation"] == relation, "path"]]
        if paths:
            verb = agree(len(paths), "is", "are each") if relation == "copy" else agree(len(paths), "has", "have each")
            said.append(f" {listed(paths)} {verb} {words}.")
    for row in surplus[surplus["n_differing"].fillna(0) > 0].itertuples():
        columns = listed(json.loads(row.differing))
        where = plural(int(row.n_differing), "row")
        said.append(f" {context.show.path(row.path)} says something else in {where} ({columns}).")
    return "".join(said)


def _with_originals(context: Context) -> set[str]:
    """Folders below which an image lies that is no copy of another (REL006)."""
    images = images_of(context)
    waiting = set(images.loc[images["copy_of"].isna(), "folder"].dropna())
    found: set[str] = set()
    while waiting:
        found |= waiting
        waiting = {folder_of(folder) for folder in waiting} - found
    return found


@rule(
    "REL021",
    "release-in-several-places",
    INFO,
    title="The release lies in several places, which are read as one",
    why="Who downloads a collection in parts has folders, tables and manifests a part. Tools that take one of them for the whole miss the rest; the audit joins them by Series UID.",
    fix="Nothing has to be done. For tools that expect one place, move the patients into one folder, and their rows into one metadata.csv.",
    source=DOWNLOADER,
    tables=("patients", "sources", "files"),
    spoils=NOTHING,
)
def several_places(context: Context) -> Checked:
    """The folders that hold folders named after patients, and the tables that are read together."""
    patients = context["patients"]
    named = patients[patients["valid"].fillna(value=False).astype(bool)]
    named = named[named["folder"].isin(_with_originals(context))]
    above = named["folder"].map(folder_of)
    counts = named.groupby(above, sort=False)["patient"].nunique()
    _, used = _used(context, "metadata")
    if len(counts) < 2 and len(used) < 2:
        return Checked(max(1, len(counts)))
    places = [f"{context.show.path(folder or '.')} ({plural(count, 'patient')})" for folder, count in counts.items()]
    shared = int((named.groupby("patient")["folder"].nunique() > 1).sum())
    said = [f"The patients lie in {len(places)} places: {listed(places)}"] if len(places) > 1 else []
    if shared:
        said.append(f"{plural(shared, 'patient')} {agree(shared, 'lies', 'lie')} in several of them")
    if len(used) > 1:
        tables = [context.show.path(path) for path in used["path"]]
        said.append(f"{len(used)} metadata.csv are read as one: {listed(tables)}")
    message = f"{'. '.join(said)}."
    count = max(len(places), len(used))
    return Checked(count, [Found(RELEASE, message, "one place", str(count), None, count, tuple(places))])


@rule(
    "REL020",
    "no-image-audited",
    ERROR,
    title="No image was audited",
    why="A gate that looked at tables alone ends green on a download that came to nothing, or that lies where nobody looked.",
    fix="Give the folder that holds the patients' folders, or one whose DICOM files carry the collection's patient IDs.",
    source="published description: one CT series and one segmentation object a patient",
    tables=("files", "series", "sources"),
    spoils=Spoils(
        out=("segmentation", "volumetry", "lesion-counts", "image-values", "clinical-pairing", "completeness"),
        everyone=True,
    ),
)
def no_image_audited(context: Context) -> Checked:
    """The release, where anything was found in it."""
    files = context["files"]
    if files.empty:
        raise Skip("tables alone were asked for")
    if not context["series"].empty:
        return Checked(1)
    unread = files[files["kind"] == "unreadable"]
    archives = _archives(context) - int(unread["content"].isin(list(ARCHIVES)).sum())
    outside = int((files["kind"] == "other-dicom").sum())
    links = int((files["kind"] == "link").sum())
    others = len(of_others(context))
    there = [
        f"{plural(outside, 'DICOM file')} {agree(outside, 'lies', 'lie')} in no patient's folder and "
        f"{agree(outside, 'carries', 'carry')} no patient ID of {context.profile.name}"
        if outside
        else "",
        f"{plural(archives, 'archive')}, {agree(archives, 'not', 'none')} unpacked: unpack {agree(archives, 'it', 'them')}"
        if archives
        else "",
        f"{plural(len(unread), 'file')} can't be read{_what_they_are(unread)}" if len(unread) else "",
        f"{plural(links, 'link')} {agree(links, 'was', 'were')} not followed" if links else "",
        f"{plural(others, 'object')} {agree(others, 'is', 'are')} of others (--all-objects audits them)"
        if others
        else "",
    ]
    said = "; ".join(one for one in there if one) or f"none of {plural(len(files), 'file')} is a DICOM image"
    message = f"No image was audited: {said}."
    return Checked(
        1,
        [
            Found(
                RELEASE,
                message,
                "images of patients",
                "none",
                None,
                outside + archives + len(unread) + links + others or 1,
            )
        ],
    )


def _what_they_are(unread: Any) -> str:
    """What files are that can't be read, the commonest first."""
    counts = Counter(unread["content"].dropna()).most_common()
    some = len(counts) > 1 or sum(count for _, count in counts) < len(unread)
    words = [
        f"{f'{count:,} of them ' if some else ''}{agree(count, CONTENTS[code].one, CONTENTS[code].several)}"
        for code, count in counts
    ]
    way = f": {CONTENTS[counts[0][0]].do}" if len(counts) == 1 and CONTENTS[counts[0][0]].do else ""
    return f" ({listed(words)}{way})" if words else ""


@rule(
    "REL001",
    "metadata-not-found",
    ERROR,
    title="metadata.csv is missing, or there are several",
    why="metadata.csv says which series belong to the release and where they lie; without it nothing can be compared.",
    fix="Put the downloader's metadata.csv beside the collection's folder, take surplus ones out, or name one with --metadata.",
    source=DOWNLOADER,
    tables=("sources", "files", "series"),
    spoils=Spoils(care=("completeness",), everyone=True),
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
    tables=("sources", "files", "series"),
    spoils=Spoils(out=("clinical-pairing", "completeness"), everyone=True),
)
def workbook_not_found(context: Context) -> Checked:
    """One workbook with a patient sheet, where the collection has one."""
    need_workbook(context)
    checked = _source(
        context,
        "clinical",
        "No clinical workbook was found in the release or beside it.",
        "The release holds several clinical workbooks, of which the newest edition counts",
    )
    several = len(_used(context, "clinical")[0]) > 1
    if several and _is_published(context):
        return replace(checked, findings=[replace(one, severity=WARNING) for one in checked.findings])
    return checked


def _is_published(context: Context) -> bool:
    """Whether the workbook that is read has just the columns of a published edition."""
    _, used = _used(context, "clinical")
    headings = {heading for listed in used["columns"].dropna() for heading in json.loads(listed)}
    return any(headings == set(edition.columns) for edition in context.profile.editions)


@rule(
    "REL003",
    "manifest-not-found",
    WARNING,
    title="The .tcia manifest is missing",
    why="The manifest is what people download the images with; without it the list of series can't be compared.",
    fix="Put the .tcia file into the release, or name it with --manifest.",
    source="published description, Data Access table",
    tables=("sources", "files", "series"),
    spoils=Spoils(care=("completeness",)),
)
def manifest_not_found(context: Context) -> Checked:
    """A manifest."""
    return _source(context, "manifest", "No .tcia manifest was found in the release or beside it.", "")
