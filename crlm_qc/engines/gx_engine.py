"""Reads Great Expectations suites, and runs them over tables.

A suite is a JSON file in the form that Great Expectations itself writes: a name, and expectations with `type`, `kwargs`,
`severity` and `meta`. Its own `meta` names the table it is about. Reading a suite needs no Great Expectations; running
one imports it, which takes seconds, so nothing here imports it before.

Nothing is sent and nothing is left on disk: the context lives in memory, analytics are off before the import, and no
documentation site is made.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.engines.imports import absent, late
from crlm_qc.model.family import CODE
from crlm_qc.model.severity import Severity

if TYPE_CHECKING:
    import pandas as pd

SEVERITIES: Mapping[str, Severity] = {
    "critical": Severity.ERROR,
    "warning": Severity.WARNING,
    "info": Severity.INFO,
}
"""Great Expectations' severities and ours."""


class SuiteError(RuntimeError):
    """A suite can't be used; the message names the file and what to mend in it, with nothing from a dataset."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite."""

    code: str
    """Code of its rule."""
    type: str
    """Great Expectations' name of it, such as `expect_column_min_to_be_between`."""
    kwargs: Mapping[str, Any]
    severity: Severity
    meta: Mapping[str, Any]

    @property
    def column(self) -> str | None:
        """Column that it looks at; None for the table as a whole."""
        column = self.kwargs.get("column")
        return None if column is None else str(column)


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as its file has it."""

    name: str
    table: str
    """Evidence table or view that it is about."""
    expectations: tuple[Expectation, ...]
    path: Path
    lines: Mapping[str, int]
    """Line of the file, counted from 1, that names a code first."""

    @property
    def codes(self) -> frozenset[str]:
        """Codes of its rules."""
        return frozenset(expectation.code for expectation in self.expectations)


@dataclass(frozen=True, slots=True)
class Result:
    """What one expectation came to."""

    expectation: Expectation
    success: bool
    observed: Any
    """The observed value, if the expectation is about one."""
    rows: tuple[Any, ...]
    """Labels of the rows that are not as expected, if it looks at rows."""
    examined: int | None
    """Rows it looked at, if it says so."""


def read_suite(path: Path) -> Suite:
    """Read a suite, without Great Expectations.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file.

    Returns
    -------
    Suite

    Raises
    ------
    SuiteError
        The file can't be read, or an expectation lacks its type, code or severity.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SuiteError(f"suite {path.name} can't be read: {error}") from None
    try:
        expectations = tuple(_expectation(one, path.name, at) for at, one in enumerate(raw["expectations"], start=1))
        lines: dict[str, int] = {}
        for line, words in enumerate(text.splitlines(), start=1):
            for code in CODE.findall(words):
                lines.setdefault(code, line)
        return Suite(str(raw["name"]), str(raw["meta"]["table"]), expectations, path, lines)
    except (KeyError, TypeError, AttributeError) as error:
        raise SuiteError(f"suite {path.name} lacks {error}") from None


def _expectation(raw: Mapping[str, Any], file: str, at: int) -> Expectation:
    where = f"expectation {at} of suite {file}"
    kwargs, meta = raw.get("kwargs", {}), raw.get("meta", {})
    if not CODE.fullmatch(str(meta.get("code"))):
        raise SuiteError(f"{where} names no rule: its meta needs a code such as PUB001")
    severity = SEVERITIES.get(raw.get("severity", ""))
    if severity is None:
        raise SuiteError(f"{where} needs a severity: {', '.join(SEVERITIES)}")
    if not isinstance(raw.get("type"), str):
        raise SuiteError(f"{where} has no type")
    return Expectation(meta["code"], raw["type"], kwargs, severity, meta)


_ABSENT = ("boto3", "botocore")
"""What Great Expectations does without where it is not installed, and takes long to import where it is."""

_SELDOM_USED = ("scipy.stats", "altair", "jsonschema", "mistune")
"""What Great Expectations imports for a few expectations, for charts and for pages: half of what its import takes."""


def load() -> None:
    """Import Great Expectations."""
    with _quiet(), late(*_SELDOM_USED), absent(*_ABSENT), _copied_sparingly():
        import great_expectations  # noqa: F401


@contextmanager
def _copied_sparingly() -> Iterator[None]:
    """Have a model take over the fields of the one that it extends without copies of what no model changes.

    Pydantic copies all that can be reached from a field, here half a million objects. What it changes of a field that was
    copied is what is copied here; it sets all else anew.
    """
    try:
        from pydantic.v1.fields import ModelField
    except ImportError:
        yield
        return

    def copied(field: ModelField, memo: dict[int, Any]) -> ModelField:
        made = copy.copy(field)
        made.class_validators = dict(field.class_validators)
        made.field_info = copy.copy(field.field_info)
        made.sub_fields = copy.deepcopy(field.sub_fields, memo)
        made.key_field = copy.deepcopy(field.key_field, memo)
        return made

    ModelField.__deepcopy__ = copied  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del ModelField.__deepcopy__  # type: ignore[attr-defined]


def run_suite(suite: Suite, table: pd.DataFrame) -> list[Result]:
    """Run a suite over a table.

    Parameters
    ----------
    suite : Suite
        The suite.
    table : pandas.DataFrame
        The table; missing values are left out by expectations about values.

    Returns
    -------
    list of Result
        One an expectation, in the order of the suite.

    Raises
    ------
    SuiteError
        Great Expectations refuses the suite, or an expectation crashed: a column that is not there, an unknown type.
    """
    load()
    with _quiet():
        import great_expectations as gx
        from great_expectations.core import ExpectationSuite
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )
        from great_expectations.exceptions.exceptions import GreatExpectationsError

        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        try:
            made = ExpectationSuite(name=suite.name, expectations=_for_gx(suite))
        except (GreatExpectationsError, TypeError, ValueError) as error:
            raise SuiteError(f"suite {suite.name} is refused: {type(error).__name__}") from None
        source = context.data_sources.add_pandas("evidence")
        asset = source.add_dataframe_asset(suite.table)
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
        validated = batch.validate(made, result_format="COMPLETE")
    return _results(suite, validated.results)


_POSITION = "crlm_qc_position"


def _for_gx(suite: Suite) -> list[dict[str, Any]]:
    names = {level: name for name, level in SEVERITIES.items()}
    return [
        {
            "type": one.type,
            "kwargs": dict(one.kwargs),
            "severity": names[one.severity],
            # Results come in an order of their own; by this they are known again.
            "meta": {**one.meta, _POSITION: at},
        }
        for at, one in enumerate(suite.expectations)
    ]


def _refused(suite: Suite, expectation: Expectation, why: str) -> SuiteError:
    where = expectation.column or "the table"
    return SuiteError(f"suite {suite.name} ({expectation.code}): {expectation.type} of {where} can't be run: {why}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations without analytics, log lines, and the warnings of its own imports."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _results(suite: Suite, validated: Sequence[Any]) -> list[Result]:
    by_position = {one.expectation_config.meta[_POSITION]: one for one in validated}
    results = []
    for at, expectation in enumerate(suite.expectations):
        # An expectation that it can't make, Great Expectations leaves out and only logs.
        if at not in by_position:
            raise _refused(suite, expectation, "Great Expectations does not know it")
        found = by_position[at]
        if _crashed(found.exception_info):
            raise _refused(suite, expectation, "it raised, perhaps for a column that is not there")
        result = found.result
        observed = result.get("observed_value")
        results.append(
            Result(
                expectation=expectation,
                success=bool(found.success),
                observed=observed.item() if hasattr(observed, "item") else observed,
                rows=tuple(result.get("unexpected_index_list") or ()),
                examined=result.get("element_count"),
            )
        )
    return results


def _crashed(info: Any) -> bool:
    """Whether an expectation raised: told once, or by metric."""
    if not isinstance(info, Mapping):
        return False
    return bool(info.get("raised_exception")) or any(_crashed(value) for value in info.values())
