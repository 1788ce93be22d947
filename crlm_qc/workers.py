"""Processes that work side by side: how many, how they start, and what they say of their progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_PRELOADED = "crlm_qc.evidence.patient"
"""What the process that workers are forked from has imported, so that none of them has to."""

Progress = Callable[[str, int, int], None]
"""Called with a phase, the units done and the units in all."""


def default_jobs() -> int:
    """Cores that this process may use.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_server() -> bool:
    """Start the process that workers are forked from, without waiting for it. False where there can be none."""
    # Forking this process could copy locks that threads of it hold (pyarrow has some), so workers come from a server
    # that has only imported what reads a patient; where there is none, each starts afresh.
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload([_PRELOADED])
    try:
        forkserver.ensure_running()
    except OSError:
        return False
    return True


def executor(jobs: int) -> ProcessPoolExecutor:
    """A pool of processes, from a server where there can be one."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context: Any = multiprocessing.get_context("forkserver" if start_server() else "spawn")
    return ProcessPoolExecutor(jobs, mp_context=context)


def ready() -> bool:
    """What a process does first, so that it has started before there is work."""
    return True
