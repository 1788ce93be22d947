"""Pictures as the page shows them: by patient, in groups that stand side by side, with the findings that they show."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crlm_qc.model.finding import Finding
from crlm_qc.model.picture import PATH_DATA, PICTURE_FILE, UNITS, Hatch, Picture
from crlm_qc.model.report import Report

MISSING = "its file was not found"
"""Why a picture is not shown whose file is not there."""


@dataclass(frozen=True)
class PictureView:
    """One picture, or the box in its place."""

    picture: Picture
    source: str | None
    """What `src` of the image is; None if there is none."""

    @property
    def reason(self) -> str:
        """Why there is no image; empty if there is one."""
        return "" if self.source else self.picture.reason or MISSING

    @property
    def width(self) -> int:
        """Pixels."""
        return round(self.picture.width / UNITS)

    @property
    def height(self) -> int:
        """Pixels."""
        return round(self.picture.height / UNITS)

    @property
    def hatches(self) -> list[Hatch]:
        """What is hatched; a saved report may hold lines that are none."""
        return [hatch for hatch in self.picture.hatches if PATH_DATA.fullmatch(hatch.path)]


@dataclass(frozen=True)
class AlbumView:
    """The pictures of one patient."""

    patient: str
    groups: Sequence[Sequence[PictureView]]
    findings: Sequence[Finding]
    """Findings that they show, the first of each rule, gravest first."""

    @property
    def gaps(self) -> bool:
        """Whether a gap is boxed in one of them."""
        return any(view.picture.gaps for group in self.groups for view in group)

    @property
    def hatched(self) -> bool:
        """Whether something is hatched in one of them."""
        return any(view.hatches for group in self.groups for view in group)

    @property
    def framed(self) -> bool:
        """Whether something is framed in one of them."""
        return any(view.picture.frame is not None for group in self.groups for view in group)


@dataclass(frozen=True)
class Role:
    """An entry of the legend."""

    role: str
    letters: str
    name: str


ROLES = (
    Role("liver", "L", "liver, solid"),
    Role("remnant", "R", "liver remnant, dashed"),
    Role("vessel", "H, P", "hepatic and portal veins, dotted"),
    Role("tumour", "T1, T2 \N{HORIZONTAL ELLIPSIS}", "tumours, dash-dotted"),
    Role("other", "S and number", "other segments, short dashes"),
)


def albums(report: Report, sources: Mapping[str, str]) -> list[AlbumView]:
    """The pictures of a report by patient.

    Parameters
    ----------
    report : Report
        The report.
    sources : mapping of str to str
        What `src` of an image is, by its file's name.

    Returns
    -------
    list of AlbumView
        In the order of the report's pictures.
    """
    by_patient: dict[str, dict[int, list[PictureView]]] = {}
    marks: dict[str, set[str]] = {}
    for picture in report.pictures:
        view = PictureView(picture, sources.get(picture.file or ""))
        by_patient.setdefault(picture.patient, {}).setdefault(picture.group, []).append(view)
        marks.setdefault(picture.patient, set()).update(picture.findings)
    found = []
    for patient, groups in by_patient.items():
        first: dict[str, Finding] = {}
        for finding in report.findings:
            if finding.fingerprint in marks[patient]:
                first.setdefault(finding.rule, finding)
        found.append(AlbumView(patient, list(groups.values()), list(first.values())))
    return found


def roles(pictures: Iterable[Picture]) -> list[Role]:
    """Entries of the legend for what the pictures show."""
    shown = {contour.role for picture in pictures for contour in picture.contours}
    return [role for role in ROLES if role.role in shown]


def pictured(report: Report) -> dict[str, str]:
    """Patients by the fingerprints of the findings that their pictures show."""
    return {mark: picture.patient for picture in report.pictures if picture.file for mark in picture.findings}


def inline(pictures: Mapping[str, bytes]) -> dict[str, str]:
    """Files as `data:` URIs, by their names."""
    return {
        name: f"data:image/webp;base64,{base64.b64encode(content).decode()}"
        for name, content in pictures.items()
        if PICTURE_FILE.fullmatch(name)
    }
