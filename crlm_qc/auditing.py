"""From a release to a report: reads evidence, runs the rules, and is the only place that catches a rule's crash."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crlm_qc.engines import pandera_engine
from crlm_qc.facts import figures, patient_facts
from crlm_qc.model.finding import MAX_EXAMPLES, RELEASE, Alias, Finding, Found, fingerprint
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.profile import Profile, load_profile
from crlm_qc.model.report import ReleaseFacts, Report, RuleText, ToleranceText
from crlm_qc.model.rule import Checked, Context, Registry, Rule, RuleKind, Skip
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.tolerances import meanings
from crlm_qc.model.waivers import Waiver, apply_waivers, load_waivers
from crlm_qc.rules import registry as all_rules

if TYPE_CHECKING:
    from crlm_qc.model.evidence import Evidence

CRASH_RULE = "REL900"

Progress = Callable[[str, int, int], None]
"""Called with a phase, the units done and the units in all."""


class UsageError(ValueError):
    """What the user asked for can't be done; the message says what to type instead."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of the release that the user names, where they are not found by themselves."""

    metadata: Path | None = None
    clinical: Path | None = None
    manifest: Path | None = None


def audit(
    release: str | Path,
    *,
    settings: Settings | None = None,
    profile: Profile | None = None,
    parts: Parts | None = None,
    lock: Path | None = None,
    jobs: int | None = None,
    evidence_to: str | Path | None = None,
    waivers: Sequence[Waiver] = (),
    today: dt.date | None = None,
    progress: Progress | None = None,
    hashed: bool = False,
    on_evidence: Callable[[Evidence], None] | None = None,
    allow_did_waivers: bool = False,
) -> Report:
    """Audit a release, or the evidence of one.

    Parameters
    ----------
    release : str or pathlib.Path
        Folder of the release, or a folder that an earlier audit wrote evidence to.
    settings : Settings, optional
        What to check, and how deep; everything by default.
    profile : Profile, optional
        The collection's profile; by default that of Colorectal-Liver-Metastases.
    parts : Parts, optional
        Tables and lists that lie elsewhere than in the release.
    lock : pathlib.Path, optional
        Lock file to compare every byte of the release with.
    jobs : int, optional
        Processes to read with; by default one a core.
    evidence_to : str or pathlib.Path, optional
        Folder to write the evidence tables to, as Parquet; texts that may identify somebody are replaced by numbers.
    waivers : sequence of Waiver
        Findings that are accepted, beside the known issues of the published release.
    today : datetime.date, optional
        The day that the expiry of waivers is judged on; by default today (UTC).
    progress : callable, optional
        Told of the reading's progress.
    hashed : bool
        Hash every file as it is read, even without a lock file.
    on_evidence : callable, optional
        Given the evidence before it is judged.
    allow_did_waivers : bool
        Whether waivers may accept what identifies a person: errors of the family DID.

    Returns
    -------
    Report
        Outcomes and findings of every rule; equal for equal input.

    Raises
    ------
    UsageError
        The path is no folder, a code is unknown, a patient is not there, the lock file can't be used, or a waiver
        accepts what identifies a person.
    """
    settings = settings or Settings()
    profile = (profile or load_profile()).with_tolerances(settings.tolerances)
    if parts is not None and parts.clinical is not None and not profile.has_workbook:
        raise UsageError(f"--clinical: the profile of {profile.name} describes no clinical workbook")
    registry = all_rules()
    chosen = choose(registry, settings)
    waivers = all_waivers(waivers, settings, profile, allow_did_waivers=allow_did_waivers)
    # Pandera takes as long to import as a patient to read, so it is while patients are.
    meanwhile = pandera_engine.load if any(rule.family in ("MET", "CLN") for rule in chosen) else lambda: None
    evidence = _evidence(
        Path(release), settings, profile, parts or Parts(), lock, jobs, progress, hashed=hashed, meanwhile=meanwhile
    )
    if on_evidence is not None:
        on_evidence(evidence)
    if evidence_to is not None:
        from crlm_qc.evidence.store import save
        from crlm_qc.redaction import redact

        save(redact(evidence, profile), Path(evidence_to))
    return judge(evidence, profile, settings, chosen, waivers=waivers, today=today)


def _evidence(
    release: Path,
    settings: Settings,
    profile: Profile,
    parts: Parts,
    lock: Path | None,
    jobs: int | None,
    progress: Progress | None,
    *,
    hashed: bool,
    meanwhile: Callable[[], None],
) -> Evidence:
    from crlm_qc.evidence.collect import ReleaseError, collect
    from crlm_qc.evidence.store import is_evidence, load

    try:
        if is_evidence(release):
            if lock is not None:
                raise UsageError(
                    f"{release} is saved evidence, which --lock can't be compared with: give the release itself. "
                    "Evidence that was collected with a lock file keeps the comparison"
                )
            if hashed:
                raise UsageError(f"{release} is saved evidence, whose files can't be hashed: give the release itself")
            return load(release)
        return collect(
            release,
            profile,
            depth=settings.depth,
            patients=settings.patients,
            metadata=parts.metadata,
            clinical=parts.clinical,
            manifest=parts.manifest,
            lock=lock,
            hashed=hashed,
            jobs=jobs,
            progress=progress,
            meanwhile=meanwhile,
        )
    except ReleaseError as error:
        raise UsageError(str(error)) from None


def judge(
    evidence: Evidence,
    profile: Profile,
    settings: Settings | None = None,
    rules: Iterable[Rule] | None = None,
    *,
    waivers: Sequence[Waiver] = (),
    today: dt.date | None = None,
) -> Report:
    """Run rules over evidence.

    Parameters
    ----------
    evidence : Evidence
        Tables of one release.
    profile : Profile
        The collection's profile.
    settings : Settings, optional
        What to check; everything by default.
    rules : iterable of Rule, optional
        Rules to run; by default all that `settings` selects.
    waivers : sequence of Waiver
        Findings that are accepted; the first that matches gives the reason.
    today : datetime.date, optional
        The day that the expiry of waivers is judged on; by default today (UTC).

    Returns
    -------
    Report
        Outcomes and findings.
    """
    settings = settings or Settings()
    if evidence.facts.patients_read and not settings.patients:
        settings = replace(settings, patients=evidence.facts.patients_read)
    if not evidence.facts.depth.covers(settings.depth):
        settings = replace(settings, depth=evidence.facts.depth)
    profile = profile.with_tolerances(settings.tolerances)
    chosen = sorted(choose(all_rules(), settings) if rules is None else rules, key=lambda item: item.code)
    context = Context(evidence, profile, settings)
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    crashes: list[Found] = []
    for item in chosen:
        if item.kind is not RuleKind.AUDIT:
            outcome, found = _run(item, context, crashes)
            outcomes.append(outcome)
            findings += _stamp(item, found, settings.severity.get(item.code))
    facts = _release_facts(context)
    waived = apply_waivers(
        findings,
        waivers,
        today=today or dt.datetime.now(tz=dt.UTC).date(),
        edition=facts.workbook_edition,
        checked={one.rule: one.status in (Status.PASSED, Status.FAILED) for one in outcomes},
        patients=evidence["patients"]["patient"],
    )
    findings = list(waived.findings)
    about: dict[str, tuple[int, Sequence[Found]]] = {CRASH_RULE: (len(outcomes), crashes)}
    about |= {code: (len(waivers), found) for code, found in waived.problems.items()}
    for item in chosen:
        if item.kind is RuleKind.AUDIT:
            examined, found = about[item.code]
            outcomes.append(_ended(item, Checked(examined, found)))
            findings += _stamp(item, found, settings.severity.get(item.code))
    return Report(
        tool_version=_version(),
        release=facts,
        settings=settings,
        rules=[rule_text(item, profile) for item in chosen],
        outcomes=sorted(outcomes, key=lambda outcome: outcome.rule),
        findings=sorted(map(_as_shown, findings), key=lambda finding: finding.sort_key),
        patients=patient_facts(context),
        limits=_limits(context),
        figures=figures(context),
        waivers=tuple(waived.uses),
    )


def all_waivers(
    given: Sequence[Waiver], settings: Settings, profile: Profile, *, allow_did_waivers: bool = False
) -> tuple[Waiver, ...]:
    """The waivers that hold: those given, and behind them the known issues of the published release.

    Raises
    ------
    UsageError
        One accepts a rule that is not known, or what identifies a person.
    """
    registry = all_rules()
    waivers = (*given, *known_issues(profile)) if settings.known_issues else tuple(given)
    for waiver in waivers:
        if waiver.rule not in registry:
            raise _unknown(registry, waiver.rule, "the waivers")
        if not allow_did_waivers and _identifies(registry[waiver.rule]):
            raise UsageError(
                f"the waivers accept {waiver.rule}, which is about what identifies a person: mend it, or look again at "
                "each of its findings and give --allow-did-waivers"
            )
    return waivers


def known_issues(profile: Profile) -> tuple[Waiver, ...]:
    """Documented faults of the published release, which the profile ships.

    Raises
    ------
    crlm_qc.model.waivers.WaiverError
        The profile's file can't be used.
    """
    if profile.known_issues is None or profile.folder is None:
        return ()
    return load_waivers(profile.folder / profile.known_issues, known=True)


def choose(registry: Registry, settings: Settings) -> list[Rule]:
    """The rules that the settings select.

    Raises
    ------
    UsageError
        A code, beginning of a code, or slug that no rule has.
    """
    selected = {item.code for text in settings.select for item in _matching(registry, text, "--select")}
    ignored = {item.code for text in settings.ignore for item in _matching(registry, text, "--ignore")}
    for code in settings.severity:
        if code not in registry:
            raise _unknown(registry, code, "--severity")
    return [item for item in registry if (not settings.select or item.code in selected) and item.code not in ignored]


def _identifies(item: Rule) -> bool:
    """Whether a rule is about what identifies a person, so that a waiver alone can't accept it."""
    return item.family == "DID" and item.severity is Severity.ERROR


def _matching(registry: Registry, text: str, option: str) -> Sequence[Rule]:
    if text and (matching := registry.matching(text)):
        return matching
    raise _unknown(registry, text, option)


def _unknown(registry: Registry, text: str, option: str) -> UsageError:
    known = [item.code for item in registry]
    short = re.fullmatch(r"([A-Z]{3})([0-9]{1,2})", text.upper())
    # CTS8 is meant as CTS008, which other codes may be closer to letter by letter.
    padded = [code] if short and (code := f"{short[1]}{short[2]:0>3}") in registry else []
    close = list(dict.fromkeys([*padded, *difflib.get_close_matches(text.upper(), known, n=3, cutoff=0.5)]))[:3]
    hint = f": close to {', '.join(close)}" if close else ""
    return UsageError(f"unknown rule {text} in {option}{hint}. See: crlm-qc rules")


def _run(item: Rule, context: Context, crashes: list[Found]) -> tuple[Outcome, Sequence[Found]]:
    settings = context.settings
    if item.whole_release and settings.partial:
        return Outcome(item.code, Status.SKIPPED, reason="only part of the release is audited"), ()
    if not context.evidence.facts.depth.covers(item.depth):
        return Outcome(item.code, Status.SKIPPED, reason=f"needs --depth {item.depth.value}"), ()
    try:
        checked = item.check(context)
    except Skip as skip:
        return Outcome(item.code, Status.SKIPPED, reason=skip.reason, incomplete=skip.incomplete), ()
    except Exception as error:  # noqa: BLE001 - one rule must not end the audit
        # The text of an exception may hold values from files, so only its type and place are told.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        crashes.append(
            Found(
                subject=replace(RELEASE, column=item.code),
                message=f"Rule {item.code} ({item.slug}) crashed and was not checked.",
                expected="the rule runs to its end",
                observed=where,
            )
        )
        return Outcome(item.code, Status.ERRORED, reason=where, incomplete=True), ()
    return _ended(item, checked), checked.findings


def _ended(item: Rule, checked: Checked) -> Outcome:
    if checked.findings:
        return Outcome(item.code, Status.FAILED, checked.examined)
    if checked.examined == 0:
        return Outcome(item.code, Status.SKIPPED, reason="nothing there to examine")
    return Outcome(item.code, Status.PASSED, checked.examined)


def _stamp(item: Rule, found: Sequence[Found], override: Severity | None) -> list[Finding]:
    findings = [
        Finding(
            rule=item.code,
            severity=override or one.severity or item.severity,
            subject=one.subject,
            message=one.message,
            expected=one.expected,
            observed=one.observed,
            patient=one.patient,
            count=one.count,
            examples=tuple(one.examples[:MAX_EXAMPLES]),
            fingerprint="",
        )
        for one in found
    ]
    seen: dict[tuple[str | None, tuple[str, ...]], int] = {}
    stamped = []
    for finding in sorted(findings, key=lambda one: one.sort_key):
        key = (finding.patient, finding.subject.identity(finding.patient))
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        stamped.append(replace(finding, fingerprint=fingerprint(item.code, finding.patient, finding.subject, ordinal)))
    return stamped


def _as_shown(finding: Finding) -> Finding:
    """A finding whose path is what it says and nothing more: its fingerprint is made."""
    subject = finding.subject
    if not isinstance(subject.path, Alias):
        return finding
    return replace(finding, subject=replace(subject, path=str(subject.path)))


_FOLDER_LIMIT = re.compile("(folder )(.+)( was not read: .*)", re.DOTALL)


def _limits(context: Context) -> tuple[str, ...]:
    """What was not read; of a folder its alias, where folders have no names."""
    limits = context.evidence.facts.limits
    if not context.settings.redact_paths:
        return limits
    return tuple(
        f"{match[1]}{context.show.path(match[2])}{match[3]}" if (match := _FOLDER_LIMIT.fullmatch(limit)) else limit
        for limit in limits
    )


def rule_text(item: Rule, profile: Profile) -> RuleText:
    """What reports and listings say of a rule.

    Parameters
    ----------
    item : Rule
        The rule.
    profile : Profile
        The profile whose tolerances it is run with.

    Returns
    -------
    RuleText
        Its texts, and its tolerances with value, unit and source.
    """
    return RuleText(
        item.code,
        item.slug,
        item.kind.value,
        item.severity,
        item.title,
        item.why,
        item.fix,
        item.source,
        tuple(
            ToleranceText(name, getattr(profile.tolerances, name), meanings()[name].unit, meanings()[name].why)
            for name in item.tolerances
        ),
    )


def _version() -> str:
    from crlm_qc import __version__

    return __version__


def _release_facts(context: Context) -> ReleaseFacts:
    evidence, profile = context.evidence, context.profile
    files, sources = evidence["files"], evidence["sources"]
    used = sources[sources["used"]]
    editions = used.loc[used["source"] == "clinical", "edition"].dropna()
    edition = None if editions.empty else str(editions.iloc[0])
    return ReleaseFacts(
        # Who audits named this folder, not who made the files, so its name is shown.
        root="".join(letter for letter in evidence.facts.root if letter.isprintable()),
        layout=evidence.facts.layout,
        patients=len(evidence["patients"]),
        series=len(evidence["series"]),
        files=len(files),
        bytes=int(files["size"].sum()),
        ct_slices=int((files["kind"] == "ct").sum()),
        tables=tuple(str(context.show.path(path)) for path in used["path"]),
        workbook_edition=edition,
        workbook_lacks=_lacks(edition, profile),
        collection=profile.name,
        doi=profile.doi,
        licence=profile.licence,
    )


def _lacks(edition: str | None, profile: Profile) -> tuple[str, ...]:
    """Columns that other editions of the workbook have and this one has not."""
    if edition is None:
        return ()
    own = next((item.columns for item in profile.editions if item.name == edition), ())
    others = dict.fromkeys(column for item in profile.editions for column in item.columns)
    return tuple(column for column in others if column not in own)
