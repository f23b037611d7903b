"""The rolling job, which says something as it computes: through logging, and as a warning."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from ray_backfill.job import Computed, Context, Frames
from tests import rolling_job


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """The rolling job's result; talks of the first date, and warns."""
    logging.getLogger("shop").warning("a thin day", extra={"date": dates[0]})
    warnings.warn("a thin month", stacklevel=1)
    return rolling_job.compute(frames, dates, context)


JOB = replace(rolling_job.JOB, name="talking", compute=compute)
