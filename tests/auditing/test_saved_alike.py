"""An audit of saved evidence finds what an audit of the release found: the same findings, in the same order and words."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from support.releases import small_profile, small_release

from crlm_qc.auditing.judging import judge
from crlm_qc.auditing.redaction import redact
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Finding
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["small_profile"]

Change = Callable[[SyntheticRelease, str], None]
SETTINGS = Settings(subset=True, known_issues=False, depth=Depth.HEADERS)


def edit(path: Path, **values: str) -> None:
    with pydicom.config.disable_value_validation():
        ds = pydicom.dcmread(path)
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.save_as(path)


def series_date(value: str) -> Change:
    def change(release: SyntheticRelease, patient: str) -> None:
        edit(release.dso_file(patient), SeriesDate=value)

    return change


def sex(value: str, start: int) -> Change:
    def change(release: SyntheticRelease, patient: str) -> None:
        first, *files = release.ct_files(patient)
        if len(files) % 2:
            edit(first, PatientSex="")
        else:
            files = [first, *files]
        # As many of each.
        for path in files[start::2]:
            edit(path, PatientSex=value)

    return change


def copied(name: str) -> Change:
    def change(release: SyntheticRelease, patient: str) -> None:
        path = release.ct_files(patient)[3]
        shutil.copy(path, path.with_name(name))

    return change


DATES = (
    "19610305x",
    "1961.03.05x",
    "1961-03-05",
    "1961/03/05 JANE",
    "19610305103149.25",
    "19610305 born in Springfield, Jane Doe",
)
SEXES = (("DOE^JANE", 0), ("ZOE^JANE", 0), ("DOE^JANE", 1), ("ZOE^JANE", 1))
COPIES = ("Jane 1-04 (1).dcm", "1-04 Jane.dcm", "Jane 1-04.dcm", "zoe.dcm", "0 Jane.dcm")
VARIANTS = {
    "dates": [("DID011", value, series_date(value)) for value in DATES],
    "sexes": [("CTS031" if start else "DSO029", value, sex(value, start)) for value, start in SEXES],
    "copies": [("REL006", name, copied(name)) for name in COPIES],
}
"""Rule, text and change of a patient each."""


def told(finding: Finding) -> dict[str, object]:
    # How far a strange date lies from another one is not kept.
    return {name: value for name, value in finding.as_dict().items() if (finding.rule, name) != ("DID011", "observed")}


def saved(evidence: Evidence) -> str:
    return "\n".join(
        str(value)
        for name in evidence
        for column in evidence[name].select_dtypes("str")
        for value in evidence[name][column].dropna().unique()
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_saved_evidence_gives_the_findings_of_the_release(name: str, tmp_path: Path, small_profile: Profile) -> None:
    variants = VARIANTS[name]
    release = small_release(tmp_path / "release", patients=len(variants))
    for (_, _, change), patient in zip(variants, release.patients, strict=True):
        change(release, patient)
    evidence = collect(release.root, small_profile, depth=Depth.HEADERS, jobs=1)
    kept = redact(evidence, small_profile)
    first, second = (judge(one, small_profile, SETTINGS) for one in (evidence, kept))
    assert [told(one) for one in second.findings] == [told(one) for one in first.findings]
    texts = saved(kept)
    for (rule, value, _), patient in zip(variants, release.patients, strict=True):
        assert (rule, patient) in {(one.rule, one.patient) for one in first.findings}, value
        assert value not in texts
