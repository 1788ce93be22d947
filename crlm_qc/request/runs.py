"""Earlier audits: those that are kept beside findings.json, what a new one is compared with, and which it may replace."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crlm_qc.model.changes import with_baseline
from crlm_qc.model.errors import UsageError
from crlm_qc.model.report import Report
from crlm_qc.model.settings import Settings
from crlm_qc.model.trend import MOST, Trend
from crlm_qc.model.words import plural
from crlm_qc.report import FORMATS, json_format, words
from crlm_qc.report.writing import put
from crlm_qc.request.choice import choose
from crlm_qc.request.keys import LAST
from crlm_qc.request.request import Request
from crlm_qc.request.saved import load_report
from crlm_qc.request.summaries import (
    put_summary,
    read_summary,
    scope_digest,
    scope_of,
    summary_file,
    summary_of,
)
from crlm_qc.rules import registry

FOLDER = "runs"
"""Where findings.json of each audit is kept, beside the newest."""
_TOLD = "%Y-%m-%d %H:%M UTC"
"""How a report says when it was made."""
_STAMP = "%Y%m%dT%H%MZ"
_NAME = re.compile(r"([0-9]{4,9})-([0-9]{8}T[0-9]{4}Z)\.json")


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier audit to compare with."""

    report: Report
    name: str

    def beside(self, report: Report) -> Report:
        """A report whose findings say how they stand to this audit."""
        return with_baseline(report, self.report, self.name)


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """An audit that was kept."""

    number: int
    when: str
    """As a report says it; empty where it is not known."""
    path: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return f"the audit of {self.when}" if self.when else "the last audit"


class Runs:
    """The audits that are kept in a folder of reports.

    Parameters
    ----------
    folder : pathlib.Path
        Where findings.json of the newest lies.
    """

    def __init__(self, folder: Path) -> None:
        self._newest = folder / FORMATS["json"].goes_to
        self._folder = folder / FOLDER

    @property
    def place(self) -> Path:
        """A file as it would be written."""
        return self._folder / "0001.json"

    def kept(self) -> list[Kept]:
        """All of them, newest first; files of other names are none."""
        try:
            names = [path for path in self._folder.iterdir() if path.is_file()]
        except OSError:
            return []
        found = [
            Kept(int(match[1]), when, path)
            for path in names
            if (match := _NAME.fullmatch(path.name)) and (when := _told(match[2]))
        ]
        return sorted(found, reverse=True)

    def last(self, report: Report) -> Earlier | None:
        """The last audit that a report can be compared with: of the same release, as deep and as wide.

        Parameters
        ----------
        report : Report
            The new audit, which is not kept yet.
        """
        for run in self.kept() or [Kept(0, "", self._newest)]:
            # What an earlier version wrote, or somebody changed, is no audit to compare with.
            with suppress(UsageError):
                old = load_report(run.path)
                if not old.empty and _comparable(old, report):
                    return Earlier(old, run.name)
        return None

    def baseline(self, report: Report, request: Request, named: Earlier | None) -> Earlier | None:
        """What a new audit is to be compared with: the audit that was named, or the last if that is asked for."""
        return self.last(report) if request.baseline == LAST else named

    def keep(self, report: Report, started: str, most: int) -> None:
        """Keep an audit, and no more than so many.

        Parameters
        ----------
        report : Report
            The audit.
        started : str
            When, as `Run` has it.
        most : int
            How many are kept, with this one.

        Raises
        ------
        UsageError
            It can't be written.
        """
        earlier = self.kept()
        number = earlier[0].number + 1 if earlier else 1
        stamp = _rewritten(started, _TOLD, _STAMP)
        if most:
            path = self._folder / f"{number:04}-{stamp}.json"
            put(path, json_format.render(report))
            put_summary(path, report)
        for old in earlier[max(most - 1, 0) :]:
            for path in (old.path, summary_file(old.path)):
                with suppress(OSError):
                    path.unlink()

    def trend(self, report: Report, most: int | None = None) -> Trend | None:
        """What became of a release over the audits that are kept.

        Parameters
        ----------
        report : Report
            The newest audit, with its run.
        most : int, optional
            How many will be kept with the newest, which is not among them yet; by default it is the last of them.

        Returns
        -------
        Trend or None
            None for fewer than two audits of the same scope, and where the output is to be reproducible.
        """
        run = report.run
        if run is None or run.seconds is None:
            return None
        kept = self.kept()
        if most is not None:
            earlier = kept[: max(most - 1, 0)]
        elif kept and kept[0].when == run.started:
            earlier = kept[1:]
        else:
            # These results are not of the newest audit here.
            return None
        scope, found, unread = scope_digest(report), [summary_of(report, run.started)], []
        for old in earlier:
            told = read_summary(old.path, old.when)
            if told is None:
                unread.append(old.path.name)
            elif told[0] == scope and len(found) < MOST:
                found.append(told[1])
        return Trend(found[::-1], unread[::-1]) if scope and len(found) > 1 else None


def _told(stamp: str) -> str:
    try:
        return _rewritten(stamp, _STAMP, _TOLD)
    except ValueError:
        return ""


def _rewritten(time: str, old: str, new: str) -> str:
    """A time in another form; both are of UTC.

    Raises
    ------
    ValueError
        It is none of the old form.
    """
    return dt.datetime.strptime(time, old).replace(tzinfo=dt.UTC).strftime(new)


def _comparable(old: Report, new: Report) -> bool:
    """Whether two audits looked at the same release as deep and as wide, so that the later one tells what became of it."""
    return scope_of(old) == scope_of(new)


def baseline_of(request: Request, folder: Path) -> Earlier | None:
    """The audit that a request names to compare with; None for none, and for the last, which the new one must be known for.

    Parameters
    ----------
    request : Request
        What is asked for.
    folder : pathlib.Path
        Folder of the reports.

    Raises
    ------
    UsageError
        The file can't be read or had nothing to check, or what is new is asked for and nothing to compare with is named.
    """
    if request.baseline is None:
        if request.new_alone:
            raise UsageError(
                "--fail-on new needs an earlier audit to tell what is new: --baseline FILE, or --baseline last"
            )
        return None
    if request.baseline == LAST:
        return None
    path = Path(request.baseline)
    # A folder of reports is as good as the file in it.
    path = path / FORMATS["json"].goes_to if path.is_dir() else path
    report = load_report(path)
    if report.empty:
        raise UsageError(f"--baseline {path}: that audit had nothing to check, so it can't tell what is new")
    same = [run for run in Runs(folder).kept() if run.path == path]
    return Earlier(report, same[0].name if same else f"the baseline {words.clean(path.name)}")


def refuse_narrower(request: Request, folder: Path) -> None:
    """Refuse an audit that would put less in the place of more.

    Parameters
    ----------
    request : Request
        What is asked for.
    folder : pathlib.Path
        Folder of the reports.

    Raises
    ------
    UsageError
        A deeper or wider audit lies there; the message says what it is, and both ways out.
    """
    path = folder / FORMATS["json"].goes_to
    if not path.is_file():
        return
    try:
        there = load_report(path)
    except UsageError:
        # What can't be read is no audit that anybody could want back.
        return
    if there.empty:
        return
    if less := list(_less(there, request)):
        raise UsageError(
            f"{path} is of a larger audit, which this one would replace: {words.listing(less)}. "
            "Keep both with --out FOLDER, or replace it with --force"
        )


def _less(there: Report, request: Request) -> Iterator[str]:
    """In what a request asks for less than the audit that lies there; other patients or rules are not less."""
    old, new = there.settings, request.settings
    if not new.depth.covers(old.depth):
        yield f"it was read at depth {old.depth.value}, and this one at {new.depth.value}"
    if request.part is not None and not old.patients:
        yield f"it is of all patients, and this one of part {request.part}"
    elif new.patients and not old.patients:
        yield f"it is of all patients, and this one of {len(new.patients):,}"
    elif new.patients and set(new.patients) < set(old.patients):
        yield f"this one leaves out {plural(len(set(old.patients) - set(new.patients)), 'patient')} of it"
    elif new.partial and not old.partial:
        yield "it is of the whole release, and this one of a subset"
    if lost := _lost_rules(there, new):
        yield f"this one leaves out {plural(len(lost), 'rule')} of it by --select"


def _lost_rules(there: Report, settings: Settings) -> set[str]:
    """Rules that the audit had and the selection has not; what is ignored on purpose is told by the report itself."""
    if not settings.select:
        return set()
    chosen = {item.code for item in choose(registry(), replace(settings, ignore=()))}
    had = {one.rule for one in there.outcomes if one.rule in registry()}
    return had - chosen if chosen < had else set()
