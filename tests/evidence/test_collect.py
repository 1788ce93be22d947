import dataclasses
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import deadly, tiny
from support.executors import Breaking, Inline, Losing

from crlm_qc.evidence import collect as module
from crlm_qc.evidence.collect import ReleaseError, collect
from crlm_qc.evidence.dicom.decoding import Unmeasured
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Depth
from crlm_qc.model.tables import TABLES, schema

MASK = np.ones((8, 16), np.uint8)
FORKED = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
COLLECTION = "Colorectal-Liver-Metastases"


def add_patient(root: Path, number: int, count: int = 3) -> Path:
    slices = [tiny.ct_slice(index) for index in range(count)]
    ds = tiny.segmentation([(1, 1, MASK), (2, 1, MASK)], ("Liver", "Tumor_1"), slices=count)
    for one in (*slices, ds):
        one.PatientID = f"CRLM-CT-{number}"
    return tiny.write_patient(root / COLLECTION / f"CRLM-CT-{number}", slices, ds)


@pytest.fixture
def root(tmp_path, profile) -> Path:
    root = tmp_path / "release"
    for number in (1001, 1002, 1003):
        add_patient(root, number)
    (root / "metadata.csv").write_text(",".join(profile.metadata_columns) + "\n")
    (root / "list.tcia").write_text("ListOfSeriesToDownload=\n1.3.6.1.4.1.14519.5.2.1.9203.8273.3\n")
    return root


def equal(first: Evidence, second: Evidence) -> None:
    assert first.facts == second.facts
    for name in TABLES:
        pd.testing.assert_frame_equal(first[name], second[name])


def test_every_table_keeps_its_contract(root, profile):
    for depth in Depth:
        found = collect(root, profile, depth=depth, jobs=1)
        assert list(found.tables) == list(TABLES)
        for name in TABLES:
            schema(name).validate(found[name])
        assert found.facts.depth is depth
    assert found.facts.root == "release"
    assert found.facts.layout == "nbia"
    assert len(found["slices"]) == 9
    assert len(found["segments"]) == 6
    assert found["segment_pairs"]["overlap_voxels"].tolist() == [MASK.sum()] * 3
    assert found["alignments"]["patient"].nunique() == 3


def test_the_number_of_jobs_changes_nothing(root, profile):
    calls = []
    alone = collect(root, profile, depth=Depth.PIXELS, jobs=1)
    shared = collect(root, profile, depth=Depth.PIXELS, jobs=3, progress=lambda *call: calls.append(call))
    equal(alone, shared)
    assert calls == [(module.READING, done, 3) for done in (1, 2, 3)]


def test_what_is_needed_later_is_loaded_while_other_processes_read(root, profile):
    calls = []
    collect(root, profile, depth=Depth.HEADERS, jobs=2, meanwhile=lambda: calls.append("shared"))
    collect(root, profile, depth=Depth.HEADERS, jobs=1, meanwhile=lambda: calls.append("alone"))
    assert calls == ["shared"]


def test_an_empty_release_has_empty_tables(tmp_path, profile):
    found = collect(tmp_path, profile, depth=Depth.PIXELS)
    assert found.facts.layout == "none"
    for name in TABLES:
        assert found[name].empty
        schema(name).validate(found[name])


def test_only_the_patients_asked_for_are_read(root, profile):
    found = collect(root, profile, depth=Depth.HEADERS, patients=["CRLM-CT-1003", "CRLM-CT-1001"], jobs=1)
    assert found["patients"]["patient"].tolist() == ["CRLM-CT-1001", "CRLM-CT-1003"]
    assert set(found["files"]["patient"].dropna()) == {"CRLM-CT-1001", "CRLM-CT-1003"}
    assert found.facts.patients_read == ("CRLM-CT-1001", "CRLM-CT-1003")
    with pytest.raises(ReleaseError, match=r"no patient CRLM-CT-1009 in release \(did you mean CRLM-CT-100"):
        collect(root, profile, depth=Depth.HEADERS, patients=["CRLM-CT-1009"])


def test_one_patient_in_two_folders_is_read_as_one(root, profile):
    tiny.write_patient(root / "more" / COLLECTION / "CRLM-CT-1001", [tiny.ct_slice(5)])
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1)
    assert found["patients"]["patient"].tolist().count("CRLM-CT-1001") == 2
    assert found["ct_series"]["n_slices"].tolist() == [4, 3, 3]
    assert found["series"].loc[found["series"]["role"] == "ct", "n_folders"].tolist() == [2, 1, 1]


def test_files_are_in_the_order_of_paths(root, profile):
    (root / "readme.md").write_text("x")
    paths = collect(root, profile, depth=Depth.HEADERS, jobs=1)["files"]["path"].tolist()
    assert paths == sorted(paths)
    assert "readme.md" in paths


def test_tables_and_lists_are_read(root, profile):
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1)
    assert found["manifest"]["entry"].tolist() == ["1.3.6.1.4.1.14519.5.2.1.9203.8273.3"]
    sources = found["sources"].set_index("source")
    assert sources["path"].to_dict() == {"metadata": "metadata.csv", "manifest": "list.tcia"}
    assert sources["used"].all()


def test_of_several_metadata_files_the_likeliest_is_used(root, profile):
    (root / COLLECTION / "metadata.csv").write_text("a,b\n1,2\n")
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1)["sources"]
    assert found.loc[found["source"] == "metadata", "path"].tolist() == ["metadata.csv"]
    (root / "copy.csv").write_text((root / "metadata.csv").read_text())
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1)["sources"]
    assert dict(zip(found["path"], found["used"], strict=True)) == {
        "metadata.csv": True,
        "copy.csv": False,
        "list.tcia": True,
    }


def test_of_several_workbooks_the_newest_edition_is_used(root, profile):
    for edition in profile.editions:
        columns = ",".join(edition.columns)
        values = ",".join(["CRLM-CT-1001", *["1"] * (len(edition.columns) - 1)])
        (root / f"clinical {edition.name}.csv").write_text(f"{columns}\n{values}\n")
    found = collect(root, profile, depth=Depth.HEADERS, jobs=1)
    sources = found["sources"][found["sources"]["source"] == "clinical"]
    assert dict(zip(sources["edition"], sources["used"], strict=True)) == {"October 2022": False, "April 2023": True}
    assert set(found["clinical"]["column"]) == set(profile.editions[1].columns)


def test_a_dead_process_costs_no_more_than_its_patient(root, profile, monkeypatch):
    monkeypatch.setattr(module, "_read_one", deadly.dies)
    found = collect(root, profile, depth=Depth.MASKS, jobs=2)
    assert found.facts.limits == ("CRLM-CT-1002: it was not read: the process that read it died",)
    assert found["ct_series"]["patient"].tolist() == ["CRLM-CT-1001", "CRLM-CT-1003"]
    lost = found["files"][found["files"]["patient"] == "CRLM-CT-1002"]
    assert set(lost["kind"]) == {"unreadable"}
    schema("files").validate(found["files"])


def test_a_process_that_dies_of_a_table_costs_no_more_than_that(root, profile, monkeypatch):
    monkeypatch.setattr(module, "_read_tables", deadly.dies_of_tables)
    found = collect(root, profile, depth=Depth.HEADERS, jobs=2)
    assert set(found["sources"]["problem"]) == {"unreadable"}
    assert set(found["sources"]["detail"]) == {"the process that read it died"}
    assert found["sources"]["used"].all()
    assert found["ct_series"]["patient"].nunique() == 3


def test_headers_are_saved_where_only_deeper_reading_dies(root, profile, monkeypatch):
    monkeypatch.setattr(module, "_read_one", deadly.dies_below_headers)
    found = collect(root, profile, depth=Depth.MASKS, jobs=2)
    assert found.facts.limits == ("CRLM-CT-1002: only headers were read: the process that read it died",)
    masks = found["dsos"].set_index("patient")["masks"].to_dict()
    assert masks == {"CRLM-CT-1001": "measured", "CRLM-CT-1002": "failed", "CRLM-CT-1003": "measured"}
    assert len(found["slices"]) == 9


def is_victim(unit) -> bool:
    return unit[1].patient == deadly.VICTIM


@pytest.mark.parametrize("executor", [Inline, partial(ThreadPoolExecutor, 2), partial(ProcessPoolExecutor, 2, FORKED)])
def test_on_any_executor_the_same_is_read(root, profile, executor):
    calls = []
    here = collect(root, profile, depth=Depth.PIXELS, jobs=1)
    there = collect(root, profile, depth=Depth.PIXELS, executor=executor, progress=lambda *call: calls.append(call))
    equal(here, there)
    assert calls == [(module.READING, done, 3) for done in (1, 2, 3)]


@pytest.mark.parametrize("kind", [Losing, Breaking])
@pytest.mark.parametrize(
    ("times", "limits"),
    [
        (1, ()),
        (2, ("CRLM-CT-1002: only headers were read: the process that read it died",)),
        (3, ("CRLM-CT-1002: it was not read: the process that read it died",)),
    ],
)
def test_a_lost_worker_costs_no_more_than_what_is_read_of_its_patient(root, profile, kind, times, limits):
    left = [times]

    class Shared(kind):
        """One more is made where it breaks, which loses no more workers than are left to be lost."""

        def __init__(self):
            super().__init__(is_victim, left[0])

        def lose(self):
            left[0] -= 1
            super().lose()

    found = collect(root, profile, depth=Depth.MASKS, executor=Shared)
    assert found.facts.limits == limits
    masks = found["dsos"].set_index("patient")["masks"].to_dict()
    assert masks.pop("CRLM-CT-1002", None) == {1: "measured", 2: "failed", 3: None}[times]
    assert masks == {"CRLM-CT-1001": "measured", "CRLM-CT-1003": "measured"}
    assert set(found["patients"]["patient"]) == {"CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003"}
    schema("files").validate(found["files"])


def test_a_patient_that_ends_processes_on_an_executor_is_named_as_by_this_machine(root, profile, monkeypatch):
    monkeypatch.setattr(module, "_read_one", deadly.dies)
    found = collect(root, profile, depth=Depth.MASKS, executor=partial(ProcessPoolExecutor, 2, FORKED))
    equal(found, collect(root, profile, depth=Depth.MASKS, jobs=2))
    assert found.facts.limits == ("CRLM-CT-1002: it was not read: the process that read it died",)


def test_a_worker_that_does_not_see_the_release_finds_nothing_wrong_with_it(root, profile, monkeypatch):
    seen = module.Item.read
    asked = []

    def read(item, *arguments):
        asked.extend([item.path] * (item.suffix == ".dcm"))
        if len(asked) == 1:
            raise FileNotFoundError(2, "x")
        return seen(item, *arguments)

    monkeypatch.setattr(module.Item, "read", read)
    monkeypatch.setattr("platform.node", lambda: "node7")
    said = "release can't be read on this engine: worker node7 does not see the release: no such file or directory"
    with pytest.raises(ReleaseError, match=said):
        collect(root, profile, depth=Depth.HEADERS, executor=Inline())


def test_a_file_that_nobody_can_open_is_no_fault_of_a_worker(root, profile):
    class Late(Inline):
        """Its first file is gone when it is read."""

        def check(self, sent):
            for item in sent[0][1].items[:1] if sent else ():
                (root / item.path).unlink(missing_ok=True)

    found = collect(root, profile, depth=Depth.HEADERS, executor=Late())
    assert found["files"]["problem"].notna().sum() == 3
    assert (len(found["slices"]), len(found["dsos"])) == (9, 0)


def test_a_worker_of_another_version_is_told_of(monkeypatch):
    known = {**module._versions(), "numpy": "1.0"}
    said = f"has numpy {np.__version__}, and this machine 1.0: install the same there"
    assert module._unfit(known, []) == said
    assert module._unfit(module._versions(), []) is None


def test_small_patients_are_sent_together(root, profile):
    work = module._work(module._choose(module.find_release(root, profile), ()), profile, Depth.HEADERS)
    units = module._units(work)
    assert 0 < sum(map(module._cost, units)) < 1
    one = dataclasses.replace(work[0].items[0], size=40 << 20)
    assert module._cost((module._read_one, dataclasses.replace(work[0], items=(one,)))) > 1
    assert module._cost((module._read_one, dataclasses.replace(work[0], items=work[0].items * 30))) > 1
    # So what goes to an executor is little, and the profile goes with it once.
    assert len(pickle.dumps(units)) < 3 * len(pickle.dumps(units[:1]))


@pytest.mark.parametrize(
    ("deepest", "said"),
    [
        (Depth.HEADERS, "only headers were read: KeyError while reading"),
        (None, "it was not read: KeyError while reading"),
    ],
)
def test_what_nobody_thought_of_costs_no_more_than_its_patient(root, profile, monkeypatch, deepest, said):
    read = module._read

    def surprised(work):
        if work.patient == "CRLM-CT-1002" and work.depth is not deepest:
            raise KeyError("a value of the file")
        return read(work)

    monkeypatch.setattr(module, "_read", surprised)
    found = collect(root, profile, depth=Depth.MASKS, jobs=1)
    assert found.facts.limits == (f"CRLM-CT-1002: {said}",)
    masks = found["dsos"].set_index("patient")["masks"].to_dict()
    assert masks["CRLM-CT-1001"] == masks["CRLM-CT-1003"] == "measured"
    schema("files").validate(found["files"])


@pytest.mark.parametrize("refusal", [OSError("no more processes"), ImportError("no semaphores"), NotImplementedError()])
def test_where_no_process_can_be_started_this_one_reads(root, profile, monkeypatch, refusal):
    asked = []

    class Refusing:
        def __init__(self, *arguments, **options):
            asked.append(arguments)

        def submit(self, *arguments):
            raise refusal

        def shutdown(self, **options):
            pass

    monkeypatch.setattr("crlm_qc.workers.ProcessPoolExecutor", Refusing)
    equal(collect(root, profile, depth=Depth.MASKS, jobs=2), collect(root, profile, depth=Depth.MASKS, jobs=1))
    assert asked == [(1,)]


def test_a_missing_decoder_is_a_limit_of_the_release(root, profile, monkeypatch):
    def refuse(*arguments):
        raise Unmeasured("no-decoder", "a decoder is missing: install thing>=2.0")

    monkeypatch.setattr("crlm_qc.evidence.masks.frames._packed", refuse)
    found = collect(root, profile, depth=Depth.MASKS, patients=["CRLM-CT-1001"], jobs=1)
    assert found.facts.limits == ("CRLM-CT-1001: masks were not read: a decoder is missing: install thing>=2.0",)


def test_the_release_is_not_written_to(root, profile):
    def state() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(root.rglob("*"))}

    before = state()
    collect(root, profile, depth=Depth.PIXELS, jobs=2)
    assert state() == before


def test_a_unit_of_work_is_plain_data(profile, root):
    work = module._work(module._choose(module.find_release(root, profile), ()), profile, Depth.HEADERS)
    assert [one.patient for one in work] == ["CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1003"]
    assert all(dataclasses.is_dataclass(item) for one in work for item in one.items)
