"""Rules about the published figures: one for each code in the suites of `expectations/`.

Bounds stand in the suites, where a curator edits them; here findings are made of what Great Expectations observed. They
name the patients that are the reason, where these can be told: those outside of a bound, those that a count is short of
or over by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.engines.gx_engine import Expectation, Result, Suite, SuiteError, read_suite, run_suite
from crlm_qc.model.finding import MAX_EXAMPLES, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.settings import Depth
from crlm_qc.model.severity import Severity
from crlm_qc.model.words import capitalised
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Rule, RuleKind, Skip, rule
from crlm_qc.subjects.figures import tables_of, view
from crlm_qc.subjects.ledger import State, told
from crlm_qc.subjects.words import number

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("slug", "title", "why", "fix", "source")
"""What one expectation of each code says of the rule, in its `meta`."""


def suites_of(profile: Profile) -> list[Suite]:
    """The suites that a profile lists, from its folder.

    Raises
    ------
    SuiteError
        A suite can't be read, or is about a table that is not there.
    """
    folder = profile.folder or Path()
    suites = [read_suite(folder / name) for name in profile.suites]
    for suite in suites:
        try:
            tables_of(suite.table)
        except KeyError:
            raise SuiteError(f"suite {suite.name} is about an unknown table: {suite.table}") from None
    return suites


def make_rules(suites: Sequence[Suite]) -> list[Rule]:
    """One rule a code; its texts stand in the `meta` of one of the code's expectations.

    Raises
    ------
    SuiteError
        A code has no texts, or is said of several tables.
    """
    made: dict[str, Rule] = {}
    for suite in suites:
        for code in sorted(suite.codes):
            if code in made:
                raise SuiteError(f"{code} stands in two suites")
            made[code] = _rule(code, suite)
    return list(made.values())


def _rule(code: str, suite: Suite) -> Rule:
    mine = [one for one in suite.expectations if one.code == code]
    meta: dict[str, Any] = {}
    for one in mine:
        meta = {**one.meta, **meta}
    if lacking := [name for name in (*TEXTS, "spoils") if name not in meta]:
        raise SuiteError(f"suite {suite.name}: {code} has no {', '.join(lacking)}")

    return rule(
        code,
        meta["slug"],
        min((one.severity for one in mine), key=lambda level: level.rank),
        title=meta["title"],
        why=meta["why"],
        fix=meta["fix"],
        source=meta["source"],
        tables=tuple(dict.fromkeys((*tables_of(suite.table), "files", "patients"))),
        spoils=_spoils(code, suite, meta["spoils"]),
        depth=Depth(meta.get("depth", Depth.HEADERS)),
        whole_release=True,
        kind=RuleKind.EXPECTATION,
        stands_at=(suite.path, suite.lines[code]),
    )(lambda context: _check(context, code))


def _spoils(code: str, suite: Suite, said: Any) -> Spoils:
    """What findings of a code spoil, as its suite says: purposes under `out` and `care`."""
    try:
        if set(said) <= {"out", "care"}:
            return Spoils(tuple(said.get("out", ())), tuple(said.get("care", ())))
    except (AttributeError, TypeError, ValueError):
        pass
    raise SuiteError(f"suite {suite.name}: spoils of {code} must be lists of purposes, out and care")


def _check(context: Context, code: str) -> Checked:
    suite = next((one for one in _suites(context) if code in one.codes), None)
    if suite is None:
        raise Skip("the profile's suites do not have it")
    if told(context, State.ABSENT):
        raise Skip("published series are not on disk, as LED001 and LED007 tell, so that no figure can be as published")
    table = view(context, suite.table)
    failed: dict[str, list[Result]] = {}
    for result in _results(context, suite.name):
        if result.expectation.code == code and not result.success:
            failed.setdefault(_about(result.expectation), []).append(result)
    own = _severity_of(code)
    return Checked(len(table), [_found(context, table, about, found, own) for about, found in failed.items()])


@once
def _results(context: Context, name: str) -> list[Result]:
    """What the expectations of a suite came to."""
    suite = next(one for one in _suites(context) if one.name == name)
    return run_suite(suite, view(context, suite.table))


@once
def _suites(context: Context) -> list[Suite]:
    suites = suites_of(context.profile)
    known = {item.code for item in RULES}
    for suite in suites:
        if unknown := suite.codes - known:
            raise SuiteError(f"suite {suite.name} names a code that no rule has: {', '.join(sorted(unknown))}")
    return suites


def _severity_of(code: str) -> Severity:
    """The severity of the rule of a code."""
    return next(item.severity for item in RULES if item.code == code)


def _about(expectation: Expectation) -> str:
    """What is told in one finding: the column, or what `meta` calls it."""
    return str(expectation.meta.get("about") or expectation.column or "")


def _found(context: Context, table: pd.DataFrame, about: str, results: list[Result], own: Severity) -> Found:
    patients: dict[str, None] = {}
    for result in results:
        patients |= dict.fromkeys(_patients(context, table, result))
    named = [(str(one.expectation.meta.get("measure") or one.expectation.type), one) for one in results]
    observed = [f"{measure}: {_observed(table, one)}" for measure, one in named]
    expected = [f"{measure}: {_expected(one.expectation)}" for measure, one in named]
    message = "; ".join(f"{measure}: {_observed(table, one)}, published {_published(one)}" for measure, one in named)
    severity = min((one.expectation.severity for one in results), key=lambda level: level.rank)
    return Found(
        Subject(Kind.RELEASE, column=about or None),
        f"{capitalised(message)}.",
        "; ".join(expected),
        "; ".join(observed),
        count=max(len(patients), 1),
        examples=tuple(patients),
        severity=None if severity is own else severity,
    )


def _unit(expectation: Expectation, text: str) -> str:
    unit = expectation.meta.get("unit")
    return f"{text} {unit}" if unit else text


def _observed(table: pd.DataFrame, result: Result) -> str:
    if result.rows:
        return f"{len(result.rows)} of {result.examined or len(table)}"
    if isinstance(result.observed, bool | int | float):
        return _unit(result.expectation, number(float(result.observed)))
    # Anything else comes from a file.
    return "none" if result.observed is None else "not as expected"


def _published(result: Result) -> str:
    published = result.expectation.meta.get("published")
    if isinstance(published, int | float):
        return _unit(result.expectation, number(float(published)))
    return _expected(result.expectation)


def _expected(expectation: Expectation) -> str:
    kwargs = expectation.kwargs
    if "value" in kwargs:
        return number(float(kwargs["value"]))
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None and high is None:
        return (
            "none" if expectation.meta.get("published") == 0 else str(expectation.meta.get("published", "as published"))
        )
    if low == high and low is not None:
        return _unit(expectation, number(float(low)))
    if low is None or high is None:
        bound = f"at least {number(float(low))}" if low is not None else f"at most {number(float(high or 0))}"
        return _unit(expectation, bound)
    return _unit(expectation, f"{number(float(low))} to {number(float(high))}")


def _patients(context: Context, table: pd.DataFrame, result: Result) -> list[str]:
    """The patients that are the reason, if they can be told."""
    expectation = result.expectation
    if "patient" not in table:
        return []
    if result.rows:
        chosen = table.loc[list(result.rows)]
    elif expectation.type in (_MIN, _MAX):
        chosen = _extremes(table, expectation)
    elif expectation.type == _ROWS and "row_condition" not in expectation.kwargs:
        counts = table["patient"].value_counts()
        usual = sum(context.profile.published.series_per_patient.values())
        chosen = table[table["patient"].isin(counts.index[counts != usual])]
    elif expectation.type == _ROWS:
        chosen = table.query(expectation.kwargs["row_condition"])
        # Who is missing from a group can't be told, and of a large one nobody knows who is the one too many.
        surplus = expectation.kwargs["value"] < len(chosen) <= MAX_EXAMPLES
        chosen = chosen if surplus else chosen.iloc[:0]
    else:
        return []
    return sorted(set(chosen["patient"].dropna()))


_MIN, _MAX = "expect_column_min_to_be_between", "expect_column_max_to_be_between"
_ROWS = "expect_table_row_count_to_equal"


def _extremes(table: pd.DataFrame, expectation: Expectation) -> pd.DataFrame:
    """Rows beyond the bound; where none is, the one that is now the extreme in place of the one that is gone."""
    values = table[str(expectation.column)]
    low, high = expectation.kwargs.get("min_value"), expectation.kwargs.get("max_value")
    smallest = expectation.type == _MIN
    bound = low if smallest else high
    beyond = table.iloc[:0] if bound is None else table[values < bound if smallest else values > bound]
    return beyond if len(beyond) else table[values == (values.min() if smallest else values.max())]


RULES = make_rules(suites_of(load_profile()))
