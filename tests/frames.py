"""Raw tables in memory, and the frames that a job gets of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ray_backfill.job import Calendar, Computed, Context, Job
from ray_backfill.job.calendar import Season, hull
from ray_backfill.job.table import Table
from ray_backfill_nba.raw_tables import RAW_TABLES

PROJECT = Path(__file__).resolve().parents[1]

Tables = Mapping[str, pl.DataFrame]


def real_data() -> Path:
    """Where the files of real data are, whether or not there are any."""
    default = PROJECT.parent / "shared" / "data" / "nba"
    return Path(os.environ.get("RAY_BACKFILL_REAL_DATA", default))


def real_tables(folder: Path) -> dict[str, pl.DataFrame]:
    """Every raw table that the folder has a file of."""
    files = {table: folder / f"{table.name.split('.')[1]}.parquet" for table in RAW_TABLES}
    return {
        table.name: in_contract(pl.read_parquet(path), table)
        for table, path in files.items()
        if path.exists()
    }


def in_contract(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The table's columns in the contract's dtypes; absent optional ones are NULL."""
    return frame.select(
        (
            pl.lit(None)
            if column.optional and column.name not in frame.columns
            else pl.col(column.name)
        )
        .cast(column.kind.polars)
        .alias(column.name)
        for column in table.columns
    )


def table_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame in the contract's dtypes; what a row does not say is NULL."""
    return pl.DataFrame(
        [{name: row.get(name) for name in table.schema()} for row in rows], schema=table.schema()
    )


def rows_of(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Every table as plain rows."""
    return {name: frame.to_dicts() for name, frame in tables.items()}


def frame_of(tables: Tables, table: Table, columns: Sequence[str]) -> pl.DataFrame:
    """All rows of a table, with the given columns; an absent table is empty."""
    whole = tables.get(table.name)
    return (table.empty() if whole is None else in_contract(whole, table)).select(columns)


def frames_for(
    job: Job, tables: Tables, days: Sequence[date], seasons: Sequence[Season]
) -> dict[str, pl.DataFrame]:
    """What `compute` gets for a span: every input over the hull of its windows."""
    frames = {}
    for one in job.inputs:
        columns = list(one.columns)
        if one.window.kind == "always":
            frames[one.name] = frame_of(tables, one.table, columns)
            continue
        partition = one.table.partition
        assert partition is not None
        frame = frame_of(tables, one.table, list(dict.fromkeys([*columns, partition])))
        span = hull(
            bounds for day in days if (bounds := one.window.bounds(day, seasons)) is not None
        )
        at = pl.col(partition)
        inside = pl.lit(False) if span is None else (at >= span.start) & (at < span.end)
        frames[one.name] = frame.filter(inside).select(columns)
    return frames


def calendar_of(job: Job, tables: Tables, options: Any) -> Calendar:
    """The job's calendar over all dates of the tables."""
    frames = {
        name: frame_of(tables, job.input(name).table, columns)
        for name, columns in job.calendar_inputs.items()
    }
    return job.calendar(frames, options)


def compute_span(
    job: Job, tables: Tables, days: Sequence[date], calendar: Calendar, options: Any
) -> Computed:
    """The job's result for dates of one season, as the engine would call it."""
    season = calendar.season(days[0])
    assert season is not None
    context = Context(seasons=calendar.seasons, season=season, options=options)
    return job.compute(frames_for(job, tables, days, calendar.seasons), days, context)
