"""`check --attest` and `verify`: from the bytes of a release to a record of it, and back."""

import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.commands import Run, calling
from support.releases import clean_release, copy_release

from crlm_qc.cli import app as cli
from crlm_qc.cli import verify as cli_verify
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.lock import lock_files, lock_release, render_lock
from crlm_qc.evidence.source import Item
from crlm_qc.model.settings import Depth
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

SCHEMA = json.loads(files("crlm_qc").joinpath("attestation.schema.json").read_text(encoding="utf-8"))
RECORD, LOCK = Path("out/record.json"), Path("out/record.lock")
UNSIGNED = "The record is not signed"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("SOURCE_DATE_EPOCH", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    return calling(capsys)


@pytest.fixture
def release(clean_release: SyntheticRelease, tmp_path: Path) -> SyntheticRelease:
    return copy_release(clean_release, tmp_path / "release")


@pytest.fixture(scope="module")
def attested(clean_release: SyntheticRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record of a whole audit of the clean release, and its lock file."""
    folder = tmp_path_factory.mktemp("attested")
    with pytest.raises(SystemExit) as ended:
        cli.main(
            [
                *("check", str(clean_release.root), "--subset", "-q", "-j", "1", "--pictures", "none"),
                *("--out", str(folder / "reports"), "--attest", str(folder / RECORD.name)),
            ]
        )
    assert ended.value.code == 0
    return folder


@pytest.fixture
def record(attested: Path, tmp_path: Path) -> Path:
    """The record and its lock file at `RECORD` and `LOCK`."""
    shutil.copytree(attested, tmp_path / "out")
    return tmp_path / RECORD


def quick(*options: object) -> list[object]:
    """An audit of headers by one rule: enough where only the record's form is looked at."""
    return ["check", "release", "--subset", "--select", "REL", "--depth", "headers", "-j", 1, *options]


def content() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(RECORD.read_bytes())
    Draft202012Validator(SCHEMA).validate(raw)
    return raw


def test_a_whole_audit_is_attested_and_verified(release: SyntheticRelease, record: Path, run: Run) -> None:
    told = content()
    assert told["predicate"]["verdict"] == "conformant"
    assert told["predicate"]["settings"]["subset"] is True
    assert told["subject"] == [{"name": LOCK.name, "digest": {"sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest()}}]
    every = [path for path in release.root.rglob("*") if path.is_file()]
    assert told["predicate"]["release"]["files"] == len(every)
    assert told["predicate"]["release"]["bytes"] == sum(path.stat().st_size for path in every)

    for lock in ([], ["--lock", LOCK]):
        code, out, err = run("verify", "release", RECORD, *lock)
        assert (code, err) == (0, "")
        assert out.splitlines()[0].startswith(f"The release is the one attested: {len(every)} files")
        assert "Verdict of the record: conformant (0 errors" in out
        assert "Audited as a subset" in out
        assert "REL015" in out
        assert "the same as here" in out
        assert "Signature: not checked" in out
        assert out.splitlines()[-1] == "Verified."
    LOCK.unlink()
    assert run("verify", "release", RECORD)[0] == 0


def test_the_lock_is_what_lock_writes_of_the_same_release(release: SyntheticRelease, record: Path, run: Run) -> None:
    assert run("lock", "release", "--lock", "other.lock")[0] == 0
    assert Path("other.lock").read_bytes() == LOCK.read_bytes()
    assert LOCK.read_bytes().startswith(
        b"# SHA-256 of every file of a release, written by: crlm-qc lock\n"
        b"# To verify it without crlm-qc, in the release's folder: sha256sum -c --quiet FILE\n"
        b"# files: "
    ), "records name these bytes: another heading would part every record from its release"


def test_what_differs_is_named(release: SyntheticRelease, record: Path, run: Run) -> None:
    (touched,) = plant(release, "bytes-changed")
    gone = release.dso_file(release.patients[0])
    gone.unlink()
    (release.root / "notes.txt").write_text("x", encoding="utf-8")
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "The release differs from the one attested."
    assert lines[1] == f"  1 changed: {touched}"
    assert lines[2] == f"  1 missing: {gone.relative_to(release.root).as_posix()}"
    assert lines[3].startswith("  1 added: ")
    assert lines[-1] == "Not verified: the release differs."

    LOCK.unlink()
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    assert "can't be said without the lock file" in out
    assert touched not in out


@pytest.mark.parametrize("change", ["add", "remove", "touch", "rename"])
def test_any_one_change_is_noticed(release: SyntheticRelease, record: Path, run: Run, change: str) -> None:
    assert run("verify", "release", RECORD)[0] == 0
    if change == "add":
        (release.root / "x.txt").write_bytes(b"")
    elif change == "remove":
        release.manifest.unlink()
    elif change == "touch":
        release.metadata.write_bytes(release.metadata.read_bytes() + b"\n")
    else:
        release.metadata.rename(release.root / "Metadata.csv")
    assert run("verify", "release", RECORD)[0] == 1
    LOCK.unlink()
    assert run("verify", "release", RECORD)[0] == 1


def test_another_lock_file_is_refused(release: SyntheticRelease, record: Path, run: Run) -> None:
    Path("other.lock").write_bytes(LOCK.read_bytes() + b"# more\n")
    code, out, _ = run("verify", "release", RECORD, "--lock", "other.lock")
    assert code == 1
    assert "other.lock is not the lock file that the record speaks of" in out
    # One that lies beside the record, and was not named, is no less another; the record itself tells of the release.
    LOCK.write_bytes(b"# changed\n")
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    assert "record.lock is not the lock file that the record speaks of" in out
    assert "The release is the one attested" in out
    assert out.splitlines()[-1] == "Not verified: the lock file beside the record is another."
    release.metadata.unlink()
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    assert out.splitlines()[-1] == "Not verified: the release differs; the lock file beside the record is another."


def test_a_lock_of_another_form_serves_if_the_record_names_it(
    release: SyntheticRelease, record: Path, run: Run
) -> None:
    """A record that another tool made may name a list that sha256sum wrote."""
    plain = b"".join(line + b"\n" for line in LOCK.read_bytes().splitlines() if not line.startswith(b"#"))
    Path("out/sums.txt").write_bytes(plain)
    raw = content()
    raw["subject"] = [{"name": "sums.txt", "digest": {"sha256": hashlib.sha256(plain).hexdigest()}}]
    RECORD.write_text(json.dumps(raw), encoding="utf-8")
    assert run("verify", "release", RECORD)[0] == 0
    release.metadata.write_bytes(b"x")
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    assert f"1 changed: {release.metadata.relative_to(release.root)}" in out


def test_the_record_may_lie_in_the_release(release: SyntheticRelease, record: Path, run: Run) -> None:
    for path in (RECORD, LOCK):
        shutil.copy(path, release.root)
    (release.root / "record.json.asc").write_text("signature", encoding="utf-8")
    inside = release.root / "record.json"
    code, out, _ = run("verify", "release", inside)
    assert code == 0
    assert "3 files in the release left out: the record itself" in out
    (release.root / "other.json.asc").write_text("x", encoding="utf-8")
    assert run("verify", "release", inside)[0] == 1


def test_a_record_that_is_not_conformant_verifies_only_if_asked(release: SyntheticRelease, run: Run) -> None:
    code, out, _ = run(*quick("--attest", RECORD))
    assert code == 0
    assert f"sign-off record: {RECORD} (verdict: incomplete)" in out
    assert UNSIGNED in out
    assert "gpg --armor --detach-sign out/record.json" in out
    assert "cosign sign-blob --bundle out/record.json.sigstore.json out/record.json" in out
    assert content()["predicate"]["verdict"] == "incomplete"
    code, out, _ = run("verify", "release", RECORD)
    assert code == 1
    assert "The release is the one attested" in out
    assert out.splitlines()[-1] == "Not verified: the record's verdict is incomplete."
    assert run("verify", "release", RECORD, "--any-verdict")[0] == 0
    release.metadata.unlink()
    assert run("verify", "release", RECORD, "--any-verdict")[0] == 1


def test_a_fault_is_attested_as_it_is(release: SyntheticRelease, run: Run) -> None:
    plant(release, "manifest-entry-missing:" + release.patients[0])
    wanted = ("--select", "MAN", "--depth", "headers", "-j", 1, "--attest", RECORD)
    assert run("check", "release", "--subset", *wanted)[0] == 1
    assert content()["predicate"]["verdict"] == "not conformant"
    assert run("verify", "release", RECORD)[0] == 1
    assert run("verify", "release", RECORD, "--any-verdict")[0] == 0


def test_waivers_stand_in_the_record(release: SyntheticRelease, run: Run) -> None:
    plant(release, "manifest-entry-missing:" + release.patients[0])
    assert run("check", "release", "--subset", "--select", "MAN", "--depth", "headers", "-j", 1)[0] == 1
    (fault,) = [
        one
        for one in json.loads(Path("reports/release/findings.json").read_bytes())["findings"]
        if one["severity"] == "error"
    ]
    patients = f'patients = ["{fault["patient"]}"]' if fault["patient"] else ""
    Path("waivers.toml").write_text(
        f'[[waiver]]\nrule = "{fault["rule"]}"\n{patients}\nreason = "seen: mended in the next edition"\n',
        encoding="utf-8",
    )
    wanted = ("--select", "MAN", "--depth", "headers", "-j", 1, "--attest", RECORD, "--waivers", "waivers.toml")
    assert run("check", "release", "--subset", *wanted)[0] == 0
    (waiver,) = content()["predicate"]["waivers"]
    assert (waiver["rule"], waiver["findings"], waiver["known"]) == (fault["rule"], 1, False)
    _, out, _ = run("verify", "release", RECORD)
    assert f"waived: {fault['rule']}, 1 finding: seen: mended in the next edition" in out


def test_the_same_release_gives_the_same_record(clean_release: SyntheticRelease, tmp_path: Path, run: Run) -> None:
    found = []
    for place, jobs in (("a", 1), ("b", 3)):
        copy_release(clean_release, tmp_path / place / "release")
        run(
            "check",
            f"{place}/release",
            "--select",
            "REL",
            "--depth",
            "headers",
            "-j",
            jobs,
            "--attest",
            f"{place}/r.json",
        )
        found.append((Path(place, "r.json").read_bytes(), Path(place, "r.lock").read_bytes()))
    assert found[0] == found[1]
    assert b"time" not in found[0][0]
    assert str(tmp_path).encode() not in found[0][0]


def test_the_only_clock_is_source_date_epoch(
    release: SyntheticRelease, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795478400")
    run(*quick("--attest", RECORD))
    assert content()["predicate"]["time"] == "2026-11-24T00:00:00Z"
    assert "on 2026-11-24T00:00:00Z" in run("verify", "release", RECORD)[1]
    for wrong in ("yesterday", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        code, _, err = run(*quick("--attest", "out/other.json"))
        assert (code, err.count("\n")) == (2, 1)
        assert "SOURCE_DATE_EPOCH" in err


def test_a_given_lock_file_is_the_subject_if_it_is_of_these_bytes(release: SyntheticRelease, run: Run) -> None:
    run("lock", "release", "--lock", "deposit.lock")
    assert run(*quick("--attest", RECORD, "--lock", "deposit.lock"))[0] == 0
    assert content()["subject"][0]["name"] == "deposit.lock"
    assert not LOCK.exists()
    assert run("verify", "release", RECORD, "--lock", "deposit.lock", "--any-verdict")[0] == 0

    plant(release, "bytes-changed")
    assert run(*quick("--attest", RECORD, "--lock", "deposit.lock"))[0] == 1
    told = content()
    assert told["predicate"]["verdict"] == "not conformant"
    assert told["subject"][0] == {
        "name": LOCK.name,
        "digest": {"sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest()},
    }
    assert run("verify", "release", RECORD, "--any-verdict")[0] == 0


def test_another_lock_file_is_not_overwritten(release: SyntheticRelease, run: Run) -> None:
    run(*quick("--attest", RECORD))
    before = LOCK.read_bytes(), RECORD.read_bytes()
    assert run(*quick("--attest", RECORD))[0] == 0
    plant(release, "bytes-changed")
    code, _, err = run(*quick("--attest", RECORD))
    assert code == 2
    assert "out/record.lock is there already and differs" in err
    assert (LOCK.read_bytes(), RECORD.read_bytes()) == before


def test_other_rules_are_a_note_and_no_failure(release: SyntheticRelease, record: Path, run: Run) -> None:
    profile = Path("crlm.toml")
    folder = load_profile().folder
    assert folder is not None
    shutil.copytree(folder, "profiles")
    profile = Path("profiles/crlm.toml")
    profile.write_text(profile.read_text(encoding="utf-8") + "\n[tolerances]\nmonths = 0.06\n", encoding="utf-8")
    code, out, _ = run("verify", "release", RECORD, "--profile", profile)
    assert code == 0
    assert "Note: rules, severities, tolerances or profile are not the same here" in out
    raw = content()
    raw["predicate"]["settings"]["severity"] = {"ZZZ999": "info"}
    raw["predicate"]["tool"]["version"] = "0.0.1"
    RECORD.write_text(json.dumps(raw), encoding="utf-8")
    code, out, _ = run("verify", "release", RECORD)
    assert code == 0
    assert "Severities were changed: ZZZ999 to info." in out
    assert "are not the same here" in out
    assert "This is crlm-qc 0." in out


def test_quiet_and_piped_output(release: SyntheticRelease, run: Run) -> None:
    code, out, err = run(*quick("--attest", RECORD, "-o", "json:-"))
    assert code == 0
    json.loads(out)
    assert UNSIGNED in err
    code, out, _ = run(*quick("--attest", RECORD, "-q"))
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["check", "release", "--attest", "release/a.json"],
            "is never written to. Give a file elsewhere: --attest FILE",
        ),
        (["check", "release/", "--attest", "release/x/../a.json"], "Give a file elsewhere: --attest FILE"),
        (["check", "release", "--attest", "out"], "out is a folder"),
        (["check", "release", "--attest", "out/a.lock"], "give another name"),
        (["check", "release", "--attest", "x.json", "--patients", "CRLM-CT-1001"], "leave out --patients"),
        (["check", "release", "--attest", "x.json", "--lock", "release/LICENSE"], "lies in the release"),
        (["verify", "release", "none.json"], "none.json not found"),
        (["verify", "release", "out"], "out is a folder"),
        (["verify", "release", "out/record.lock"], "is no sign-off record: it is not JSON"),
        (["verify", "release", "out/reports/findings.json"], "is no sign-off record: its _type is not"),
        (["verify", "releas", "out/record.json"], "releas not found"),
        (["verify", "release", "out/record.json", "--lock", "none.lock"], "--lock none.lock not found"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    release: SyntheticRelease, record: Path, run: Run, arguments: list[str], said: str
) -> None:
    before = sorted(path.as_posix() for path in Path().rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert sorted(path.as_posix() for path in Path().rglob("*")) == before


def test_saved_evidence_is_not_attested(release: SyntheticRelease, run: Run) -> None:
    run(*quick("--evidence", "tables"))
    code, _, err = run("check", "tables", "--attest", RECORD)
    assert code == 2
    assert "can't be hashed" in err


def test_nothing_there_is_neither_attested_nor_verified(record: Path, run: Run) -> None:
    Path("empty").mkdir()
    code, _, err = run("check", "empty", "--attest", "x.json")
    assert code == 4
    assert "no sign-off record was written: nothing was checked" in err
    assert not Path("x.json").exists()
    code, out, err = run("verify", "empty", RECORD)
    assert (code, out) == (4, "")
    assert "holds no file" in err


def test_what_cannot_be_read_is_neither_attested_nor_verified(
    release: SyntheticRelease, record: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(item: Item) -> tuple[str, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Item, "digest", refuse)
    code, out, err = run("verify", "release", RECORD)
    assert (code, out) == (3, "")
    assert "not verified: file" in err
    assert "more" in err
    code, _, err = run(*quick("--attest", "x.json"))
    assert code == 3
    assert "no sign-off record was written" in err
    assert not Path("x.json").exists()


@pytest.mark.parametrize("closed", [RECORD, LOCK])
def test_a_record_that_cannot_be_read_is_exit_3(
    release: SyntheticRelease, record: Path, run: Run, monkeypatch: pytest.MonkeyPatch, closed: Path
) -> None:
    opened = Path.open

    def refuse(path: Path, *rest: Any, **more: Any) -> Any:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", refuse)
    code, out, err = run("verify", "release", RECORD, "--lock", LOCK)
    assert (code, out) == (3, "")
    assert f"{closed} can't be read: permission denied" in err


def test_a_record_whose_verdict_is_not_that_of_its_counts(release: SyntheticRelease, record: Path, run: Run) -> None:
    raw = content()
    raw["predicate"]["counts"]["error"] = 5
    RECORD.write_text(json.dumps(raw), encoding="utf-8")
    code, out, err = run("verify", "release", RECORD)
    assert (code, out) == (2, "")
    assert "is no sign-off record: it says conformant, and counts 5 errors" in err


def test_a_file_far_too_large_is_no_record(
    release: SyntheticRelease, record: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_verify, "MAX_BYTES", 100)
    code, _, err = run("verify", "release", RECORD)
    assert code == 2
    assert "is no sign-off record" in err


def test_a_record_leads_nowhere(release: SyntheticRelease, record: Path, run: Run) -> None:
    """The subject's name comes from a file: it must not make `verify` read elsewhere, nor print what it likes."""
    for name in ("../../etc/passwd", "/etc/passwd", "..", "", "a\x1b[2J\u202eb"):
        raw = content() if name == "../../etc/passwd" else json.loads(RECORD.read_bytes())
        raw["subject"][0]["name"] = name
        RECORD.write_text(json.dumps(raw), encoding="utf-8")
        code, out, err = run("verify", "release", RECORD)
        assert code == 0
        assert "passwd" not in out
        assert "\x1b" not in out + err


def test_names_of_persons_do_not_get_out(release: SyntheticRelease, run: Run) -> None:
    secret = "DOE^JANE"
    (release.root / f"{secret}.txt").write_text("x", encoding="utf-8")
    (release.collection / release.patients[0] / f"{secret} notes.pdf").write_text("x", encoding="utf-8")
    _, out, err = run(*quick("--attest", RECORD))
    assert secret not in out + err + RECORD.read_text(encoding="utf-8")
    for path in release.root.rglob(f"*{secret}*"):
        path.write_text("y", encoding="utf-8")
    (release.root / f"{secret}.csv").write_text("x", encoding="utf-8")
    code, out, err = run("verify", "release", RECORD)
    assert code == 1
    assert "2 changed: " in out
    assert "1 added: " in out
    assert secret not in out + err


def test_links_and_system_files_are_locked_alike(release: SyntheticRelease, profile: Profile, tmp_path: Path) -> None:
    """The lock of what an audit read is that of `crlm-qc lock`, whatever lies about."""
    (release.root / ".DS_Store").write_bytes(b"x")
    (release.root / "__MACOSX").mkdir()
    (release.root / "__MACOSX/x.dcm").write_bytes(b"x")
    (release.root / "empty.dcm").write_bytes(b"")
    (release.root / "LICENSE.txt").write_bytes(b"x")
    folder = release.collection / release.patients[0]
    (folder / "notes.txt").write_bytes(b"x")
    (folder / "broken.dcm").symlink_to(folder / "nothing")
    (folder / "outside.dcm").symlink_to(tmp_path)
    (folder / "folder.dcm").symlink_to(release.collection)
    (folder / "again.dcm").symlink_to(release.dso_file(release.patients[0]))
    wanted = lock_release(release.root, profile)
    for jobs in (1, 2):
        evidence = collect(release.root, profile, depth=Depth.HEADERS, hashed=True, jobs=jobs)
        found = lock_files(evidence["files"])
        assert (found.left_out, found.unread) == (wanted.left_out, wanted.unread) == (3, ())
        assert render_lock(found.entries) == render_lock(wanted.entries)
