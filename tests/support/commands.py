"""The command line, called in this process."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from crlm_qc.cli import app as cli


class Done(NamedTuple):
    """How a run of the command line ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


def calling(captured: pytest.CaptureFixture[str], *first: str) -> Run:
    """What runs the command line with these words before those that it is given."""

    def call(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main([*first, *map(str, arguments)])
        said = captured.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, said.out, said.err)

    return call


def told(captured: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """As `calling`, with what was said on both streams as one text."""
    call = calling(captured)

    def tell(*arguments: object) -> tuple[int, str]:
        done = call(*arguments)
        return done.code, done.out + done.err

    return tell
