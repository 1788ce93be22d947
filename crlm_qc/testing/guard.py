"""What keeps an audited release from having a say in the run of pytest that audits it.

pytest takes its settings, a folder for its cache, and code (conftest.py, tests) from the folders that it is given. None
of them may be the release: audited data must not silence its auditor, be run, or be written into.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from crlm_qc.request.files import lies_in

PATH_OPTIONS = ("release", "evidence", "waivers", "profile")
"""Options after --crlm- that name a folder or file."""
_SETTINGS = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py",
)  # fmt: skip
"""Files by which pytest finds its settings and its root directory."""
_CONFTEST = "conftest.py"


def refuse_what_would_load(config: pytest.Config, source: Path) -> None:
    """Refuse a run that pytest was led astray in, or that would load something out of the release.

    Parameters
    ----------
    config : pytest.Config
        Parsed, before any conftest.py is loaded.
    source : pathlib.Path
        The release, or saved evidence.

    Raises
    ------
    pytest.UsageError
        Says what is wrong, and what to type.
    """
    _refuse_spaces(config)
    _refuse_root(config, source)
    _refuse_tests(config, source)


def _refuse_spaces(config: pytest.Config) -> None:
    """Refuse `--crlm-release PATH` where it is not the same as `--crlm-release=PATH`.

    pytest looks for its root directory and settings before it knows the options of plugins, so a path that stands alone
    passes for a folder of tests, and its settings for those of the run. The same comes out where all of these paths lie
    below the working directory, and no settings do.
    """
    here = config.invocation_params.dir
    spaced = list(_spaced(config))
    tests = [here / word.partition("::")[0] for word in config.known_args_namespace.file_or_dir]
    if all(_leads_here(path, here) for path in [*(here / value for _, value in spaced), *tests]):
        return
    for option, value in spaced:
        raise pytest.UsageError(
            f"crlm-qc: write {option}={shlex.quote(value)}: without the = pytest takes it for a folder of tests, and "
            "settings from there"
        )


def _spaced(config: pytest.Config) -> Iterator[tuple[str, str]]:
    """Options whose value is a word of its own."""
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *map(str, config.invocation_params.args)]
    options = {f"--crlm-{name}" for name in PATH_OPTIONS}
    return ((word, words[at + 1]) for at, word in enumerate(words[:-1]) if word in options)


def _leads_here(path: Path, here: Path) -> bool:
    """Whether pytest, on its way up from a path, meets no settings before it comes to the working directory."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - pytest too leaves links as they are
    if not path.exists():
        return True
    folders = [path, *path.parents] if path.is_dir() else list(path.parents)
    if here not in folders:
        return False
    return not any((folder / name).is_file() for folder in folders[: folders.index(here)] for name in _SETTINGS)


def _refuse_root(config: pytest.Config, source: Path) -> None:
    for what, path in (("root directory", config.rootpath), ("settings", config.inipath)):
        if path is not None and lies_in(path, source):
            raise pytest.UsageError(
                f"crlm-qc: pytest's {what} would be {path}, in the release, which is never written to and must not say "
                "how it is checked. Start pytest elsewhere, with --crlm-release=PATH"
            )


def _refuse_tests(config: pytest.Config, source: Path) -> None:
    """Refuse tests in the release, and a conftest.py that pytest would load before it asks what to ignore."""
    known = config.known_args_namespace
    for path in _starts(config):
        if lies_in(path, source):
            raise pytest.UsageError(
                f"crlm-qc: {path} lies in the release, and nothing in there is run: start pytest elsewhere, with tests "
                "that lie elsewhere"
            )
        beside = [] if known.noconftest or not path.is_dir() else path.glob("test*")
        for folder in beside:
            if (folder / _CONFTEST).is_file() and lies_in(folder, source):
                raise pytest.UsageError(
                    f"crlm-qc: {folder / _CONFTEST} lies in the release, and pytest would run it since the folder's "
                    "name begins with test: give the folder another name, or add --noconftest"
                )


def _starts(config: pytest.Config) -> list[Path]:
    """Where pytest begins: what it is given, else the testpaths of its settings, else the working directory."""
    here: Path = config.invocation_params.dir
    words: list[Any] = [word.partition("::")[0] for word in config.known_args_namespace.file_or_dir]
    if not words and here == config.rootpath:
        # Not Path.glob, which takes no pattern that begins at the root or leads upward.
        words = [found for one in config.getini("testpaths") for found in sorted(glob(str(here / one)))]  # noqa: PTH207
    starts = [Path(os.path.abspath(here / word)) for word in words]  # noqa: PTH100 - as above
    return [path for path in starts if path.exists()] or [here]
