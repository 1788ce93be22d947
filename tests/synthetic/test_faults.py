from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from support.faults import ReleaseFor, release_for
from support.releases import clean_release, copy_release

from crlm_qc.model.family import CODE
from crlm_qc.rulebook.rule import RuleKind
from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import FAULTS, plant
from crlm_qc.synthetic.faults._site import Site, size_text
from crlm_qc.synthetic.faults.seg import _main_part
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "release_for"]

# Rules that no fault of a release can show, and why.
EXEMPT = {
    "PUB003": "a figure over all 197 patients",
    "PUB004": "a figure over all 197 patients",
    "PUB005": "a figure over all 197 patients",
    "PUB006": "a figure over all 197 patients",
    "PUB007": "a figure over all 197 patients",
    "PUB008": "a figure over all 197 patients",
}


def snapshot(root: Path) -> dict[str, bytes]:
    """Content of every file, and target of every link, by path."""
    return {
        path.relative_to(root).as_posix(): b"-> " + str(path.readlink()).encode()
        if path.is_symlink()
        else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@cache
def snapshot_once(root: Path) -> dict[str, bytes]:
    """The snapshot of a release that tests share, and so leave as it is."""
    return snapshot(root)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_what_it_says_and_nothing_else(name: str, release_for: ReleaseFor, tmp_path: Path) -> None:
    clean = release_for(FAULTS[name])
    first, second = (copy_release(clean, tmp_path / folder) for folder in "ab")
    before = snapshot_once(clean.root)

    touched = plant(first, name)
    after = snapshot(first.root)

    assert touched == sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert touched
    assert (plant(second, name), snapshot(second.root)) == (touched, after), "not deterministic"
    if FAULTS[name].scope == "patient":
        assert [path for path in touched if not path.startswith(places_of_the_second(first))] == []


def places_of_the_second(release: SyntheticRelease) -> tuple[str, ...]:
    """Where a fault of the second patient may change something: its own images, and the tables and lists."""
    own = release.collection / release.patients[1]
    tables = (release.metadata, release.workbook, release.manifest)
    return (
        f"{own.relative_to(release.root).as_posix()}/",
        *(path.relative_to(release.root).as_posix() for path in tables),
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_what_it_is(name: str) -> None:
    fault = FAULTS[name]
    assert fault.name == name
    assert fault.doc.endswith(".")
    assert fault.triggers
    assert all(CODE.fullmatch(code) for code in fault.triggers)
    assert len(set(fault.triggers)) == len(fault.triggers)


def test_every_rule_has_a_fault() -> None:
    shown = {code for fault in FAULTS.values() for code in fault.triggers}
    # What the audit says of itself (crashes, waivers) does not come from the release.
    rules = {item.code for item in registry() if item.kind is not RuleKind.AUDIT}
    assert rules - shown - EXEMPT.keys() == set()
    assert shown & EXEMPT.keys() == set()


def test_the_patient_may_be_named(clean_release: SyntheticRelease, tmp_path: Path) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    third = release.patients[2]
    touched = plant(release, f"dso-modality:{third}")
    assert [third in path for path in touched] == [True]


def test_the_first_patient_of_one_is_taken(release_of: Callable[..., SyntheticRelease], tmp_path: Path) -> None:
    release = copy_release(release_of(1), tmp_path / "release")
    assert release.patients[0] in plant(release, "dso-modality")[0]


@pytest.fixture
def release_of(clean_release: SyntheticRelease) -> Callable[..., SyntheticRelease]:
    """The release as if it had the first patients only; others are left on disk."""
    from dataclasses import replace

    return lambda patients: replace(clean_release, patients=clean_release.patients[:patients])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dso-modalty", "unknown fault 'dso-modalty': did you mean dso-modality"),
        ("zzzz", "unknown fault 'zzzz'$"),
        ("dso-modality:CRLM-CT-9001", "unknown patient 'CRLM-CT-9001': did you mean CRLM-CT-1001"),
        ("dso-modality:", "unknown patient ''"),
        ("metadata-missing:CRLM-CT-1001", "leave out the patient"),
        ("clinical-risk-score", "needs the workbook's edition april-2023"),
        ("workbook-shuffled", "needs a release of 20 patients"),
        ("patient-dropped:CRLM-CT-1001", "first or last"),
    ],
)
def test_what_cannot_be_planted_is_refused(
    spec: str, message: str, clean_release: SyntheticRelease, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    before = snapshot(release.root)
    with pytest.raises(ValueError, match=message):
        plant(release, spec)
    assert snapshot(release.root) == before


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("dso-missing", "dso-modality", "has no segmentation object"),
        ("ct-missing", "ct-modality", "has no CT series"),
        ("metadata-missing", "row-modality", "has no metadata.csv"),
        ("manifest-missing", "manifest-list-missing", "has no manifest"),
        ("workbook-missing", "sex-differs", "has no workbook"),
        ("patient-not-in-workbook", "sex-differs", "has no row"),
        ("dso-fractional", "dso-frame-twice", "already has another fault"),
        ("file-not-dicom", "ct-gap", "another one has changed what it needs"),
    ],
)
def test_a_fault_that_another_left_no_room_for_is_refused(
    first: str, second: str, message: str, clean_release: SyntheticRelease, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    plant(release, first)
    with pytest.raises(ValueError, match=message):
        plant(release, second)


def test_a_fault_needs_another_patient(release_of: Callable[..., SyntheticRelease]) -> None:
    with pytest.raises(ValueError, match="two patients"):
        plant(release_of(1), "dso-series-of-other")


def test_an_edit_leaves_other_elements_alone(clean_release: SyntheticRelease, tmp_path: Path) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    patient = release.patients[1]
    for path in (release.ct_files(patient)[0], release.dso_file(patient)):
        before = path.read_bytes()
        with Site(release, patient, "test").dicom(path):
            pass
        assert path.read_bytes() == before


def test_masks_taken_apart_and_put_together_are_the_same(clean_release: SyntheticRelease, tmp_path: Path) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    site = Site(release, release.patients[1], "test")
    path = site.dso_file
    before, old = path.read_bytes(), pydicom.dcmread(path)
    with site.dso() as dso:
        dso.reindex()
    assert path.read_bytes() == before

    stack = site.stack()
    with site.dso() as dso:
        for number in range(1, len(dso.segments) + 1):
            dso.set_volume(number, dso.volume(number, stack), stack)
    new = pydicom.dcmread(path)
    assert new.NumberOfFrames == old.NumberOfFrames
    assert new.ReferencedSeriesSequence == old.ReferencedSeriesSequence
    with site.dso() as again:
        for number in range(1, len(again.segments) + 1):
            frames = again.frames_of(number)
            assert [frame.index[0] for frame in frames] == [number] * len(frames)
            assert sorted(frame.index[1] for frame in frames) == list(
                range(min(frame.index[1] for frame in frames), max(frame.index[1] for frame in frames) + 1)
            )


@pytest.mark.parametrize(
    ("size", "text"), [(812, "812 B"), (163_310, "163.31 KB"), (84_840_000, "84.84 MB"), (1_250_000_000, "1.25 GB")]
)
def test_sizes_are_written_as_the_downloader_writes_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_specks_are_no_part_of_a_mask() -> None:
    volume = np.zeros((3, 6, 6), dtype=bool)
    volume[0:3, 1:4, 1:4] = True
    speck = volume.copy()
    speck[1, 5, 5] = True
    assert (_main_part(speck) == volume).all()
    single = np.zeros_like(volume)
    single[0, 0, 0] = True
    assert (_main_part(single) == single).all()
