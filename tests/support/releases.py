"""Synthetic releases that many tests share."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crlm_qc.collection.ledger import PublishedSeries
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import profile_for, write_release

MATRIX = 64
MAX_SLICES = 24
"""Size of the releases in tests: small enough to write many, large enough for every mask rule."""


def small_release(root: Path, *, patients: int = 3, seed: int = 1, **options: Any) -> SyntheticRelease:
    """Write a small release; `options` are those of `write_release`."""
    return write_release(root, patients=patients, seed=seed, **{"matrix": MATRIX, "max_slices": MAX_SLICES, **options})


def copy_release(release: SyntheticRelease, destination: Path) -> SyntheticRelease:
    """Copy a release to a folder that is not there yet; the copy may be changed."""
    shutil.copytree(release.root, destination)

    def moved(path: Path) -> Path:
        return destination / path.relative_to(release.root)

    return replace(
        release,
        root=destination,
        collection=moved(release.collection),
        metadata=moved(release.metadata),
        workbook=moved(release.workbook),
        manifest=moved(release.manifest),
    )


def with_ledger(profile: Profile, root: Path) -> Profile:
    """The profile, with the series of a release as the published ones."""
    series = collect(root, profile, depth=Depth.HEADERS, jobs=1)["series"]
    modality = {"ct": "CT", "dso": "SEG"}
    published = [
        PublishedSeries(row.patient, modality[row.role], row.series_uid, int(row.n_instances), int(row.size))
        for row in series.itertuples()
    ]
    return replace(profile, ledger={one.series_uid: one for one in published})


@pytest.fixture(scope="session")
def clean_release(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    """Three patients without a fault. Shared: copy it before changing it."""
    return small_release(tmp_path_factory.mktemp("clean") / "release")


@pytest.fixture(scope="session")
def small_profile() -> Profile:
    """The profile that fits releases of the tests' size."""
    return profile_for(MATRIX, max_slices=MAX_SLICES)
