"""Clinical workbooks for tests: rows that keep every rule, as evidence tables or as files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from crlm_qc.collection.profile import Edition, Profile, Sort
from crlm_qc.collection.reading import load_profile
from crlm_qc.evidence.workbook.book import column_letters
from crlm_qc.evidence.workbook.sheets import _patients
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.settings import Settings
from crlm_qc.model.tables import frame
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Rule, Skip

VARIABLES = load_profile().variables

MISSING = -999
YES_NO = "1 - Yes | 0 - No"
VALUES = {
    "sex": "1-Male | 2-Female",
    "clinrisk_score": "0-5, -999 - N/A",
    "clinrisk_stratified": "1 - (3,4,5 scores), 0 - (0, 1, 2), -999 - N/A",
    "fibrosis_greater_40_percent": "1 - Yes | 0 - No, | -999 - Unknown",
}
Row = dict[str, Any]


def plain_row(number: int = 1) -> Row:
    """A row of all columns of every edition that keeps every rule."""
    return {
        "Patient-ID": f"CRLM-CT-{1000 + number}",
        "De-identify Scout Name": f"{number:03d}_recurrence_preop",
        "age": 60,
        "sex": 1,
        "major_comorbidity": 0,
        "body_mass_index": 25.5,
        "node_positive_primary": 1,
        "synchronous_crlm": 0,
        "multiple_metastases": 0,
        "clinrisk_score": 2,
        "clinrisk_stratified": 0,
        "carcinoembryonic_antigen": 12.5,
        "max_tumor_size": 3.5,
        "bilobar_disease": 0,
        "extrahep_disease": 0,
        "chemo_before_liver_resection": 1,
        "preoperative_pve": 0,
        "steatosis_yesno": 1,
        "presence_sinusoidal_dilata": 0,
        "NASH_score": 2,
        "NASH_yesno": 1,
        "NASH_greater_4": 0,
        "total_response_percent": 0.5,
        "necrosis_percent": 0.3,
        "fibrosis_percent": 0.15,
        "fibrosis_greater_40_percent": 0,
        "mucin_percent": 0.05,
        "overall_survival_months": 40.5,
        "vital_status": 1,
        "progression_or_recurrence": 1,
        "months_to_DFS_progression": 10.2,
        "vital_status_DFS": 1,
        "progression_or_recurrence_liveronly": 1,
        "months_to_liver_DFS_progression": 12.7,
        "vital_status_liver_DFS": 1,
        "relevant_notes": None,
    }


def edition(profile: Profile, name: str) -> Edition:
    return next(one for one in profile.editions if one.name == name)


def dictionary(columns: Iterable[str]) -> list[tuple[str, str, str]]:
    """Entries of the Data Dictionary sheet."""
    entries = []
    for column in columns:
        variable = VARIABLES.get(column)
        coded = variable is not None and variable.sort is Sort.CODE
        values = VALUES.get(column, YES_NO if coded else "Continuous numeric")
        entries.append(("id" if column == "Patient-ID" else column, f"what {column} means", values))
    return entries


def cell(value: Any) -> Row:
    """A cell as the reader writes it down."""
    if value is None:
        return {"type": "blank"}
    if isinstance(value, str):
        from crlm_qc.evidence.workbook.file import _number

        return {"type": "text", "text": value, "value": _number(value)}
    if isinstance(value, bool):
        return {"type": "boolean", "text": str(value).upper()}
    return {"type": "number", "text": str(value), "value": float(value)}


def tables(
    rows: Sequence[Mapping[str, Any]],
    profile: Profile,
    name: str = "October 2022",
    columns: Sequence[str] | None = None,
    entries: Sequence[tuple[str, str, str]] | None = None,
    facts: Sequence[Row] = (),
) -> dict[str, pd.DataFrame]:
    """Evidence tables of a workbook with these rows."""
    headings = list(columns if columns is not None else edition(profile, name).columns)
    cells = []
    ids = {number: row["Patient-ID"] for number, row in enumerate(rows, 2) if isinstance(row.get("Patient-ID"), str)}
    patients = _patients(ids, profile)
    for number, row in enumerate(rows, 2):
        who = {"patient_id": ids.get(number), "patient": patients.get(number)}
        cells += [{"row": number, "column": heading, **who, **cell(row.get(heading))} for heading in headings]
    source = {"source": "clinical", "path": "clinical.xlsx", "used": True, "edition": name}
    source |= {"columns": json.dumps(headings), "n_rows": len(rows)}
    source["letters"] = json.dumps([column_letters(number) for number in range(1, len(headings) + 1)])
    listed = dictionary(headings) if entries is None else entries
    return {
        "sources": frame("sources", [source]),
        "clinical": frame("clinical", cells),
        "clinical_dictionary": frame(
            "clinical_dictionary",
            [
                {"row": number, "variable": variable, "description": description, "values": values}
                for number, (variable, description, values) in enumerate(listed, 2)
            ],
        ),
        "workbook": frame("workbook", [{"fact": "sheet", "sheet": profile.patient_sheet, "has_value": True}, *facts]),
    }


def check(rule: Rule, made: Mapping[str, pd.DataFrame], profile: Profile, settings: Settings | None = None) -> Checked:
    return rule.check(Context(Evidence(tables=made), profile, settings or Settings()))


def fired(rules: Iterable[Rule], made: Mapping[str, pd.DataFrame], profile: Profile) -> list[tuple[str, Any, Any, Any]]:
    """Code, patient, row and column of every finding, sorted."""
    context = Context(Evidence(tables=made), profile)
    found = []
    for rule in rules:
        try:
            checked = rule.check(context)
        except Skip:
            continue
        found += [(rule.code, one.patient, one.subject.row, one.subject.column) for one in checked.findings]
    return sorted(found, key=str)


def write(path: Path, rows: Sequence[Mapping[str, Any]], profile: Profile, name: str = "October 2022") -> Any:
    """Write a workbook and give it back open, to be changed and saved again."""
    import openpyxl

    columns = edition(profile, name).columns
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = profile.patient_sheet
    sheet.append(list(columns))
    for row in rows:
        sheet.append([row.get(column) for column in columns])
    words = book.create_sheet(profile.dictionary_sheet)
    words.append(["Variable Name", "Description", "Values"])
    for entry in dictionary(columns):
        words.append(list(entry))
    book.save(path)
    return book


# Rows that keep every rule, drawn


YES = st.integers(0, 1)
YES_OR_MISSING = st.sampled_from([0, 1, MISSING])
YES_NO_COLUMNS = [name for name, variable in VARIABLES.items() if variable.codes == {0, 1}]
OTHERS = st.fixed_dictionaries(
    {
        **dict.fromkeys(YES_NO_COLUMNS, YES_OR_MISSING),
        "sex": st.sampled_from([1, 2, MISSING]),
        "age": st.integers(18, 100) | st.just(MISSING),
        "body_mass_index": st.integers(100, 800).map(lambda tenths: tenths / 10) | st.just(MISSING),
        "carcinoembryonic_antigen": st.integers(0, 30000).map(lambda tenths: tenths / 10) | st.just(MISSING),
        "max_tumor_size": st.integers(1, 300).map(lambda tenths: tenths / 10) | st.just(MISSING),
        "NASH_score": st.integers(0, 8),
        "relevant_notes": st.sampled_from([None, "motion on two slices", "contrast phase is early"]),
    }
)
PARTS = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
FRACTION = st.floats(0, 1)


@st.composite
def valid_rows(draw: st.DrawFn, number: int = 1) -> Row:
    """A row of all columns that keeps every rule; any group may be missing as a whole."""
    row = plain_row(number) | draw(OTHERS)
    score = row["NASH_score"]
    row |= {"NASH_yesno": int(score >= 1), "NASH_greater_4": int(score >= 4)}
    row["steatosis_yesno"] = row["steatosis_yesno"] if score else 0
    _risk(draw, row)
    _response(draw, row)
    _survival(draw, row)
    return row


def _risk(draw: st.DrawFn, row: Row) -> None:
    points = [row["node_positive_primary"] == 1, row["multiple_metastases"] == 1]
    points += [row["carcinoembryonic_antigen"] > 200, row["max_tumor_size"] > 5, row["synchronous_crlm"] == 1]
    # A part that is missing, or an interval that is not told, may still be a point.
    open_ = sum(
        row[c] == MISSING
        for c in ("node_positive_primary", "multiple_metastases", "carcinoembryonic_antigen", "max_tumor_size")
    )
    open_ += row["synchronous_crlm"] != 1
    score = sum(points) + draw(st.integers(0, open_))
    missing = draw(YES)
    row["clinrisk_score"] = MISSING if missing else score
    row["clinrisk_stratified"] = MISSING if missing else int(score >= 3)


def _response(draw: st.DrawFn, row: Row) -> None:
    names = ("total_response_percent", "necrosis_percent", "fibrosis_percent", "mucin_percent")
    if draw(YES_OR_MISSING) == MISSING:
        row |= dict.fromkeys((*names, "fibrosis_greater_40_percent"), MISSING)
        return
    cuts = sorted(draw(PARTS))
    necrosis, fibrosis, mucin = cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]
    row |= {name: part * 5 / 100 for name, part in zip(names, (cuts[2], necrosis, fibrosis, mucin), strict=True)}
    row["fibrosis_greater_40_percent"] = int(fibrosis * 5 >= 40)


def _survival(draw: st.DrawFn, row: Row) -> None:
    overall = 1 + 299 * draw(FRACTION)
    dead, recurred = draw(YES), draw(YES)
    in_liver = draw(YES) if recurred else 0
    free = overall * draw(FRACTION) if recurred else overall
    liver_free = free + (overall - free) * draw(FRACTION) if in_liver else overall
    row |= {
        "overall_survival_months": overall,
        "vital_status": dead,
        "progression_or_recurrence": recurred,
        "months_to_DFS_progression": free,
        "vital_status_DFS": int(dead or recurred),
        "progression_or_recurrence_liveronly": in_liver,
        "months_to_liver_DFS_progression": liver_free,
        "vital_status_liver_DFS": int(dead or in_liver),
    }
