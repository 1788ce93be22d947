"""The report of a whole cohort with about 2,000 findings, judged on evidence that nobody had to write as files."""

from __future__ import annotations

from support import frames

from crlm_qc.collection.profile import Profile
from crlm_qc.model.report import Report

PATIENTS = tuple(f"CRLM-CT-{1001 + index}" for index in range(197))


def faulty(profile: Profile) -> Report:
    """Every rule that runs on headers and masks, on 197 patients who each have several faults."""
    case = frames.clean(PATIENTS)
    for index, patient in enumerate(PATIENTS):
        slices = [row for row in case["slices"] if row["patient"] == patient]
        for row in slices:
            row["slice_thickness"] = 7.0
            row["manufacturer"] = None
        slices[0]["instance_number"], slices[1]["instance_number"] = 46, 45
        slices[2]["patient_position"] = "FFP"
        slices[3]["rescale_slope"] = 0.0
        slices[4]["rows"] = 500
        slices[5]["study_date"] = "19930606"
        case.remove_ct(8 + index % 4, patient)
        case.dso(patient)["patient_sex"] = "F"
        tumour = next(row for row in case.of("segments", patient) if str(row["label"]).startswith("Tumor"))
        tumour["label"] = "Lesion"
        tumour["type_code"] = "0"
    return frames.run(case, profile)
