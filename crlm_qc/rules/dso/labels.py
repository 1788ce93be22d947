"""What segments are called: labels, property types, coding schemes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from crlm_qc.collection.profile import LIVER, REMNANT, TUMOUR, VESSEL
from crlm_qc.model.finding import Found
from crlm_qc.model.fitness import NOTHING, Spoils
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.words import agree, capitalised, listed
from crlm_qc.rulebook.context import Context
from crlm_qc.rulebook.rule import Checked, Scope, Skip, rule
from crlm_qc.rules.dso._shared import OWN, each_dso
from crlm_qc.subjects.dso import Dso
from crlm_qc.subjects.words import ranges, text, whole

_RETIRED = frozenset({"SRT", "SNM3", "99SDM"})


@rule(
    "DSO024",
    "label-unknown",
    WARNING,
    title="Segment label outside the vocabulary",
    why="People select segments by label; one that is spelt otherwise is lost to them, and to the checks of this audit.",
    fix="Use a label of the collection's vocabulary, which the finding names.",
    source="published description: segments; DICOM PS3.3 C.8.20.4 (Segment Label)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("lesion-counts",), care=("segmentation", "volumetry")),
)
def label_unknown(context: Context) -> Checked:
    """Every declared segment; case, separators and spellings that the profile's patterns allow are forgiven."""
    vocabulary = ", ".join(dict.fromkeys(term.label for term in context.profile.segments))

    def judge(dso: Dso) -> Iterable[Found]:
        strange = [
            (whole(row["segment_number"]), context.show.text(label))
            for row in dso.declared
            if ((label := text(row["label"])) is None or context.profile.term(label) is None)
            and not dso.is_background(row)
        ]
        if not strange:
            return
        observed = listed(list(dict.fromkeys(shown for _, shown in strange)))
        if len(strange) == 1:
            value = strange[0][0]
            message = f"The label of segment {value} is not in the vocabulary ({observed})."
            yield dso.found(context, message, vocabulary, observed, segment=value)
            return
        words = [f"segment {value} ({shown})" for value, shown in strange]
        message = f"The labels of {len(words)} segments are not in the vocabulary: {listed(words)}."
        yield dso.found(context, message, vocabulary, observed, count=len(words), examples=words)

    return each_dso(context, judge, lambda dso: len(dso.declared))


def _labels(dso: Dso) -> list[str]:
    return [label for row in dso.declared if (label := text(row["label"])) is not None]


@rule(
    "DSO025",
    "liver-or-tumour-missing",
    ERROR,
    title="A segment that every object has is missing",
    why="The published description has these structures in every patient; without one the object can't be used as described.",
    fix="Add the segment, or correct its label.",
    source="published description: structures present in 100% of the patients",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("segmentation", "volumetry", "lesion-counts")),
)
def liver_or_tumour_missing(context: Context) -> Checked:
    """Every object with a Segment Sequence."""
    required = [term for term in context.profile.segments if term.required]
    if not required:
        raise Skip("the profile requires no segment")
    expected = ", and ".join(f"{term.named(1)} or more" if term.numbered else term.label for term in required)

    def judge(dso: Dso) -> Iterable[Found]:
        present = [context.profile.term(label) for label in _labels(dso)]
        lacking = [term.stem for term in required if term not in present]
        if lacking:
            message = f"The object has no segment {' and no segment '.join(lacking)}."
            observed = f"no {', no '.join(lacking)}"
            yield dso.found(context, message, expected, observed)

    return each_dso(context, judge)


@rule(
    "DSO026",
    "label-twice",
    WARNING,
    title="A label twice, or tumours not numbered 1..k",
    why="Which of the two is meant can't be told, and a missing number looks like a tumour that was lost.",
    fix="Number the tumours 1..k, and give each segment a label of its own.",
    source="published description: labels of the segments; DICOM PS3.3 C.8.20.4 (Segment Label)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(out=("lesion-counts",), care=("segmentation", "volumetry")),
)
def label_twice(context: Context) -> Checked:
    """Every object with a Segment Sequence; a lone tumour needs no number."""

    def judge(dso: Dso) -> Iterable[Found]:
        labels = _labels(dso)
        plain = Counter(_same_label(context, label) for label in labels)
        twice = [name for name, count in plain.items() if count > 1]
        numbers = [context.profile.number(label) for label in labels if context.profile.role(label) == TUMOUR]
        words = []
        if twice:
            shown = [
                context.show.text(name, {term.label for term in context.profile.segments} | _tumours(context, labels))
                for name in twice
            ]
            words.append(f"{listed(sorted(shown))} {agree(len(twice), 'stands', 'stand')} in several segments")
        complete = sorted(value or 0 for value in numbers) == list(range(1, len(numbers) + 1))
        repeated_tumour = any(context.profile.role(name) == TUMOUR for name in twice)
        if numbers and not complete and numbers != [None] and not repeated_tumour:
            found = listed(["none" if value is None else str(value) for value in numbers])
            words.append(f"tumours are numbered {found}, not 1 to {len(numbers)}")
        if words:
            message = f"{capitalised(', and '.join(words))}."
            yield dso.found(
                context, message, "each label once, tumours 1 to k", "; ".join(words), count=max(1, len(twice))
            )

    return each_dso(context, judge)


def _same_label(context: Context, label: str) -> str:
    """One spelling of a label: that of the vocabulary if it is in it."""
    term = context.profile.term(label)
    if term is None:
        return label.strip().casefold()
    return term.named(context.profile.number(label))


def _tumours(context: Context, labels: Iterable[str]) -> set[str]:
    return {_same_label(context, label) for label in labels if context.profile.role(label) == TUMOUR}


_TYPE_CODES = {
    "liver": frozenset({"10200004", "T-62000", "R-1002D", "181268008", "446526009"}),
    "vein": frozenset(
        {
            "29092000",
            "T-48000",
            "8993003",
            "T-48720",
            "32764006",
            "T-48810",
            "59820001",
            "T-40000",
            "113253006",
            "T-48700",
        }
    ),
    "mass": frozenset(
        {
            "4147007",
            "M-03000",
            "108369006",
            "M-80000",
            "M-80003",
            "M-80006",
            "M-01000",
            "49755003",
            "52988006",
            "14799000",
            "86049000",
        }
    ),
}
"""Codes of SNOMED CT, and of its retired form SRT, that stand for each kind of structure."""
_TYPE_WORDS = {
    "liver": ("liver", "hepatic remnant"),
    "vein": ("vein", "vessel", "venous", "vascula"),
    "mass": ("mass", "tumor", "tumour", "neoplas", "lesion", "metasta", "carcinoma", "malignan"),
}
_KIND_OF_ROLE = {LIVER: "liver", REMNANT: "liver", VESSEL: "vein", TUMOUR: "mass"}
_TYPE_MEANINGS = frozenset(
    {"Liver", "Vein", "Mass", "Tissue", "Portal vein", "Hepatic vein", "Blood vessel", "Neoplasm", "Lesion"}
)


def _kind_of_type(code: str | None, meaning: str | None) -> str | None:
    """What a property type stands for, by its code and else by its meaning."""
    for kind, codes in _TYPE_CODES.items():
        if code in codes:
            return kind
    lower = (meaning or "").casefold()
    return next((kind for kind in ("vein", "mass", "liver") if any(word in lower for word in _TYPE_WORDS[kind])), None)


@rule(
    "DSO027",
    "property-type-contradicts",
    WARNING,
    title="Coded property type contradicts the label, or is missing",
    why="Software goes by the code, people by the label; where they differ, one of the two picks the wrong structure.",
    fix="Code a liver and its parts as Liver, vessels as Vein, tumours as Mass.",
    source="DICOM PS3.3 C.8.20.4 (Segmented Property Type Code Sequence), PS3.16 CID 7151 and following",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=Spoils(care=("segmentation", "lesion-counts")),
)
def property_type_contradicts(context: Context) -> Checked:
    """Every declared segment."""

    def judge(dso: Dso) -> Iterable[Found]:
        for row in dso.declared:
            value = whole(row["segment_number"])
            code, meaning = text(row["type_code"]), text(row["type_meaning"])
            wanted = _KIND_OF_ROLE.get(context.profile.role(text(row["label"])) or "")
            expected = f"a property type for {wanted}" if wanted else "a property type"
            label = dso.label(context, value)
            if code is None:
                if not dso.is_background(row):
                    yield dso.found(
                        context,
                        f"{capitalised(label)} has no coded property type.",
                        expected,
                        "none",
                        segment=value,
                    )
            elif wanted is not None and _kind_of_type(code, meaning) != wanted:
                shown = context.show.text(meaning, _TYPE_MEANINGS)
                message = f"The property type of {label} is that of another structure ({shown})."
                yield dso.found(context, message, expected, shown, segment=value)

    return each_dso(context, judge, lambda dso: len(dso.declared))


@rule(
    "DSO028",
    "coding-scheme-retired",
    INFO,
    title="Retired coding scheme in use",
    why="SRT codes were replaced by SNOMED CT codes; newer software may not know them.",
    fix="Nothing for published objects; write SCT codes into new ones.",
    source="DICOM PS3.16 8.1 (SNOMED), PS3.3 8.1 (Code Value)",
    tables=OWN,
    scope=Scope.PATIENT,
    spoils=NOTHING,
)
def coding_scheme_retired(context: Context) -> Checked:
    """Every object with a Segment Sequence."""

    def judge(dso: Dso) -> Iterable[Found]:
        used = {
            whole(row["segment_number"]): {row["category_scheme"], row["type_scheme"]} & _RETIRED
            for row in dso.declared
        }
        numbers = [value for value, schemes in used.items() if schemes and value is not None]
        schemes = sorted(set().union(*used.values())) if used else []
        if schemes:
            message = f"{agree(len(numbers), 'Segment', 'Segments')} {ranges(numbers)} coded in the retired scheme {listed(schemes)}."
            yield dso.found(context, message, "SCT", listed(schemes), count=max(1, len(numbers)))

    return each_dso(context, judge)
