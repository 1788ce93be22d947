"""What reports and listings say of a rule."""

from __future__ import annotations

from crlm_qc.collection.profile import Profile
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.report import RuleText, ToleranceText
from crlm_qc.model.tolerances import meanings
from crlm_qc.rulebook.rule import Rule


def rule_text(item: Rule, profile: Profile, spoils: Spoils | None = None) -> RuleText:
    """What reports and listings say of a rule.

    Parameters
    ----------
    item : Rule
        The rule.
    profile : Profile
        The profile whose tolerances it is run with.
    spoils : Spoils, optional
        What its findings spoil, where that is not what it declares.

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
        item.spoils if spoils is None else spoils,
    )
