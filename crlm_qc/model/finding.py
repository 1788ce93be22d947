"""What a rule says of one subject."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from crlm_qc.model.plain import MAX_TEXT, UNSAVED, cut, to_plain
from crlm_qc.model.severity import Severity
from crlm_qc.model.sight import Place, Sight
from crlm_qc.model.standing import Standing

FINGERPRINT_LENGTH = 12
FIRST = "REL020"
"""The rule that is told before all others: where no image was audited, little else counts."""
DOWNLOAD_FOLDER = re.compile(r"manifest-[0-9]{1,15}")
"""The folder that the NBIA downloader makes, named after the time of the download."""


class Alias(str):
    """A path as it is shown, which knows how it is shown where folders have names, and what lies there."""

    __slots__ = ("content", "original")
    original: str
    content: str | None
    """Which of the patient's series or images it is: the same however a downloader names folders and files."""

    def __new__(cls, shown: str, original: str, content: str | None = None) -> Self:
        """Text that is `shown`, of a path that is `original` elsewhere."""
        made = super().__new__(cls, shown)
        made.original = original
        made.content = content
        return made

    def __getnewargs__(self) -> tuple[str, str, str | None]:  # type: ignore[override]
        """What a copy is made of."""
        return str(self), self.original, self.content


class Kind(StrEnum):
    """What sort of thing a finding is about."""

    RELEASE = "release"
    FILE = "file"
    FOLDER = "folder"
    PATIENT = "patient"
    SERIES = "series"
    SEGMENT = "segment"
    ROW = "row"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Subject:
    """The thing that a finding is about; only the parts that name it are set."""

    kind: Kind
    path: str | None = None
    """Path relative to the release, as `Show.path` gives it."""
    uid: str | None = None
    """Series or SOP Instance UID, as `Show.uid` gives it."""
    segment: int | None = None
    """Segment Number (0062,0004)."""
    row: int | None = None
    """Line of a CSV or text file, or row of a sheet, counted from 1 and with its heading."""
    column: str | None = None
    """Column of a table, or keyword of a DICOM attribute."""

    def identity(self, patient: str | None = None) -> tuple[str, ...]:
        """The parts that stay the same from run to run while the fault does, wherever the release lies.

        A row number moves when somebody adds a line, so it counts only where nothing else names the row. The same
        release may be audited from another folder, and one that is downloaded again lies in another dated folder: of a
        path what lies above the patient's folder does not count, and where the patient, a whole UID or what lies there
        names the subject, none of it: downloaders and mirrors name folders and files in ways of their own.
        """
        row = self.row if self.uid is None and self.path is None else None
        named = (self.kind is Kind.PATIENT and patient) or (self.kind is Kind.SERIES and _is_whole(self.uid))
        where = None if named else _below(self.path, patient)
        parts = (self.kind.value, where, self.uid, self.segment, row, self.column)
        return tuple("" if part is None else str(part) for part in parts)


def _is_whole(uid: str | None) -> bool:
    """Whether a UID is shown to its end."""
    return uid is not None and uid.replace(".", "").isdigit()


def _below(path: str | None, patient: str | None) -> str | None:
    """The part of a path that is the same in every copy of a release."""
    if path is None:
        return None
    if isinstance(path, Alias):
        # A fault is the same one whatever its folder is called in the report.
        if path.content is not None:
            return path.content
        path = path.original
    parts = [part for part in path.split("/") if not DOWNLOAD_FOLDER.fullmatch(part)]
    return "/".join(parts[parts.index(patient) :] if patient in parts else parts)


RELEASE = Subject(Kind.RELEASE)


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found on one subject, before the audit stamps it with the rule's code.

    Every value that comes from a file goes through `crlm_qc.collection.show.Show` before it stands here.
    """

    subject: Subject
    message: str
    """One plain sentence: what is wrong, and where."""
    expected: str = ""
    observed: str = ""
    patient: str | None = None
    """Patient ID as the evidence tables hold it (already safe to show)."""
    count: int = 1
    """How many instances, frames, rows or files share the fault."""
    examples: tuple[str, ...] = ()
    """A few of them, at most `MAX_EXAMPLES`."""
    severity: Severity | None = None
    """Set only where this case is graver or milder than the rule's own severity."""
    places: tuple[Place, ...] = ()
    """Where it is seen in the images, the most telling first, as the rule's `seen` says."""


MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the report: one fault of one subject, named by one rule."""

    rule: str
    severity: Severity
    subject: Subject
    message: str
    expected: str
    observed: str
    patient: str | None
    count: int
    examples: tuple[str, ...]
    fingerprint: str
    waived: str | None = None
    """Why the finding is accepted; None where it counts."""
    sight: Sight | None = field(default=None, compare=False, repr=False, metadata=UNSAVED)
    """How and where it is seen in the images, if it is; known to the audit alone, and saved nowhere."""
    baseline: Standing | None = None
    """How it stands to the audit that the report is compared with; None where it is compared with none."""

    def __post_init__(self) -> None:
        """Say no more of a finding than anybody reads."""
        for name in ("message", "expected", "observed", "waived"):
            if (text := getattr(self, name)) and len(text) > MAX_TEXT:
                object.__setattr__(self, name, cut(text))
        if any(len(example) > MAX_TEXT for example in self.examples):
            object.__setattr__(self, "examples", tuple(map(cut, self.examples)))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "patient": self.patient,
            "subject": to_plain(self.subject),
            "message": self.message,
            "expected": self.expected,
            "observed": self.observed,
            "count": self.count,
            "examples": list(self.examples),
            "waived": None if self.waived is None else {"reason": self.waived},
            "fingerprint": self.fingerprint,
            **({} if self.baseline is None else {"baseline": to_plain(self.baseline)}),
        }

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Gravest first, then by rule, patient and subject: the order of every output."""
        subject = self.subject
        return (
            self.severity.rank,
            self.rule != FIRST,
            self.rule,
            self.patient or "",
            subject.kind.value,
            subject.path.original if isinstance(subject.path, Alias) else subject.path or "",
            subject.uid or "",
            subject.segment or 0,
            subject.row or 0,
            subject.column or "",
            self.message,
            self.observed,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to decide at once: one cause, by the finding that names it and those that follow from it."""

    fingerprint: str
    """That of the finding that names the cause."""
    rule: str
    """The code of its rule, whose `fix` is what to do."""
    patient: str | None
    sentence: str
    """What is wrong, and where."""
    findings: tuple[str, ...]
    """Fingerprints of its findings, that of the cause first, then as the report has them."""


def fingerprint(rule: str, patient: str | None, subject: Subject, ordinal: int = 0) -> str:
    """Name a fault so that it keeps its name from run to run.

    Parameters
    ----------
    rule : str
        The rule's code.
    patient : str or None
        Patient ID.
    subject : Subject
        What the finding is about.
    ordinal : int
        Counts findings that agree in all of these, in the order of the report.

    Returns
    -------
    str
        The first 12 hexadecimal digits of a SHA-256.
    """
    parts: Sequence[str] = (rule, patient or "", *subject.identity(patient), *([str(ordinal)] if ordinal else []))
    return hashlib.sha256("|".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT_LENGTH]
