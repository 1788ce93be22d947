"""Where a fault is planted: one patient of one release, with hands that write and remember what they wrote."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from crlm_qc.synthetic.faults._slices import Edge, Slice
from crlm_qc.synthetic.faults._workbook import MISSING
from crlm_qc.synthetic.release import SyntheticRelease

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

    from crlm_qc.synthetic.faults._dso import Segmentation
    from crlm_qc.synthetic.faults._workbook import Workbook

Role = Literal["ct", "dso"]
Row = dict[str, str]
T = TypeVar("T")

_MODALITY: dict[Role, str] = {"ct": "CT", "dso": "SEG"}


@dataclass
class Table:
    """metadata.csv: its headings and rows."""

    columns: list[str]
    rows: list[Row]

    def of(self, patient: str, role: Role) -> Row:
        """The row of a patient's series.

        Raises
        ------
        ValueError
            There is none.
        """
        found = self.rows_of(patient, role)
        if not found:
            raise ValueError(f"metadata.csv has no {_MODALITY[role]} row of {patient}")
        return found[0]

    def rows_of(self, patient: str, role: Role) -> list[Row]:
        """All rows of a patient's series."""
        return [row for row in self.rows if row["Subject ID"] == patient and row["Modality"] == _MODALITY[role]]

    def to_text(self, newline: str) -> str:
        """The table as CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=newline)
        writer.writerow(self.columns)
        writer.writerows([row[column] for column in self.columns] for row in self.rows)
        return out.getvalue()


def size_text(size: int) -> str:
    """Bytes as the downloader writes them: `84.84 MB`, units being powers of 1000."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} B"


class Site:
    """One place to plant a fault.

    Every file that is written, removed or moved through it is remembered; `settle` brings File Size of metadata.csv
    up to date, so that a fault is about what it names and not about the bytes that it costs.
    """

    def __init__(self, release: SyntheticRelease, patient: str, name: str) -> None:
        self.release = release
        self.patient = patient
        self.name = name
        self.sizes_follow = True
        self._touched: set[Path] = set()
        self._sizes: dict[Role, int | None] = {"ct": self._size("ct"), "dso": self._size("dso")}

    # Names and places

    @property
    def ct_folder(self) -> Path:
        """The folder of the CT series."""
        return self._place(self.release.ct_folder, "CT series")

    @property
    def dso_folder(self) -> Path:
        """The folder of the segmentation object."""
        return self._place(self.release.dso_folder, "segmentation object")

    @property
    def dso_file(self) -> Path:
        """The segmentation object."""
        return self._place(self.release.dso_file, "segmentation object")

    @property
    def ct_files(self) -> list[Path]:
        """The CT files in the order of their names."""
        return self._place(self.release.ct_files, "CT series")

    @property
    def other(self) -> str:
        """Another patient of the release.

        Raises
        ------
        ValueError
            There is none.
        """
        for patient in self.release.patients:
            if patient != self.patient:
                return patient
        raise ValueError(f"fault {self.name} needs a release of two patients or more")

    def _place(self, find: Callable[[str], T], what: str) -> T:
        try:
            return find(self.patient)
        except StopIteration:
            raise ValueError(f"fault {self.name}: {self.patient} has no {what}") from None

    def digits(self, what: str, length: int) -> str:
        """Digits that depend on the release's seed, the fault, the patient and `what`, and on nothing else."""
        key = f"{self.release.seed}|{self.name}|{self.patient}|{what}"
        number = int(hashlib.sha256(key.encode()).hexdigest(), 16)
        return "7" + str(number)[: length - 1] if length > 1 else "7"

    def new_uid(self, like: str, what: str = "", *, keep: int = 0) -> UID:
        """A UID as long as `like` and of the same root, its last `keep` digits kept too."""
        from pydicom.uid import UID

        root, _, last = str(like).rpartition(".")
        tail = last[len(last) - keep :] if keep else ""
        return UID(f"{root}.{self.digits(what, len(last) - keep)}{tail}")

    # Hands

    def touch(self, path: Path) -> None:
        """Remember a file that was changed."""
        self._touched.add(path)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.touch(path)

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file."""
        self.write(target, source.read_bytes())

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with all that it holds."""
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if not file.is_dir():
                    self.touch(file)
            shutil.rmtree(path)
        else:
            path.unlink()
            self.touch(path)

    def rename(self, folder: Path, name: str) -> Path:
        """Rename a folder, and have metadata.csv follow."""
        target = folder.with_name(name)
        files = [file for file in sorted(folder.rglob("*")) if not file.is_dir()]
        folder.rename(target)
        for file in files:
            self.touch(file)
            self.touch(target / file.relative_to(folder))
        old, new = (self._location_part(path) for path in (folder, target))
        with self.metadata() as table:
            for row in table.rows:
                location = row["File Location"].replace("\\", "/")
                if (location + "/").find(old + "/") >= 0:
                    row["File Location"] = (location + "/").replace(old + "/", new + "/").removesuffix("/")
        return target

    def _location_part(self, path: Path) -> str:
        return path.relative_to(self.release.collection).as_posix()

    @contextmanager
    def dicom(self, path: Path) -> Iterator[FileDataset]:
        """Open a DICOM file, and write it back without touching the elements that were left alone."""
        from pydicom import config, dcmread

        before = path.read_bytes()
        with config.disable_value_validation():
            dataset = dcmread(io.BytesIO(before))
            yield dataset
            after = io.BytesIO()
            dataset.save_as(after)
        if after.getvalue() != before:
            self.write(path, after.getvalue())

    def each_ct(self, change: Callable[[Dataset], None], paths: Iterable[Path] | None = None) -> None:
        """Change every CT file, or those of `paths`."""
        for path in self.ct_files if paths is None else paths:
            with self.dicom(path) as dataset:
                change(dataset)

    def each_file(self, change: Callable[[Dataset], None]) -> None:
        """Change every DICOM file of the patient."""
        self.each_ct(change, [*self.ct_files, self.dso_file])

    @contextmanager
    def dso(self) -> Iterator[Segmentation]:
        """Open the segmentation object with its masks, and write it back."""
        from crlm_qc.synthetic.faults._dso import Segmentation

        with self.dicom(self.dso_file) as dataset:
            segmentation = Segmentation(dataset)
            yield segmentation
            segmentation.store()

    @contextmanager
    def metadata(self) -> Iterator[Table]:
        """Open metadata.csv, and write it back if anything changed."""
        path = self.release.metadata
        if not path.is_file():
            raise ValueError(f"fault {self.name}: the release has no metadata.csv")
        before = path.read_bytes().decode("utf-8")
        newline = "\r\n" if "\r\n" in before else "\n"
        reader = csv.reader(io.StringIO(before, newline=""))
        columns = next(reader)
        table = Table(columns, [dict(zip(columns, row, strict=True)) for row in reader])
        yield table
        after = table.to_text(newline)
        if after != before:
            self.write(path, after.encode("utf-8"))

    def second_download(self, *more: Row) -> None:
        """Move the patient into a download of its own, with a metadata.csv of its rows and of those given."""
        first = self.release.metadata.parent
        second = first.with_name(f"manifest-{self.digits('download', 13)}")
        with self.metadata() as table:
            rows = [*table.rows_of(self.patient, "ct"), *table.rows_of(self.patient, "dso")]
            table.rows = [row for row in table.rows if row not in rows]
        folder = self.release.collection / self.patient
        target = second / folder.relative_to(first)
        target.parent.mkdir(parents=True)
        folder.rename(target)
        for file in sorted(path for path in target.rglob("*") if path.is_file()):
            self.touch(folder / file.relative_to(target))
            self.touch(file)
        self.write(second / "metadata.csv", Table(table.columns, [*rows, *more]).to_text("\n").encode())

    @contextmanager
    def row(self, role: Role) -> Iterator[Row]:
        """Open the patient's row of metadata.csv."""
        with self.metadata() as table:
            yield table.of(self.patient, role)

    @contextmanager
    def manifest(self) -> Iterator[list[str]]:
        """Open the lines of the .tcia manifest, without their ends."""
        path = self.release.manifest
        if not path.is_file():
            raise ValueError(f"fault {self.name}: the release has no manifest")
        before = path.read_bytes().decode("utf-8")
        newline = "\r\n" if "\r\n" in before else "\n"
        lines = before.split(newline)
        yield lines
        after = newline.join(lines)
        if after != before:
            self.write(path, after.encode("utf-8"))

    @contextmanager
    def workbook(self) -> Iterator[Workbook]:
        """Open the clinical workbook, and write it back."""
        from crlm_qc.synthetic.faults._workbook import Workbook

        path = self.release.workbook
        if not path.is_file():
            raise ValueError(f"fault {self.name}: the release has no workbook")
        workbook = Workbook(path.read_bytes(), self.patient)
        yield workbook
        self.write(path, workbook.to_bytes())

    def forget_tumours(self) -> None:
        """Have the workbook say nothing of the number and size of the tumours, where its edition has the columns."""
        if self.release.edition == "april-2023":
            with self.workbook() as book:
                book.set(multiple_metastases=MISSING, max_tumor_size=MISSING)

    # Facts

    def open(self, path: Path) -> FileDataset:
        """A DICOM file."""
        from pydicom import dcmread

        return dcmread(path)

    def header(self, path: Path) -> FileDataset:
        """The header of a DICOM file, without its pixels."""
        from pydicom import dcmread

        return dcmread(path, stop_before_pixels=True)

    def stack(self) -> list[Slice]:
        """The CT slices in the order of InstanceNumber."""
        slices = []
        for path in self.ct_files:
            header = self.header(path)
            x, y, z = map(float, header.ImagePositionPatient)
            slices.append(Slice(path, str(header.SOPInstanceUID), int(header.InstanceNumber), (x, y, z)))
        return sorted(slices, key=lambda item: item.number)

    def referenced(self) -> set[str]:
        """SOP Instance UIDs that the segmentation object names, anywhere."""
        found: set[str] = set()

        def collect(_: Dataset, element: Any) -> None:
            if element.keyword == "ReferencedSOPInstanceUID":
                found.add(str(element.value))

        self.header(self.dso_file).walk(collect)
        return found

    def edge(self) -> Edge:
        """An outermost slice that the segmentation object does not name: the last of the series, or else the first.

        Raises
        ------
        ValueError
            The object names the slices at both ends.
        """
        stack, used = self.stack(), self.referenced()
        if stack[-1].uid not in used:
            return Edge(stack[-1], stack[-2], last=True)
        if stack[0].uid not in used:
            return Edge(stack[0], stack[1], last=False)
        raise ValueError(f"fault {self.name}: {self.patient} has no slice beyond its segments")

    # The end

    def _size(self, role: Role) -> int | None:
        try:
            folder = self.release.ct_folder(self.patient) if role == "ct" else self.release.dso_folder(self.patient)
        except StopIteration:
            return None
        return sum(file.lstat().st_size for file in folder.glob("*.dcm"))

    def settle(self) -> list[str]:
        """Bring File Size of metadata.csv up to date, and name the files that were touched."""
        roles: tuple[Role, ...] = ("ct", "dso")
        changed = {role: self._size(role) for role in roles if self._size(role) not in (self._sizes[role], None)}
        if changed and self.sizes_follow and self.release.metadata.is_file():
            with self.metadata() as table:
                for role, size in changed.items():
                    for row in table.rows_of(self.patient, role):
                        row["File Size"] = size_text(size or 0)
        return sorted(path.relative_to(self.release.root).as_posix() for path in self._touched)
