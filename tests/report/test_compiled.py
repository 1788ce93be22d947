"""Templates whose bytecode is kept: what they give is the same, and a kept one is never of another text."""

import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

from crlm_qc.report.compiled import CompiledLoader

Render = Callable[..., str]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that bytecode goes to."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def render(tmp_path: Path) -> Render:
    (tmp_path / "page.j2").write_text('{% include "part.j2" %}: {{ value }}, {{ 1.5 }}', "utf-8")
    (tmp_path / "part.j2").write_text("Größe", "utf-8")

    def render(value: object, salt: bytes = b"") -> str:
        made = jinja2.Environment(loader=CompiledLoader(tmp_path, salt), autoescape=True)
        return made.get_template("page.j2").render(value=value)

    return render


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the templates that are compiled from now on."""
    names: list[str] = []
    compile_ = jinja2.Environment.compile

    def told(self: jinja2.Environment, source: str, name: str, filename: str) -> object:
        names.append(name)
        return compile_(self, source, name, filename)

    monkeypatch.setattr(jinja2.Environment, "compile", told)
    return names


def test_a_template_is_compiled_once(kept: Path, render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    names = compiled(monkeypatch)
    assert render("<a>") == "Größe: &lt;a&gt;, 1.5"
    assert sorted(names) == ["page.j2", "part.j2"]
    assert {"page", "part"} <= {file.name.split(".")[0] for file in kept.rglob("*.pyc")}
    assert render(2) == "Größe: 2, 1.5"
    assert len(names) == 2


def test_it_is_compiled_anew_when_it_must_be(
    kept: Path, render: Render, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = compiled(monkeypatch)
    render(1)
    # As long as before, and perhaps of the same second.
    (tmp_path / "part.j2").write_text("Gröss", "utf-8")
    assert render(1) == "Gröss: 1, 1.5"
    assert len(names) == 3
    render(1, salt=b"other")
    assert len(names) == 5
    monkeypatch.setattr(jinja2, "__version__", "0.0")
    render(1)
    assert len(names) == 7


def test_damaged_bytecode_is_made_anew(kept: Path, render: Render) -> None:
    render(1)
    for file in kept.rglob("pa*.pyc"):
        file.write_bytes(file.read_bytes()[:10])
    assert render(1) == "Größe: 1, 1.5"


def test_where_nothing_can_be_kept_it_is_compiled(render: Render, monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:
    kept.write_text("no folder")
    assert render(1) == "Größe: 1, 1.5"


def test_a_template_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        jinja2.Environment(loader=CompiledLoader(tmp_path, b""), autoescape=True).get_template("none.j2")
