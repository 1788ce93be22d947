"""Writes a synthetic release: images, segmentation objects, metadata.csv, manifest and clinical workbook."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from crlm_qc.collection.forms import SeriesFolder, StudyFolder, uid_tail
from crlm_qc.collection.profile import Edition, Profile, Span
from crlm_qc.collection.reading import load_profile
from crlm_qc.synthetic import ct, dso, phantom
from crlm_qc.synthetic.clinical import workbook_row, write_workbook
from crlm_qc.synthetic.cohort import PatientPlan, draw, slice_counts, with_figures
from crlm_qc.synthetic.limits import SOP_CLASSES, refuse_what_cannot_be_drawn
from crlm_qc.synthetic.release import EditionName, Layout, SyntheticRelease
from crlm_qc.workers import Progress, each

MIN_MATRIX = 64
MIN_SLICES = 17
"""Fewer, 7.5 mm apart, would not hold a liver of the published range in every field of view."""
PHASE = "writing patients"

_PUBLISHED_MATRIX = 512
_MANIFEST_FOLDER = "manifest-1669817128730"
_MANIFEST_NAME = "{collection}-November-2022-manifest.tcia"
_WORKBOOK_NAME = "{collection}-Clinical-data-{edition}.xlsx"
_EDITIONS: dict[EditionName, str] = {"october-2022": "October 2022", "april-2023": "April 2023"}
_VOXELS_A_PROCESS = 20_000_000
_MAX_PROCESSES = 8
_TIMESTAMP = "2022-11-30T14:05:28.730"
_REFUSED = re.compile(r'[\\/:*?"<>|]')
"""What a file system refuses in a name, and the downloader drops."""
_LICENCE = "{title}. doi:{doi}. {licence}. A synthetic release: no image or value in it is of a person.\n"


class NotEmptyError(ValueError):
    """The folder to write to holds something already."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of metadata.csv."""

    plan: PatientPlan
    modality: str
    series_uid: str
    series_description: str
    manufacturer: str
    images: int
    size: int
    folder: str


@dataclass(frozen=True, slots=True)
class _Written:
    """What came of one patient."""

    rows: tuple[_Row, ...]
    largest_tumour_cm: float


def profile_for(matrix: int, profile: Profile | None = None, max_slices: int | None = None) -> Profile:
    """The profile with the published image size, spacing and slice counts that a synthetic release has.

    An image of fewer voxels has larger ones, for the body stays as large as it is. Audit a release of another size than
    512 with this profile, or the rules on the published size and spacing speak.

    Parameters
    ----------
    matrix : int
        Rows and columns of an image.
    profile : Profile, optional
        Profile to begin with; that of Colorectal-Liver-Metastases by default.
    max_slices : int, optional
        The cap given to `write_release`.

    Returns
    -------
    Profile
        The profile itself where nothing differs.
    """
    profile = profile or load_profile()
    published = profile.published
    if published.rows is not None and matrix != published.rows:
        scale = published.rows / matrix
        pixels = published.spacing_in_plane_mm
        published = replace(
            published,
            rows=matrix,
            columns=matrix,
            spacing_in_plane_mm=None if pixels is None else pixels.scaled(scale),
        )
    if max_slices is not None and published.slices_per_series is not None and published.ct_slices is not None:
        cap = max_slices
        counts = [min(count, cap) for count in slice_counts(published)]
        published = replace(
            published,
            ct_slices=sum(counts),
            slices_per_series=_mapped(published.slices_per_series, lambda value: min(value, cap)),
        )
    return profile if published is profile.published else replace(profile, published=published)


def _mapped(span: Span, change: Callable[[float], float]) -> Span:
    return Span(change(span.min), change(span.max), None if span.median is None else change(span.median))


def write_release(
    root: Path,
    *,
    patients: int,
    seed: int,
    layout: Layout = "nbia",
    edition: EditionName = "october-2022",
    matrix: int = _PUBLISHED_MATRIX,
    profile: Profile | None = None,
    jobs: int | None = 1,
    max_slices: int | None = None,
    progress: Progress | None = None,
) -> SyntheticRelease:
    """Write a synthetic release in which no rule finds a fault.

    Parameters
    ----------
    root : pathlib.Path
        Folder to write to, empty or not there yet.
    patients : int
        How many patients; 197 have the published figures, fewer are a sample of them.
    seed : int
        The same arguments give the same bytes, whatever `jobs` is.
    layout : {"nbia", "card"}
        As the downloader lays a release out, or as the dataset card draws it.
    edition : {"october-2022", "april-2023"}
        Edition of the clinical workbook, or the newest where the profile has none of the name; none is written for a
        collection without one.
    matrix : int
        Rows and columns of an image. An audit of another size than the published one needs `profile_for`.
    profile : Profile, optional
        Names, UID root, vocabulary and published figures, the latter for images of the published size. Figures that it
        lacks are those of Colorectal-Liver-Metastases.
    jobs : int, optional
        Processes that write patients; None for as many as the machine and the size of the release are worth.
    max_slices : int, optional
        Cap on the slices of a series, for quick tests; slices then lie farther apart.
    progress : callable, optional
        Told of each patient written.

    Returns
    -------
    SyntheticRelease
        Where the parts lie.

    Raises
    ------
    NotEmptyError
        `root` holds something already, or is no folder.
    ValueError
        An argument out of its range, or something in the profile that no release can be drawn after; nothing is written.
    """
    _check(root, patients, seed, matrix, jobs, max_slices)
    profile = profile or load_profile()
    figures = profile_for(matrix, with_figures(profile, matrix))
    plans = draw(patients, seed, figures, matrix=matrix, max_slices=max_slices)
    columns = _edition(edition, profile)
    refuse_what_cannot_be_drawn(plans, profile, profile_for(matrix, profile, max_slices).published, columns)
    parts = _parts(root, layout, columns, profile.name)
    release = SyntheticRelease(
        root=root,
        collection=root if layout == "card" else parts[0].parent / profile.name,
        metadata=parts[0],
        workbook=parts[1],
        manifest=parts[2],
        patients=tuple(plan.patient for plan in plans),
        seed=seed,
        layout=layout,
        edition=edition,
    )
    release.collection.mkdir(parents=True, exist_ok=True)
    release.metadata.parent.mkdir(parents=True, exist_ok=True)
    write = partial(_write_patient, release.collection, licence=_LICENCE.format(**_about(profile)))
    written = each(write, plans, _worth(plans) if jobs is None else jobs, phase=PHASE, progress=progress)
    rows = [row for one in written for row in one.rows]
    _write_metadata(release.metadata, rows, profile)
    _write_manifest(release.manifest, [row.series_uid for row in rows])
    if columns is not None:
        table = [
            workbook_row(plan, one.largest_tumour_cm, columns, profile)
            for plan, one in zip(plans, written, strict=True)
        ]
        write_workbook(release.workbook, table, columns, profile)
    return release


def _edition(name: EditionName, profile: Profile) -> Edition | None:
    """The edition of the workbook that was asked for, else the newest; None if the collection has no workbook."""
    return next(
        (one for one in profile.editions if one.name == _EDITIONS[name]), next(reversed(profile.editions), None)
    )


def _check(root: Path, patients: int, seed: int, matrix: int, jobs: int | None, max_slices: int | None) -> None:
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise NotEmptyError(f"{root} is not an empty folder: name a new one")
    for name, value, least in (
        ("patients", patients, 1),
        ("seed", seed, 0),
        ("matrix", matrix, MIN_MATRIX),
        ("jobs", 1 if jobs is None else jobs, 1),
        ("max_slices", MIN_SLICES if max_slices is None else max_slices, MIN_SLICES),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}")


def _parts(root: Path, layout: Layout, edition: Edition | None, collection: str) -> tuple[Path, Path, Path]:
    """Paths of metadata.csv, workbook and manifest."""
    named = "none" if edition is None else _name(edition.name).replace(" ", "-")
    workbook = _WORKBOOK_NAME.format(collection=collection, edition=named)
    inner = root / _MANIFEST_FOLDER
    if layout == "card":
        inner /= collection
    return inner / "metadata.csv", root / workbook, root / _MANIFEST_NAME.format(collection=collection)


def _about(profile: Profile) -> dict[str, str]:
    return {"title": profile.title, "doi": profile.doi, "licence": profile.licence}


def _worth(plans: Sequence[PatientPlan]) -> int:
    """How many processes to start: none but this one for what it writes while others would still be starting."""
    voxels = sum(plan.slices * plan.matrix**2 for plan in plans)
    return max(1, min(os.cpu_count() or 1, _MAX_PROCESSES, voxels // _VOXELS_A_PROCESS))


def _write_patient(collection: Path, plan: PatientPlan, *, licence: str) -> _Written:
    built = phantom.build(plan)
    slices = ct.headers(plan)
    date, described = plan.study_date.strftime("%m-%d-%Y"), f"NA-{_name(plan.study_description)}"
    base = PurePosixPath(plan.patient, StudyFolder(date, described, uid_tail(plan.uid("study"))).name)
    ct_folder = base / _series_folder(plan.series_number, plan.series_description, plan.uid("ct series"))
    dso_folder = base / _series_folder(dso.SERIES_NUMBER, dso.SERIES_DESCRIPTION, plan.uid("dso series"))
    for folder in (ct_folder, dso_folder):
        # It is there already if the process that began to write it died.
        (collection / folder).mkdir(parents=True, exist_ok=True)
        (collection / folder / "LICENSE").write_text(licence, encoding="utf-8", newline="\n")
    ct_size = ct.write_series(collection / ct_folder, plan, slices, built)
    dso_size = dso.write_dso(collection / dso_folder, plan, slices, built)
    maker, described = plan.scanner.manufacturer, plan.series_description or "NA"
    return _Written(
        rows=(
            _Row(plan, "SEG", plan.uid("dso series"), dso.SERIES_DESCRIPTION, dso.MANUFACTURER, 1, dso_size, str(dso_folder)),
            _Row(plan, "CT", plan.uid("ct series"), described, maker, plan.slices, ct_size, str(ct_folder)),
        ),
        largest_tumour_cm=built.largest_tumour_cm,
    )  # fmt: skip


def _name(text: str) -> str:
    return _REFUSED.sub("", text)


def _series_folder(number: int, description: str | None, uid: str) -> str:
    return SeriesFolder(str(number), _name(description or "NA"), uid_tail(uid)).name


def _file_size(size: int) -> str:
    """Bytes as the downloader writes them: decimal units, two decimals."""
    return f"{size / 1e6:.2f} MB" if size >= 1_000_000 else f"{size / 1e3:.2f} KB"


def _write_metadata(path: Path, rows: Iterable[_Row], profile: Profile) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, profile.metadata_columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for row in rows:
            plan = row.plan
            sop_class = SOP_CLASSES[row.modality]
            table.writerow(
                {
                    "Series UID": row.series_uid,
                    "Collection": profile.name,
                    "3rd Party Analysis": "NO",
                    "Data Description URI": f"https://doi.org/{profile.doi}",
                    "Subject ID": plan.patient,
                    "Study UID": plan.uid("study"),
                    "Study Description": plan.study_description,
                    "Study Date": plan.study_date.strftime(profile.date_format),
                    "Series Description": row.series_description,
                    "Manufacturer": row.manufacturer,
                    "Modality": row.modality,
                    "SOP Class Name": profile.modalities[row.modality][sop_class],
                    "SOP Class UID": sop_class,
                    "Number of Images": row.images,
                    "File Size": _file_size(row.size),
                    "File Location": f"./{profile.name}/{row.folder}",
                    "Download Timestamp": _TIMESTAMP,
                }
            )


def _write_manifest(path: Path, series: Iterable[str]) -> None:
    lines = [
        "downloadServerUrl=https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet",
        "includeAnnotation=true",
        "noOfrRetry=4",
        f"databasketId={_MANIFEST_FOLDER}.tcia",
        "manifestVersion=3.0",
        "ListOfSeriesToDownload=",
        *series,
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
