"""What the workbook says of tumours and of the patient's position, against the images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from crlm_qc.collection.profile import TUMOUR
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import INFO, WARNING
from crlm_qc.model.sight import At, Seen
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.rules.xrf._shared import TABLES, records, row_subject
from crlm_qc.subjects.alike import shared_objects
from crlm_qc.subjects.cohort import cohort
from crlm_qc.subjects.needs import need_role
from crlm_qc.subjects.notes import lies_as_told
from crlm_qc.subjects.words import most_common, number, text
from crlm_qc.subjects.workbook import NOTES, Clinical, clinical

if TYPE_CHECKING:
    import pandas as pd

MM_PER_CM: Final = 10.0


def _need_belonging(context: Context) -> None:
    """Skip where the workbook's rows are known to be other patients'.

    Raises
    ------
    Skip
        XRF004 says that they are.
    """
    try:
        found = cohort(context)
    except Skip:
        return
    if found.detached:
        raise Skip("the workbook's rows do not belong to these images (XRF004)")


def _rows_of(table: Clinical) -> dict[str, int]:
    """Row of the sheet by patient."""
    return {str(patient): int(row) for row, patient in zip(table.patients.index, table.patients, strict=True)}


@rule(
    "XRF005",
    "metastases-contradict",
    WARNING,
    title="multiple_metastases contradicts the number of tumour segments",
    why="Either a lesion was not segmented, or one was split, or the row belongs to another patient.",
    fix="Compare the segments with the report. One segment where several metastases are stated can be right: they may be outside the planned volume, or too small.",
    source="Data Dictionary sheet of April 2023, variable multiple_metastases; published description of the segments",
    tables=(*TABLES, "segments"),
    spoils=Spoils(care=("lesion-counts", "clinical-pairing")),
)
def metastases_contradict(context: Context) -> Checked:
    """0 with two tumour segments or more is a contradiction; 1 with one is worth knowing."""
    table = clinical(context)
    table.need("multiple_metastases")
    tumours = _tumours(context)
    _need_belonging(context)
    counts = tumours.groupby("patient").size()
    told = table.single()["multiple_metastases"].dropna()
    both = told[told.index.isin(counts.index)]
    rows = _rows_of(table)
    found = []
    for patient, value in zip(map(str, both.index), both, strict=True):
        n = int(counts[patient])
        if (value == 1) == (n > 1):
            continue
        words = "more than one metastasis" if value == 1 else "one metastasis"
        found.append(
            Found(
                row_subject(table.path, rows[patient], "multiple_metastases"),
                f"The workbook states {words}, and the segmentation has {plural(n, 'tumour segment')}.",
                "2 tumour segments or more" if value == 1 else "1 tumour segment",
                plural(n, "tumour segment"),
                patient,
                severity=INFO if value == 1 else None,
            )
        )
    return Checked(len(both), found)


@rule(
    "XRF006",
    "tumour-size-contradicts",
    WARNING,
    title="max_tumor_size is more than half off the largest tumour's diameter",
    why="A size in another unit, a lesion that was not segmented, or a row of another patient.",
    fix="Compare the size (cm) with the segments and the report.",
    source="Data Dictionary sheet of April 2023, variable max_tumor_size (cm)",
    tables=(*TABLES, "segments"),
    tolerances=("tumour_size_fraction",),
    seen=Seen(At.TUMOURS),
    spoils=Spoils(care=("volumetry", "lesion-counts", "clinical-pairing")),
)
def tumour_size_contradicts(context: Context) -> Checked:
    """Within half of the largest tumour's diameter, either in-plane or in 3-D."""
    table = clinical(context)
    table.need("max_tumor_size")
    tumours = _tumours(context)
    _need_belonging(context)
    largest = tumours.groupby("patient")[["diameter_axial_mm", "diameter_3d_mm"]].max().dropna()
    if largest.empty:
        raise Skip("no tumour was measured: this takes --depth masks")
    size = table.single()["max_tumor_size"].dropna() * MM_PER_CM
    both = largest.join(size.rename("stated"), how="inner")
    both = both[(both[["diameter_axial_mm", "diameter_3d_mm"]] > 0).all(axis=1)]
    allowed = context.tolerances.tumour_size_fraction
    off = both[["diameter_axial_mm", "diameter_3d_mm"]].rsub(both["stated"], axis=0).abs()
    wrong = both[(off > allowed * both[["diameter_axial_mm", "diameter_3d_mm"]]).all(axis=1)]
    rows = _rows_of(table)
    found = []
    for patient, row in records(wrong):
        stated, axial, spatial = (
            number(row[name] / MM_PER_CM, 2) for name in ("stated", "diameter_axial_mm", "diameter_3d_mm")
        )
        found.append(
            Found(
                row_subject(table.path, rows[patient], "max_tumor_size"),
                f"max_tumor_size is {stated} cm; the largest tumour segment measures {axial} cm in a slice and {spatial} cm in 3-D.",
                f"within {number(allowed * 100)}% of {axial} or {spatial} cm",
                f"{stated} cm",
                patient,
            )
        )
    return Checked(len(both), found)


@once
def _tumours(context: Context) -> pd.DataFrame:
    """Tumour segments of patients with one segmentation object; one that was measured and is empty does not count.

    Nor do those of objects whose masks several patients have (XRF009, XRF010): nobody knows whose they are.

    Raises
    ------
    Skip
        There is none.
    """
    need_role(context, TUMOUR)
    dsos, segments = context["dsos"], context["segments"]
    single = dsos[dsos["patient"].notna() & ~dsos["patient"].duplicated(keep=False)]
    roles = segments["label"].map(lambda label: context.profile.role(text(label)))
    full = segments["voxels"].fillna(1) > 0
    tumours: pd.DataFrame = segments[
        segments["dso"].isin(single["path"])
        & ~segments["dso"].isin(shared_objects(context))
        & segments["declared"]
        & (roles == TUMOUR)
        & full
    ]
    if tumours.empty:
        raise Skip("no tumour segment to compare the workbook with")
    return tumours


@rule(
    "XRF007",
    "note-contradicts-position",
    WARNING,
    title="A note says that the patient lay otherwise than the CT says",
    why="Prone scans look upside down to a model; the note warns of them, and misleads where it stands in another patient's row.",
    fix="Look at the images: the table lies under the patient's back, or front. Correct the note or its row, or PatientPosition.",
    source="Data Dictionary sheet, variable relevant_notes; DICOM PS3.3 C.7.3.1.1.2 (Patient Position), C.7.6.2.1.1 (orientation)",
    tables=TABLES,
    seen=Seen(At.LIVER),
    spoils=Spoils(care=("clinical-pairing",)),
)
def note_contradicts_position(context: Context) -> Checked:
    """A note of lying prone or supine agrees with the CT series. The note itself is not shown."""
    table = clinical(context)
    table.need(NOTES)
    cells = table.cells
    notes = cells[(cells["variable"] == NOTES) & cells["text"].notna() & cells["patient"].notna()]
    told = [(note, lies) for note in notes.itertuples() if (lies := lies_as_told(str(note.text))) is not None]
    if not told:
        raise Skip("no note speaks of the patient's position")
    positions = _positions(context, {str(note.patient) for note, _ in told})
    examined, found = 0, []
    for note, lies in told:
        actual = positions.get(str(note.patient))
        if actual is None:
            continue
        examined += 1
        if actual != lies:
            found.append(
                Found(
                    row_subject(table.path, note.row, NOTES),
                    f"A note says that the patient lay {lies}, and the CT says {actual}.",
                    lies,
                    actual,
                    str(note.patient),
                )
            )
    return Checked(examined, found)


def _positions(context: Context, patients: set[str]) -> dict[str, str]:
    """`prone` or `supine` by patient, after PatientPosition, or else the orientation; where they differ, neither."""
    slices = context["slices"]
    found = {}
    slices = slices[["patient", "patient_position", "col_y"]]
    for patient, group in slices[slices["patient"].isin(patients)].groupby("patient"):
        position = text(most_common(group["patient_position"])) or ""
        ends = {"S": "supine", "P": "prone"}
        stated = ends.get(position[-1:]) if re.fullmatch(r"[HF]F[SP]", position) else None
        down = group["col_y"].median()
        drawn = None if not abs(down) > 0.5 else "supine" if down > 0 else "prone"
        known = {one for one in (stated, drawn) if one is not None}
        if len(known) == 1 and (stated or not position):
            found[str(patient)] = known.pop()
    return found
