"""Object stores: a release under a prefix of a bucket is read there, with as few and as small requests as its reading needs."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
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
from crlm_qc.evidence.places.given import Given, read_given
from crlm_qc.evidence.places.listed import Lazy, Listed, proper
from crlm_qc.evidence.source import BUFFER, Item, NotFetchedError, Stamp, Tree, parents
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError

GROWTH: Final = 4
"""How many times longer each further range of an object is, as long as it is read on."""
LONGEST: Final = 8 * MIB
"""Bytes of a range that nobody asked for."""
WHOLE: Final = 64 * MIB
"""Bytes of an object that is fetched whole at once, and of all that are fetched ahead."""
AHEAD: Final = 16
"""Requests at a time for one patient: on loopback with 20 ms a request 16 take a seventh of the time, 32 no less."""
RETRIES: Final = 3
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
_ENDPOINT: Final = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}
"""What obstore calls the URL of another server."""
_TRUST: dict[str, Any] = {}
"""Whom the certificates of web servers are to be of, where that is not whom the system trusts."""
_OVER_ALL: Final = "AWS_ENDPOINT_URL_S3"
"""A variable that obstore heeds more than what it is told."""
REFUSED: Final = "!"
"""A key that begins so says why an object is not given."""
GONE: Final = "it is not there"
_WORDS: Final = {
    "FileNotFoundError": GONE,
    "NotFoundError": GONE,
    "PermissionDeniedError": "access was refused",
    "UnauthenticatedError": "access was refused",
    "PreconditionError": "it was changed during the audit",
}
NOT_GIVEN: Final = "the server did not give it"
"""Messages of the library hold URLs and keys, so these words stand for them."""


Told = Any
"""What a server tells of an object, as obstore has it; words of ours where it did not tell."""


@dataclass(frozen=True)
class Bucket(Listed):
    """What lies under a prefix of a bucket."""

    url: str
    """Of the prefix, without credentials."""
    listed: int = field(repr=False)
    """When it was listed: a later audit lists it anew."""
    access: Access = PLAIN
    """What else the user said of it."""
    collection: str = ""
    """Name of the collection that a listing is to tell of."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url, self.listed, self.access, self.collection)

    @property
    def name(self) -> str:
        """Last part of the prefix, or the bucket."""
        return PurePosixPath(urlsplit(self.url).path).name or urlsplit(self.url).netloc

    @property
    def given(self) -> Given | None:
        """What the user's listing says that there is, if there is one."""
        if self.access.listing is None:
            return None
        return read_given(self.access.listing, self.collection, urlsplit(self.url).netloc)

    @property
    def whole_only(self) -> bool:
        """Whether the server gives no parts of objects."""
        return False

    def known_folders(self) -> frozenset[str]:
        """All its folders: of a listing that was given, nothing is asked for them."""
        given = self.given
        return super().known_folders() if given is None else given.folders

    def listing(self) -> Tree:
        """Its objects, and the folders that their keys tell; of those in the user's listing, if there is one."""
        given = self.given
        found = self._every() if given is None else list(self.told_of(given))
        told = {path: one for name, one in found if (path := proper(name))}
        folders = {above for path in told for above in parents(path) if above}
        tree = Tree(folders=sorted(folders))
        for path, one in sorted(told.items()):
            # An empty object of a folder's name is how consoles make a folder.
            if path not in folders:
                tree.items.append(self.item(path, one))
        if strange := len(found) - len(told):
            tree.limits.append(f"{strange} objects were not read: their keys are no paths, or one is of two")
        if given is not None:
            tree.limits += _lacking(given, told)
        return tree

    def _every(self) -> list[tuple[str, Told]]:
        import obstore

        with said():
            return [(one["path"], one) for part in obstore.list(store_of(self)) for one in part]

    def told_of(self, given: Given) -> Iterator[tuple[str, Told]]:
        """What a listing names and the server has, by paths in the release: asked for folder by folder."""
        import obstore

        def inside(folder: str) -> Sequence[Any]:
            with said():
                found: Sequence[Any] = obstore.list_with_delimiter(store_of(self), folder or None)["objects"]
                return found

        folders = sorted({*given.series, *(path.rpartition("/")[0] for path in given.files)})
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="listing") as pool:
            for folder, objects in zip(folders, pool.map(inside, folders), strict=True):
                for one in objects:
                    path = one["path"]
                    if shown := given.files.get(path):
                        yield shown, one
                    elif folder in given.series:
                        yield f"{given.series[folder]}/{path.rpartition('/')[2]}", one

    def item(self, path: str, told: Told) -> Item:
        """What a server tells of an object, under a path of the release."""
        if isinstance(told, str):
            return Item(path, None, self, f"{REFUSED}{told}")
        key = "\t".join((str(told["size"]), told["e_tag"] or "", str(told["last_modified"]), told["path"]))
        return Item(path, told["size"], self, key, stamp=self.stamp(key))

    def stamp(self, key: str) -> Stamp | None:
        """Stamp of an object as it was listed: another content is not given for it. None where nothing tells it from another."""
        if key.startswith(REFUSED):
            return None
        size, tag, modified, _ = key.split("\t", 3)
        return Stamp(int(size), 0, 0, 0, f"{tag} {modified}") if is_strong(tag) else None

    def open(self, key: str) -> BinaryIO:
        """The object of a key, open for reading at its beginning."""
        if key.startswith(REFUSED):
            raise NotFetchedError(key.removeprefix(REFUSED))
        queue = _QUEUES.get(self)
        begun = queue.take(key) if queue is not None else b""
        size = int(key.partition("\t")[0])
        if begun and len(begun) == size:
            return BytesIO(begun)
        return BufferedReader(Lazy(size, _Ranges(self, key, begun).read), BUFFER)

    def fetch(self, key: str, start: int, length: int) -> bytes:
        """A range of the object of a key, as it was when it was listed; more of it where the server gives no ranges.

        Raises
        ------
        NotFetchedError
            It can't be had.
        """
        size, tag, _, path = key.split("\t", 3)
        end = min(start + length, int(size))
        if end <= start:
            return b""
        options: Any = {"if_match": tag} if is_strong(tag) else {}
        if start or end < int(size):
            options["range"] = (start, end)
        _, found = self.got(path, options)
        if len(found) != end - start:
            raise NotFetchedError(NOT_GIVEN)
        return found

    def got(self, path: str, options: Any) -> tuple[Any, bytes]:
        """What a server tells of an object, and what it gives.

        Raises
        ------
        NotFetchedError
            It can't be had.
        """
        import obstore

        with said():
            result = obstore.get(store_of(self), path, options=options)
            return result.meta, bytes(result.bytes())

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
        return size if (self._whole or self._bucket.whole_only) and size <= WHOLE else min(size, BUFFER)


_QUEUES: dict[Bucket, _Queue] = {}
"""What is being fetched ahead in this process."""


def _lacking(given: Given, told: Collection[str]) -> Iterator[str]:
    """What a listing names that is not there, in words."""
    if lost := sum(path not in told for path in given.files.values()):
        yield f"{lost} of the {len(given.files)} files of the listing are not there"
    filled = {path.rpartition("/")[0] for path in told}
    if empty := sum(folder not in filled for folder in given.series.values()):
        yield f"{empty} of the {len(given.series)} series of the listing are not there"
    if given.elsewhere:
        yield f"{given.elsewhere} series of the listing lie in another bucket, and were not read"


def is_strong(tag: str) -> bool:
    """Whether an ETag is of one content alone, byte for byte."""
    return bool(tag) and not tag.startswith("W/")


def open_objects(url: str, access: Access, collection: str, kind: type[Bucket] = Bucket) -> Bucket:
    """A prefix of a bucket, or a folder of a web server, that a user named.

    Parameters
    ----------
    url : str
        `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `https://HOST/PATH`.
    access : Access
        What else the user said.
    collection : str
        Name of the collection that is looked for in a listing.
    kind : type
        The kind of place.

    Returns
    -------
    Bucket
        What lists and opens its objects.

    Raises
    ------
    ReleaseError
        It can't be listed, or holds nothing; or what reads it is not installed.
    """
    for one in (url, access.endpoint or ""):
        parts = urlsplit(one)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ReleaseError("a URL must hold no credentials, query or fragment: give them by the environment")
    if access.endpoint and not access.endpoint.startswith(("https://", "http://")):
        raise ReleaseError("--endpoint is the URL of a server: https://HOST")
    try:
        import obstore  # noqa: F401 - whether it is there
    except ImportError:
        raise ReleaseError(f"{url} needs a further package: pip install 'crlm-qc[remote]'") from None
    found = kind(url.rstrip("/"), time_ns(), access, collection)
    _can_be_asked(found)
    try:
        if not found.tree().items:
            raise ReleaseError(f"{url} holds nothing: is the {'listing' if access.listing else 'prefix'} right?")
    except NotFetchedError as error:
        raise ReleaseError(f"{url} can't be listed: {error}") from None
    return found


def _can_be_asked(place: Bucket) -> None:
    """Whether what the user and the environment say fits together.

    Raises
    ------
    ReleaseError
        It does not.
    """
    over = os.environ.get(_OVER_ALL)
    if place.access.endpoint and over and place.url.startswith("s3:") and over != place.access.endpoint:
        raise ReleaseError(f"--endpoint is not the server that {_OVER_ALL} names: unset that variable")
    try:
        store_of(place)
    except Exception:  # noqa: BLE001 - its errors are of several kinds, and hold what is secret
        needs = ", which must name the account: AZURE_STORAGE_ACCOUNT_NAME" if place.url.startswith("az:") else ""
        raise ReleaseError(f"{place.url} can't be asked with what stands in the environment{needs}") from None


def store_of(place: Bucket) -> Any:
    """What asks the server. Each process makes its own: one that is sent elsewhere would hold the credentials."""
    endpoint = place.access.endpoint or os.environ.get(_OVER_ALL) or os.environ.get("AWS_ENDPOINT_URL", "")
    return _made(place.url, endpoint, place.access.endpoint is not None, place.access.anonymous)


@lru_cache(maxsize=4)
def _made(url: str, endpoint: str, named: bool, anonymous: bool) -> Any:
    from obstore.store import HTTPStore, from_url

    scheme = urlsplit(url).scheme
    client: Any = {"timeout": _PATIENCE, "connect_timeout": timedelta(seconds=10)}
    retry: Any = {"max_retries": RETRIES, "retry_timeout": _ALL_PATIENCE}
    if scheme in ("https", "http"):
        # Without this, a redirect to a URL that is not encrypted is no more followed than one to a file.
        client |= {"allow_http": True} if scheme == "http" else {}
        return HTTPStore.from_url(url, client_options=client | _TRUST, retry_config=retry)
    signed = not anonymous and any(os.environ.get(name) for name in _CREDENTIALS[scheme])
    config: Any = {} if signed else {"skip_signature": True}
    if named:
        config[_ENDPOINT[scheme]] = endpoint
    if endpoint.startswith("http://"):
        client["allow_http"] = True
    return from_url(url, config=config, client_options=client, retry_config=retry)


@contextmanager
def said() -> Iterator[None]:
    """Whatever the library raises, in words of ours."""
    try:
        yield
    except NotFetchedError:
        raise
    except Exception as error:  # noqa: BLE001 - its errors are of several kinds, and all mean that nothing was fetched
        raise NotFetchedError(_WORDS.get(type(error).__name__, NOT_GIVEN)) from None
