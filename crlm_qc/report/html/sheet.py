"""The contact sheet: one page of all patients, an image each; no script, and nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crlm_qc.model.facts import PatientFacts
from crlm_qc.model.picture import Picture
from crlm_qc.model.report import Report
from crlm_qc.model.words import plural
from crlm_qc.report.html.pictures import PictureView, inline, roles
from crlm_qc.report.html.view import anchor
from crlm_qc.report.pages import STYLE, asset, digest, own_markup, template

USUAL = "Largest cross-section of the liver"
"""Title that is not written above an image: the page says it of all."""


@dataclass(frozen=True)
class Tile:
    """A patient on the sheet."""

    view: PictureView
    facts: PatientFacts | None

    @property
    def patient(self) -> str:
        """The patient's ID."""
        return self.view.picture.patient

    @property
    def told(self) -> str:
        """Slices, their spacing and the liver's volume, as far as they were measured."""
        if self.facts is None:
            return ""
        slices, spacing, liver = self.facts.ct_slices, self.facts.spacing_mm, self.facts.liver_ml
        return ", ".join(
            (
                *([plural(slices, "slice")] if slices is not None else ()),
                *([f"spacing {round(spacing, 3):g} mm"] if spacing is not None else ()),
                *([f"liver {liver:,.0f} mL"] if liver is not None else ()),
            )
        )


def render(
    report: Report,
    pictures: Sequence[Picture],
    files: Mapping[str, bytes],
    *,
    notes: Sequence[str] = (),
    beside: str = "",
) -> str:
    """Render a contact sheet as one HTML page.

    Parameters
    ----------
    report : Report
        What is known of the release and of its patients.
    pictures : sequence of Picture
        One a patient.
    files : mapping of str to bytes
        Their files, which are written into the page.
    notes : sequence of str
        What was cut.
    beside : str
        File of the report that lies in the same folder; empty if none does.

    Returns
    -------
    str
        The page. Every value in it is escaped.
    """
    facts, sources = {one.patient: one for one in report.patients}, inline(files)
    tiles = [Tile(PictureView(one, sources.get(one.file or "")), facts.get(one.patient)) for one in pictures]
    style = asset(STYLE)
    policy = f"default-src 'none'; img-src data:; style-src '{digest(style)}'; base-uri 'none'; form-action 'none'"
    return template("crlm_qc.report.html", "sheet.html.j2", anchor=anchor).render(
        release=report.release.root,
        version=report.tool_version,
        tiles=tiles,
        shown=sum(tile.view.source is not None for tile in tiles),
        roles=roles(pictures),
        notes=notes,
        report=beside,
        usual=USUAL,
        policy=policy,
        style=own_markup(style),
        # What the macros of all pages need beside.
        words=None,
        pictured={},
        most_patients=0,
    )
