"""Sessions of crlm-qc: `nox` runs lint, types and tests; see `nox --list`."""

import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    """Requirements of a dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format; who may import whom; spelling; and pyproject.toml itself."""
    session.install(".", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, on crlm_qc and on the programs beside it."""
    session.install(".", *group("types"))
    session.run("mypy")
    session.run("mypy", "noxfile.py", "docs/generate.py", "docs/check_site.py")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, on all cores; arguments go to pytest: nox -s tests -- -k geometry."""
    session.install(".", *group("tests"))
    # Neighbours share releases and audits that take longer to make than to test: each worker takes a run of them, and half
    # of what another has left when it is done.
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *session.posargs)


@nox.session(python=["3.12", "3.13"])
def newer(session: nox.Session) -> None:
    """A short selection of the suite on newer Pythons, those that can be had; arguments go to pytest."""
    session.install(".", *group("tests"))
    selection = ("tests/model", "tests/geometry", "tests/evidence", "tests/synthetic", "tests/engines", "tests/rules")
    session.run("pytest", "-n", "auto", "--dist", "worksteal", "-q", *(session.posargs or selection))


@nox.session
def cohorts(session: nox.Session) -> None:
    """Clean cohorts of 50 patients in every layout, edition and position: nothing may be found."""
    session.install(".", *group("tests"))
    session.run("pytest", "-n", "auto", "tests/test_clean_cohorts.py", env={"CRLM_QC_COHORT": "50"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Changed files to everything that reads files, 2,000 of them, or so many: nox -s fuzz -- 20000 [options of pytest]."""
    session.install(".", *group("tests"))
    inputs, *options = session.posargs or ("2000",)
    chosen = ("-n", "auto", "--noconftest", "-q", "-o", "python_files=fuzz_*.py")
    session.run("pytest", "tests/fuzz", *chosen, *options, env={"CRLM_QC_FUZZ": inputs})


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks: speed and memory of reading, beside the time to read the same bytes."""
    session.install(".", *group("bench"))
    # Without the fixtures of the tests, whose libraries would be imported along with Pandera and slow it down.
    options = ("--noconftest", "-o", "python_files=bench_*.py", "-s")
    session.run("pytest", "tests/benchmarks", *options, *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Audit a release: nox -s audit -- PATH [options of crlm-qc check]."""
    if not session.posargs:
        session.error("give the release: nox -s audit -- PATH [options of crlm-qc check]")
    session.install(".")
    session.run("crlm-qc", "check", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Audit a synthetic release with planted faults."""
    session.install(".")
    session.run("crlm-qc", "demo", *session.posargs)


SITE = Path("site")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/, strictly and without network; check its links, and that it asks no other host."""
    session.install(".", *group("docs"))
    shutil.rmtree(SITE, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        session.run("sphinx-build", "-q", "-W", "--keep-going", "-d", folder, "-b", "html", "docs", str(SITE))
    session.run("python", "docs/check_site.py", str(SITE))


EXAMPLE, MAX_EXAMPLE = Path("reports/example"), 1_000_000


@nox.session
def example(session: nox.Session) -> None:
    """Make reports/example again: the report of the demo's synthetic release, under 1 MB."""
    session.install(".")
    with tempfile.TemporaryDirectory() as folder:
        session.run("crlm-qc", "demo", f"{folder}/demo")
        shutil.rmtree(EXAMPLE, ignore_errors=True)
        shutil.copytree(Path(folder, "demo", "reports"), EXAMPLE)
    size = sum(path.stat().st_size for path in EXAMPLE.rglob("*") if path.is_file())
    if size > MAX_EXAMPLE:
        session.error(f"{EXAMPLE} has {size:,} bytes, more than {MAX_EXAMPLE:,}: make the demo smaller")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel alone, and run its demo away from the source."""
    session.install(*group("build"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.install("--force-reinstall", "--no-deps", *map(str, Path("dist").glob("*.whl")))
    session.install(*map(str, Path("dist").glob("*.whl")))
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("crlm-qc", "demo", "demo")
