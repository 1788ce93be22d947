"""What the free-text notes say of the patient's position. The text itself is never shown."""

from __future__ import annotations

import re
from typing import Final, Literal

Lies = Literal["prone", "supine"]

_BODY: Final = r"(?:on|upon|onto)\s+(?:\w+\s+)?(?:their|his|her|the|its)\s+"
_SAYS: Final[tuple[tuple[Lies, re.Pattern[str]], ...]] = (
    (
        "prone",
        re.compile(rf"\bprone\b(?!\s+to\b)|\bface[\s-]*down\b|\b{_BODY}(?:stomach|belly|front|abdomen)\b(?!\s+of\b)"),
    ),
    ("supine", re.compile(rf"\bsupine(?:ly)?\b|\bface[\s-]*up\b|\b{_BODY}back\b(?!\s+of\b)")),
)
_NEGATION: Final = re.compile(
    r"\b(?:not?|never|neither|nor|without|instead\s+of|rather\s+than|unable|cannot|can't)\b|n't\b"
)
_REACH: Final = 5
"""Words before the position that a negation among them turns round."""
_CLAUSE: Final = re.compile(r"[.;:!?\n]|,\s|\bbut\b")
_OTHER_SCAN: Final = re.compile(
    r"\b(?:previous(?:ly)?|prior|earlier|follow[\s-]*up|next|later|other|another|repeat(?:ed)?)\b"
)
"""Words that tell of a scan other than this one."""


def lies_as_told(note: str) -> Lies | None:
    """How the patient lay during the scan, after a note.

    Parameters
    ----------
    note : str
        Free text, such as `This patient was scanned on their stomach.`

    Returns
    -------
    {'prone', 'supine'} or None
        None if the note says neither, denies one, speaks of another scan, or says both.
    """
    said: set[Lies] = set()
    for clause in _CLAUSE.split(note.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if _OTHER_SCAN.search(clause):
            continue
        for position, pattern in _SAYS:
            for match in pattern.finditer(clause):
                before = " ".join(clause[: match.start()].split()[-_REACH:])
                if not _NEGATION.search(before):
                    said.add(position)
    return said.pop() if len(said) == 1 else None
