"""What folders are called where their own names are not to stand: after the patient, and after what lies in them.

The names of study and series folders hold dates and descriptions. `CRLM-CT-1046/CT/1-045.dcm` names the file as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from crlm_qc.collection.forms import series_folder, study_folder

CT, SEG, STUDY, FOLDER = "CT", "SEG", "study", "folder"
_KINDS = {"ct": CT, "dso": SEG}


@dataclass(frozen=True)
class Places:
    """Aliases of the folders of a release.

    Parameters
    ----------
    patients : mapping of str to str
        Patient folder to patient.
    folders : iterable of tuple
        Folder and kind of each file (`ct`, `dso` and others), as the table `files` has them.
    """

    patients: Mapping[str, str]
    folders: Iterable[tuple[str, str]] = field(repr=False)
    _aliases: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Give every folder its alias."""
        roles: dict[str, dict[str, int]] = {}
        for folder, kind in self.folders:
            counts = roles.setdefault(folder, {})
            role = _KINDS.get(kind, FOLDER)
            counts[role] = counts.get(role, 0) + 1
        known = {folder: self._role(counts) for folder, counts in roles.items()}
        for folder in list(known):
            images = known[folder] in (CT, SEG)
            for above in _above(folder):
                if above not in roles and (images or above not in known):
                    known[above] = STUDY if images else known.get(above, FOLDER)
        taken: dict[tuple[str, str], int] = {}
        for folder, patient in self.patients.items():
            self._aliases[folder] = patient
        for folder in sorted(known):
            owner = next((above for above in _above(folder) if above in self.patients), None)
            if owner is None or folder in self.patients:
                continue
            key = self.patients[owner], known[folder]
            taken[key] = taken.get(key, 0) + 1
            self._aliases[folder] = "/".join(key) + ("" if taken[key] == 1 else f"-{taken[key]}")
        for folder, alias in list(self._aliases.items()):
            # Tables name folders from another one on.
            owner = next((one for one in (folder, *_above(folder)) if one in self.patients), folder)
            name = owner.rpartition("/")[2]
            self._aliases.setdefault(name + folder[len(owner) :], alias)

    @staticmethod
    def _role(counts: Mapping[str, int]) -> str:
        images = {role: count for role, count in counts.items() if role in (CT, SEG)}
        return max(sorted(images), key=lambda role: images[role]) if images else FOLDER

    def __call__(self, path: str, shown: Callable[[str], str]) -> str:
        """The alias of a path.

        Parameters
        ----------
        path : str
            Path relative to the release, with forward slashes.
        shown : callable
            How a name is shown that is none of a study's or series' folder.

        Returns
        -------
        str
            The path from the patient on; of a folder that is not known, only that it is one.
        """
        parts = path.split("/")
        for length in range(len(parts), 0, -1):
            for first in range(length):
                alias = self._aliases.get("/".join(parts[first:length]))
                if alias is not None:
                    return "/".join([alias, *(_unnamed(part, shown) for part in parts[length:])])
        return "/".join(_unnamed(part, shown) for part in parts)


def _unnamed(part: str, shown: Callable[[str], str]) -> str:
    return FOLDER if study_folder(part) or series_folder(part) else shown(part)


def _above(folder: str) -> Iterable[str]:
    while folder := folder.rpartition("/")[0]:
        yield folder
