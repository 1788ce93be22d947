"""What is read again, what is judged again, and what is never kept."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from support.releases import clean_release, copy_release, small_profile

from crlm_qc.auditing import memory as memory_module
from crlm_qc.auditing.memory import Memory, remember
from crlm_qc.auditing.redaction import OURS, TECHNIQUE, redact
from crlm_qc.auditing.run import audit
from crlm_qc.cache.store import READS, VERDICTS, Store
from crlm_qc.collection.profile import READING, Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.evidence import collect as collect_module
from crlm_qc.evidence.collect import collect
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import TABLES
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.request.request import Request
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

SETTINGS = Settings(depth=Depth.HEADERS, select=("CTS00", "CTS012", "REL00", "MET001"))


@dataclass
class Audits:
    """Audits of one release, with one cache."""

    release: SyntheticRelease
    cache: Path
    profile: Profile

    def __call__(
        self,
        settings: Settings = SETTINGS,
        *,
        root: Path | None = None,
        profile: Profile | None = None,
        waivers: tuple[Waiver, ...] = (),
        today: dt.date | None = None,
        hashed: bool = False,
    ) -> tuple[Report, str]:
        """The report, and what the cache was good for: `verdict`, or how many patients of all."""
        memory = Memory(Store(self.cache))
        report = audit(
            root or self.release.root,
            settings=settings,
            profile=profile or self.profile,
            waivers=waivers,
            today=today,
            hashed=hashed,
            jobs=1,
            memory=memory,
        )
        used = memory.use
        verdict = memory.pictures is not None
        memory.keep(report, {})
        memory.end()
        return report, "verdict" if verdict else f"{used.patients if used else 0} of 3"

    def entries(self, kind: str) -> list[Path]:
        return [one.path for one in Store(self.cache).entries() if kind in one.path.parts]

    def plain(self, settings: Settings = SETTINGS) -> Report:
        """The report without a cache."""
        return audit(self.release.root, settings=settings, profile=self.profile, jobs=1)


@pytest.fixture(scope="module")
def audited(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> Audits:
    """A release that was audited once, as if its files had been left alone for long. Nobody changes it."""
    folder = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        return first_audit(copy_release(clean_release, folder / "Release"), small_profile, folder, patch)


@pytest.fixture
def audits(audited: Audits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audits:
    """The same, with a cache of its own, which has what that audit came to."""
    later(monkeypatch)
    return replace(audited, cache=shutil.copytree(audited.cache, tmp_path / "cache"))


@pytest.fixture
def own(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Audits:
    """The same, with a release of its own, which may be changed."""
    return first_audit(copy_release(clean_release, tmp_path / "Release"), small_profile, tmp_path, monkeypatch)


def first_audit(release: SyntheticRelease, profile: Profile, folder: Path, patch: pytest.MonkeyPatch) -> Audits:
    (folder / "cache").mkdir(mode=0o700)
    made = Audits(release, folder / "cache", profile)
    later(patch)
    assert made()[1] == "0 of 3"
    return made


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at files as if the clock were on by ten seconds."""
    now = time.time_ns
    monkeypatch.setattr(memory_module.time, "time_ns", lambda: now() + 10 * memory_module.GRAIN_NS // 2)


def image(audits: Audits, patient: int = 0) -> Path:
    folder = sorted(path for path in audits.release.collection.iterdir() if path.is_dir())[patient]
    return max(folder.rglob("*.dcm"), key=lambda path: (len(list(path.parent.iterdir())), path.name))


def test_what_has_not_changed_is_neither_read_nor_judged_again(audits: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "_read_one", None)
    assert audits()[1] == "verdict"


def test_a_remembered_verdict_is_that_of_an_audit_without_a_cache(audits: Audits) -> None:
    remembered, how = audits()
    assert how == "verdict"
    assert remembered.as_dict() == audits.plain().as_dict()


def changed_byte(path: Path) -> None:
    """One byte, with size and time of modification put back."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    """As rsync -a does: another file, with the old time."""
    shutil.copy2(path, path.with_name("new"))
    path.with_name("new").replace(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "a byte": changed_byte,
    "its time": lambda path: os.utime(path, (1_000_000_000, 1_000_000_000)),
    "its mode": lambda path: path.chmod(0o640),
    "its inode": replaced,
    "its name": lambda path: path.rename(path.with_name("9-999.dcm")) and None,
    "that it is there": Path.unlink,
    "a file beside it": lambda path: path.with_name("note.txt").write_text("x") and None,
}


def test_of_one_file_that_changed_its_patient_alone_is_read(own: Audits) -> None:
    for name, change in CHANGES.items():
        change(image(own))
        report, how = own()
        assert how == "2 of 3", name
        assert report.as_dict() == own.plain().as_dict(), name
        assert own()[1] == "verdict", name


def test_what_is_no_patients_is_judged_again_and_no_patient_read(own: Audits) -> None:
    with own.release.metadata.open("a") as table:
        table.write("\n")
    assert [own()[1], own()[1]] == ["3 of 3", "verdict"]
    (own.release.collection / "empty").mkdir()
    assert [own()[1], own()[1]] == ["3 of 3", "verdict"]
    (own.release.root / "note.txt").write_text("x")
    assert [own()[1], own()[1]] == ["3 of 3", "verdict"]


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        (replace(SETTINGS, tolerances={"air_hu": 7.0}), "3 of 3"),
        (replace(SETTINGS, ignore=("CTS012",)), "3 of 3"),
        (replace(SETTINGS, patients=("CRLM-CT-1001",)), "1 of 3"),
        (replace(SETTINGS, tolerances={"position_mm": 0.5}), "0 of 3"),
        (replace(SETTINGS, depth=Depth.MASKS), "0 of 3"),
    ],
)
def test_what_was_asked_for_has_a_say_where_it_matters(audits: Audits, settings: Settings, how: str) -> None:
    report, found = audits(settings)
    assert found == how
    again, how = audits(settings)
    assert (again.as_dict(), how) == (report.as_dict(), "verdict")


def test_a_published_figure_costs_no_reading(audits: Audits) -> None:
    published = replace(audits.profile.published, patients=4)
    assert audits(profile=replace(audits.profile, published=published))[1] == "3 of 3"
    assert audits(profile=replace(audits.profile, uid_root="1.2.3"))[1] == "0 of 3"


def test_a_waiver_that_expires_or_nears_its_end_is_judged_anew_and_no_other_midnight_is(audits: Audits) -> None:
    end = dt.date(2030, 6, 30)
    waivers = (Waiver("CTS004", "known", patients=("CRLM-CT-1001",), until=end),)

    def on(day: dt.date) -> str:
        return audits(waivers=waivers, today=day)[1]

    assert on(dt.date(2030, 1, 1)) == "3 of 3"
    assert on(dt.date(2030, 1, 2)) == "verdict"
    assert on(end - dt.timedelta(days=3)) == "3 of 3"
    assert on(end) == "verdict"
    assert on(end + dt.timedelta(days=1)) == "3 of 3"


def test_a_release_that_was_renamed_is_not_read_again(own: Audits) -> None:
    moved = own.release.root.rename(own.release.root.with_name("Other"))
    assert own(root=moved)[1] == "3 of 3"


def test_a_release_that_was_restored_or_copied_is_read_again(own: Audits, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(own.release.root, "Release")
    with tarfile.open(tmp_path / "all.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    assert own()[1] == "0 of 3"
    shutil.copytree(own.release.root, tmp_path / "Copy")
    assert own(root=tmp_path / "Copy")[1] == "0 of 3"


def test_files_that_changed_a_moment_ago_are_read_but_not_kept(own: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    image(own).touch()
    assert own()[1] == "2 of 3"
    assert own()[1] == "2 of 3"
    later(monkeypatch)
    assert [own()[1], own()[1]] == ["2 of 3", "verdict"]


def test_files_that_change_while_they_are_read_are_not_kept(own: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    image(own).touch()
    read = collect_module._read_one

    def meddled(work: collect_module.Work) -> object:
        image(own).touch()
        return read(work)

    with monkeypatch.context() as patch:
        patch.setattr(collect_module, "_read_one", meddled)
        assert own()[1] == "2 of 3"
    assert own()[1] == "2 of 3"
    assert own()[1] == "verdict"


def test_every_byte_is_read_where_that_is_asked_for(audits: Audits) -> None:
    before = len(audits.entries(READS)), len(audits.entries(VERDICTS))
    assert audits(hashed=True)[1] == "0 of 3"
    assert (len(audits.entries(READS)), len(audits.entries(VERDICTS))) == before


@pytest.mark.parametrize("kind", [READS, VERDICTS])
def test_a_damaged_entry_is_made_again(audits: Audits, kind: str) -> None:
    first = audits()[0]
    for path in audits.entries(VERDICTS):
        path.write_bytes(b"x") if kind == VERDICTS else path.unlink()
    for path in audits.entries(READS) if kind == READS else ():
        path.write_bytes(path.read_bytes()[:-3])
    report, how = audits()
    assert (report.as_dict(), how) == (first.as_dict(), "0 of 3" if kind == READS else "3 of 3")
    assert audits()[1] == "verdict"


def test_an_entry_that_holds_something_else_is_none(audits: Audits) -> None:
    store = Store(audits.cache)
    for kind in (READS, VERDICTS):
        for path in audits.entries(kind):
            store.put(kind, path.parent.name + path.name, {"tables": {"lengths": {"files": 2}}, "report": []})
    assert audits()[1] == "0 of 3"


def test_other_code_reads_again(audits: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "tool_digest", lambda: "other")
    assert audits()[1] == "3 of 3"
    monkeypatch.setattr(memory_module, "reader_digest", lambda: "other")
    assert audits(replace(SETTINGS, ignore=("CTS001",)))[1] == "0 of 3"


def test_of_a_patient_whose_texts_may_identify_somebody_nothing_is_kept(own: Audits) -> None:
    path = image(own)
    before = path.read_bytes()
    known = set(own.entries(READS))
    for keyword in ("PatientName", "StudyDescription", "ManufacturerModelName"):
        data = pydicom.dcmread(path)
        setattr(data, keyword, "Call 212-555-0142" if keyword == "ManufacturerModelName" else "Example^Erika")
        data.save_as(path)
        assert own()[1] == "2 of 3", keyword
        assert set(own.entries(READS)) == known, keyword
        path.write_bytes(before)
    path.parent.rename(path.parent.with_name("scan of somebody"))
    assert own()[1] == "2 of 3"
    assert set(own.entries(READS)) == known


def test_what_is_kept_is_as_saved_evidence_has_it_but_for_makers_words(audits: Audits) -> None:
    evidence = collect(audits.release.root, audits.profile, depth=Depth.PIXELS, jobs=1)
    redacted = redact(evidence, audits.profile)
    for name in evidence:
        if name in ("clinical", "metadata", "manifest", "sources", "clinical_dictionary", "workbook"):
            continue
        for column in TABLES[name].columns:
            if column.name not in TECHNIQUE | OURS:
                assert evidence[name][column.name].equals(redacted[name][column.name]), (name, column.name)


def test_who_reads_is_given_what_the_key_holds_and_nothing_else(
    clean_release: SyntheticRelease, small_profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    plain = Tolerances.__getattribute__

    def spied(self: Tolerances, name: str) -> object:
        asked.add(name)
        return plain(self, name)

    read = collect_module._read_one

    def watched(work: collect_module.Work) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tolerances, "__getattribute__", spied)
            return read(work)

    monkeypatch.setattr(collect_module, "_read_one", watched)
    collect(clean_release.root, small_profile, depth=Depth.PIXELS, jobs=1)
    names = asked & set(Tolerances.__slots__)
    assert names
    assert names <= set(READING)


def test_a_profile_for_reading_keeps_what_readers_use(small_profile: Profile) -> None:
    changed = small_profile.with_tolerances({"position_mm": 0.25, "air_hu": 3.0})
    reading = changed.reading()
    assert (reading.tolerances.position_mm, reading.tolerances.air_hu) == (0.25, Tolerances().air_hu)
    assert (reading.segments, reading.ledger, reading.editions) == (changed.segments, {}, ())


def test_a_cache_in_the_release_is_refused(audits: Audits) -> None:
    with pytest.raises(UsageError, match="lies in the release"):
        remember(audits.release.root, Request(cache=audits.release.root / "cache"))
    assert remember(audits.release.root, Request(no_cache=True)) is None


def test_a_cache_that_nobody_asked_for_is_left_out_where_there_can_be_none(
    audits: Audits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for folder in (audits.release.root / "cache", open_to_all, audits.release.root / "x"):
        monkeypatch.setattr(memory_module, "user_cache", lambda folder=folder: folder)
        assert remember(audits.release.root, Request()) is None


def test_an_audit_goes_on_where_nothing_can_be_kept(audits: Audits, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(audits.cache)
    monkeypatch.setattr(Store, "put", lambda *_: False)
    assert audits()[0].as_dict() == audits.plain().as_dict()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_run_that_was_killed_is_resumed(
    clean_release: SyntheticRelease, small_profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from crlm_qc.auditing import memory\n"
        "from crlm_qc.auditing.memory import Memory\n"
        "from crlm_qc.auditing.run import audit\n"
        "from crlm_qc.cache.store import Store\n"
        "from crlm_qc.model.settings import Depth, Settings\n"
        "memory.GRAIN_NS = 0\n"
        "put = Memory.put\n"
        "def killed(*given):\n"
        "    put(*given)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Memory.put = killed\n"
        "settings = Settings(depth=Depth.HEADERS, select=('CTS0',))\n"
        "audit(sys.argv[1], settings=settings, jobs=1, memory=Memory(Store.opened(Path(sys.argv[2]))))\n"
    )
    release = copy_release(clean_release, tmp_path / "Release")
    done = subprocess.run([sys.executable, "-c", code, str(release.root), str(tmp_path / "cache")], check=False)
    assert done.returncode == -signal.SIGKILL
    memory = Memory(Store(tmp_path / "cache"))
    audit(release.root, settings=Settings(depth=Depth.HEADERS, select=("CTS0",)), jobs=1, memory=memory)
    assert memory.use is not None
    assert (memory.use.patients, memory.use.read) == (1, 2)
