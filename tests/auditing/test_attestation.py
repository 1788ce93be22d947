"""Sign-off records as values: what stands in one, what it refuses, and what names a set of rules."""

import copy
import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import reports

from crlm_qc.auditing.attestation import AttestationError, Statement, attest, read_statement, rule_set
from crlm_qc.collection.profile import Profile
from crlm_qc.collection.reading import load_profile
from crlm_qc.collection.waivers import Waiver
from crlm_qc.model.errors import ProfileError
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Report, Verdict
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.severity import Severity
from crlm_qc.report.words import json_bytes

SCHEMA = json.loads(files("crlm_qc").joinpath("attestation.schema.json").read_text(encoding="utf-8"))
LOCK = b"# files: 1\n" + b"0" * 64 + b"  metadata.csv\n"
OVERLAP = Waiver(
    rule="SEG006",
    reason="Lesion annotated twice, confirmed by the authors",
    patients=("CRLM-CT-1020", "CRLM-CT-1999"),
    until=dt.date(2027, 6, 30),
    source="note 12",
)


def made(report: Report, profile: Profile, **options: Any) -> Statement:
    given = {"name": "a.lock", "files": 522, "size": 271_400_123, "waivers": [OVERLAP], **options}
    return attest(report, LOCK, profile=profile, **given)


def plain(report: Report, profile: Profile, **options: Any) -> dict[str, Any]:
    return json.loads(json_bytes(made(report, profile, **options).as_dict()))  # type: ignore[no-any-return]


@pytest.fixture
def raw(profile: Profile) -> dict[str, Any]:
    return plain(reports.clean(), profile)


@pytest.mark.parametrize("report", [reports.sample(), reports.clean(), reports.incomplete(), reports.hostile()])
def test_a_record_follows_the_schema_and_comes_back(report: Report, profile: Profile) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for time in (None, "2026-11-24T00:00:00Z"):
        statement = made(report, profile, time=time)
        content = json_bytes(statement.as_dict())
        Draft202012Validator(SCHEMA).validate(json.loads(content))
        again = read_statement(content)
        assert json_bytes(again.as_dict()) == content
        assert again.predicate.time == time
        assert ("time" in json.loads(content)["predicate"]) == (time is not None)


def test_what_stands_in_a_record(profile: Profile) -> None:
    told = plain(reports.sample(), profile)
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "urn:crlm-qc:attestation:1"
    assert told["subject"] == [{"name": "a.lock", "digest": {"sha256": hashlib.sha256(LOCK).hexdigest()}}]
    predicate = told["predicate"]
    assert predicate["tool"] == {"name": "crlm-qc", "version": "0.1.0"}
    assert predicate["verdict"] == "not conformant"
    assert predicate["counts"] == {"error": 8, "warning": 1, "info": 1, "waived": 1}
    assert (predicate["release"]["files"], predicate["release"]["bytes"]) == (522, 271_400_123)
    assert predicate["settings"] == reports.sample().settings.as_dict()
    assert predicate["outcomes"] == {"passed": 1, "failed": 5, "skipped": 1, "errored": 0}
    assert predicate["not_run"] == [{"reason": "only part of the release is audited", "rules": ["PUB001"]}]
    assert predicate["waivers"] == [
        {
            "rule": "SEG006",
            "reason": OVERLAP.reason,
            "findings": 1,
            "patients": ["CRLM-CT-1020"],
            "known": False,
            "source": "note 12",
            "until": "2027-06-30",
        }
    ]


def test_a_record_names_neither_the_folder_nor_a_path(profile: Profile) -> None:
    content = json_bytes(made(reports.sample(), profile).as_dict()).decode()
    assert "manifest-1669817128730" not in content
    assert "Colorectal-Liver-Metastases/" not in content
    assert ".xlsx" not in content


def test_a_waiver_that_accepted_nothing_is_not_in_it(profile: Profile) -> None:
    assert plain(reports.clean(), profile)["predicate"]["waivers"] == []


def test_of_two_waivers_of_one_finding_the_first_is_told(profile: Profile) -> None:
    known = replace(OVERLAP, reason="As published", known=True)
    told = plain(reports.sample(), profile, waivers=[known, OVERLAP])["predicate"]["waivers"]
    # The finding of the sample holds the reason of OVERLAP, so that is the one that was applied.
    assert [(one["reason"], one["known"]) for one in told] == [(OVERLAP.reason, False)]


@pytest.mark.parametrize(
    "settings",
    [
        Settings(select=("CTS",)),
        Settings(ignore=("CTS008",)),
        Settings(depth=Depth.HEADERS),
        Settings(depth=Depth.MASKS),
    ],
)
def test_a_narrowed_audit_is_never_attested_as_conformant(profile: Profile, settings: Settings) -> None:
    statement = made(replace(reports.clean(), settings=settings), profile)
    assert statement.predicate.verdict is Verdict.INCOMPLETE
    forged = statement.as_dict()
    forged["predicate"]["verdict"] = "conformant"
    with pytest.raises(AttestationError, match="conformant of an audit that was narrowed"):
        read_statement(json_bytes(forged))
    assert not Draft202012Validator(SCHEMA).is_valid(forged)


def test_an_incomplete_audit_is_never_attested_as_conformant(profile: Profile) -> None:
    assert made(reports.incomplete(), profile).predicate.verdict is Verdict.INCOMPLETE
    for change in ({"limits": ["x"]}, {"outcomes": {"passed": 1, "failed": 0, "skipped": 0, "errored": 1}}):
        forged = plain(reports.clean(), profile)
        assert Draft202012Validator(SCHEMA).is_valid(forged)
        forged["predicate"] |= change
        assert not Draft202012Validator(SCHEMA).is_valid(forged)
        with pytest.raises(AttestationError, match="incomplete"):
            read_statement(json_bytes(forged))


def test_a_report_that_claims_too_much_is_not_attested(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "verdict", Verdict.CONFORMANT)
    with pytest.raises(AttestationError, match="narrowed or incomplete"):
        made(reports.incomplete(), profile)


@pytest.mark.parametrize(
    "report", [reports.empty(), replace(reports.clean(), settings=Settings(patients=("CRLM-CT-1001",)))]
)
def test_neither_nothing_nor_some_patients_are_attested(profile: Profile, report: Report) -> None:
    with pytest.raises(AttestationError, match="all patients"):
        made(report, profile)


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        *folders, last = path.split("/")
        place: Any = raw
        for key in folders:
            place = place[int(key) if key.isdigit() else key]
        if value is ...:
            del place[last]
        else:
            place[last] = value

    return apply


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change("_type", "https://in-toto.io/Statement/v0.1"), "_type is not"),
        (change("_type", ...), "_type is not"),
        (change("predicateType", "urn:other"), "predicateType is not"),
        (change("subject", ...), "subject is missing"),
        (change("subject", []), "not one lock file"),
        (change("subject/0/digest", {"sha512": "0" * 128}), "SHA-256"),
        (change("subject/0/digest/sha256", "0" * 63), "SHA-256"),
        (change("subject/0/digest/sha256", "A" * 64), "SHA-256"),
        (change("predicate", ...), "predicate is missing"),
        (change("predicate/verdict", "fine"), "predicate.verdict has a value that is not known"),
        (change("predicate/counts/error", "0"), "predicate.counts.error has not the right type"),
        (change("predicate/counts/error", True), "predicate.counts.error has not the right type"),
        (change("predicate/rule_set/sha256", "secret"), "SHA-256"),
        (change("predicate/settings/depth", "skin"), "predicate.settings.depth"),
        (change("predicate/time", "yesterday"), "predicate.time"),
        (change("predicate/waivers", [{"rule": "SEG006"}]), "predicate.waivers"),
        (change("predicate/counts", ...), "predicate lacks counts"),
        (change("predicate/counts/waived", -1), "a count is below 0"),
        (change("predicate/counts/error", 5), "it says conformant, and counts 5 errors"),
        (change("predicate/verdict", "not conformant"), "it says not conformant, and counts no error"),
    ],
)
def test_what_is_no_record_is_refused(raw: dict[str, Any], spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    Draft202012Validator(SCHEMA).validate(raw)
    spoil(raw)
    assert not Draft202012Validator(SCHEMA).is_valid(raw)
    with pytest.raises(AttestationError, match=re.escape(said)) as refused:
        read_statement(json_bytes(raw))
    assert "secret" not in str(refused.value)


def test_an_error_about_waivers_is_no_contradiction(raw: dict[str, Any]) -> None:
    raw["predicate"]["counts"]["error"] = 1
    raw["predicate"]["settings"]["severity"] = {"WVR002": "error"}
    Draft202012Validator(SCHEMA).validate(raw)
    assert read_statement(json_bytes(raw)).predicate.verdict is Verdict.CONFORMANT


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"null", b"{", b'{"a": NaN}', b"[" * 100_000])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(AttestationError, match="not JSON|_type"):
        read_statement(content)


def test_a_signed_envelope_is_told_apart() -> None:
    envelope = {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}
    with pytest.raises(AttestationError, match="signed envelope"):
        read_statement(json.dumps(envelope).encode())


def test_fields_of_later_versions_are_left_alone(raw: dict[str, Any]) -> None:
    before = read_statement(json_bytes(raw))
    raw["later"] = raw["predicate"]["later"] = raw["subject"][0]["uri"] = "x"
    assert read_statement(json_bytes(raw)) == before


# --- the version of a set of rules -----------------------------------------------------------------------------------

RULES = {"CTS008": Severity.ERROR, "SEG006": Severity.WARNING}


def digest(profile: Profile, rules: dict[str, Severity] = RULES, **settings: Any) -> str:
    return rule_set(rules, Settings(**settings), profile).sha256


def test_a_set_of_rules_keeps_its_name(profile: Profile) -> None:
    again = dict(reversed(RULES.items()))
    assert digest(profile) == digest(load_profile(), again) == digest(copy.deepcopy(profile))
    # What is asked of the audit beside its rules does not rename them.
    assert digest(profile) == digest(profile, subset=True, depth=Depth.HEADERS, known_issues=False)
    assert digest(profile, severity={"CTS008": Severity.ERROR}) == digest(profile)


def test_whatever_decides_renames_a_set_of_rules(profile: Profile, tmp_path: Path) -> None:
    names = [
        digest(profile),
        digest(profile, {**RULES, "SEG007": Severity.INFO}),
        digest(profile, {**RULES, "SEG006": Severity.ERROR}),
        digest(profile, severity={"CTS008": Severity.INFO}),
        digest(replace(profile, tolerances=profile.tolerances.replaced({"spacing_mm": 0.02}))),
        digest(replace(profile, published=replace(profile.published, patients=198))),
        digest(replace(profile, patient_id_pattern=re.compile("^X[0-9]+$"))),
        digest(replace(profile, description_words=profile.description_words - {"LIVER"})),
        digest(replace(profile, suites=profile.suites[1:])),
    ]
    assert len(set(names)) == len(names)


def test_a_bound_of_a_suite_renames_a_set_of_rules(profile: Profile, tmp_path: Path) -> None:
    assert profile.folder is not None
    for name in profile.suites:
        (tmp_path / name).write_bytes((profile.folder / name).read_bytes())
    moved = replace(profile, folder=tmp_path)
    assert digest(moved) == digest(profile)
    suite = tmp_path / profile.suites[0]
    content = json.loads(suite.read_bytes())
    suite.write_text(json.dumps(content, indent=7), encoding="utf-8")
    assert digest(moved) == digest(profile)
    content["expectations"][0]["kwargs"]["later"] = 1
    suite.write_text(json.dumps(content), encoding="utf-8")
    assert digest(moved) != digest(profile)
    suite.unlink()
    with pytest.raises(ProfileError, match=profile.suites[0]):
        digest(moved)


@given(
    st.dictionaries(st.from_regex(r"\A[A-Z]{3}[0-9]{3}\Z"), st.sampled_from(Severity), max_size=5),
    st.dictionaries(st.from_regex(r"\A[A-Z]{3}[0-9]{3}\Z"), st.sampled_from(Severity), max_size=5),
)
def test_two_sets_share_a_name_only_if_they_are_one(one: dict[str, Severity], other: dict[str, Severity]) -> None:
    profile = load_profile()
    assert (digest(profile, one) == digest(profile, other)) == (one == other)


def test_crashed_rules_are_counted(profile: Profile) -> None:
    outcomes = (Outcome("CTS008", Status.ERRORED, reason="IndexError at x.py:1", incomplete=True),)
    predicate = made(replace(reports.clean(), outcomes=outcomes), profile).predicate
    assert (predicate.outcomes.errored, predicate.verdict) == (1, Verdict.INCOMPLETE)
