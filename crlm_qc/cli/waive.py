"""`crlm-qc waive`: accepts findings of a saved audit, with the reason."""

from __future__ import annotations

import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cli.actions import shown
from crlm_qc.cli.options import AllowDidWaiversOption, ProfileOption
from crlm_qc.cli.saved import load_report
from crlm_qc.cli.show import named
from crlm_qc.cli.terminal import say
from crlm_qc.collection.deciding import Acceptance, with_waivers
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import parse_waivers
from crlm_qc.model.errors import UsageError
from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report
from crlm_qc.model.waivers import EXPIRED, UNUSED
from crlm_qc.model.words import close_to, closest, plural
from crlm_qc.report import words
from crlm_qc.report.writing import can_be_written, put
from crlm_qc.request.choice import all_waivers, identifies
from crlm_qc.request.request import REPORTS
from crlm_qc.rules import registry

WAIVERS = Path("waivers.toml")


def waive(
    fingerprints: Annotated[
        list[str],
        typer.Argument(metavar="FINGERPRINT...", help="Findings to accept, as reports name them; 4 digits or more."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why they are accepted: every report says it.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="YYYY-MM-DD", help="Last day that it holds. Default: for ever.")
    ] = None,
    owner: Annotated[str, typer.Option("--owner", help="The role that decided.")] = "",
    waivers: Annotated[
        Path, typer.Option("--waivers", help="File of waivers to append to; made where there is none.")
    ] = WAIVERS,
    findings: Annotated[
        Path | None,
        typer.Option(
            "--findings", metavar="FINDINGS.json", help="Saved results. Default: the one under reports, if it is one."
        ),
    ] = None,
    case: Annotated[
        bool, typer.Option("--case", help="Accept the whole case of each: also what follows from the same cause.")
    ] = False,
    allow_did_waivers: AllowDidWaiversOption = False,
    profile: ProfileOption = None,
) -> None:
    """Accept findings of a saved audit: a waiver of each is appended to a TOML file.

    What stood in the file stays as it is, comments and all. Then: crlm-qc report FINDINGS.json --waivers FILE judges the
    results again.
    """
    saved = findings or _only_results()
    report = load_report(saved)
    today = dt.datetime.now(tz=dt.UTC).date()
    accepted = Acceptance(_reason(reason), today, _until(until, today), owner.strip())
    chosen = _chosen(report, fingerprints)
    chosen = _with_cases(report, chosen) if case else chosen
    _refuse(chosen, allow_did_waivers=allow_did_waivers)
    can_be_written([waivers])
    text = _text(waivers)
    fresh = [
        one for one in chosen if one.fingerprint not in {held.fingerprint for held in parse_waivers(text, waivers.name)}
    ]
    for one in chosen:
        if one not in fresh:
            say(f"crlm-qc: {shown(waivers)} has f-{one.fingerprint} already: left as it is", to=sys.stderr)
    written = with_waivers(text, waivers.name, fresh, accepted)
    held = parse_waivers(written, waivers.name)
    all_waivers(held, report.settings, load_profile(profile), allow_did_waivers=allow_did_waivers)
    if fresh:
        put(waivers, written)
    for one in fresh:
        say(f"waived: {one.rule} f-{one.fingerprint} {words.clean(one.message)}")
    say(f"{shown(waivers)}: {plural(len(held), 'waiver')}")
    say(f"judge again: crlm-qc report {shlex.quote(shown(saved))} --waivers {shlex.quote(shown(waivers))}")


def _only_results() -> Path:
    """The saved results, where there is no doubt which."""
    found = sorted(REPORTS.glob("*/findings.json"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no findings.json under {REPORTS}: name the saved results with --findings FINDINGS.json")
    raise UsageError(
        f"several saved results: name one with --findings, such as {shown(max(found, key=lambda one: one.stat().st_mtime))}"
    )


def _reason(given: str) -> str:
    reason = " ".join(given.split())
    if not reason:
        raise UsageError("--reason is empty: say why the findings are accepted")
    return reason


def _until(given: str | None, today: dt.date) -> dt.date | None:
    if given is None:
        return None
    try:
        day = dt.date.fromisoformat(given)
    except ValueError:
        raise UsageError(f"--until {given}: give a day, such as {today.replace(year=today.year + 1, day=1)}") from None
    if day < today:
        raise UsageError(f"--until {given} has passed: today is {today}")
    return day


def _chosen(report: Report, asked: Sequence[str]) -> list[Finding]:
    """The findings that were named, each once."""
    chosen: dict[str, Finding] = {}
    for name in asked:
        found = named(report.findings, name, name)
        if not found:
            if name.upper() in {one.rule for one in report.findings}:
                raise UsageError(
                    f"{name} is a rule, and findings are accepted one by one. See: crlm-qc show FINDINGS.json --rule {name.upper()}"
                )
            known = [one.fingerprint for one in report.findings]
            near = [f"f-{one}" for one in closest(name.lower().removeprefix("f-"), known)]
            raise UsageError(
                f"{name}: no such finding in these results{close_to(near)}. See: crlm-qc show FINDINGS.json"
            )
        if len(found) > 1:
            raise UsageError(
                f"{name}: {plural(len(found), 'finding')} begin so: {words.listing((f'f-{one.fingerprint}' for one in found), 5)}"
            )
        chosen[found[0].fingerprint] = found[0]
    for one in chosen.values():
        if one.waived is not None:
            raise UsageError(f"f-{one.fingerprint} is waived already: {words.clean(one.waived)}")
    return list(chosen.values())


def _with_cases(report: Report, chosen: Sequence[Finding]) -> list[Finding]:
    """The findings, and those that count of the same cases."""
    named = {one.fingerprint for one in chosen}
    every = named.union(*(case.findings for case in report.cases if named & set(case.findings)))
    return [one for one in report.findings if one.fingerprint in every and one.waived is None]


def _refuse(chosen: Sequence[Finding], *, allow_did_waivers: bool) -> None:
    rules = registry()
    for one in chosen:
        if one.rule in (EXPIRED, UNUSED) or one.rule not in rules:
            raise UsageError(f"f-{one.fingerprint} is {one.rule}, which no waiver accepts: correct the file of waivers")
        if not allow_did_waivers and identifies(rules[one.rule]):
            raise UsageError(
                f"f-{one.fingerprint} is {one.rule}, which is about what identifies a person: mend it, or look at it again "
                "and give --allow-did-waivers"
            )


def _text(path: Path) -> str:
    """What a file of waivers holds; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} can't be read as text: name a file of waivers (TOML)") from None
