"""What rules on the release share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crlm_qc.model.finding import RELEASE, Subject
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import by_folder

DOWNLOADER = "layout that the NBIA Data Retriever writes"


_FEW_FOLDERS, MANY_FOLDERS = 3, 12
"""Folders that are told one by one in any case, and at most."""


def by_cause(context: Context, rows: Any, causes: Any, examined: int) -> Iterator[tuple[str | None, Subject, Any]]:
    """Rows of `files` by folder; where most files of a release, or those of many folders, fail alike, all of them at once.

    Parameters
    ----------
    context : Context
        What is audited.
    rows : pandas.DataFrame
        Rows of `files` that fail.
    causes : pandas.Series
        What is wrong with each.
    examined : int
        How many were examined.

    Yields
    ------
    tuple
        Patient, subject, and the rows in the order of their paths.
    """
    if rows.empty:
        return
    rest = rows.index == rows.index
    for _, same in rows.groupby(causes, sort=False, dropna=False):
        folders = same["folder"].nunique(dropna=False)
        if folders > MANY_FOLDERS or (folders > _FEW_FOLDERS and 2 * len(same) >= examined):
            rest &= ~rows.index.isin(same.index)
            yield None, RELEASE, same
    yield from by_folder(context, rows[rest])


def images_of(context: Context) -> Any:
    """Files that are CT images or segmentation objects; no rule changes them."""
    files = context["files"]
    return kept(files, files["kind"].isin(["ct", "dso"]))


@once
def of_others(context: Context) -> Any:
    """Files that the profile tells apart as objects of others; no rule changes them."""
    files = context["files"]
    return kept(files, files["kind"] == "other-object")


def of_another_collection(files: Any) -> Any:
    """Which files are another collection's, and left alone."""
    return files["other_collection"].fillna(value=False).astype(bool)


def counted(names: Sequence[str]) -> str:
    """Files in a message: the name of one, the number of several."""
    return names[0] if len(names) == 1 else plural(len(names), "file")
