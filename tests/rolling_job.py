"""A small job for tests of the engine: for each shop, the mean of its sales of three days.

Its options make it misbehave where a test wants it to.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from ray_backfill.job import Computed, Context, Day, Frames, Input, Job
from ray_backfill.job.calendar import Window
from ray_backfill.job.plain import every_date, views_of
from ray_backfill.job.table import Column, Kind, Table

SALES = Table(
    "shop.sales",
    (
        Column("day", Kind.DATE, nullable=False),
        Column("shop", Kind.STRING, nullable=False),
        Column("amount", Kind.INT),
    ),
    partition="day",
)
MEANS = Table(
    "shop.means",
    (
        Column("day", Kind.DATE, "The day.", nullable=False),
        Column("shop", Kind.STRING, "The shop.", nullable=False),
        Column("mean", Kind.FLOAT, "Mean amount of D - 2 … D; NULL: no sale with an amount."),
    ),
    "Three-day means of sales.",
    key=("day", "shop"),
    partition="day",
)


@dataclass(frozen=True)
class Options:
    """Ways to go wrong, each on one date (ISO) or everywhere (`all`)."""

    raise_on: str = ""
    die_on: str = ""
    die_once: str = ""
    """A file that is made before the first death; where it exists nobody dies any more."""
    quarantine_on: str = ""
    empty_on: str = ""
    wait_for: str = ""
    """A file: `compute` says where it is by making `<file>.here` and waits until it exists."""


INPUT = Input("sales", SALES, ("day", "shop", "amount"), Window.around(before=2), required=True)


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """Mean of each shop over the sales of D - 2 … D, for shops that sold on D."""
    options: Options = context.options
    _misbehave(options, dates)
    sales = frames["sales"].unique()
    empty = {d: "asked for" for d in dates if options.empty_on in (str(d), "all")}
    parts = [_one(sales, day) for day in dates if day not in empty]
    quarantined = {d: "asked for" for d in dates if options.quarantine_on in (str(d), "all")}
    return Computed(pl.concat([MEANS.empty(), *parts]), quarantined, empty=empty)


def _one(sales: pl.DataFrame, day: date) -> pl.DataFrame:
    window = sales.filter(pl.col("day").is_between(day - timedelta(2), day))
    today = sales.filter(pl.col("day") == day).select("shop").unique()
    means = window.group_by("shop").agg(
        pl.when(pl.col("amount").count() > 0)
        .then(pl.col("amount").sum() / pl.col("amount").count())
        .alias("mean")
    )
    return today.join(means, on="shop", how="left").select(
        pl.lit(day).alias("day"), "shop", pl.col("mean").cast(pl.Float64)
    )


def _misbehave(options: Options, dates: Sequence[date]) -> None:
    names = {str(day) for day in dates} | {"all"}
    if options.raise_on in names:
        raise ValueError("this date is poisoned")
    if options.wait_for:
        _wait(Path(options.wait_for))
    if options.die_on in names and not _died_before(options.die_once):
        os.kill(os.getpid(), signal.SIGKILL)


def _died_before(marker: str) -> bool:
    if not marker:
        return False
    path = Path(marker)
    if path.exists():
        return True
    path.touch()
    return False


def _wait(path: Path) -> None:
    Path(f"{path}.here").touch()
    waiting = threading.Event()
    while not path.exists():
        waiting.wait(0.02)


def no_negative_mean(rows: pl.DataFrame, day: Day) -> str | None:
    """Gate: a mean below zero is no mean of sales."""
    low = rows.filter(pl.col("mean") < 0)
    return None if low.is_empty() else f"{low.height} means are negative"


JOB = Job(
    name="rolling",
    description="Three-day means of sales.",
    output=MEANS,
    inputs=(INPUT,),
    views=views_of((INPUT,)),
    calendar=every_date(INPUT, ("shop",)),
    calendar_inputs={"sales": ("day", "shop")},
    compute=compute,
    modules=("tests.rolling_job",),
    options=Options,
    gates=(no_negative_mean,),
)
