"""Opens the place that a user named."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from crlm_qc.evidence.source import Folder, Source, siblings
from crlm_qc.model.access import PLAIN, Access
from crlm_qc.model.errors import ReleaseError
from crlm_qc.model.paths import archive_name, is_packed, resolved, url_of
from crlm_qc.model.words import suggest


def open_source(
    root: Path,
    is_part: Callable[[str], bool] = lambda _: False,
    access: Access = PLAIN,
    collection: str = "",
) -> Source:
    """The place that a user named.

    Parameters
    ----------
    root : pathlib.Path
        Folder of a release, an archive of it, or the URL of a bucket and prefix or of a web server.
    is_part : callable, optional
        Tells of the name of a folder whether it is one of many in a release, such as a patient's. All others that hold
        everything else in an archive are the release itself.
    access : Access, optional
        What the user said of a release that lies elsewhere.
    collection : str
        Name of the collection, which a listing that the user gave may hold others beside.

    Returns
    -------
    Source
        What lists and opens its files.

    Raises
    ------
    ReleaseError
        It does not exist, is neither folder nor archive, or can't be listed.
    """
    if (url := url_of(root)) is not None:
        from crlm_qc.evidence.places.objects import open_objects

        if url.startswith(("https:", "http:")):
            from crlm_qc.evidence.places.web import Web

            return open_objects(url, access, collection, Web)
        return open_objects(url, access, collection)
    if access.listing is not None:
        raise ReleaseError(f"--listing says what lies at a URL: {root} is on this machine, and listed as it is")
    try:
        mode = root.stat().st_mode
    except PermissionError:
        raise ReleaseError(f"{root} can't be opened: permission denied") from None
    except (OSError, ValueError):
        raise ReleaseError(f"{root} not found{suggest(root.name, siblings(root))}") from None
    if not stat.S_ISDIR(mode):
        return _packed(root, mode, is_part)
    try:
        with os.scandir(root):
            return Folder(resolved(root))
    except OSError as error:
        raise ReleaseError(f"{root} can't be listed: {os.strerror(error.errno or 0).lower()}") from None


def _packed(root: Path, mode: int, is_part: Callable[[str], bool]) -> Source:
    if stat.S_ISREG(mode) and archive_name(root.name) != root.name:
        from crlm_qc.evidence.places.archive import open_archive

        return open_archive(root, is_part)
    if is_packed(root.name):
        raise ReleaseError(f"{root} is an archive of a kind that is not read: unpack it, and give the folder it makes")
    raise ReleaseError(f"{root} is a file, not a folder: give the folder that holds the release")
