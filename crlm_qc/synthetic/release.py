"""A synthetic release on disk, and where its parts lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Layout = Literal["nbia", "card"]
EditionName = Literal["october-2022", "april-2023"]


@dataclass(frozen=True, slots=True)
class SyntheticRelease:
    """Where the parts of a written release lie; faults are planted through it."""

    root: Path
    """What a user passes to `crlm-qc check`."""
    collection: Path
    """The folder that holds the patient folders."""
    metadata: Path
    workbook: Path
    """Where it lies, or would lie in a collection that has none."""
    manifest: Path
    patients: tuple[str, ...]
    seed: int
    layout: Layout
    edition: EditionName

    def ct_folder(self, patient: str) -> Path:
        """The folder of the patient's CT series."""
        return next(folder for folder in self._series_folders(patient) if "-Segmentation-" not in folder.name)

    def dso_folder(self, patient: str) -> Path:
        """The folder of the patient's segmentation object."""
        return next(folder for folder in self._series_folders(patient) if "-Segmentation-" in folder.name)

    def ct_files(self, patient: str) -> list[Path]:
        """The CT files in the order of their names."""
        return sorted(self.ct_folder(patient).glob("*.dcm"))

    def dso_file(self, patient: str) -> Path:
        """The segmentation object."""
        return next(iter(sorted(self.dso_folder(patient).glob("*.dcm"))))

    def _series_folders(self, patient: str) -> list[Path]:
        return sorted(folder for folder in (self.collection / patient).glob("*/*") if folder.is_dir())
