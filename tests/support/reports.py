"""Hand-made reports for the tests of the renderers."""

from collections.abc import Sequence
from dataclasses import replace

from crlm_qc.model.finding import Finding, Kind, Subject, fingerprint
from crlm_qc.model.fitness import NOTHING, PURPOSES, Spoils
from crlm_qc.model.outcome import Outcome, Status
from crlm_qc.model.report import Figure, PatientFacts, ReleaseFacts, Report, RuleText
from crlm_qc.model.settings import Settings
from crlm_qc.model.severity import Severity
from crlm_qc.model.trend import Summary, Trend
from crlm_qc.model.waivers import WaiverState, WaiverUse
from crlm_qc.model.wholeness import ListedBy, ToFetch, Wholeness
from crlm_qc.rulebook import causes

RULES = (
    RuleText(
        "CLN010",
        "response-sum",
        "table",
        Severity.WARNING,
        "Total response differs from its parts",
        "Analyses that sum the parts get another figure than the sheet gives.",
        "Look the case up and correct one of the four figures.",
        "Data Dictionary: total_response_percent",
    ),
    RuleText(
        "CTS008",
        "missing-slice",
        "plain",
        Severity.ERROR,
        "Missing slice",
        "Volumes and resampling are wrong where a slice is missing.",
        "Find the slice in the source and add it, or withdraw the series.",
        "PS3.3 C.7.6.2.1.1 Image Position and Image Orientation",
    ),
    RuleText(
        "CTS012",
        "thickness-differs",
        "plain",
        Severity.INFO,
        "Slice Thickness differs from the slice spacing",
        "Tools that multiply by thickness get wrong volumes.",
        "Use positions, not thickness.",
        "PS3.3 C.7.6.2 Image Plane Module",
    ),
    RuleText(
        "DSO007",
        "reference-missing",
        "plain",
        Severity.ERROR,
        "Referenced instance not on disk",
        "Viewers can't place the masks.",
        "Add the instances, or make the object again.",
        "PS3.3 C.8.20.2 Segmentation Image Module",
    ),
    RuleText(
        "MET001",
        "column-missing",
        "table",
        Severity.ERROR,
        "Column missing",
        "Nothing that the column holds can be checked.",
        "Export metadata.csv again.",
        "NBIA Data Retriever",
    ),
    RuleText(
        "PUB001",
        "patients-published",
        "expectation",
        Severity.ERROR,
        "Patients or series not as published",
        "The copy is not the published release.",
        "Download what is missing.",
        "doi:10.7937/QXK2-QG03",
    ),
    RuleText(
        "SEG006",
        "tumours-overlap",
        "plain",
        Severity.WARNING,
        "Tumours overlap",
        "A lesion may be annotated twice.",
        "Compare the two segments.",
        "published description",
    ),
)

SPOILS = {
    "CTS008": Spoils(out=("segmentation", "volumetry", "completeness"), care=("lesion-counts",)),
    "DSO007": Spoils(out=("completeness",), care=("segmentation",)),
    "CLN010": Spoils(care=("clinical-pairing",)),
}


def finding(
    rule: str,
    severity: Severity,
    subject: Subject,
    message: str,
    patient: str | None = None,
    expected: str = "",
    observed: str = "",
    count: int = 1,
    examples: Sequence[str] = (),
    waived: str | None = None,
) -> Finding:
    return Finding(
        rule,
        severity,
        subject,
        message,
        expected,
        observed,
        patient,
        count,
        tuple(examples),
        fingerprint(rule, patient, subject),
        waived,
    )


def folder(patient: str, series: str = "2.000000-NA-12345") -> str:
    return f"Colorectal-Liver-Metastases/{patient}/06-06-1992-NA-CT ABDOMEN-75163/{series}"


def missing_slice(number: int) -> Finding:
    patient = f"CRLM-CT-{number}"
    return finding(
        "CTS008",
        Severity.ERROR,
        Subject(Kind.SERIES, folder(patient), f"1.3.6.1.4.1.14519.5.2.1.9203.8273.{number}"),
        "A slice is missing between 1-12.dcm (z = -120.000 mm) and 1-13.dcm (z = -130.000 mm).",
        patient,
        "5.000 mm ± 0.050 mm",
        "10.000 mm",
    )


def sample() -> Report:
    """A report with every sort of outcome, severity and subject."""
    findings = [
        *(missing_slice(number) for number in (1001, 1003, 1004, 1005, 1006, 1007, 1008)),
        finding(
            "DSO007",
            Severity.ERROR,
            Subject(Kind.FILE, folder("CRLM-CT-1002", "100.000000-Segmentation-46600") + "/1-1.dcm"),
            "Instances that the object refers to are not on disk.",
            "CRLM-CT-1002",
            "47 instances",
            "44 instances",
            3,
            ("frame 12", "frame 13", "frame 14"),
        ),
        finding(
            "CLN010",
            Severity.WARNING,
            Subject(Kind.ROW, "Clinical data October 2022.xlsx", row=104, column="total_response_percent"),
            "Total response is not the sum of necrosis, fibrosis and mucin.",
            "CRLM-CT-1003",
            "0.50",
            "0.55",
        ),
        finding(
            "SEG006",
            Severity.WARNING,
            Subject(Kind.SEGMENT, folder("CRLM-CT-1020"), segment=5),
            "Tumor_1 and Tumor_2 share 1,204 voxels.",
            "CRLM-CT-1020",
            "0 voxels",
            "1,204 voxels",
            waived="Lesion annotated twice, confirmed by the authors",
        ),
        finding(
            "CTS012",
            Severity.INFO,
            Subject(Kind.SERIES, folder("CRLM-CT-1001")),
            "Slice Thickness is not the distance between slices.",
            "CRLM-CT-1001",
            "0.800 mm",
            "1.250 mm",
            240,
            ("1-001.dcm", "1-002.dcm"),
        ),
    ]
    outcomes = (
        Outcome("CLN010", Status.FAILED, 9),
        Outcome("CTS008", Status.FAILED, 9),
        Outcome("CTS012", Status.FAILED, 9),
        Outcome("DSO007", Status.FAILED, 9),
        Outcome("MET001", Status.PASSED, 17),
        Outcome("PUB001", Status.SKIPPED, reason="only part of the release is audited"),
        Outcome("SEG006", Status.FAILED, 9),
    )
    names = [f"CRLM-CT-{number}" for number in (1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1020)]
    return Report(
        tool_version="0.1.0",
        release=ReleaseFacts(
            root="manifest-1669817128730",
            layout="nbia",
            patients=9,
            series=18,
            files=522,
            bytes=271_400_123,
            ct_slices=513,
            tables=("metadata.csv", "Clinical data October 2022.xlsx"),
            workbook_edition="October 2022",
            workbook_lacks=("body_mass_index", "max_tumor_size"),
            collection="Colorectal-Liver-Metastases",
            doi="10.7937/QXK2-QG03",
        ),
        settings=Settings(subset=True),
        rules=RULES,
        outcomes=outcomes,
        findings=sorted(findings, key=lambda one: one.sort_key),
        patients=[
            PatientFacts(name, 57, 5.0, 6, 1500.5 + index, None if index == 3 else 9.5)
            for index, name in enumerate(names)
        ],
        waivers=WAIVERS,
    )


FIGURES = (
    Figure("patients", "total", 197, 9),
    Figure("ct_slices", "total", 17639, 17639),
    Figure("ct_slices", "min", 21, 21),
    Figure("ct_slices", "median", 55, 57),
    Figure("ct_slices", "max", 240, 240),
    Figure("liver_ml", "min", 770, 771.2, 15.4),
    Figure("liver_ml", "median", 1553.36, 1553.361, 31.0672),
    Figure("liver_ml", "max", 3280.68, 3400.5, 65.6136),
    Figure("tumour_ml", "min", 0.24, None, 0.0048),
    Figure("tumour_ml", "median", 9.53, None, 0.1906),
    Figure("tumour_ml", "max", 1099.98, None, 21.9996),
    Figure("sex", "M", 117, 117),
    Figure("sex", "other", 0, 0),
)


WAIVERS = tuple(
    WaiverUse(code, reason, patients, source, owner, until, known, state, count)
    for code, reason, patients, source, owner, until, known, state, count in (
        ("SEG006", "Lesion annotated twice", ("CRLM-CT-1020",), "e-mail", "qc-team", None, False, WaiverState.USED, 1),
        ("CTS008", "Known to be short", ("CRLM-CT-1003",), "", "", "2026-01-31", False, WaiverState.EXPIRED, 1),
        (
            "CLN010",
            "Rounded",
            ("CRLM-CT-1001", "CRLM-CT-1002", "CRLM-CT-1004"),
            "",
            "",
            None,
            True,
            WaiverState.UNUSED,
            0,
        ),
        ("PUB001", "A subset", (), "", "", "2026-03-31", False, WaiverState.IDLE, 0),
        ("XYZ001", "Of a rule that was not asked for", (), "", "", None, False, WaiverState.IDLE, 0),
    )
)


def compared() -> Report:
    """A report of a whole release with published figures that agree, differ and were not measured."""
    return replace(clean(), figures=FIGURES)


def trend() -> Trend:
    """Three audits, of which the errors became fewer and the cases more."""
    return Trend(
        [
            Summary("2026-11-01 09:14 UTC", "0.1.0", 12, 4, 9),
            Summary("2026-11-09 09:14 UTC", "0.1.0", 6, 4, 7),
            Summary("2026-11-20 09:14 UTC", "0.2.0", 3, 4, 1_500),
        ]
    )


def large() -> Report:
    """A whole release, 2,000 findings, with every figure of every patient and some far outside."""
    base, patients = sample(), []
    for index in range(197):
        part = (index * 0.618034) % 1
        patients.append(
            PatientFacts(
                f"CRLM-CT-{1001 + index}",
                ct_slices=21 + int(219 * part**4),
                spacing_mm=(5.0, 5.0, 5.0, 7.5, 2.5, 0.8)[index % 6],
                segments=4 + index % 5,
                liver_ml=412.5 if index == 7 else 770 + 2510 * part**2,
                tumour_ml=0.24 * 10 ** (3.66 * ((index * 0.414214) % 1)),
                tumours=1 + int(5 * part**2),
                in_plane_mm=0.609 + 0.368 * ((index * 0.732051) % 1),
                thickness_mm=1.25 if index == 71 else (5.0, 5.0, 5.0, 7.5, 2.5, 0.8)[index % 6],
                liver_hu=-400.0 if index == 11 else 95 + 30 * part,
                portal_hu=130 + 60 * ((index * 0.236068) % 1),
                sex="MF"[index % 2],
                sex_workbook="MF"[(index // 2) % 2] if index % 50 else None,
                referenced_percent=20 + 70 * part,
                overlap_mm3=0.0 if index % 20 else 1 + 1000 * part,
                diameter_mm=5 + 100 * part,
                stated_mm=150.0 if index == 7 else (5 + 100 * part) * (0.8 + 0.4 * ((index * 0.3027756) % 1)),
                remnant_ml=300 + 1500 * part,
                hepatic_ml=4 + 60 * ((index * 0.236068) % 1),
                portal_ml=5 + 50 * ((index * 0.732051) % 1),
            )
        )
    codes = [text.code for text in RULES if text.code != "PUB001"]
    findings = []
    for index in range(2000):
        code = codes[index % len(codes)]
        # Three quarters of the patients have findings.
        name = f"CRLM-CT-{1001 + (index * 7) % 150}"
        made = finding(
            code,
            next(text.severity for text in RULES if text.code == code),
            Subject(Kind.SERIES, folder(name), f"1.3.6.1.4.1.14519.5.2.1.9203.8273.{index}"),
            "A slice is missing between 1-12.dcm (z = -120.000 mm) and 1-13.dcm (z = -130.000 mm).",
            name,
            "5.000 mm ± 0.050 mm",
            "10.000 mm",
        )
        findings.append(replace(made, fingerprint=f"{index:012x}"))
    return replace(
        base,
        release=replace(base.release, patients=197, series=394, files=17836, ct_slices=17639),
        settings=Settings(),
        outcomes=tuple(
            Outcome(text.code, Status.PASSED if text.code == "PUB001" else Status.FAILED, 197) for text in RULES
        ),
        findings=sorted(findings, key=lambda one: one.sort_key),
        patients=patients,
        figures=FIGURES,
        waivers=WAIVERS,
        rules=tuple(replace(text, spoils=SPOILS.get(text.code, NOTHING)) for text in RULES),
        purposes=tuple(PURPOSES.values()),
    )


def clean() -> Report:
    """A report of a whole release with nothing found."""
    return replace(
        sample(),
        settings=Settings(),
        findings=[],
        outcomes=tuple(Outcome(text.code, Status.PASSED, 9) for text in RULES),
    )


def incomplete() -> Report:
    """Nothing found, yet a rule crashed and a file was refused."""
    crashed = Outcome("SEG006", Status.ERRORED, reason="IndexError at seg.py:12", incomplete=True)
    outcomes = tuple(crashed if one.rule == "SEG006" else one for one in clean().outcomes)
    return replace(clean(), outcomes=outcomes, limits=("CRLM-CT-1002 could not be opened: permission denied.",))


def empty() -> Report:
    """Nothing there to check."""
    facts = replace(sample().release, patients=0, series=0, files=0, bytes=0, ct_slices=0, tables=(), layout="none")
    outcomes = tuple(Outcome(text.code, Status.SKIPPED, reason="nothing there to examine") for text in RULES)
    return replace(sample(), release=facts, findings=[], outcomes=outcomes, patients=(), settings=Settings())


HOSTILE = '</script><script>alert("x")</script>\x1b[2J\u202e'


def hostile() -> Report:
    """Every text that may come from a file tries to be markup, a terminal command and a reversal of direction."""
    base = sample()
    bad = finding(
        "CTS008",
        Severity.ERROR,
        Subject(Kind.FILE, HOSTILE, HOSTILE, 1, 2, HOSTILE),
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        2,
        (HOSTILE, HOSTILE),
    )
    return replace(
        base,
        release=replace(
            base.release, root=HOSTILE, tables=(HOSTILE,), workbook_edition=HOSTILE, workbook_lacks=(HOSTILE,)
        ),
        findings=[bad, replace(bad, waived=HOSTILE, fingerprint="0123456789ab")],
        outcomes=(
            Outcome("CTS008", Status.FAILED, 1),
            Outcome("PUB001", Status.SKIPPED, reason=HOSTILE),
            Outcome("SEG006", Status.ERRORED, reason=HOSTILE, incomplete=True),
        ),
        patients=[PatientFacts(HOSTILE, None, None, None, None, None)],
        limits=(HOSTILE,),
        waivers=(WaiverUse("CTS008", HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE, False, WaiverState.USED, 1),),
    )


def lacking() -> Report:
    """A report on a release that lacks a published series, and some files of another."""
    absent = ToFetch("1.3.6.1.4.1.14519.5.2.1.9203.8273.7", "CRLM-CT-1003", "SEG", "absent")
    short = ToFetch("1.3.6.1.4.1.14519.5.2.1.9203.8273.8", "CRLM-CT-1007", "CT", "40 of 41 files")
    found = Wholeness(
        ListedBy.LEDGER,
        partial=False,
        expected={"CT": 197, "SEG": 197},
        whole={"CT": 196, "SEG": 196},
        to_fetch=(absent, short),
    )
    return replace(sample(), wholeness=found)


def with_cases() -> Report:
    """A report whose rules say what they spoil: a lost slice with what follows from it, and others beside it."""
    series = folder("CRLM-CT-1001")
    base = sample()
    findings = [
        missing_slice(1001),
        finding("DSO007", Severity.ERROR, Subject(Kind.FILE, f"{series}/1-1.dcm"), "One is gone.", "CRLM-CT-1001"),
        finding("DSO007", Severity.ERROR, Subject(Kind.FILE, f"{series}/2.dcm"), "Two are gone.", "CRLM-CT-1002"),
        *(one for one in base.findings if one.rule in ("CLN010", "SEG006")),
    ]
    rules = [replace(one, spoils=SPOILS.get(one.code, NOTHING)) for one in RULES]
    return causes.with_cases(
        replace(base, rules=rules, findings=sorted(findings, key=lambda one: one.sort_key), cases=())
    )
