"""What of the headers may identify a person, series by series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from crlm_qc.collection.annex import Attribute, AttributeKind, attribute_table
from crlm_qc.model.finding import Kind, Subject
from crlm_qc.model.severity import ERROR, INFO, WARNING
from crlm_qc.model.words import plural
from crlm_qc.rulebook.context import Context, once
from crlm_qc.rulebook.rule import Skip
from crlm_qc.subjects.words import text

METHODS = "DeidentificationMethodCodeSequence"
GRAVITY = {
    AttributeKind.DIRECT: ERROR,
    AttributeKind.INSTITUTION: ERROR,
    AttributeKind.TRIAL: INFO,
    AttributeKind.CHARACTERISTIC: WARNING,
    AttributeKind.DATE: WARNING,
    AttributeKind.DEVICE: WARNING,
    AttributeKind.DESCRIPTOR: WARNING,
}
"""What a value that no option retains comes to. Attributes of a clinical trial name the trial, and archives add some."""
PATIENT_NAME, PATIENT_ID = "00100010", "00100020"


class _Held(NamedTuple):
    """A row of `identifiers`."""

    attribute: str
    tag: str
    state: str
    code: str | None
    pattern: str | None
    creator: str | None
    n_files: int


Rows = Sequence[_Held]
DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage: a DICOMDIR."""


@dataclass(frozen=True)
class Series:
    """The files of one series, and what their headers hold."""

    context: Context
    patient: str | None
    uid: str | None
    folder: str
    n_files: int
    rows: Rows
    segmentation: bool = False
    """Whether its files are segmentation objects."""
    directory: bool = False
    """Whether its files are directories of others (DICOMDIR), by their SOP class."""

    def subject(self, attribute: str) -> Subject:
        """The series, as the subject of a finding on one attribute."""
        show = self.context.show
        return Subject(Kind.SERIES, path=show.path(self.folder or "."), uid=show.uid(self.uid), column=attribute)

    def files(self, rows: Rows) -> int:
        """Files that rows speak of: texts of several lengths may stand in one file."""
        return min(self.n_files, sum(row.n_files for row in rows))

    def of(self, attribute: str) -> Rows:
        """Rows of one attribute."""
        return [row for row in self.rows if row.attribute == attribute]

    @property
    def present(self) -> Rows:
        """Rows of what is there."""
        return [row for row in self.rows if row.state == "present"]

    @property
    def strange_private(self) -> Rows:
        """Rows of private elements of creators that the profile does not allow."""
        allowed = self.context.profile.deidentification.private_creators
        return [row for row in self.present if row.creator is not None and row.creator not in allowed]

    @property
    def is_directory(self) -> bool:
        """Whether it is no series, but a directory of files, which says nothing of itself."""
        return self.uid is None and (self.patient is None or self.directory)

    @property
    def counted(self) -> str:
        """How many files there are, in words."""
        return plural(self.n_files, "file")

    @cached_property
    def declared(self) -> frozenset[str]:
        """Options that all its files declare; the profile's where they declare none, which is DID004's to tell."""
        sets = [frozenset(row.code.split()) for row in self.of(METHODS) if row.code]
        return frozenset.intersection(*sets) if sets else self.context.profile.deidentification.codes

    @cached_property
    def retained_against(self) -> list[tuple[str, Attribute, Rows]]:
        """Attributes of Table E.1-1 that hold a value which no declared option retains, with their rows."""
        table = attribute_table()
        found: list[tuple[str, Attribute, Rows]] = []
        for attribute, rows in by_attribute(self.present):
            tag = rows[0].tag
            known = None if "x" in tag or tag == PATIENT_NAME else table.get(int(tag, 16))
            if known is None or known.kind not in GRAVITY:
                continue
            if tag == PATIENT_ID:
                # Of a file of a patient's folder, the ID itself is REL011's.
                if "/" not in attribute and self.patient is not None:
                    continue
            elif known.may_hold_a_value(self.declared, segmentation=self.segmentation):
                continue
            # What lies in a sequence that should not be there is told with the sequence.
            if not any(attribute.startswith(outer + "/") for outer, _, _ in found):
                found.append((attribute, known, rows))
        return found


def by_attribute(rows: Rows) -> list[tuple[str, Rows]]:
    """Rows by their attribute, in its order."""
    return grouped(rows, lambda row: row.attribute)


def grouped(rows: Rows, key: Callable[[_Held], str]) -> list[tuple[str, Rows]]:
    """Rows by a key, in its order."""
    groups: dict[str, list[_Held]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.items(), key=lambda item: item[0])


@once
def every_series(context: Context) -> list[Series]:
    """Series with what their headers hold.

    Raises
    ------
    Skip
        No DICOM header was read.
    """
    rows: dict[tuple[str, str], list[_Held]] = {}
    # Headers of most patients hold the same, of which one row does.
    alike: dict[_Held, _Held] = {}
    table = context["identifiers"]
    columns = [
        table[name].astype(object).where(table[name].notna(), None)
        for name in ("patient", "series_uid", *_Held._fields)
    ]
    for patient, uid, *values in zip(*columns, strict=True):
        held = _Held(*values)
        rows.setdefault((patient or "", uid or ""), []).append(alike.setdefault(held, held))
    files = context["files"]
    names = ("kind", "patient", "series_uid", "folder", "meta_sop_class_uid")
    counted: dict[tuple[str, str], Counter[tuple[str, bool, bool]]] = {}
    for kind, *own, file_class in zip(*(files[name].tolist() for name in names), strict=True):
        if kind in ("ct", "dso", "other-dicom"):
            patient, uid, folder = (text(value) or "" for value in own)
            what = folder, kind == "dso", file_class == DIRECTORY
            counted.setdefault((patient, uid), Counter())[what] += 1
    found = [
        Series(
            context,
            patient or None,
            uid or None,
            min(folder for folder, _, _ in kinds),
            kinds.total(),
            rows[patient, uid],
            all(is_dso for _, is_dso, _ in kinds),
            all(is_directory for _, _, is_directory in kinds),
        )
        for (patient, uid), kinds in sorted(counted.items())
        if (patient, uid) in rows
    ]
    if not found:
        raise Skip("no DICOM header was read")
    return found
