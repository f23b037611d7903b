"""The rolling job in a worker that dies once, right after it finalized its stream.

`DYING` names a file: it is made before the death, and where it exists nobody dies any more.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ray_backfill.job import Job
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from tests.contract_job import job_of

VARIABLE = "DYING"


def _arm(marker: Path) -> None:
    real = _bq_stage.finalize

    def finalize(*args: Any) -> None:
        real(*args)
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    _bq_stage.finalize = finalize


def __getattr__(name: str) -> Job:
    if name.startswith("_"):
        raise AttributeError(name)
    # The driver imports this too, and must live: only Ray's workers are armed.
    if VARIABLE in os.environ and "RAY_JOB_ID" in os.environ:
        _arm(Path(os.environ[VARIABLE]))
    return job_of(name)
