"""What must not be loaded where speed counts, and which libraries only one room uses.

Who may import whom stands in pyproject.toml; `lint-imports` tells.
"""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from support.releases import small_release

import crlm_qc

PACKAGE = Path(crlm_qc.__file__).parent

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
    "xxhash",
}


MODULES = sorted(PACKAGE.rglob("*.py"))


def libraries(path: Path) -> set[str]:
    """Libraries that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    parts = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in whole | parts}


def test_every_room_has_a_contract_on_whom_it_may_import() -> None:
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    bound = {name for one in contracts if one["type"] == "forbidden" for name in one["source_modules"]}
    rooms = {
        f"crlm_qc.{path.stem}" for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    # Faces: nobody imports them, and they may import anything.
    faces = {"crlm_qc.__init__", "crlm_qc.__main__", "crlm_qc.cli", "crlm_qc.pytest_plugin"}
    assert bound | faces == rooms
    assert [one["ancestors"] for one in contracts if one["type"] == "acyclic_siblings"] == [["crlm_qc"]]


def test_a_module_has_one_topic_and_few_lines() -> None:
    # The contracts of the tables are one list.
    lists = {"model/tables.py"}
    for path in MODULES:
        name = path.relative_to(PACKAGE).as_posix()
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert name in lists or lines <= (400 if name.startswith("rules/") else 600), f"{name} has {lines} lines"


def test_listing_rules_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "from crlm_qc.rules import registry\n"
        "assert len(registry()) > 0\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout))


# Libraries that read and draw, whose place is in the processes that do, and some that only others import.
NOT_TO_JUDGE = {
    "pydicom",
    "highdicom",
    "openpyxl",
    "cc3d",
    "PIL",
    "contourpy",
    "scipy",
    "great_expectations",
    "hypothesis",
    "rich",
    "requests",
}


def test_the_process_that_judges_loads_nothing_to_read_or_draw_with(tmp_path: Path) -> None:
    small_release(tmp_path / "release", patients=2)
    code = (
        "import atexit, json, sys\n"
        "from crlm_qc.cli import main\n"
        "tops = lambda: sorted({name.split('.')[0] for name, one in sys.modules.items() if one is not None})\n"
        "atexit.register(lambda: print(json.dumps(tops())))\n"
        "main()"
    )
    options = ["--depth", "headers", "--subset", "--jobs", "2", "--pictures", "none", "--out", str(tmp_path / "out")]
    run = [sys.executable, "-c", code, "check", str(tmp_path / "release"), *options, "-qq"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"pandas", "jinja2"} <= loaded
    # No table breaks its model, and none is saved.
    assert not (NOT_TO_JUDGE | {"pandera", "pyarrow"}) & loaded


def test_datasets_are_opened_in_one_room_only() -> None:
    readers = {"pydicom", "openpyxl", "csv"}
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in ("evidence", "synthetic"):
            continue
        # It writes the findings.
        allowed = {"csv"} if path.name == "csv_format.py" else set()
        found = libraries(path) & readers - allowed
        assert not found, f"{path.name} reads dataset files: {sorted(found)}"


def test_pictures_are_drawn_in_one_room_only() -> None:
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] != "pictures":
            assert not libraries(path) & {"PIL", "contourpy"}, f"{path.name} draws pictures"


# What lists, looks at, opens or reads files by their paths.
BY_PATH = {
    "open",
    "read_bytes",
    "read_text",
    "stat",
    "lstat",
    "is_file",
    "is_dir",
    "exists",
    "iterdir",
    "glob",
    "rglob",
    "iglob",
    "scandir",
    "listdir",
    "walk",
    "realpath",
    "ZipFile",
    "TarFile",
    "dcmread",
    "load_workbook",
    "read_csv",
    "read_excel",
    "read_parquet",
    "ParquetFile",
    "memmap",
    "fromfile",
}

# Rooms that a release passes through, from its files to its pictures.
READS_RELEASES = ("evidence", "subjects", "engines", "rules", "pictures", "auditing", "geometry", "rulebook")

# What does so all the same, and why it is no file of a release.
NO_FILE_OF_A_RELEASE = {
    "evidence/lock.py": {
        "open": "the lock file, which the user names",
        "iterdir": "what lies beside a lock file that is not there",
        "is_dir": "likewise",
    },
    "evidence/store.py": {
        "read_text": "saved evidence",
        "read_bytes": "likewise",
        "open": "likewise, to be hashed",
        "ParquetFile": "of bytes in memory, or of saved evidence of which some rows are read",
    },
    "evidence/parts.py": {"read_bytes": "a part that was saved"},
    "evidence/part_tables.py": {"read_bytes": "likewise", "ParquetFile": "of bytes in memory"},
    "evidence/pixels.py": {"dcmread": "of a file that is open"},
    "evidence/workbook/file.py": {
        "ZipFile": "of bytes in memory, or of a file that is open",
        "open": "a part of a workbook",
        "load_workbook": "of bytes in memory",
    },
    "engines/gx_engine.py": {"read_text": "a suite of expectations, which comes with a profile"},
    "pictures/album.py": {
        "open": "a picture of a saved report",
        "scandir": "pictures of an earlier report",
        "is_file": "likewise",
    },
    "pictures/drawing.py": {"open": "of bytes in memory"},
    "auditing/attestation.py": {"read_bytes": "a suite of expectations, which comes with a profile"},
}


def calls(path: Path) -> set[str]:
    """Names of the functions and methods that a file calls."""
    called = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {part.attr for part in called if isinstance(part, ast.Attribute)} | {
        part.id for part in called if isinstance(part, ast.Name)
    }


def test_files_of_a_release_are_listed_and_opened_by_their_places_only() -> None:
    found = {}
    for path in MODULES:
        place = path.relative_to(PACKAGE)
        opens = place.parts[:2] in (("evidence", "source.py"), ("evidence", "places"))
        if place.parts[0] in READS_RELEASES and not opens:
            found[place.as_posix()] = calls(path) & BY_PATH
    # Equal, so that what is no longer needed is not permitted any longer.
    assert {name: used for name, used in found.items() if used} == {
        name: set(reasons) for name, reasons in NO_FILE_OF_A_RELEASE.items()
    }
