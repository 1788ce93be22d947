"""Rows of metadata.csv that belong together: studies, and the two series of a patient."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.model.finding import Found, Kind, Subject
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, rule
from crlm_qc.rules.met._model import FILE, HEADINGS, failed, found_on_row, rows
from crlm_qc.rules.met._shared import DOWNLOADER, TABLES, Told, gathered, labelled
from crlm_qc.subjects.words import text

if TYPE_CHECKING:
    import pandas as pd


@rule(
    "MET021",
    "metadata-tables-disagree",
    WARNING,
    title="Tables that are read as one disagree on a series",
    why="Parts of one download describe the same series alike. Where they don't, one of them was edited, or the collection changed between the downloads, and nothing says which row is right.",
    fix="Compare the rows with the files, and keep the one that is right.",
    source=DOWNLOADER + ": one row a series",
    tables=("sources", "metadata"),
    spoils=Spoils(care=("completeness",)),
)
def tables_disagree(context: Context) -> Checked:
    """Every metadata.csv that is read together with others: its rows of series that stand in an earlier one too."""
    rows(context)
    sources = context["sources"]
    used = sources[(sources["source"] == "metadata") & sources["used"].fillna(value=False).astype(bool)]
    findings = []
    for row in used[used["n_differing"].fillna(0) > 0].to_dict("records"):
        count, columns = int(row["n_differing"]), tuple(json.loads(row["differing"]))
        path = context.show.path(row["path"])
        message = (
            f"{path} says something else of {count} series than the metadata.csv read before it, in "
            f"{listed(columns)}. The audit goes by the earlier one."
        )
        observed = f"{plural(count, 'row')} that {agree(count, 'differs', 'differ')}"
        findings.append(Found(Subject(Kind.FILE, path=path), message, "equal rows", observed, None, count, columns))
    return Checked(len(used), findings)


def _roles(context: Context, table: pd.DataFrame) -> dict[Any, str | None]:
    """The Modality of each row; None where it is unknown (MET007) or in doubt (MET008)."""
    doubted = failed(context, "MET007", "MET008")
    return {label: None if label in doubted else text(row.modality) for label, row in labelled(context, table)}


def _owners(context: Context, table: pd.DataFrame) -> dict[Any, str | None]:
    """The patient of each row; of a row with a malformed Subject ID (MET006) the one in its File Location."""
    profile = context.profile
    owners: dict[Any, str | None] = {}
    for label, row in labelled(context, table):
        parts = (text(row.file_location) or "").replace("\\", "/").split("/")
        located = next((part for part in parts if profile.is_patient_id(part)), None)
        owners[label] = text(row.patient) or located
    return owners


@once
def _by_patient(context: Context) -> dict[str, dict[str, dict[Any, Any]]]:
    """Patient to modality to the rows, one a Series UID; patients with a row of unknown modality are left out."""
    table = rows(context, "subject_id", "modality", unsure=True)
    roles, owners = _roles(context, table), _owners(context, table)
    doubtful = {owners[label] for label, role in roles.items() if role is None}
    grouped: dict[str, dict[str, dict[Any, Any]]] = {}
    for label, row in labelled(context, table):
        owner, role = owners[label], roles[label]
        if owner is None or role is None or owner in doubtful:
            continue
        key = row.series_uid if is_uid(row.series_uid) else f"line {row.row} of {row.path}"
        grouped.setdefault(owner, {}).setdefault(role, {}).setdefault(key, row)
    return grouped


def _ownerless(context: Context) -> int:
    """Rows of which nothing that tells their patient was sure (MET023)."""
    table = rows(context, unsure=True)
    unsure = table[table["unsure"].fillna(value=False).astype(bool)]
    return sum(owner is None for owner in _owners(context, unsure).values())


@rule(
    "MET012",
    "metadata-study-uids",
    ERROR,
    title="CT and SEG of a subject have different Study UIDs",
    why="A segmentation belongs to the study of its CT; archives and viewers group by study and would part them.",
    fix="Copy Study Instance UID (0020,000D) from the DICOM headers.",
    source="published description: CT and DSO in one study",
    tables=TABLES,
    spoils=NOTHING,
)
def study_uids(context: Context) -> Checked:
    """Every subject with one CT row and one SEG row."""
    rows(context, "study_uid")
    grouped = _by_patient(context)
    examined, findings = 0, []
    for patient, by_role in sorted(grouped.items()):
        pairs = [list(by_role.get(role, {}).values()) for role in ("CT", "SEG")]
        if [len(pair) for pair in pairs] != [1, 1]:
            continue
        ct, seg = pairs[0][0], pairs[1][0]
        if not (is_uid(ct.study_uid) and is_uid(seg.study_uid)):
            continue
        examined += 1
        if ct.study_uid != seg.study_uid:
            message = f"Study UID of {patient}'s SEG differs from that of its CT (line {int(ct.row)})."
            expected, observed = context.show.uid(ct.study_uid), context.show.uid(seg.study_uid)
            findings.append(found_on_row(context, seg, ["study_uid"], message, expected, observed))
    return Checked(examined, gathered(context, findings, examined))


@rule(
    "MET014",
    "metadata-subject-pair",
    ERROR,
    title="A subject has not exactly one CT row and one SEG row",
    why="Each patient has one CT series and one segmentation object; a row too few loses one, a row too many is ambiguous.",
    fix="Add the row that is missing, or take the surplus one out.",
    source="published description: one CT series and one segmentation object a patient",
    tables=TABLES,
    spoils=Spoils(care=("completeness",)),
)
def subject_pair(context: Context) -> Checked:
    """Every subject; rows that repeat a Series UID (MET004) count once."""
    grouped = _by_patient(context)
    wanted = context.profile.published.series_per_patient
    counted = {
        patient: {role: len(by_role.get(role, {})) for role in wanted} for patient, by_role in sorted(grouped.items())
    }
    lacking = {patient for patient, counts in counted.items() if any(counts[role] < wanted[role] for role in wanted)}
    # As many rows whose owner could not be told (MET023) may be theirs.
    if len(lacking) <= _ownerless(context):
        counted = {patient: counts for patient, counts in counted.items() if patient not in lacking}
    findings = []
    for patient, counts in counted.items():
        by_role = grouped[patient]
        if counts != dict(wanted):
            observed = ", ".join(plural(count, f"{role} row") for role, count in counts.items())
            expected = ", ".join(plural(count, f"{role} row") for role, count in wanted.items())
            lines = sorted(int(row.row) for found in by_role.values() for row in found.values())
            findings.append(
                Found(
                    Subject(Kind.PATIENT, column=HEADINGS["subject_id"]),
                    f"{patient} has {observed} in {FILE}.",
                    expected,
                    observed,
                    patient=patient,
                    examples=tuple(f"line {line}" for line in lines),
                )
            )
    told = [Told(found, "Subjects have not one row of each kind.", found.observed) for found in findings]
    return Checked(len(grouped), gathered(context, told, len(grouped), f"subjects of {FILE}"))
