"""DSO: each test changes one thing of a clean release and names everything that the rules then find."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from support.frames import FIRST_Z, PATIENTS, SPACING, Case, clean, fit_bytes, flat, only, run, uid

from crlm_qc.collection.profile import Profile
from crlm_qc.model.severity import Severity
from crlm_qc.rulebook.context import Context
from crlm_qc.subjects.dso import dsos_of
from crlm_qc.subjects.sources import sources_of

P1, P2 = PATIENTS
FILE = "1-1.dcm"
LIVER, TUMOUR = 1, 2


@pytest.fixture
def case() -> Case:
    return clean()


def sources(case: Case, frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in case.of("references") if row.get("frame") == frame["frame"]]


def set_source(case: Case, frame: dict[str, Any], name: str) -> None:
    case.change([frame], source_uid=name)
    case.change(sources(case, frame), sop_instance_uid=name)


def top(case: Case, level: str) -> list[dict[str, Any]]:
    return [row for row in case.of("references") if row["level"] == level]


def context_of(case: Case, profile: Profile) -> Context:
    return Context(case.evidence(), profile)


@pytest.mark.parametrize(
    ("code", "subject", "values"),
    [
        ("DSO001", "SOPClassUID", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}),
        ("DSO001", "Modality", {"modality": "OT"}),
        ("DSO002", FILE, {"rows": 516}),
        ("DSO003", "FrameOfReferenceUID", {"frame_of_reference_uid": uid(8, 4)}),
        ("DSO003", "FrameOfReferenceUID", {"frame_of_reference_uid": None}),
        ("DSO004", "StudyInstanceUID", {"study_uid": uid(8, 1)}),
        ("DSO004", "PatientID", {"patient_id": P2}),
        ("DSO005", FILE, {"n_referenced_series": None}),
        ("DSO015", FILE, {"number_of_frames": 22}),
        ("DSO016", FILE, {"pixel_bytes_found": 1000}),
        ("DSO022", FILE, {"segmentation_type": "FRACTIONAL", "fractional_maximum": 255}),
        ("DSO022", FILE, {"transfer_syntax_uid": "1.2.840.10008.1.2.5", "pixel_bytes_expected": None}),
        ("DSO029", "PatientSex", {"patient_sex": "F"}),
        ("DSO029", "PatientAge", {"patient_age": "056Y"}),
    ],
)
def test_the_object(case: Case, profile: Profile, code: str, subject: str, values: dict[str, Any]) -> None:
    case.dso().update(values)
    if "rows" in values:
        fit_bytes(case.dso())
    if "n_referenced_series" in values:
        case.drop("references", lambda row: row["patient"] != P1 or row["level"] == "frame")
    if code == "DSO015":
        # The pixels fit the number, or the items: in both cases it is the count that is wrong.
        assert flat(case, profile) == [(code, P1, subject)]
        fit_bytes(case.dso())
    assert flat(case, profile) == [(code, P1, subject)]


def test_a_missing_padding_byte_is_a_warning(case: Case, profile: Profile) -> None:
    case.dso().update(pixel_bytes_expected=530, pixel_bytes_unpadded=529, pixel_bytes_found=529)
    found = only(case, "DSO016", profile)
    assert (found.severity, found.expected) == (Severity.WARNING, "530 bytes")
    assert found.message == (
        "Pixel Data holds 529 bytes, an odd number: all bits are there, and the byte that pads them is missing."
    )


def misread(case: Case, packing: str) -> None:
    """Masks that were not measured, as their bits are packed otherwise than the standard says."""
    case.dso().update(packing=packing, masks="misread")
    case.change([*case.of("segments"), *case.of("frames")], voxels=None, volume_ml=None, hu_median=None, plane=None)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)


def test_the_layout_that_a_length_is_that_of(case: Case, profile: Profile) -> None:
    misread(case, "frames-in-bytes")
    case.dso()["pixel_bytes_found"] += 82
    assert flat(case, profile) == [("DSO016", P1, FILE)]
    assert "That is just what 21 frames take if each begins a new byte" in only(case, "DSO016", profile).message


@pytest.mark.parametrize("order", ["bits-reversed", "bytes-swapped", "bits-of-words-reversed"])
def test_bits_in_another_order(case: Case, profile: Profile, order: str) -> None:
    misread(case, order)
    case.dso().update(byte_steps=1640, byte_steps_mended=1)
    assert flat(case, profile) == [("DSO034", P1, FILE)]
    message = only(case, "DSO034", profile).message
    assert message.endswith("neighbours of two bytes differ 1 time then, and 1,640 times as stored.")


def test_no_mask_is_judged_where_all_are_misread(case: Case, profile: Profile) -> None:
    for row in case["dsos"]:
        row.update(packing="bits-reversed", masks="misread", byte_steps=1640, byte_steps_mended=100)
    reasons = {one.rule: one.reason for one in run(case, profile).outcomes}
    assert "packed otherwise than the standard says (DSO016, DSO034)" in (reasons["SEG008"] or "")


@pytest.mark.parametrize("values", [{"patient_sex": None}, {"patient_age": None}, {"study_date": None}])
def test_what_the_object_need_not_say(case: Case, profile: Profile, values: dict[str, Any]) -> None:
    case.dso().update(values)
    assert flat(case, profile) == []


def test_series_of_another_patient(case: Case, profile: Profile) -> None:
    case.change(top(case, "series") + top(case, "instance"), series_uid=uid(2, 20001))
    assert flat(case, profile) == [("DSO006", P1, "ReferencedSeriesSequence")]
    assert P2 in only(case, "DSO006", profile).message


def test_a_swapped_object(case: Case, profile: Profile) -> None:
    """The object of one patient in the other's folder: whose it is, is told; its geometry is not compared."""
    for row in case["references"]:
        number = 2 if row["patient"] == P1 else 1
        for key in ("series_uid", "sop_instance_uid"):
            if row.get(key):
                row[key] = row[key].replace(f"8273.{3 - number}.", f"8273.{number}.")
    for row in case["frames"]:
        row["position_x"] += 40
    assert flat(case, profile) == [
        ("DSO006", P1, "ReferencedSeriesSequence"),
        ("DSO006", P2, "ReferencedSeriesSequence"),
    ]


def test_a_series_that_nobody_has(case: Case, profile: Profile) -> None:
    case.change(top(case, "series"), series_uid=uid(7, 7))
    assert "not in the release" in only(case, "DSO006", profile).message


def test_the_series_and_another_one(case: Case, profile: Profile) -> None:
    case["references"].append({**top(case, "series")[0], "series_uid": uid(7, 7)})
    case.dso()["n_referenced_series"] = 2
    assert flat(case, profile) == [("DSO006", P1, "ReferencedSeriesSequence")]


def test_an_instance_that_is_not_there(case: Case, profile: Profile) -> None:
    case["references"].append({**top(case, "instance")[0], "sop_instance_uid": uid(1, 5, 99)})
    assert flat(case, profile) == [("DSO007", P1, FILE)]


def test_frames_without_source(case: Case, profile: Profile) -> None:
    for frame in case.frames(TUMOUR):
        frame.update(n_sources=0, source_uid=None)
        gone = sources(case, frame)
        case.drop("references", lambda row, gone=gone: row not in gone)
    assert flat(case, profile) == [("DSO008", P1, FILE)]
    assert "frames 19-21 (Tumor_1)" in only(case, "DSO008", profile).message


def test_a_source_of_another_patient(case: Case, profile: Profile) -> None:
    set_source(case, case.frames(TUMOUR)[0], uid(2, 5, 10))
    assert flat(case, profile) == [("DSO009", P1, FILE), ("DSO010", P1, FILE)]
    assert "names 1 source image outside the CT series: 1 of a CT series of " in only(case, "DSO009", profile).message


def test_a_source_that_is_lost_is_told_with_the_slice(case: Case, profile: Profile) -> None:
    case.remove_ct(12)
    said = only(case, "DSO009", profile).message
    assert said.endswith("drawn on 1 slice that is not on disk (see CTS008).")


def test_a_source_that_is_not_listed(case: Case, profile: Profile) -> None:
    uid_left_out = case.frames(TUMOUR)[0]["source_uid"]
    case.drop("references", lambda row: row["level"] != "instance" or row["sop_instance_uid"] != uid_left_out)
    assert flat(case, profile) == [("DSO010", P1, FILE)]


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ((0, 0, -2.5), "lies 2.5 mm (half a slice) below its source slice 1-"),
        ((0, 0, 5.0), "lies 5 mm (1 slice) above its source slice 1-"),
        ((3, 4, 0), "lies 5 mm sideways of its source slice 1-"),
        ((0, 0, 500), "lies 500 mm (100 slices) above its source slice 1-"),
    ],
)
def test_a_frame_beside_its_slice(case: Case, profile: Profile, moved: tuple[float, float, float], words: str) -> None:
    frame = case.frames(TUMOUR)[1]
    for axis, value in zip("xyz", moved, strict=True):
        frame[f"position_{axis}"] += value
    assert flat(case, profile) == [("DSO011", P1, FILE)]
    assert f"frame {frame['frame']} (Tumor_1) {words}" in only(case, "DSO011", profile).examples[0]


def test_all_frames_beside_their_slices(case: Case, profile: Profile) -> None:
    case.change(case.of("frames"), position_x=-190.0)
    finding = only(case, "DSO011", profile)
    assert finding.count == 21
    assert "frames 1-18 (Liver), 19-21 (Tumor_1)" in finding.message
    assert flat(case, profile) == [("DSO011", P1, FILE)]


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ((0.39, 0.39), "All lie half a pixel to the right and half a pixel down in the image."),
        ((-0.78, 0.0), "All lie 1 pixel to the left in the image."),
        ((0.0, -1.17), "All lie 1.5 pixels up in the image."),
        ((0.5, 0.1), None),
    ],
)
def test_all_frames_a_step_in_plane_away(
    case: Case, profile: Profile, moved: tuple[float, float], words: str | None
) -> None:
    for row in case.of("frames"):
        row["position_x"] += moved[0]
        row["position_y"] += moved[1]
    message = only(case, "DSO011", profile).message
    assert message.endswith(words) if words else "All lie" not in message


def turn(case: Case, rows: bool, columns: bool, transposed: bool, moved: bool = True) -> None:
    """Store the object's masks from another corner, or by columns, so that each voxel stays where it is."""
    width, height = (case.dso()[side] - 1 for side in ("columns", "rows"))
    axes = {"row_x": -1.0 if columns else 1.0, "row_y": 0.0, "col_x": 0.0, "col_y": -1.0 if rows else 1.0}
    if transposed:
        axes = {"row_x": 0.0, "row_y": axes["col_y"], "col_x": axes["row_x"], "col_y": 0.0}
    case.change([case.dso(), *case.of("frames")], **axes)
    for row in case.of("frames") if moved else ():
        row["position_x"] += width * row["spacing_col"] * columns
        row["position_y"] += height * row["spacing_row"] * rows
    if transposed:
        case.dso().update(rows=width + 1, columns=height + 1)
        for row in (case.dso(), *case.of("frames")):
            row["spacing_row"], row["spacing_col"] = row["spacing_col"], row["spacing_row"]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(False, True), (True, False), (True, True), (False, False)])
def test_other_directions_whose_voxels_are_the_cts(
    case: Case, profile: Profile, rows: bool, columns: bool, transposed: bool
) -> None:
    case.change(case.of("slices"), columns=500)
    case.dso()["columns"] = 500
    turn(case, rows, columns, transposed)
    fit_bytes(case.dso())
    assert [one for one in flat(case, profile) if one[0] != "CTS004"] == []
    # One frame that is elsewhere is told as ever.
    case.frames(TUMOUR)[1]["position_z"] += 2.5
    found = only(case, "DSO011", profile)
    assert "lies 2.5 mm (half a slice) above its source slice" in found.message


@pytest.mark.parametrize(("rows", "columns", "transposed"), [(True, False, False), (False, True, True)])
def test_directions_alone_are_another_place(
    case: Case, profile: Profile, rows: bool, columns: bool, transposed: bool
) -> None:
    turn(case, rows, columns, transposed, moved=False)
    assert "DSO012" in {code for code, *_ in flat(case, profile)}


def test_swapped_sources(case: Case, profile: Profile) -> None:
    one, other = case.frames(LIVER)[3], case.frames(LIVER)[9]
    names = one["source_uid"], other["source_uid"]
    set_source(case, one, names[1])
    set_source(case, other, names[0])
    assert flat(case, profile) == [("DSO011", P1, FILE)]
    found = only(case, "DSO011", profile)
    assert found.count == 2
    assert re.fullmatch(
        rf"Frames {one['frame']}, {other['frame']} \(Liver\) have each other's source slice \(1-\d\d.dcm, 1-\d\d.dcm\)\.",
        found.message,
    )
    one["position_x"] += 3
    assert "2 frames lie elsewhere than their source slices" in only(case, "DSO011", profile).message


def test_several_sources_of_which_one_fits(case: Case, profile: Profile) -> None:
    frame = case.frames(TUMOUR)[0]
    frame.update(n_sources=2, source_uid=None)
    case["references"].append({**sources(case, frame)[0], "sop_instance_uid": case.frames(TUMOUR)[1]["source_uid"]})
    assert flat(case, profile) == []


@pytest.mark.parametrize("away", [0.004, -0.004, 0.05, -0.13])
def test_positions_that_were_rounded(case: Case, profile: Profile, away: float) -> None:
    for row in case["frames"]:
        row["position_z"] += away
        row["position_y"] -= away
    assert flat(case, profile) == []


def test_frames_on_one_spacing_over_the_jitter_of_the_table(case: Case, profile: Profile) -> None:
    """dcmqi computes every origin from the first one and one spacing; the table stops where it stops."""
    for place, row in enumerate(case.of("slices")):
        row["position_z"] += (0.0, 0.017, -0.013, 0.008)[place % 4]
    assert flat(case, profile) == []


def test_a_spacing_of_the_first_two_slices_adds_up(case: Case, profile: Profile) -> None:
    for row in case.of("frames"):
        row["position_z"] += 0.002 * (row["position_z"] - FIRST_Z) / SPACING
    assert flat(case, profile) == []


@pytest.mark.parametrize(
    ("moved", "fires", "displaced"),
    [
        # 5% and 10% of 5 mm between slices; a quarter and a half of 0.78 mm between pixels.
        ((0, 0, 0.24), False, False),
        ((0, 0, -0.27), True, False),
        ((0, 0, 0.52), True, True),
        ((0.13, 0.13, 0), False, False),
        ((0.15, -0.15, 0), True, False),
        ((-0.3, 0.3, 0), True, True),
    ],
)
def test_how_far_a_frame_may_lie(
    case: Case, profile: Profile, moved: tuple[float, float, float], fires: bool, displaced: bool
) -> None:
    frame = case.frames(TUMOUR)[1]
    for axis, value in zip("xyz", moved, strict=True):
        frame[f"position_{axis}"] += value
    assert flat(case, profile) == [("DSO011", P1, FILE)] * fires
    context = context_of(case, profile)
    (dso, _) = dsos_of(context)
    sources = sources_of(context, dso)
    assert (sources.elsewhere.sum(), sources.displaced.sum()) == (fires, displaced)
    for words in only(case, "DSO011", profile).examples if fires else ():
        assert "(0 slices)" not in words


def test_half_a_slice_is_found_whatever_the_tolerance(case: Case, profile: Profile) -> None:
    wide = {"frame_along_fraction": 1.0, "frame_in_plane_fraction": 9.0, "spacing_fraction": 0.9}
    lenient = replace(profile, tolerances=profile.tolerances.replaced(wide))
    case.frames(TUMOUR)[1]["position_z"] += 2.5
    assert [code for code, *_ in flat(case, lenient)] == ["DSO011"]


def test_a_ct_of_one_slice_gives_its_thickness(profile: Profile) -> None:
    case = clean()
    for name in range(1, 25):
        if name != 10:
            case.remove_ct(name)
    for frame in case.of("frames"):
        if frame["source_uid"] != uid(1, 5, 10):
            case.remove_frame(frame)
    case.frames(TUMOUR)[0]["position_z"] += 0.2
    assert "DSO011" not in codes(case, profile)
    case.frames(TUMOUR)[0]["position_z"] += 0.1
    assert "lies 0.3 mm above its source slice" in only(case, "DSO011", profile).message
    # Without a thickness either, positions must be the same.
    case.frames(TUMOUR)[0]["position_z"] -= 0.28
    for row in case.of("slices"):
        row["slice_thickness"] = None
    assert "lies 0.02 mm above its source slice" in only(case, "DSO011", profile).message


def test_orientation(case: Case, profile: Profile) -> None:
    case.change(case.of("frames"), row_y=0.002, col_x=-0.002)
    assert flat(case, profile) == [("DSO012", P1, FILE)]


def test_directions_are_written_as_in_dicom(case: Case, profile: Profile) -> None:
    case.change(case.of("frames"), row_x=-1.0)
    finding = only(case, "DSO012", profile)
    assert finding.observed == "-1\\0\\0\\0\\1\\0"
    assert finding.expected == "1\\0\\0\\0\\1\\0, within 0.0001"


def test_what_is_malformed_is_not_called_missing(case: Case, profile: Profile) -> None:
    case.dso()["malformed"] = json.dumps(["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"])
    nothing = {f"{name}_{axis}": None for name in ("row", "col") for axis in "xyz"}
    case.change(case.of("frames"), spacing_row=None, spacing_col=None, **nothing)
    case.frames(LIVER)[0].update(position_x=None, position_y=None, position_z=None)
    assert only(case, "DSO012", profile).observed == "malformed"
    assert only(case, "DSO013", profile).observed == "malformed"
    assert "with a malformed position" in only(case, "DSO014", profile).message


def test_no_orientation(case: Case, profile: Profile) -> None:
    case.change(case.of("frames"), **dict.fromkeys(("row_x", "row_y", "row_z", "col_x", "col_y", "col_z")))
    assert flat(case, profile) == [("DSO012", P1, FILE)]


def test_pixel_spacing(case: Case, profile: Profile) -> None:
    case.change(case.of("frames") + case.of("dsos"), spacing_row=1.5, spacing_col=1.5)
    # Its volumes are wrong as well, for the same reason.
    case.segment(LIVER)["volume_ml"] *= 3.7
    assert flat(case, profile) == [("DSO013", P1, FILE)]


def no_source(case: Case, frame: dict[str, Any]) -> None:
    frame.update(n_sources=0, source_uid=None)
    gone = sources(case, frame)
    case.drop("references", lambda row: row not in gone)


@pytest.mark.parametrize(
    ("z", "words"),
    [(2.0, "off the lattice"), (-2.5, "off the lattice"), (300.0, "outside the CT"), (-300.0, "outside the CT")],
)
def test_a_frame_without_source_off_the_lattice(case: Case, profile: Profile, z: float, words: str) -> None:
    frame = case.frames(LIVER)[0]
    no_source(case, frame)
    frame["position_z"] += z
    found = flat(case, profile)
    assert [one for one in found if one[0] != "DSO023"] == [("DSO008", P1, FILE), ("DSO014", P1, FILE)]
    assert words in only(case, "DSO014", profile).message


def test_a_frame_without_position(case: Case, profile: Profile) -> None:
    case.frames(LIVER)[0].update(position_x=None, position_y=None, position_z=None)
    assert flat(case, profile) == [("DSO014", P1, FILE)]


def test_a_frame_on_a_slice_that_is_lost_at_the_end(case: Case, profile: Profile) -> None:
    """The lost slice is told by its references; that the frame lies beyond the CT then is no second fault."""
    for name in (20, 21, 22, 23, 24):
        case.remove_ct(name)
    for name in (25, 26, 27, 28, 29):
        base = case.slice(1)
        new = {**base, "path": base["path"].replace("1-01", f"1-{name}"), "sop_instance_uid": uid(1, 5, name)}
        new |= {"position_z": base["position_z"] + SPACING * (name - 24), "instance_number": 69 - name}
        new["pixel_digest"] = f"new-{name}"
        file = {**case.ct(1)[1], "path": new["path"], "sop_instance_uid": new["sop_instance_uid"]}
        case["slices"].append(new)
        case["files"].append(file | {"meta_sop_instance_uid": new["sop_instance_uid"]})
    assert [code for code, *_ in flat(case, profile)] == ["DSO007", "DSO009"]


def renumber(case: Case, numbers: dict[int, int], *, frames: bool = True, declared: bool = True) -> None:
    for row in case.of("segments"):
        row["segment_number"] = (
            numbers.get(row["segment_number"], row["segment_number"]) if declared else row["segment_number"]
        )
    if frames:
        for row in case.of("frames"):
            row["segment_number"] = numbers.get(row["segment_number"], row["segment_number"])
            index = json.loads(row["dimension_index"])
            row["dimension_index"] = json.dumps([row["segment_number"], index[1]])
    for row in case.of("segment_pairs"):
        for key in ("segment_a", "segment_b"):
            row[key] = numbers.get(row[key], row[key])


@pytest.mark.parametrize("numbers", [{2: 378}, {1: 0, 2: 1}])
def test_segment_numbers(case: Case, profile: Profile, numbers: dict[int, int]) -> None:
    renumber(case, numbers)
    assert flat(case, profile) == [("DSO017", P1, FILE)]


def test_segment_numbers_of_the_sequence_alone(case: Case, profile: Profile) -> None:
    renumber(case, {2: 5}, frames=False)
    new = case.segment(5)
    case["segments"].append({**new, "segment_number": 2, "declared": False, "label": None, "type_code": None})
    new.update(n_frames=0, voxels=0)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert flat(case, profile) == [("DSO017", P1, FILE)]


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [({1: 2, 2: 1}, "Segments are numbered 2, 1, not 1 to 2 in this order."), ({2: 1}, "numbered 1, 1, not 1 to 2.")],
)
def test_segments_out_of_order_or_twice(case: Case, profile: Profile, numbers: dict[int, int], shown: str) -> None:
    renumber(case, numbers, frames=numbers != {2: 1})
    assert shown in only(case, "DSO017", profile).message


def label_map(case: Case) -> None:
    """Frames that hold both segments, as far as they had one; the tumour's are taken out."""
    case.dso().update(segmentation_type="LABELMAP", dimension_pointers=None)
    tumours = {row["position_z"] for row in case.frames(TUMOUR)}
    for frame in case.frames(TUMOUR):
        case.remove_frame(frame)
    for row in case.of("frames"):
        held = [LIVER, TUMOUR] if row["position_z"] in tumours else [LIVER]
        row.update(segment_number=None, dimension_index=None, segments_held=json.dumps(held))


def test_a_label_map_may_declare_its_background_and_leave_gaps(case: Case, profile: Profile) -> None:
    label_map(case)
    renumber(case, {LIVER: 4, TUMOUR: 9}, frames=False)
    for row in case.of("frames"):
        row["segments_held"] = row["segments_held"].replace("2", "9").replace("1", "4")
    # The background holds pixels at the border, where PixelPaddingValue is that of another segment.
    background = {**case.segment(4), "segment_number": 0, "label": "Background", "n_frames": 0, "row_min": 0}
    case["segments"].append(background | {"type_code": None, "type_scheme": None, "type_meaning": None})
    assert flat(case, profile) == [("DSO022", P1, FILE), ("SEG018", P1, FILE)]
    background = case["segments"][-1]
    background.update(segment_number=5, label="Nothing", type_code="125040", type_scheme="DCM")
    assert flat(case, profile) == [("DSO022", P1, FILE), ("SEG018", P1, FILE)]


def test_a_segment_number_twice_in_a_label_map(case: Case, profile: Profile) -> None:
    label_map(case)
    case["segments"].append({**case.segment(TUMOUR), "label": "Tumor_2"})
    assert only(case, "DSO017", profile).message == "Segments are numbered 1, 2, 2, not each number once."


def test_a_gap_in_a_label_map(case: Case, profile: Profile) -> None:
    label_map(case)
    frames = [row for row in case.of("frames") if TUMOUR in json.loads(row["segments_held"])]
    frames[1]["segments_held"] = json.dumps([LIVER])
    found = only(case, "DSO021", profile)
    assert found.message.startswith("Tumor_1 has no pixel on 1 slice between its first and last: 1-")
    assert (found.subject.segment, found.count) == (TUMOUR, 1)


def undeclare(case: Case, frames: list[dict[str, Any]], number: int) -> None:
    for frame in frames:
        case.segment(frame["segment_number"])["n_frames"] -= 1
        frame["segment_number"] = number
    case["segments"].append(
        {"patient": P1, "dso": frames[0]["dso"], "segment_number": number, "declared": False, "n_frames": len(frames)}
    )


@pytest.mark.parametrize("which", [slice(1, 2), slice(0, 3)])
def test_frames_of_an_undeclared_segment(case: Case, profile: Profile, which: slice) -> None:
    undeclare(case, case.frames(TUMOUR)[which], 9)
    assert flat(case, profile) == [("DSO018", P1, FILE)]
    assert "segment 9" in only(case, "DSO018", profile).message


def test_frames_of_no_segment(case: Case, profile: Profile) -> None:
    case.frames(LIVER)[0]["segment_number"] = None
    assert flat(case, profile) == [("DSO018", P1, FILE)]


def test_no_frame_names_a_segment(case: Case, profile: Profile) -> None:
    """What the frames hold, nobody knows: no segment is told to be empty, and no frame either."""
    for row in case.of("frames"):
        row.update(segment_number=None, voxels=0)
    for row in case.of("segments"):
        row.update(n_frames=0, voxels=0)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert flat(case, profile) == [("DSO018", P1, FILE)]


def test_no_per_frame_groups(case: Case, profile: Profile) -> None:
    case.dso()["n_frame_items"] = None
    for row in case.of("frames"):
        nothing = ("segment_number", "position_x", "position_y", "position_z", "dimension_index", "source_uid")
        row.update(dict.fromkeys(nothing), n_sources=0)
    case.drop("references", lambda row: row["patient"] != P1 or row["level"] != "frame")
    assert flat(case, profile) == [("DSO015", P1, FILE)]
    found = only(case, "DSO015", profile)
    assert (found.expected, found.observed) == (f"{case.dso()['number_of_frames']} per-frame items", "none")


def test_a_missing_number_of_frames(case: Case, profile: Profile) -> None:
    items = case.dso()["n_frame_items"]
    case.dso().update(number_of_frames=None, pixel_bytes_expected=None)
    found = only(case, "DSO015", profile)
    assert (found.expected, found.observed) == (f"NumberOfFrames {items}", "missing")


def test_a_frame_of_two_segments(case: Case, profile: Profile) -> None:
    for frame in case.of("frames"):
        frame["n_segment_items"] = 1
    case.frames(LIVER)[0]["n_segment_items"] = 2
    assert flat(case, profile) == [("DSO018", P1, "SegmentIdentificationSequence")]
    assert "Frame 1 (Liver) names several segments" in only(case, "DSO018", profile).message


def test_a_segment_without_frames(case: Case, profile: Profile) -> None:
    for frame in case.frames(TUMOUR):
        case.remove_frame(frame)
    case.segment(TUMOUR).update(n_frames=0, voxels=0)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert flat(case, profile) == [("DSO019", P1, TUMOUR)]


def test_a_segment_without_pixels(case: Case, profile: Profile) -> None:
    case.change(case.frames(TUMOUR), voxels=0)
    case.segment(TUMOUR).update(voxels=0, volume_ml=0.0)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert flat(case, profile) == [("DSO019", P1, TUMOUR)]


def add_frame(case: Case, like: dict[str, Any]) -> dict[str, Any]:
    new = {**like, "frame": len(case.of("frames")) + 1}
    for row in sources(case, like):
        case["references"].append({**row, "frame": new["frame"]})
    case["frames"].append(new)
    case.dso()["number_of_frames"] += 1
    case.dso()["n_frame_items"] += 1
    fit_bytes(case.dso())
    return new


def test_a_frame_twice(case: Case, profile: Profile) -> None:
    add_frame(case, case.frames(TUMOUR)[1])
    assert flat(case, profile) == [("DSO020", P1, FILE)]
    assert "frames 20, 22 (Tumor_1) on 1-10.dcm." in only(case, "DSO020", profile).message


def test_frames_twice_without_source_are_told_by_their_position(case: Case, profile: Profile) -> None:
    frame = case.frames(TUMOUR)[1]
    z = frame["position_z"]
    for one in (frame, add_frame(case, frame)):
        no_source(case, one)
    assert f"frames 20, 22 (Tumor_1) at z {z:.0f} mm." in only(case, "DSO020", profile).message


def test_a_frame_that_took_its_neighbours_place(case: Case, profile: Profile) -> None:
    one, other = case.frames(LIVER)[3:5]
    one.update({key: other[key] for key in ("position_x", "position_y", "position_z")})
    set_source(case, one, other["source_uid"])
    assert [code for code, *_ in flat(case, profile)] == ["DSO020", "DSO021"]


def test_a_frame_of_the_wrong_segment(case: Case, profile: Profile) -> None:
    frame = case.frames(TUMOUR)[1]
    frame.update(segment_number=LIVER, dimension_index=None)
    case.change(case.of("frames"), dimension_index=None)
    case.dso()["dimension_pointers"] = None
    assert flat(case, profile) == [("DSO020", P1, FILE)]


def test_a_gap(case: Case, profile: Profile) -> None:
    case.remove_frame(case.frames(LIVER)[5])
    assert flat(case, profile) == [("DSO021", P1, LIVER)]
    assert "1-15.dcm" in only(case, "DSO021", profile).message


def test_a_gap_where_the_ct_has_none(case: Case, profile: Profile) -> None:
    """A slice that was lost, and that nobody drew on, is told of the CT alone."""
    row = next(row for row in case.frames(LIVER) if row["source_uid"] == uid(1, 5, 15))
    case.remove_frame(row)
    case.drop("references", lambda row: row.get("sop_instance_uid") != uid(1, 5, 15))
    case.remove_ct(15)
    assert {code for code, *_ in flat(case, profile)} == {"CTS008", "CTS011"}


def test_gaps_without_a_ct(case: Case, profile: Profile) -> None:
    case.drop("slices", lambda row: row["patient"] != P1)
    case.drop("files", lambda row: row["patient"] != P1 or row["kind"] != "ct")
    case.remove_frame(case.frames(TUMOUR)[1])
    assert flat(case, profile) == [("DSO021", P1, TUMOUR), ("REL008", P1, P1)]


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [1, 1]],
        [[2, 1], [1, 2]],
        [[1, 2], [1, 2]],
        [[1], [1]],
        [],
    ],
)
def test_dimension_indices(case: Case, profile: Profile, values: list[list[int]]) -> None:
    for frame, value in zip(case.frames(LIVER), values, strict=False):
        frame["dimension_index"] = json.dumps(value)
    assert flat(case, profile) == [("DSO023", P1, FILE)] * bool(values)


def test_declared_dimensions_without_any_index(case: Case, profile: Profile) -> None:
    for frame in case.of("frames"):
        frame["dimension_index"] = None
    assert flat(case, profile) == [("DSO023", P1, FILE)]
    assert only(case, "DSO023", profile).message == (
        "No frame has DimensionIndexValues, and the object declares 2 dimensions."
    )
    case.dso()["dimension_pointers"] = "[]"
    assert flat(case, profile) == []


def test_dimension_indices_may_fall_and_may_skip(case: Case, profile: Profile) -> None:
    for row in case["frames"]:
        row["dimension_index"] = json.dumps([row["segment_number"], 900 - 2 * row["frame"]])
    assert flat(case, profile) == []


def test_no_dimension_indices(case: Case, profile: Profile) -> None:
    for row in case["frames"]:
        row["dimension_index"] = None
    for row in case["dsos"]:
        row["dimension_pointers"] = None
    assert flat(case, profile) == []


@pytest.mark.parametrize("label", ["LIVER", "liver", " Liver"])
def test_labels_that_are_forgiven(case: Case, profile: Profile, label: str) -> None:
    case.segment(LIVER)["label"] = label
    assert flat(case, profile) == []


def test_an_unknown_label_is_not_shown(case: Case, profile: Profile) -> None:
    case["segments"].append(
        {**case.segment(TUMOUR), "segment_number": 3, "label": "Jane Roe", "voxels": 300, "n_frames": 3}
    )
    case.dso()["n_segments"] = 3
    for frame in case.frames(TUMOUR):
        new = add_frame(case, frame)
        new.update(segment_number=3, dimension_index=json.dumps([3, json.loads(new["dimension_index"])[1]]))
    assert flat(case, profile) == [("DSO024", P1, 3)]
    assert "Jane" not in str(only(case, "DSO024", profile).as_dict())


def test_unknown_labels_are_one_finding_an_object(case: Case, profile: Profile) -> None:
    for number in range(3, 53):
        case["segments"].append({**case.segment(TUMOUR), "segment_number": number, "label": f"Nucleus {number}"})
    found = only(case, "DSO024", profile)
    assert (found.subject.segment, found.count, len(found.examples)) == (None, 50, 5)
    assert "The labels of 50 segments" in found.message
    assert found.message.endswith("and 45 more.")


def test_no_liver(case: Case, profile: Profile) -> None:
    case.segment(LIVER).update(label="Liver Remnant")
    assert flat(case, profile) == [("DSO025", P1, FILE)]


def test_no_tumour(case: Case, profile: Profile) -> None:
    for frame in case.frames(TUMOUR):
        case.remove_frame(frame)
    case.drop("segments", lambda row: row["patient"] != P1 or row["segment_number"] != TUMOUR)
    case.drop("segment_pairs", lambda row: row["patient"] != P1)
    assert flat(case, profile) == [("DSO025", P1, FILE)]


@pytest.mark.parametrize(
    ("label", "fires"), [("Tumor_2", True), ("tumour 1", False), ("Tumor", False), ("Tumor_0", True)]
)
def test_tumour_numbers(case: Case, profile: Profile, label: str, fires: bool) -> None:
    case.segment(TUMOUR)["label"] = label
    assert flat(case, profile) == [("DSO026", P1, FILE)] * fires


def test_a_label_twice(case: Case, profile: Profile) -> None:
    case.segment(TUMOUR).update(label="liver", type_code="10200004", type_meaning="Liver")
    assert [code for code, *_ in flat(case, profile)] == ["DSO025", "DSO026"]


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ({"type_code": "10200004", "type_meaning": "Liver"}, True),
        ({"type_code": None, "type_meaning": None, "type_scheme": None}, True),
        ({"type_code": "78961009", "type_meaning": "Spleen"}, True),
        ({"type_code": "108369006", "type_meaning": "Neoplasm"}, False),
        ({"type_code": "X-1", "type_meaning": "Liver metastasis"}, False),
    ],
)
def test_property_types(case: Case, profile: Profile, values: dict[str, Any], fires: bool) -> None:
    case.segment(TUMOUR).update(values)
    assert flat(case, profile) == [("DSO027", P1, TUMOUR)] * fires


def test_retired_codes(case: Case, profile: Profile) -> None:
    case.segment(LIVER).update(type_code="T-62000", type_scheme="SRT")
    assert flat(case, profile) == [("DSO028", P1, FILE)]


def test_empty_frames(case: Case, profile: Profile) -> None:
    case.frames(LIVER)[0]["voxels"] = 0
    assert flat(case, profile) == [("DSO030", P1, FILE)]


def test_an_object_that_says_nothing_of_its_frames(case: Case, profile: Profile) -> None:
    case.dso()["n_frame_items"] = None
    for frame in case.frames(LIVER) + case.frames(TUMOUR):
        frame.update(segment_number=None, source_uid=None, n_sources=0, voxels=0)
    case.drop("references", lambda row: row["patient"] != P1 or row["level"] != "frame")
    for row in case.of("segments"):
        row.update(n_frames=0, voxels=None, volume_ml=None, components=None)
    assert flat(case, profile) == [("DSO015", P1, FILE)]


@pytest.mark.parametrize(("label", "severity"), [("Tumor_1", "warning"), ("Portal", "info")])
def test_a_gap_in_a_vessel_is_a_note(case: Case, profile: Profile, label: str, severity: str) -> None:
    case.change([row for row in case.of("segments") if row["segment_number"] == TUMOUR], label=label)
    case.remove_frame(case.frames(TUMOUR)[1])
    assert only(case, "DSO021", profile).severity == severity


@pytest.mark.parametrize("age", ["093Y", "93y", "093 Y", "093"])
def test_an_age_over_89_is_not_shown(case: Case, profile: Profile, age: str) -> None:
    case.dso()["patient_age"] = age
    assert "93" not in str(only(case, "DSO029", profile).as_dict())


@pytest.mark.parametrize("age", ["055 Y", "55y", "55", "660M"])
def test_an_age_is_the_same_however_it_is_written(case: Case, profile: Profile, age: str) -> None:
    case.dso()["patient_age"] = age
    assert flat(case, profile) == []


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        ("056 Y", "056 Y"),
        ("672M", "672M"),
        ("093", "over 89"),
        ("1937", "text of 1 to 8 characters"),
        ("Jane", "text of 1 to 8 characters"),
    ],
)
def test_another_age_is_shown_and_other_text_is_not(case: Case, profile: Profile, age: str, shown: str) -> None:
    case.dso()["patient_age"] = age
    assert only(case, "DSO029", profile).observed == shown


def test_an_object_with_nothing_in_it(case: Case, profile: Profile) -> None:
    for table in ("frames", "segments", "references", "segment_pairs", "alignments"):
        case.drop(table, lambda row: row["patient"] != P1)
    kept = {"patient", "path", "masks"}
    dso = case.dso()
    dso.update(dict.fromkeys(set(dso) - kept))
    dso["masks"] = "failed"
    found = {code for code, *_ in flat(case, profile)}
    assert found == {"DSO001", "DSO002", "DSO003", "DSO004", "DSO005", "DSO015", "DSO022", "DSO025", "REL010"}


# Several CT series


def second_ct(case: Case) -> str:
    """Another CT series of the first patient, of the same geometry, in the object's top-level list too."""
    series = uid(1, 20003)

    def other(row: dict[str, Any]) -> dict[str, Any]:
        new = {**row}
        for key in ("path", "folder"):
            if key in row:
                new[key] = row[key].replace("101.000000-NA-20001", "102.000000-NA-20003")
        for key in ("sop_instance_uid", "meta_sop_instance_uid"):
            if row.get(key):
                new[key] = row[key].replace("8273.1.5.", "8273.1.7.")
        return new | {"series_uid": series} | ({"series_number": 102} if "series_number" in row else {})

    for table in ("slices", "files"):
        case[table] += [other(row) for row in case.of(table) if "101.000000" in row["path"]]
    case["references"] += [other(row) for row in [*top(case, "series"), *top(case, "instance")]]
    case.dso()["n_referenced_series"] = 2
    return series


def move_sources(case: Case, frames: list[dict[str, Any]]) -> None:
    for frame in frames:
        set_source(case, frame, frame["source_uid"].replace("8273.1.5.", "8273.1.7."))


def codes(case: Case, profile: Profile) -> list[str]:
    return [code for code, *_ in flat(case, profile) if not code.startswith(("REL", "CTS", "XRF"))]


def examined(case: Case, profile: Profile) -> dict[str, int]:
    return {outcome.rule: outcome.examined for outcome in run(case, profile).outcomes}


def test_two_ct_series_between_which_nothing_decides(case: Case, profile: Profile) -> None:
    series = second_ct(case)
    frames = case.of("frames")[:-1]
    case.remove_frame(case.of("frames")[-1])
    move_sources(case, frames[::2])
    case.dso()["frame_of_reference_uid"] = uid(8, 4)
    for frame in frames:
        frame["position_z"] += 2.5
    found = [one for one in run(case, profile).findings if one.rule.startswith("DSO")]
    (finding,) = [one for one in found if one.rule == "DSO031"]
    assert {one.rule for one in found} == {"DSO031"}
    assert finding.severity == "error"
    assert finding.count == 2
    assert finding.message == (
        f"The object refers to 2 CT series of this patient: {uid(1, 20001)}, {series}. "
        "Which one it was drawn on can't be told, so it was compared with none."
    )
    counted = examined(case, profile)
    assert [counted[code] for code in ("DSO002", "DSO003", "DSO004", "DSO011", "DSO029")] == [1, 1, 1, 21, 1]
    assert [counted[code] for code in ("DSO001", "DSO006", "DSO031")] == [2, 2, 2]


def test_two_ct_series_and_frames_without_sources(case: Case, profile: Profile) -> None:
    second_ct(case)
    for frame in case.of("frames"):
        no_source(case, frame)
    assert codes(case, profile) == ["DSO008", "DSO031"]
    assert "compared with none" in only(case, "DSO031", profile).message


def test_two_ct_series_of_which_most_frames_name_one(case: Case, profile: Profile) -> None:
    series = second_ct(case)
    move_sources(case, case.frames(LIVER)[:5])
    assert codes(case, profile) == ["DSO009", "DSO031"]
    finding = only(case, "DSO031", profile)
    assert finding.severity == "warning"
    assert finding.message.endswith(
        f"It was compared with {uid(1, 20001)}, where the source images of 16 of 21 frames lie."
    )
    assert f": 5 of another CT series of this patient ({series})." in only(case, "DSO009", profile).message


def test_two_ct_series_in_the_list_alone(case: Case, profile: Profile) -> None:
    second_ct(case)
    assert codes(case, profile) == ["DSO031"]
    assert only(case, "DSO031", profile).severity == "warning"


def test_two_ct_series_of_which_the_object_names_one(case: Case, profile: Profile) -> None:
    series = second_ct(case)
    case.drop("references", lambda row: row.get("series_uid") != series)
    case.dso()["n_referenced_series"] = 1
    assert codes(case, profile) == []


def test_two_ct_series_and_no_list(case: Case, profile: Profile) -> None:
    second_ct(case)
    case.drop("references", lambda row: row["patient"] != P1 or row["level"] == "frame")
    case.dso()["n_referenced_series"] = None
    assert codes(case, profile) == ["DSO005"]
    move_sources(case, case.frames(LIVER)[:5])
    assert codes(case, profile) == ["DSO005", "DSO009", "DSO031"]
    for frame in case.of("frames"):
        no_source(case, frame)
    assert codes(case, profile) == ["DSO005", "DSO008", "DSO031"]
    assert only(case, "DSO031", profile).message.startswith(
        "The object refers to no CT series, and this patient has 2: "
    )


def test_the_only_object_of_two_ct_series_is_not_counted_as_examined(profile: Profile) -> None:
    case = clean(PATIENTS[:1])
    second_ct(case)
    move_sources(case, case.frames(LIVER)[:11])
    case.remove_frame(case.frames(LIVER)[0])
    outcomes = {outcome.rule: outcome for outcome in run(case, profile).outcomes}
    for code in ("DSO002", "DSO003", "DSO004", "DSO009", "DSO011", "DSO012", "DSO013", "DSO014", "DSO029", "DSO032"):
        assert (outcomes[code].status, outcomes[code].reason) == ("skipped", "nothing there to examine"), code
    assert outcomes["DSO031"].status == "failed"


def test_a_series_whose_stack_cannot_be_made_costs_no_other(
    case: Case, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crlm_qc.geometry import stack

    fit = stack.fit

    def break_down(positions: Any, *rest: Any) -> Any:
        if positions[0, 2] > 900:
            raise FloatingPointError("a value from the file")
        return fit(positions, *rest)

    monkeypatch.setattr(stack, "fit", break_down)
    for row in case.of("slices") + case.of("frames"):
        row["position_z"] += 2000
    case.frames(TUMOUR, P2)[1]["position_z"] += 2.5
    found = flat(case, profile)
    assert ("CTS019", P1, "stack") in found
    assert ("DSO011", P2, FILE) in found
    assert {one[1] for one in found if one[0] != "DSO011"} == {P1}
    finding = only(case, "CTS019", profile)
    assert "No stack can be made of the positions (FloatingPointError)" in finding.message
    assert "a value" not in finding.message.replace("made of", "")


# SpacingBetweenSlices and SliceThickness


def measures(case: Case, **values: float | None) -> None:
    for row in case.of("frames"):
        row.update(values)


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ({"spacing_between_slices": 5.0, "slice_thickness": 5.0}, []),
        ({"spacing_between_slices": 5.04}, []),
        ({"spacing_between_slices": None, "slice_thickness": None}, []),
        ({"spacing_between_slices": 2.5}, ["SpacingBetweenSlices"]),
        ({"spacing_between_slices": 5.1}, ["SpacingBetweenSlices"]),
        ({"spacing_between_slices": -5.0}, ["SpacingBetweenSlices"]),
        ({"spacing_between_slices": 0.0}, ["SpacingBetweenSlices"]),
        # dcmqi writes the slice spacing as the thickness, highdicom the CT's thickness.
        ({"slice_thickness": 1.25, "spacing_between_slices": 5.0}, ["SliceThickness"]),
        ({"slice_thickness": 0.0, "spacing_between_slices": 1.0}, ["SliceThickness", "SpacingBetweenSlices"]),
    ],
)
def test_slice_spacing(case: Case, profile: Profile, values: dict[str, float | None], fires: list[str]) -> None:
    measures(case, **values)
    assert flat(case, profile) == [("DSO032", P1, column) for column in fires]


def test_the_thickness_of_the_ct_or_its_spacing(case: Case, profile: Profile) -> None:
    for row in case.of("slices"):
        row["slice_thickness"] = 6.5
    for value in (6.5, 5.0):
        measures(case, slice_thickness=value)
        assert "DSO032" not in codes(case, profile)
    measures(case, slice_thickness=5.5)
    assert only(case, "DSO032", profile).message == (
        "SliceThickness of all frames is 5.5 mm, and the CT's slices are 5 mm apart."
    )
    assert only(case, "DSO032", profile).expected == "5 mm, 6.5 mm, within 0.05 mm"


def test_slice_spacing_of_some_frames(case: Case, profile: Profile) -> None:
    measures(case, spacing_between_slices=5.0)
    for frame in case.frames(TUMOUR):
        frame["spacing_between_slices"] = 3.0
    finding = only(case, "DSO032", profile)
    assert "of frames 19-21 (Tumor_1) is 3 mm" in finding.message
    assert (finding.count, finding.severity) == (3, "warning")


def test_a_malformed_slice_spacing(case: Case, profile: Profile) -> None:
    case.dso()["malformed"] = json.dumps(["SpacingBetweenSlices"])
    assert flat(case, profile) == [("DSO032", P1, "SpacingBetweenSlices")]


# References against the images


MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"


@pytest.mark.parametrize("sop_class", [MR_CLASS, "1.2.840.10008.5.1.4.1.1.66.4", None])
@pytest.mark.parametrize("level", ["instance", "frame"])
def test_the_class_of_a_reference(case: Case, profile: Profile, level: str, sop_class: str | None) -> None:
    for row in top(case, level):
        row["sop_class_uid"] = sop_class
    assert flat(case, profile) == [("DSO033", P1, "ReferencedSOPClassUID")]
    finding = only(case, "DSO033", profile)
    where = {
        "instance": "18 references of the top-level list",
        "frame": "the source images of frames 1-18 (Liver), 19-21 (Tumor_1)",
    }
    assert finding.message.startswith(f"ReferencedSOPClassUID of {where[level]} is ")
    assert (finding.count, finding.severity) == ({"instance": 18, "frame": 21}[level], "warning")


@pytest.mark.parametrize(("number", "severity"), [(7, "warning"), (0, "warning"), (1, "info")])
def test_a_frame_number_for_an_image_of_one_frame(case: Case, profile: Profile, number: int, severity: str) -> None:
    for row in sources(case, case.frames(TUMOUR)[0]):
        row["frame_number"] = number
    assert flat(case, profile) == [("DSO033", P1, "ReferencedFrameNumber")]
    finding = only(case, "DSO033", profile)
    assert (finding.severity, finding.expected) == (severity, "none for an image of one frame")


def test_a_frame_number_for_an_image_of_several(case: Case, profile: Profile) -> None:
    frame = case.frames(TUMOUR)[0]
    for row in case.of("slices"):
        row["number_of_frames"] = 24
    for number, fires in ((1, False), (24, False), (25, True)):
        sources(case, frame)[0]["frame_number"] = number
        assert codes(case, profile) == ["DSO033"] * fires
    assert only(case, "DSO033", profile).expected == "1 to 24"


def test_references_to_images_that_are_no_ct_are_not_held_against_the_object(case: Case, profile: Profile) -> None:
    for row in case.ct():
        row["sop_class_uid"] = MR_CLASS
        if "meta_sop_class_uid" in row:
            row["meta_sop_class_uid"] = MR_CLASS
    assert flat(case, profile) == [("CTS001", P1, "SOPClassUID")]
