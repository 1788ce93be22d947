"""Which pictures show what was found: from findings and tables to requests. Nothing is drawn here, and no file opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from crlm_qc.collection.profile import LIVER
from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import Detail, Picture, PictureMode, PictureRequest, Plane, View, no_picture
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import At, Beside
from crlm_qc.pictures.compose import axial, close, reformat, with_gap
from crlm_qc.pictures.pairs import explained, orders
from crlm_qc.pictures.scene import Scene
from crlm_qc.pictures.where import seen_at
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.columns import SPACING
from crlm_qc.subjects.ct import CtSeries, series_of
from crlm_qc.subjects.dso import Dso, dsos_of

MAX_AXIAL = 3
"""Axial pictures of a patient."""


def deserving(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Open findings that have a place in the images, by patient; gravest first.

    Parameters
    ----------
    findings : iterable of Finding
        Findings of the report, in its order.

    Returns
    -------
    dict of str to list of Finding
        Patients in the order of their IDs.
    """
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.patient and finding.waived is None and _is_seen(finding):
            found.setdefault(finding.patient, []).append(finding)
    return dict(sorted(found.items()))


def _is_seen(finding: Finding) -> bool:
    sight = finding.sight
    if sight is None or sight.seen.hides or not finding.severity.at_least(sight.seen.mildest):
        return False
    if sight.seen.at is not At.PLACES or sight.seen.reformat is not None:
        return True
    return finding.subject.segment is not None or bool(sight.places)


def choose_pictures(context: Context, findings: Sequence[Finding], mode: PictureMode) -> list[PictureRequest | Picture]:
    """The pictures that a report should have.

    Parameters
    ----------
    context : Context
        Evidence and profile. Rows of patients without a picture may be left out of its tables.
    findings : sequence of Finding
        All findings of the report.
    mode : PictureMode
        Which patients get pictures.

    Returns
    -------
    list of PictureRequest or Picture
        By patient; what can't be shown is a `Picture` that says why. At most three axial ones a patient, one for a
        patient of whom there are only notes, and one reformat or a pair of them.
    """
    if mode is PictureMode.NONE:
        return []
    worth = deserving(findings)
    patients = {*worth, *(_patients_with_ct(context) if mode is PictureMode.ALL else ())}
    chosen: list[PictureRequest | Picture] = []
    for patient, scene in _scenes(context, patients, findings, worth):
        about = worth.get(patient, [])
        if isinstance(scene, str):
            chosen.append(no_picture(patient, tuple(finding.fingerprint for finding in about), scene))
        else:
            chosen += _of_patient(scene, about)
    return chosen


def contact_sheet(context: Context, findings: Sequence[Finding]) -> list[PictureRequest | Picture]:
    """One picture of every patient, through the middle of the liver, whatever was found.

    Parameters
    ----------
    context : Context
        Evidence and profile.
    findings : sequence of Finding
        Those of the rules that tell whose images may not be shown.

    Returns
    -------
    list of PictureRequest or Picture
        One a patient, in the order of their IDs; what can't be shown is a `Picture` that says why.
    """
    patients = set(context["patients"]["patient"].dropna())
    return [
        no_picture(patient, (), scene)
        if isinstance(scene, str)
        else axial(scene, scene.middle, scene.middle_title, (), 1)
        for patient, scene in _scenes(context, patients, findings, {})
    ]


def _scenes(
    context: Context, patients: Iterable[str], findings: Iterable[Finding], worth: Mapping[str, Sequence[Finding]]
) -> Iterator[tuple[str, Scene | str]]:
    """What pictures of each patient are made from, or why there can be none; in the order of the IDs."""
    hidden = {one.patient for one in findings if one.sight is not None and one.sight.seen.hides}
    objects: dict[str, list[Dso]] = {}
    for dso in dsos_of(context):
        objects.setdefault(dso.patient or "", []).append(dso)
    series: dict[str, list[CtSeries]] = {}
    for one in series_of(context):
        series.setdefault(one.patient or "", []).append(one)
    for patient in sorted(patients):
        if patient in hidden:
            yield patient, "the images may show what identifies a person (DID007, DID008): none is shown"
            continue
        yield (
            patient,
            _scene(context, patient, worth.get(patient, []), objects.get(patient, []), series.get(patient, [])),
        )


def overview(context: Context, patient: str, segment: int | None = None) -> list[PictureRequest | Picture]:
    """Pictures of one patient whatever was found: through the largest cross-section of each segment, and a reformat.

    Parameters
    ----------
    context : Context
        Evidence and profile.
    patient : str
        The patient.
    segment : int, optional
        Segment Number; then just the slices that it is on, all of them.

    Returns
    -------
    list of PictureRequest or Picture
        What can't be shown is a `Picture` that says why.
    """
    objects = [dso for dso in dsos_of(context) if dso.patient == patient]
    scene = _scene(context, patient, [], objects, [one for one in series_of(context) if one.patient == patient])
    if isinstance(scene, str):
        return [no_picture(patient, (), scene)]
    if segment is not None:
        on = sorted(rank for rank, places in scene.by_rank.items() if segment in scene.numbers_at(places))
        return [
            axial(scene, rank, f"{scene.label(segment)}, slice {place} of {len(on)}", (), place)
            for place, rank in enumerate(on, start=1)
        ]
    titles: dict[int, list[str]] = {}
    titles.setdefault(scene.middle, []).append(scene.middle_title)
    for outline in scene.outlines:
        rank = scene.largest([outline.segment])
        if rank is not None and outline.role != LIVER:
            titles.setdefault(rank, []).append(f"{outline.label} at its largest")
    made = [
        axial(scene, rank, "; ".join(title), (), group) for group, (rank, title) in enumerate(sorted(titles.items()), 1)
    ]
    return [*made, reformat(scene, Plane.CORONAL, "Coronal reformat", (), len(made) + 1)]


def segments_of(context: Context, patient: str) -> dict[str, int]:
    """Segment Numbers of a patient by their labels, as findings name them.

    Parameters
    ----------
    context : Context
        Evidence and profile.
    patient : str
        The patient.

    Returns
    -------
    dict of str to int
        Those of its segmentation objects; of two segments with one label the first.
    """
    found: dict[str, int] = {}
    for dso in dsos_of(context):
        if dso.patient == patient:
            for value in sorted(dso.declared_numbers):
                found.setdefault(dso.label(context, value), value)
    return found


def _patients_with_ct(context: Context) -> set[str]:
    return set(context["slices"]["patient"].dropna())


def _scene(
    context: Context, patient: str, findings: Sequence[Finding], objects: Sequence[Dso], series: Sequence[CtSeries]
) -> Scene | str:
    """What pictures of a patient are made from, or why there can be none."""
    with_ct = [dso for dso in objects if dso.ct is not None]
    named = {finding.subject.path for finding in findings}
    dso = next((one for one in with_ct if context.show.path(one.path) in named), with_ct[0] if with_ct else None)
    ct = dso.ct if dso is not None else series[0] if len(series) == 1 else None
    if ct is None:
        return "there is no CT series to show" if not series else "it can't be told which CT series is meant"
    classes = set(context.profile.modalities["CT"])
    if ct.slices.others("sop_class_uid", classes) or ct.slices.others("modality", {"CT"}):
        return "the series holds images that are no CT (CTS001): none is shown"
    spacing = [ct.common(column) for column in SPACING]
    if ct.volumes is not None or ct.framed:
        return "the series is no single volume (CTS018, CTS028, CTS030), so that its slices can't be put in order"
    if ct.stack is None or not len(ct.stack.order):
        return "the slices have no valid position and orientation, so that nothing can be placed"
    if None in spacing or min(spacing) <= 0:
        return "the slices have no valid PixelSpacing"
    if None in (ct.common("rows"), ct.common("columns")):
        return "the slices have no valid Rows and Columns"
    return Scene(context, patient, ct, ct.stack, dso)


def _of_patient(scene: Scene, findings: Sequence[Finding]) -> Iterator[PictureRequest]:
    """Pictures of one patient: the middle of the liver, the places that findings name, and a reformat."""
    pairs, reformats, wanted = _wanted(scene, findings)
    notes = bool(findings) and all(finding.severity is Severity.INFO for finding in findings)
    most = 1 if notes else MAX_AXIAL
    group = 0
    for pair in pairs[:1]:
        group += 1
        yield from (replace(one, group=group) for one in pair)
        if pair[0].plane is Plane.AXIAL:
            most -= len(pair)
            wanted.pop(scene.middle, None)
            if not notes and pair[0].images[0].path != scene.path(scene.middle) and most > 0:
                wanted = {scene.middle: (scene.middle_title, []), **wanted}
    chosen = list(wanted.items())
    if notes and len(chosen) > 1:
        # One picture is enough for notes: where the first of them is.
        chosen = chosen[1:]
    chosen = chosen[: max(most, 0)]
    spare = most - len(chosen)
    if not spare and len(chosen) > 1 and not chosen[0][1][1] and any(isinstance(key, Detail) for key, _ in chosen):
        # Where a small thing lies tells more than the liver at its largest.
        chosen, spare = chosen[1:], 1
    for key, (title, marks) in chosen:
        group += 1
        if not isinstance(key, Detail):
            yield axial(scene, key, title, marks, group)
            continue
        if spare > 0:
            spare -= 1
            yield close(scene, key, title, marks, group, View.FRAMED)
        yield close(scene, key, title, marks, group, View.ENLARGED)
    if not notes or not chosen:
        for requests in reformats[:1]:
            group += 1
            yield from (replace(one, group=group) for one in requests)


Wanted = dict[int | Detail, tuple[str, list[Finding]]]
"""Planes, or what is looked at closely, with a title and the findings that are seen there."""


def _wanted(
    scene: Scene, findings: Sequence[Finding]
) -> tuple[list[list[PictureRequest]], list[list[PictureRequest]], Wanted]:
    """Pairs that explain a fault, reformats, and axial slices with what they show, the most wanted first."""
    pairs: list[list[PictureRequest]] = []
    wanted: Wanted = {scene.middle: (scene.middle_title, [])}
    later: Wanted = {}
    coronal = [(one, sight.seen) for one in findings if (sight := one.sight) and sight.seen.reformat is Plane.CORONAL]
    sagittal = [one for one in findings if (sight := one.sight) and sight.seen.reformat is Plane.SAGITTAL]
    for finding in findings:
        if found := explained(scene, finding):
            pairs.append(found)
        for place, (key, title) in enumerate(seen_at(scene, finding)):
            entry = (wanted if place == 0 else later).setdefault(key, (title, []))
            if finding not in entry[1]:
                entry[1].append(finding)
    for key, (title, marks) in later.items():
        wanted.setdefault(key, (title, marks))
    reformats = []
    if sagittal:
        reformats.append([reformat(scene, Plane.SAGITTAL, "Sagittal reformat", sagittal, 0)])
    disorder = [one for one, seen in coronal if seen.beside is Beside.NUMBERS]
    if disorder:
        reformats.append(orders(scene, disorder))
    elif coronal:
        shown = [one for one, _ in coronal]
        whole = reformat(scene, Plane.CORONAL, "Coronal reformat", shown, 0)
        reformats.append(with_gap(scene, whole, shown) if any(seen.gaps for _, seen in coronal) else [whole])
    along = [pair for pair in pairs if pair[0].plane is not Plane.AXIAL]
    return [pair for pair in pairs if pair not in along] or along, reformats if not along else [], wanted
