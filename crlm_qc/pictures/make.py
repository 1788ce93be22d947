"""Makes pictures: a worker reads and draws those of one patient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from crlm_qc.model.picture import Picture, PictureRequest, Plane, View, no_picture
from crlm_qc.workers import Progress, each

if TYPE_CHECKING:
    from crlm_qc.evidence.pictures import PictureRead
    from crlm_qc.evidence.source import Finds

Made = list[tuple[Picture, bytes]]
"""Pictures, each with the bytes of its file; none where there is no file."""

DRAWING = "drawing pictures"
"""The phase that progress is told of."""
_DIED = "the process that drew it died"
_PASSING = ("died", "MemoryError", "OSError", "can't be opened")
"""What the reason of a missing picture says where it is of the machine, and not of the files."""


class Kept(Protocol):
    """What earlier runs have drawn, and what is kept of this one."""

    def drawn(self, requests: Sequence[PictureRequest], how: Any) -> Made | None:
        """What was drawn of a patient for the same requests, in the same way, and of the same files; None if there is nothing."""

    def keep_drawn(self, requests: Sequence[PictureRequest], how: Any, made: Made) -> None:
        """Keep what was drawn of a patient, as soon as it was."""


@dataclass(frozen=True, slots=True)
class Job:
    """The pictures of one patient."""

    release: Finds | None
    """None if it can't be opened any more."""
    classes: Collection[str]
    requests: tuple[PictureRequest, ...]
    png: bool = False
    """Whether contours are burnt in."""

    @property
    def how(self) -> list[Any]:
        """All but the requests and the files that a picture depends on: plain values."""
        return [sorted(self.classes), self.png]


def draw_patient(job: Job) -> Made:
    """Read and draw the pictures of one patient; whatever is wrong with its files, none of it is raised.

    Parameters
    ----------
    job : Job
        What to draw.

    Returns
    -------
    list of (Picture, bytes)
        One a request, in their order, but for those that would show a slice twice; if the series must not be shown, one
        that says why.
    """
    from crlm_qc.evidence.pictures import PictureRead, Unshown, read_pictures
    from crlm_qc.pictures.draw import draw

    made: Made = []
    every = tuple(dict.fromkeys(mark for request in job.requests for mark in request.findings))
    reads = read_pictures(job.release, job.classes, job.requests)
    told = {_shown(read) for read in reads if isinstance(read, PictureRead) and _shown(read)[1]}
    views = {(request.group, request.view) for request in job.requests}
    for request, read in zip(job.requests, reads, strict=True):
        if isinstance(read, Unshown):
            if read.series:
                return [(no_picture(request.patient, every, read.reason), b"")]
            made.append((_unmade(request, read.reason), b""))
            continue
        if not request.findings and (_shown(read)[0], True) in told:
            # The slice that was chosen of several is the one that this picture would show.
            continue
        try:
            drawing = draw(read.request or request, read)
            content = drawing.png() if job.png else drawing.webp()
        except Exception as error:  # noqa: BLE001 - values in a header may be anything; the others go on
            reason = str(error) if type(error) is ValueError else type(error).__name__
            made.append((_unmade(request, f"it can't be drawn ({reason})"), b""))
            continue
        if request.view is View.ENLARGED and not drawing.enlarged and (request.group, View.FRAMED) in views:
            # What is large is not enlarged: this would be the same picture again.
            continue
        made.append((drawing.picture, content))
    return made


def _shown(read: PictureRead) -> tuple[str, bool]:
    """The slice of an axial picture, and whether it is shown whole because of a finding."""
    request = read.request
    if request is None or request.plane is not Plane.AXIAL:
        return "", False
    return request.images[0].path, bool(request.findings) and request.view is not View.ENLARGED


def _unmade(request: PictureRequest, reason: str) -> Picture:
    box = no_picture(request.patient, request.findings, reason)
    return replace(box, plane=request.plane, group=request.group, title=request.title, caption=request.caption)


def draw_all(
    jobs: Sequence[Job], processes: int, progress: Progress | None = None, kept: Kept | None = None
) -> list[Made]:
    """Draw the pictures of several patients.

    Parameters
    ----------
    jobs : sequence of Job
        A patient each.
    processes : int
        Processes to draw with; one draws in this process.
    progress : callable, optional
        Told of the phase, the patients done and the patients in all.
    kept : Kept, optional
        What earlier runs have drawn, which is not drawn again.

    Returns
    -------
    list of list of (Picture, bytes)
        In the order of `jobs`, and the same for any number of processes.
    """
    known = {} if kept is None else {at: kept.drawn(job.requests, job.how) for at, job in enumerate(jobs)}
    undrawn = [job for at, job in enumerate(jobs) if known.get(at) is None]

    def keep(job: Job, made: Made) -> None:
        if kept is not None and lasts(picture for picture, _ in made):
            kept.keep_drawn(job.requests, job.how, made)

    drawn = iter(each(draw_patient, undrawn, processes, phase=DRAWING, progress=progress, lost=_undrawn, keep=keep))
    return [next(drawn) if (made := known.get(at)) is None else made for at in range(len(jobs))]


def lasts(pictures: Iterable[Picture]) -> bool:
    """Whether each picture that is missing would be missing another time too."""
    return not any(one.file is None and word in one.reason for one in pictures for word in _PASSING)


def _undrawn(job: Job) -> Made:
    return [(_unmade(request, _DIED), b"") for request in job.requests]
