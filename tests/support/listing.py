"""A small release as evidence tables: two patients, metadata.csv, manifest, and what lies on disk."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from support.apart import judge_apart

from crlm_qc.collection.reading import load_profile
from crlm_qc.model.evidence import Evidence, Facts
from crlm_qc.model.finding import Finding
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Depth, Settings
from crlm_qc.model.tables import frame
from crlm_qc.rules import registry

ROOT = load_profile().uid_root
CT, SEG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
HEADINGS = load_profile().metadata_columns
N_SLICES, SLICE_BYTES, DSO_BYTES = 3, 527_480, 163_310

Row = dict[str, Any]


@dataclass
class Listing:
    """Rows of the tables that rules of the families MET and MAN read; a test changes them and audits them."""

    rows: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)
    slices: list[Row] = field(default_factory=list)
    dsos: list[Row] = field(default_factory=list)
    patients: list[Row] = field(default_factory=list)
    manifest: list[Row] = field(default_factory=list)
    metadata_source: Row = field(default_factory=dict)
    manifest_source: Row = field(default_factory=dict)
    notes: list[Row] = field(default_factory=list)
    more_sources: list[Row] = field(default_factory=list)

    def row(self, patient: str, modality: str) -> Row:
        """A row of metadata.csv."""
        return next(row for row in self.rows if (row["patient"], row["modality"]) == (patient, modality))

    def headings(self, *headings: str) -> None:
        """Give metadata.csv other headings."""
        self.metadata_source["columns"] = json.dumps(headings)

    def remove_files(self, uid: str) -> None:
        """Take a series off the disk."""
        self.files = [row for row in self.files if row.get("series_uid") != uid]
        self.slices = [row for row in self.slices if row["series_uid"] != uid]
        self.dsos = [row for row in self.dsos if row["series_uid"] != uid]

    def report(self, settings: Settings | None = None, patients_read: tuple[str, ...] = ()) -> Report:
        """Run the rules of both families."""
        tables = {
            "sources": [
                source for source in (self.metadata_source, self.manifest_source, *self.more_sources) if source
            ],
            "metadata": self.rows,
            "list_notes": self.notes,
            "manifest": self.manifest,
            "patients": self.patients,
            "files": self.files,
            "slices": self.slices,
            "dsos": self.dsos,
        }
        facts = Facts(root="release", depth=Depth.PIXELS, patients_read=patients_read)
        evidence = Evidence(facts, {name: frame(name, rows) for name, rows in tables.items()})
        rules = [item for item in registry() if item.family in ("MET", "MAN")]
        return judge_apart(evidence, load_profile(), settings, rules)

    def found(self, settings: Settings | None = None, patients_read: tuple[str, ...] = ()) -> list[Finding]:
        """What they find, by code and line."""
        findings = self.report(settings, patients_read).findings
        return sorted(findings, key=lambda one: (one.rule, one.subject.row or 0, one.subject.column or ""))

    def flat(self, **options: Any) -> list[tuple[str, int | None, str | None]]:
        """Code, line and column of every finding."""
        return [(one.rule, one.subject.row, one.subject.column) for one in self.found(**options)]


def _series(listing: Listing, line: int, patient: str, modality: str) -> None:
    number = int(patient[-4:])
    is_ct = modality == "CT"
    uid, study = f"{ROOT}.{number}.{1 if is_ct else 2}", f"{ROOT}.{number}.9"
    name = "101.000000-NA-" if is_ct else "100.000000-Segmentation-"
    folder = f"Colorectal-Liver-Metastases/{patient}/06-07-1992-NA-CT CHABDPEL-00009/{name}0000{uid[-1]}"
    manufacturer, description = ("GE MEDICAL SYSTEMS", "NA") if is_ct else ("QIICR", "Segmentation")
    n, size = (N_SLICES, SLICE_BYTES) if is_ct else (1, DSO_BYTES)
    sop_class = CT if is_ct else SEG
    listing.rows.append(
        {
            "row": line,
            "series_uid": uid,
            "collection": "Colorectal-Liver-Metastases",
            "third_party_analysis": "NO",
            "data_description_uri": "https://doi.org/10.7937/QXK2-QG03",
            "subject_id": patient,
            "study_uid": study,
            "study_description": "CT CH/ABD/PEL",
            "study_date": "06-07-1992",
            "series_description": description,
            "manufacturer": manufacturer,
            "modality": modality,
            "sop_class_name": "CT Image Storage" if is_ct else "Segmentation Storage",
            "sop_class_uid": sop_class,
            "number_of_images": str(n),
            "file_size": "1.58 MB" if is_ct else "163.31 KB",
            "file_location": f"./{folder}",
            "download_timestamp": "2023-05-02T10:00:00.000",
            "patient": patient,
            "images": n,
            "size_decimal": 1.58e6 if is_ct else 163.31e3,
            "size_binary": 1.58 * 2**20 if is_ct else 163.31 * 2**10,
            "date": "19920607",
            "folder": folder,
        }
    )
    identity = {
        "patient": patient,
        "series_uid": uid,
        "study_uid": study,
        "patient_id": patient,
        "sop_class_uid": sop_class,
    }
    header = {
        **identity,
        "modality": modality,
        "study_date": "19920607",
        "study_description": "CT CH/ABD/PEL",
        "series_description": None if is_ct else description,
        "manufacturer": manufacturer,
    }
    for k in range(n):
        path, instance = f"{folder}/1-{k + 1}.dcm", f"{uid}.{k + 1}"
        listing.files.append(
            {
                **identity,
                "path": path,
                "folder": folder,
                "name": f"1-{k + 1}.dcm",
                "size": size,
                "kind": "ct" if is_ct else "dso",
                "in_collection": True,
                "sop_instance_uid": instance,
                "pixel_bytes_expected": 10,
                "pixel_bytes_found": 10,
                "trailing_bytes": 0,
            }
        )
        here = {**header, "path": path, "sop_instance_uid": instance}
        if is_ct:
            listing.slices.append(here)
        else:
            listing.dsos.append({**here, "masks": "measured"})


def make_listing() -> Listing:
    """A clean release of CRLM-CT-1001 and CRLM-CT-1002; CT in lines 2 and 4, SEG in lines 3 and 5."""
    return deepcopy(_CLEAN)


def _make() -> Listing:
    listing = Listing()
    lines = iter(range(2, 100))
    for patient in ("CRLM-CT-1001", "CRLM-CT-1002"):
        folder = f"Colorectal-Liver-Metastases/{patient}"
        listing.patients.append({"patient": patient, "folder": folder, "valid": True})
        for modality in ("CT", "SEG"):
            _series(listing, next(lines), patient, modality)
    listing.manifest = [{"line": 7 + k, "entry": row["series_uid"]} for k, row in enumerate(listing.rows)]
    used: Mapping[str, Any] = {"used": True, "n_rows": 4}
    listing.metadata_source = {"source": "metadata", "path": "metadata.csv", "columns": json.dumps(HEADINGS), **used}
    listing.manifest_source = {"source": "manifest", "path": "manifest-1.tcia", **used}
    return listing


_CLEAN = _make()
