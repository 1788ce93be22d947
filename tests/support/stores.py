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
Fault = Callable[[str, dict[str, Any]], str | None]
"""Given the path and state of a request, what is to go wrong with it: `500`, `503`, `cut`, `slow` or nothing."""


class Store:
    """A bucket, and what was asked of it."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.latency = 0.0
        self.fault: Fault = lambda path, state: None
        self.state: dict[str, Any] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self.most = 0
        self._now = 0

    def forget(self) -> None:
        self.asked.clear()
        self.sent = self.most = 0

    def objects(self) -> list[str]:
        """Paths of objects that were asked for."""
        return [path for path, _ in self.asked if path.count("/") > 1]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if environ["REQUEST_METHOD"] == "GET":
                self.asked.append((path, environ.get("HTTP_RANGE")))
            wrong = self.fault(path, self.state)
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


@contextmanager
def serving(folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server that holds the files of a folder under a prefix of the public bucket `bucket`."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.moto_server.werkzeug_app")
    serve = pytest.importorskip("werkzeug.serving")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    store = Store(server.DomainDispatcherApplication(server.create_backend_app))
    listening = serve.make_server("127.0.0.1", 0, store, threaded=True, request_handler=_quiet(serve))
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    # What it holds it keeps for the whole process.
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    client.create_bucket(Bucket="bucket")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            put(client, f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    store.state["client"] = client
    store.forget()
    try:
        yield store
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
        client.close()


def put(client: Any, key: str, content: bytes) -> None:
    client.put_object(Bucket="bucket", Key=key, Body=content, ACL=PUBLIC)


def _quiet(serve: Any) -> Any:
    class Quiet(serve.WSGIRequestHandler):
        def log(self, *_: object) -> None:
            """Say nothing."""

    return Quiet
