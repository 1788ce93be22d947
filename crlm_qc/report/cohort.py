"""Whom to use for a purpose, in words and as the files that people and training frameworks read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crlm_qc.model.cohort import Cohort, PatientVerdict, Reason, as_dict
from crlm_qc.model.fitness import Fit
from crlm_qc.model.report import PatientFacts, Report
from crlm_qc.model.words import capitalised, plural
from crlm_qc.report import words
from crlm_qc.report.csv_format import table
from crlm_qc.report.fitness import GLYPHS, sentence
from crlm_qc.report.text import Style, finish

COLUMNS = ("patient", "verdict", "effect", "rule", "title", "message", "fingerprint", "documented")
"""Columns of excluded.csv in their order, which never changes; new ones are added at the end."""
MAX_REASONS = 3
"""Reasons that the terminal shows of a patient."""
MAX_NAMED = 8
"""Patients that a line names."""
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a training case may be called: the beginning of a file's name."""


def render(cohort: Cohort, style: Style | None = None) -> str:
    """A cohort as plain text: the sentence, then who is left out, not judged or usable with care, and why."""
    style = style or Style()
    lines = style.wrap(f"{sentence(cohort)}.")
    for purpose in cohort.purposes:
        lines += style.wrap(f"{purpose.name}: {purpose.about}.", "  ", "    ")
    for fit, told in ((Fit.OUT, _left_out), (Fit.UNKNOWN, _not_judged), (Fit.CARE, _with_care)):
        if patients := cohort.of(fit):
            heading = f"{GLYPHS[fit]} {fit.value.capitalize()}: {plural(len(patients), 'patient')}"
            lines += ["", style.paint("strong", heading), *told(patients, style)]
    if cohort.of_release:
        lines += ["", style.paint("strong", "Of the release, and no patient's")]
        lines += [line for one in cohort.of_release for line in style.wrap(_reason(one), "  ", "    ")]
    if cohort.notes:
        lines += ["", *(line for note in cohort.notes for line in style.wrap(note))]
    return finish(lines, style)


def _left_out(patients: Sequence[PatientVerdict], style: Style) -> list[str]:
    """Patient by patient, for each must be looked at."""
    lines: list[str] = []
    for one in patients:
        said = [_reason(reason) for reason in one.gravest[:MAX_REASONS]]
        if len(one.gravest) > MAX_REASONS:
            said.append(f"and {plural(len(one.gravest) - MAX_REASONS, 'more reason')}")
        lines += [
            f"  {words.clean(one.patient)}",
            *(line for text in said for line in style.wrap(text, "    ", "      ")),
        ]
    return lines


def _not_judged(patients: Sequence[PatientVerdict], style: Style) -> list[str]:
    """Why by why, for it is mostly the same of all."""
    named: dict[str, list[str]] = {}
    for one in patients:
        named.setdefault(one.unknown, []).append(one.patient)
    return [
        line
        for why, who in named.items()
        for line in style.wrap(f"{capitalised(why)}: {words.listing(who, MAX_NAMED)}", "  ", "    ")
    ]


def _with_care(patients: Sequence[PatientVerdict], style: Style) -> list[str]:
    """Rule by rule, for many patients share one."""
    named: dict[tuple[str, str], list[str]] = {}
    for one in patients:
        for reason in one.gravest:
            who = named.setdefault((reason.finding.rule, reason.title), [])
            who += [one.patient] if one.patient not in who else []
    lines: list[str] = []
    for (code, title), who in sorted(named.items(), key=lambda item: (-len(item[1]), item[0])):
        lines += style.wrap(f"{code} {title}, in {len(who):,}: {words.listing(who, MAX_NAMED)}", "  ", "    ")
    return lines


def _reason(reason: Reason) -> str:
    finding = reason.finding
    documented = f" (documented: {finding.waived})" if reason.documented else ""
    return f"{finding.rule} {reason.title}: {finding.message}{documented} f-{finding.fingerprint}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What files for training say of the collection."""

    name: str
    title: str
    doi: str
    licence: str
    labels: tuple[str, ...]
    """Segments in the order that they are painted in, each over those before it."""


def files(cohort: Cohort, report: Report, vocabulary: Vocabulary) -> dict[str, str | bytes]:
    """The files of a cohort, by name.

    Parameters
    ----------
    cohort : Cohort
        Whom to use.
    report : Report
        The audit that it was judged by.
    vocabulary : Vocabulary
        What the collection's profile says.

    Returns
    -------
    dict
        `usable.txt`, `excluded.csv`, `cohort.json`, and for training `datalist.json` and `dataset.json`.
    """
    cases = _cases(cohort, report)
    return {
        "usable.txt": "".join(f"{words.clean(one.patient)}\n" for one in cohort.used),
        "excluded.csv": _excluded(cohort),
        "cohort.json": words.json_bytes(as_dict(cohort, report)),
        "datalist.json": words.json_bytes(_datalist(cases, vocabulary)),
        "dataset.json": words.json_bytes(_nnunet(cases, vocabulary)),
    }


def unnamed(cohort: Cohort, report: Report) -> list[str]:
    """Patients to use whose CT folder or segmentation object can't be named to a program."""
    named = {one.patient for one in _cases(cohort, report)}
    return [one.patient for one in cohort.used if one.patient not in named]


def _cases(cohort: Cohort, report: Report) -> list[PatientFacts]:
    facts = {one.patient: one for one in report.patients}
    used = [facts[one.patient] for one in cohort.used if one.patient in facts]
    return [one for one in used if _inside(one.ct_folder) and _inside(one.seg_file) and _CASE.fullmatch(one.patient)]


def _inside(path: str | None) -> bool:
    """Whether a path is there, and leads nowhere out of the release: saved results may be anybody's."""
    return path is not None and path != "" and not path.startswith("/") and ".." not in path.split("/")


def _excluded(cohort: Cohort) -> bytes:
    """Patients not to use, a row a reason; one who was not judged has a row that says why."""
    return table(COLUMNS, (row for one in cohort.excluded for row in _rows(one)))


def _rows(one: PatientVerdict) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        (
            one.patient,
            one.fit.value,
            reason.effect.value,
            reason.finding.rule,
            reason.title,
            reason.finding.message,
            reason.finding.fingerprint,
            "yes" if reason.documented else "no",
        )
        for reason in one.reasons
    ]
    if one.unknown:
        rows.insert(0, (one.patient, one.fit.value, one.fit.value, "", "", one.unknown, "", "no"))
    return rows


def _datalist(cases: Sequence[PatientFacts], vocabulary: Vocabulary) -> dict[str, Any]:
    """What `monai.data.load_decathlon_datalist` reads, with the release as its `base_dir`."""
    names = ("background", *vocabulary.labels)
    return {
        "name": vocabulary.name,
        "description": vocabulary.title,
        "reference": f"https://doi.org/{vocabulary.doi}",
        "licence": vocabulary.licence,
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(number): name for number, name in enumerate(names)},
        "numTraining": len(cases),
        "numTest": 0,
        "training": [{"image": one.ct_folder, "label": one.seg_file} for one in cases],
        "test": [],
    }


def _nnunet(cases: Sequence[PatientFacts], vocabulary: Vocabulary) -> dict[str, Any]:
    """The `dataset.json` of nnU-Net v2: what the files are to be called once they are converted, and what of."""
    return {
        "channel_names": {"0": "CT"},
        "labels": {name: number for number, name in enumerate(("background", *vocabulary.labels))},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "name": vocabulary.name,
        "description": vocabulary.title,
        "reference": f"https://doi.org/{vocabulary.doi}",
        "licence": vocabulary.licence,
        "dataset": {
            one.patient: {
                "images": [f"imagesTr/{one.patient}_0000.nii.gz"],
                "label": f"labelsTr/{one.patient}.nii.gz",
            }
            for one in cases
        },
        "converted_from": {one.patient: {"ct": one.ct_folder, "seg": one.seg_file} for one in cases},
    }
