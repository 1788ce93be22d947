"""`crlm-qc cache`: what earlier audits came to, where it is kept, and how to be rid of it."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crlm_qc.cache.store import KINDS, MOST_BYTES, MOST_DAYS, Entry, Store, user_cache
from crlm_qc.cli.actions import shown
from crlm_qc.cli.configured import settled_by
from crlm_qc.cli.options import CacheOption
from crlm_qc.cli.terminal import say
from crlm_qc.model.words import plural

_MEGA = 1_000_000


class Action(StrEnum):
    """What is done with the cache."""

    INFO = "info"
    WHERE = "where"
    SIZE = "size"
    CLEAR = "clear"
    PRUNE = "prune"


def cache(
    ctx: typer.Context,
    action: Annotated[
        Action,
        typer.Argument(
            help="info and size tell what there is, where names the folder, clear and prune remove entries."
        ),
    ] = Action.INFO,
    cache: CacheOption = None,
    days: Annotated[
        int, typer.Option("--days", min=0, help="With prune: remove what no audit has used for so many days.")
    ] = MOST_DAYS,
    megabytes: Annotated[
        int, typer.Option("--megabytes", min=0, help="With prune: keep so many megabytes, what was used last.")
    ] = MOST_BYTES // _MEGA,
) -> None:
    """Show or clear what earlier audits came to.

    An audit reads no patient again whose files have not changed, and prunes at its end what has not been used for 60 days
    or is beyond 1,000 MB. Entries hold what was read of headers and masks, but for patients with texts that may identify
    somebody. crlm-qc check --no-cache does without.
    """
    folder = settled_by(ctx, {"cache": cache}).path("cache") or user_cache()
    if action is Action.WHERE:
        say(str(folder))
        return
    store = Store.opened(folder) if folder.is_dir() else None
    entries = [] if store is None else list(store.entries())
    if store is not None and action is Action.CLEAR:
        say(f"{_said(store.clear())} removed from {shown(folder)}")
    elif store is not None and action is Action.PRUNE:
        say(f"{_said(store.prune(days, megabytes * _MEGA))} removed from {shown(folder)}")
    elif action is Action.SIZE:
        say(str(sum(entry.size for entry in entries)))
    else:
        say(f"{_said(entries)} in {shown(folder)}{_by_kind(entries, folder)}")


def _said(entries: list[Entry]) -> str:
    return f"{plural(len(entries), 'entry', 'entries')} ({sum(entry.size for entry in entries) / _MEGA:.1f} MB)"


def _by_kind(entries: list[Entry], folder: Path) -> str:
    """How many there are of each kind."""
    counts = Counter(entry.path.relative_to(folder).parts[1] for entry in entries)
    return f": {', '.join(f'{counts[kind]} {kind}' for kind in KINDS)}" if entries else ""
