"""Runs a program, and says what it and all processes that it started took: `python measured.py COMMAND...`.

A process of its own, and a small one: what the system tells of a process's memory begins with that of the one that
started it. Linux only: orphans, such as the server that workers are forked from, are waited for too.
"""

import ctypes
import json
import os
import subprocess
import sys
import time

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: orphans become this process's children."""


def measured(command: list[str]) -> dict[str, float]:
    """Exit code; seconds until the program ended; CPU seconds of all its processes; megabytes of the largest, at its peak."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    started = time.perf_counter()
    program = subprocess.Popen(command, stdout=sys.stderr)
    code, seconds, cpu, peak = -1, 0.0, 0.0, 0.0
    while True:
        try:
            process, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return {"code": code, "seconds": seconds, "cpu": cpu, "peak_mb": peak}
        if process == program.pid:
            code, seconds = os.waitstatus_to_exitcode(status), time.perf_counter() - started
            program.returncode = code
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1:])))
