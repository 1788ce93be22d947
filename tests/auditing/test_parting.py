"""A release that was read in parts is the release that was read at once; what does not belong together is told."""

import gc
import json
import random
import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.releases import clean_release, copy_release, small_profile

from crlm_qc.auditing import parting
from crlm_qc.auditing.memory import remember
from crlm_qc.auditing.parting import merge, read_part
from crlm_qc.auditing.run import audit
from crlm_qc.collection.profile import Profile
from crlm_qc.evidence import collect as collect_module
from crlm_qc.evidence.lock import lock_release, render_lock
from crlm_qc.evidence.parts import SAME, WHOLE_FILE, Joined, listed
from crlm_qc.evidence.release import PatientFolder
from crlm_qc.evidence.shares import share
from crlm_qc.evidence.source import Item
from crlm_qc.evidence.store import FACTS_FILE, load
from crlm_qc.model.errors import ReleaseError, UsageError
from crlm_qc.model.part import Part
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.request.request import Request
from crlm_qc.synthetic.faults import plant
from crlm_qc.synthetic.release import SyntheticRelease

__all__ = ["clean_release", "small_profile"]

SETTINGS = Settings(depth=Depth.HEADERS)
FAULTS = (
    # What several tables and all series together decide.
    ("manifest-older-edition", "workbook-twice", "downloaded-in-two-parts"),
    # Texts that are replaced by numbers, the same in several patients; and what is of no patient.
    ("note-names-a-person", "free-text", "dicom-outside", "patient-name", "stray-file"),
)


@dataclass
class Parted:
    """A release, read in parts."""

    root: Path
    request: Request
    parts: list[Path]

    @property
    def profile(self) -> Profile:
        return self.request.profile


def parted(root: Path, profile: Profile, to: Path, of: int = 2, lock: Path | None = None) -> Parted:
    request = Request(settings=SETTINGS, profile=profile, jobs=1, lock=lock)
    found = Parted(root, request, [to / str(number) for number in range(1, of + 1)])
    for number, folder in enumerate(found.parts, start=1):
        read_part(root, request, Part(number, of), folder)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def plain(report: Report) -> str:
    return json.dumps(report.as_dict())


# --- who is of which part --------------------------------------------------------------------------------------------


def folders(sizes: dict[str, list[int]]) -> list[PatientFolder]:
    return [
        PatientFolder(patient, f"{patient}-{at}", valid=True, items=(Item(f"{patient}-{at}/1.dcm", size),))
        for patient, every in sizes.items()
        for at, size in enumerate(every)
    ]


def test_every_patient_is_of_one_part_whole_and_parts_are_of_one_size() -> None:
    drawn = random.Random(19)
    every = folders({f"P{number}": [drawn.randint(1, 100) for _ in range(1 + number % 3)] for number in range(60)})
    shares = [share(every, Part(number, 4)) for number in range(1, 5)]
    told = [(one.patient, one.folder) for mine in shares for one in mine]
    assert sorted(told) == sorted((one.patient, one.folder) for one in every)
    names = [{one.patient for one in mine} for mine in shares]
    assert sum(map(len, names)) == len(set.union(*names))
    sizes = [sum(item.size or 0 for one in mine for item in one.items) for mine in shares]
    assert max(sizes) - min(sizes) <= 100


def test_shares_do_not_depend_on_the_order_of_the_listing() -> None:
    every = folders({f"P{number}": [7] for number in range(10)} | {f"E{number}": [0] for number in range(10)})
    other = list(every)
    random.Random(1).shuffle(other)
    for number in range(1, 4):
        mine, theirs = ({one.patient for one in share(one, Part(number, 3))} for one in (every, other))
        assert mine == theirs
    # Patients without a byte are shared out, too.
    counts = [len(share(folders({f"E{number}": [0] for number in range(9)}), Part(number, 3))) for number in (1, 2, 3)]
    assert counts == [3, 3, 3]


@pytest.mark.parametrize("text", ["1/1", "16/16", " 3/16 "])
def test_parts_as_they_are_typed(text: str) -> None:
    assert str(Part.parse(text)) == text.strip()


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "3/16/2", "a/b", "1/1000000", "1.0/2"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(UsageError, match="--part .*no part: give K/N"):
        Part.parse(text, "--part")


# --- parts together are the whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", FAULTS)
def test_merged_evidence_is_that_of_one_reading(
    faults: tuple[str, ...], clean_release: SyntheticRelease, small_profile: Profile, tmp_path: Path
) -> None:
    release = copy_release(clean_release, tmp_path / "Release")
    for fault in faults:
        plant(release, fault)
    lock = tmp_path / "release.lock"
    entries = lock_release(release.root, small_profile).entries
    # One file that is another now, and one that is missing, of no patient that is there.
    gone = replace(entries[0], path=f"{release.collection.name}/CRLM-CT-1999/1.dcm")
    lock.write_bytes(render_lock([replace(entries[0], sha256="0" * 64), *entries[1:], gone]))
    whole = audit(
        release.root, settings=SETTINGS, profile=small_profile, jobs=1, lock=lock, evidence_to=tmp_path / "whole"
    )
    found = parted(release.root, small_profile, tmp_path, of=3, lock=lock)
    merge([found.parts[place] for place in (2, 0, 1)], tmp_path / "merged", small_profile)
    assert files_of(tmp_path / "merged") == files_of(tmp_path / "whole")
    again = audit(tmp_path / "merged", settings=SETTINGS, profile=small_profile)
    assert plain(again) == plain(whole)
    assert whole.findings
    assert whole.wholeness is not None


@pytest.fixture(scope="module")
def clean(clean_release: SyntheticRelease, small_profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Parted:
    """Two parts of a release without a fault. Nobody changes them."""
    return parted(clean_release.root, small_profile, tmp_path_factory.mktemp("parts"))


@pytest.fixture
def own(clean: Parted, tmp_path: Path) -> Parted:
    """The same, which may be changed."""
    return replace(clean, parts=[Path(shutil.copytree(one, tmp_path / one.name)) for one in clean.parts])


def test_a_part_can_be_opened_by_nobody_else(clean: Parted) -> None:
    assert [oct(one.stat().st_mode & 0o777) for one in clean.parts] == ["0o700"] * 2


def test_a_part_without_patients_is_one(clean: Parted, tmp_path: Path) -> None:
    found = parted(clean.root, clean.profile, tmp_path / "five", of=5)
    made = merge(found.parts, tmp_path / "merged", clean.profile)
    assert made["patients"]["patient"].nunique() == 3
    assert not made.facts.limits
    assert not made.facts.patients_read


def test_parts_of_some_patients(clean: Parted, clean_release: SyntheticRelease, tmp_path: Path) -> None:
    asked = clean_release.patients[:2]
    settings = replace(SETTINGS, patients=asked)
    request = replace(clean.request, settings=settings)
    for number in (1, 2):
        found = read_part(clean.root, request, Part(number, 2), tmp_path / str(number))
        assert (found.patients, found.every) == (1, 2)
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged", clean.profile)
    audit(clean.root, settings=settings, profile=clean.profile, jobs=1, evidence_to=tmp_path / "whole")
    assert files_of(tmp_path / "merged") == files_of(tmp_path / "whole")


def test_no_two_tables_are_held_at_once(clean: Parted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    table = Joined.__getitem__

    def watched(self: Joined, name: str) -> Any:
        gc.collect()
        assert not [one for one in made if one() is not None], name
        made.append(weakref.ref(found := table(self, name)))
        return found

    monkeypatch.setattr(Joined, "__getitem__", watched)
    merge(clean.parts, tmp_path / "merged", clean.profile)
    assert len(made) > 20


# --- what does not belong together -----------------------------------------------------------------------------------


def changed(part: Path, change: Callable[[dict[str, Any]], None]) -> None:
    told = json.loads((part / FACTS_FILE).read_bytes())
    change(told)
    (part / FACTS_FILE).write_text(json.dumps(told))


def refused(found: Parted, tmp_path: Path, *, parts: list[Path] | None = None, **how: Any) -> str:
    with pytest.raises(UsageError) as said:
        merge(parts or found.parts, tmp_path / "merged", how.pop("profile", found.profile), **how)
    assert not (tmp_path / "merged").exists()
    return str(said.value)


@pytest.mark.parametrize("key", SAME)
def test_parts_that_were_read_otherwise(key: str, own: Parted, tmp_path: Path) -> None:
    changed(own.parts[1], lambda told: told["facts"]["of"].update({key: "another"}))
    said = refused(own, tmp_path)
    assert said == f"{own.parts[0]} and {own.parts[1]} {SAME[key]}: read one of them again as the other was"


def test_all_of_that_is_told_of_a_part(own: Parted, clean_release: SyntheticRelease, tmp_path: Path) -> None:
    """What is asked otherwise, or found otherwise, is told by its own key."""
    release = copy_release(clean_release, tmp_path / "Release")

    def key_of(request: Request, root: Path) -> str:
        read_part(root, request, Part(1, 2), tmp_path / "other")
        said = refused(own, tmp_path, parts=[own.parts[1], tmp_path / "other"])
        return next(key for key, words in SAME.items() if words in said)

    ask, settings, profile = own.request, own.request.settings, own.profile
    lock = tmp_path / "release.lock"
    lock.write_bytes(render_lock(lock_release(release.root, profile).entries[:1]))
    other = profile.with_tolerances({"spacing_mm": 0.3})
    assert key_of(replace(ask, settings=replace(settings, patients=clean_release.patients[:2])), own.root) == "patients"
    assert key_of(replace(ask, profile=other), own.root) == "tolerances"
    assert key_of(replace(ask, lock=lock), own.root) == "lock"
    assert key_of(ask, release.root) == "release"
    stray = release.root.rename(tmp_path / own.root.name) / "stray.txt"
    stray.write_text("more")
    assert key_of(ask, stray.parent) == "files"


@pytest.mark.parametrize("key", ["facts", "tables"])
def test_facts_that_are_damaged(key: str, own: Parted, tmp_path: Path) -> None:
    changed(own.parts[1], lambda told: told.update({key: "none"}))
    assert refused(own, tmp_path) == f"{own.parts[1] / FACTS_FILE} is damaged: read the part again"
    (own.parts[1] / FACTS_FILE).write_bytes(b"{")
    assert f"{own.parts[1]} holds no part that crlm-qc evidence read wrote" in refused(own, tmp_path)


def test_other_numbers_of_parts(own: Parted, tmp_path: Path) -> None:
    changed(own.parts[1], lambda told: told["facts"]["part"].update(of=3))
    first, second = own.parts
    assert refused(own, tmp_path) == f"{first} is part 1/2 and {second} part 2/3: give parts of one division"


def test_one_part_twice(own: Parted, tmp_path: Path) -> None:
    first = own.parts[0]
    said = refused(own, tmp_path, parts=[*own.parts, first])
    assert said == f"{first} and {first} are both part 1/2: give it once"


def test_one_patient_in_two_parts(own: Parted, tmp_path: Path) -> None:
    def take(told: dict[str, Any]) -> None:
        told["facts"]["patients"][0]["patient"] = json.loads((own.parts[0] / FACTS_FILE).read_bytes())["facts"][
            "patients"
        ][0]["patient"]

    changed(own.parts[1], take)
    assert refused(own, tmp_path) == f"{own.parts[0]} and {own.parts[1]} hold the same patient: read part 2/2 again"


def test_a_part_of_another_version(own: Parted, tmp_path: Path) -> None:
    changed(own.parts[1], lambda told: told.update(version="0" * 16))
    assert f"{own.parts[1]} holds a part written by another version of crlm-qc" in refused(own, tmp_path)


@pytest.mark.parametrize("name", ["slices.parquet", "files.parquet", WHOLE_FILE])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_parts_are_named(name: str, damage: str, own: Parted, tmp_path: Path) -> None:
    path = own.parts[0] / name
    path.unlink()
    if damage == "changed":
        path.write_bytes(b"PAR1")
    said = refused(own, tmp_path)
    assert said.startswith(f"{path} is ")
    assert said.endswith(": read part 1/2 again")


def test_rows_of_other_patients_are_damage(own: Parted, tmp_path: Path) -> None:
    changed(own.parts[0], lambda told: told["facts"]["rows"]["slices"].__setitem__(0, 1))
    assert refused(own, tmp_path) == f"{own.parts[0] / 'slices.parquet'} is missing or damaged: read part 1/2 again"


def test_tables_that_were_read_otherwise(own: Parted, clean: Parted, tmp_path: Path, monkeypatch: Any) -> None:
    """A process that dies over a table on one machine alone costs the reading of that part."""
    monkeypatch.setattr(collect_module, "read_sources", lambda *_: 1 / 0)
    read_part(clean.root, clean.request, Part(2, 2), tmp_path / "again")
    said = refused(own, tmp_path, parts=[own.parts[0], tmp_path / "again"])
    assert "tell otherwise of the release's tables" in said
    assert said.endswith("read part 1/2 again, or 2/2")


def test_evidence_and_parts_are_told_apart(own: Parted, tmp_path: Path) -> None:
    merge(own.parts, tmp_path / "whole", own.profile)
    said = refused(own, tmp_path, parts=[own.parts[0], tmp_path / "whole"])
    assert f"{tmp_path / 'whole'} holds evidence of a whole audit, and no part" in said
    with pytest.raises(ReleaseError, match="holds one part of the evidence of a release: .* crlm-qc evidence merge"):
        audit(own.parts[0], settings=SETTINGS, profile=own.profile)
    with pytest.raises(UsageError, match="is saved evidence: --part is of a release"):
        audit(tmp_path / "whole", settings=SETTINGS, profile=own.profile, part=Part(1, 2))


def test_another_profile(own: Parted, tmp_path: Path) -> None:
    said = refused(own, tmp_path, profile=replace(own.profile, title="another"))
    assert said == f"{own.parts[0]} was read with another profile: give that one with --profile"


def test_the_evidence_is_no_part(own: Parted, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is one of the parts: give another folder with --out"):
        merge(own.parts, own.parts[1], own.profile)


# --- a part that is missing ------------------------------------------------------------------------------------------


def test_a_part_that_is_missing_is_a_limit_where_it_may_be(own: Parted, tmp_path: Path) -> None:
    said = refused(own, tmp_path, parts=own.parts[1:])
    assert said.startswith("part 1 of 2 is missing: crlm-qc evidence read RELEASE --part 1/2 --out FOLDER reads one")
    made = merge(own.parts[1:], tmp_path / "merged", own.profile, allow_missing=True)
    there = sorted(made["patients"]["patient"])
    gone = 3 - len(there)
    assert made.facts.limits == (f"{gone} patient{'s' * (gone > 1)} not read: part 1 of 2 is missing",)
    assert list(made.facts.patients_read) == there
    report = audit(tmp_path / "merged", settings=SETTINGS, profile=own.profile)
    assert report.incomplete
    # It is as if the others had been asked for.
    asked = audit(own.root, settings=replace(SETTINGS, patients=tuple(there)), profile=own.profile, jobs=1)
    assert [one.fingerprint for one in report.findings] == [one.fingerprint for one in asked.findings]
    assert load(tmp_path / "merged")["slices"]["patient"].nunique() == len(there)


def test_missing_parts_are_listed() -> None:
    assert listed([Part(3, 16)]) == "part 3 of 16 is"
    assert listed([Part(3, 16), Part(7, 16)]) == "parts 3 and 7 of 16 are"
    assert listed([Part(number, 99) for number in range(1, 99)], most=2) == "parts 1, 2 and 96 more of 99 are"


def test_the_limits_of_patients_stay_in_their_order(own: Parted, tmp_path: Path) -> None:
    for at, part in enumerate(own.parts):

        def limit(told: dict[str, Any], at: int = at) -> None:
            for patient in told["facts"]["patients"]:
                patient["limits"] = ["of all", f"{patient['patient']}: {at}"]

        changed(part, limit)
    limits = merge(own.parts, tmp_path / "merged", own.profile).facts.limits
    assert limits[0] == "of all"
    assert limits[1:] == tuple(sorted(limits[1:]))
    assert len(limits) == 4


# --- a part alone ----------------------------------------------------------------------------------------------------


def test_a_part_is_judged_as_its_patients_are(clean: Parted, tmp_path: Path) -> None:
    names = [one["patient"] for one in json.loads((clean.parts[0] / FACTS_FILE).read_bytes())["facts"]["patients"]]
    asked = audit(clean.root, settings=replace(SETTINGS, patients=tuple(names)), profile=clean.profile, jobs=1)
    for kept in (None, tmp_path / "part"):
        report = audit(clean.root, settings=SETTINGS, profile=clean.profile, jobs=1, part=Part(1, 2), evidence_to=kept)
        assert plain(report) == plain(asked)
    assert files_of(tmp_path / "part") == files_of(clean.parts[0])


def test_a_part_that_has_no_patient_is_not_the_whole(clean: Parted) -> None:
    with pytest.raises(ReleaseError, match="part 4/4 of .* has no patient: there are 3 patients to share out"):
        audit(clean.root, settings=SETTINGS, profile=clean.profile, jobs=1, part=Part(4, 4))


# --- parts by the cache ----------------------------------------------------------------------------------------------


def test_a_part_that_was_stopped_costs_no_more_than_its_rest(
    clean: Parted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crlm_qc.auditing.memory.GRAIN_NS", 0)
    request = replace(clean.request, cache=tmp_path / "cache")
    read: list[str] = []
    real = collect_module._read

    def stopped_at_the_second(work: Any) -> Any:
        if len(read) == 1:
            raise KeyboardInterrupt
        read.append(work.patient)
        return real(work)

    monkeypatch.setattr(collect_module, "_read", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        read_part(clean.root, request, Part(1, 1), tmp_path / "part", memory=remember(clean.root, request))
    assert not (tmp_path / "part").exists()
    monkeypatch.setattr(collect_module, "_read", lambda work: read.append(work.patient) or real(work))
    # Another part of another division takes what is there, and so does the audit of them all.
    read_part(clean.root, request, Part(1, 2), None, memory=remember(clean.root, request))
    memory = remember(clean.root, request)
    report = audit(clean.root, settings=SETTINGS, profile=clean.profile, jobs=1, memory=memory)
    assert sorted(read) == sorted({*read})
    assert len(read) == 3
    assert memory is not None
    assert memory.use is not None
    assert memory.use.patients >= 2
    assert plain(report) == plain(audit(clean.root, settings=SETTINGS, profile=clean.profile, jobs=1))


def test_the_version_is_that_of_the_program(clean: Parted, own: Parted, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(parting, "_version", lambda: "0.0.1")
    read_part(clean.root, clean.request, Part(2, 2), tmp_path / "again")
    assert SAME["version"] in refused(own, tmp_path, parts=[own.parts[0], tmp_path / "again"])
