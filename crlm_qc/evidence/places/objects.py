"""Object stores: a release under a prefix of a bucket is read there, with as few and as small requests as its reading needs."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from io import BufferedReader, BytesIO
from pathlib import PurePosixPath
from threading import Lock
from time import time_ns
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from crlm_qc.evidence.limits import MIB
from crlm_qc.evidence.places.listed import Lazy, Listed, proper
from crlm_qc.evidence.source import BUFFER, Item, NotFetchedError, Stamp, Tree, parents
from crlm_qc.model.errors import ReleaseError

GROWTH: Final = 4
"""How many times longer each further range of an object is, as long as it is read on."""
LONGEST: Final = 8 * MIB
"""Bytes of a range that nobody asked for."""
WHOLE: Final = 64 * MIB
"""Bytes of an object that is fetched whole at once, and of all that are fetched ahead."""
AHEAD: Final = 16
"""Requests at a time for one patient: on loopback with 20 ms a request 16 take a seventh of the time, 32 no less."""
_RETRIES: Final = 3
_PATIENCE = timedelta(seconds=60)
"""How long a request may take."""
_ALL_PATIENCE: Final = timedelta(seconds=180)
"""After how long none is made again."""
_CREDENTIALS: Final = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
    ),
}
"""Variables of the environment one of which makes requests be signed; without any, the store is asked as anybody may."""
_WORDS: Final = {
    "NotFoundError": "it is there no more",
    "PermissionDeniedError": "access was refused",
    "UnauthenticatedError": "access was refused",
    "PreconditionError": "it was changed during the audit",
}
_NOT_GIVEN: Final = "the server did not give it"
"""Messages of the library hold URLs and keys, so these words stand for them."""


@dataclass(frozen=True)
class Bucket(Listed):
    """What lies under a prefix of a bucket."""

    url: str
    """Of the prefix, without credentials."""
    listed: int = field(repr=False)
    """When it was listed: a later audit lists it anew."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Bucket, (self.url, self.listed)

    @property
    def name(self) -> str:
        """Last part of the prefix, or the bucket."""
        return PurePosixPath(urlsplit(self.url).path).name or urlsplit(self.url).netloc

    def listing(self) -> Tree:
        """Its objects, and the folders that their keys tell."""
        import obstore

        with _said():
            found = [one for part in obstore.list(_store(self.url)) for one in part]
        sizes = {path: one for one in found if (path := proper(one["path"]))}
        folders = {above for path in sizes for above in parents(path) if above}
        tree = Tree(folders=sorted(folders))
        for path, one in sorted(sizes.items()):
            # An empty object of a folder's name is how consoles make a folder.
            if path not in folders:
                tree.items.append(self.item(path, one))
        if strange := len(found) - len(sizes):
            tree.limits.append(f"{strange} objects were not read: their keys are no paths, or one is of two")
        return tree

    def item(self, path: str, told: Any) -> Item:
        """What a server tells of an object, under a path of the release."""
        key = "\t".join((str(told["size"]), told["e_tag"] or "", str(told["last_modified"]), told["path"]))
        return Item(path, told["size"], self, key, stamp=self.stamp(key))

    def stamp(self, key: str) -> Stamp | None:
        """Stamp of an object as it was listed: another content is not given for it. None where nothing tells it from another."""
        size, tag, modified, _ = key.split("\t", 3)
        strong = bool(tag) and not tag.startswith("W/")
        return Stamp(int(size), 0, 0, 0, f"{tag} {modified}") if strong else None

    def open(self, key: str) -> BinaryIO:
        """The object of a key, open for reading at its beginning."""
        queue = _QUEUES.get(self)
        begun = queue.take(key) if queue is not None else b""
        size = int(key.partition("\t")[0])
        if begun and len(begun) == size:
            return BytesIO(begun)
        return BufferedReader(Lazy(size, _Ranges(self, key, begun).read), BUFFER)

    def fetch(self, key: str, start: int, length: int) -> bytes:
        """A range of the object of a key, as it was when it was listed.

        Raises
        ------
        NotFetchedError
            It can't be had.
        """
        import obstore

        size, tag, _, path = key.split("\t", 3)
        end = min(start + length, int(size))
        if end <= start:
            return b""
        options: Any = {"if_match": tag} if tag else {}
        if start or end < int(size):
            options["range"] = (start, end)
        with _said():
            found = bytes(obstore.get(_store(self.url), path, options=options).bytes())
        if len(found) != end - start:
            raise NotFetchedError(_NOT_GIVEN)
        return found

    @contextmanager
    def ahead(self, items: Sequence[Item], *, whole: bool) -> Iterator[None]:
        """Fetch several files at a time before they are opened, in this order: their beginnings, or all of them."""
        queue = _Queue(self, [item.key for item in items if item.source == self and item.size], whole)
        _QUEUES[self] = queue
        try:
            yield
        finally:
            _QUEUES.pop(self, None)
            queue.close()


class _Ranges:
    """Reads an object by ranges, each longer than the one before while it is read on."""

    def __init__(self, bucket: Bucket, key: str, begun: bytes) -> None:
        self._fetch: Callable[[int, int], bytes] = lambda start, length: bucket.fetch(key, start, length)
        self._start, self._held = 0, begun
        self._step = BUFFER * GROWTH if begun else BUFFER

    def read(self, start: int, length: int) -> bytes:
        """Bytes from somewhere on."""
        if not self._start <= start < self._start + len(self._held):
            self._held = self._fetch(start, max(length, self._step))
            self._start, self._step = start, min(self._step * GROWTH, LONGEST)
        offset = start - self._start
        return self._held[offset : offset + length]


class _Queue:
    """What is fetched before it is asked for: a bounded number of requests, and of bytes."""

    def __init__(self, bucket: Bucket, keys: Sequence[str], whole: bool) -> None:
        self._bucket = bucket
        self._whole = whole
        self._waiting = OrderedDict.fromkeys(keys)
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="ahead")
        self._running: dict[str, Future[bytes]] = {}
        self._lock = Lock()
        self._fill()

    def take(self, key: str) -> bytes:
        """What was fetched of a file; nothing if it was not in its turn.

        Raises
        ------
        NotFetchedError
            It can't be had.
        """
        with self._lock:
            self._waiting.pop(key, None)
            future = self._running.pop(key, None)
        try:
            return b"" if future is None else future.result()
        finally:
            self._fill()

    def close(self) -> None:
        """Fetch no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        with self._lock:
            while self._waiting and len(self._running) < AHEAD * 2:
                key = next(iter(self._waiting))
                if self._running and sum(map(self._bytes, self._running)) + self._bytes(key) > WHOLE:
                    return
                del self._waiting[key]
                self._running[key] = self._pool.submit(self._bucket.fetch, key, 0, self._bytes(key))

    def _bytes(self, key: str) -> int:
        size = int(key.partition("\t")[0])
        return size if self._whole and size <= WHOLE else min(size, BUFFER)


_QUEUES: dict[Bucket, _Queue] = {}
"""What is being fetched ahead in this process."""


def open_objects(url: str) -> Bucket:
    """A prefix of a bucket that a user named.

    Parameters
    ----------
    url : str
        `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.

    Returns
    -------
    Bucket
        What lists and opens its objects.

    Raises
    ------
    ReleaseError
        It can't be listed, or holds nothing; or what reads it is not installed.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ReleaseError("a URL must hold no credentials, query or fragment: give them by the environment")
    try:
        import obstore  # noqa: F401 - whether it is there
    except ImportError:
        raise ReleaseError(f"{url} needs a further package: pip install 'crlm-qc[remote]'") from None
    found = Bucket(url.rstrip("/"), time_ns())
    try:
        if not found.tree().items:
            raise ReleaseError(f"{url} holds nothing: is the prefix right?")
    except NotFetchedError as error:
        raise ReleaseError(f"{url} can't be listed: {error}") from None
    return found


def _store(url: str) -> Any:
    """What asks the server. Each process makes its own: one that is sent elsewhere would hold the credentials."""
    return _made(url, os.environ.get("AWS_ENDPOINT_URL", ""))


@lru_cache(maxsize=4)
def _made(url: str, endpoint: str) -> Any:
    from obstore.store import from_url

    scheme = urlsplit(url).scheme
    signed = any(os.environ.get(name) for name in _CREDENTIALS[scheme])
    config: Any = {} if signed else {"skip_signature": True}
    client: Any = {"timeout": _PATIENCE, "connect_timeout": timedelta(seconds=10)}
    if endpoint.startswith("http://"):
        client["allow_http"] = True
    return from_url(
        url,
        config=config,
        client_options=client,
        retry_config={"max_retries": _RETRIES, "retry_timeout": _ALL_PATIENCE},
    )


@contextmanager
def _said() -> Iterator[None]:
    """Whatever the library raises, in words of ours."""
    try:
        yield
    except NotFetchedError:
        raise
    except Exception as error:  # noqa: BLE001 - its errors are of several kinds, and all mean that nothing was fetched
        raise NotFetchedError(_WORDS.get(type(error).__name__, _NOT_GIVEN)) from None
