"""A contact sheet cut to the size that a page may have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crlm_qc.model.picture import Picture
from crlm_qc.pictures.album import MAX_PAGE

SIDES = (256, 160)
"""Pixels of the longer side, where the page would grow too large."""

Measure = Callable[[Sequence[Picture], Mapping[str, bytes]], int]
"""Bytes of the page that pictures make with their files."""


def fitted(
    pictures: Sequence[Picture], files: Mapping[str, bytes], measure: Measure, limit: int = MAX_PAGE
) -> tuple[Sequence[Picture], Mapping[str, bytes], Sequence[str]]:
    """Cut a sheet until it is small enough: smaller pictures, then none of the last patients.

    Parameters
    ----------
    pictures : sequence of Picture
        One a patient.
    files : mapping of str to bytes
        Their files.
    measure : callable
        How many bytes the page has.
    limit : int
        How many it may have.

    Returns
    -------
    pictures : sequence of Picture
        One a patient; in place of one that was left out, one that says so.
    files : mapping of str to bytes
        The files of those that are left.
    notes : sequence of str
        What was cut.
    """
    if not files or measure(pictures, files) <= limit:
        return pictures, files, ()
    from crlm_qc.pictures.drawing import smaller

    said = f"to keep the page under {limit / 1e6:g} MB"
    small: Mapping[str, bytes] = files
    for side in SIDES:
        small = {name: smaller(content, side) for name, content in files.items()}
        notes = [f"Pictures are {side} pixels wide, {said}."]
        if measure(pictures, small) <= limit:
            return pictures, small, notes

    def first(count: int) -> list[Picture]:
        reason = f"left out {said}"
        names = set(list(small)[:count])
        return [
            one if one.file is None or one.file in names else replace(one, file=None, reason=reason, contours=())
            for one in pictures
        ]

    # The most that fit: one less than the fewest that do not.
    most = bisect_left(range(1, len(small) + 1), True, key=lambda count: measure(first(count), small) > limit)
    notes.append(f"The last {len(small) - most:,} of {len(small):,} pictures are left out, {said}.")
    return first(most), dict(list(small.items())[:most]), notes
