"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved


def put(path: Path, content: str | bytes) -> None:
    """Write a file whole, then put it in its place: nobody ever reads half a report."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        _forget(draft)
        raise UsageError(f"{path} can't be written: {os.strerror(error.errno or 0).lower()}") from None
    except BaseException:
        _forget(draft)
        raise


def _forget(draft: Path) -> None:
    """Remove a draft, wherever it was to lie."""
    with suppress(OSError):
        draft.unlink()


def can_be_written(places: Iterable[Path]) -> None:
    """Say before the work, not after it, that a file can't be written.

    Raises
    ------
    UsageError
        A file is in the way, a folder is closed, or a link leads to itself.
    """
    for place in places:
        resolved(place)
        nearest = next(parent for parent in (place.absolute(), *place.absolute().parents) if parent.exists())
        if nearest != place.absolute() and not nearest.is_dir():
            raise UsageError(f"{place} can't be written: {nearest} is a file")
        if not os.access(nearest, os.W_OK):
            raise UsageError(f"{place} can't be written: no permission to write to {nearest}")
