"""Rules that tests judge only where what they read has changed come to what they come to alone."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import Any

import pandas as pd
import pytest
from support import apart
from support.apart import judge_apart
from support.frames import Case, clean
from support.visible import VISIBLE

from crlm_qc.auditing.judging import judge
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.show import Show
from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Checked, Rule
from crlm_qc.rules import registry

SOME = sorted(VISIBLE)[::8]


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def rules(ran: list[str]) -> list[Rule]:
    """Two rules that share something made of `slices`, one of which reads `dsos` too; and one that crashes."""

    @once
    def sizes(context: Context) -> list[int]:
        ran.append("sizes")
        return context["slices"]["rows"].tolist()

    def one(context: Context) -> Checked:
        ran.append("one")
        return Checked(1, [Found(RELEASE, f"{sum(sizes(context))}", expected="", observed="")])

    def two(context: Context) -> Checked:
        ran.append("two")
        told = f"{sum(sizes(context))} {context['dsos']['rows'].sum()} {context.show.path(_folder(context))}"
        return Checked(1, [Found(RELEASE, told, expected="", observed="")])

    def crash(context: Context) -> Checked:
        ran.append("crash")
        raise ValueError(len(context["dsos"]))

    of = registry()["CTS001"]
    checks = {"CTS001": one, "CTS002": two, "CTS003": crash}
    return [*(replace(of, code=code, check=check) for code, check in checks.items()), registry()["REL900"]]


def _folder(context: Context) -> str:
    found: str = context["dsos"]["path"][0].rpartition("/")[0]
    return found


def apart_of(case: Case, profile: Profile, rules: list[Rule] | None = None, settings: Settings | None = None) -> Report:
    return judge_apart(case.evidence(), profile, settings, rules)


def test_a_rule_runs_again_where_a_table_that_it_read_has_changed(
    profile: Profile, rules: list[Rule], ran: list[str]
) -> None:
    case = clean()

    def judged(settings: Settings | None = None) -> tuple[set[str], list[str]]:
        ran.clear()
        report = apart_of(case, profile, rules, settings)
        done = set(ran)
        assert report == judge(case.evidence(), profile, settings, rules)
        assert len([one for one in report.findings if one.rule == "REL900"]) == 1
        return done, [one.message for one in report.findings]

    first, said = judged()
    assert first == {"sizes", "one", "two", "crash"}
    assert judged() == ({"crash"}, said)
    # What it has in common with another rule is not read again, but what that was made of still counts.
    case.slice(1)["rows"] = 511
    then, otherwise = judged()
    assert then == first
    assert otherwise != said
    case.dso()["rows"] = 511
    assert judged()[0] == {"two", "crash"}
    case["clinical"][0]["text"] = "CRLM-CT-1009"
    assert judged()[0] == {"crash"}
    # How a path is shown goes by what other files lie there.
    case["files"][-1]["size"] += 1
    assert judged()[0] == {"crash"}
    case["files"][-1]["series_uid"] = case["files"][0]["series_uid"]
    assert judged()[0] == {"two", "crash"}
    assert judged(Settings(tolerances={"position_mm": 0.2}))[0] == first
    case.slice(1)["rows"] = case.dso()["rows"] = 512
    assert judged()[0] == {"crash", "two"}


def test_code_that_a_test_changes_is_judged_anew(
    profile: Profile, rules: list[Rule], ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart_of(clean(), profile, rules)
    ran.clear()
    apart_of(clean(), profile, rules)
    assert set(ran) == {"sizes", "one", "two", "crash"}


@pytest.mark.parametrize("code", SOME)
def test_all_rules_say_what_they_say_alone(profile: Profile, code: str) -> None:
    apart_of(clean(), profile)
    case = clean()
    VISIBLE[code](case)
    report = apart_of(case, profile)
    assert any(one.rule == code for one in report.findings)
    assert report == judge(case.evidence(), profile)


def test_what_is_shared_asks_no_context_that_it_was_made_for(profile: Profile) -> None:
    case = clean()
    for code in SOME:
        VISIBLE[code](case)
    apart_of(case, profile)
    asked = {key[0].__module__ for _, key in apart._made}
    assert {"crlm_qc.subjects.ct", "crlm_qc.subjects.dso", "crlm_qc.subjects.workbook"} <= asked
    held = [
        (key[0].__module__, key[0].__name__)
        for (_, key), of in apart._made.items()
        for made in of.values()
        for value in made.values()
        if any(isinstance(one, Context | Show) for one in reached(value))
    ]
    assert held == []


def reached(value: Any) -> Iterator[Any]:
    """What an object holds, also in closures; what tables and modules are made of is none of it."""
    known: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if id(one) in known or isinstance(one, pd.DataFrame | pd.Series | ModuleType | type | str | int | float):
            continue
        known.add(id(one))
        yield one
        left += one.__closure__ or () if isinstance(one, FunctionType) else gc.get_referents(one)
