"""Stand-ins for the reading of one patient that end the process that they run in; workers import them by name."""

import os

from crlm_qc.evidence.chosen import Rows
from crlm_qc.evidence.collect import Tables, Work
from crlm_qc.evidence.patient import PatientRead, read_patient
from crlm_qc.model.settings import Depth

VICTIM = "CRLM-CT-1002"


def _read(work: Work) -> PatientRead:
    return read_patient(work.patient, work.items, work.profile, work.depth)


def dies(work: Work) -> PatientRead:
    if work.patient == VICTIM:
        os._exit(1)
    return _read(work)


def dies_below_headers(work: Work) -> PatientRead:
    if work.patient == VICTIM and work.depth is not Depth.HEADERS:
        os._exit(1)
    return _read(work)


def dies_of_tables(tables: Tables) -> list[Rows]:
    os._exit(1)
