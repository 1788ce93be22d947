"""What the command line makes of the terminal."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from crlm_qc.cli.progress import Lines, progress_on
from crlm_qc.cli.terminal import Colour, emit, provide_streams, say, style_of
from crlm_qc.collection.strict import StrictError, read_toml
from crlm_qc.model.errors import UsageError
from crlm_qc.model.paths import resolved
from crlm_qc.workers import Weighing


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
def test_progress_has_lines_where_nobody_does(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv(name, value)
    with progress_on(quiet=False) as tell:
        assert isinstance(tell, Lines)
        tell("reading", 2, 2)
    # What is over at once needs no words.
    assert stream.bytes.getvalue() == b""
    monkeypatch.delenv(name)
    with progress_on(quiet=True) as tell:
        assert tell is None


def test_lines_tell_phase_patients_bytes_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines(10, 30, lambda: now[0])
    lines.tell()
    for at, done in ((5, 1), (20, 2), (40, 3)):
        now[0] = at
        lines.weigh(done * 250_000_000, 1_000_000_000)
        lines("reading patients", done, 4)
    lines.tell()
    now[0] = 60
    lines.weigh(1_000_000_000, 1_000_000_000)
    lines("reading patients", 4, 4)
    lines.tell()
    now[0] = 70
    lines("drawing pictures", 1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "crlm-qc: at work, 0.0 s so far",
        "crlm-qc: reading patients: 3 of 4, 750.0 MB of 1.0 GB, 40 s so far, about 13 s left",
        "crlm-qc: reading patients: 4 of 4, 1.0 GB of 1.0 GB, 1 min 0 s so far",
        "crlm-qc: reading patients is done, what follows is under way; 1 min 0 s so far",
        "crlm-qc: drawing pictures: 1 of 2, 1 min 10 s so far, about 10 s left",
    ]


def test_lines_come_by_themselves_while_a_unit_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(0.01, 0.01) as lines:
        told = ""
        while told.count("\n") < 3:
            told += capsys.readouterr().err
    assert told.startswith("crlm-qc: at work, 0.")
    assert isinstance(lines, Weighing)


class Full(io.TextIOWrapper):
    """A stream to a disk that has no space left."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_under_standard_output_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(UsageError, match="standard output can't be written: no space left on device"):
        say("a")


def test_what_standard_error_does_not_take_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    say("a", to=sys.stderr)


def test_streams_that_are_not_there_lead_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    provide_streams()
    say("a")
    say("a", to=sys.stderr)
    with pytest.raises(UsageError, match="it is closed"):
        emit("a report")
    sys.stdout.close()
    sys.stderr.close()


def test_a_link_that_leads_to_itself_is_a_reason(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert resolved(tmp_path / "new" / ".." / "other") == tmp_path / "other"
    if sys.version_info < (3, 13):
        with pytest.raises(UsageError, match="can't be used: a link that leads to itself"):
            resolved(loop)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "{a=" * 3000, "a = " + "1" * 5000])
def test_toml_that_no_one_writes_is_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StrictError, match="can't be read as TOML"):
        read_toml(path)
