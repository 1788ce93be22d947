"""Every command that is given a release is given an archive of it with the same outcome."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import told
from support.layouts import LAYOUTS
from support.packed import packed
from support.pipelines import PLAIN, PYTEST_OPTIONS, Junit, failing_tests, faulty_release, run_pytest
from support.releases import clean_release, copy_release, small_profile

from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

FAULTS = ("ct-slice-lost:CRLM-CT-1001", "masks-shifted:CRLM-CT-1002", "dso-study:CRLM-CT-1003")
OF_FOLDER, OF_ARCHIVE = Path("of-folder"), Path("of-archive")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    return told(capsys)


@pytest.fixture(scope="module")
def faulty(clean_release: SyntheticRelease, tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    release = copy_release(clean_release, tmp_path_factory.mktemp("faulty") / "release")
    for one in FAULTS:
        plant(release, one)
    return release


def same_files(*names: str) -> None:
    for name in names:
        assert (OF_ARCHIVE / name).read_bytes() == (OF_FOLDER / name).read_bytes(), name


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_check_and_its_pictures(faulty: SyntheticRelease, run: Run, form: str, tmp_path: Path) -> None:
    release = copy_release(faulty, tmp_path / "release")
    options = ("--subset", "--jobs", 2)
    assert run("check", release.root, "--out", OF_FOLDER, *options)[0] == 1
    assert run("check", packed(release.root, form), "--out", OF_ARCHIVE, *options)[0] == 1
    same_files("findings.json")
    assert b'"pictures"' in (OF_ARCHIVE / "findings.json").read_bytes()
    assert run("show", OF_ARCHIVE / "findings.json")[0] == 0


@pytest.mark.parametrize("layout", [None, *LAYOUTS])
def test_every_layout(faulty: SyntheticRelease, small_profile: Profile, layout: str | None, tmp_path: Path) -> None:
    release = copy_release(faulty, tmp_path / "release")
    if layout:
        LAYOUTS[layout](release)
    # Whatever an audit says comes of these.
    expected = collect(release.root, small_profile, depth=Depth.PIXELS, jobs=1)
    for form, name in (("zip", None), ("zip", ""), ("tar", None)):
        found = collect(packed(release.root, form, name=name), small_profile, depth=Depth.PIXELS, jobs=1)
        assert found.facts == expected.facts, (form, name)
        assert [table for table in TABLES if not found[table].equals(expected[table])] == [], (form, name)


def test_lock_attest_and_verify(clean_release: SyntheticRelease, run: Run, tmp_path: Path) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    archive = packed(release.root, "zip")
    assert run("lock", release.root, "--lock", "folder.lock")[0] == run("lock", archive)[0] == 0
    made = Path("reports/release/release.lock")
    assert made.read_bytes() == Path("folder.lock").read_bytes()
    wanted = ("--select", "REL015", "--depth", "headers", "--subset", "--lock", made)
    assert run("check", archive, "--out", OF_ARCHIVE, *wanted)[0] == 0
    record = tmp_path / "record.json"
    attested = ("--select", "REL", "--depth", "headers", "--attest", record, "--lock", made)
    assert run("check", archive, "--out", OF_ARCHIVE, *attested)[0] == 0
    assert run("verify", release.root, record, "--any-verdict", "--lock", made)[0] == 0
    assert run("verify", archive, record, "--any-verdict", "--lock", made)[0] == 0


def test_pictures_and_the_list_to_fetch(faulty: SyntheticRelease, run: Run, tmp_path: Path) -> None:
    release = copy_release(faulty, tmp_path / "release")
    archive = packed(release.root, "zip")
    assert run("pictures", release.root, "CRLM-CT-1001", "--out", OF_FOLDER)[0] == 0
    assert run("pictures", archive, "CRLM-CT-1001", "--out", OF_ARCHIVE)[0] == 0
    made = sorted(path.name for path in OF_FOLDER.iterdir())
    assert made
    same_files(*made)


def test_what_is_refused_is_a_limit_and_leaves_the_rest(
    clean_release: SyntheticRelease, run: Run, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    archive = packed(release.root, "stored.zip")
    content = bytearray(archive.read_bytes())
    first = next(release.root.rglob("1-05.dcm")).read_bytes()
    content[content.index(first) + len(first) - 9] ^= 255
    archive.write_bytes(content)
    code, _ = run("check", archive, "--out", OF_ARCHIVE, "--subset")
    report = json.loads((OF_ARCHIVE / "findings.json").read_text(encoding="utf-8"))
    assert code == 3
    assert [one.partition(": ")[2] for one in report["limits"]] == ["a file was not read: it is damaged in the archive"]


def test_pytest(tmp_path: Path) -> None:
    release = faulty_release(tmp_path / "release")
    archive = packed(release.root, "zip")
    run_pytest(tmp_path, PLAIN, f"--crlm-release={archive}", *PYTEST_OPTIONS, "--junitxml=pytest.xml", expect=1)
    assert Junit.of(tmp_path / "pytest.xml").failure == failing_tests()
