"""Memory that Pixel Data are read into, and what is left of it for the next patient."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from support import tiny

from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence import arena as module
from crlm_qc.evidence import patient
from crlm_qc.evidence.arena import Arena
from crlm_qc.evidence.dicom.header import PixelElement
from crlm_qc.evidence.release import find_release
from crlm_qc.evidence.source import Item
from crlm_qc.model.settings import Depth


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    Arena.release()
    yield
    Arena.release()


def test_pieces_do_not_overlap_and_arrays_of_any_type_may_begin_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 1000)
    arena = Arena()
    pieces = [arena.room(size) for size in (3, 600, 1, 1000, 333, 333, 333)]
    for number, piece in enumerate(pieces):
        assert piece is not None
        piece[:] = bytes([number]) * len(piece)
    assert [bytes(piece) for piece in pieces if piece is not None] == [
        bytes([number]) * size for number, size in enumerate((3, 600, 1, 1000, 333, 333, 333))
    ]
    starts = [np.frombuffer(piece, np.uint8).ctypes.data for piece in pieces if piece is not None]
    assert (starts[1] - starts[0]) % 64 == 0
    assert arena.room(1001) is None


def test_a_first_slice_without_pixels_is_read_all_the_same(tmp_path: Path) -> None:
    slices = [tiny.ct_slice(index) for index in range(3)]
    slices[0].PixelData = b""
    tiny.write_patient(tmp_path / "release" / tiny.PATIENT, slices)
    (found,) = find_release(tmp_path / "release", load_profile()).patients
    read = patient.read_patient(found.patient, found.items, load_profile(), Depth.PIXELS)
    assert [row["kind"] for row in read.rows["files"]] == ["ct"] * 3
    assert sorted(row["pixels"] for row in read.rows["slices"]) == ["failed", "read", "read"]


def test_another_patient_gets_the_same_memory() -> None:
    one = Arena()
    first = one.room(10)
    assert first is not None
    first[:] = b"0123456789"
    two = Arena()
    second = two.room(10)
    assert second is not None
    second[:] = b"9876543210"
    assert bytes(first) == b"0123456789"
    one.give_back()
    three = Arena().room(10)
    assert three is not None
    assert bytes(three) == b"0123456789"
    Arena.release()
    assert Arena._left == []


@pytest.mark.parametrize("room", [None, 4, 6])
def test_a_value_that_is_cut_short_is_held_as_far_as_it_goes(room: int | None) -> None:
    pixels = PixelElement(Item("a.dcm", 8), 2, 4, False, 6, "OW")
    pixels.hold(BytesIO(b"--abc"), None if room is None else memoryview(bytearray(room)))
    assert bytes(pixels.value()) == b"abc"
    assert isinstance(pixels.value(), bytes) or pixels.value().readonly


def test_patients_read_one_after_another_are_as_if_read_alone(tmp_path: Path) -> None:
    profile, items = load_profile(), []
    for name, value in (("a", 1100), ("b", 1010)):
        root = tmp_path / name
        slices = [tiny.ct_slice(index, stored=np.full((8, 16), value + index, np.int16)) for index in range(3)]
        for one in slices:
            one.PixelData = (np.arange(128) + value).astype("<i2").tobytes()
        tiny.write_patient(root / profile.name / tiny.PATIENT, slices)
        items.append(find_release(root, profile).patients[0].items)
    alone = []
    for own in items:
        alone.append(patient.read_patient(tiny.PATIENT, own, profile, Depth.PIXELS))
        Arena.release()
    together = [patient.read_patient(tiny.PATIENT, own, profile, Depth.PIXELS) for own in items]
    assert together == alone
    assert alone[0].rows["slices"] != alone[1].rows["slices"]
