"""Google Cloud Storage and Azure, spoken to their emulators where these are installed: fake-gcs-server, azurite-blob."""

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from support.releases import small_profile, small_release

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.settings import Settings
from crlm_qc.report.json_format import render

obstore = pytest.importorskip("obstore")
__all__ = ["small_profile"]

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""What every installation of Azurite has; it protects nothing."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("emulated") / "release", patients=1, max_slices=17).root


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    """A server on a port of its own, which takes the place of PORT."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    started = [str(part).replace("PORT", str(port)) for part in command]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(150):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def judged(place: Path, profile: Profile, access: Access = PLAIN) -> bytes | str:
    return render(audit(place, profile=profile, settings=Settings(subset=True), access=access, jobs=1))


def test_google_cloud_storage(release: Path, small_profile: Profile, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "buckets" / "bucket" / "data" / "release")
    command = ("fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", "PORT", "-backend", "memory")
    with running(*command, "-public-host", "127.0.0.1:PORT", "-data", tmp_path / "buckets") as port:
        access = Access(endpoint=f"http://127.0.0.1:{port}", anonymous=True)
        found = judged(Path("gs://bucket/data/release"), small_profile, access)
    assert found == judged(release, small_profile)


def test_azure(release: Path, small_profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", "PORT", "--skipApiVersionCheck")
    with running(*command, "-l", tmp_path) as port:
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _public_container(endpoint)
        store = obstore.store.AzureStore(
            "bucket",
            config={"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint},
            client_options={"allow_http": True},
        )
        for path in release.rglob("*"):
            if path.is_file():
                obstore.put(store, f"data/release/{path.relative_to(release).as_posix()}", path.read_bytes())
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        found = judged(Path("az://bucket/data/release"), small_profile, Access(endpoint=endpoint, anonymous=True))
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        signed = judged(Path("az://bucket/data/release"), small_profile, Access(endpoint=endpoint))
    assert found == signed == judged(release, small_profile)


def _public_container(endpoint: str) -> None:
    headers = {
        "x-ms-blob-public-access": "container",
        "x-ms-date": formatdate(usegmt=True),
        "x-ms-version": "2021-08-06",
    }
    told = "".join(f"{name}:{value}\n" for name, value in headers.items())
    signed = "PUT" + "\n" * 12 + told + f"/{ACCOUNT}/{ACCOUNT}/bucket\nrestype:container"
    mark = base64.b64encode(hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{mark}", "Content-Length": "0"}
    urlopen(Request(f"{endpoint}/bucket?restype=container", method="PUT", headers=headers)).close()
