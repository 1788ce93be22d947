"""The pytest plugin: audits a release as tests, `pytest --crlm-release=PATH`.

This is what pytest loads in every run, so it imports little else of crlm-qc until a release is given:
`crlm_qc.testing.plugin` has the rest, and `crlm_qc.testing.guard` keeps the release from having a say in the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crlm_qc.testing.names import GRAINS, INI, NAME, QualityWarning, named_source

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence
    from crlm_qc.model.report import Report

__all__ = ["QualityWarning"]
"""What a team may name; pytest finds hooks and fixtures by itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; those that are not given are left to the configuration file, as those of `crlm-qc check` are."""
    group = parser.getgroup(NAME, "audit of a release (crlm-qc)")

    def add(name: str, doc: str, **options: Any) -> None:
        group.addoption(f"--crlm-{name}", default=None, help=doc, **options)

    add("release", "Audit this release, or evidence saved from one.", metavar="PATH")
    add("evidence", "Write the evidence tables to this folder; alone: audit those that lie there.", metavar="DIR")
    add("select", "Only these rules: codes or beginnings of codes. Repeatable.", metavar="CODES", action="append")
    add("ignore", "All but these rules. Repeatable.", metavar="CODES", action="append")
    add("waivers", "Findings that were accepted (TOML). Repeatable.", metavar="FILE", action="append")
    add("subset", "Part of the release on purpose: skip what compares the whole.", action="store_true")
    add("all-objects", "Also audit objects of others beside the published ones.", action="store_true")
    add("depth", "How deep to read: headers, masks or pixels.", choices=("headers", "masks", "pixels"))
    add("jobs", "Processes to read with. Default: the cores.", metavar="N", type=int)
    add("profile", "Release profile (TOML) in place of the built-in one.", metavar="FILE")
    add(
        "fail-on",
        "Mildest severity that fails a test; new: errors alone that the baseline does not have. Default: error.",
        choices=("error", "warning", "info", "never", "new", "new-warning", "new-info"),
    )
    add(
        "baseline",
        "Tell what is new, changed and fixed since this findings.json; last: since the last that crlm-qc check kept.",
        metavar="FILE|last",
    )
    add(
        "grain",
        "A test a rule; and one a patient and family of rules (family, the default), or one a patient and rule (full).",
        choices=GRAINS,
    )
    parser.addini(INI, "Release to audit in every run that is not of single files; begins at the folder of this file.")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse to load anything out of the release, before anything is loaded."""
    source = named_source(early_config, early_config.known_args_namespace)
    if source is not None:
        from crlm_qc.testing.guard import refuse_what_would_load

        refuse_what_would_load(early_config, source)


def pytest_configure(config: pytest.Config) -> None:
    """Start the audit's plugin where there is something to audit."""
    if named_source(config, config.option) is not None:
        from crlm_qc.testing.plugin import AuditPlugin

        config.pluginmanager.register(AuditPlugin(config), NAME)


def _audit(request: pytest.FixtureRequest) -> Any:
    plugin = request.config.pluginmanager.get_plugin(NAME)
    if plugin is None:
        pytest.skip("no release was given: pytest --crlm-release=PATH")
    return plugin


@pytest.fixture(scope="session")
def crlm_release(request: pytest.FixtureRequest) -> Path:
    """Folder of the release that is audited."""
    path: Path = _audit(request).release_folder()
    return path


@pytest.fixture(scope="session")
def crlm_evidence(request: pytest.FixtureRequest) -> Evidence:
    """Evidence tables of the release, `crlm_evidence["segments"]`: text that may identify somebody is replaced in them."""
    tables: Evidence = _audit(request).evidence()
    return tables


@pytest.fixture(scope="session")
def crlm_report(request: pytest.FixtureRequest) -> Report:
    """Report of the audit: outcomes and findings of every rule that was asked for."""
    report: Report = _audit(request).report()
    return report
