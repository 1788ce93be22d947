"""What is remembered of releases in archives and buckets: by what their place tells of a change, and by nothing weaker."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.packed import packed
from support.releases import clean_release, copy_release, small_profile
from support.stores import Server, Store, serving

from crlm_qc.auditing import memory as memory_module
from crlm_qc.auditing.memory import GRAIN_NS, Memory
from crlm_qc.auditing.run import audit
from crlm_qc.cache import store as cache_store
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import collect as collect_module
from crlm_qc.evidence.places import objects
from crlm_qc.evidence.rows import PatientRead
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

SETTINGS = Settings(depth=Depth.HEADERS, select=("CTS00", "CTS012", "REL00", "MET001"))
URL = Path("s3://bucket/data/release")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


def audited(place: Path, cache: Path, profile: Profile) -> tuple[Report, str]:
    """The report, and what the cache was good for: `verdict`, or how many patients of all."""
    memory = Memory(cache_store.Store(cache))
    report = audit(place, settings=SETTINGS, profile=profile, jobs=1, memory=memory)
    used, verdict = memory.use, memory.pictures is not None
    memory.keep(report, {})
    memory.end()
    return report, "verdict" if verdict else f"{used.patients if used else 0} of 3"


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at files as if they had been left alone for long."""
    now = memory_module.time.time_ns
    monkeypatch.setattr(memory_module.time, "time_ns", lambda: now() + 5 * GRAIN_NS)


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_an_archive_is_known_by_its_times_and_what_is_in_it(
    clean_release: SyntheticRelease,
    small_profile: Profile,
    tmp_path: Path,
    cache: Path,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = packed(copy_release(clean_release, tmp_path / "release").root, form)
    assert audited(place, cache, small_profile)[1] == "0 of 3"
    # It was changed a moment ago, and may be once more without its times telling.
    assert audited(place, cache, small_profile)[1] == "0 of 3"
    later(monkeypatch)
    report, _ = audited(place, cache, small_profile)
    found, how = audited(place, cache, small_profile)
    assert how == "verdict"
    assert found.as_dict() == report.as_dict()
    content = place.read_bytes()
    status = place.stat()
    place.write_bytes(content)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert audited(place, cache, small_profile)[1] == "0 of 3"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def store(server: Server, clean_release: SyntheticRelease, monkeypatch: pytest.MonkeyPatch) -> Store:
    return server.holding(clean_release.root, "data/release", monkeypatch)


def test_of_a_bucket_that_has_not_changed_its_listing_is_enough(
    server: Server, store: Store, small_profile: Profile, cache: Path
) -> None:
    report, how = audited(URL, cache, small_profile)
    assert how == "0 of 3"
    store.forget()
    found, how = audited(URL, cache, small_profile)
    assert how == "verdict"
    assert found.as_dict() == report.as_dict()
    # A list that is missing is looked for in the beginnings of the tables that are there.
    assert len(store.asked) <= 3
    assert not [path for path in store.objects() if path.endswith(".dcm")]
    changed, content = next(
        one for one in server.held().items() if "CRLM-CT-1002" in one[0] and one[0].endswith(".dcm")
    )
    server.put(changed, content[:-2] + b"\1\0")
    store.forget()
    assert audited(URL, cache, small_profile)[1] == "2 of 3"
    read = {path.split("/")[-4] for path in store.objects() if path.endswith(".dcm")}
    assert read == {"CRLM-CT-1002"}


def test_an_object_that_no_strong_tag_tells_from_another_is_not_trusted(
    store: Store, small_profile: Profile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = objects.Bucket.item
    monkeypatch.setattr(
        objects.Bucket, "item", lambda self, path, told: item(self, path, {**told, "e_tag": f"W/{told['e_tag']}"})
    )
    # A server that compares weak tags gives nothing for them; here nothing is asked of it.
    monkeypatch.setattr(collect_module, "_read_one", lambda work: PatientRead())
    for _ in range(2):
        assert audited(URL, cache, small_profile)[1] == "0 of 3"
