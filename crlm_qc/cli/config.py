"""`crlm-qc config`: what settings hold, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from crlm_qc.cli.actions import shown
from crlm_qc.cli.configured import RELEASE, settled_by
from crlm_qc.cli.options import Listing, ListingOption
from crlm_qc.cli.terminal import say
from crlm_qc.model.errors import UsageError
from crlm_qc.model.plain import to_plain
from crlm_qc.model.settings import PurposeChoice
from crlm_qc.report import words
from crlm_qc.report.writing import put
from crlm_qc.request.files import FILE_NAME
from crlm_qc.request.keys import KEYS, Key, template
from crlm_qc.request.layers import Held, Origin
from crlm_qc.request.purposes import PURPOSES
from crlm_qc.request.settled import Settled


def config(
    ctx: typer.Context,
    listing: ListingOption = Listing.TEXT,
    init: Annotated[
        bool, typer.Option("--init", help=f"Write {FILE_NAME} here, every key explained and commented out.")
    ] = False,
) -> None:
    """Show what settings hold, and where each comes from.

    Takes the release and the options of crlm-qc check, and checks nothing: crlm-qc config RELEASE --fail-on warning
    """
    if init:
        _write_template(ctx.args)
        return
    settled = _settled(ctx)
    say(_as_json(settled) if listing is Listing.JSON else _as_text(settled))


def _write_template(arguments: Sequence[str]) -> None:
    if arguments:
        raise UsageError(f"--init takes nothing else: it writes {FILE_NAME} to the working directory")
    path = Path(FILE_NAME)
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already: remove it first")
    put(path, template())
    say(f"written: {shown(path)}")


def _settled(ctx: typer.Context) -> Settled:
    """What would hold for `crlm-qc check` with the arguments that this command was given."""
    group: Any = ctx.find_root().command
    check = group.commands["check"]
    bare = check.context_class(check, info_name=check.name, parent=ctx.parent, **check.context_settings)
    given, *_ = check.make_parser(bare).parse_args(args=list(ctx.args))
    # The parser wants a release; where none was named, none is handed on.
    named = given.get(RELEASE) is not None
    parsed = check.make_context(check.name, [*ctx.args] if named else ["", *ctx.args], parent=ctx.parent)
    parameters = {name: value for name, value in parsed.params.items() if named or name != RELEASE}
    return settled_by(parsed, parameters)


def _as_json(settled: Settled) -> str:
    found = settled.configuration
    told = {
        "file": None if found.path is None else str(found.path),
        "passed_over": [str(path) for path in found.passed_over],
        PURPOSES: to_plain(found.values.get(PURPOSES, {})),
        "settings": {name: _setting(KEYS[name], one) for name, one in settled.held.items()},
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _setting(key: Key, held: Held) -> dict[str, Any]:
    entries = {entry: origin.value for entry, origin in held.entries.items()}
    return {
        "value": held.value,
        "origin": held.origin.value,
        "variable": key.variable,
        **({"entries": entries} if entries else {}),
    }


def _as_text(settled: Settled) -> str:
    found = settled.configuration
    shown = None if found.path is None else words.clean(str(found.path))
    rows = [row for name, one in settled.held.items() for row in _rows(KEYS[name], one)]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [
        f"configuration file: {shown or 'none'}",
        *(f"not read, since it lies in the release: {words.clean(str(path))}" for path in found.passed_over),
        "",
        *(
            f"purposes.{name}: {words.clean(_choice(choice))}"
            for name, choice in found.values.get(PURPOSES, {}).items()
        ),
        *(f"{name:{wide[0]}}  {origin:{wide[1]}}  {value}" for name, origin, value in rows),
    ]
    return "\n".join(lines)


def _choice(choice: PurposeChoice) -> str:
    """What a configuration file says of a purpose."""
    said = {name: value for name, value in to_plain(choice).items() if value}
    return "; ".join(f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in said.items())


def _rows(key: Key, held: Held) -> list[tuple[str, str, str]]:
    """Key, origin and value as people read them; of a table a row an entry."""
    if held.entries:
        return [
            (f"{key.name}.{entry}", _said(key, origin), _shown(held.value[entry]))
            for entry, origin in held.entries.items()
        ]
    return [(key.name, _said(key, held.origin), _shown(held.value))]


def _shown(value: Any) -> str:
    if value in (None, {}, ()):
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return words.clean(", ".join(value) if isinstance(value, tuple) else str(value))


def _said(key: Key, origin: Origin) -> str:
    return {
        Origin.DEFAULT: "default",
        Origin.FILE: "configuration file",
        Origin.ENVIRONMENT: key.variable,
        Origin.OPTION: f"option {key.option}",
    }[origin]
