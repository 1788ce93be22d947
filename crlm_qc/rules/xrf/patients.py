"""Patients across the sources, and their numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crlm_qc.collection.forms import is_uid
from crlm_qc.model.finding import RELEASE, Found, Kind, Subject
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, INFO
from crlm_qc.model.words import listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Skip, rule
from crlm_qc.subjects.ledger import told_patients
from crlm_qc.subjects.needs import published

_MOST = 12
"""Patients of one cause who are told one by one."""
DISK, METADATA, WORKBOOK, MANIFEST = "the disk", "metadata.csv", "the workbook", "the manifest"


@dataclass(frozen=True)
class Source:
    """The patients of one source."""

    patients: frozenset[str]
    malformed: int
    """Entries that may be a patient who seems to be missing: malformed IDs and UIDs, which other rules name."""


def _valid(context: Context, values: Any) -> frozenset[str]:
    return frozenset(str(value) for value in values.dropna() if context.profile.is_patient_id(str(value)))


def _sources(context: Context) -> dict[str, Source]:
    """Every source that was found, with its patients."""
    found: dict[str, Source] = {}
    patients = context["patients"]
    if len(patients):
        known = _valid(context, patients["patient"])
        found[DISK] = Source(known, int((~patients["patient"].isin(known)).sum()))
    metadata = context["metadata"]
    if len(metadata):
        found[METADATA] = Source(_valid(context, metadata["patient"]), int(metadata["patient"].isna().sum()))
    rows = context["clinical"][["row", "patient", "patient_id"]].drop_duplicates()
    if len(rows):
        # An ID that was mended is that of a patient whom another source knows, or of nobody.
        mended = rows["patient_id"].str.strip() != rows["patient"]
        owners = rows["patient"].where(~mended | rows["patient"].isin(_everybody(found)))
        # A row whose ID is another row's may be that of the patient who seems to be missing.
        found[WORKBOOK] = Source(_valid(context, owners), int((owners.isna() | owners.duplicated()).sum()))
    manifest = context["manifest"]
    if len(manifest):
        series = _series_of_patients(context)
        entries = set(manifest["entry"])
        listed_patients = frozenset(patient for patient, uids in series.items() if uids & entries)
        # Nobody can tell whether the manifest has a patient of whom no series is known.
        unknown = _everybody(found) - set(series)
        malformed = sum(not is_uid(entry) for entry in manifest["entry"])
        found[MANIFEST] = Source(listed_patients | unknown, malformed)
    return found


def _everybody(found: Mapping[str, Source]) -> frozenset[str]:
    return frozenset().union(*(source.patients for source in found.values()))


def _series_of_patients(context: Context) -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    is_patient = context.profile.is_patient_id
    for table in ("series", "metadata"):
        for patient, uid in zip(context[table]["patient"], context[table]["series_uid"], strict=True):
            if isinstance(patient, str) and isinstance(uid, str) and is_patient(patient):
                owners.setdefault(patient, set()).add(uid)
    return owners


@rule(
    "XRF001",
    "patient-not-in-all-sources",
    ERROR,
    title="A patient is in one source and not in another",
    why="Images without clinical data, or the reverse, can't be used as described, and the release does not hold what its lists promise. IDs and UIDs that are malformed (MET006, CLN004, MAN002, REL011) may be the patients that seem to be missing, and are counted as such.",
    fix="Add the patient to the sources that lack it, or take it out of the others.",
    source="published description: the same patients in images, metadata.csv, workbook and manifest",
    tables=("patients", "series", "metadata", "clinical", "manifest"),
    spoils=Spoils(out=("clinical-pairing", "completeness")),
)
def patient_not_in_all_sources(context: Context) -> Checked:
    """Every patient of any source; sources that were not found (REL001 to REL003) do not count, and LED007 tells of published patients that are not on disk."""
    sources = _sources(context)
    if len(sources) < 2:
        raise Skip("fewer than two sources were found")
    everybody = _everybody(sources)
    if asked := context.settings.patients or context.evidence.facts.patients_read:
        everybody &= frozenset(asked)
    if context.settings.partial or context.evidence.facts.patients_read:
        # Part of the release: who is not on disk was left out on purpose.
        everybody &= sources[DISK].patients if DISK in sources else frozenset()
    lacking: dict[str, list[str]] = {}
    for name, source in sources.items():
        absent = sorted(everybody - source.patients - (told_patients(context) if name == DISK else frozenset()))
        if len(absent) > source.malformed:
            for patient in absent:
                lacking.setdefault(patient, []).append(name)
    alike: dict[tuple[str, str], list[str]] = {}
    for patient, absent_from in sorted(lacking.items()):
        present = [name for name in sources if patient in sources[name].patients]
        if MANIFEST in present and patient not in _series_of_patients(context):
            present.remove(MANIFEST)
        alike.setdefault((listed(present), listed(absent_from)), []).append(patient)
    findings = []
    for (there, elsewhere), patients in alike.items():
        said, expected, observed = f"in {there}, and not in {elsewhere}", "in every source", f"not in {elsewhere}"
        if len(patients) > _MOST:
            message = f"{len(patients):,} patients are {said}: {listed(patients)}."
            findings.append(Found(RELEASE, message, expected, observed, None, len(patients), tuple(patients)))
            continue
        findings += [Found(Subject(Kind.PATIENT), f"{one} is {said}.", expected, observed, one) for one in patients]
    return Checked(len(everybody), findings)


@rule(
    "XRF008",
    "patient-number-gap",
    INFO,
    title="A patient number is skipped that the published release has",
    why="A gap in the numbers is mostly a patient who was lost on the way; the published release lacks known numbers alone.",
    fix="Download or copy the patient again, or note in the profile that the number does not exist.",
    source="published description: patient IDs, and those that were never given",
    tables=("patients", "metadata", "clinical"),
    whole_release=True,
    spoils=Spoils(care=("completeness",)),
)
def patient_number_gap(context: Context) -> Checked:
    """Numbers between the first and the last are in one source at least; XRF001 says which source lacks a patient."""
    never_given = published(context.profile.published.missing_patients, "list of numbers that were never given")
    found = {name: _numbers(context, name) for name in ("patients", "metadata", "clinical")}
    # A number that only the workbook has may be a slip of the pen, and moves neither end.
    known = found["patients"] | found["metadata"] or found["clinical"]
    if len(known) < 2:
        raise Skip("fewer than two patients")
    first, last = min(known), max(known)
    prefix, digits = re.sub(r"[0-9]+$", "", known[first]), len(known[first]) - len(known[first].rstrip("0123456789"))
    there = known.keys() | found["clinical"].keys()
    missing = [f"{prefix}{value:0{digits}d}" for value in range(first, last + 1) if value not in there]
    missing = [patient for patient in missing if patient not in never_given and patient not in told_patients(context)]
    if not missing:
        return Checked(len(known))
    message = f"{plural(len(missing), 'patient number is', 'patient numbers are')} skipped between {known[first]} and {known[last]}: {listed(missing)}."
    gap = plural(len(missing), "gap")
    absent = ", ".join(never_given)
    expected = f"no gap but {absent}" if absent else "no gap"
    return Checked(len(known), [Found(RELEASE, message, expected, gap, None, len(missing), tuple(missing))])


def _numbers(context: Context, name: str) -> dict[int, str]:
    """Valid patient IDs of a table by the number that they end in."""
    patients = [
        patient for patient in context[name]["patient"].dropna().unique() if context.profile.is_patient_id(patient)
    ]
    return {int(match[0]): patient for patient in patients if (match := re.search(r"[0-9]+$", patient))}
