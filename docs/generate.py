"""Pages that are made of the code: a page a family of rules, and a page an evidence table. They are never committed."""

from __future__ import annotations

import inspect
import re
import shutil
from collections import defaultdict
from pathlib import Path

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.model.family import family_name
from crlm_qc.model.report import ToleranceText
from crlm_qc.model.tables import TABLES, Column, Table
from crlm_qc.report import words
from crlm_qc.rulebook.rule import Rule, RuleKind
from crlm_qc.rulebook.texts import rule_text
from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import FAULTS

FOLDERS = ("rules", "tables")
"""Folders of generated pages, left alone by git."""

_TYPES = {"str": "text", "Int64": "whole number", "float64": "number", "boolean": "yes or no"}
_KINDS = {
    RuleKind.PLAIN: "a function over the evidence tables",
    RuleKind.TABLE: "a check of a Pandera model",
    RuleKind.EXPECTATION: "an expectation of a Great Expectations suite",
    RuleKind.AUDIT: "made by the audit itself",
}


def write_pages(folder: Path) -> list[Path]:
    """Write the generated pages, and remove those of an earlier time.

    Parameters
    ----------
    folder : pathlib.Path
        Where the other pages lie.

    Returns
    -------
    list of pathlib.Path
        The pages.
    """
    pages = {**rule_pages(), **table_pages()}
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def plain(text: str) -> str:
    """Text that Markdown takes for nothing else; code between backticks stays code."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") else re.sub(r"([\\*_\[\]<>|#{}$^~`])", r"\\\1", part)
        for part in parts
    )


# --- rules -----------------------------------------------------------------------------------------------------------


def rule_pages() -> dict[str, str]:
    """A page a family, and one that lists them: paths and Markdown."""
    profile = load_profile()
    families: dict[str, list[Rule]] = defaultdict(list)
    for item in registry():
        families[item.family].append(item)
    faults: dict[str, list[str]] = defaultdict(list)
    for name, fault in FAULTS.items():
        for code in fault.triggers:
            faults[code].append(name)
    rows = [
        f"| [{name}]({name.lower()}.md) | {plain(family_name(name))} | {len(rules)} |"
        for name, rules in families.items()
    ]
    index = [
        "# Rules",
        "",
        f"{len(registry())} rules in {len(families)} families. A code keeps its meaning for ever.",
        "These pages are made of the rules themselves. In the terminal: `crlm-qc rules` and `crlm-qc explain CODE`.",
        "",
        "| family | about | rules |",
        "|---|---|---|",
        *rows,
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *(name.lower() for name in families),
        "```",
        "",
    ]
    pages = {f"rules/{name.lower()}.md": _family(name, rules, profile, faults) for name, rules in families.items()}
    return {"rules/index.md": "\n".join(index), **pages}


def _family(name: str, rules: list[Rule], profile: Profile, faults: dict[str, list[str]]) -> str:
    lines = [f"# {name}: {plain(family_name(name))}", "", "| code | severity | what is wrong |", "|---|---|---|"]
    lines += [
        f"| [{item.code}](#{item.code.lower()}) | {words.WORDS[item.severity]} | {plain(item.title)} |"
        for item in rules
    ]
    for item in rules:
        lines += ["", *_rule(item, rule_text(item, profile).tolerances, faults[item.code])]
    return "\n".join([*lines, ""])


def _rule(item: Rule, tolerances: tuple[ToleranceText, ...], faults: list[str]) -> list[str]:
    how = "" if item.kind is RuleKind.AUDIT else inspect.getdoc(item.check) or ""
    tables = ", ".join(f"[{table}](../tables/{table}.md)" for table in item.tables)
    scope = "the whole release: not run for a subset" if item.whole_release else ""
    fields = [
        ("Severity", words.WORDS[item.severity]),
        ("Why it matters", plain(item.why)),
        ("What is checked", plain(how)),
        ("Spoils", words.spoils(item.spoils)),
        ("What to do", plain(item.fix)),
        ("Source", plain(item.source)),
        *(
            ("Tolerance", f"`{one.name}`, {words.quantity(one.value, one.unit)}: {plain(one.why)}")
            for one in tolerances
        ),
        ("Reads", tables),
        ("Needs", f"`--depth {item.depth.value}`"),
        ("Only for", scope),
        ("Made as", _KINDS[item.kind]),
        ("Slug", f"`{item.slug}`"),
        ("Seen with", ", ".join(f"`crlm-qc synth DIR --fault {name}`" for name in faults[:2])),
    ]
    lines = [f"({item.code.lower()})=", "", f"## {item.code}: {plain(item.title)}", ""]
    lines += [f"- **{name}**: {said}" for name, said in fields if said]
    return lines


# --- tables ----------------------------------------------------------------------------------------------------------


def table_pages() -> dict[str, str]:
    """A page an evidence table, and one that lists them: paths and Markdown."""
    readers: dict[str, list[Rule]] = defaultdict(list)
    for item in registry():
        for name in item.tables:
            readers[name].append(item)
    index = [
        "# Evidence tables",
        "",
        "Reading a release gives these tables; rules read nothing else.",
        "`crlm-qc check RELEASE --evidence DIR` writes them as Parquet, one file a table,",
        "and `crlm-qc check DIR` audits them again.",
        "",
        "Lengths are in mm, volumes in mL, CT values in HU; positions are in the patient's coordinate system of DICOM",
        "(LPS: x to the left, y to the back, z to the head). A value may be missing unless its type says *always*.",
        "",
        "| table | columns | what it holds |",
        "|---|---|---|",
        *(f"| [{name}]({name}.md) | {len(table.columns)} | {plain(table.doc)} |" for name, table in TABLES.items()),
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *TABLES,
        "```",
        "",
    ]
    pages = {f"tables/{name}.md": _table(name, table, readers[name]) for name, table in TABLES.items()}
    return {"tables/index.md": "\n".join(index), **pages}


def _table(name: str, table: Table, readers: list[Rule]) -> str:
    links = ", ".join(f"[{item.code}](../rules/{item.family.lower()}.md#{item.code.lower()})" for item in readers)
    return "\n".join(
        [
            f"# {name}",
            "",
            plain(table.doc),
            "",
            "| column | type | unit | meaning |",
            "|---|---|---|---|",
            *(_column(column) for column in table.columns),
            "",
            f"Read by {links}." if links else "No rule reads it; it stands in the evidence for your own tests.",
            "",
        ]
    )


def _column(column: Column) -> str:
    kind = _TYPES.get(column.dtype, column.dtype) + (", always" if column.required else "")
    said = " ".join(
        part for part in (plain(column.doc), f"From {plain(column.source)}." if column.source else "") if part
    )
    return f"| `{column.name}` | {kind} | {plain(column.unit)} | {said} |"
