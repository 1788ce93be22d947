"""The fuzzer: that it changes files, sees what breaks, and that a small part of its inputs holds."""

import random
import signal
from pathlib import Path

import pytest
from fuzz import mutators, targets
from support import reports, tiny

from crlm_qc.evidence import alike
from crlm_qc.evidence.ct import Lacks
from crlm_qc.evidence.dicom import items
from crlm_qc.report.json_format import render

CHANGES = {
    "dicom": (mutators.dicom, tiny.to_bytes(tiny.ct_slice())),
    "element": (mutators.element, tiny.to_bytes(tiny.ct_slice())),
    "table": (mutators.table, b"a,b,c\n1,2,3\n4,5,6\n"),
    "toml": (mutators.toml, b'[[waivers]]\nrule = "CTS012"\nreason = "known"\n'),
    "tree": (mutators.tree, render(reports.sample())),
    "octets": (mutators.octets, bytes(range(256))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_equal_numbers_give_equal_changes_and_most_change_something(name: str) -> None:
    change, content = CHANGES[name]
    made = [change(random.Random(number), content) for number in range(60)]
    assert made == [change(random.Random(number), content) for number in range(60)]
    assert sum(one != content for one in made) > 50
    assert len(set(made)) > 40


FEW = [("patient", 12), ("series", 40), ("sequences", 30), ("tables", 4), ("settings", 20), ("results", 20)]


@pytest.mark.parametrize(("name", "count"), FEW)
def test_a_few_inputs(name: str, count: int, tmp_path: Path) -> None:
    target = targets.TARGETS[name][0](tmp_path)
    for number in range(count):
        target(random.Random(number))


def test_an_error_of_a_reader_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets.Patient(tmp_path)
    monkeypatch.setattr(targets, "read_patient", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        target(random.Random(1))


def test_a_header_that_comes_to_something_else_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets.Series(tmp_path)
    monkeypatch.setattr(alike, "lacks_of", lambda *_: Lacks(frozenset({"Rows"}), frozenset(), frozenset()))
    with pytest.raises(targets.BrokenError, match="Rows"):
        target(random.Random(1))


def test_changed_headers_are_read_by_what_differs(tmp_path: Path) -> None:
    target = targets.Series(tmp_path)
    for number in range(20):
        target(random.Random(number))
    assert target.changed > 60
    assert target.told_apart > target.changed // 6


def test_a_file_that_is_not_named_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, read = targets.Patient(tmp_path), targets.read_patient
    monkeypatch.setattr(targets, "read_patient", lambda who, items, *rest: read(who, items[1:], *rest))
    with pytest.raises(targets.BrokenError, match="not named"):
        target(random.Random(1))


def test_a_sequence_read_otherwise_than_by_pydicom_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, parsed = targets.Sequences(tmp_path), items._parsed
    monkeypatch.setattr(items, "_parsed", lambda *asked: parsed(*asked)[:1])
    for owner, name in ((targets.mutators, "dicom"), (targets.both_ways, "in_sequences")):
        monkeypatch.setattr(owner, name, lambda _, content: content)
    with pytest.raises(targets.BrokenError, match="otherwise"):
        target(random.Random(3))


def test_what_is_written_into_a_release_is_seen(tmp_path: Path) -> None:
    ground = targets.ground(tmp_path, 1, thin=True)
    with pytest.raises(targets.BrokenError, match="written"), targets.watched(ground):
        (ground.root / "new").touch()


def test_what_takes_too_long_is_seen() -> None:
    with pytest.raises(targets.Late), targets.watched():
        signal.raise_signal(signal.SIGALRM)


def test_what_comes_out_is_seen() -> None:
    targets.silent("nothing of note")
    with pytest.raises(targets.BrokenError, match="came out"):
        targets.silent("", f"PatientName is {mutators.CANARY}")


def test_a_changed_file_is_put_back(tmp_path: Path) -> None:
    ground = targets.ground(tmp_path, 1, thin=True)
    before = ground.metadata.read_bytes()
    ground.change(ground.metadata, lambda *_: b"", random.Random(1))
    assert ground.metadata.read_bytes() == b""
    ground.restore()
    assert ground.metadata.read_bytes() == before
