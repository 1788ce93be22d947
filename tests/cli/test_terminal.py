"""What the command line makes of the terminal."""

import io
import sys

import pytest

from crlm_qc.cli.terminal import Colour, progress_on, say, style_of


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("term", "coloured"), [("xterm", True), ("dumb", False)])
def test_a_terminal_gets_colour_unless_it_is_dumb(monkeypatch: pytest.MonkeyPatch, term: str, coloured: bool) -> None:
    monkeypatch.setenv("TERM", term)
    assert style_of(Terminal(), Colour.AUTO).colour is coloured


def test_signs_fall_back_to_ascii_where_the_encoding_lacks_them() -> None:
    assert style_of(Terminal("latin-1"), Colour.AUTO).ascii
    assert not style_of(Terminal(), Colour.AUTO).ascii


def test_width_is_that_of_the_terminal_or_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert style_of(Terminal(), Colour.AUTO).width == 72


def test_say_replaces_what_the_encoding_lacks() -> None:
    stream = Terminal("ascii")
    say("a ✕", to=stream)
    assert stream.bytes.getvalue() == b"a ?\n"


def test_progress_is_drawn_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_on(quiet=False) as tell:
        assert tell is not None
        tell("reading [bold]", 1, 2)
        tell("reading [bold]", 2, 2)
    assert "reading [bold]" in stream.bytes.getvalue().decode()


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_progress_is_quiet_where_nobody_does(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv(name, value)
    with progress_on(quiet=False) as tell:
        assert tell is None
    monkeypatch.delenv(name)
    with progress_on(quiet=True) as tell:
        assert tell is None
