"""Which patients are judged together, and what rules come to on parts of a release put together."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.frames import PATIENTS, Case, clean
from support.parted import parts_in, whole_and_apart

from crlm_qc.auditing.parts import REST, part_of
from crlm_qc.auditing.tallies import NOTHING, Tally, together
from crlm_qc.collection.profile import Profile
from crlm_qc.model.finding import RELEASE, Found
from crlm_qc.model.outcome import Status
from crlm_qc.model.settings import Settings
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import RuleKind, Scope
from crlm_qc.rules import registry

ONE, OTHER = PATIENTS
FOUND = Found(RELEASE, "It is wrong.")
RULES = [item for item in registry() if item.scope is Scope.PATIENT]


def context(case: Case, profile: Profile) -> Context:
    return Context(case.evidence(), profile, Settings(subset=True), None)


def test_patients_with_nothing_in_common_are_parts_of_their_own(profile: Profile) -> None:
    assert parts_in(context(clean(), profile)) == [(REST,), (ONE,), (OTHER,)]


def same_instance(case: Case) -> None:
    case.change([case.slice(3, OTHER)], sop_instance_uid=case.slice(3)["sop_instance_uid"])
    mine = next(row for row in case.of("files", OTHER) if row["path"] == case.slice(3, OTHER)["path"])
    case.change([mine], sop_instance_uid=case.slice(3)["sop_instance_uid"])


def reference(case: Case) -> None:
    named = next(row for row in case.of("references", OTHER) if row["level"] == "frame")
    case.change([named], sop_instance_uid=case.slice(3)["sop_instance_uid"])


def pixels(case: Case) -> None:
    for patient in PATIENTS:
        case.change([case.slice(5, patient)], pixel_digest="a" * 32)


def masks(case: Case) -> None:
    for patient in PATIENTS:
        for place, row in enumerate(case.of("frames", patient)[:3]):
            case.change([row], mask_digest=f"{place:032x}", voxels=100_000)


def folder(case: Case) -> None:
    where = case.slice(3)["path"].rpartition("/")[0]
    mine = next(row for row in case.of("files", OTHER) if row["kind"] == "ct")
    case.change([mine], folder=where)


@pytest.mark.parametrize("share", [same_instance, reference, pixels, masks, folder])
def test_patients_that_share_something_are_judged_together(share: Callable[[Case], None], profile: Profile) -> None:
    case = clean()
    share(case)
    judged = context(case, profile)
    assert parts_in(judged) == [(REST,), (ONE, OTHER)]
    assert whole_and_apart(judged, RULES, [(REST,), PATIENTS]) == {}


def test_one_mask_may_be_alike_by_chance(profile: Profile) -> None:
    case = clean()
    for patient in PATIENTS:
        case.change(case.of("frames", patient)[:1], mask_digest="b" * 32, voxels=100_000)
    assert len(parts_in(context(case, profile))) == 3


def test_a_part_has_the_rows_of_its_patients_and_the_rest_the_tables_of_the_release(profile: Profile) -> None:
    evidence = clean().evidence()
    one, rest = part_of(evidence, {ONE}), part_of(evidence, {REST})
    assert set(one["files"]["patient"].dropna()) == set(one["metadata"]["patient"]) == {ONE}
    assert one["clinical"].empty
    assert one["sources"].empty
    assert rest["clinical"].equals(evidence["clinical"])
    assert rest["sources"].equals(evidence["sources"])
    assert rest["slices"].empty


@pytest.mark.parametrize("lacking", [(ONE,), PATIENTS])
def test_rules_say_the_same_of_parts_where_pixels_and_masks_were_not_read(
    lacking: tuple[str, ...], profile: Profile
) -> None:
    case = clean()
    for patient in lacking:
        case.change(case.ct(patient=patient), pixels="no-decoder", pixels_detail="JPEG needs a decoder", hu_min=None)
        case.change([case.dso(patient)], masks="no-decoder", masks_detail="RLE needs a decoder")
    judged = context(case, profile)
    assert whole_and_apart(judged, RULES, parts_in(judged)) == {}


def test_tallies_of_parts_make_that_of_the_whole() -> None:
    item = next(iter(registry()))
    skipped, short = Tally(skipped="there is no liver"), Tally(skipped="no decoder", incomplete=True)
    assert together([Tally(2), skipped, Tally(3, (FOUND,))]) == Tally(5, (FOUND,))
    assert together([skipped, short]) == short
    assert together([skipped, Tally()]).outcome(item).reason == NOTHING
    crashed = Tally(crashed="KeyError at a.py:1")
    both = together([Tally(2, (FOUND,)), crashed, replace(crashed, crashed="KeyError at b.py:1")])
    assert both.outcome(item).status is Status.ERRORED
    assert [found.observed for found in both.crash(item)] == ["KeyError at a.py:1"]
    assert not both.findings


def test_rules_on_the_audit_and_on_published_figures_see_the_release() -> None:
    whole = [item for item in registry() if item.kind in (RuleKind.AUDIT, RuleKind.EXPECTATION) or item.whole_release]
    assert {item.scope for item in whole} == {Scope.RELEASE}
    assert len(RULES) > len(registry()) / 2
