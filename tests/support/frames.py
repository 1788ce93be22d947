"""Evidence of a clean release of two patients, as plain rows that a test changes before it builds the tables."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from support.apart import judge_apart

from crlm_qc.collection.profile import Profile
from crlm_qc.geometry.stack import measure
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import frame
from crlm_qc.model.tolerances import Tolerances
from crlm_qc.rules import registry

Row = dict[str, Any]
Rows = list[Row]
Flat = list[tuple[str, str | None, Any]]

ROOT = "1.3.6.1.4.1.14519.5.2.1.9203.8273"
CT_CLASS, SEG_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
EXPLICIT = "1.2.840.10008.1.2.1"
N_SLICES = 24
SPACING = 5.0
PIXEL = 0.78
FIRST_Z = -300.0
LIVER = range(2, 20)
"""Slices (from the top, as their names count) with a frame of the liver; the tumour's are a part of them."""
TUMOUR = range(8, 11)
PATIENTS = ("CRLM-CT-1001", "CRLM-CT-1002")


def uid(*numbers: int) -> str:
    return ".".join([ROOT, *map(str, numbers)])


@dataclass
class Case:
    """Rows of every table; `evidence()` makes the tables."""

    tables: dict[str, Rows] = field(default_factory=dict)
    facts: Facts = field(default_factory=lambda: Facts(root="release", layout="nbia", depth=Depth.PIXELS))

    def __getitem__(self, table: str) -> Rows:
        return self.tables.setdefault(table, [])

    def __setitem__(self, table: str, rows: Rows) -> None:
        self.tables[table] = rows

    def of(self, table: str, patient: str = PATIENTS[0]) -> Rows:
        """Rows of one patient."""
        return [row for row in self[table] if row["patient"] == patient]

    def ct(self, name: int | str | None = None, patient: str = PATIENTS[0]) -> Rows:
        """Rows of `slices` and `files` of one CT file (by its number, from 1), or of all of them."""
        ending = "" if name is None else f"/1-{name:02d}.dcm" if isinstance(name, int) else f"/{name}"
        return [
            row
            for table in ("slices", "files")
            for row in self.of(table, patient)
            if "101.000000" in row["path"] and row["path"].endswith(ending)
        ]

    def slice(self, name: int, patient: str = PATIENTS[0]) -> Row:
        return next(row for row in self.ct(name, patient) if "position_x" in row)

    def dso(self, patient: str = PATIENTS[0]) -> Row:
        return self.of("dsos", patient)[0]

    def frames(self, segment: int, patient: str = PATIENTS[0]) -> Rows:
        return [row for row in self.of("frames", patient) if row["segment_number"] == segment]

    def segment(self, number: int, patient: str = PATIENTS[0]) -> Row:
        return next(row for row in self.of("segments", patient) if row["segment_number"] == number)

    def change(self, rows: Iterable[Row], **values: Any) -> None:
        """Set values in rows, each where the row has such a column."""
        for row in rows:
            row.update({key: value for key, value in values.items() if key in row})

    def drop(self, table: str, keep: Callable[[Row], bool]) -> None:
        self.tables[table] = [row for row in self[table] if keep(row)]

    def remove_ct(self, name: int, patient: str = PATIENTS[0]) -> None:
        """Take a CT file away."""
        paths = {row["path"] for row in self.ct(name, patient)}
        for table in ("slices", "files"):
            self.drop(table, lambda row: row["path"] not in paths)

    def remove_frame(self, row: Row) -> None:
        """Take a frame out of an object, and its references with it."""
        same = (row["dso"], row["frame"])
        self.drop("frames", lambda other: (other["dso"], other["frame"]) != same)
        self.drop("references", lambda other: (other["dso"], other.get("frame")) != same)
        dso = next(other for other in self["dsos"] if other["path"] == row["dso"])
        dso["number_of_frames"] -= 1
        dso["n_frame_items"] -= 1
        fit_bytes(dso)

    def unreadable(self, name: int, patient: str = PATIENTS[0]) -> None:
        """Make a CT file one that can't be read."""
        row = next(row for row in self.ct(name, patient) if "kind" in row)
        kept = {key: row[key] for key in ("patient", "path", "folder", "name", "size", "in_collection")}
        self.remove_ct(name, patient)
        self["files"].append(kept | {"kind": "unreadable", "problem": "empty"})

    def evidence(self) -> Evidence:
        self.tables["series"] = series_rows(self)
        self.tables["ct_series"] = ct_series_rows(self)
        return Evidence(self.facts, {name: _table(name, pickle.dumps(rows)) for name, rows in self.tables.items()})


def _table(name: str, rows: bytes) -> pd.DataFrame:
    # pandas copies what is written to, so that what somebody does to a table is seen in no other.
    return _table_once(name, rows).copy(deep=False)


@lru_cache(maxsize=64)
def _table_once(name: str, rows: bytes) -> pd.DataFrame:
    """A table of pickled rows: most tests change one or two tables of all that a case has."""
    made: pd.DataFrame = frame(name, pickle.loads(rows))
    return made


def fit_bytes(dso: Row) -> None:
    """Set Pixel Data to the length that the object's frames need."""
    bits = dso["rows"] * dso["columns"] * dso["number_of_frames"]
    dso["pixel_bytes_expected"] = dso["pixel_bytes_found"] = -(-bits // 16) * 2


def series_rows(case: Case) -> Rows:
    groups: dict[tuple[Any, Any, str], Rows] = {}
    for row in case["files"]:
        if row["kind"] in ("ct", "dso"):
            groups.setdefault((row["patient"], row["series_uid"], row["kind"]), []).append(row)
    return [
        {
            "patient": patient,
            "series_uid": series,
            "role": role,
            "modality": rows[0]["modality"],
            "n_instances": len(rows),
            "n_folders": len({row["folder"] for row in rows}),
            "folder": min(row["folder"] for row in rows),
            "size": sum(row["size"] for row in rows),
        }
        for (patient, series, role), rows in groups.items()
    ]


def ct_series_rows(case: Case) -> Rows:
    groups: dict[tuple[Any, Any], Rows] = {}
    for row in case["slices"]:
        groups.setdefault((row["patient"], row["series_uid"]), []).append(row)
    found = []
    for (patient, series), rows in groups.items():
        positions = [[row[f"position_{axis}"] for axis in "xyz"] for row in rows]
        figures = measure(np.array(positions, dtype=float), *_directions(rows[0]), Tolerances())
        found.append(
            {
                "patient": patient,
                "series_uid": series,
                "n_slices": len(rows),
                "spacing": figures.spacing,
                "slice_thickness": rows[0]["slice_thickness"],
            }
        )
    return found


def _directions(row: Row) -> tuple[list[float], list[float]]:
    return [row[f"row_{axis}"] for axis in "xyz"], [row[f"col_{axis}"] for axis in "xyz"]


def clean(patients: Sequence[str] = PATIENTS) -> Case:
    """A clean release: one CT of 24 slices a patient, numbered downward from the head as the collection's are; one
    object with a liver on 18 of them and a tumour on 3; all tables."""
    case = Case()
    for number, patient in enumerate(patients, start=1):
        _patient(case, number, patient)
    case["sources"] += [
        {"source": source, "path": path, "used": True, "edition": "October 2022" if source == "clinical" else None}
        for source, path in (
            ("metadata", "metadata.csv"),
            ("clinical", "clinical.xlsx"),
            ("manifest", "manifest-1669817128730.tcia"),
        )
    ]
    return case


def _patient(case: Case, number: int, patient: str) -> None:
    study, ct, dso = uid(number, 1), uid(number, 20001), uid(number, 30002)
    folder = f"Colorectal-Liver-Metastases/{patient}"
    study_folder = f"{folder}/06-06-1992-NA-CT ABD WITH PEL-{(study.replace('.', ''))[-5:]}"
    ct_folder, dso_folder = f"{study_folder}/101.000000-NA-20001", f"{study_folder}/100.000000-Segmentation-30002"
    case["patients"].append({"patient": patient, "folder": folder, "valid": True})
    shared = {
        "patient": patient,
        "study_uid": study,
        "frame_of_reference_uid": uid(number, 4),
        "patient_id": patient,
        "transfer_syntax_uid": EXPLICIT,
    }
    header = {
        "study_date": "19920606",
        "study_id": None,
        "study_description": "CT ABD WITH PEL",
        "patient_sex": "M",
        "patient_age": "055Y",
    }
    axes = {"row_x": 1.0, "row_y": 0.0, "row_z": 0.0, "col_x": 0.0, "col_y": 1.0, "col_z": 0.0}
    plane = {**axes, "spacing_row": PIXEL, "spacing_col": PIXEL}
    places = []
    for index in range(N_SLICES):
        name = f"1-{index + 1:02d}.dcm"
        place = {
            "position_x": -200.0,
            "position_y": -180.0,
            "position_z": round(FIRST_Z - SPACING * index, 6),
        }
        places.append(place)
        identity = {
            **shared,
            "path": f"{ct_folder}/{name}",
            "sop_instance_uid": uid(number, 5, index + 1),
            "sop_class_uid": CT_CLASS,
            "series_uid": ct,
            "modality": "CT",
        }
        case["slices"].append(
            {
                **identity,
                **header,
                **place,
                **plane,
                "series_description": None,
                "series_number": 101,
                "rows": 512,
                "columns": 512,
                "bits_allocated": 16,
                "bits_stored": 16,
                "pixel_representation": 1,
                "samples_per_pixel": 1,
                "instance_number": 45 + index,
                "acquisition_number": 1,
                "slice_thickness": SPACING,
                "patient_position": "FFS",
                "rescale_slope": 1.0,
                "rescale_intercept": -1024.0,
                "hu_min": -1024.0,
                "hu_max": 900.0,
                "hu_soft": 0.4,
                "hu_lung": 0.2 if index < 6 else 0.03,
                "hu_outside": 0.0,
                "pixel_digest": f"{number}-{index}",
                "wide_pixels": None,
                "rescale_type": "HU",
                "photometric_interpretation": "MONOCHROME2",
                "high_bit": 15,
                "image_type": "ORIGINAL\\PRIMARY\\AXIAL",
                "lossy_image_compression": None,
                "lossy_ratio": None,
                "lossy_method": None,
                "hu_at_min": 0.001,
                "hu_at_max": 0.0001,
                "hu_rim": -996.0,
                "hu_rim_spread": 6.0,
                "hu_body": 70.0,
                "missing": None,
            }
        )
        case["files"].append(_file(identity, ct_folder, name, "ct", 2 * 512 * 512))
    _object(case, number, shared, header, plane, places, dso_folder, ct, dso)
    case["metadata"] += [
        {
            "row": 2 * number + place,
            "series_uid": series,
            "subject_id": patient,
            "patient": patient,
            "modality": modality,
        }
        for place, (series, modality) in enumerate(((ct, "CT"), (dso, "SEG")))
    ]
    case["manifest"] += [{"line": 6 + 2 * number, "entry": ct}, {"line": 7 + 2 * number, "entry": dso}]
    case["clinical"].append(
        {
            "row": number + 1,
            "patient_id": patient,
            "patient": patient,
            "column": "Patient-ID",
            "text": patient,
            "type": "text",
        }
    )


def _file(identity: Row, folder: str, name: str, kind: str, pixels: int) -> Row:
    return {
        **identity,
        "folder": folder,
        "name": name,
        "size": pixels + 2000,
        "kind": kind,
        "in_collection": True,
        "problem": None,
        "meta_sop_instance_uid": identity["sop_instance_uid"],
        "meta_sop_class_uid": identity["sop_class_uid"],
        "pixel_bytes_expected": pixels,
        "pixel_bytes_found": pixels,
        "trailing_bytes": 0,
        "invalid_uids": None,
    }


def _object(
    case: Case,
    number: int,
    shared: Row,
    header: Row,
    plane: Row,
    places: Rows,
    folder: str,
    ct: str,
    series: str,
) -> None:
    path = f"{folder}/1-1.dcm"
    owner = {"patient": shared["patient"], "dso": path}
    identity = {
        **shared,
        "path": path,
        "sop_instance_uid": uid(number, 6, 1),
        "sop_class_uid": SEG_CLASS,
        "series_uid": series,
        "modality": "SEG",
    }
    frames = [(1, index) for index in reversed(LIVER)] + [(2, index) for index in reversed(TUMOUR)]
    dso = {
        **identity,
        **header,
        "series_description": "Segmentation",
        "series_number": 100,
        "rows": 512,
        "columns": 512,
        "bits_allocated": 1,
        "bits_stored": 1,
        "pixel_representation": 0,
        "samples_per_pixel": 1,
        "number_of_frames": len(frames),
        "n_frame_items": len(frames),
        "n_segments": 2,
        "segmentation_type": "BINARY",
        "n_referenced_series": 1,
        "slice_thickness": SPACING,
        "spacing_between_slices": SPACING,
        **plane,
        "dimension_pointers": json.dumps(["0062000B", "00200032"]),
        "masks": "measured",
    }
    fit_bytes(dso)
    case["dsos"].append(dso)
    case["files"].append(_file(identity, folder, "1-1.dcm", "dso", dso["pixel_bytes_expected"]))
    case["references"].append({**owner, "level": "series", "series_uid": ct})
    source = {"sop_class_uid": CT_CLASS}
    for index in LIVER:
        case["references"].append(
            {**owner, "level": "instance", "series_uid": ct, "sop_instance_uid": uid(number, 5, index + 1), **source}
        )
    ranks = dict.fromkeys((1, 2), 0)
    for place, (segment, index) in enumerate(frames, start=1):
        ranks[segment] += 1
        name = uid(number, 5, index + 1)
        case["frames"].append(
            {
                **owner,
                "frame": place,
                "segment_number": segment,
                **places[index],
                **plane,
                "n_sources": 1,
                "source_uid": name,
                "dimension_index": json.dumps([segment, ranks[segment]]),
                "voxels": 26000 if segment == 1 else 400,
                "mask_digest": f"{number}-{place}",
                "plane": max(LIVER) - index,
            }
        )
        case["references"].append({**owner, "level": "frame", "frame": place, "sop_instance_uid": name, **source})
    voxel_ml = PIXEL * PIXEL * SPACING / 1000
    for segment, (label, indices, voxels) in enumerate((("Liver", LIVER, 468000), ("Tumor_1", TUMOUR, 1200)), start=1):
        case["segments"].append(
            {
                **owner,
                "segment_number": segment,
                "declared": True,
                "label": label,
                "category_code": "85756007",
                "category_scheme": "SCT",
                "type_code": "10200004" if label == "Liver" else "4147007",
                "type_scheme": "SCT",
                "type_meaning": "Liver" if label == "Liver" else "Mass",
                "n_frames": len(indices),
                "voxels": voxels,
                "volume_ml": voxels * voxel_ml,
                "volume_basis": "ct-positions",
                "volume_thickness_ml": voxels * voxel_ml,
                "row_min": 150,
                "row_max": 350,
                "column_min": 60,
                "column_max": 280,
                "n_planes": len(indices),
                "centroid_x": -60.0,
                "centroid_y": -20.0,
                "centroid_z": -350.0,
                "components": 1,
                "largest_component": voxels,
                "specks": 0,
                "hole_voxels": 0 if label == "Liver" else None,
                "hu_median": 105.0 if label == "Liver" else 70.0,
                "hu_below_minus10": 0.01,
                "hu_noise": 12.0,
                "hu_other": 0.005,
            }
        )
    case["segment_pairs"].append(
        {**owner, "segment_a": 1, "segment_b": 2, "overlap_voxels": 1200, "overlap_ml": 1200 * voxel_ml}
    )
    case["alignments"] += [
        {
            **owner,
            "segment_number": 1,
            "placement": placement,
            "about": about,
            "shift": shift,
            "shift_mm": shift * (SPACING if placement == "slices" else PIXEL),
            "voxels": 28000,
            "hu_median": 105.0,
            "hu_spread": spread,
            "hu_below_minus10": below,
            "hu_alike": below + 0.2,
        }
        for placement, about, shift, spread, below in (
            ("stated", None, 0, 14.0, 0.01),
            *(("slices", None, shift, 14.0 + abs(shift), 0.01 + 0.01 * abs(shift)) for shift in (-2, -1, 1, 2)),
            *((kind, None, shift, 18.0, 0.04) for kind in ("rows", "columns") for shift in (-12, 12)),
            *((kind, "image", 0, 35.0, 0.2) for kind in ("left-right", "front-back", "upside-down", "turned")),
        )
    ]
    case["borders"] += [
        {
            **owner,
            "segment_number": 1,
            "axis": axis,
            "spacing_mm": spacing,
            "shift": 0.1,
            "shift_mm": 0.1 * spacing,
            "shift_least": 0.05,
            "faces_low": 900,
            "told_low": 0.8,
            "border_low": -0.3,
            "faces_high": 900,
            "told_high": 0.8,
            "border_high": -0.1,
        }
        for axis, spacing in (("slices", SPACING), ("rows", PIXEL), ("columns", PIXEL))
    ]


_judged: list[tuple[tuple[bytes, Facts, Profile, Settings | None], Report]] = []
"""The case that was judged last, and what it came to."""

FAMILIES = ("REL", "CTS", "DSO", "SEG", "XRF001", "XRF009", "XRF010")


def run(case: Case, profile: Profile, settings: Settings | None = None) -> Report:
    """Judge a case by the rules of `FAMILIES`, after a check that none of them crashes."""
    # Tests ask several things of one case: it is judged again only if it has changed.
    stated = (pickle.dumps(case.tables), case.facts, profile, settings)
    if _judged and _judged[0][0] == stated:
        return _judged[0][1]
    rules = [item for item in registry() if item.code.startswith(FAMILIES)]
    evidence = replace(case, tables=dict(case.tables)).evidence()
    report = judge_apart(evidence, profile, settings or Settings(), rules)
    crashes = [finding.observed for finding in report.findings if finding.rule == "REL900"]
    assert not crashes, crashes
    _judged[:] = [(stated, report)]
    return report


def flat(case: Case, profile: Profile, settings: Settings | None = None) -> Flat:
    """What the rules find, as `(code, patient, subject)`."""
    return sorted(((one.rule, one.patient, subject(one)) for one in run(case, profile, settings).findings), key=str)


def subject(finding: Finding) -> Any:
    """The shortest name of a finding's subject: column or segment, file or folder name, or its kind."""
    one = finding.subject
    for part in (one.column, one.segment, one.path and one.path.rpartition("/")[2]):
        if part is not None:
            return part
    return one.kind.value


def only(case: Case, code: str, profile: Profile) -> Finding:
    """The one finding of a rule."""
    (finding,) = [one for one in run(case, profile).findings if one.rule == code]
    return finding
