"""A job whose errors hold secrets, as those of clients do; each on a date of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from ray_backfill.errors import DataError, WarehouseError
from ray_backfill.job import Computed, Context, Frames
from tests.rolling_job import JOB as ROLLING
from tests.rolling_job import compute as means

FIRST = date(2025, 1, 1)
CODE, URL, HIDDEN, DATA, LOST, LAST = (FIRST + timedelta(n) for n in range(6))


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """Means as they are, where no date of the span goes wrong."""
    secret = os.environ["DATABASE_PASSWORD"]
    key = os.environ["AWS_SECRET_ACCESS_KEY"]
    logging.getLogger("client").warning("connecting with %s", secret)
    if CODE in dates:
        raise RuntimeError(f"login failed: {secret}\nsecond line: {secret}")
    if URL in dates:
        raise ValueError("cannot open postgres://me:canary-of-a-url@127.0.0.1/x?sig=canary-of-sig")
    if HIDDEN in dates:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise RuntimeError("what came before says it") from error
    if DATA in dates:
        raise DataError(f"the row says {key}", hint=f"ask for {key}")
    if LOST in dates:
        raise WarehouseError(f"403 for {key}: Authorization: Bearer canary-of-a-bearer")
    return means(frames, dates, replace(context, options=ROLLING.options()))


JOB = replace(ROLLING, name="leaky", compute=compute, modules=("tests.leaky_job",))
