"""Every command that the documentation shows is run, and what it shows of the output is there.

Comments right before a block of code say what a reader can guess: `<!-- exits with 1 -->`; `<!-- not run: why -->`;
`<!-- file: NAME -->`, which the block is the content of; `<!-- release: FAULT ... -->`, faults planted in RELEASE from
there on (`clean` for none). Blocks of one page run one after the other in one folder, beside a synthetic RELEASE.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from support.pipelines import PLAIN, UNUSED_PLUGINS
from support.releases import clean_release, copy_release

from crlm_qc.cli import app as cli
from crlm_qc.evidence.store import load, save
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.report import ExitCode
from crlm_qc.model.tables import TABLES
from crlm_qc.report import FORMATS
from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release"]

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = ("rules", "tables")
PAGES = sorted(
    path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in GENERATED
)
SHELL = {"bash", "console", "sh", "shell"}
_COMMENT = re.compile(r"<!-- (not run|file|release|exits with)(?:: | )(.+) -->")
_PLAIN = re.compile(r"[\w\s./:=,@-]+")
WILD = "\N{HORIZONTAL ELLIPSIS}"
WITHIN = (PLAIN, *UNUSED_PLUGINS, "-W", "default")
"""Options of a run of pytest within this one, which makes errors of warnings."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    content: str
    says: dict[str, str]
    line: int

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Commands, each with the lines of output that the page shows of it."""
        found: list[tuple[str, list[str]]] = []
        text = self.content.replace("\\\n", " ")
        if self.language != "console":
            return [(line, []) for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                assert found, f"line {self.line}: a console block begins with $"
                found[-1][1].append(line.rstrip())
        return found


def blocks(text: str) -> Iterator[Block]:
    says: dict[str, str] = {}
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        if token.type == "html_block":
            for match in _COMMENT.finditer(token.content):
                says[match[1]] = match[2]
        elif token.type == "fence":
            assert token.map
            yield Block(token.info.strip().split(" ")[0], token.content, says, token.map[0] + 1)
            says = {}
        else:
            says = {}


def page(name: str) -> list[Block]:
    return list(blocks((DOCS / name).read_text(encoding="utf-8")))


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = sys.modules[f"docs_{name}"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# --- the commands ----------------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Somebody who follows a page: types its commands, and keeps its files."""

    folder: Path
    clean: SyntheticRelease
    capture: pytest.CaptureFixture[str]
    request: pytest.FixtureRequest

    def fetch(self, faults: str) -> None:
        shutil.rmtree(self.folder / "RELEASE", ignore_errors=True)
        release = copy_release(self.clean, self.folder / "RELEASE")
        for spec in faults.split():
            if spec != "clean":
                plant(release, spec)

    def follow(self, block: Block) -> int:
        """Do what a block says; how many commands were run."""
        if faults := block.says.get("release"):
            self.fetch(faults)
        if name := block.says.get("file"):
            (self.folder / name).write_text(block.content, encoding="utf-8")
        if block.language not in SHELL or "not run" in block.says:
            return 0
        wanted = int(block.says.get("exits with", "0"))
        for command, shown in block.commands:
            code, said = self.type(command)
            assert code == wanted, f"line {block.line}: {command}: exit code {code}, not {wanted}\n{said}"
            missing = first_missing(shown, said)
            assert missing is None, f"line {block.line}: {command}: the page shows {missing!r}\n{said}"
        return len(block.commands)

    def type(self, command: str) -> tuple[int, str]:
        plain = _PLAIN.fullmatch(command.replace('"', ""))
        if command.startswith("pytest ") and plain:
            # pytester forgets what is first imported within a run, and Arrow can't be imported twice.
            save(Evidence(), self.folder / "tmp" / "nothing")
            load(self.folder / "tmp" / "nothing")
            pytester = self.request.getfixturevalue("pytester")
            os.chdir(self.folder)
            ended = pytester.runpytest_inprocess(*WITHIN, *shlex.split(command)[1:])
            self.capture.readouterr()
            return int(ended.ret), f"{ended.stdout}\n{ended.stderr}"
        if command.startswith("crlm-qc ") and plain:
            with pytest.raises(SystemExit) as stopped:
                cli.main(shlex.split(command)[1:])
            captured = self.capture.readouterr()
            return int(stopped.value.code or 0), captured.out + captured.err
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def first_missing(shown: list[str], said: str) -> str | None:
    """The first line shown that is not in the output, in order; an ellipsis stands for anything."""
    lines = iter(said.splitlines())
    for line in shown:
        pattern = re.compile(".*".join(map(re.escape, line.split(WILD))))
        if line.strip() != WILD and not any(pattern.fullmatch(one.rstrip()) for one in lines):
            return line
    return None


@pytest.fixture
def reader(
    clean_release: SyntheticRelease,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Reader:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("SOURCE_DATE_EPOCH", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    # What the demo writes goes with the test, and no process is started for three small patients.
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("crlm_qc.workers.default_jobs", lambda: 1)
    monkeypatch.setenv("CRLM_QC_JOBS", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", shlex.join([PLAIN, *UNUSED_PLUGINS]))
    reader = Reader(tmp_path, clean_release, capsys, request)
    reader.fetch("clean")
    return reader


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_runs(name: str, reader: Reader) -> None:
    found = page(name)
    ran = sum(reader.follow(block) for block in found)
    assert ran == sum(len(one.commands) for one in found if one.language in SHELL and "not run" not in one.says)


def test_there_are_commands_to_run() -> None:
    """A pass over nothing is none: pages, commands and what is not run are counted."""
    every = {name: page(name) for name in PAGES}
    run = [
        (name, command)
        for name, found in every.items()
        for block in found
        if block.language in SHELL and "not run" not in block.says
        for command, _ in block.commands
    ]
    assert len(run) >= 35
    assert len({name for name, _ in run}) >= 8
    assert {"check", "show", "diff", "report", "lock", "verify", "demo", "synth", "explain"} <= {
        shlex.split(command)[1] for _, command in run if command.startswith("crlm-qc ")
    }
    left_out = [block.says["not run"] for found in every.values() for block in found if "not run" in block.says]
    assert all(reason.strip() for reason in left_out)


@pytest.mark.parametrize("name", PAGES)
def test_no_command_hides_from_the_test(name: str) -> None:
    for block in page(name):
        shows = [line for line in block.content.splitlines() if line.startswith(("crlm-qc ", "$ ", "pytest ", "nox "))]
        assert not shows or block.language in SHELL, f"line {block.line}: make it a bash or console block: {shows[0]}"


def test_the_harness_can_fail(reader: Reader) -> None:
    def follow(text: str) -> int:
        return sum(reader.follow(block) for block in blocks(text))

    assert follow("```bash\ntrue\ncrlm-qc \\\n  --version\n```\n") == 2
    assert follow(f"```console\n$ echo a; echo b; echo c\na\n{WILD}\nc\n```\n") == 1
    assert follow("<!-- not run: no -->\n```bash\nfalse\n```\n") == 0
    for wrong in (
        "```bash\nfalse\n```\n",
        "```bash\ncrlm-qc check nowhere\n```\n",
        "<!-- exits with 1 -->\n```bash\ntrue\n```\n",
        "<!-- exits with 1 -->\n\nText.\n\n```bash\nfalse\n```\n",
        "```console\n$ echo a\nb\n```\n",
        "```console\n$ echo a; echo b\nb\na\n```\n",
    ):
        with pytest.raises(AssertionError):
            follow(wrong)


# --- what the pages say ----------------------------------------------------------------------------------------------


def test_formats_and_exit_codes_are_all_told() -> None:
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == set(FORMATS)
    for form in FORMATS.values():
        where = "standard output" if form.goes_to == "-" else form.goes_to
        assert re.search(rf"^\| `{form.name}` \| `?{re.escape(where)}/?`? \|", text, re.MULTILINE), form.name
    codes = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", text, re.MULTILINE)}
    assert codes == {*map(int, ExitCode), cli.INTERRUPTED}


def test_every_option_that_a_page_names_is_there(
    capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config, reader: Reader
) -> None:
    known = {f"--{name.replace('_', '-')}" for name in vars(pytestconfig.option)}  # of pytest, and of our plugin in it
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    commands = re.findall(r"^│ ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    assert {"check", "config", "tables", "pictures"} <= set(commands)
    for command in [*commands, "evidence read", "evidence merge"]:
        with pytest.raises(SystemExit):
            cli.main([*command.split(), "--help"])
        known |= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    others = (
        *("gpg ", "cosign ", "sha256sum", "cd ", "#SBATCH ", "sbatch ", "read=$(sbatch ", "podman "),
        *("srun ", "dask "),
    )
    for name in PAGES:
        text = re.sub(r"<!--.*?-->", "", (DOCS / name).read_text(encoding="utf-8"))
        text = "\n".join(line for line in text.splitlines() if not line.startswith(others))
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
        assert named <= known, name


def test_links_of_pages_lead_somewhere_in_the_repository_too() -> None:
    top = DOCS.parent
    pages = [top / "README.md", top / "CONTRIBUTING.md", *(DOCS / name for name in PAGES)]
    links = [
        (path, str(child.attrGet("href") or child.attrGet("src")).partition("#")[0])
        for path in pages
        for token in MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
        for child in token.children or ()
        if child.type in ("link_open", "image")
    ]
    inside = [(path, link) for path, link in links if link and "://" not in link]
    assert len(inside) > 50
    assert [(path.name, link) for path, link in inside if not (path.parent / link).is_file()] == []


# --- generated pages -------------------------------------------------------------------------------------------------


def test_generated_pages_tell_every_rule_and_table(tmp_path: Path) -> None:
    generate = module("generate")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/old.md").write_text("x", encoding="utf-8")
    written = generate.write_pages(tmp_path)
    assert sorted(written) == sorted(tmp_path.rglob("*.md"))
    assert {path.parent.name for path in written} == set(GENERATED)
    for rule in registry():
        text = (tmp_path / f"rules/{rule.family.lower()}.md").read_text(encoding="utf-8")
        assert f"\n({rule.code.lower()})=\n\n## {rule.code}: " in text
        assert generate.plain(rule.fix) in text
    for name, table in TABLES.items():
        text = (tmp_path / f"tables/{name}.md").read_text(encoding="utf-8")
        for column in table.columns:
            assert len(re.findall(rf"^\| `{column.name}` \|", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("text", ["a*b*_c_", "<b>|x|", "[x](y)", "`a|b` *c*", "{x}`y`", "#1 $a$ ~b~", "1\\2"])
def test_generated_text_is_no_markup(text: str) -> None:
    plain = module("generate").plain(text)
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    *_, inline = [token for token in parser.parse(f"| a |\n|---|\n| {plain} |") if token.type == "inline"]
    assert inline.children
    assert {child.type for child in inline.children} <= {"text", "text_special", "code_inline"}
    assert "".join(child.content for child in inline.children) == text.replace("`", "")


# --- the built site --------------------------------------------------------------------------------------------------

SITE = {
    "index.html": '<a href="a/b.html#x">b</a><a href="https://example.org">out</a><img src="a/c.png" alt="">',
    "a/b.html": '<h1 id="x">b</h1><a href="../index.html">up</a><a href="#x">here</a>',
    "a/c.png": "",
}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/b.html", SITE["a/b.html"], None),
        ("a/b.html", '<h1 id="y">b</h1>', "index.html: a/b.html#x: no such place"),
        ("index.html", '<a href="a/d.html">d</a>', "index.html: a/d.html: no such file"),
        ("index.html", '<a href="../up.html">d</a>', "leads out of the site"),
        ("index.html", '<a href="#none">d</a>', "#none: no such place"),
        ("index.html", '<script src="https://cdn.example/x.js"></script>', "asks another host"),
        ("index.html", '<link rel="stylesheet" href="//fonts.example/x.css">', "asks another host"),
        ("index.html", '<img srcset="https://img.example/x.png 2x">', "asks another host"),
        ("index.html", "<style>@import url(https://x.example/a.css);</style>", "asks another host"),
        ("a/d.css", "body { background: url('http://x.example/a.png') }", "asks another host"),
        ("a/d.css", "body { background: url(data:image/png;base64,AA) }", None),
        ("index.html", '<iframe src="https://x.example"></iframe>', "asks another host"),
    ],
)
def test_links_and_outside_requests_are_found(tmp_path: Path, name: str, content: str, said: str | None) -> None:
    for path, text in {**SITE, name: content}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    problems = module("check_site").problems(tmp_path)
    assert bool(problems) == (said is not None), problems
    assert said is None or any(said in problem for problem in problems)
