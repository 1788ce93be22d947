"""Writes the clinical workbook: invented rows that keep every rule between their columns."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from openpyxl.styles import Font

from crlm_qc.collection.profile import Edition, Profile, Sort, Variable
from crlm_qc.synthetic.cohort import PatientPlan

Value = str | int | float | None

PRONE_NOTE = "This patient was scanned on their stomach."
_STREAM = 2
_DAYS_PER_MONTH = 30
_LARGE_TUMOUR_CM = 5
_HIGH_CEA = 200
_FIXED_TIME = "2022-10-01T00:00:00Z"
_ZIP_TIME = (2022, 10, 1, 0, 0, 0)
_YES_NO = "1 - Yes | 0 - No"
_STATUS = "1 - dead | 0 - alive"
_NUMERIC = "Continuous numeric"
_PERCENT = "Continuous numeric | -999 - not applicable"

# Variable to its description and values, in the manner of the Data Dictionary sheet.
_DICTIONARY: Mapping[str, tuple[str, str]] = {
    "Patient-ID": ("Patient identifier", "character"),
    "De-identify Scout Name": ("Name of the de-identified scout", "character"),
    "age": ("Age at the operation, in years", _NUMERIC),
    "sex": ("Sex", "1-Male | 2-Female"),
    "major_comorbidity": ("Has a major comorbidity", _YES_NO),
    "body_mass_index": ("Body mass index, in kg/m2", "Continuous numeric | -999 - N/A"),
    "node_positive_primary": ("The primary tumour was node-positive", _YES_NO),
    "synchronous_crlm": ("Metastases were synchronous with the primary tumour", _YES_NO),
    "multiple_metastases": ("More than one liver metastasis", _YES_NO),
    "clinrisk_score": ("Clinical risk score", "0-5, -999 - N/A"),
    "clinrisk_stratified": ("Clinical risk score in two groups", "1 - (3,4,5 scores), 0 - (0, 1, 2), -999 - N/A"),
    "carcinoembryonic_antigen": ("Carcinoembryonic antigen, in ng/mL", "Continuous numeric | -999 - N/A"),
    "max_tumor_size": ("Diameter of the largest metastasis, in cm", _NUMERIC),
    "bilobar_disease": ("Metastases in both lobes", _YES_NO),
    "extrahep_disease": ("Disease outside of the liver", _YES_NO),
    "chemo_before_liver_resection": ("Chemotherapy before the liver resection", _YES_NO),
    "preoperative_pve": ("Portal vein embolisation before the operation", _YES_NO),
    "steatosis_yesno": ("Steatosis", _YES_NO),
    "presence_sinusoidal_dilata": ("Sinusoidal dilatation", _YES_NO),
    "NASH_score": ("Score of non-alcoholic steatohepatitis", _NUMERIC),
    "NASH_yesno": ("Non-alcoholic steatohepatitis", _YES_NO),
    "NASH_greater_4": ("Score of non-alcoholic steatohepatitis of 4 or more", _YES_NO),
    "total_response_percent": ("Total response, in %", _PERCENT),
    "necrosis_percent": ("Necrosis of the tumour, in %", _PERCENT),
    "fibrosis_percent": ("Fibrosis of the tumour, in %", _PERCENT),
    "fibrosis_greater_40_percent": ("Fibrosis of 40% or more", "1 - Yes | 0 - No, | -999 - Unknown"),
    "mucin_percent": ("Mucin of the tumour, in %", _PERCENT),
    "overall_survival_months": ("Overall survival, in months", _NUMERIC),
    "vital_status": ("Status for overall survival", _STATUS),
    "progression_or_recurrence": ("Any recurrence", _YES_NO),
    "months_to_DFS_progression": ("Disease-free survival, in months", _NUMERIC),
    "vital_status_DFS": ("Status for disease-free survival", _STATUS),
    "progression_or_recurrence_liveronly": ("Recurrence in the liver", _YES_NO),
    "months_to_liver_DFS_progression": ("Liver disease-free survival, in months", _NUMERIC),
    "vital_status_liver_DFS": ("Status for liver disease-free survival", _STATUS),
    "relevant_notes": ("Notes on the scans", "character"),
}


def workbook_row(plan: PatientPlan, largest_tumour_cm: float, edition: Edition, profile: Profile) -> dict[str, Value]:
    """Invent the row of a patient in a collection's workbook.

    Parameters
    ----------
    plan : PatientPlan
        The patient.
    largest_tumour_cm : float
        Diameter of the largest tumour.
    edition : Edition
        Its columns.
    profile : Profile
        What they hold. Columns that are named as those of Colorectal-Liver-Metastases mean the same.

    Returns
    -------
    dict
        A value a column.

    Raises
    ------
    ValueError
        A column can hold no value that could be invented.
    """
    missing = int(profile.missing_code) if float(profile.missing_code).is_integer() else profile.missing_code
    known = clinical_row(plan, largest_tumour_cm, missing)
    rng = plan.generator(_STREAM, 1)
    row: dict[str, Value] = {}
    for column in edition.columns:
        variable = profile.variables[column]
        if variable.sort is Sort.PATIENT:
            row[column] = plan.patient
            continue
        value = known[column] if column in known else _invented(variable, plan, missing, rng)
        if not _fits(value, variable, missing):
            raise ValueError(
                f"column {column} of the workbook ([clinical.variables]): no value to write could be invented"
            )
        row[column] = value
    return row


def _invented(variable: Variable, plan: PatientPlan, missing: float, rng: np.random.Generator) -> Value:
    if variable.sort is Sort.CODE:
        codes = sorted(variable.codes - {int(missing)})
        return int(rng.choice(codes)) if codes else None
    if variable.sort is Sort.NUMBER:
        low, high = variable.low, variable.high
        low = low if math.isfinite(low) else min(0.0, high - 100)
        high = high if math.isfinite(high) else low + 100
        value = low + (high - low) * float(rng.uniform(0.25, 0.75))
        rounded = round(value, 1)
        return rounded if low <= rounded <= high else value
    if variable.sort is Sort.PERCENT:
        return int(rng.integers(1, 20)) * 5 / 100
    if variable.sort is Sort.PSEUDONYM:
        return re.sub("n+", lambda run: f"{plan.index + 1:0{len(run[0])}d}", variable.form, count=1)
    return None


def _fits(value: Value, variable: Variable, missing: float) -> bool:
    """Whether a value is one that the profile allows; a blank cell is so in free text alone."""
    if variable.sort is Sort.NOTE:
        return True
    if isinstance(value, str):
        return variable.pattern is not None and bool(variable.pattern.fullmatch(value))
    if value is None or variable.sort is Sort.PSEUDONYM:
        return False
    if value == missing:
        return True
    return value in variable.codes if variable.sort is Sort.CODE else variable.low <= value <= variable.high


def clinical_row(plan: PatientPlan, largest_tumour_cm: float, missing: float) -> dict[str, Value]:
    """Invent the row of a patient, with the columns of every edition.

    Parameters
    ----------
    plan : PatientPlan
        Age, sex, number of tumours and position are told as the images have them.
    largest_tumour_cm : float
        Diameter of the largest tumour.
    missing : float
        What stands for a missing value.
    """
    rng = plan.generator(_STREAM)

    def yes(chance: float) -> int:
        return int(rng.random() < chance)

    row: dict[str, Value] = {
        "Patient-ID": plan.patient,
        "De-identify Scout Name": f"{plan.index + 1:03d}_recurrence_preop",
        "age": plan.age,
        "sex": 1 if plan.sex == "M" else 2,
        "major_comorbidity": yes(0.55),
        "chemo_before_liver_resection": yes(0.6),
        "extrahep_disease": yes(0.09),
        "presence_sinusoidal_dilata": yes(0.13),
        "body_mass_index": missing if yes(0.03) else round(float(np.clip(rng.normal(27, 4.5), 17, 48)), 1),
        "bilobar_disease": yes(0.4) if len(plan.tumours_ml) > 1 else 0,
        "preoperative_pve": yes(0.07),
        "relevant_notes": PRONE_NOTE if plan.prone else None,
    }
    row |= _risk(plan, largest_tumour_cm, missing, rng)
    score = int(rng.choice([0, 1, 2, 3, 4, 5, 6], p=[0.62, 0.2, 0.09, 0.05, 0.02, 0.01, 0.01]))
    row |= {
        "steatosis_yesno": int(score > 0),
        "NASH_score": score,
        "NASH_yesno": int(score >= 1),
        "NASH_greater_4": int(score >= 4),
    }
    row |= _pathology(missing, rng)
    row |= _survival(rng)
    return row


def _risk(plan: PatientPlan, largest_tumour_cm: float, missing: float, rng: np.random.Generator) -> dict[str, Value]:
    """The clinical risk score and its parts; where a part is missing, so is the score."""
    node, synchronous = int(rng.random() < 0.6), int(rng.random() < 0.5)
    several = int(len(plan.tumours_ml) > 1)
    antigen = round(float(np.exp(rng.normal(2.5, 1.6))), 1)
    # Within a year of the primary: always so when synchronous.
    early = synchronous or int(rng.random() < 0.3)
    score = node + several + early + int(antigen > _HIGH_CEA) + int(largest_tumour_cm > _LARGE_TUMOUR_CM)
    known = rng.random() >= 0.15
    return {
        "node_positive_primary": node,
        "synchronous_crlm": synchronous,
        "multiple_metastases": several,
        "carcinoembryonic_antigen": antigen if known else missing,
        "max_tumor_size": largest_tumour_cm,
        "clinrisk_score": score if known else missing,
        "clinrisk_stratified": int(score >= 3) if known else missing,
    }


def _pathology(missing: float, rng: np.random.Generator) -> dict[str, Value]:
    """Response of the tumour: parts in steps of 5% that sum to the whole, or all of them missing."""
    if rng.random() < 0.02:
        return dict.fromkeys(
            (
                "total_response_percent",
                "necrosis_percent",
                "fibrosis_percent",
                "fibrosis_greater_40_percent",
                "mucin_percent",
            ),
            missing,
        )
    total = int(rng.integers(0, 21))
    necrosis = int(rng.integers(0, total + 1))
    mucin = int(rng.integers(0, total - necrosis + 1)) if rng.random() < 0.15 else 0
    fibrosis = total - necrosis - mucin
    return {
        "total_response_percent": total * 5 / 100,
        "necrosis_percent": necrosis * 5 / 100,
        "fibrosis_percent": fibrosis * 5 / 100,
        "fibrosis_greater_40_percent": int(fibrosis * 5 >= 40),
        "mucin_percent": mucin * 5 / 100,
    }


def _survival(rng: np.random.Generator) -> dict[str, Value]:
    """Survival and recurrence: what did not come back was free of disease for as long as the patient was followed."""
    overall = int(rng.integers(110, 3950))
    dead, recurred = int(rng.random() < 0.54), int(rng.random() < 0.66)
    in_liver = int(recurred and rng.random() < 0.6)
    free = int(rng.integers(28, overall)) if recurred else overall
    liver_free = int(rng.integers(free, overall)) if in_liver else overall
    return {
        "overall_survival_months": overall / _DAYS_PER_MONTH,
        "vital_status": dead,
        "progression_or_recurrence": recurred,
        "months_to_DFS_progression": free / _DAYS_PER_MONTH,
        "vital_status_DFS": int(dead or recurred),
        "progression_or_recurrence_liveronly": in_liver,
        "months_to_liver_DFS_progression": liver_free / _DAYS_PER_MONTH,
        "vital_status_liver_DFS": int(dead or in_liver),
    }


def write_workbook(path: Path, rows: Sequence[Mapping[str, Value]], edition: Edition, profile: Profile) -> None:
    """Write the workbook: the patient sheet of an edition, and its data dictionary."""
    buffer = io.BytesIO()
    make_workbook(rows, edition, profile).save(buffer)
    path.write_bytes(_without_clock(buffer.getvalue()))


def make_workbook(rows: Sequence[Mapping[str, Value]], edition: Edition, profile: Profile) -> Workbook:
    """Make the workbook.

    Raises
    ------
    ValueError
        Its sheets can't have the names that the profile gives them.
    """
    book = Workbook()
    book.properties.creator = None
    sheet = book.worksheets[0]
    sheet.title = profile.patient_sheet
    sheet.append(list(edition.columns))
    for row in rows:
        sheet.append([row[column] for column in edition.columns])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for index, column in enumerate(edition.columns, start=1):
        # The blank row after the last belongs to the sheet, as it does in the published one.
        for number in range(2, len(rows) + 3):
            sheet.cell(number, index).number_format = _number_format(column, profile)
    sheet.freeze_panes = "A2"
    dictionary = book.create_sheet(profile.dictionary_sheet)
    if (sheet.title, dictionary.title) != (profile.patient_sheet, profile.dictionary_sheet):
        raise ValueError("their names must differ")
    dictionary.append(["Variable Name", "Description", "Values"])
    for column in edition.columns:
        # The published dictionary calls the patient's column so.
        name = "id" if column == profile.patient_column and column in _DICTIONARY else column
        dictionary.append([name, *_DICTIONARY.get(column, _explained(profile.variables[column]))])
    return book


def _explained(variable: Variable) -> tuple[str, str]:
    """Description and values of a column, for the dictionary."""
    if variable.sort is Sort.CODE:
        return "A code", " | ".join(f"{code} - code {code}" for code in sorted(variable.codes))
    if variable.sort in (Sort.NUMBER, Sort.PERCENT):
        return "A number", _NUMERIC
    return "Text", "character"


def _number_format(column: str, profile: Profile) -> str:
    if profile.variables[column].sort is Sort.PERCENT:
        return "0%"
    return "#,##0.0" if "months" in column else "General"


def _without_clock(book: bytes) -> bytes:
    """The workbook with fixed times in its properties and in its archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", _FIXED_TIME.encode(), content)
            target.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
