"""Which patients are of which part of a release, the same on every machine that lists the same files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heapreplace

from crlm_qc.evidence.release import PatientFolder
from crlm_qc.model.part import Part


def share(patients: Sequence[PatientFolder], part: Part) -> list[PatientFolder]:
    """The patients of a part, with all of their folders.

    The largest first, each goes to the share that has the fewest bytes so far, so that all take about as long to read.

    Parameters
    ----------
    patients : sequence of PatientFolder
        Folders of all patients that are read in one part or another.
    part : Part
        Which share.

    Returns
    -------
    list of PatientFolder
        In their order; empty if there are fewer patients than parts.
    """
    size: Counter[str] = Counter()
    for one in patients:
        size[one.patient] += sum(item.size or 0 for item in one.items)
    # Of as many bytes, the one with fewer patients gets the next: empty ones are shared out too.
    shares = [(0, 0, number) for number in range(1, part.of + 1)]
    heapify(shares)
    mine: set[str] = set()
    for patient in sorted(size, key=lambda one: (-size[one], one)):
        held, count, number = shares[0]
        heapreplace(shares, (held + size[patient], count + 1, number))
        if number == part.number:
            mine.add(patient)
    return [one for one in patients if one.patient in mine]
