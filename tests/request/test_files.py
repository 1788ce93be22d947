"""Configuration files: where they are found, what is refused in them, and which of several sources holds."""

import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.request.files import Configuration, ConfigurationError, find, load, read
from crlm_qc.request.keys import KEYS, template
from crlm_qc.request.layers import Origin, layered

MINE = 'fail-on = "warning"\n'


def written(path: Path, text: str = MINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- finding


def test_the_nearest_upward_is_taken(tmp_path: Path) -> None:
    far, near = written(tmp_path / "crlm-qc.toml"), written(tmp_path / "a" / "b" / "crlm-qc.toml")
    below = tmp_path / "a" / "b" / "c"
    below.mkdir()
    assert find(below).path == near
    assert find(tmp_path / "a").path == far


def test_of_two_in_one_folder_its_own_file_is_taken(tmp_path: Path) -> None:
    written(tmp_path / "pyproject.toml", "[tool.crlm-qc]\njobs = 1\n")
    own = written(tmp_path / "crlm-qc.toml")
    assert find(tmp_path).path == own


def test_a_pyproject_without_the_table_is_passed(tmp_path: Path) -> None:
    above = written(tmp_path / "pyproject.toml", "[tool.crlm-qc]\njobs = 1\n")
    written(tmp_path / "a" / "pyproject.toml", "[tool.other]\njobs = 1\n")
    assert find(tmp_path / "a").path == above


def test_a_pyproject_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    written(tmp_path / "pyproject.toml", "[tool")
    with pytest.raises(ConfigurationError, match=r"pyproject.toml can't be read as TOML"):
        find(tmp_path)


def test_nothing_in_the_release_is_read(tmp_path: Path) -> None:
    outside = written(tmp_path / "crlm-qc.toml")
    inside = written(tmp_path / "release" / "crlm-qc.toml", "no TOML at all")
    deeper = written(tmp_path / "release" / "sub" / "pyproject.toml", "nor here")
    found = find(tmp_path / "release" / "sub", release=tmp_path / "release")
    assert (found.path, found.passed_over) == (outside, (deeper, inside))
    with pytest.raises(ConfigurationError, match="lies in the release"):
        load(tmp_path, release=tmp_path / "release", file=inside)


def test_nor_through_links(tmp_path: Path) -> None:
    inside = written(tmp_path / "release" / "settings.toml")
    outside = tmp_path / "work" / "crlm-qc.toml"
    outside.parent.mkdir()
    outside.symlink_to(inside)
    assert find(outside.parent, release=tmp_path / "release").passed_over == (outside,)
    # A link to the release, and a link in the release that leads out of it.
    (tmp_path / "link").symlink_to(tmp_path / "release")
    with pytest.raises(ConfigurationError, match="lies in the release"):
        load(tmp_path, release=tmp_path / "link", file=inside)
    foreign = written(tmp_path / "elsewhere.toml")
    leading_out = tmp_path / "release" / "crlm-qc.toml"
    leading_out.symlink_to(foreign)
    with pytest.raises(ConfigurationError, match="lies in the release"):
        load(tmp_path, release=tmp_path / "release", file=leading_out)


def test_isolated_and_named(tmp_path: Path) -> None:
    written(tmp_path / "crlm-qc.toml")
    other = written(tmp_path / "other.toml", "jobs = 3\n")
    assert load(tmp_path, isolated=True) == Configuration()
    assert load(tmp_path, file=other).values == {"jobs": 3}
    assert load(tmp_path).values == {"fail-on": "warning"}


# --- reading


def test_values_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path / "crlm-qc.toml",
        """
        select = ["CTS", "dso011,SEG001"]
        ignore = "frame-empty"
        waivers = ["accepted/w.toml", "/abs/w.toml"]
        output = ["junit", "csv:out/f.csv", "markdown:-"]
        patients = ["CRLM-CT-1004", "@ids.txt"]
        profile = "p.toml"
        sarif-anchor = "README.md"
        known-issues = false
        jobs = 2
        [severity]
        cts012 = "off"
        [tolerances]
        air_hu = -600
        """,
    )
    assert read(path) == {
        "select": ("CTS", "dso011", "SEG001"),
        "ignore": ("frame-empty",),
        "waivers": (str(tmp_path / "accepted/w.toml"), "/abs/w.toml"),
        "output": ("junit", f"csv:{tmp_path / 'out/f.csv'}", "markdown:-"),
        "patients": ("CRLM-CT-1004", f"@{tmp_path / 'ids.txt'}"),
        "profile": str(tmp_path / "p.toml"),
        "sarif-anchor": "README.md",
        "known-issues": False,
        "jobs": 2,
        "severity": {"CTS012": "off"},
        "tolerances": {"air_hu": -600.0},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fail_on = 'error'", "unknown key fail_on: did you mean fail-on"),
        ("zzzz = 1", "unknown key zzzz. Known: select, ignore"),
        ("select = ['DSO99']", "unknown rule DSO99 in select: did you mean DSO0"),
        ("severity = { CTS912 = 'off' }", "unknown rule CTS912 in severity: did you mean CTS012"),
        ("severity = { CTS = 'off' }", "unknown rule CTS in severity"),
        (
            "severity = { CTS012 = 'of' }",
            r"CTS012 in \[severity\] must be one of error, warning, info, off: did you mean off",
        ),
        ("severity = 'off'", "severity must be a table"),
        ("tolerances = { spacing_m = 1 }", r"unknown key spacing_m in \[tolerances\]: did you mean spacing_mm"),
        ("tolerances = { spacing_mm = 'x' }", r"spacing_mm in \[tolerances\] must be a number"),
        ("tolerances = { spacing_mm = -1 }", "tolerances: tolerance spacing_mm must be at least 0"),
        ("tolerances = { spacing_mm = nan }", r"spacing_mm in \[tolerances\] must be a finite number"),
        ("output = ['junt']", "unknown format junt in output: did you mean junit"),
        (
            "fail-on = 'warnin'",
            "fail-on must be one of error, warning, info, never, new, new-warning, new-info: did you mean warning",
        ),
        ("depth = 'pixel'", "depth must be one of headers, masks, pixels: did you mean pixels"),
        ("jobs = 0", "jobs must be at least 1"),
        ("jobs = true", "jobs must be a whole number"),
        ("quiet = 7", "quiet must be 0, 1 or 2"),
        ("subset = 1", "subset must be true or false"),
        ("waivers = 3", "waivers must be a list of texts"),
        ("waivers = [3]", "waivers must be a list of texts"),
        ("profile = ''", "profile is not of the right form"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path / "crlm-qc.toml", text)
    with pytest.raises(ConfigurationError, match=f"crlm-qc.toml: {said}"):
        read(path)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="crlm-qc.toml can't be read as TOML: "):
        read(written(tmp_path / "crlm-qc.toml", "select = ["))


def test_in_pyproject_the_table_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "pyproject.toml", "[tool.crlm-qc]\njob = 1\n")
    with pytest.raises(
        ConfigurationError, match=r"pyproject.toml: unknown key job in \[tool.crlm-qc\]: did you mean jobs"
    ):
        read(path)
    written(path, "[tool]\ncrlm-qc = 1\n")
    with pytest.raises(ConfigurationError, match=r"\[tool.crlm-qc\] must be a table"):
        read(path)


def test_the_template_sets_nothing_and_is_right_when_uncommented(tmp_path: Path) -> None:
    assert tomllib.loads(template()) == {}
    lines = [line.removeprefix("# ") for line in template().splitlines()]
    settings = [line for line in lines if line.partition(" = ")[0] in KEYS]
    assert list(read(written(tmp_path / "crlm-qc.toml", "\n".join(settings)))) == list(KEYS)


# --- which of several sources holds

NAMES = st.sampled_from(["jobs", "depth", "select", "severity", "tolerances"])
SCALARS = st.integers() | st.booleans() | st.text(string.ascii_letters, max_size=3) | st.none()
TABLES = st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3)


@st.composite
def layers(draw: st.DrawFn) -> dict[Origin, dict[str, Any]]:
    made: dict[Origin, dict[str, Any]] = {}
    for origin in draw(st.permutations(list(Origin))):
        names = draw(st.sets(NAMES))
        made[origin] = {name: draw(TABLES if name in ("severity", "tolerances") else SCALARS) for name in sorted(names)}
    return made


@given(layers())
def test_the_strongest_source_holds(sources: dict[Origin, dict[str, Any]]) -> None:
    held = layered(sources)
    assert set(held) == {name for layer in sources.values() for name in layer}
    by_strength = [Origin.OPTION, Origin.ENVIRONMENT, Origin.FILE, Origin.DEFAULT]
    for name, one in held.items():
        setting = [origin for origin in by_strength if name in sources.get(origin, {})]
        if isinstance(one.value, dict):
            entries = {entry for origin in setting for entry in sources[origin][name]}
            assert set(one.value) == set(one.entries) == entries
            for entry in entries:
                origin = next(origin for origin in setting if entry in sources[origin][name])
                assert (one.value[entry], one.entries[entry]) == (sources[origin][name][entry], origin)
        else:
            assert (one.value, one.origin) == (sources[setting[0]][name], setting[0])


@given(layers(), st.randoms(use_true_random=False))
def test_the_order_of_the_sources_does_not_matter(sources: dict[Origin, dict[str, Any]], chance: Any) -> None:
    shuffled = list(sources.items())
    chance.shuffle(shuffled)
    assert layered(dict(shuffled)) == layered(sources)


@given(layers())
def test_a_source_that_says_nothing_changes_nothing(sources: dict[Origin, dict[str, Any]]) -> None:
    for origin in Origin:
        without = {name: layer for name, layer in sources.items() if name is not origin}
        assert layered({**without, origin: {}}) == layered(without)


# --- the documentation


def test_the_documentation_has_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \| `(CRLM_QC_[A-Z_]+)` \|", page, re.MULTILINE) == [
        (key.name, key.variable) for key in KEYS.values()
    ]
