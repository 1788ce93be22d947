"""A stand-in for the drawing of one patient that ends the process that it runs in; workers import it by name."""

import os

from crlm_qc.pictures.make import Job, Made, draw_patient

VICTIM = "CRLM-CT-1002"


def dies(job: Job) -> Made:
    if job.requests[0].patient == VICTIM:
        os._exit(1)
    return draw_patient(job)
