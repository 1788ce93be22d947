"""An audit of saved evidence finds what an audit of the release found: the same findings, in the same order and words."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from support.releases import copy_release, small_profile, small_release

from crlm_qc.auditing.judging import judge
from crlm_qc.auditing.redaction import redact
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence.collect import collect
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.finding import Finding
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["small_profile"]

SETTINGS = Settings(subset=True, known_issues=False, depth=Depth.HEADERS)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRelease:
    return small_release(tmp_path_factory.mktemp("clean") / "release", patients=2)


def edit(path: Path, **values: str) -> None:
    with pydicom.config.disable_value_validation():
        ds = pydicom.dcmread(path)
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.save_as(path)


def series_date(value: str) -> Callable[[SyntheticRelease], None]:
    def change(release: SyntheticRelease) -> None:
        edit(release.dso_file(release.patients[0]), SeriesDate=value)

    return change


def sex(value: str, start: int) -> Callable[[SyntheticRelease], None]:
    def change(release: SyntheticRelease) -> None:
        files = release.ct_files(release.patients[0])
        if len(files) % 2:
            # As many of each.
            files = files[1:]
            edit(release.ct_files(release.patients[0])[0], PatientSex="")
        for path in files[start::2]:
            edit(path, PatientSex=value)

    return change


def copied(name: str) -> Callable[[SyntheticRelease], None]:
    def change(release: SyntheticRelease) -> None:
        path = release.ct_files(release.patients[0])[3]
        shutil.copy(path, path.with_name(name))

    return change


VARIANTS = {
    **{
        f"date {value}": ("DID011", value, series_date(value))
        for value in (
            "19610305x",
            "1961.03.05x",
            "1961-03-05",
            "1961/03/05 JANE",
            "19610305103149.25",
            "19610305 born in Springfield, Jane Doe",
        )
    },
    **{
        f"sex {value} {start}": ("CTS031" if start else "DSO029", value, sex(value, start))
        for value in ("DOE^JANE", "ZOE^JANE")
        for start in (0, 1)
    },
    **{
        f"copy {name}": ("REL006", name, copied(name))
        for name in ("Jane 1-04 (1).dcm", "1-04 Jane.dcm", "Jane 1-04.dcm", "zoe.dcm", "0 Jane.dcm")
    },
}


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
def test_saved_evidence_gives_the_findings_of_the_release(
    name: str, clean: SyntheticRelease, tmp_path: Path, small_profile: Profile
) -> None:
    rule, value, change = VARIANTS[name]
    release = copy_release(clean, tmp_path / "release")
    change(release)
    evidence = collect(release.root, small_profile, depth=Depth.HEADERS, jobs=1)
    kept = redact(evidence, small_profile)
    first, second = (judge(one, small_profile, SETTINGS) for one in (evidence, kept))
    assert [told(one) for one in second.findings] == [told(one) for one in first.findings]
    assert rule in {one.rule for one in first.findings}
    assert value not in saved(kept)
