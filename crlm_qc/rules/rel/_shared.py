"""What rules on the release share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context

DOWNLOADER = "layout that the NBIA Data Retriever writes"


def images_of(context: Context) -> Any:
    """Files that are CT images or segmentation objects."""
    files = context["files"]
    return files[files["kind"].isin(["ct", "dso"])]


def of_others(context: Context) -> Any:
    """Files that the profile tells apart as objects of others."""
    files = context["files"]
    return files[files["kind"] == "other-object"]


def counted(names: Sequence[str]) -> str:
    """Files in a message: the name of one, the number of several."""
    return names[0] if len(names) == 1 else plural(len(names), "file")
