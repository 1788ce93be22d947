"""Faults of the clinical workbook (CLN).

Columns that depend on each other are set together, so that one contradiction stands in the row and no other.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from crlm_qc.synthetic.faults._registry import fault
from crlm_qc.synthetic.faults._site import Site
from crlm_qc.synthetic.faults._workbook import MISSING, PATIENT_COLUMN, Workbook

_MANY = 20
"""Patients whose rows contradict each other where one column is sorted."""
# A patient whose disease came back, in the liver too, and who died; every rule of the data dictionary holds.
_COURSE = {
    "overall_survival_months": 40.0,
    "vital_status": 1,
    "progression_or_recurrence": 1,
    "months_to_DFS_progression": 10.0,
    "vital_status_DFS": 1,
    "progression_or_recurrence_liveronly": 1,
    "months_to_liver_DFS_progression": 12.0,
    "vital_status_liver_DFS": 1,
}
_NO_RECURRENCE = {
    **_COURSE,
    "vital_status": 0,
    "progression_or_recurrence": 0,
    "months_to_DFS_progression": 40.0,
    "vital_status_DFS": 0,
    "progression_or_recurrence_liveronly": 0,
    "months_to_liver_DFS_progression": 40.0,
    "vital_status_liver_DFS": 0,
}
_RESPONSE = {
    "total_response_percent": 0.5,
    "necrosis_percent": 0.3,
    "fibrosis_percent": 0.2,
    "fibrosis_greater_40_percent": 0,
    "mucin_percent": 0.0,
}
_NASH = {"steatosis_yesno": 1, "NASH_score": 2, "NASH_yesno": 1, "NASH_greater_4": 0}


def _set(site: Site, values: dict[str, Any], **fault: Any) -> None:
    with site.workbook() as book:
        book.set(**{**values, **fault})


@fault("workbook-broken", triggers=("CLN001",), doc="The workbook is cut in the middle.", scope="release")
def _(site: Site) -> None:
    path = site.release.workbook
    content = path.read_bytes()
    site.write(path, content[: len(content) // 2])


@fault(
    "workbook-too-long",
    triggers=("CLN001",),
    doc="The patient sheet goes on for 2,000 rows below the last patient, each of which holds something.",
    scope="release",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        for _row in range(2000):
            book.sheet.append(["x"])


@fault("workbook-no-patient-sheet", triggers=("CLN001",), doc="The patient sheet is gone.", scope="release")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.book.remove(book.sheet)


@fault(
    "clinical-column-missing",
    triggers=("CLN002",),
    doc="The column extrahep_disease is gone, from the Data Dictionary too.",
    scope="release",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.sheet.delete_cols(book.headings["extrahep_disease"])
        book.dictionary.delete_rows(_entry(book, "extrahep_disease"))


@fault(
    "clinical-column-unknown",
    triggers=("CLN003",),
    doc="A column margin_mm was added, with its entry in the Data Dictionary.",
    scope="release",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        column = len(book.headings) + 1
        for row in book.rows.values():
            book.sheet.cell(row, column).value = 5
        book.sheet.cell(1, column).value = "margin_mm"
        book.dictionary.append(["margin_mm", "width of the resection margin", "mm"])


def _entry(book: Workbook, variable: str) -> int:
    for row in range(1, book.dictionary.max_row + 1):
        if book.dictionary.cell(row, 1).value == variable:
            return row
    raise ValueError(f"the Data Dictionary has no entry {variable}")


@fault("clinical-patient-twice", triggers=("CLN004",), doc="The patient has two rows, apart from the scout name equal.")
def _(site: Site) -> None:
    with site.workbook() as book:
        at = book.rows[site.patient]
        values = [cell.value for cell in book.sheet[at]]
        formats = [cell.number_format for cell in book.sheet[at]]
        values[book.headings["De-identify Scout Name"] - 1] += "0"
        target = max(book.rows.values()) + 1
        for column, (value, number_format) in enumerate(zip(values, formats, strict=True), start=1):
            cell = book.sheet.cell(target, column)
            cell.value, cell.number_format = value, number_format


@fault(
    "clinical-patient-malformed",
    triggers=("CLN004",),
    doc="Patient-ID has lost its dashes, so that the workbook does not know the patient.",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.cell(PATIENT_COLUMN).value = site.patient.replace("-", "")


@fault(
    "clinical-patient-dashes",
    triggers=("CLN004",),
    doc="Patient-ID has en dashes, as a word processor writes them; the row is the patient's all the same.",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.cell(PATIENT_COLUMN).value = site.patient.replace("-", "\N{EN DASH}")


@fault("clinical-units-row", triggers=("CLN004",), doc="A row of units stands below the headings.", scope="release")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.sheet.insert_rows(2)
        for column, unit in (("age", "years"), ("sex", "1=M, 2=F"), ("overall_survival_months", "months")):
            book.sheet.cell(2, book.headings[column]).value = unit


@fault(
    "clinical-heading-otherwise",
    triggers=("CLN003",),
    doc="The heading of the patients' IDs is Patient ID, with a no-break space.",
    scope="release",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.sheet.cell(1, book.headings[PATIENT_COLUMN]).value = "Patient\N{NO-BREAK SPACE}ID"


@fault("clinical-no-code", triggers=("CLN005",), doc="major_comorbidity is 2.")
def _(site: Site) -> None:
    _set(site, {"major_comorbidity": 2})


@fault("clinical-out-of-range", triggers=("CLN006",), doc="Overall survival is 400 months.")
def _(site: Site) -> None:
    _set(site, _COURSE, overall_survival_months=400.0)


@fault("clinical-blank", triggers=("CLN007",), doc="major_comorbidity is blank, not -999.")
def _(site: Site) -> None:
    _set(site, {"major_comorbidity": None})


@fault("clinical-missing-text", triggers=("CLN007",), doc="major_comorbidity is NA, not -999.")
def _(site: Site) -> None:
    _set(site, {"major_comorbidity": "NA"})


@fault("clinical-missing-99", triggers=("CLN007",), doc="major_comorbidity is -99, not -999.")
def _(site: Site) -> None:
    _set(site, {"major_comorbidity": -99})


@fault(
    "dictionary-entry-missing",
    triggers=("CLN008",),
    doc="The Data Dictionary has no entry for extrahep_disease.",
    scope="release",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        book.dictionary.delete_rows(_entry(book, "extrahep_disease"))


@fault("clinical-percent-text", triggers=("CLN009",), doc="Necrosis is the text 30%.")
def _(site: Site) -> None:
    _set(site, _RESPONSE, necrosis_percent="30%")


@fault("clinical-percent-whole", triggers=("CLN009",), doc="Necrosis is 30, not 0.3.")
def _(site: Site) -> None:
    _set(site, _RESPONSE, necrosis_percent=30)


@fault("clinical-response-sum", triggers=("CLN010",), doc="Total response is 0.6, its parts add up to 0.5.")
def _(site: Site) -> None:
    _set(site, _RESPONSE, total_response_percent=0.6)


@fault("clinical-risk-stratified", triggers=("CLN011",), doc="clinrisk_stratified contradicts clinrisk_score.")
def _(site: Site) -> None:
    with site.workbook() as book:
        score = book.get("clinrisk_score")
        if score == MISSING:
            book.set(clinrisk_score=(score := 2))
        book.set(clinrisk_stratified=int(score < 3))


@fault("clinical-nash-yes", triggers=("CLN012",), doc="NASH_yesno is 0 with a NASH score of 2.")
def _(site: Site) -> None:
    _set(site, _NASH, NASH_yesno=0)


@fault("clinical-nash-greater-4", triggers=("CLN013",), doc="NASH_greater_4 is 1 with a NASH score of 2.")
def _(site: Site) -> None:
    _set(site, _NASH, NASH_greater_4=1)


@fault("clinical-fibrosis-40", triggers=("CLN014",), doc="fibrosis_greater_40_percent is 1 with a fibrosis of 0.2.")
def _(site: Site) -> None:
    _set(site, _RESPONSE, fibrosis_greater_40_percent=1)


@fault("clinical-group-incomplete", triggers=("CLN015",), doc="Mucin is missing, its group is not.")
def _(site: Site) -> None:
    _set(site, _RESPONSE, mucin_percent=MISSING)


@fault("clinical-dfs-beyond-survival", triggers=("CLN016",), doc="Disease-free months exceed overall survival months.")
def _(site: Site) -> None:
    liver = dict.fromkeys(
        ("progression_or_recurrence_liveronly", "months_to_liver_DFS_progression", "vital_status_liver_DFS"), MISSING
    )
    _set(site, _COURSE, months_to_DFS_progression=50.0, **liver)


@fault("clinical-liver-dfs-below", triggers=("CLN017",), doc="Liver disease-free months are below disease-free months.")
def _(site: Site) -> None:
    _set(site, _COURSE, months_to_liver_DFS_progression=5.0)


@fault(
    "clinical-dfs-without-recurrence", triggers=("CLN018",), doc="No recurrence, yet disease-free for 25 of 40 months."
)
def _(site: Site) -> None:
    _set(site, _NO_RECURRENCE, months_to_DFS_progression=25.0)


@fault("clinical-dfs-status", triggers=("CLN019",), doc="vital_status_DFS is 0 after a recurrence.")
def _(site: Site) -> None:
    _set(site, _COURSE, vital_status_DFS=0)


@fault("clinical-liver-recurrence", triggers=("CLN020",), doc="A recurrence in the liver, and none at all.")
def _(site: Site) -> None:
    _set(site, _NO_RECURRENCE, progression_or_recurrence_liveronly=1, vital_status_liver_DFS=1)


@fault("clinical-steatosis-score-0", triggers=("CLN021",), doc="Steatosis with a NASH score of 0.")
def _(site: Site) -> None:
    _set(site, _NASH, NASH_score=0, NASH_yesno=0)


@fault(
    "clinical-risk-score",
    triggers=("CLN022",),
    doc="clinrisk_score can't be the sum of its parts.",
    edition="april-2023",
)
def _(site: Site) -> None:
    with site.workbook() as book:
        present = [
            book.get("node_positive_primary") == 1,
            book.get("synchronous_crlm") == 1,
            book.get("multiple_metastases") == 1,
            book.get("carcinoembryonic_antigen") > 200,
            book.get("max_tumor_size") > 5,
        ]
        if any(present):
            book.set(clinrisk_score=0, clinrisk_stratified=0)
        else:
            book.set(clinrisk_score=5, clinrisk_stratified=1)


@fault(
    "clinical-scout-name-twice", triggers=("CLN023",), doc="The patient has another patient's scout name.", patients=2
)
def _(site: Site) -> None:
    with site.workbook() as book:
        column = "De-identify Scout Name"
        book.cell(column).value = book.cell(column, site.other).value


@fault("clinical-formula", triggers=("CLN024",), doc="relevant_notes holds a formula.")
def _(site: Site) -> None:
    _set(site, {"relevant_notes": "=1+1"})


@fault("clinical-text-that-runs", triggers=("CLN024",), doc="relevant_notes holds text that a spreadsheet would run.")
def _(site: Site) -> None:
    _set(site, {"relevant_notes": "@SUM(1,1)"})


@fault("workbook-macro", triggers=("CLN024",), doc="The workbook holds a macro project.", scope="release")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.parts["xl/vbaProject.bin"] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@fault(
    "workbook-hidden-column",
    triggers=("CLN025",),
    doc="The column chemo_before_liver_resection is hidden.",
    scope="release",
)
def _(site: Site) -> None:
    from openpyxl.utils import get_column_letter

    with site.workbook() as book:
        letter = get_column_letter(book.headings["chemo_before_liver_resection"])
        book.sheet.column_dimensions[letter].hidden = True


@fault("workbook-hidden-row", triggers=("CLN025",), doc="The patient's row is hidden.")
def _(site: Site) -> None:
    with site.workbook() as book:
        book.sheet.row_dimensions[book.rows[site.patient]].hidden = True


@fault("workbook-hidden-sheet", triggers=("CLN025",), doc="A third sheet is hidden.", scope="release")
def _(site: Site) -> None:
    with site.workbook() as book:
        sheet = book.book.create_sheet("Working")
        sheet["A1"] = 1
        sheet.sheet_state = "hidden"


@fault("workbook-comment", triggers=("CLN025",), doc="The patient's sex has a cell comment.")
def _(site: Site) -> None:
    from openpyxl.comments import Comment

    with site.workbook() as book:
        book.cell("sex").comment = Comment("check again", "reviewer")


@fault("clinical-number-as-text", triggers=("CLN026",), doc="major_comorbidity is the text 1, not the number.")
def _(site: Site) -> None:
    _set(site, {"major_comorbidity": "1"})


@fault("clinical-decimal-comma", triggers=("CLN027",), doc="overall_survival_months is the text 27,4.")
def _(site: Site) -> None:
    _set(site, {"overall_survival_months": "27,4"})


@fault("clinical-date", triggers=("CLN028",), doc="Excel made 3 May of overall_survival_months.")
def _(site: Site) -> None:
    _set(site, {"overall_survival_months": dt.date(2023, 5, 3)})


@fault(
    "clinical-column-sorted",
    triggers=("CLN029",),
    doc="overall_survival_months was sorted without the other columns.",
    scope="release",
    patients=_MANY,
)
def _(site: Site) -> None:
    times = ("overall_survival_months", "months_to_DFS_progression", "months_to_liver_DFS_progression")
    with site.workbook() as book:
        # Nobody's disease came back, and each was followed for a time of their own.
        months = {patient: 20.0 + 37 * number % 101 for number, patient in enumerate(book.rows)}
        for (patient, own), lowest in zip(months.items(), sorted(months.values()), strict=True):
            for column, value in {**_NO_RECURRENCE, **dict.fromkeys(times, own), times[0]: lowest}.items():
                book.cell(column, patient).value = value
