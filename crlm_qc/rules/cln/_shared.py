"""What rules on the workbook share."""

from __future__ import annotations

import re
from typing import Final

from crlm_qc.collection.headings import loose_heading
from crlm_qc.collection.invisible import deceptive, plain_text
from crlm_qc.model.words import listed

TABLES: Final = ("sources", "clinical", "clinical_dictionary")
DICTIONARY: Final = "Data Dictionary sheet of the workbook"
DESCRIPTION: Final = "published description, clinical data"


def difference(written: str, meant: str) -> str:
    """How a heading or an ID differs from what it is meant to be, without a text of the file."""
    said = [f"it holds {listed(names)}"] if (names := deceptive(written)) else []
    bare = " ".join(plain_text(written).split())
    if bare == meant:
        said += [] if names else ["white space differs"]
    elif bare.casefold() == meant.casefold():
        said.append("case differs")
    elif re.fullmatch(r".*[0-9][.,]0+", bare):
        said.append("a decimal follows its number")
    elif loose_heading(bare) == loose_heading(meant):
        said.append("separators differ")
    elif bare.isdecimal():
        said.append("its prefix is lost")
    elif re.search("[0-9]+$", bare) and len(loose_heading(bare)) < len(loose_heading(meant)):
        said.append("a part of its prefix, or zeros, are lost")
    else:
        said.append("letters differ")
    return " and ".join(said)
