"""Web servers: a listing that is given tells what is there; what the server does not give is a limit, and no finding."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from support.packed import packed
from support.releases import small_profile, small_release
from support.stores import serving
from support.webs import Site, web

from crlm_qc.auditing.memory import Memory
from crlm_qc.auditing.run import audit
from crlm_qc.cache.store import Store
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.lock import lock_release, render_lock
from crlm_qc.evidence.places import objects
from crlm_qc.evidence.places import web as web_module
from crlm_qc.evidence.places.opening import open_source
from crlm_qc.evidence.source import reason
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.report.json_format import render

pytest.importorskip("obstore")
__all__ = ["small_profile"]


@dataclass
class Place:
    """A release of one patient, on disk and on a web server."""

    root: Path
    site: Site
    lock: Path

    @property
    def url(self) -> Path:
        # As the command line has it, where two slashes become one.
        return Path(f"{self.site.url}/some where/release")

    @property
    def access(self) -> Access:
        return Access(listing=self.lock)

    def audited(self, profile: Profile, depth: Depth = Depth.HEADERS, access: Access | None = None) -> Report:
        settings = Settings(subset=True, depth=depth)
        return audit(self.url, profile=profile, settings=settings, access=access or self.access, jobs=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, small_profile: Profile) -> Iterator[Place]:
    top = tmp_path_factory.mktemp("web")
    release = small_release(top / "some where" / "release", patients=1, max_slices=17)
    (release.root / "caf\N{LATIN SMALL LETTER E WITH ACUTE} #1 100%.txt").write_text("a note")
    lock = top / "release.lock"
    lock.write_bytes(render_lock(lock_release(release.root, small_profile).entries))
    with web(top) as site:
        yield Place(release.root, site, lock)


@pytest.fixture
def place(served: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    served.site.forget()
    monkeypatch.setattr(objects, "_PATIENCE", timedelta(seconds=1))
    monkeypatch.setattr(web_module, "_WHOLE_ONLY", set())
    objects._made.cache_clear()
    return served


@pytest.fixture(scope="module")
def expected(served: Place, small_profile: Profile) -> dict[Depth, bytes | str]:
    """What an audit of the folder comes to."""
    return {depth: judged(served.root, small_profile, depth) for depth in (Depth.HEADERS, Depth.MASKS, Depth.PIXELS)}


def judged(root: Path, profile: Profile, depth: Depth, access: Access = PLAIN) -> bytes | str:
    settings = Settings(subset=True, depth=depth)
    return render(audit(root, profile=profile, settings=settings, access=access, jobs=1))


def test_one_release_wherever_it_lies_has_the_same_findings(
    place: Place,
    small_profile: Profile,
    expected: dict[Depth, bytes | str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = tmp_path / "release"
    link.symlink_to(place.root)
    found = {form: judged(packed(link.resolve(), form), small_profile, Depth.PIXELS) for form in ("zip", "tar.gz")}
    found["https"] = judged(place.url, small_profile, Depth.PIXELS, place.access)
    with serving() as server:
        server.holding(place.root, "data/release", monkeypatch)
        found["s3"] = judged(Path("s3://bucket/data/release"), small_profile, Depth.PIXELS)
        # A listing of a bucket picks what is taken of it.
        found["s3 by a lock file"] = judged(Path("s3://bucket/data/release"), small_profile, Depth.PIXELS, place.access)
    assert {form: one == expected[Depth.PIXELS] for form, one in found.items()} == dict.fromkeys(found, True)


@pytest.mark.parametrize(
    ("depth", "ranged", "tagged"),
    [
        (Depth.HEADERS, True, True),
        (Depth.HEADERS, False, False),
        (Depth.MASKS, True, False),
        (Depth.MASKS, False, True),
    ],
)
def test_requests_are_few_with_ranges_and_without(
    place: Place, small_profile: Profile, expected: dict[Depth, bytes | str], depth: Depth, ranged: bool, tagged: bool
) -> None:
    place.site.ranged, place.site.tagged = ranged, tagged
    assert render(place.audited(small_profile, depth)) == expected[depth]
    files = [path for path in place.root.rglob("*") if path.is_file()]
    assert sorted(place.site.of("HEAD")) == sorted(f"some where/release/{one.relative_to(place.root)}" for one in files)
    images = [path for path in place.site.of("GET") if path.endswith(".dcm")]
    # The first range that is refused is asked for again, and so are those under way beside it.
    assert len(images) <= len(set(images)) + (3 if ranged else 2 * objects.AHEAD)
    if not ranged:
        assert (
            len([headers for *_, headers in place.site.asked if "range" in map(str.lower, headers)])
            <= 3 * objects.AHEAD
        )


@pytest.mark.parametrize(("wrong", "tagged"), [("500", True), ("cut", True), ("cut", False), ("slow", True)])
def test_what_fails_once_is_asked_for_again(
    place: Place, small_profile: Profile, expected: dict[Depth, bytes | str], wrong: str, tagged: bool
) -> None:
    failed: set[str] = set()
    place.site.tagged = tagged

    def fault(method: str, path: str) -> str | None:
        if method == "GET" and path.endswith("1-02.dcm") and path not in failed:
            failed.add(path)
            return wrong
        return None

    place.site.fault = fault
    assert render(place.audited(small_profile)) == expected[Depth.HEADERS]
    assert failed


@pytest.mark.parametrize("wrong", ["500", "cut", "slow"])
def test_what_is_never_given_is_a_limit_and_no_finding(place: Place, small_profile: Profile, wrong: str) -> None:
    place.site.fault = lambda method, path: wrong if method == "GET" and path.endswith("1-03.dcm") else None
    report = place.audited(small_profile)
    assert report.limits == ("CRLM-CT-1001: a file was not read: the server did not give it",)
    assert len(place.site.of("GET")) < 100


def test_what_the_server_does_not_even_tell_of_is_a_limit(place: Place, small_profile: Profile) -> None:
    place.site.fault = lambda method, path: "500" if path.endswith("1-03.dcm") else None
    report = place.audited(small_profile)
    assert report.limits == ("CRLM-CT-1001: a file was not read: the server did not give it",)


def test_what_the_listing_alone_names_is_counted(place: Place, small_profile: Profile, tmp_path: Path) -> None:
    listing = tmp_path / "more.md5"
    lines = place.lock.read_text(encoding="utf-8")
    listing.write_text(f"{lines}{'0' * 64}  gone.dcm\n{'1' * 64}  gone/too.dcm\n", encoding="utf-8")
    report = place.audited(small_profile, access=Access(listing=listing))
    assert f"2 of the {len(place.site.of('HEAD'))} files of the listing are not there" in report.limits


@pytest.mark.parametrize("tagged", [True, False])
def test_what_has_not_changed_is_not_fetched_again(
    place: Place, small_profile: Profile, tmp_path: Path, tagged: bool
) -> None:
    place.site.tagged = tagged
    (tmp_path / "cache").mkdir(mode=0o700)
    settings = Settings(subset=True, depth=Depth.HEADERS)
    fetched = []
    for _ in range(2):
        place.site.asked.clear()
        memory = Memory(Store(tmp_path / "cache"))
        report = audit(place.url, profile=small_profile, settings=settings, access=place.access, jobs=1, memory=memory)
        memory.keep(report, {})
        fetched.append(len([path for path in place.site.of("GET") if path.endswith(".dcm")]))
    assert fetched[0] > 17
    assert fetched[1] == (0 if tagged else fetched[0])


@pytest.mark.parametrize("tagged", [True, False])
def test_a_file_that_was_changed_since_is_not_read(place: Place, tagged: bool) -> None:
    place.site.tagged = tagged
    found = next(one for one in open_source(place.url, access=place.access).tree().items if one.suffix == ".txt")
    file = place.root / found.path
    before = file.read_bytes()
    assert found.digest()[1] == len(before)
    assert (found.stamp is not None) is tagged
    try:
        file.write_bytes(b"another content of another size")
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its words are what counts
            found.digest()
    finally:
        file.write_bytes(before)
    assert reason(caught.value) == "it was changed during the audit"


def test_nothing_secret_is_sent_and_redirects_are_followed_with_nothing(
    place: Place, small_profile: Profile, expected: dict[Depth, bytes | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "top-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    with web(place.site.folder) as other:

        def fault(method: str, path: str) -> str | None:
            return f"{other.url}/{path.replace(' ', '%20')}" if path.endswith("1-02.dcm") else None

        place.site.fault = fault
        assert render(place.audited(small_profile)) == expected[Depth.HEADERS]
        assert {path.rpartition("/")[2] for path in other.of("GET")} == {"1-02.dcm"}
        sent = [headers for site in (place.site, other) for *_, headers in site.asked]
    named = {name.lower() for headers in sent for name in headers}
    assert not named & {"authorization", "cookie", "x-amz-security-token", "proxy-authorization"}


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_no_redirect_leads_to_another_scheme(place: Place, small_profile: Profile, to: str) -> None:
    place.site.fault = lambda method, path: f"{to}?://" if method == "GET" and path.endswith("1-03.dcm") else None
    report = place.audited(small_profile)
    assert report.limits == ("CRLM-CT-1001: a file was not read: the server did not give it",)


def test_no_redirect_leads_to_what_is_not_encrypted(
    place: Place, small_profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "server.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*made, "-keyout", certificate, "-out", tmp_path / "c.pem"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "c.pem").read_bytes())
    monkeypatch.setitem(objects._TRUST, "allow_invalid_certificates", True)
    plain = place.site
    with web(plain.folder, certificate) as site:
        safe = Place(place.root, site, place.lock)
        site.fault = lambda method, path: (
            f"{plain.url}/{path.replace(' ', '%20')}" if method == "GET" and path.endswith("1-03.dcm") else None
        )
        report = safe.audited(small_profile)
    assert site.url.startswith("https://")
    assert report.limits == ("CRLM-CT-1001: a file was not read: the server did not give it",)
    assert plain.asked == []


@pytest.mark.parametrize(
    ("url", "access", "says"),
    [
        ("https://example.org/x", Access(), r"does not list its files\. Give a file that does, --listing FILE"),
        ("http://example.org/x", Access(listing=Path("LOCK")), "is not encrypted, .*: use https://"),
        ("https://me:secret@example.org/x", Access(listing=Path("LOCK")), "must hold no credentials"),
        ("https://example.org/x", Access(listing=Path("LOCK"), endpoint="https://y"), "--endpoint is for buckets"),
        ("s3://bucket/x", Access(endpoint="https://me:secret@example.org"), "must hold no credentials"),
        ("s3://bucket/x", Access(endpoint="example.org"), "--endpoint is the URL of a server"),
        ("https://example.org/x", Access(listing=Path("nothing.csv")), "--listing nothing.csv not found"),
    ],
)
def test_what_can_not_be_asked_is_said(place: Place, url: str, access: Access, says: str) -> None:
    listing = place.lock if access.listing == Path("LOCK") else access.listing
    with pytest.raises(ReleaseError, match=says) as caught:
        open_source(Path(url), access=Access(listing, access.endpoint, access.anonymous))
    assert "secret" not in str(caught.value)


def test_a_server_that_is_down_is_told(place: Place) -> None:
    place.site.fault = lambda *_: "500"
    with pytest.raises(ReleaseError, match="can't be listed: the server did not give it"):
        open_source(place.url, access=place.access)


def test_a_folder_lists_itself(place: Place) -> None:
    with pytest.raises(ReleaseError, match="--listing says what lies at a URL"):
        open_source(place.root, access=place.access)
