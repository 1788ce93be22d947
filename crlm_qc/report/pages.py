"""What the HTML pages share: their templates, their style and script, and how a value gets into a page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlm_qc.model.words import plural
from crlm_qc.report import words

if TYPE_CHECKING:
    from jinja2 import Environment, Template

STYLE, SCRIPT = "report.css", "report.js"
"""The pages' own files."""


def template(package: str, name: str, **filters: Callable[..., Any]) -> Template:
    """A template, every value in which is escaped and cleaned.

    Parameters
    ----------
    package : str
        The package whose folder `templates` holds it.
    name : str
        Its file.
    **filters : callable
        Filters that the package's templates use, beside `plural`.

    Returns
    -------
    jinja2.Template
        The template; a name that is not given to it is an error.
    """
    return _environment(package, tuple(filters.items())).get_template(name)


@cache
def _environment(package: str, filters: tuple[tuple[str, Callable[..., Any]], ...]) -> Environment:
    from jinja2 import Environment, StrictUndefined

    from crlm_qc.report.compiled import CompiledLoader

    environment = Environment(
        # How they are compiled stands here.
        loader=CompiledLoader(Path(str(files(package))) / "templates", Path(__file__).read_bytes()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters.update(filters, plural=plural)
    return environment


def _finalize(value: Any) -> Any:
    """Clean every text on its way into the page; a missing value is a dash."""
    if value is None:
        return "\N{EN DASH}"
    return words.clean(value) if type(value) is str else value


@cache
def asset(name: str) -> str:
    """The text of one of the pages' own files."""
    return files("crlm_qc.report.html").joinpath(name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """How a Content-Security-Policy names a style or script that stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def own_markup(asset: str) -> Any:
    """A file of the package's own that goes into the page as it is."""
    from markupsafe import Markup

    # Nothing that was read passes here: these are no data.
    return Markup(asset)  # noqa: S704
