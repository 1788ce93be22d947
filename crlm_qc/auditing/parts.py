"""Parts of a release that have nothing in common, so that rules on patients may judge them one by one.

Patients that share a folder, an image or what refers to one are a part together: what is to be said of them is said of
both. All others are parts of their own. What belongs to no patient, and the tables of the release, are a part too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.collection.forms import study_folder
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.tables import SOURCE_TABLES, TABLES
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.subjects.alike import FEWEST_MASKS

if TYPE_CHECKING:
    import pandas as pd

    Take = Callable[[str, Sequence[str]], pd.DataFrame]
    """Gives some columns of an evidence table."""

REST: Final = ""
"""What stands for a patient where there is none: files that lie outside, and tables of the release."""

Part = tuple[str, ...]
"""Patients that are judged together, and perhaps `REST`."""

_MANY: Final = 50
_NAMES: Final = ("file", "folder")
"""Sources of texts that are names, of a patient's files and folders."""

_SHARED: Final = (
    ("files", "sop_instance_uid", "instance"),
    ("references", "sop_instance_uid", "instance"),
    ("files", "series_uid", "series"),
    ("references", "series_uid", "series"),
    ("metadata", "series_uid", "series"),
    ("slices", "pixel_digest", "pixels"),
)
"""Tables and columns that tell of what patients may share, and what that is."""


@dataclass
class _Links:
    """Who has what; of an identifier no more is held than tells it from others."""

    places: dict[str, int] = field(default_factory=lambda: {REST: 0})
    """Patients, numbered."""
    found: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    """Hashes and their owners, by what they are of."""

    def add(self, kind: str, owners: pd.Series[Any], values: pd.Series[Any]) -> None:
        import numpy as np
        import pandas as pd

        there = values.notna().to_numpy()
        codes, names = pd.factorize(owners.fillna(REST).to_numpy(dtype=object))
        places = np.array([self.places.setdefault(str(one), len(self.places)) for one in names], dtype=np.int64)
        pairs = pd.DataFrame(
            {
                "value": pd.util.hash_array(values.to_numpy(dtype=object)[there]),
                "owner": places[codes][there] if len(codes) else places[:0],
            }
        ).drop_duplicates()
        self.found.setdefault(kind, []).append((pairs["value"].to_numpy(), pairs["owner"].to_numpy()))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Owners of the same."""
        import numpy as np

        for kind, of_kind in self.found.items():
            values, owners = (np.concatenate(one) for one in zip(*of_kind, strict=True))
            order = np.lexsort((owners, values))
            values, owners = values[order], owners[order]
            if kind == "mask":
                yield from _often(values, owners)
                continue
            same = (values[1:] == values[:-1]) & (owners[1:] != owners[:-1])
            yield from set(zip(owners[:-1][same].tolist(), owners[1:][same].tolist(), strict=True))


def _often(values: Any, owners: Any) -> Iterator[tuple[int, int]]:
    """Owners of several of the same: one mask, or two, may be alike by chance (XRF010)."""
    import numpy as np

    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1], True])
    counts: Counter[tuple[int, int]] = Counter()
    for start, end in pairwise(starts.tolist()):
        whose = sorted(set(owners[start:end].tolist())) if end - start > 1 else ()
        # What very many have is not worth telling whom it joins.
        counts.update(combinations(whose, 2) if len(whose) <= _MANY else dict.fromkeys(pairwise(whose), FEWEST_MASKS))
    yield from (pair for pair, count in counts.items() if count >= FEWEST_MASKS)


def parts_of(take: Take, tolerances: Tolerances) -> list[Part]:
    """The parts of a release.

    Parameters
    ----------
    take : callable
        Gives some columns of an evidence table.
    tolerances : Tolerances
        Which masks are large enough to be told from others.

    Returns
    -------
    list of tuple of str
        In order; each patient is in one of them, and `REST` too.
    """
    links = _Links()
    for name, column, kind in _SHARED:
        table = take(name, ("patient", column))
        if name == "metadata":
            table = table[table["patient"].notna()]
        links.add(kind, table["patient"], table[column])
    _link_folders(links, take)
    frames = take("frames", ("patient", "mask_digest", "voxels"))
    least = min(tolerances.repeated_mask_voxels, tolerances.shared_mask_voxels)
    frames = frames[frames["voxels"] >= least]
    links.add("mask", frames["patient"], frames["mask_digest"])
    leader = list(range(len(links.places)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for one, other in links.pairs():
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    members: dict[int, list[str]] = {}
    for patient, place in sorted(links.places.items()):
        members.setdefault(find(place), []).append(patient)
    return sorted(map(tuple, members.values()))


def _link_folders(links: _Links, take: Take) -> None:
    patients = take("patients", ("patient", "folder"))
    links.add("folder", patients["patient"], patients["folder"])
    # Where folders have no names, a patient's is found by its last part.
    links.add("last part", patients["patient"], patients["folder"].map(_last, na_action="ignore"))
    files = take("files", ("patient", "folder")).drop_duplicates()
    links.add("folder", files["patient"], files["folder"])
    # A study's folder is judged by all files below it.
    links.add("folder", files["patient"], files["folder"].map(_study, na_action="ignore"))
    texts = take("texts", ("patient", "source", "path"))
    texts = texts[texts["source"].isin(_NAMES)]
    links.add("name in a folder", texts["patient"], texts["path"].map(_above, na_action="ignore"))


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _study(folder: str) -> str | None:
    """The folder above, if it is one that the downloader makes for a study."""
    above = _above(folder)
    return None if study_folder(_last(above)) is None else above


def part_of(evidence: Evidence, patients: Collection[str]) -> Evidence:
    """The evidence of some parts alone.

    Parameters
    ----------
    evidence : Evidence
        Of the release; rows of other patients may lack.
    patients : collection of str
        Patients of whole parts, and `REST` if that is one of them.

    Returns
    -------
    Evidence
        The rows of these patients, and the tables of the release with `REST`; all in the order that they were in.
    """
    return Evidence(evidence.facts, {name: _own(name, evidence[name], patients) for name in TABLES})


def _own(name: str, table: pd.DataFrame, patients: Collection[str]) -> pd.DataFrame:
    if name in OF_PATIENTS:
        owners = table["patient"]
        if name == "texts":
            # Whose a cell is, tells nothing of whose table it stands in.
            owners = owners.where(table["source"].isin(_NAMES))
        own = owners.isin(list(patients))
        table = table[(own | owners.isna()) if REST in patients else own]
        return table.reset_index(drop=True)
    return table if REST in patients else table.iloc[:0]


OF_PATIENTS: Final = frozenset(name for name, table in TABLES.items() if "patient" in table.dtypes) - (
    SOURCE_TABLES - {"metadata"}
)
"""Tables the rows of which are patients', or nobody's."""
