"""The command line: a module a command. Each parses, calls, writes, exits; nothing imports it."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

__all__ = ["main"]

_OBJECTS = 20_000
"""How many more there must be before garbage is looked for."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line: see `crlm_qc.cli.app.main`."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if "check" in given[:1] and not {"--help", "-h"} & set(given):
        if not _may_be_remembered(given):
            # The process that workers come from imports what reads patients, while this one imports the commands.
            from crlm_qc.workers import start_server

            start_server()
        # Pandera imports it, where it is, to make tables up for tests.
        sys.modules.setdefault("hypothesis", None)  # type: ignore[arg-type]
        # Tables are many small objects that stay; to look for garbage among them after every 700 takes a twentieth of all.
        gc.set_threshold(_OBJECTS)
    _import_commands()
    from crlm_qc.cli import app

    app.main(given)


def _import_commands() -> None:
    """Import the commands, without looking for garbage among what stays; nor is any looked for when all memory goes."""
    if "crlm_qc.cli.app" in sys.modules:
        return
    gc.disable()
    try:
        import crlm_qc.cli.app  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()
    atexit.register(gc.freeze)


def _may_be_remembered(given: Sequence[str]) -> bool:
    """Whether an earlier audit may have come to what this one would, so that no patient is read."""
    from crlm_qc.cache.store import VERDICTS, ever_kept, user_cache

    if "--no-cache" in given:
        return False
    named = [after for before, after in pairwise(given) if before == "--cache"]
    named += [word.removeprefix("--cache=") for word in given if word.startswith("--cache=")]
    named += [os.environ.get("CRLM_QC_CACHE_DIR", "")]
    return ever_kept(Path(named[0]) if named[0] else user_cache(), VERDICTS)
