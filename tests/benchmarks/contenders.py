"""What the audit is measured against, each run as a process of its own: `python contenders.py NAME ROOT JOBS`.

Standard libraries alone at import, so that a contender pays for what it uses.
"""

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

CHUNK = 1 << 20


def series(patient: Path) -> list[list[Path]]:
    """The files of each series folder of a patient."""
    folders = sorted({path.parent for path in patient.rglob("*.dcm")})
    return [sorted(folder.glob("*.dcm")) for folder in folders]


def read_bytes(patient: Path) -> int:
    """Every byte of every file."""
    total = 0
    for path in patient.rglob("*.dcm"):
        with path.open("rb", buffering=0) as file:
            while part := file.read(CHUNK):
                total += len(part)
    return total


def bare_headers(patient: Path) -> int:
    """Every header, as pydicom reads it when nobody asks for a value."""
    import pydicom

    return sum(len(pydicom.dcmread(path, stop_before_pixels=True)) for path in patient.rglob("*.dcm"))


def plain_loader(patient: Path) -> dict[str, float]:
    """What a script does that wants volumes: SimpleITK's CT, and highdicom's volume of each segment."""
    import highdicom as hd
    import SimpleITK as sitk  # noqa: N813 - its own documentation calls it so

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    warnings.simplefilter("ignore")
    millilitres = {}
    for files in series(patient):
        if len(files) > 1:
            reader = sitk.ImageSeriesReader()
            reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(files[0].parent)))
            image = reader.Execute()
            assert image.GetSize()[2] == len(files)
        else:
            segmentation = hd.seg.segread(files[0])
            for number in segmentation.segment_numbers:
                volume = segmentation.get_volume(segment_numbers=[number])
                millilitres[f"{patient.name} {number}"] = float((volume.array > 0).sum() * volume.voxel_volume / 1000)
    return millilitres


CONTENDERS: dict[str, Callable[[Path], object]] = {
    "bytes": read_bytes,
    "bare-headers": bare_headers,
    "plain-loader": plain_loader,
}


def run(name: str, patients: Iterable[Path], jobs: int) -> list[object]:
    """One task a patient, in the same kind of processes as the audit's."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(CONTENDERS[name], patients))


def read_evidence(root: Path, jobs: int) -> int:
    """The audit's own reading of headers, tables and lists, without judging."""
    from crlm_qc.collection.reading import load_profile
    from crlm_qc.evidence.collect import collect
    from crlm_qc.model.settings import Depth

    found = collect(root, load_profile(), depth=Depth.HEADERS, jobs=jobs)
    assert len(found["slices"])
    return len(found["files"])


if __name__ == "__main__":
    name, folder, jobs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    print(read_evidence(folder, jobs) if name == "read-headers" else run(name, sorted(folder.iterdir()), jobs))
