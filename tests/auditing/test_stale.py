"""Nothing stale and nothing private comes out of the cache, whatever is tried."""

import hashlib
import json
import subprocess
import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.identifiers import plant_identifiers
from support.releases import clean_release, copy_release, small_profile, small_release

from crlm_qc.auditing import memory as memory_module
from crlm_qc.auditing.memory import Memory
from crlm_qc.auditing.run import audit
from crlm_qc.cache.store import KINDS, PICTURES, READS, VERDICTS, Store
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.columns import Columns, frames
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.picture import PictureMode
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.pictures.album import illustrate
from crlm_qc.report.json_format import render
from crlm_qc.request.request import Parts
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

SETTINGS = Settings(depth=Depth.HEADERS, select=("REL0", "MET0"), subset=True)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that the tests have just written have been left alone for long."""
    monkeypatch.setattr(memory_module, "GRAIN_NS", 0)


Result = tuple[bytes, dict[str, bytes]]


def content(folder: Path, cache: Path) -> str:
    """Digest of the names and bytes of all that is in a folder but the cache: what tells the cache of a change has no say."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if not path.is_relative_to(cache):
            told = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found.update(f"{path.relative_to(folder)}\0{path.is_symlink()}\0{len(told)}\0".encode() + told)
    return found.hexdigest()


@dataclass
class Audits:
    """Audits with one cache; each is compared with one without."""

    cache: Path
    profile: Profile
    plain: dict[str, Result]
    """What audits without a cache came to, by what was there and what was asked."""

    def __call__(
        self, root: Path, settings: Settings = SETTINGS, parts: Parts | None = None, *, pictures: bool = False
    ) -> str:
        """What the cache was good for: `verdict`, or how many patients."""
        memory = Memory(Store(self.cache))
        folder = self.cache.parent
        key = f"{content(folder, self.cache)} {settings} {parts} {pictures}".replace(str(folder), "")
        if key not in self.plain:
            self.plain[key] = self._audited(root, settings, parts, None, pictures=pictures)
        assert self._audited(root, settings, parts, memory, pictures=pictures) == self.plain[key]
        return "verdict" if memory.pictures is not None else str(memory.use.patients if memory.use else 0)

    def _audited(
        self, root: Path, settings: Settings, parts: Parts | None, memory: Memory | None, *, pictures: bool
    ) -> Result:
        seen: list[Evidence] = []
        report = audit(
            root,
            settings=settings,
            profile=self.profile,
            parts=parts,
            jobs=1,
            memory=memory,
            on_evidence=seen.append,
        )
        files = dict(memory.pictures or {}) if memory else {}
        if pictures and seen:
            report, files = illustrate(report, seen[0], root, self.profile, PictureMode.ALL, kept=memory)
        if memory:
            memory.keep(report, files)
        return render(report), files


@pytest.fixture(scope="module")
def plain() -> dict[str, Result]:
    return {}


@pytest.fixture
def audits(small_profile: Profile, tmp_path: Path, plain: dict[str, Result]) -> Audits:
    (tmp_path / "cache").mkdir(mode=0o700)
    return Audits(tmp_path / "cache", small_profile, plain)


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path) -> SyntheticRelease:
    return copy_release(clean_release, tmp_path / "Release")


def patients(release: SyntheticRelease) -> list[Path]:
    return sorted(path for path in release.collection.iterdir() if path.is_dir())


def images(folder: Path) -> list[Path]:
    return sorted(max((list(one.glob("*.dcm")) for one in folder.rglob("*") if one.is_dir()), key=len))


def test_files_that_were_swapped_are_read_again(release: SyntheticRelease, audits: Audits) -> None:
    assert [audits(release.root), audits(release.root)] == ["0", "verdict"]
    first, second = images(patients(release)[0])[:2]
    first.rename(first.with_name("x"))
    second.rename(first)
    first.with_name("x").rename(second)
    assert audits(release.root) == "2"
    one, other = (images(folder)[0] for folder in patients(release)[1:])
    one.rename(one.with_name("x"))
    other.rename(one)
    one.with_name("x").rename(other)
    assert audits(release.root) == "1"
    assert audits(release.root) == "verdict"


def test_a_patient_of_another_name_is_read_again(release: SyntheticRelease, audits: Audits) -> None:
    audits(release.root)
    folder = patients(release)[0]
    folder.rename(folder.with_name("CRLM-CT-1999"))
    assert audits(release.root) == "2"


def test_what_is_found_beside_the_release_has_a_say(release: SyntheticRelease, audits: Audits) -> None:
    beside = release.workbook.rename(release.root / "workbook.xlsx").read_bytes()
    (release.root / "workbook.xlsx").unlink()
    audits(release.root)
    assert audits(release.root) == "verdict"
    found = release.root.parent / release.workbook.name
    found.write_bytes(beside)
    assert [audits(release.root), audits(release.root)] == ["3", "verdict"]
    found.write_bytes(beside + b"x")
    assert audits(release.root) == "3"
    found.unlink()
    (release.root.parent / "clinical data.ods").write_bytes(b"PK")
    assert [audits(release.root), audits(release.root)] == ["3", "verdict"]


def test_the_part_that_a_file_is_named_for_has_a_say(release: SyntheticRelease, audits: Audits, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "a.csv"
    other.parent.mkdir()
    release.metadata.rename(other)
    asked = [Parts(metadata=other), Parts(manifest=other), Parts(clinical=other), Parts()]
    for parts in asked:
        assert audits(release.root, parts=parts) != "verdict"
    for parts in asked[:-1]:
        assert audits(release.root, parts=parts) == "verdict"
    within = replace(SETTINGS, select=("MET0", "REL0", "MAN0"))
    audits(release.root, within)
    assert audits(release.root, within, Parts(manifest=release.manifest)) == "3"


@pytest.mark.parametrize(
    "asked",
    [
        replace(SETTINGS, redact_paths=True),
        replace(SETTINGS, subset=False),
        replace(SETTINGS, patients=("CRLM-CT-1002",)),
        replace(SETTINGS, select=("REL0",)),
        replace(SETTINGS, known_issues=False),
        replace(SETTINGS, all_objects=True),
    ],
)
def test_what_is_asked_has_a_say(release: SyntheticRelease, audits: Audits, asked: Settings) -> None:
    audits(release.root)
    assert audits(release.root, asked) != "verdict"
    assert [audits(release.root, asked), audits(release.root)] == ["verdict", "verdict"]


def entries(audits: Audits, kind: str | None = None) -> list[Path]:
    return [one.path for one in Store(audits.cache).entries() if kind is None or kind in one.path.parts]


def held(path: Path) -> Any:
    return json.loads(zlib.decompress(path.read_bytes()[32:]))


def test_nothing_that_may_identify_a_person_is_kept(
    small_profile: Profile, audits: Audits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = small_release(tmp_path / "Release", patients=4)
    words = plant_identifiers(release)
    for settings in (Settings(depth=Depth.HEADERS), Settings(depth=Depth.PIXELS, subset=True)):
        audits(release.root, settings, pictures=settings.subset)
        audits(release.root, settings, pictures=settings.subset)
    kept = {kind: entries(audits, kind) for kind in KINDS}
    assert all(kept.values())
    for path in entries(audits):
        content = held(path)
        assert words.found_in(json.dumps(content, ensure_ascii=False)) == [], path
        if path in kept[READS]:
            # Numbers are in columns, where a search of the text does not see them.
            for name, table in frames([Columns.recalled(content["tables"])]).items():
                assert words.found_in(table.to_csv()) == [], name


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    "x",
    "\ud800",
    "../../x",
    [],
    [[]],
    {},
    {"x": 1},
    [None] * 3,
)


def spoiled(value: Any, random: np.random.Generator) -> Any:
    """A value of JSON with something else somewhere in it."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        name = list(value)[random.integers(len(value))]
        return {**value, name: spoiled(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.integers(len(value))
        return [*value[:at], spoiled(value[at], random), *value[at + 1 :]]
    return HOSTILE[random.integers(len(HOSTILE))]


def test_entries_that_hold_anything_cost_no_audit(release: SyntheticRelease, audits: Audits) -> None:
    settings = Settings(depth=Depth.MASKS, select=("CTS0", "SEG0"), subset=True)
    audits(release.root, settings, pictures=True)
    random = np.random.default_rng(1)
    store = Store(audits.cache)
    read = 0
    for path, content in [(path, held(path)) for path in entries(audits)] * 30:
        kind, key = path.parts[-3], path.parts[-2] + path.name
        store.put(kind, key, spoiled(content, random))
        found = store.get(kind, key)
        if kind == VERDICTS:
            Memory(store)._recalled(found)
        elif kind == PICTURES:
            memory_module._pictured(found)
        elif (told := memory_module._told(found)) is not None:
            frames([told[0].columns])
            read += 1
    assert read  # a text in place of another is one


def test_two_audits_at_once_with_one_cache_tell_the_same(
    release: SyntheticRelease, audits: Audits, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from crlm_qc.auditing import memory\n"
        "from crlm_qc.auditing.run import audit\n"
        "from crlm_qc.cache.store import Store\n"
        "from crlm_qc.model.settings import Depth, Settings\n"
        "from crlm_qc.report.json_format import render\n"
        "memory.GRAIN_NS = 0\n"
        "kept = memory.Memory(Store.opened(Path(sys.argv[2])))\n"
        "sys.stdin.readline()\n"
        "settings = Settings(depth=Depth.HEADERS, select=('CTS0',), subset=True)\n"
        "report = audit(sys.argv[1], settings=settings, jobs=1, memory=kept)\n"
        "kept.keep(report, {})\n"
        "print(render(report).decode())\n"
    )
    asked = [sys.executable, "-c", code, str(release.root), str(audits.cache)]
    both = [subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [one.communicate("\n", timeout=120)[0] for one in both]
    assert told[0] == told[1] != ""
    assert sorted(path.parts[-3] for path in entries(audits)) == [*[READS] * 3, VERDICTS]
    assert all(not path.name.startswith(".part-") for path in entries(audits))


def test_folders_beside_a_table_that_lies_elsewhere_have_a_say(
    release: SyntheticRelease, audits: Audits, tmp_path: Path
) -> None:
    """Its File Location may lead through them into the release."""
    table = tmp_path / "elsewhere" / "metadata.csv"
    table.parent.mkdir()
    release.metadata.rename(table)
    settings, parts = replace(SETTINGS, select=("MET0",)), Parts(metadata=table)
    assert [audits(release.root, settings, parts) for _ in range(2)] == ["0", "verdict"]
    (table.parent / release.collection.name).symlink_to(release.collection)
    assert [audits(release.root, settings, parts) for _ in range(2)] == ["3", "verdict"]
    (table.parent / "note.txt").write_text("x")
    assert audits(release.root, settings, parts) == "verdict"
