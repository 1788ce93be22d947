"""What the process that workers are forked from imports, in that process alone.

Importing takes no collection of cycles, and what is imported is left out of those of every worker: it never goes.
"""

from __future__ import annotations

import gc
import sys

gc.disable()
# pydicom imports them to download files for its own tests.
for name in ("requests", "tqdm"):
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]

import crlm_qc.evidence.patient  # noqa: E402, F401

gc.freeze()
gc.enable()
