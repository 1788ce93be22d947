"""Many patients: rules on patients judge some at a time, each where their rows are read; the release is judged on less.

The process that puts it all together holds no row of a frame: what rules on the release need is in `HELD`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crlm_qc.auditing.figures import patient_facts
from crlm_qc.auditing.judging import Asked, Judged, asked_of, otherwise, report_of
from crlm_qc.auditing.parts import OF_PATIENTS, REST, Part, part_of, parts_of
from crlm_qc.auditing.tallies import tally_of, together
from crlm_qc.model.evidence import Evidence
from crlm_qc.model.tables import TABLES, texts_as_in_tables
from crlm_qc.rulebook.context import gather, provide
from crlm_qc.rulebook.rule import Rule, RuleKind, Scope
from crlm_qc.rules import registry
from crlm_qc.workers import default_jobs, each, start_server

if TYPE_CHECKING:
    import pandas as pd

    from crlm_qc.collection.profile import Profile
    from crlm_qc.collection.waivers import Waiver
    from crlm_qc.evidence.store import Saved
    from crlm_qc.model.report import Report
    from crlm_qc.model.settings import Settings
    from crlm_qc.workers import Progress

JUDGING = "judging patients"
"""The phase that progress is told of."""
MANY = 400
"""Patients of whom there are so many are judged in batches: of fewer, starting processes would take longer."""
BATCH_ROWS = 40_000
"""Slices and frames of a batch: rules and tables take half a second even for no patient, and these take 200 MB."""

HELD: Final[Mapping[str, Sequence[str]]] = {
    "files": (
        "patient",
        "patient_id",
        "path",
        "folder",
        "name",
        "size",
        "kind",
        "in_collection",
        "other_collection",
        "copy_of",
        "problem",
        "content",
        "others",
        "sop_instance_uid",
        "sop_class_uid",
        "series_uid",
        "meta_sop_instance_uid",
        "meta_sop_class_uid",
        "pixel_bytes_expected",
        "pixel_bytes_unpadded",
        "pixel_bytes_found",
        "trailing_bytes",
        "invalid_values",
        "invalid_uids",
        "sha256",
    ),
    "slices": (
        "patient",
        "path",
        "sop_class_uid",
        "series_uid",
        "study_uid",
        "patient_id",
        "study_date",
        "study_description",
        "series_description",
        "manufacturer",
        "patient_sex",
        "patient_age",
        "pixel_representation",
        "spacing_row",
        "spacing_col",
        "patient_position",
        "col_y",
    ),
    "references": (),
    "frames": (),
    "segment_pairs": (),
    "alignments": (),
    "borders": (),
    "identifiers": (),
}
"""Columns that rules on the release, figures and facts need of tables that grow with the frames; they need no others."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker is given: some patients of saved evidence."""

    saved: Saved
    profile: Profile
    settings: Settings
    codes: tuple[str, ...]
    """All rules that were chosen."""
    patients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What some patients came to."""

    judged: Judged
    gathered: Mapping[str, list[Any]]
    """What rules on the release need of them, by the function that gives it."""


@texts_as_in_tables()
def judge_batch(asked: Asked, evidence: Evidence, patients: Iterable[str]) -> Batch:
    """Run the rules on patients over some parts of a release.

    Parameters
    ----------
    asked : Asked
        What is judged by.
    evidence : Evidence
        Their rows, and perhaps those of others.
    patients : iterable of str
        Patients of whole parts.

    Returns
    -------
    Batch
        What they came to.
    """
    context = asked.context(part_of(evidence, frozenset(patients)))
    tallies = {item.code: tally_of(item, context) for item in asked.rules if item.scope is Scope.PATIENT}
    return Batch(Judged(tallies, patient_facts(context), otherwise(context)), gather(context))


def _do(work: _Work) -> Batch:
    asked = Asked(work.profile, work.settings, tuple(registry()[code] for code in work.codes))
    own, nobody = [one for one in work.patients if one != REST], REST in work.patients
    # Of a table of the release, it does not matter of whom a cell tells.
    tables = OF_PATIENTS - {"texts"} if nobody else OF_PATIENTS
    return judge_batch(asked, work.saved.of(own, tables, nobody=nobody), work.patients)


def _size(saved: Saved, processes: int) -> int:
    """Patients who have so many slices and frames as a batch may hold, if all have the same number; a share of each process at most."""
    patients, rows = saved.length("patients"), saved.length("slices") + saved.length("frames")
    return max(1, min(BATCH_ROWS * patients // max(1, rows), -(-patients // processes)))


def batched(parts: Sequence[Part], size: int) -> Iterator[Part]:
    """Parts in their order, so many together that they have some number of patients."""
    batch: list[str] = []
    for part in parts:
        batch += part
        if len(batch) >= size:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


@texts_as_in_tables()
def judge_saved(
    saved: Saved,
    profile: Profile,
    settings: Settings | None = None,
    rules: Iterable[Rule] | None = None,
    *,
    waivers: Sequence[Waiver] = (),
    today: dt.date | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    size: int | None = None,
) -> tuple[Report, Evidence]:
    """Judge saved evidence of many patients, some at a time.

    Parameters
    ----------
    saved : Saved
        The evidence.
    profile, settings, rules, waivers, today
        As `crlm_qc.auditing.judging.judge` takes them.
    jobs : int, optional
        Processes to judge with; by default one a core.
    progress : callable, optional
        Told of the batches.
    size : int, optional
        Patients of a batch; by default as many as have `BATCH_ROWS`.

    Returns
    -------
    report : Report
        Equal to that of `judge` on all of it.
    evidence : Evidence
        What was held of it.

    Raises
    ------
    ReleaseError
        A table is missing, damaged or changed since it was saved.
    """
    start_server()
    saved.check()
    asked = asked_of(saved.facts, profile, settings, rules)
    parts = parts_of(saved.columns, asked.profile.tolerances)
    codes = tuple(item.code for item in asked.rules)
    processes = jobs or default_jobs()
    work = [
        _Work(saved, asked.profile, asked.settings, codes, one)
        for one in batched(parts, size or _size(saved, processes))
    ]
    tables: dict[str, pd.DataFrame] = {}

    def load() -> None:
        tables.update({name: saved.columns(name, HELD.get(name, tuple(TABLES[name].dtypes))) for name in TABLES})

    batches = each(_do, work, processes, phase=JUDGING, progress=progress, meanwhile=load)
    if not tables:
        load()
    evidence = Evidence(saved.facts, tables)
    context = asked.context(evidence)
    provide(context, (one.gathered for one in batches))
    tallies = {
        item.code: together([one.judged.tallies[item.code] for one in batches])
        if item.scope is Scope.PATIENT
        else tally_of(item, context)
        for item in asked.rules
        if item.kind is not RuleKind.AUDIT
    }
    facts = [one for batch in batches for one in batch.judged.patients]
    limits = [one for batch in batches for one in batch.judged.limits]
    limits.sort(key=lambda one: one.partition(":")[0])
    return report_of(asked, context, Judged(tallies, facts, limits), waivers, today), evidence
