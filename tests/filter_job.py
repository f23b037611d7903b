"""The large sales of each day; a day on which nothing was large is rightly empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from ray_backfill.job import Computed, Context, Frames, Job
from ray_backfill.job.calendar import Window
from ray_backfill.job.plain import every_date, views_of
from tests import rolling_job

FILTER = "tests.filter_job:JOB"
INPUT = replace(rolling_job.INPUT, window=Window.around())
SMALL = "no sale is large"


@dataclass(frozen=True)
class Options:
    """From which amount on a sale is large."""

    least: int = 10


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """The sales of `least` or more."""
    large = (
        frames["sales"]
        .unique()
        .filter(pl.col("day").is_in(list(dates)), pl.col("amount") >= context.options.least)
        .select("day", "shop", pl.col("amount").cast(pl.Float64).alias("mean"))
    )
    empty = set(dates) - set(large["day"])
    return Computed(large, empty=dict.fromkeys(sorted(empty), SMALL))


JOB: Job = replace(
    rolling_job.JOB,
    name="large",
    inputs=(INPUT,),
    views=views_of((INPUT,)),
    calendar=every_date(INPUT, ("shop",)),
    compute=compute,
    modules=("tests.filter_job",),
    options=Options,
    gates=(),
)
