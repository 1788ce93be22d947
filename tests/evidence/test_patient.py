import json
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support import tiny

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.patient import PatientRead, read_patient
from crlm_qc.evidence.release import find_release
from crlm_qc.evidence.source import Folder, Item
from crlm_qc.model.settings import Depth

PROFILE = load_profile()
MASK = np.ones((8, 16), np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "release" / "Colorectal-Liver-Metastases" / tiny.PATIENT
    slices = [tiny.ct_slice(index) for index in range(3)]
    return tiny.write_patient(folder, slices, tiny.segmentation([(1, 1, MASK)], slices=3))


def read(folder: Path, depth: Depth = Depth.HEADERS) -> PatientRead:
    found = find_release(folder.parents[1], PROFILE)
    return read_patient(tiny.PATIENT, found.patients[0].items, PROFILE, depth)


def series(folder: Path) -> Path:
    return next(folder.glob("*/2.000000*"))


def by_name(found: PatientRead) -> dict[str, dict]:
    return {row["name"]: row for row in found.rows["files"]}


def test_a_good_patient(folder):
    found = read(folder)
    assert [row["kind"] for row in found.rows["files"]] == ["dso", "ct", "ct", "ct"]
    assert not any(row["problem"] or row["invalid_uids"] or row["trailing_bytes"] for row in found.rows["files"])
    assert all(row["pixel_bytes_found"] == row["pixel_bytes_expected"] for row in found.rows["files"])
    assert [(row["role"], row["n_instances"], row["n_folders"], row["modality"]) for row in found.rows["series"]] == [
        ("ct", 3, 1, "CT"),
        ("dso", 1, 1, "SEG"),
    ]
    assert found.rows["ct_series"][0]["spacing"] == 5.0
    assert found.rows["dsos"][0]["masks"] == "not-asked"
    assert found.limits == []


@pytest.mark.parametrize("depth", Depth)
def test_pixel_data_is_read_only_as_deep_as_asked(folder, depth, monkeypatch):
    from crlm_qc.evidence.dicom.header import PixelElement

    read_lengths = []
    hold = PixelElement.hold
    monkeypatch.setattr(PixelElement, "hold", lambda self, *into: (read_lengths.append(self.length), hold(self, *into)))
    monkeypatch.setattr(
        PixelElement, "value", lambda self: self.held if self.held is not None else pytest.fail("read late")
    )
    read(folder, depth)
    wanted = {Depth.HEADERS: [], Depth.MASKS: [16], Depth.PIXELS: [16, 256, 256, 256]}
    assert read_lengths == wanted[depth]


def test_broken_files_are_rows_with_their_problem(folder):
    good = (series(folder) / "1-01.dcm").read_bytes()
    for name, content in {
        "empty.dcm": b"",
        "text.dcm": b"hello",
        "cut.dcm": good[:400],
        "noending": b"x" * 200,
        "notes.txt": b"hello",
        "empty.txt": b"",
        "LICENSE": b"CC BY",
        ".DS_Store": b"x",
        "hidden.txt": good.replace(tiny.ct_uid(0).encode(), tiny.ct_uid(8).encode()),
    }.items():
        (series(folder) / name).write_bytes(content)
    found = by_name(read(folder))
    assert {name: (row["kind"], row["problem"]) for name, row in found.items() if not name.startswith("1-")} == {
        "empty.dcm": ("unreadable", "empty"),
        "text.dcm": ("unreadable", "not-dicom"),
        "cut.dcm": ("unreadable", "cut-header"),
        "noending": ("unreadable", "not-dicom"),
        "notes.txt": ("unexpected", None),
        "empty.txt": ("unexpected", None),
        "LICENSE": ("licence", None),
        ".DS_Store": ("system", None),
        "hidden.txt": ("ct", None),
    }


def test_a_file_that_may_not_be_opened_is_a_limit(folder, monkeypatch):
    opened = Folder.open

    def refuse(self, key):
        if key.endswith("1-02.dcm"):
            raise PermissionError(13, "Permission denied")
        return opened(self, key)

    monkeypatch.setattr(Folder, "open", refuse)
    found = read(folder)
    assert by_name(found)["1-02.dcm"]["problem"] == "permission"
    assert found.limits == ["CRLM-CT-1001: a file was not read: permission denied"]


def test_links_are_rows_and_not_read(folder, tmp_path):
    secret = tiny.write(tmp_path / "secret.dcm", tiny.ct_slice(7))
    (series(folder) / "1-09.dcm").symlink_to(secret)
    (series(folder) / "1-10.dcm").symlink_to(series(folder) / "1-01.dcm")
    found = read(folder)
    assert (by_name(found)["1-09.dcm"]["kind"], by_name(found)["1-09.dcm"]["problem"]) == ("link", "link-outside")
    assert by_name(found)["1-10.dcm"]["kind"] == "ct"
    # It holds what another file holds, which is measured once.
    assert by_name(found)["1-10.dcm"]["copy_of"] == by_name(found)["1-01.dcm"]["path"]
    assert len(found.rows["slices"]) == 3


def test_meta_that_contradicts_the_data_set_is_kept(folder):
    ds = tiny.ct_slice(5)
    raw = tiny.to_bytes(ds)
    place = raw.index(tiny.ct_uid(5).encode())
    (series(folder) / "1-06.dcm").write_bytes(
        raw[:place] + tiny.ct_uid(6).encode() + raw[place + len(tiny.ct_uid(5)) :]
    )
    row = by_name(read(folder))["1-06.dcm"]
    assert (row["meta_sop_instance_uid"], row["sop_instance_uid"]) == (tiny.ct_uid(6), tiny.ct_uid(5))


def test_invalid_uids_and_surplus_bytes(folder):
    path = series(folder) / "1-02.dcm"
    raw = path.read_bytes()
    bad = raw.replace(tiny.STUDY.encode(), (tiny.STUDY[:-2] + "..").encode())
    assert len(bad) == len(raw)
    path.write_bytes(bad + b"surplus")
    row = by_name(read(folder))["1-02.dcm"]
    assert json.loads(row["invalid_uids"]) == ["StudyInstanceUID"]
    assert row["trailing_bytes"] == 7


def test_dicom_that_is_no_image(folder):
    ds = tiny.ct_slice(4)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    tiny.write(series(folder) / "1-05.dcm", ds)
    ct = tiny.ct_slice(5)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(ct, keyword)
    tiny.write(series(folder) / "1-06.dcm", ct)
    found = read(folder)
    assert by_name(found)["1-05.dcm"]["kind"] == "other-dicom"
    assert "pixel_bytes_found" not in by_name(found)["1-05.dcm"]
    assert by_name(found)["1-06.dcm"]["kind"] == "ct"
    assert by_name(found)["1-06.dcm"]["pixel_bytes_found"] == 0
    assert json.loads(found.rows["slices"][-1]["missing"]) == ["Columns", "Rows"]
    assert found.rows["series"][0]["n_instances"] == 4


def test_a_series_in_two_folders_and_two_series_in_one(folder):
    other = tiny.ct_slice(6)
    other.SeriesInstanceUID = tiny.uid(77)
    tiny.write(series(folder) / "1-07.dcm", other)
    tiny.write(series(folder).parent / "elsewhere" / "1-08.dcm", tiny.ct_slice(7))
    found = read(folder)
    assert [(row["series_uid"], row["n_instances"], row["n_folders"]) for row in found.rows["series"]] == [
        (tiny.CT_SERIES, 4, 2),
        (tiny.SEG_SERIES, 1, 1),
        (tiny.uid(77), 1, 1),
    ]
    assert [row["n_slices"] for row in found.rows["ct_series"]] == [4, 1]


def test_values_that_no_table_could_hold_do_not_stop_the_reading(folder):
    ds = tiny.ct_slice(4)
    item = Dataset()
    item.CodeValue = "x"
    ds.ProcedureCodeSequence = [item]
    raw = tiny.to_bytes(ds)
    # A sequence whose item claims more bytes than there are.
    place = raw.index(struct.pack("<HH", 0x0008, 0x1032))
    broken = raw[: place + 16] + struct.pack("<L", 0x7FFFFFFF) + raw[place + 20 :]
    (series(folder) / "1-05.dcm").write_bytes(broken)
    row = by_name(read(folder))["1-05.dcm"]
    assert row["kind"] in {"ct", "unreadable"}


def test_a_crash_while_measuring_fails_that_object_alone(folder, monkeypatch):
    from crlm_qc.evidence import patient as module

    def crash(*arguments):
        raise RecursionError("a value from the file")

    monkeypatch.setattr(module, "measure_masks", crash)
    found = read(folder, Depth.MASKS)
    assert (found.rows["dsos"][0]["masks"], found.rows["dsos"][0]["masks_detail"]) == (
        "failed",
        "RecursionError while measuring",
    )
    assert len(found.rows["slices"]) == 3


def test_an_empty_folder_is_an_empty_patient():
    found = read_patient("CRLM-CT-1001", (), PROFILE, Depth.PIXELS)
    assert not any(found.rows.values())


def test_items_are_read_in_the_order_of_paths(folder):
    items = find_release(folder.parents[1], PROFILE).patients[0].items
    assert all(isinstance(item, Item) for item in items)
    assert read_patient(tiny.PATIENT, items[::-1], PROFILE, Depth.MASKS) == read(folder, Depth.MASKS)
