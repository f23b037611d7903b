"""The rolling job with functions that raise whatever a test asks for, wherever it asks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from ray_backfill.errors import (
    CodeDiffersError,
    ContractError,
    DataError,
    LeaseLostError,
    WarehouseError,
)
from ray_backfill.job import Calendar, Computed, Context, Day, Frames, Job
from tests import rolling_job

UNRULY = "tests.unruly_job:JOB"


class Panic(BaseException):
    """No `Exception`, as a panic of Polars is none."""


class SpeechlessError(Exception):
    """Cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


ERRORS: dict[str, BaseException] = {
    "value": ValueError("asked for"),
    "data": DataError("asked for"),
    "exit": SystemExit(0),
    "interrupt": KeyboardInterrupt(),
    "panic": Panic("asked for"),
    "speechless": SpeechlessError(),
    "generator": GeneratorExit(),
    "file": FileNotFoundError("asked for"),
    "store": WarehouseError("asked for"),
    "lease": LeaseLostError("asked for"),
    "differs": CodeDiffersError("asked for"),
    "contract": ContractError("asked for"),
}


@dataclass(frozen=True)
class Options:
    """What goes wrong, where, and on which dates (ISO, separated by commas)."""

    what: str = ""
    where: str = "compute"
    on: str = ""

    def fail(self, where: str, days: Sequence[date]) -> None:
        """Raise, if it is to go wrong here."""
        if where == self.where and {str(day) for day in days} & set(self.on.split(",")):
            if self.what == "dies":
                os._exit(7)
            raise ERRORS[self.what]


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """As the rolling job; to a date on which a gate is to fail it adds a row that says so."""
    options: Options = context.options
    options.fail("compute", dates)
    rolling = replace(context, options=rolling_job.Options())
    rows = rolling_job.compute(frames, dates, rolling).rows
    if options.where == "gate":
        asked = [day for day in dates if str(day) in options.on.split(",")]
        said = {"day": asked, "shop": [options.what] * len(asked), "mean": [0.0] * len(asked)}
        rows = pl.concat([rows, pl.DataFrame(said, schema=rows.schema)])
    return Computed(rows)


def strict(rows: pl.DataFrame, day: Day) -> str | None:
    """Gate: raises what a row asks for."""
    for shop in rows["shop"]:
        if shop in ERRORS:
            raise ERRORS[shop]
    return None


def _rows(frames: Frames, context: Context) -> pl.DataFrame:
    options: Options = context.options
    days = frames["sales"]["day"].unique().to_list()
    options.fail("view", days)
    return frames["sales"]


def _calendar(frames: Frames, options: Any) -> Calendar:
    calendar = rolling_job.JOB.calendar(frames, options)
    options.fail("calendar", list(calendar.days))
    return calendar


JOB: Job = replace(
    rolling_job.JOB,
    name="unruly",
    compute=compute,
    views=tuple(replace(view, rows=_rows) for view in rolling_job.JOB.views),
    calendar=_calendar,
    modules=("tests.unruly_job",),
    options=Options,
    gates=(strict,),
)
