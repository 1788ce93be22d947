"""Synthetic releases that many tests share."""

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from support import kept

from crlm_qc.collection.ledger import PublishedSeries
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.release import SyntheticRelease
from crlm_qc.synthetic.writer import profile_for, write_release

MATRIX = 64
MAX_SLICES = 24
"""Size of the releases in tests: small enough to write many, large enough for every mask rule."""


def write_small(root: Path, *, patients: int = 3, seed: int = 1, **options: Any) -> SyntheticRelease:
    """Write a small release; `options` are those of `write_release`."""
    return write_release(root, patients=patients, seed=seed, **{"matrix": MATRIX, "max_slices": MAX_SLICES, **options})


def small_release(root: Path, **options: Any) -> SyntheticRelease:
    """A small release, in a folder that is empty or not there yet: what `write_small` writes, written once a run."""
    plain = all(isinstance(value, str | int) for value in options.values())
    if not kept.folders or not plain:
        return write_small(root, **options)
    place = kept.folders[0] / "-".join(("release", *(f"{name}-{value}" for name, value in sorted(options.items()))))
    if not place.exists():
        # Another worker may write the same; the first that is done is kept.
        made = Path(tempfile.mkdtemp(dir=kept.folders[0]))
        release = write_small(made / "release", **options)
        (made / "release.json").write_text(json.dumps(asdict(_moved(release, Path())), default=str), encoding="utf-8")
        with suppress(OSError):
            made.rename(place)
    facts = json.loads((place / "release.json").read_text(encoding="utf-8"))
    paths = {name: Path(facts[name]) for name in ("root", "collection", "metadata", "workbook", "manifest")}
    release = _moved(SyntheticRelease(**{**facts, **paths, "patients": tuple(facts["patients"])}), place / "release")
    shutil.copytree(release.root, root, dirs_exist_ok=True)
    return _moved(release, root)


def _moved(release: SyntheticRelease, root: Path) -> SyntheticRelease:
    """The release, as if it lay in another folder."""

    def moved(path: Path) -> Path:
        return root / path.relative_to(release.root)

    return replace(
        release,
        root=root,
        collection=moved(release.collection),
        metadata=moved(release.metadata),
        workbook=moved(release.workbook),
        manifest=moved(release.manifest),
    )


def copy_release(release: SyntheticRelease, destination: Path) -> SyntheticRelease:
    """Copy a release to a folder that is not there yet; the copy may be changed."""
    shutil.copytree(release.root, destination)
    return _moved(release, destination)


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
