"""Files that are not those of which the downloader left a checksum."""

from __future__ import annotations

from crlm_qc.rulebook.context import Context, once
from crlm_qc.subjects.disk import unsound


@once
def wrong_files(context: Context) -> frozenset[str]:
    """Paths of images whose bytes have another MD5 than the downloader listed, and no fault that shows by itself (REL004, REL005)."""
    table, files = context["checksums"], context["files"]
    wrong = set(table.loc[table["state"] == "wrong", "path"])
    images = files[files["path"].isin(wrong) & files["kind"].isin(["ct", "dso", "other-dicom"])]
    return frozenset(images.loc[~unsound(images), "path"])


@once
def series_of_wrong_files(context: Context) -> frozenset[str]:
    """Series Instance UIDs of these files."""
    files = context["files"]
    return frozenset(files.loc[files["path"].isin(wrong_files(context)), "series_uid"].dropna())
