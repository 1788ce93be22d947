"""Downloads that did not end, were not unpacked, or whose content was not fetched."""

from __future__ import annotations

from typing import Any

from crlm_qc.model.contents import ARCHIVES, CONTENTS
from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import agree, are, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.rel._shared import DOWNLOADER, by_cause
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import file_names, file_subject, text

_LINKS = {
    "link-outside": ("leads outside the release", "lead outside the release"),
    "link-broken": ("leads to nothing", "lead to nothing"),
    "link-folder": ("leads to another folder", "lead to other folders"),
}
_FEW_LINKS = 3
"""So many links are told one by one."""


@rule(
    "REL013",
    "link-outside",
    ERROR,
    title="A link that leads out of the release, or to nothing",
    why="A link ships as nothing, or as whatever lies at its end on another machine. It was not followed.",
    fix="Put the file or folder itself in the link's place (cp -rL copies with links followed), or remove the link.",
    source=DOWNLOADER,
    tables=("files",),
    spoils=Spoils(out=("segmentation", "sharing", "completeness"), care=("volumetry", "lesion-counts", "image-values")),
)
def link_outside(context: Context) -> Checked:
    """Every file and link."""
    files = context["files"]
    links = kept(files, files["problem"].isin(list(_LINKS)))
    if len(links) > _FEW_LINKS:
        causes = links["content"].fillna(links["problem"])
        return Checked(len(files), [_links(context, *group) for group in by_cause(context, links, causes, len(files))])
    findings = []
    for _, row in links.iterrows():
        what, _ = _LINKS[row["problem"]]
        way = CONTENTS[row["content"]].do if text(row["content"]) else "put what it leads to in its place"
        message = f"{file_names(context, [row['path']])[0]} is a link that {what}; it was not followed: {way}."
        subject = file_subject(context, row["path"])
        findings.append(Found(subject, message, "a file", f"a link that {what}", text(row["patient"])))
    return Checked(len(files), findings)


def _links(context: Context, patient: str | None, subject: Any, rows: Any) -> Found:
    """Links of a folder, or of the release, that are alike."""
    names, one = file_names(context, rows["path"]), len(rows) == 1
    contents = set(rows["content"].fillna(""))
    content = CONTENTS.get(contents.pop()) if len(contents) == 1 else None
    what = " or ".join(_LINKS[problem][not one] for problem in sorted(set(rows["problem"])))
    if content is None:
        said, way = f"{plural(len(rows), 'link')} {what}", "put what they lead to in their place (cp -rL)"
    else:
        said = f"{plural(len(rows), 'file')} {are(len(rows))} {content.one if one else content.several}, and {what}"
        way = content.do
    message = f"{said}: {listed(names)}; not followed: {way}."
    return Found(subject, message, "files", said, patient, len(rows), tuple(names))


@rule(
    "REL024",
    "unfinished-download",
    ERROR,
    title="An unfinished download",
    why="Browsers and downloaders give a file its name when all of it is there; under such a name a part of it is missing. Other rules count it as there: they raise no missing slice or table for it.",
    fix="Download the file again; where it is there under its own name, remove what is left over.",
    source="names that browsers, the AWS tools, s5cmd, rclone, rsync and aria2 give to what they have not finished",
    tables=("files",),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "completeness")),
)
def unfinished_download(context: Context) -> Checked:
    """Every file: whether its name says that it was not finished."""
    files = context["files"]
    rows = files[files["problem"] == "unfinished"]
    if rows.empty:
        return Checked(len(files))
    names = file_names(context, rows["path"])
    message = f"{plural(len(rows), 'unfinished download')}: {listed(names)}."
    if len(rows) == 1:
        subject, patient = file_subject(context, rows["path"].iloc[0]), text(rows["patient"].iloc[0])
    else:
        subject, patient = RELEASE, None
    found = Found(subject, message, "whole files under their own names", message[:-1], patient, len(rows), tuple(names))
    return Checked(len(files), [found])


@rule(
    "REL025",
    "archive-not-unpacked",
    ERROR,
    title="An archive in place of the files that it holds",
    why="Nothing in an archive was audited, and programs that read the release don't see it. Beside the images of its patient it is a warning, for these may be the same.",
    fix="Unpack it where it lies, and take it out.",
    source=DOWNLOADER,
    tables=("files", "series"),
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts", "image-values", "completeness")),
)
def archive_not_unpacked(context: Context) -> Checked:
    """Every file of the collection's folders, and archives beside them that are named after a patient or series."""
    files = context["files"]
    if context["series"].empty:
        raise Skip("no image was audited, as REL020 tells")
    unexpected = files["kind"] == "unexpected"
    examined = int((files["in_collection"] | unexpected).sum())
    rows = kept(files, unexpected & files["content"].isin(list(ARCHIVES)))
    if rows.empty:
        return Checked(examined)
    names = file_names(context, rows["path"])
    message = (
        f"{plural(len(rows), 'archive')} {agree(len(rows), 'was', 'were')} not unpacked: {listed(names)}; unpack "
        f"{agree(len(rows), 'it', 'them')}."
    )
    mild = WARNING if rows["patient"].isin(context["series"]["patient"]).all() else None
    return Checked(examined, [Found(RELEASE, message, "files", "archives", None, len(rows), tuple(names), mild)])
