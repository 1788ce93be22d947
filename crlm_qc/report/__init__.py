"""Renderers of a report, one module a format. They open no dataset file and know no rule.

A renderer is a module with a function `render(report)` that gives text or bytes, or the files of a folder. It looks at no
clock, no terminal and no environment, so that an equal report gives equal bytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Content = str | bytes | Mapping[str, str | bytes]
"""What is written: one file, or the files of a folder by name."""

Render = Callable[..., Content]
"""Takes what is rendered, a `Report` as a rule, and whatever else the format has a default for."""

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Format:
    """A format that a report can be written in."""

    name: str
    module: str
    """Where its renderer lives; loaded at first use."""
    goes_to: str
    """File name inside the folder of the reports, or `-` for standard output, unless the user names another."""
    doc: str
    folder: bool = False
    """Whether it is a folder of files, which can't go to standard output."""

    def renderer(self) -> Render:
        """The function that renders a report in this format."""
        render: Render = importlib.import_module(self.module).render
        return render


FORMATS: Mapping[str, Format] = {
    item.name: item
    for item in (
        Format("html", "crlm_qc.report.html", "report.html", "one page to read, filter and print"),
        Format(
            "html-dir",
            "crlm_qc.report.html.folder",
            "report",
            "the same page as a folder, for servers such as Jenkins that allow nothing inline",
            folder=True,
        ),
        Format("json", "crlm_qc.report.json_format", "findings.json", "every outcome and finding, for programs"),
        Format("csv", "crlm_qc.report.csv_format", "findings.csv", "one row a finding, for spreadsheets"),
        Format("junit", "crlm_qc.report.junit", "junit.xml", "a suite a patient, for the test pages of CI"),
        Format("sarif", "crlm_qc.report.sarif", "crlm-qc.sarif", "for code scanning"),
        Format("markdown", "crlm_qc.report.markdown", "report.md", "for a CI step's summary, an issue or a comment"),
        Format("github", "crlm_qc.report.github", STDOUT, "annotations of a run of GitHub Actions"),
        Format("text", "crlm_qc.report.text", STDOUT, "the summary that the terminal shows"),
    )
}

ALWAYS = ("json", "html")
"""Formats that every audit writes."""
