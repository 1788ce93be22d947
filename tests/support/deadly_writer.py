"""A stand-in for the writing of one patient that ends its process once; workers import it by name."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from crlm_qc.synthetic import writer
from crlm_qc.synthetic.cohort import PatientPlan

VICTIM = "CRLM-CT-1002"
_REAL = writer._write_patient


def _write(collection: Path, plan: PatientPlan, *, licence: str, marker: Path) -> Any:
    written = _REAL(collection, plan, licence=licence)
    if plan.patient == VICTIM and not marker.exists():
        marker.touch()
        os._exit(1)
    return written


def dies_once(marker: Path) -> Any:
    """What writes a patient, and ends its process the first time that it has written the victim."""
    return partial(_write, marker=marker)
