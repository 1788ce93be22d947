"""An S3-compatible server on loopback, which counts what it is asked for, and fails as it is told to."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

PUBLIC = "public-read"
Fault = Callable[[str], str | None]
"""Given the path of a request, what is to go wrong with it: `500`, `503`, `cut`, `slow` or nothing."""


class Store:
    """A bucket, and what was asked of it."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.latency = 0.0
        self.fault: Fault = lambda path: None
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self.most = 0
        self._now = 0

    def objects(self) -> list[str]:
        """Paths of objects that were asked for."""
        return [path for path, _ in self.asked if path.count("/") > 1]

    def forget(self) -> None:
        """Count from now on."""
        with self._lock:
            self.asked, self.sent, self.most = [], 0, 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if environ["REQUEST_METHOD"] == "GET":
                self.asked.append((path, environ.get("HTTP_RANGE")))
            wrong = self.fault(path)
        try:
            time.sleep(self.latency)
            if wrong == "slow":
                time.sleep(1.5)
            if wrong in ("500", "503"):
                start(f"{wrong} Error", [("Content-Length", "0"), ("Content-Type", "application/xml")])
                return [b""]
            content = b"".join(self._application(environ, start))
            with self._lock:
                self.sent += len(content)
            return [content[: len(content) // 2] if wrong == "cut" else content]
        finally:
            with self._lock:
                self._now -= 1


class Server:
    """Where buckets are, for as many tests as want one: what one of them put there or had counted is gone for the next."""

    def __init__(self, application: Any, url: str, client: Any) -> None:
        self._application = application
        self._url = url
        self._client = client
        self._held: dict[str, bytes] = {}
        self.store = Store(application)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        # A request of an earlier test that still waits is counted there.
        return self.store(environ, start)

    def holding(self, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Store:
        """The public bucket `bucket` with the files of a folder under a prefix, and nothing else."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", self._url)
        paths = {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in sorted(folder.rglob("*"))}
        wanted = {key: path.read_bytes() for key, path in paths.items() if path.is_file()}
        for key in self._held.keys() - wanted.keys():
            self._client.delete_object(Bucket="bucket", Key=key)
            del self._held[key]
        for key, content in wanted.items():
            if self._held.get(key) != content:
                self.put(key, content)
        self.store = Store(self._application)
        return self.store

    def held(self) -> dict[str, bytes]:
        """What the bucket holds, by key."""
        return dict(self._held)

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket="bucket", Key=key, Body=content, ACL=PUBLIC)
        self._held[key] = content


@contextmanager
def serving() -> Iterator[Server]:
    """A server, which takes longer to start and to fill than most tests need it."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.moto_server.werkzeug_app")
    serve = pytest.importorskip("werkzeug.serving")
    application = moto.DomainDispatcherApplication(moto.create_backend_app)
    listening = serve.make_server("127.0.0.1", 0, application, threaded=True, request_handler=_quiet(serve))
    url = f"http://127.0.0.1:{listening.server_port}"
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    server = listening.app = Server(application, url, client)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    # What it holds it keeps for the whole process.
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    client.create_bucket(Bucket="bucket")
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
        client.close()


def _quiet(serve: Any) -> Any:
    class Quiet(serve.WSGIRequestHandler):
        def log(self, *_: object) -> None:
            """Say nothing."""

    return Quiet
