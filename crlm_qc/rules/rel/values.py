"""Values of headers that the standard forbids."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import WARNING
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, rule
from crlm_qc.rules.rel._shared import images_of
from crlm_qc.subjects.columns import kept
from crlm_qc.subjects.words import by_folder, file_names, text

_NO_DATE = "is no date"
_OWN_RULES = frozenset({"Modality", "PatientPosition", "SegmentationType"})
"""Attributes whose values other rules compare with those that there are."""


@rule(
    "REL019",
    "value-forbidden",
    WARNING,
    title="A value that the standard forbids",
    why="Strict readers and archives refuse such a file or drop the value, others read something else from it: an age without its unit, a sex in words, a time with colons, two values where there is one. Only attribute and form are told, never the value. Private attributes are not looked at. UIDs are REL016's, values that can't be read as the number that a check needs CTS015's, CTS019's and those of DSO rules, and dates that can't be read DID015's.",
    fix="Write the value in the form of its VR, and as many values as the attribute has.",
    source="DICOM PS3.5 6.2 (value representations) and 6.4 (value multiplicity), PS3.3 C.7.1.1 (PatientSex), C.12.1.1.2 (SpecificCharacterSet)",
    tables=("files", "slices", "dsos"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def value_forbidden(context: Context) -> Checked:
    """Every attribute of every image, in items of sequences too."""
    images = images_of(context)
    told = _told_elsewhere(context)
    findings = []
    for patient, subject, rows in by_folder(context, kept(images, images["invalid_values"].notna())):
        wrong: Counter[tuple[str, str, str]] = Counter()
        paths = []
        for path, value in zip(rows["path"], rows["invalid_values"], strict=True):
            own = [(keyword, vr, what) for keyword, vr, what in json.loads(value) if _is_ours(keyword, what)]
            left = [one for one in own if one[0] not in told.get(path, ())]
            wrong.update(left)
            if left:
                paths.append(path)
        if not wrong:
            continue
        names = file_names(context, paths)
        if len(names) == 1:
            words = [f"{keyword} ({vr}) {what}" for keyword, vr, what in sorted(wrong)]
            message = f"{names[0]}: {listed(words)}."
        else:
            words = [
                f"{keyword} ({vr}) {what} ({plural(count, 'file')})"
                for (keyword, vr, what), count in sorted(wrong.items())
            ]
            message = f"{plural(len(names), 'file')} hold values that the standard forbids: {listed(words)}."
        observed = listed(sorted({keyword for keyword, _, _ in wrong}))
        expected = "values in the form of their VR"
        findings.append(Found(subject, message, expected, observed, text(patient), len(paths), tuple(names)))
    return Checked(len(images), findings)


def _is_ours(keyword: str, what: str) -> bool:
    return keyword not in _OWN_RULES and what != _NO_DATE


def _told_elsewhere(context: Context) -> dict[str, set[str]]:
    """Keywords that a rule on the image or object names as malformed already, by path."""
    told: dict[str, set[str]] = {}
    for table in ("slices", "dsos"):
        rows: Any = context[table]
        rows = kept(rows, rows["malformed"].notna())
        for path, keywords in zip(rows["path"], rows["malformed"], strict=True):
            told.setdefault(path, set()).update(json.loads(keywords))
    return told
