"""Which rules and which waivers a request chooses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.waivers import Waiver, load_waivers
from crlm_qc.model.errors import UsageError
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.words import close_to, closest
from crlm_qc.rulebook.registry import Registry
from crlm_qc.rulebook.rule import Rule
from crlm_qc.rules import registry as all_rules


def all_waivers(
    given: Sequence[Waiver], settings: Settings, profile: Profile, *, allow_did_waivers: bool = False
) -> tuple[Waiver, ...]:
    """The waivers that hold: those given, and behind them the known issues of the published release.

    Raises
    ------
    UsageError
        One accepts a rule that is not known, or what identifies a person, or names what is no patient's ID.
    """
    registry = all_rules()
    # What validators say of the published release is of no interest to who does not ask them.
    known = (one for one in known_issues(profile) if settings.standard or not one.rule.startswith("STD"))
    waivers = (*given, *known) if settings.known_issues else tuple(given)
    for waiver in given:
        _refuse_strange(waiver, profile)
    for waiver in waivers:
        if waiver.rule not in registry:
            raise unknown_rule(registry, waiver.rule, "the waivers")
        if not allow_did_waivers and identifies(registry[waiver.rule]):
            raise UsageError(
                f"the waivers accept {waiver.rule}, which is about what identifies a person: mend it, or look again at "
                "each of its findings and give --allow-did-waivers"
            )
    return waivers


def _refuse_strange(waiver: Waiver, profile: Profile) -> None:
    """Refuse a waiver of somebody whom the collection can't have, which would accept nothing without a word."""
    # What names its finding was copied from a report, whatever that calls a folder that is no patient's.
    if waiver.fingerprint is not None or waiver.every:
        return
    for patient in waiver.patients:
        if not profile.is_patient_id(patient):
            meant = profile.meant_patient_id(patient)
            hint = f": did you mean {meant}?" if meant else f": IDs are of the form {profile.patient_id_form}"
            raise UsageError(f"the waiver of {waiver.rule} names {patient}, which is no patient's ID here{hint}")


def known_issues(profile: Profile) -> tuple[Waiver, ...]:
    """Documented faults of the published release, which the profile ships.

    Raises
    ------
    crlm_qc.model.errors.WaiverError
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
            raise unknown_rule(registry, code, "--severity")
    return [item for item in registry if (not settings.select or item.code in selected) and item.code not in ignored]


def identifies(item: Rule) -> bool:
    """Whether a rule is about what identifies a person, so that a waiver alone can't accept it."""
    return item.family == "DID" and item.severity is Severity.ERROR


def _matching(registry: Registry, text: str, option: str) -> Sequence[Rule]:
    if text and (matching := registry.matching(text)):
        return matching
    raise unknown_rule(registry, text, option)


def unknown_rule(registry: Registry, text: str, place: str) -> UsageError:
    """What to say of a rule that no registry has, and what is close to it."""
    known = [item.code for item in registry]
    short = re.fullmatch(r"([A-Z]{3})([0-9]{1,2})", text.upper())
    # CTS8 is meant as CTS008, which other codes may be closer to letter by letter.
    padded = [code] if short and (code := f"{short[1]}{short[2]:0>3}") in registry else []
    close = list(dict.fromkeys([*padded, *closest(text.upper(), known)]))[:3]
    return UsageError(f"unknown rule {text} in {place}{close_to(close)}. See: crlm-qc rules")
