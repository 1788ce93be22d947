"""Forms that values of the release have: what a valid UID is."""

from __future__ import annotations

import re

MAX_LENGTH = 64
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def is_uid(value: object) -> bool:
    """Whether a value is a valid UID.

    Parameters
    ----------
    value : object
        A cell of a table; a missing one is no UID.

    Returns
    -------
    bool
        True for text of at most 64 characters: components of digits parted by points, none with a leading zero, the
        first 0, 1 or 2 (DICOM PS3.5 section 9.1).
    """
    return isinstance(value, str) and len(value) <= MAX_LENGTH and _UID.fullmatch(value) is not None
