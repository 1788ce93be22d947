"""What a run of GitHub Actions gets by itself: annotations, and a summary of the step."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TextIO

from crlm_qc.cli.terminal import say
from crlm_qc.model.report import Report
from crlm_qc.report import FORMATS, words

SUMMARY_LIMIT = 1024 * 1024
"""Bytes that GitHub takes of a step's summary; of a longer one it shows nothing."""
LEAST_ROOM = 1000
"""Bytes that a summary of any use needs."""

_COMMAND = re.compile(r":(?=:)|##(?=\[)")


def in_actions() -> bool:
    """Whether this is a run of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def harmless(text: str) -> str:
    """Text that the runner of GitHub Actions takes for no command, whatever file it came from."""
    return _COMMAND.sub(lambda match: f"{match[0]} ", text)


def say_safely(text: str, to: TextIO) -> None:
    """Print text; what the runner of GitHub Actions could take for a command is broken up."""
    said = text.rstrip("\n")
    say(harmless(said) if in_actions() else said, to=to)


def shown(path: Path) -> str:
    """A path as it may be said: its folders may have come with a download, and hold what a terminal or runner would obey."""
    said = words.clean(str(path))
    return harmless(said) if in_actions() else said


def annotate(report: Report, to: TextIO) -> None:
    """Print the annotations."""
    say(str(FORMATS["github"].renderer()(report)).rstrip("\n"), to=to)


def summary_file() -> Path | None:
    """The file that the step's summary is made of."""
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(named) if named else None


def summarise(report: Report, path: Path) -> None:
    """Append the report to the step's summary, as much of it as there is room for.

    A summary that can't be written is said on standard error, and fails nothing.
    """
    from crlm_qc.report import markdown

    try:
        room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
        if room < LEAST_ROOM:
            say("crlm-qc: no summary of the step: there is no room left in it", to=sys.stderr)
            return
        with path.open("ab") as file:
            file.write(markdown.render(report, min(markdown.MAX_BYTES, room)).encode("utf-8", "replace"))
    except OSError as error:
        say(f"crlm-qc: no summary of the step: {os.strerror(error.errno or 0).lower()}", to=sys.stderr)
