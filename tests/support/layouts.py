"""A release laid out anew, as archives, libraries and mirrors of it do."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pydicom

from crlm_qc.synthetic.release import SyntheticRelease

Layout = Callable[[SyntheticRelease], None]
"""Lays a release out anew, in its own folder."""


def _images(
    release: SyntheticRelease, folder: Callable[[pydicom.Dataset], str], name: Callable[[pydicom.Dataset, Path], str]
) -> dict[str, str]:
    """Put every image where its header says, and take the downloader's folders away; the new folder of each series."""
    folders = {}
    for path in sorted(release.collection.rglob("*.dcm")):
        data = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        folders[str(data.SeriesInstanceUID)] = folder(data)
        target = release.root / folder(data) / name(data, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    shutil.rmtree(release.collection)
    return folders


def _without_tables(release: SyntheticRelease) -> None:
    """Take metadata.csv, workbook and manifest away, which other archives don't give."""
    release.metadata.unlink(missing_ok=True)
    release.workbook.unlink()
    release.manifest.unlink()


def _locate(release: SyntheticRelease, folders: Mapping[str, str]) -> None:
    """Have metadata.csv, moved to the root, follow the images."""
    with release.metadata.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["File Location"] = f"./{folders[row['Series UID']]}"
    release.metadata.unlink()
    with (release.root / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _number(data: pydicom.Dataset, path: Path) -> str:
    return f"{int(data.get('InstanceNumber', 1)) - 1:06d}.dcm"


def _of_instance(data: pydicom.Dataset, path: Path) -> str:
    # As random as a name of the archive's own, and the same in every run.
    return f"{pydicom.uid.generate_uid(entropy_srcs=[data.SOPInstanceUID]).rpartition('.')[2]:.32}.dcm"


def _same_name(data: pydicom.Dataset, path: Path) -> str:
    return path.name


def _card(release: SyntheticRelease) -> None:
    for folder in list(release.collection.iterdir()):
        folder.rename(release.root / folder.name)
    release.metadata.rename(release.collection / release.metadata.name)


def _classic(release: SyntheticRelease) -> None:
    name = release.collection.name
    _locate(
        release,
        _images(release, lambda d: f"{name}/{d.PatientID}/{d.StudyInstanceUID}/{d.SeriesInstanceUID}", _number),
    )


def _idc(release: SyntheticRelease) -> None:
    def place(data: pydicom.Dataset) -> str:
        series = f"{data.Modality}_{data.SeriesInstanceUID}"
        return f"colorectal_liver_metastases/{data.PatientID}/{data.StudyInstanceUID}/{series}"

    _images(release, place, _of_instance)
    _without_tables(release)


def _idc_flat(release: SyntheticRelease) -> None:
    _images(release, lambda _: "", _of_instance)
    _without_tables(release)


def _bucket(release: SyntheticRelease) -> None:
    def place(data: pydicom.Dataset) -> str:
        return pydicom.uid.generate_uid(entropy_srcs=[data.SeriesInstanceUID]).rpartition(".")[2][:32]

    _images(release, place, _of_instance)
    _without_tables(release)


def _tcia_utils(release: SyntheticRelease) -> None:
    folders = _images(release, lambda d: f"tciaDownload/{d.SeriesInstanceUID}", _same_name)
    for folder in folders.values():
        (release.root / folder / "LICENSE").write_text("CC BY 4.0\n")
    release.metadata.unlink()


def _lower_cased(release: SyntheticRelease) -> None:
    for path in sorted(release.root.rglob("*"), key=lambda path: -len(path.parts)):
        if path.name != path.name.lower():
            path.rename(path.with_name(path.name.lower()))


def _no_suffixes(release: SyntheticRelease) -> None:
    for path in list(release.collection.rglob("*.dcm")):
        path.rename(path.with_suffix(""))


def _renamed(release: SyntheticRelease) -> None:
    release.collection.rename(release.collection.with_name("CRLM"))


def _doubled(release: SyntheticRelease) -> None:
    inner = release.collection.rename(release.collection.with_name("inner"))
    release.collection.mkdir()
    inner.rename(release.collection / release.collection.name)


def _train_and_test(release: SyntheticRelease) -> None:
    for number, folder in enumerate(sorted(release.collection.iterdir())):
        target = release.root / ("train", "test")[number % 2] / folder.name
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
    release.metadata.rename(release.root / release.metadata.name)
    shutil.rmtree(release.collection.parent)


LAYOUTS: Mapping[str, Layout] = {
    "card": _card,
    "classic": _classic,
    "idc": _idc,
    "idc-flat": _idc_flat,
    "bucket": _bucket,
    "tcia-utils": _tcia_utils,
    "lower-cased": _lower_cased,
    "no-suffixes": _no_suffixes,
    "renamed": _renamed,
    "doubled": _doubled,
    "train-and-test": _train_and_test,
}
"""Ways that a release lies on disks, beside that of the NBIA downloader."""
