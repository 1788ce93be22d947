"""A fault for every rule whose findings can be seen in the images: what each changes of the clean release of `frames`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from support.frames import FIRST_Z, PATIENTS, PIXEL, ROOT, SPACING, Case, Row, uid

FIRST = PATIENTS[0]
LIVER, TUMOUR, THIRD = 1, 2, 3
EDGE = 24
"""A slice beyond the segments."""

Change = Callable[[Case], object]


def on_slice(**values: Any) -> Change:
    """Other values of two slices."""
    return lambda case: [case.slice(name).update(values) for name in (9, 12)]


def on_segment(segment: int, **values: Any) -> Change:
    return lambda case: case.segment(segment).update(values)


def on_all(table: str, **values: Any) -> Change:
    return lambda case: [row.update(values) for row in case.of(table)]


def sources(case: Case, frame: Row) -> list[Row]:
    return [row for row in case.of("references") if row.get("frame") == frame["frame"]]


def share(case: Case, one: int, other: int, voxels: int) -> None:
    """Let two segments have so many voxels in common."""
    owner = {"patient": FIRST, "dso": case.dso()["path"]}
    case.drop("segment_pairs", lambda row: (row["patient"], row["segment_a"], row["segment_b"]) != (FIRST, one, other))
    case["segment_pairs"].append({**owner, "segment_a": one, "segment_b": other, "overlap_voxels": voxels})


def third_segment(label: str, *, voxels: int = 1200, in_liver: int | None = None, in_tumour: int = 0) -> Change:
    """Another segment on the tumour's slices."""

    def change(case: Case) -> None:
        case["segments"].append({**case.segment(TUMOUR), "segment_number": THIRD, "label": label, "voxels": voxels})
        for frame in case.frames(TUMOUR):
            new = {**frame, "frame": len(case.of("frames")) + 1, "segment_number": THIRD, "voxels": voxels // 3}
            case["frames"].append(new | {"dimension_index": None})
            case["references"] += [{**row, "frame": new["frame"]} for row in sources(case, frame)]
        share(case, LIVER, THIRD, voxels if in_liver is None else in_liver)
        if in_tumour:
            share(case, TUMOUR, THIRD, in_tumour)

    return change


def exclusive(case: Case) -> None:
    """Cut the tumour out of the liver."""
    case.drop("segment_pairs", lambda row: row["patient"] != FIRST)
    case.segment(TUMOUR)["rim_in_liver"] = 1.0


def fits_better(placement: str, shift: int = 0, *, stated: float = 0.2) -> Change:
    """Let the CT values under the liver's mask be those of a liver at another placement."""

    def change(case: Case) -> None:
        rows = {(row["placement"], row["shift"]): row for row in case.of("alignments")}
        rows["stated", 0].update(hu_spread=40.0, hu_below_minus10=stated)
        rows[placement, shift].update(hu_spread=12.0, hu_below_minus10=0.0)

    return change


def tumour_size(case: Case) -> None:
    """The workbook states a tumour of 30 cm."""
    case["clinical"].append(
        {**case["clinical"][0], "column": "max_tumor_size", "text": "30", "value": 30.0, "type": "number"}
    )
    for segment in case["segments"]:
        segment.update(diameter_axial_mm=20.0, diameter_3d_mm=22.0)
    for row in case["sources"]:
        row["edition"] = "April 2023" if row["source"] == "clinical" else None


def note(case: Case) -> None:
    """The workbook says of a supine patient that the scan was prone."""
    case["clinical"].append(
        {**case["clinical"][0], "column": "relevant_notes", "text": "scanned prone", "type": "text"}
    )


def held(attribute: str, tag: str, vr: str, **more: Any) -> Change:
    """An attribute of the headers of the CT series."""
    row = {
        "patient": FIRST,
        "series_uid": uid(1, 20001),
        "attribute": attribute,
        "tag": tag,
        "vr": vr,
        "state": "present",
    }
    return lambda case: case["identifiers"].append({**row, "n_files": 24, "n_values": 24, **more})


def swap_numbers(case: Case) -> None:
    one, other = case.slice(5), case.slice(9)
    one["instance_number"], other["instance_number"] = other["instance_number"], one["instance_number"]


def move(table: str, axis: str, away: float, *names: int) -> Change:
    """Move slices, or frames of the liver, away from where they lie."""

    def change(case: Case) -> None:
        rows = (
            [case.slice(name) for name in names] if table == "slices" else [case.frames(LIVER)[name] for name in names]
        )
        for row in rows:
            row[f"position_{axis}"] += away

    return change


def no_source(case: Case, frames: Sequence[Row]) -> None:
    for frame in frames:
        frame.update(n_sources=0, source_uid=None)
        gone = sources(case, frame)
        case.drop("references", lambda row, gone=gone: row not in gone)


def off_the_lattice(case: Case) -> None:
    """Frames without a source: one beside the slices, one far outside, and one that lies nowhere."""
    frames = case.frames(LIVER)[:3]
    no_source(case, frames)
    frames[0]["position_z"] += 2.0
    frames[1]["position_z"] += 300.0
    frames[2].update(position_x=None, position_y=None, position_z=None)


def tilted(case: Case) -> None:
    cos, sin = np.cos(np.radians(12)), np.sin(np.radians(12))
    matrix = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    for row in case.of("slices") + case.of("frames"):
        for name in ("position", "row", "col"):
            old = np.array([row[f"{name}_{axis}"] for axis in "xyz"])
            row.update({f"{name}_{axis}": float(value) for axis, value in zip("xyz", matrix @ old, strict=True)})


def frame_twice(case: Case) -> None:
    like = case.frames(TUMOUR)[1]
    number = len(case.of("frames")) + 1
    case["frames"].append({**like, "frame": number})
    case["references"] += [{**row, "frame": number} for row in sources(case, like)]


def gap_in_the_liver(case: Case) -> None:
    case.remove_frame(case.frames(LIVER)[5])


def not_listed(case: Case) -> None:
    left_out = case.frames(TUMOUR)[1]["source_uid"]
    case.drop("references", lambda row: row["level"] != "instance" or row["sop_instance_uid"] != left_out)


def listed_and_not_there(case: Case) -> None:
    like = next(row for row in case.of("references") if row["level"] == "instance")
    case["references"].append({**like, "sop_instance_uid": uid(1, 5, 99)})


def indices_swapped(case: Case) -> None:
    one, other = case.frames(LIVER)[4:6]
    one["dimension_index"], other["dimension_index"] = other["dimension_index"], one["dimension_index"]


def other_class(case: Case) -> None:
    for row in sources(case, case.frames(TUMOUR)[1]):
        row["sop_class_uid"] = "1.2.840.10008.5.1.4.1.1.4"


def empty_tumour(case: Case) -> None:
    case.change(case.frames(TUMOUR), voxels=0)
    case.segment(TUMOUR).update(voxels=0, volume_ml=0.0)
    case.drop("segment_pairs", lambda row: row["patient"] != FIRST)


def on_one_slice(case: Case) -> None:
    case.segment(TUMOUR)["n_planes"] = 1
    for frame in case.frames(TUMOUR)[1:]:
        frame["voxels"] = 0


def mask_of_another_slice(case: Case) -> None:
    frames = case.frames(LIVER)
    frames[9].update(twin=frames[3]["frame"], jump=2.5)
    frames[3]["jump"] = 0.5


def upside_down(case: Case) -> None:
    """Let lung lie at the feet end."""
    for row in case.of("slices"):
        row["hu_lung"] = 0.2 if row["position_z"] < -380 else 0.03


def in_blocks(case: Case) -> None:
    """Let every second frame of the liver hold the mask of the one before."""
    frames = case.frames(LIVER)
    for first, second in zip(frames[::2], frames[1::2], strict=True):
        second.update(twin=first["frame"], jump=1.0)
        first["jump"] = 1.0


def tumours_as_large_as_the_liver(case: Case) -> None:
    liver = case.segment(LIVER)
    case.segment(TUMOUR).update(voxels=liver["voxels"], volume_ml=liver["volume_ml"])
    share(case, LIVER, TUMOUR, liver["voxels"])


def shared_with_the_other(case: Case, table: str, column: str) -> None:
    for one, other in zip(case.of(table, PATIENTS[0]), case.of(table, PATIENTS[1]), strict=True):
        one[column] = other[column]


VISIBLE: Mapping[str, Change] = {
    "CTS001": on_slice(modality="MR"),
    "CTS002": on_slice(study_uid=f"{ROOT}.9.1"),
    "CTS003": on_slice(rows=256),
    "CTS005": on_slice(row_x=0.9),
    "CTS006": tilted,
    "CTS007": move("slices", "z", SPACING, 12),
    "CTS008": lambda case: case.remove_ct(12),
    "CTS009": move("slices", "z", 1.3, 9, 13),
    "CTS010": move("slices", "x", 3.0, 9, 12),
    "CTS011": swap_numbers,
    "CTS015": on_slice(rescale_slope=0.5),
    "CTS016": on_slice(hu_soft=0.0),
    "CTS025": on_all("slices", hu_soft=0.0),
    "CTS017": on_all("slices", patient_position="HFP"),
    "CTS019": on_slice(missing=json.dumps(["PatientPosition"]), patient_position=None),
    "CTS020": on_slice(pixel_representation=3),
    "CTS021": on_slice(pixel_digest="1-2"),
    "CTS022": on_slice(photometric_interpretation="MONOCHROME1"),
    "CTS023": on_slice(high_bit=11),
    "CTS031": on_slice(patient_sex="F"),
    "CTS032": on_slice(slice_thickness=2.5),
    "DSO002": on_all("dsos", rows=516),
    "DSO007": listed_and_not_there,
    "DSO008": lambda case: no_source(case, case.frames(TUMOUR)),
    "DSO010": not_listed,
    "DSO011": move("frames", "z", 2 * SPACING, 3, 8),
    "DSO012": on_all("frames", row_y=0.002, col_x=-0.002),
    "DSO013": on_all("frames", spacing_row=2 * PIXEL, spacing_col=2 * PIXEL),
    "DSO014": off_the_lattice,
    "DSO019": empty_tumour,
    "DSO020": frame_twice,
    "DSO021": gap_in_the_liver,
    "DSO023": indices_swapped,
    "DSO032": lambda case: case.frames(TUMOUR)[1].update(spacing_between_slices=3.0),
    "DSO033": other_class,
    "SEG001": on_segment(LIVER, volume_ml=400.0),
    "SEG002": on_segment(LIVER, volume_ml=600.0),
    "SEG003": on_segment(TUMOUR, volume_ml=0.0001),
    "SEG004": tumours_as_large_as_the_liver,
    "SEG005": lambda case: share(case, LIVER, TUMOUR, 600),
    "SEG006": third_segment("Tumor_2", in_tumour=30),
    "SEG007": third_segment("Liver Remnant", voxels=9000, in_liver=4000, in_tumour=30),
    "SEG008": on_segment(LIVER, components=2, largest_component=300000),
    "SEG009": on_segment(TUMOUR, components=4, specks=3),
    "SEG010": on_segment(LIVER, row_min=0),
    "SEG011": on_segment(LIVER, centroid_x=-200 + 511 / 2 * PIXEL + 60),
    "SEG012": on_segment(LIVER, hu_median=-60.0, hu_below_minus10=0.7, hu_other=0.6),
    "SEG013": fits_better("front-back"),
    "SEG014": third_segment("Tumor_2", in_tumour=1200),
    "SEG015": on_one_slice,
    "SEG016": on_segment(LIVER, hole_voxels=30000),
    "SEG018": exclusive,
    "SEG019": mask_of_another_slice,
    "SEG022": upside_down,
    "SEG023": in_blocks,
    "SEG021": on_segment(LIVER, along_max=FIRST_Z, voxels_last=20000, voxels_widest=40000),
    "XRF006": tumour_size,
    "XRF007": note,
    "XRF009": lambda case: shared_with_the_other(case, "slices", "pixel_digest"),
    "XRF010": lambda case: shared_with_the_other(case, "frames", "mask_digest"),
    "DID007": held("BurnedInAnnotation", "00280301", "CS", state="code", code="YES"),
    "DID008": held("OverlayData", "60023000", "OW"),
}
"""By the code of the rule that the change makes fire; others may fire as well."""
