"""What a run of pytest is asked to audit, and which tests there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.report import words
from crlm_qc.request.request import Request, keep_out, reports_of
from crlm_qc.request.runs import Earlier, Runs, baseline_of
from crlm_qc.rulebook.rule import Rule
from crlm_qc.testing.names import GRAINS, named_source

_OPTIONS = (
    "select",
    "ignore",
    "waivers",
    "subset",
    "all-objects",
    "depth",
    "jobs",
    "profile",
    "fail-on",
    "baseline",
    "evidence",
)
"""Options that are keys of the configuration too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to audit, and how."""

    source: Path
    """The release, or saved evidence."""
    saved: bool
    """Whether it is saved evidence."""
    request: Request
    grain: str
    rules: tuple[Rule, ...]
    patients: tuple[str, ...]
    earlier: Earlier | None = None
    """The audit that was named to compare with."""

    @classmethod
    def of(cls, config: pytest.Config) -> Asked:
        """What the options, below them the environment, and below that the configuration file, ask for.

        Raises
        ------
        pytest.UsageError
            It can't be done; the message says why.
        """
        source = named_source(config, config.option)
        assert source is not None, "the plugin is there only if there is something to audit"
        try:
            request = _request(config, source)
            # Both refuse what can't be before anything is read.
            request.accepted()
            earlier = baseline_of(request, request.out or reports_of(source))
            rules = tuple(request.rules())
            saved, patients = _patients(source, request)
        except UsageError as error:
            raise pytest.UsageError(f"crlm-qc: {words.clean(str(error))}") from None
        return cls(source, saved, request, config.getoption("crlm_grain") or GRAINS[1], rules, patients, earlier)

    def compared(self, report: Report) -> Report:
        """The report beside the baseline, if there is one."""
        runs = Runs(self.request.out or reports_of(self.source))
        baseline = runs.baseline(report, self.request, self.earlier)
        return report if baseline is None else baseline.beside(report)


def _request(config: pytest.Config, source: Path) -> Request:
    given = {name: config.getoption(f"crlm_{name.replace('-', '_')}") for name in _OPTIONS}
    # Alone it names what is audited, and nothing is written.
    alone = bool(given["evidence"]) and not config.getoption("crlm_release")
    options = {name: value for name, value in given.items() if value is not None}
    request = Request.of(options, release=source)
    if alone:
        return replace(request, evidence=None)
    if request.evidence is not None:
        keep_out(source, [request.evidence], "a folder elsewhere: --crlm-evidence=DIR")
    return request


def _patients(source: Path, request: Request) -> tuple[bool, tuple[str, ...]]:
    """Whether the source is saved evidence, and the patients in it, without reading any of their files."""
    from crlm_qc.evidence.release import find_release
    from crlm_qc.evidence.store import is_evidence, load

    asked = request.settings.patients
    if saved := is_evidence(source):
        found = {str(patient) for patient in load(source, asked)["patients"]["patient"]}
    else:
        parts = request.parts
        release = find_release(
            source,
            request.profile,
            metadata=parts.metadata,
            clinical=parts.clinical,
            manifest=parts.manifest,
            access=request.access,
        )
        found = {one.patient for one in release.patients}
        if lost := [patient for patient in asked if patient not in found]:
            raise UsageError(f"no patient {lost[0]} in {source.name}")
    return saved, tuple(sorted(one for one in found if not asked or one in asked))
