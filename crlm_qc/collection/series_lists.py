"""Headings of lists of series: the downloader's own, as people write them, and as the archive's services call the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crlm_qc.collection.headings import plain_heading
from crlm_qc.collection.invisible import plainly
from crlm_qc.model.words import closest

NEWER = frozenset({"License Name", "License URL", "Annotation Size"})
"""Headings that newer versions of the downloader add; no rule needs them."""
SERIES, LOCATION = "Series UID", "File Location"
_LIKELY = 0.8
"""How much alike (`closest`) an unknown heading and one that is missing are, where one is meant for the other."""

_ELSEWHERE: Final[Mapping[str, str]] = {
    "seriesinstanceuid": SERIES,
    "seriesid": SERIES,
    "studyinstanceuid": "Study UID",
    "patientid": "Subject ID",
    "collectionname": "Collection",
    "project": "Collection",
    "collectionuri": "Data Description URI",
    "thirdpartyanalysis": "3rd Party Analysis",
    "studydesc": "Study Description",
    "seriesdesc": "Series Description",
    "imagecount": "Number of Images",
    "instancecount": "Number of Images",
    "sopclassid": "SOP Class UID",
    "filesizebytes": "File Size",
}
"""What DICOM, the archive's REST services and tcia_utils call the columns of the downloader."""
_IN_BYTES = "filesizebytes"


def squeezed(heading: str) -> str:
    """A heading without what people write otherwise: case, separators, and what can't be seen."""
    return "".join(filter(str.isalnum, plainly(heading).text.casefold()))


@dataclass(frozen=True)
class Headings:
    """The headings of one list, and which of the downloader's each stands for."""

    found: tuple[str, ...]
    known: tuple[str | None, ...]
    """The downloader's heading, in its own writing; None for others, and for one that stands for the same again."""
    is_archives: bool
    """Whether it is the list of series that the archive's services give, not what its downloader writes."""

    @property
    def in_bytes(self) -> bool:
        """Whether a size is a number of bytes, without a unit."""
        return self.is_archives or any(squeezed(heading) == _IN_BYTES for heading in self.found)

    def place(self, heading: str) -> int | None:
        """Where a heading of the downloader stands."""
        return self.known.index(heading) if heading in self.known else None


def read_headings(found: Sequence[str], expected: Collection[str]) -> Headings:
    """Which heading of the downloader each heading of a list stands for.

    Parameters
    ----------
    found : sequence of str
        Headings as found.
    expected : collection of str
        Those of the downloader, for the collection.

    Returns
    -------
    Headings
        Each of the downloader's is given once: to the heading that is written as it is, else to one that differs in case
        and white space, then in separators and what can't be seen, then to what others call the same; among equals to the
        first.
    """
    known: list[str | None] = [None] * len(found)
    foreign = set()
    ways = (
        (str, {heading: heading for heading in expected}),
        (plain_heading, {plain_heading(heading): heading for heading in expected}),
        (squeezed, {squeezed(heading): heading for heading in expected}),
        (squeezed, {other: heading for other, heading in _ELSEWHERE.items() if heading in expected}),
    )
    for form, names in ways:
        for place, heading in enumerate(found):
            meant = names.get(form(heading))
            if known[place] is None and meant is not None and meant not in known:
                known[place] = meant
                if names is ways[-1][1]:
                    foreign.add(meant)
    is_archives = SERIES in foreign and len(foreign) > 2 and LOCATION not in known
    return Headings(tuple(found), tuple(known), is_archives)


def nearest(headings: Headings, expected: Collection[str]) -> dict[int, str]:
    """Places of unknown headings that are much like one that is missing, each of these once.

    Parameters
    ----------
    headings : Headings
        The headings of a list.
    expected : collection of str
        Those of the downloader, for the collection.
    """
    left = {squeezed(heading): heading for heading in expected if heading not in headings.known}
    pairs: dict[int, str] = {}
    for place, (heading, known) in enumerate(zip(headings.found, headings.known, strict=True)):
        if known is None:
            for one in closest(squeezed(heading), left, _LIKELY)[:1]:
                pairs[place] = left.pop(one)
    return pairs
