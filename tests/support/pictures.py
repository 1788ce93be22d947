"""A report with pictures, and their files."""

from dataclasses import replace

import numpy as np
from PIL import Image
from support import reports

from crlm_qc.model.picture import Contour, Gap, Picture, Plane, no_picture
from crlm_qc.model.report import Report
from crlm_qc.pictures.drawing import webp

SQUARE = "M1000 1000l900 0 0 900 -900 0z"


def content(seed: int = 0, side: int = 384) -> bytes:
    """A WebP that is no smaller for being even."""
    noise = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    return webp(Image.fromarray(noise))


def illustrated() -> tuple[Report, dict[str, bytes]]:
    """Two pictures side by side, one alone, one whose file is not there, and a patient of whom none may be shown."""
    report = reports.sample()
    first, second = report.findings[0], report.findings[1]
    picture = Picture(
        patient=first.patient or "",
        findings=(first.fingerprint,),
        file="CRLM-CT-1001-1.webp",
        reason="",
        group=1,
        title="As stored",
        caption="InstanceNumber 60, 1-16.dcm, z -375 mm. CTS008",
        alt="Largest cross-section of the liver, with the contours of Liver and Tumor_1.",
        width=3840,
        height=3840,
        sides=("R", "A", "L", "P"),
        bar=600,
        contours=(
            Contour(1, "L", "liver", SQUARE, 900, 1400),
            Contour(5, "T1", "tumour", "M1200 1200l300 0 0 300 -300 0z", 1350, 1100),
        ),
    )
    pictures = (
        picture,
        replace(picture, file="CRLM-CT-1001-2.webp", title="Mirrored left-right"),
        replace(
            picture, file="CRLM-CT-1001-3.webp", group=2, title="Coronal reformat", plane=Plane.CORONAL,
            height=2000, sides=("R", "H", "L", "F"), gaps=(Gap(900, 60),),
        ),
        replace(picture, file="CRLM-CT-1001-4.webp", group=3, title="Gone"),
        no_picture(second.patient or "", (second.fingerprint,), "the images have overlay planes, which may hold text: none is shown"),
    )  # fmt: skip
    files = {f"CRLM-CT-1001-{number}.webp": content(number) for number in (1, 2, 3)}
    return replace(report, pictures=pictures, picture_notes=("Pictures are 256 pixels wide.",)), files
