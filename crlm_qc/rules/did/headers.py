"""DID: de-identification, after DICOM PS3.15 Annex E (edition 2024b) and the options that the release declares.

Nothing here ever sees a value that may identify somebody: the table `identifiers` holds states alone. Where one element
is wrong, one rule says so: what DID001, DID002 or DID006 tell of is not told again for what its text looks like (DID009).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crlm_qc.collection.annex import AttributeKind, attribute_table
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import Spoils
from crlm_qc.model.severity import ERROR, WARNING
from crlm_qc.model.sight import Seen
from crlm_qc.model.words import agree, listed, plural
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, Skip, rule
from crlm_qc.rules.did._shared import ANNEX, each_series
from crlm_qc.subjects.identifiers import GRAVITY, METHODS, PATIENT_ID, PATIENT_NAME, Series, by_attribute, grouped

_PLANE = re.compile("(50|60)[0-9A-F]{2}3000")
"""Curve and overlay data of any group."""


def _not_as_declared(one: Series, attribute: str, wanted: str) -> Iterator[Found]:
    """An attribute of one value that all files must have."""
    if one.is_directory:
        return
    counts: dict[str, int] = {}
    for row in one.of(attribute):
        if row.code:
            counts[row.code] = counts.get(row.code, 0) + row.n_files
    good = counts.pop(wanted, 0)
    if good >= one.n_files:
        return
    if (absent := one.n_files - good - sum(counts.values())) > 0:
        counts["no value"] = absent
    bad = one.n_files - good
    observed = ", ".join(
        f"{'another value' if code == 'other' else code} in {plural(count, 'file')}" for code, count in counts.items()
    )
    message = f"{attribute} is not {wanted} in {bad:,} of {one.counted}."
    yield Found(one.subject(attribute), message, wanted, observed, one.patient, bad)


@rule(
    "DID001",
    "patient-name",
    ERROR,
    title="PatientName is neither empty nor the patient ID",
    why="A name identifies the patient to whoever opens the file, and travels with every copy of it.",
    fix="Withhold the release, empty PatientName or set it to the PatientID in all files, and find out how it got through.",
    source=f"{ANNEX}: Patient's Name (0010,0010), action Z",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def patient_name(context: Context) -> Checked:
    """PatientName of every file; equal to a PatientID of the collection's form, it names nobody."""

    def judge(one: Series) -> Iterator[Found]:
        names = [row for row in one.present if row.tag == PATIENT_NAME]
        for attribute, rows in by_attribute(names):
            count = one.files(rows)
            yield Found(
                one.subject(attribute),
                f"PatientName (0010,0010) has a value that is not the PatientID in {count:,} of {one.counted}.",
                "empty, or the PatientID",
                "another value, which is not shown",
                one.patient,
                count,
            )

    return each_series(context, judge)


@rule(
    "DID002",
    "identifier-present",
    ERROR,
    title="An attribute that may identify somebody has a value",
    why="The Basic Profile removes or empties it, and no option that the release declares retains it: the files hold more than the release says.",
    fix="Withhold the release, and remove or empty the attribute; or, if it was cleaned and is meant to stay, declare the option that retains it.",
    source=ANNEX,
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def identifier_present(context: Context) -> Checked:
    """Every attribute of expectations/deidentification.toml, in nested items too, against the options declared.

    A value that names a person, a place or an order is an error; a date, device, characteristic or description that no
    option retains is a warning; an attribute of a clinical trial is a note.
    """

    def judge(one: Series) -> Iterator[Found]:
        for attribute, known, rows in one.retained_against:
            count = one.files(rows)
            if known.tag == int(PATIENT_ID, 16):
                yield _another_id(one, attribute, count)
                continue
            options = ", ".join(sorted(known.retained_by))
            yield Found(
                one.subject(attribute),
                f"{attribute} ({known.tag >> 16:04X},{known.tag & 0xFFFF:04X}) has a value in {count:,} of {one.counted}.",
                f"no value; action {known.action}" + (f", unless {options} is declared" if options else ""),
                f"a value of VR {known.vr}, which is not shown",
                one.patient,
                count,
                severity=GRAVITY[known.kind],
            )

    return each_series(context, judge)


def _another_id(one: Series, attribute: str, count: int) -> Found:
    form = one.context.profile.patient_id_form
    own = "/" in attribute
    return Found(
        one.subject(attribute),
        f"{attribute} (0010,0020) is "
        + ("not the file's own PatientID" if own else f"not of the form {form}")
        + f" in {count:,} of {one.counted}.",
        "the file's PatientID, or no value" if own else f"an ID of the form {form}",
        "another ID, which is not shown",
        one.patient,
        count,
    )


@rule(
    "DID003",
    "identity-not-removed",
    ERROR,
    title="PatientIdentityRemoved is not YES",
    why="Archives and tools take the file for one that still identifies the patient, and they may be right.",
    fix="Make sure that the file was de-identified, then set PatientIdentityRemoved (0012,0062) to YES.",
    source="DICOM PS3.15 2024b E.1.1 (De-identifier); PS3.3 C.7.1.1 Patient Module",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(out=("sharing",)),
)
def identity_not_removed(context: Context) -> Checked:
    """PatientIdentityRemoved of every file."""
    return each_series(context, lambda one: _not_as_declared(one, "PatientIdentityRemoved", "YES"))


@rule(
    "DID004",
    "method-codes",
    WARNING,
    title="De-identification method codes are missing, or not the release's",
    why="The codes say what was removed and what was kept; without them nobody can tell whether a value is there on purpose.",
    fix="Set DeidentificationMethodCodeSequence (0012,0064) in all files to the codes of the procedure that was used.",
    source="DICOM PS3.15 2024b E.1.1; PS3.16 CID 7050 De-identification Method; release profile",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def method_codes(context: Context) -> Checked:
    """DeidentificationMethodCodeSequence of every file, against the codes of the profile."""
    wanted = context.profile.deidentification.codes

    def judge(one: Series) -> Iterator[Found]:
        if one.is_directory:
            return
        good, bad, seen = 0, 0, []
        for row in one.of(METHODS):
            if not row.code:
                continue
            if not wanted or set(row.code.split()) == wanted:
                good += row.n_files
            else:
                bad += row.n_files
                said = row.code.replace("other", "codes that are none of its options")
                seen.append(f"{said} in {plural(row.n_files, 'file')}")
        if good >= one.n_files:
            return
        if (absent := one.n_files - good - bad) > 0:
            seen.append(f"none in {plural(absent, 'file')}")
        bad = one.n_files - good
        message = f"{METHODS} is missing or has other codes in {bad:,} of {one.counted}."
        expected = " ".join(sorted(wanted)) if wanted else "at least one code"
        yield Found(one.subject(METHODS), message, expected, "; ".join(seen), one.patient, bad)

    return each_series(context, judge)


@rule(
    "DID005",
    "dates-not-declared-modified",
    WARNING,
    title="LongitudinalTemporalInformationModified is missing or not MODIFIED",
    why="Who uses the dates can't tell whether they are real; if they are, they may identify the patient.",
    fix="Make sure that the dates were shifted, then set LongitudinalTemporalInformationModified (0028,0303) to MODIFIED.",
    source="DICOM PS3.15 2024b E.3.6 Retain Longitudinal Temporal Information Options",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def dates_not_declared_modified(context: Context) -> Checked:
    """LongitudinalTemporalInformationModified of every file; only where the release retains modified dates."""
    codes = context.profile.deidentification.codes
    if codes and "113107" not in codes:
        raise Skip("the profile's releases do not retain modified dates (113107)")
    return each_series(
        context, lambda one: _not_as_declared(one, "LongitudinalTemporalInformationModified", "MODIFIED")
    )


@rule(
    "DID006",
    "private-attribute",
    WARNING,
    title="Private attributes beyond those allowed",
    why="What a private element means is known to its maker alone, and scanners keep names and dates in some.",
    fix="Remove the elements, or, if they are known to be safe, add their creator to the profile's private_creators.",
    source=f"{ANNEX}: private attributes, action X; E.3.10 Retain Safe Private Option",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    spoils=Spoils(care=("sharing",)),
)
def private_attribute(context: Context) -> Checked:
    """Private elements with a value, by creator and group; creators without elements are allowed."""
    allowed = context.profile.deidentification.private_creators

    def judge(one: Series) -> Iterator[Found]:
        for key, rows in grouped(one.strange_private, lambda row: f"{row.tag[:4]} {row.creator}"):
            group, _, creator = key.partition(" ")
            count = one.files(rows)
            attributes = sorted({row.attribute for row in rows})
            looks = sorted({row.pattern for row in rows if row.pattern})
            whose = {"none": "without a creator", "other": "of a creator that is not publicly known"}.get(
                creator, f"of {creator}"
            )
            yield Found(
                one.subject(f"({group},eeee)"),
                f"{plural(len(attributes), 'private attribute')} {whose} {agree(len(attributes), 'holds', 'hold')} a value "
                f"in up to {count:,} of {one.counted}: {listed(attributes)}.",
                f"private attributes of {', '.join(sorted(allowed))} alone" if allowed else "no private attribute",
                f"{plural(len(attributes), 'attribute')}" + (f"; looks like: {', '.join(looks)}" if looks else ""),
                one.patient,
                count,
            )

    return each_series(context, judge)


@rule(
    "DID007",
    "burned-in-annotation",
    ERROR,
    title="BurnedInAnnotation is YES",
    why="The pixels may hold the patient's name or number as text.",
    fix="Look at the images; clean or withhold them, then set BurnedInAnnotation (0028,0301) to NO.",
    source="DICOM PS3.3 C.7.6.1 General Image Module; PS3.15 2024b E.3.1 Clean Pixel Data Option",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    seen=Seen(hides=True),
    spoils=Spoils(out=("sharing",), care=("segmentation", "image-values")),
)
def burned_in_annotation(context: Context) -> Checked:
    """BurnedInAnnotation of every file; absent means that nothing is said."""

    def judge(one: Series) -> Iterator[Found]:
        rows = [row for row in one.of("BurnedInAnnotation") if row.code == "YES"]
        if rows:
            count = one.files(rows)
            message = f"BurnedInAnnotation is YES in {count:,} of {one.counted}."
            yield Found(one.subject("BurnedInAnnotation"), message, "NO, or absent", "YES", one.patient, count)

    return each_series(context, judge)


@rule(
    "DID008",
    "overlay-or-graphics",
    WARNING,
    title="Overlays, curves, graphics or an icon image",
    why="They may show the patient's name, and viewers draw them on the image.",
    fix="Look at them, and remove them, or keep them and declare the Clean Graphics Option (113103).",
    source=f"{ANNEX}: Overlay Data, Curve Data, Graphic Annotation Sequence, Icon Image Sequence; E.3.3 Clean Graphics Option",
    tables=("files", "identifiers"),
    scope=Scope.PATIENT,
    seen=Seen(hides=True),
    spoils=Spoils(care=("sharing",)),
)
def overlay_or_graphics(context: Context) -> Checked:
    """Overlay and curve data of any group, graphic annotations and icon images with a value."""
    graphics = {
        f"{item.tag:08X}" for item in attribute_table().attributes.values() if item.kind is AttributeKind.GRAPHIC
    }

    def judge(one: Series) -> Iterator[Found]:
        if "113103" in one.declared:
            return
        drawn = [row for row in one.present if row.tag in graphics or _PLANE.fullmatch(row.tag)]
        for attribute, rows in by_attribute(drawn):
            count = one.files(rows)
            message = f"{attribute} is there in {count:,} of {one.counted}."
            yield Found(one.subject(attribute), message, "none", "present", one.patient, count)

    return each_series(context, judge)
