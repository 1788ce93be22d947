"""What is fed with changed files, and what must hold of each.

Of every input: nothing but the errors that are meant for people is raised; it ends in time and in little memory; nothing
in the release is written; nothing that may name a person comes out; a file that can't be read is named; what is clean
stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz import mutators
from support import both_ways, dressed, tiny
from support.releases import small_release
from support.sources import Memory

from crlm_qc.auditing import audit
from crlm_qc.auditing.attestation import AttestationError, attest, read_statement
from crlm_qc.auditing.batches import judge_saved
from crlm_qc.auditing.judging import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import load_waivers
from crlm_qc.evidence import store
from crlm_qc.evidence.alike import Patterns
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.lock import read_lock
from crlm_qc.evidence.patient import read_patient
from crlm_qc.evidence.places.given import read_given
from crlm_qc.evidence.release import find_release
from crlm_qc.model.errors import UsageError
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report import FORMATS
from crlm_qc.request.files import read as read_configuration
from crlm_qc.synthetic.writer import profile_for

MAX_SECONDS = 20
MAX_MEGABYTES = 1_500
MATRIX, SLICES, PATIENTS = 64, 17, 8
JUDGED = 0.15
"""Share of the tables that rules are run over too, which takes much longer than to read them."""
KEPT_SLICES = 4
"""Of a series whose patient is read by itself: what else is there makes an input slower and no more telling."""
_read_alike = Patterns.read
CLEAN = 2
"""Patients of a whole release that nothing is changed in."""


class BrokenError(AssertionError):
    """Something does not hold that must hold of every input."""


class Late(BaseException):
    """An input took too long; no reader catches it as a fault of a file."""


@dataclass
class Ground:
    """A release that may be changed, and is put back after each input."""

    root: Path
    profile: Profile
    collection: Path
    metadata: Path
    workbook: Path
    manifest: Path
    kept: dict[Path, bytes] = field(default_factory=dict)

    def change(self, path: Path, change: Callable[[random.Random, bytes], bytes], rng: random.Random) -> None:
        """Change one file."""
        self.kept.setdefault(path, path.read_bytes())
        path.write_bytes(change(rng, path.read_bytes()))

    def state(self) -> dict[str, tuple[int, int, int]]:
        """What is on disk: size, time and inode of each file and folder."""
        return {
            str(path): (one.st_size, one.st_mtime_ns, one.st_ino)
            for path in sorted(self.root.rglob("*"))
            for one in (path.lstat(),)
        }

    def restore(self) -> None:
        """Put back what was changed."""
        for path, content in self.kept.items():
            path.write_bytes(content)
        self.kept.clear()


def ground(folder: Path, patients: int, *, thin: bool = False) -> Ground:
    """A small clean release."""
    root = folder / f"release-{patients}"
    profile = profile_for(MATRIX, max_slices=SLICES)
    made = small_release(root, patients=patients, matrix=MATRIX, max_slices=SLICES, edition="april-2023")
    for folder in {path.parent for path in root.rglob("*.dcm")} if thin else ():
        for path in sorted(folder.glob("*.dcm"))[KEPT_SLICES:]:
            path.unlink()
    return Ground(root, profile, made.collection, made.metadata, made.workbook, made.manifest)


@contextmanager
def watched(on: Ground | None = None) -> Iterator[None]:
    """Time, memory and what is on disk."""

    def late(*_: object) -> None:
        raise Late(f"it took longer than {MAX_SECONDS} s")

    before = on.state() if on else {}
    signal.signal(signal.SIGALRM, late)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
    if on and on.state() != before:
        raise BrokenError("something in the release was written")
    if (most := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024) > MAX_MEGABYTES:
        raise BrokenError(f"the process has taken {most} MB")


def silent(*outputs: str) -> None:
    """Nothing that may name a person comes out."""
    for text in outputs:
        if (at := text.find(mutators.CANARY)) >= 0:
            raise BrokenError(f"a value came out: {text[max(0, at - 60) : at + 20]!r}")


def sound(report: Report, forms: Sequence[str]) -> None:
    """No rule crashed, and no form of the report says what may name a person."""
    said = [FORMATS[form].renderer()(report) for form in forms]
    if crashed := [one for one in report.findings if one.rule == "REL900"]:
        raise BrokenError(f"a rule crashed: {crashed[0].message} {crashed[0].observed}")
    silent(*(one if isinstance(one, str) else one.decode() for one in said if isinstance(one, str | bytes)))


class Patient:
    """One image or object of a patient."""

    def __init__(self, folder: Path) -> None:
        self.ground = ground(folder / "one", 1, thin=True)
        images = sorted(self.ground.collection.rglob("*.dcm"), key=lambda path: path.stat().st_size)
        sizes = {path: len(list(path.parent.glob("*.dcm"))) for path in images}
        self.objects = [path for path in images if sizes[path] == 1]
        self.slices = [path for path in images if sizes[path] > 1]
        # What the downloader leaves where it verifies.
        self.sums = self.slices[0].with_name("md5hashes.csv")
        sums = (f"{path.name},{hashlib.md5(path.read_bytes()).hexdigest()}\n" for path in self.slices)
        self.sums.write_text("".join(["SOPInstanceUID,MD5 Hash Value\n", *sums]))

    def __call__(self, rng: random.Random) -> None:
        """Read the patient without the guard that an audit has around it."""
        path = rng.choice(self.objects if rng.random() < 0.6 else self.slices)
        if rng.random() < 0.25:
            self.ground.change(path, mutators.stored_otherwise, rng)
        if rng.random() < 0.9:
            self.ground.change(path, mutators.dicom, rng)
        else:
            self.ground.change(self.sums, mutators.table, rng)
        try:
            with watched(self.ground):
                (patient,) = find_release(self.ground.root, self.ground.profile).patients
                depth = rng.choice((Depth.PIXELS, Depth.PIXELS, Depth.MASKS, Depth.HEADERS))
                read = read_patient(patient.patient, patient.items, self.ground.profile, depth)
                named = {row["path"] for row in read.rows["files"]}
            if named != {item.path for item in patient.items}:
                raise BrokenError("a file is not named")
        finally:
            self.ground.restore()


class Series:
    """Headers of one series, which are read by what differs from the first: that must come to the same as reading all."""

    def __init__(self, folder: Path) -> None:
        self.forms = dressed.forms()
        self.profile = load_profile()
        self.changed = self.told_apart = 0
        """Headers that were changed, and those of them that were read by what differs."""

    def __call__(self, rng: random.Random) -> None:
        """Read a series with most of its headers changed, both ways."""
        whole = self.forms[rng.choice(sorted(self.forms))]
        contents = list(whole)
        for place in range(rng.choice((0, 1, 1, 1)), len(contents)):
            if rng.random() < 0.7:
                change = rng.choice((mutators.element, mutators.element, mutators.element, mutators.dicom))
                contents[place] = change(rng, contents[place])
        changed = [one for one, before in zip(contents, whole, strict=True) if one != before]
        source = Memory(
            {f"{tiny.PATIENT}/06-06-1992-NA-CT-1/2-NA-2/1-{at}.dcm": one for at, one in enumerate(contents)}
        )
        items, depth, hashed = (
            source.tree().items,
            rng.choice((Depth.HEADERS, Depth.HEADERS, Depth.PIXELS)),
            rng.random() < 0.1,
        )

        def told() -> str:
            read = read_patient(tiny.PATIENT, items, self.profile, depth, hashed=hashed)
            return json.dumps([read.rows, read.limits], sort_keys=True, default=str)

        def counted(patterns: Patterns, *rest: Any) -> Any:
            found = _read_alike(patterns, *rest)
            self.told_apart += found is not None and source.files[rest[-1].key] in changed
            return found

        self.changed += len(changed)
        with watched():
            with patch.object(Patterns, "read", counted):
                short = told()
            with patch.object(Patterns, "read", lambda *_: None):
                full = told()
        if short != full:
            at = next(at for at, (one, other) in enumerate(zip(short, full, strict=False)) if one != other)
            raise BrokenError(f"{short[max(0, at - 80) : at + 80]!r} instead of {full[max(0, at - 80) : at + 80]!r}")


class Tables:
    """The tables and lists of a release."""

    def __init__(self, folder: Path) -> None:
        self.ground = ground(folder / "tables", 2, thin=True)
        # What rules import takes long, and is no input's time.
        audit(self.ground.root, profile=self.ground.profile, settings=Settings(depth=Depth.HEADERS), jobs=1)

    def __call__(self, rng: random.Random) -> None:
        """Read the release with one of them changed."""
        path, change = rng.choice(
            (
                (self.ground.metadata, mutators.table),
                (self.ground.metadata, mutators.table),
                (self.ground.manifest, mutators.table),
                (self.ground.workbook, mutators.xlsx),
            )
        )
        self.ground.change(path, change, rng)
        try:
            with watched(self.ground):
                evidence = collect(self.ground.root, self.ground.profile, depth=Depth.HEADERS, jobs=1)
                if rng.random() < JUDGED:
                    sound(judge(evidence, self.ground.profile), ("json", "text"))
        finally:
            self.ground.restore()


class Release:
    """A whole audit, of images and tables that are changed in most patients at once."""

    def __init__(self, folder: Path) -> None:
        self.ground = ground(folder / "whole", PATIENTS)
        self.patients = sorted(path.name for path in self.ground.collection.iterdir() if path.is_dir())
        self.clean = set(self.patients[:CLEAN])
        self.before = self._findings(self._audit())

    def _audit(self) -> Report:
        return audit(self.ground.root, profile=self.ground.profile, jobs=1)

    def _findings(self, report: Report) -> set[str]:
        # What is told of a patient's images alone: tables are changed as well.
        own = ("CTS", "DSO", "SEG", "DID")
        return {one.fingerprint for one in report.findings if one.patient in self.clean and one.rule.startswith(own)}

    def __call__(self, rng: random.Random) -> None:
        """Audit it, and render what was found."""
        for patient in self.patients[CLEAN:]:
            path = rng.choice(sorted((self.ground.collection / patient).rglob("*.dcm")))
            self.ground.change(path, mutators.dicom, rng)
        if rng.random() < 0.5:
            self.ground.change(self.ground.metadata, mutators.table, rng)
        if rng.random() < 0.3:
            self.ground.change(self.ground.workbook, mutators.xlsx, rng)
        try:
            with watched(self.ground):
                report = self._audit()
                sound(report, ("json", "text", rng.choice(("html", "csv", "junit", "sarif", "markdown", "github"))))
            if guarded := [limit for limit in report.limits if "while reading" in limit]:
                raise BrokenError(f"what reads a patient crashed: {guarded[0]}")
            if self._findings(report) != self.before:
                raise BrokenError("what is told of a clean patient changed")
        finally:
            self.ground.restore()


class Saved:
    """Saved evidence."""

    def __init__(self, folder: Path) -> None:
        made = ground(folder / "saved", 1, thin=True)
        self.profile, self.folder = made.profile, folder / "evidence"
        evidence = collect(made.root, made.profile, depth=Depth.PIXELS, jobs=1)
        store.save(evidence, self.folder)
        judge(evidence, self.profile)
        self.facts = self.folder / store.FACTS_FILE
        self.tables = sorted(path for path in self.folder.glob("*.parquet"))

    def __call__(self, rng: random.Random) -> None:
        """Load it with a table changed, the proof in the facts with it; or with the facts changed."""
        path = self.facts if rng.random() < 0.3 else rng.choice(self.tables)
        kept = {one: one.read_bytes() for one in (path, self.facts)}
        try:
            if path == self.facts:
                path.write_bytes(mutators.tree(rng, kept[path]))
            else:
                path.write_bytes(mutators.parquet(rng, kept[path]))
                told = json.loads(kept[self.facts])
                told["tables"][path.stem] |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                self.facts.write_text(json.dumps(told))
            with watched():
                evidence = store.load(self.folder)
                if rng.random() < JUDGED:
                    judge(evidence, self.profile)
                if rng.random() < JUDGED:
                    judge_saved(store.saved(self.folder), self.profile, jobs=1, size=1)
        except UsageError:
            pass
        finally:
            for one, content in kept.items():
                one.write_bytes(content)


class Given:
    """Files of the user: waivers, profile, configuration, lock file, listings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "settings"
        shutil.copytree(Path(str(load_profile().folder)), self.folder)
        (self.folder / "crlm-qc.toml").write_text(
            'fail-on = "warning"\nselect = ["CTS", "SEG"]\npatients = ["CRLM-CT-1001"]\n[severity]\nCTS012 = "error"\n'
            "[tolerances]\nslice_spacing = 0.1\n"
        )
        (self.folder / "release.lock").write_text(
            "# crlm-qc lock 1\n" + "".join(f"{number:064x}  folder/{number}.dcm\n" for number in range(20))
        )
        index = [
            {
                "collection_id": "crlm",
                "PatientID": f"P{number}",
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": f"1.2.{number + 1}",
                "Modality": "CT",
                "crdc_series_uuid": f"a{number}",
                "series_aws_url": f"s3://bucket/a{number}/*",
            }
            for number in range(20)
        ]
        lines = [",".join(index[0]), *(",".join(row.values()) for row in index)]
        (self.folder / "index.csv").write_text("".join(f"{line}\n" for line in lines))
        pq.write_table(pa.Table.from_pylist(index), self.folder / "index.parquet")
        self.readers: tuple[tuple[str, Callable[[Path], Any], Callable[[random.Random, bytes], bytes]], ...] = (
            ("known_issues.toml", load_waivers, mutators.toml),
            ("crlm.toml", load_profile, mutators.toml),
            ("crlm_series.csv", lambda path: load_profile(path.with_name("crlm.toml")), mutators.table),
            ("deidentification.toml", lambda path: load_profile(path.with_name("crlm.toml")), mutators.toml),
            ("crlm-qc.toml", read_configuration, mutators.toml),
            ("release.lock", read_lock, mutators.table),
            ("release.lock", _listed, mutators.table),
            ("index.csv", _listed, mutators.table),
            ("index.parquet", _listed, mutators.parquet),
        )

    def __call__(self, rng: random.Random) -> None:
        """Read one of them."""
        name, read, change = rng.choice(self.readers)
        path = self.folder / name
        content = path.read_bytes()
        path.write_bytes(change(rng, content))
        try:
            with watched():
                read(path)
        except UsageError:
            pass
        finally:
            path.write_bytes(content)


def _listed(path: Path) -> None:
    """Read a listing: nothing in it leads out of the release."""
    found = read_given(path, "crlm", "bucket")
    for inside in (*found.files.values(), *found.series.values()):
        if inside.startswith("/") or ".." in inside.split("/"):
            raise BrokenError("a listing leads out of the release")


class Results:
    """findings.json of an earlier run, and what was signed off by it."""

    def __init__(self, folder: Path) -> None:
        from support import reports

        from crlm_qc.report.json_format import render

        made = (reports.sample(), reports.incomplete(), reports.hostile())
        self.contents = [render(one) for one in made]
        profile = load_profile()
        self.records = [
            json.dumps(attest(one, b"", name="a.lock", files=3, size=9, profile=profile, waivers=[]).as_dict()).encode()
            for one in made
        ]

    def __call__(self, rng: random.Random) -> None:
        """Read it, and render it in one format; or read a record."""
        if rng.random() < 0.3:
            try:
                with watched():
                    read_statement(mutators.tree(rng, rng.choice(self.records)))
            except AttestationError:
                pass
            return
        content = mutators.tree(rng, rng.choice(self.contents))
        with watched():
            try:
                report = Report.from_dict(json.loads(content))
            except (PlainError, ValueError):
                return
            FORMATS[rng.choice(list(FORMATS))].renderer()(report)


class Sequences:
    """Headers whose sequences are read by the reader of their usual encoding, and by pydicom alone."""

    def __init__(self, folder: Path) -> None:
        del folder
        self.contents = both_ways.objects()

    def __call__(self, rng: random.Random) -> None:
        """Both read the same, or neither does."""
        change = mutators.dicom if rng.random() < 0.5 else both_ways.in_sequences
        content = change(rng, rng.choice(self.contents))
        with watched():
            usual, plain = both_ways.read(content), both_ways.read(content, plain=True)
        if usual != plain:
            raise BrokenError("sequences are read otherwise than pydicom reads them")


Target = Callable[[random.Random], None]

TARGETS: dict[str, tuple[Callable[[Path], Target], int]] = {
    "patient": (Patient, 610),
    "series": (Series, 200),
    "sequences": (Sequences, 300),
    "tables": (Tables, 300),
    "settings": (Given, 300),
    "results": (Results, 240),
    "saved": (Saved, 40),
    "release": (Release, 10),
}
"""What is fed, and its share of 2,000 inputs. One of `release` or `series` changes some five files at once."""
