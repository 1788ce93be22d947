"""What the object is, and whose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crlm_qc.collection.forms import age_in_years
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.dso._shared import OWN, WITH_CT, each_beside_ct, each_dso
from crlm_qc.subjects.ct import CtSeries
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.words import text

_SEXES = frozenset({"M", "F", "O"})


@rule(
    "DSO001",
    "not-segmentation",
    ERROR,
    title="SOP class or Modality is not that of a segmentation",
    why="Viewers and archives choose how to read an object by these two.",
    fix="Write the object as Segmentation Storage with Modality SEG.",
    source="DICOM PS3.4 B.5 (storage SOP classes), PS3.3 C.8.20.1 (Segmentation Series)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def not_segmentation(context: Context) -> Checked:
    """Every segmentation object."""
    classes = context.profile.modalities["SEG"]

    def judge(dso: Dso) -> Iterable[Found]:
        sop_class, modality = text(dso.row["sop_class_uid"]), text(dso.row["modality"])
        if sop_class not in classes:
            shown = context.show.uid(sop_class)
            message = f"SOPClassUID is {shown}, not that of a segmentation."
            yield dso.found(context, message, " or ".join(classes.values()), shown, column="SOPClassUID")
        if modality != "SEG":
            shown = context.show.text(modality, {*context.profile.modalities, "OT", "SR", "MR", "RTSTRUCT"})
            yield dso.found(context, f"Modality is {shown}, not SEG.", "SEG", shown, column="Modality")

    return each_dso(context, judge)


@rule(
    "DSO003",
    "frame-of-reference-differs",
    ERROR,
    title="FrameOfReferenceUID differs from the CT's",
    why="Positions of two frames of reference can't be compared, and viewers refuse to lay the mask over the CT.",
    fix="Give the object the CT's Frame of Reference UID, if the two were drawn on each other.",
    source="DICOM PS3.3 C.7.4.1.1.1 (Frame of Reference UID)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation",), care=("volumetry", "image-values")),
)
def frame_of_reference_differs(context: Context) -> Checked:
    """Every object with its CT."""
    return _identity(context, (("frame_of_reference_uid", "FrameOfReferenceUID"),))


@rule(
    "DSO004",
    "patient-or-study-differs",
    ERROR,
    title="PatientID or StudyInstanceUID differs from the CT's",
    why="The segmentation would be filed under another patient or study than the images it was drawn on.",
    fix="Find out whose it is, and correct the identifiers or move the file.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "clinical-pairing"), care=("volumetry", "lesion-counts", "image-values")),
)
def patient_or_study_differs(context: Context) -> Checked:
    """Every object with its CT."""
    return _identity(context, (("patient_id", "PatientID"), ("study_uid", "StudyInstanceUID")))


def _identity(context: Context, columns: Sequence[tuple[str, str]]) -> Checked:
    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        for column, keyword in columns:
            own, theirs = text(dso.row[column]), ct.common(column)
            if theirs is not None and own != theirs:
                show = context.show.patient if column == "patient_id" else context.show.uid
                # Values that may not be shown look alike.
                differ = show(own) != show(theirs)
                message = (
                    f"{keyword} is {show(own)}, the CT's {show(theirs)}." if differ else f"{keyword} is not the CT's."
                )
                yield dso.found(context, message, show(theirs), show(own), column=keyword)

    return each_beside_ct(context, judge)


@rule(
    "DSO029",
    "sex-or-age-differs",
    WARNING,
    title="SEG and CT disagree on PatientSex or PatientAge",
    why="Both describe one patient at one examination; a difference means that one of the two is another patient's, or was edited.",
    fix="Take both from the CT, once it is sure that the object belongs to it.",
    source="DICOM PS3.3 C.7.1.1 (Patient), C.7.2.2 (Patient Study)",
    tables=WITH_CT,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "clinical-pairing")),
)
def sex_or_age_differs(context: Context) -> Checked:
    """Every object with its CT, where both have a value."""
    ways = (
        ("patient_sex", "PatientSex", lambda value: context.show.text(value, _SEXES)),
        ("patient_age", "PatientAge", context.show.age_string),
    )

    def judge(dso: Dso, ct: CtSeries) -> Iterable[Found]:
        for column, keyword, show in ways:
            own, theirs = text(dso.row[column]), text(ct.common(column))
            if own is not None and theirs is not None and own != theirs and not _same_age(own, theirs):
                message = f"{keyword} is {show(own)}, the CT's {show(theirs)}."
                yield dso.found(context, message, show(theirs), show(own), column=keyword)

    return each_beside_ct(context, judge)


def _same_age(one: str, other: str) -> bool:
    """Whether two texts are the same age, however each is written."""
    years = age_in_years(one)
    return years is not None and years == age_in_years(other)
