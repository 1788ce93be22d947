"""What DICOM itself asks of the objects, as the validators of dicom3tools judge it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.words import text

PACKAGE = "crlm-qc[standard]"
"""What brings the validators."""
SOURCE = (
    "DICOM PS3.3 (modules and their attributes), PS3.5 6.2 (values), as dciodvfy and dcentvfy of dicom3tools read them"
)


@rule(
    "STD001",
    "standard-error",
    WARNING,
    title="An error that a DICOM validator reports",
    why="Archives and readers refuse objects that lack what the standard requires, or take a value for another.",
    fix="Read the message in full with the validator itself (dciodvfy FILE), look the attribute up in DICOM PS3.3, and mend what writes the object.",
    source=SOURCE,
    tables=("standard",),
    spoils=Spoils(care=("sharing",)),
)
def standard_error(context: Context) -> Checked:
    """With --standard: every segmentation object and one slice for each set of attributes of a series, by dciodvfy; all objects of a patient, by dcentvfy."""
    return _messages(context, "error")


@rule(
    "STD002",
    "standard-warning",
    INFO,
    title="A warning that a DICOM validator reports",
    why="What is legal but unusual, retired or dubious makes some readers stumble.",
    fix="Read the message in full with the validator itself (dciodvfy FILE); where nothing is wrong, waive it.",
    source=SOURCE,
    tables=("standard",),
    spoils=NOTHING,
)
def standard_warning(context: Context) -> Checked:
    """With --standard: every segmentation object and one slice for each set of attributes of a series, by dciodvfy; all objects of a patient, by dcentvfy."""
    return _messages(context, "warning")


def _messages(context: Context, state: str) -> Checked:
    table = context["standard"]
    if not context.settings.standard:
        raise Skip("needs --standard")
    runs = table[~table["state"].isin(["error", "warning"])]
    if table.empty:
        raise Skip("the evidence holds no run of a validator: collect it with --standard", incomplete=True)
    if (runs["state"] == "absent").all():
        raise Skip(f"needs dciodvfy and dcentvfy: pip install '{PACKAGE}'", incomplete=True)
    found = table[table["state"] == state]
    return Checked(int((runs["state"] == "checked").sum()), list(_each(context, found)))


def _each(context: Context, found: Any) -> Iterator[Found]:
    for (tool, attribute, message), rows in found.groupby(["tool", "attribute", "message"], dropna=False, sort=True):
        # The reader leaves values out; what still looks like one is not shown.
        words = message if context.show.pattern(message) is None else context.show.describe(message)
        said = ": ".join(part for part in (text(attribute), words) if part)
        patients = sorted({one for one in map(text, rows["patient"]) if one})
        files = int(rows["path"].notna().sum())
        of = f"of {plural(files, 'file')} " if files else ""
        yield Found(
            replace(RELEASE, column=said),
            f"{tool} says {of}of {plural(len(patients), 'patient')}: {said}.",
            f"no such message of {tool}",
            f"{plural(len(patients), 'patient')}: {listed(patients)}",
            count=files or len(patients),
            examples=tuple(patients),
        )
