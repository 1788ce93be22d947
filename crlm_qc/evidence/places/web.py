"""Web servers: a release below a URL, which a listing of the user tells the files of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from crlm_qc.evidence import limits
from crlm_qc.evidence.places.given import Given
from crlm_qc.evidence.places.objects import AHEAD, GONE, NOT_GIVEN, RETRIES, Bucket, Told, is_strong, said, store_of
from crlm_qc.evidence.source import NotFetchedError
from crlm_qc.model.errors import ReleaseError

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_PATIENCE: Final = 100
"""Files in a row that a server does not tell of before no more is asked of it."""
_WHOLE_ONLY: set[str] = set()
"""Places that this process found to give no ranges."""


@dataclass(frozen=True)
class Web(Bucket):
    """What lies below a URL of a web server."""

    @property
    def given(self) -> Given:
        """What the user's listing says that there is.

        Raises
        ------
        ReleaseError
            There is none, or it names no files; or the URL is none that is read.
        """
        parts = urlsplit(self.url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ReleaseError(f"{self.url} is not encrypted, so that anybody may change what it gives: use https://")
        if self.access.endpoint is not None:
            raise ReleaseError("--endpoint is for buckets: a web server is named by its URL")
        found = super().given
        if found is None:
            raise ReleaseError(
                f"{self.url}: a web server does not list its files. Give a file that does, --listing FILE: a lock file or "
                "another list of checksums, or a table with a column crdc_instance_uuid"
            )
        if found.series:
            raise ReleaseError(
                f"--listing {self.access.listing} names series and none of their files, which a web server does not "
                "list: give the bucket as s3:// or gs://, or a listing with a column crdc_instance_uuid"
            )
        return found

    @property
    def whole_only(self) -> bool:
        """Whether the server was found to give no parts of files."""
        return self.url in _WHOLE_ONLY

    def told_of(self, given: Given) -> Iterator[tuple[str, Told]]:
        """What a listing names and the server has, by paths in the release: asked for file by file."""
        failed, answered = 0, False
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="listing") as pool:
            try:
                for path, told in zip(given.files.values(), pool.map(self._head, given.files), strict=True):
                    failed = failed + 1 if isinstance(told, str) and told != GONE else 0
                    answered = answered or not failed
                    if failed > _PATIENCE or (failed == len(given.files) and not answered):
                        raise NotFetchedError(str(told))
                    if told != GONE:
                        yield path, told
            finally:
                pool.shutdown(cancel_futures=True)

    def _head(self, path: str) -> Told:
        import obstore

        try:
            with said():
                return obstore.head(store_of(self), path)
        except NotFetchedError as error:
            return str(error)

    def fetch(self, key: str, start: int, length: int) -> bytes:
        """A range of the file of a key; all that follows its beginning too where the server gives no ranges.

        Raises
        ------
        NotFetchedError
            It can't be had, or is another one by now.
        """
        size, tag, modified, path = key.split("\t", 3)
        end = min(start + length, int(size))
        if end <= start:
            return b""
        options: Any = {"if_match": tag} if is_strong(tag) else {}
        part = not self.whole_only and (start > 0 or end < int(size))
        if part:
            options["range"] = (start, end)
        elif int(size) > limits.MEMBER_BYTES:
            raise NotFetchedError(
                f"the server gives no parts of files, and it has more than {limits.MEMBER_BYTES >> 30} GiB"
            )
        try:
            meta, found = self._tried(path, options)
        except _NoRangesError:
            _WHOLE_ONLY.add(self.url)
            return self.fetch(key, start, length)
        # Few web servers heed that a file must be the one that was listed.
        if (meta["size"], meta["e_tag"] or "", str(meta["last_modified"])) != (int(size), tag, modified):
            raise NotFetchedError("it was changed during the audit")
        if len(found) != (end - start if part else int(size)):
            raise NotFetchedError(NOT_GIVEN)
        return found if part else found[start:]

    def _tried(self, path: str, options: Any) -> tuple[Any, bytes]:
        """As `got`, more than once: of a file without a strong ETag, what was cut off is not asked for by itself."""
        import obstore
        from obstore.exceptions import NotSupportedError

        for left in reversed(range(1 if "if_match" in options else RETRIES + 1)):
            with said():
                try:
                    result = obstore.get(store_of(self), path, options=options)
                except NotSupportedError:
                    raise _NoRangesError from None
                try:
                    return result.meta, bytes(result.bytes())
                except Exception:
                    if not left:
                        raise
        raise NotFetchedError(NOT_GIVEN)


class _NoRangesError(NotFetchedError):
    """The server gives no parts of files."""
