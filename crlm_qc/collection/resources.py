"""Where the files of `expectations/` lie, in a source checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def expectations_folder() -> Path:
    """Folder of the profiles and suites.

    Returns
    -------
    pathlib.Path
        `crlm_qc/_expectations` of a wheel, or `expectations` of a source checkout.

    Raises
    ------
    FileNotFoundError
        The installation lacks both.
    """
    for folder in (_PACKAGE / "_expectations", _PACKAGE.parent / "expectations"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("crlm-qc's expectations folder is missing: install crlm-qc again")
