"""How many patients are usable for what, in a sentence and in a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crlm_qc.model.cohort import Cohort
from crlm_qc.model.fitness import Fit
from crlm_qc.model.words import plural
from crlm_qc.report import words

MAX_RULES = 3
"""Rules that a sentence names."""
GLYPHS: Mapping[Fit, str] = {
    Fit.USABLE: words.GLYPHS["passed"],
    Fit.CARE: words.GLYPHS["warning"],
    Fit.UNKNOWN: words.GLYPHS["skipped"],
    Fit.OUT: words.GLYPHS["error"],
}


def sentence(cohort: Cohort) -> str:
    """A cohort in one sentence.

    Returns
    -------
    str
        For example `170 of 197 patients usable for segmentation, 12 of them with care; 27 left out: SEG013 in 20, CTS008 in
        7`.
    """
    counts, every = cohort.counts, len(cohort.patients)
    care = counts[Fit.CARE]
    said = f"{len(cohort.used):,} of {plural(every, 'patient')} usable for {cohort.name}"
    alone = "all" if care == len(cohort.used) else f"{care:,}"
    parts = [f"{said}, {alone} of them with care" if care and not cohort.strict else said]
    if care and cohort.strict:
        parts.append(f"{care:,} usable with care alone")
    if counts[Fit.OUT]:
        parts.append(f"{counts[Fit.OUT]:,} left out: {behind(cohort)}")
    if counts[Fit.UNKNOWN]:
        parts.append(f"{counts[Fit.UNKNOWN]:,} not judged{why_unknown(cohort)}")
    return "; ".join(parts)


def behind(cohort: Cohort) -> str:
    """The rules that leave patients out, and how many: `SEG013 in 20, CTS008 in 7 and 2 more rules`."""
    rules = [f"{code} in {count:,}" for code, count in cohort.rules_behind.items()]
    if len(rules) > MAX_RULES:
        return f"{', '.join(rules[:MAX_RULES])} and {plural(len(rules) - MAX_RULES, 'more rule')}"
    return ", ".join(rules)


def why_unknown(cohort: Cohort) -> str:
    """Why patients were not judged, to follow their number, where it is the same of all."""
    why = {one.unknown for one in cohort.of(Fit.UNKNOWN)}
    return f": {why.pop()}" if len(why) == 1 else ""


def summary(cohorts: Iterable[Cohort]) -> str:
    """How many patients are usable for each of some purposes: `segmentation 3 of 12, sharing 11`."""
    told = []
    for cohort in cohorts:
        if cohort.patients and len(cohort.of(Fit.UNKNOWN)) == len(cohort.patients):
            told.append(f"{cohort.name} not judged")
        else:
            told.append(f"{cohort.name} {len(cohort.used):,}{'' if told else f' of {len(cohort.patients):,}'}")
    return ", ".join(told)
