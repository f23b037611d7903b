"""Reads a job's inputs for a span of dates: each once, over the hull of its windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

import polars as pl

from ray_backfill.errors import TableNotFoundError
from ray_backfill.job import Frames, Input, Job
from ray_backfill.job.calendar import DateRange, Season
from ray_backfill.job.table import Table
from ray_backfill.warehouse import Warehouse

__all__ = ["read_frame", "read_inputs"]


def read_inputs(
    warehouse: Warehouse,
    job: Job,
    days: Sequence[date],
    seasons: Sequence[Season],
    names: Iterable[str] | None = None,
) -> Frames:
    """Frames of the job's inputs (or of those named) for a computation of `days`.

    Absent optional tables come empty. Raises `TableNotFoundError` for a required one.
    """
    wanted = [job.input(name) for name in names] if names is not None else job.inputs
    return {i.name: read_frame(warehouse, i, i.columns, i.extent(days, seasons)) for i in wanted}


def read_frame(
    warehouse: Warehouse,
    source: Input,
    columns: Sequence[str],
    dates: DateRange | Sequence[date] | None,
) -> pl.DataFrame:
    """One input as a frame with exactly these columns in contract dtypes."""
    try:
        rows = warehouse.read(source.table, columns, dates)
    except TableNotFoundError as error:
        if source.required:
            raise TableNotFoundError(
                f"The required input {source.table.name} is not in {warehouse.uri}.",
                hint=f"Load it first: ray-backfill load {source.table.name} FILE",
            ) from error
        return _empty(source.table, columns)
    return cast(pl.DataFrame, pl.from_arrow(rows))


def _empty(table: Table, columns: Sequence[str]) -> pl.DataFrame:
    return table.empty().select(columns)
