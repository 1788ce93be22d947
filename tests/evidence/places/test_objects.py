"""Buckets: what is read of them, by how many requests, and what becomes of what could not be fetched."""

import json
import os
import pickle
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from support.layouts import LAYOUTS
from support.releases import clean_release, copy_release
from support.stores import Store, put, serving

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.evidence.lock import lock_release
from crlm_qc.evidence.places import objects
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import reason
from crlm_qc.model.access import Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.report import ExitCode
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tables import TABLES
from crlm_qc.report.json_format import render
from crlm_qc.synthetic.release import SyntheticRelease

pytest.importorskip("obstore")
__all__ = ["clean_release"]
# As the command line has it, where two slashes become one.
URL = Path("s3://bucket/data/release")


@pytest.fixture(scope="module")
def server(clean_release: SyntheticRelease) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch, serving(clean_release.root, "data/release", patch) as found:
        yield found


@pytest.fixture
def store(server: Store) -> Store:
    """The server, as if nothing had been asked of it. Who changes what it holds puts that back."""
    server.forget()
    server.fault = lambda path, state: None
    objects._made.cache_clear()
    return server


def judged(place: Path, profile: Profile, **settings: object) -> bytes | str:
    return render(audit(place, profile=profile, settings=Settings(subset=True, **settings), jobs=1))  # type: ignore[arg-type]


def test_a_bucket_holds_what_its_folder_holds(store: Store, clean_release: SyntheticRelease) -> None:
    plain, source = open_source(clean_release.root), open_source(URL)
    assert source.name == "release"
    assert [(one.path, one.size) for one in source.tree().items] == [(one.path, one.size) for one in plain.tree().items]
    assert source.tree().folders == plain.tree().folders
    for found, expected in list(zip(source.tree().items, plain.tree().items, strict=True))[::7]:
        assert found.digest() == expected.digest()
        assert pickle.loads(pickle.dumps(found)).read(3, 99) == expected.read(3, 99)


@pytest.mark.parametrize("depth", Depth)
def test_tables_are_the_folder_s_and_requests_few(
    store: Store, clean_release: SyntheticRelease, profile: Profile, depth: Depth
) -> None:
    expected = collect(clean_release.root, profile, depth=depth, jobs=1)
    found = collect(URL, profile, depth=depth, jobs=1)
    for name in TABLES:
        pd.testing.assert_frame_equal(found[name], expected[name])
    images = [path for path in store.objects() if path.endswith(".dcm")]
    files = len(set(images))
    total = sum(path.stat().st_size for path in clean_release.root.rglob("*.dcm"))
    assert files == len(expected["files"][expected["files"]["name"].str.endswith(".dcm")])
    # The header of an object of many frames is longer than a first range, of which there may be two more.
    objects_of_masks = int((expected["files"]["kind"] == "dso").sum())
    assert len(images) <= files + (0 if depth is Depth.PIXELS else 3 * objects_of_masks)
    assert store.sent <= {Depth.HEADERS: 16_384 * files, Depth.MASKS: total, Depth.PIXELS: total}[depth] + 500_000
    # The store may count a request for a moment longer than whoever has its answer.
    assert 1 < store.most <= 2 * objects.AHEAD


def test_findings_are_the_same_byte_for_byte(store: Store, clean_release: SyntheticRelease, profile: Profile) -> None:
    assert judged(URL, profile) == judged(clean_release.root, profile)


def test_the_layout_of_the_commons(
    store: Store, clean_release: SyntheticRelease, profile: Profile, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "release")
    LAYOUTS["bucket"](release)
    for path in release.root.rglob("*.dcm"):
        put(store.state["client"], f"other/release/{path.relative_to(release.root).as_posix()}", path.read_bytes())
    url = Path("s3://bucket/other/release")
    assert judged(url, profile, depth=Depth.HEADERS) == judged(release.root, profile, depth=Depth.HEADERS)


def test_a_lock_of_it_is_the_folder_s(store: Store, clean_release: SyntheticRelease, profile: Profile) -> None:
    assert lock_release(URL, profile, jobs=4) == lock_release(clean_release.root, profile)


@pytest.mark.parametrize("wrong", ["500", "503", "cut", "slow"])
def test_what_fails_once_is_asked_for_again(
    store: Store, clean_release: SyntheticRelease, profile: Profile, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PATIENCE", timedelta(seconds=1))
    failed: set[str] = set()

    def fault(path: str, _: object) -> str | None:
        if path.endswith("1-02.dcm") and path not in failed:
            failed.add(path)
            return wrong
        return None

    store.fault = fault
    found = judged(URL, profile, depth=Depth.HEADERS)
    assert failed
    assert found == judged(clean_release.root, profile, depth=Depth.HEADERS)


@pytest.mark.parametrize(
    ("wrong", "depth"),
    [("500", Depth.HEADERS), ("503", Depth.PIXELS), ("cut", Depth.PIXELS), ("slow", Depth.HEADERS)],
)
def test_what_is_never_given_is_a_limit_and_no_finding(
    store: Store,
    clean_release: SyntheticRelease,
    profile: Profile,
    wrong: str,
    depth: Depth,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "_PATIENCE", timedelta(seconds=1))
    lost = next(path for path in sorted(clean_release.root.rglob("1-05.dcm")) if "CRLM-CT-1002" in str(path))
    store.fault = lambda path, _: wrong if path.endswith(lost.relative_to(clean_release.root).as_posix()) else None
    report = audit(URL, profile=profile, settings=Settings(subset=True, depth=depth), jobs=1)
    assert report.limits == ("CRLM-CT-1002: a file was not read: the server did not give it",)
    expected = audit(clean_release.root, profile=profile, settings=Settings(subset=True, depth=depth), jobs=1)
    before = {(one.rule, one.patient) for one in expected.findings}
    assert {(one.rule, one.patient) for one in report.findings} <= before
    assert "127.0.0.1" not in json.dumps(str(report))


def test_tables_that_are_never_given_are_limits_and_no_findings(
    store: Store, clean_release: SyntheticRelease, profile: Profile
) -> None:
    names = ("metadata.csv", ".xlsx", ".tcia")
    store.fault = lambda path, _: "500" if path.endswith(names) else None
    report = audit(URL, profile=profile, settings=Settings(subset=True, depth=Depth.HEADERS), jobs=1)
    assert report.exit_code(Severity.ERROR) is ExitCode.INCOMPLETE
    assert sorted(report.limits) == [
        f"{name} was not read: the server did not give it"
        for name in ("metadata.csv", "the clinical workbook", "the manifest")
    ]
    expected = audit(clean_release.root, profile=profile, settings=Settings(subset=True, depth=Depth.HEADERS), jobs=1)
    assert {one.rule for one in report.findings} <= {one.rule for one in expected.findings}
    reasons = {one.rule: one.reason for one in report.outcomes}
    assert (reasons["MET020"], reasons["MAN001"]) == ("metadata.csv was not fetched", "the manifest was not fetched")


def test_an_object_that_was_changed_since_is_not_read(store: Store) -> None:
    found = next(one for one in open_source(URL).tree().items if one.suffix == ".dcm")
    before = found.read(0, found.size or 0)
    put(store.state["client"], f"data/release/{found.path}", b"x" * len(before))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its words are what counts
        found.digest()
    put(store.state["client"], f"data/release/{found.path}", before)
    assert reason(caught.value) == "it was changed during the audit"


def test_markers_of_folders_are_no_files(store: Store) -> None:
    before = [one.path for one in open_source(URL).tree().items]
    folder = before[-1].rpartition("/")[0]
    put(store.state["client"], f"data/release/{folder}/", b"")
    assert [one.path for one in open_source(URL).tree().items] == before
    store.state["client"].delete_object(Bucket="bucket", Key=f"data/release/{folder}/")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket/nothing", r"holds nothing: is the prefix right\?"),
        ("s3://another-bucket/x", "can't be listed: the server did not give it"),
        ("s3://me:secret@bucket/x", "^a URL must hold no credentials"),
        ("s3://bucket/x?X-Amz-Signature=secret", "^a URL must hold no credentials"),
    ],
)
def test_what_can_not_be_listed_is_said_without_secrets(store: Store, url: str, says: str) -> None:
    with pytest.raises(ReleaseError, match=says) as caught:
        open_source(Path(url))
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_another_server_may_be_named_by_an_option(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    found = open_source(URL, access=Access(endpoint=endpoint, anonymous=True))
    first = pickle.loads(pickle.dumps(found.tree().items[0]))
    assert first.digest()[1] == first.size
    assert objects.store_of(found).config.get("skip_signature") == "true"  # type: ignore[arg-type]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(ReleaseError, match="--endpoint is not the server that AWS_ENDPOINT_URL_S3 names"):
        open_source(URL, access=Access(endpoint=endpoint))


def test_a_store_that_the_environment_does_not_tell_enough_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(ReleaseError, match="must name the account: AZURE_STORAGE_ACCOUNT_NAME"):
        open_source(Path("az://container/x"))


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(ReleaseError, match=r"pip install 'crlm-qc\[remote\]'"):
        open_source(URL)


def test_requests_are_signed_only_if_the_environment_has_credentials(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (objects.Bucket(f"s3://bucket/{name}", 0) for name in ("one", "two"))
    assert objects.store_of(one).config.get("skip_signature") == "true"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    assert "skip_signature" not in objects.store_of(two).config
    found = open_source(URL)
    assert b"top-secret" not in pickle.dumps(found.tree().items)
