"""Who may import whom, and what must not be loaded where speed counts."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import crlm_qc

PACKAGE = Path(crlm_qc.__file__).parent

# Rooms of the house, and the rooms that each may import from (beside itself).
ALLOWED = {
    "model": {"resources"},
    "geometry": {"model"},
    "evidence": {"model", "geometry"},
    "engines": {"model"},
    "rules": {"model", "geometry", "engines", "resources"},
    "report": {"model"},
    "pictures": {"model", "geometry", "evidence", "rules", "report"},
    "synthetic": {"model", "resources"},
    "resources": set(),
    "facts": {"model", "rules"},
    "attestation": {"model"},
    "redaction": {"model", "rules"},
    "auditing": {"model", "engines", "evidence", "rules", "report", "facts", "redaction"},
    "conformance": {"model", "auditing", "report"},
    "pytest_plugin": {"model", "pytest_audit", "pytest_guard"},
    "pytest_guard": {"configuration"},
    "pytest_audit": {
        "model",
        "auditing",
        "cli_config",
        "configuration",
        "conformance",
        "evidence",
        "outputs",
        "pytest_plugin",
        "report",
        "rules",
    },
    "configuration": {"model", "report", "rules"},
    "terminal": {"report"},
    "outputs": {"auditing", "report", "terminal"},
    "run": {"model", "outputs"},
    "ci": {"model", "report", "terminal"},
}
UNBOUND = {
    "cli",
    "cli_options",
    "cli_results",
    "cli_attest",
    "cli_config",
    "cli_pictures",
    "cli_tables",
    "__init__",
    "__main__",
}

# Loaded only where they are used, so that help and listings answer at once.
HEAVY = {
    "pandas",
    "numpy",
    "pandera",
    "pydicom",
    "highdicom",
    "great_expectations",
    "pyarrow",
    "scipy",
    "openpyxl",
    "cc3d",
    "PIL",
    "contourpy",
}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> list[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            found += [
                f"{node.module}.{alias.name}" if node.module == "crlm_qc" else str(node.module) for alias in node.names
            ]
    return [name for name in found if name.split(".")[0] == "crlm_qc"]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = room(".".join(("crlm_qc", *path.relative_to(PACKAGE).with_suffix("").parts)))
    if own in UNBOUND:
        return
    used = {room(name) for name in imports(path)} - {own, "__version__"}
    assert used <= ALLOWED[own], f"{own} must not import {sorted(used - ALLOWED[own])}"


def test_every_room_is_known() -> None:
    rooms = {room(".".join(("crlm_qc", *path.relative_to(PACKAGE).with_suffix("").parts))) for path in MODULES}
    assert rooms <= set(ALLOWED) | UNBOUND


def test_listing_rules_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "from crlm_qc.rules import registry\n"
        "assert len(registry()) > 0\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout))


def test_datasets_are_opened_in_one_room_only() -> None:
    readers = {"pydicom", "openpyxl", "csv"}
    for path in MODULES:
        own = path.relative_to(PACKAGE).parts[0]
        if own in ("evidence", "synthetic"):
            continue
        # It writes the findings.
        allowed = {"csv"} if path.name == "csv_format.py" else set()
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            str(node.module).split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
        }
        assert not names & readers - allowed, f"{path.name} reads dataset files: {sorted(names & readers - allowed)}"


def test_pictures_are_drawn_in_one_module_only() -> None:
    drawing = {"PIL", "contourpy"}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        } | {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if path.relative_to(PACKAGE).as_posix() != "pictures/draw.py":
            assert not names & drawing, f"{path.name} draws pictures"
