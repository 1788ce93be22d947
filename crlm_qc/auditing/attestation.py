"""Sign-off records: what an audit came to, of exactly which bytes, as an in-toto Statement v1.

The subject is the lock file of the release by its SHA-256, so the record stands and falls with the bytes of every file.
The predicate says what was checked, with which rules and settings, what was found and what was accepted. A record is
not signed: whoever signs it, signs the file as it is.

Source: in-toto Attestation Framework, Statement v1 and its parsing rules (fields that are not known are left alone).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.errors import ProfileError
from crlm_qc.model.outcome import Status
from crlm_qc.model.plain import PlainError, from_plain, to_plain
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.waivers import EXPIRED, UNUSED
from crlm_qc.model.words import plural

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:crlm-qc:attestation:1"
ENVELOPE = "payloadType"
"""Key that a DSSE envelope has and a statement has not."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class AttestationError(ValueError):
    """A file is no sign-off record; the message says why, and shows no value of it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What audited."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Findings that are not waived, by severity, and the waived ones."""

    error: int
    warning: int
    info: int
    waived: int


@dataclass(frozen=True, slots=True)
class Attested:
    """What was audited."""

    collection: str
    doi: str
    layout: str
    patients: int
    series: int
    files: int
    """Files that the lock file lists."""
    bytes: int
    """Their bytes."""
    ct_slices: int
    workbook_edition: str | None


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the release was held against."""

    sha256: str
    """Digest over codes, severities, tolerances, profile and suites of expectations."""
    rules: int
    """How many rules were asked for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How many rules ended how."""

    passed: int
    failed: int
    skipped: int
    errored: int


@dataclass(frozen=True, slots=True)
class NotRun:
    """Rules that were not run for one reason."""

    reason: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppliedWaiver:
    """A waiver that accepted at least one finding."""

    rule: str
    reason: str
    findings: int
    patients: tuple[str, ...]
    """Patients whose findings it accepted; empty for findings that are about none."""
    known: bool
    """A documented fault of the published release, shipped with the profile."""
    source: str
    until: str | None
    """Last day that it holds."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is attested of the subject."""

    tool: Tool
    verdict: Verdict
    counts: Counts
    release: Attested
    rule_set: RuleSet
    settings: Settings
    outcomes: Ended
    not_run: tuple[NotRun, ...] = ()
    waivers: tuple[AppliedWaiver, ...] = ()
    limits: tuple[str, ...] = ()
    """What was not read though it was asked for, in words."""
    time: str | None = None
    """When, in UTC; only where SOURCE_DATE_EPOCH gave it."""

    def refuse_contradiction(self) -> None:
        """See that the verdict is that of what was counted, and a conformant one of an audit that was whole.

        Raises
        ------
        AttestationError
            It is of one that was narrowed, that left something out, or whose numbers come to another verdict.
        """
        whole = not (self.settings.narrowed or self.limits or self.outcomes.errored) and self.release.patients > 0
        if self.verdict is Verdict.CONFORMANT and not whole:
            raise AttestationError("it says conformant of an audit that was narrowed or incomplete")
        errors = self.counts.error
        if self.verdict is Verdict.NOT_CONFORMANT and not errors:
            raise AttestationError("it says not conformant, and counts no error")
        # Waivers that are expired or match nothing may be made errors, and are no fault of the release.
        of_waivers = any(self.settings.severity.get(code) is Severity.ERROR for code in (EXPIRED, UNUSED))
        if self.verdict is Verdict.CONFORMANT and errors and not of_waivers:
            raise AttestationError(f"it says conformant, and counts {plural(errors, 'error')}")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sign-off record."""

    subject: str
    """Name of the lock file."""
    sha256: str
    """SHA-256 of the lock file."""
    predicate: Predicate = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        predicate = to_plain(self.predicate)
        if self.predicate.time is None:
            del predicate["time"]
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.subject, "digest": {"sha256": self.sha256}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }


def attest(
    report: Report,
    lock: bytes,
    *,
    name: str,
    files: int,
    size: int,
    profile: Profile,
    waivers: Sequence[Waiver],
    time: str | None = None,
) -> Statement:
    """Make the record of an audit.

    Parameters
    ----------
    report : Report
        What the audit came to.
    lock : bytes
        The lock file of what was read.
    name : str
        Name of the lock file.
    files, size : int
        Files that it lists, and their bytes.
    profile : Profile
        The profile of the audit.
    waivers : sequence of Waiver
        All that the audit was given, those of the profile included.
    time : str, optional
        When, as `YYYY-MM-DDThh:mm:ssZ`.

    Returns
    -------
    Statement
        Equal for equal input.

    Raises
    ------
    AttestationError
        There was nothing to check, or patients were left out: the lock file is not of the whole release.
    """
    if report.empty or report.settings.patients:
        raise AttestationError("only an audit of all patients of a release can be attested")
    facts = report.release
    ended = Counter(outcome.status for outcome in report.outcomes)
    statement = Statement(
        name,
        hashlib.sha256(lock).hexdigest(),
        Predicate(
            tool=Tool("crlm-qc", report.tool_version),
            verdict=report.verdict,
            counts=Counts(**report.counts),
            release=Attested(
                facts.collection,
                facts.doi,
                facts.layout,
                facts.patients,
                facts.series,
                files,
                size,
                facts.ct_slices,
                facts.workbook_edition,
            ),
            rule_set=rule_set({text.code: text.severity for text in report.rules}, report.settings, profile),
            settings=report.settings,
            outcomes=Ended(*(ended[status] for status in Status)),
            not_run=tuple(_not_run(report)),
            waivers=tuple(_applied(report, waivers)),
            limits=report.limits,
            time=time,
        ),
    )
    statement.predicate.refuse_contradiction()
    return statement


def _not_run(report: Report) -> Iterable[NotRun]:
    reasons: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.SKIPPED:
            reasons.setdefault(outcome.reason, []).append(outcome.rule)
    return [NotRun(reason, tuple(codes)) for reason, codes in reasons.items()]


def _applied(report: Report, waivers: Sequence[Waiver]) -> Iterable[AppliedWaiver]:
    """The waivers that accepted something, in the order in which they were given."""
    for waiver in dict.fromkeys(waivers):
        mine = [
            finding
            for finding in report.findings
            if finding.waived is not None
            and waiver == next((one for one in waivers if one.reason == finding.waived and one.matches(finding)), None)
        ]
        if mine:
            yield AppliedWaiver(
                rule=waiver.rule,
                reason=waiver.reason,
                findings=len(mine),
                patients=tuple(sorted({finding.patient for finding in mine if finding.patient})),
                known=waiver.known,
                source=waiver.source,
                until=None if waiver.until is None else waiver.until.isoformat(),
            )


def rule_set(rules: Mapping[str, Severity], settings: Settings, profile: Profile) -> RuleSet:
    """Name a set of rules by what decides over a release.

    Parameters
    ----------
    rules : mapping of str to Severity
        Codes of the rules that are run, with their own severities.
    settings : Settings
        Severities and tolerances that were changed.
    profile : Profile
        The profile: published figures, vocabulary, tolerances, and suites of expectations.

    Returns
    -------
    RuleSet
        Another digest wherever a code, a severity, a tolerance, a bound or anything of the profile is another. The
        code of the rules themselves is named by the version of the tool.

    Raises
    ------
    crlm_qc.model.errors.ProfileError
        A suite can't be read.
    """
    profile = profile.with_tolerances(settings.tolerances)
    content = {
        "rules": {code: settings.severity.get(code, own).value for code, own in rules.items()},
        "profile": _canonical(profile),
        "suites": {name: _suite(profile.folder, name) for name in profile.suites},
    }
    written = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return RuleSet(hashlib.sha256(written.encode("ascii")).hexdigest(), len(rules))


def _suite(folder: Path | None, name: str) -> Any:
    try:
        return json.loads(((folder or Path()) / name).read_bytes())
    except (OSError, ValueError):
        raise ProfileError(f"suite {name} of the profile can't be read") from None


def _canonical(value: Any) -> Any:
    """Plain values of a profile, whatever order its sets have and wherever it lies."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _canonical(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, Path):
        return None
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(_canonical(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        # A column of the workbook without a bound; JSON has no number for it.
        return str(value)
    return value


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a statement is about."""

    name: str
    digest: Mapping[str, str]


def read_statement(content: bytes) -> Statement:
    """Read a sign-off record.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    Statement
        The record.

    Raises
    ------
    AttestationError
        It is none that this version reads, or contradicts itself.
    """
    try:
        raw = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # The text of a decoder's error may hold what stands in the file.
        raise AttestationError("it is not JSON") from None
    if isinstance(raw, dict) and ENVELOPE in raw and "_type" not in raw:
        raise AttestationError(
            "it is a signed envelope (DSSE): verify the signature with the tool that signed it, and give the statement "
            "that it holds"
        )
    if not isinstance(raw, dict) or raw.get("_type") != STATEMENT_TYPE:
        raise AttestationError(f"its _type is not {STATEMENT_TYPE}")
    if raw.get("predicateType") != PREDICATE_TYPE:
        raise AttestationError(f"its predicateType is not {PREDICATE_TYPE}, which is what this crlm-qc reads")
    try:
        subjects: Sequence[_Subject] = from_plain(Sequence[_Subject], raw.get("subject"), "subject")
        predicate: Predicate = from_plain(Predicate, raw.get("predicate"), "predicate")
    except PlainError as error:
        raise AttestationError(str(error)) from None
    if len(subjects) != 1:
        raise AttestationError("subject is not one lock file")
    name, sha256 = subjects[0].name, subjects[0].digest.get("sha256", "")
    if not _SHA256.fullmatch(sha256) or not _SHA256.fullmatch(predicate.rule_set.sha256):
        raise AttestationError("a SHA-256 is not of 64 hexadecimal digits")
    numbers = [*to_plain(predicate.counts).values(), *to_plain(predicate.outcomes).values()]
    if min(numbers) < 0:
        raise AttestationError("a count is below 0")
    if predicate.time is not None and not _TIME.fullmatch(predicate.time):
        raise AttestationError("predicate.time is not of the form YYYY-MM-DDThh:mm:ssZ")
    predicate.refuse_contradiction()
    return Statement(name, sha256, predicate)


def _no_constant(_: str) -> NoReturn:
    raise ValueError
