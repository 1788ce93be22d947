"""Where in a scene a finding is seen: planes, and what is looked at closely."""

from __future__ import annotations

from collections.abc import Iterator

from crlm_qc.collection.profile import TUMOUR
from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import Detail, Hatched
from crlm_qc.model.sight import At, Frame, Outside, Shared, Sight, Slice, Small
from crlm_qc.pictures.scene import Scene


def seen_at(scene: Scene, finding: Finding) -> Iterator[tuple[int | Detail, str]]:
    """Planes that a finding is seen on, or what is looked at closely, the most telling first, each with its title."""
    sight = finding.sight
    if sight is None:
        return
    if sight.seen.at is At.TUMOURS:
        if (rank := scene.largest(scene.of_role(TUMOUR))) is not None:
            yield rank, "The tumours at their largest"
        return
    if sight.seen.at is At.LIVER:
        yield scene.middle, scene.middle_title
        return
    if finding.subject.segment is not None and scene.measured and scene.is_about(finding):
        yield from _of_segment(scene, sight, finding.subject.segment)
    slices = {str(path): place for place, path in enumerate(scene.ct.slices["path"])}
    planes = {place: rank for rank, place in enumerate(scene.slice_of)}
    for one in sight.places:
        if isinstance(one, Slice) and (rank := planes.get(slices.get(one.path, -1))) is not None:
            if not sight.seen.gaps or scene.voxels(rank):
                yield rank, f"Slice {scene.name(scene.slice_of[rank])}, which {finding.rule} names"
        elif isinstance(one, Frame) and (rank := scene.rank_of_frame(one)) is not None:
            yield rank, f"Frame {one.number}, which {finding.rule} names"


def _of_segment(scene: Scene, sight: Sight, segment: int) -> Iterator[tuple[int | Detail, str]]:
    """What is looked at closely, or else the segment at its largest."""
    close = [_close_up(scene, one) for one in sight.places if isinstance(one, Shared | Outside | Small)]
    if close:
        yield from close
    elif (rank := scene.largest([segment])) is not None:
        yield rank, f"{scene.label(segment)} at its largest"


def _close_up(scene: Scene, place: Shared | Outside | Small) -> tuple[Detail, str]:
    if isinstance(place, Shared):
        return _shared(scene, place.one, place.other)
    if isinstance(place, Outside):
        return _outside(scene, place.segment, place.other)
    return Detail((place.segment,)), f"{scene.label(place.segment)} at its largest"


def _outside(scene: Scene, segment: int, liver: int) -> tuple[Detail, str]:
    label = scene.label(segment)
    words = f"what of {label} lies outside the liver's mask"
    return Detail((segment,), (Hatched(segment, liver, True, words),)), f"{label} outside the liver"


def _shared(scene: Scene, one: int, other: int) -> tuple[Detail, str]:
    names = f"{scene.label(one)} and {scene.label(other)}"
    return Detail((one, other), (Hatched(one, other, False, f"what {names} share"),)), f"{names} overlap"
