"""Engines by name: what patients are read on. `local` is the processes of this machine, `dask` the workers of Dask."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from crlm_qc.model.errors import UsageError
from crlm_qc.workers import ctrl_c_held, default_jobs, without_main

if TYPE_CHECKING:
    from crlm_qc.request.request import Request
    from crlm_qc.workers.executors import ExecutorSource

_ANSWER_S = 30
"""How long a scheduler may take to answer."""
_WORKER_S = 60
"""How long the first worker may take to join."""
_SETTINGS = {
    # What was read of patients stays in memory: nothing of it is written to a disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # A task that workers are lost of is tried again by who sent it.
    "distributed.scheduler.allowed-failures": 1,
    # Workers that die are started anew, however often: none is given up for having died twice in a short time.
    "distributed.deploy.lost-worker-timeout": "1 day",
    # A worker is given one patient at a time, so that no other is lost with it.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    # Nobody looks at how busy the workers are, a hundred times a second.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "10m",
}


def executor_of(request: Request) -> ExecutorSource | None:
    """What an audit is to read patients on.

    Parameters
    ----------
    request : Request
        What was asked for.

    Returns
    -------
    callable or None
        As `crlm_qc.audit` takes it; None for processes of this machine.

    Raises
    ------
    UsageError
        The engine is not installed, or an address is given to one that has none.
    """
    if request.engine == "local":
        if request.scheduler is not None:
            raise UsageError("--scheduler is an option of --engine dask: give that too")
        return None
    _see_installed("distributed", *(["cryptography"] if request.scheduler is None else []))
    if request.scheduler is None:
        return partial(_local_dask, request.jobs or default_jobs())
    return partial(_dask_at, request.scheduler)


def _see_installed(*names: str) -> None:
    try:
        for name in names:
            import_module(name)
    except ImportError:
        raise UsageError(
            f"--engine dask needs {name}, which is not installed: pip install 'crlm-qc[dask]', here and where its "
            "scheduler and workers are"
        ) from None


@contextmanager
def _local_dask(workers: int) -> Iterator[Executor]:
    """Workers of Dask on this machine alone, which end with it."""
    import dask
    from distributed import Client, LocalCluster

    # Workers that die are started anew at any time: none of them is to run the program again that runs here.
    with dask.config.set(_SETTINGS), without_main(), ExitStack() as stack:
        try:
            with ctrl_c_held():
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    preload="crlm_qc.evidence.preloaded",
                    # Else whoever has an account on this machine could have work done in the name of this one.
                    security=True,
                    silence_logs=logging.CRITICAL,
                )
            client = stack.enter_context(Client(stack.enter_context(cluster), set_as_default=False))
        except (OSError, RuntimeError) as error:
            raise UsageError(f"--engine dask: its workers can't be started here ({type(error).__name__})") from None
        yield _of(client)


@contextmanager
def _dask_at(address: str) -> Iterator[Executor]:
    """Workers of the scheduler at an address."""
    from distributed import Client

    try:
        client = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UsageError(
            f"--scheduler {address}: no scheduler of Dask answers there ({type(error).__name__})"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKER_S)
        except TimeoutError:
            raise UsageError(f"--scheduler {address}: no worker has joined it; start some, then try again") from None
        except OSError as error:
            raise UsageError(f"--scheduler {address}: it does not answer any more ({type(error).__name__})") from None
        yield _of(client)


def _of(client: Any) -> Executor:
    """The executor of a client; every task is another, so none needs to be told apart by what it holds."""
    executor: Executor = client.get_executor(pure=False)
    return executor
