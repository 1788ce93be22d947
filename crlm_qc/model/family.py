"""The families of rules: the first three letters of a code."""

from __future__ import annotations

import re
from collections.abc import Mapping

CODE = re.compile(r"[A-Z]{3}[0-9]{3}")

FAMILIES: Mapping[str, str] = {
    "REL": "Release on disk",
    "LED": "Published series",
    "MET": "metadata.csv",
    "MAN": "Download manifest",
    "CLN": "Clinical workbook",
    "CTS": "CT series",
    "DSO": "Segmentation objects",
    "SEG": "Masks",
    "XRF": "Across sources",
    "PUB": "Published figures",
    "DID": "De-identification",
    "STD": "The standard",
    "WVR": "Waivers",
}


def family_name(family: str) -> str:
    """What a family of rules is about."""
    return FAMILIES.get(family, family)
