"""A web server on loopback, which counts what it is asked for, gives ranges and ETags or not, and fails as it is told to."""

import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

LATE = 1.5
"""Seconds after which a slow answer comes."""


class Site:
    """What a server gives: the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.forget()

    def forget(self) -> None:
        """As it is at first."""
        self.ranged = self.tagged = True
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        """Given method and path of a request, what is to go wrong: `500`, `cut`, `slow`, or a URL to redirect to."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sent = 0

    def of(self, method: str) -> list[str]:
        """Paths that were asked for."""
        return [path for asked, path, _ in self.asked if asked == method]


@contextmanager
def web(folder: Path, certificate: Path | None = None) -> Iterator[Site]:
    """A server of the files of a folder; with a certificate and its key in one file, one that encrypts."""
    site = Site(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            _answer(self, site)

        def do_GET(self) -> None:
            _answer(self, site)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket, scheme = context.wrap_socket(server.socket, server_side=True), "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    site.url = f"{scheme}://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, site: Site) -> None:
    path = unquote(request.path).lstrip("/")
    site.asked.append((request.command, path, dict(request.headers)))
    wrong = site.fault(request.command, path)
    file = site.folder / path
    if wrong == "slow":
        time.sleep(LATE)
    if wrong == "500" or not file.is_file():
        _begin(request, 500 if wrong == "500" else 404, {"Content-Length": "0"})
        return
    if wrong and "://" in wrong:
        _begin(request, 302, {"Location": wrong, "Content-Length": "0"})
        return
    content = file.read_bytes()
    told = {"Last-Modified": formatdate(file.stat().st_mtime, usegmt=True)}
    if site.tagged:
        told["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
    code, asked = 200, request.headers.get("Range")
    if asked and site.ranged:
        start, end = map(int, asked.removeprefix("bytes=").split("-"))
        told["Content-Range"] = f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"
        code, content = 206, content[start : end + 1]
    _begin(request, code, {**told, "Content-Length": str(len(content))})
    if request.command == "GET":
        content = content[: len(content) // 2] if wrong == "cut" else content
        site.sent += len(content)
        try:
            request.wfile.write(content)
        except OSError:
            request.close_connection = True
        request.close_connection = request.close_connection or wrong == "cut"


def _begin(request: BaseHTTPRequestHandler, code: int, headers: dict[str, str]) -> None:
    try:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
    except OSError:
        request.close_connection = True
