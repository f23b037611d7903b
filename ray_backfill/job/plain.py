"""The usual choices for a job that has no seasons and no states of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import polars as pl

from ray_backfill.errors import UsageError
from ray_backfill.job.calendar import Season, Window, moved
from ray_backfill.job.job import Calendar, Context, Day, Frames, Input, View

__all__ = ["every_date", "views_of"]


def views_of(inputs: Sequence[Input]) -> tuple[View, ...]:
    """A view of each input as it is: any other content of its columns makes dates stale.

    Those in whose window it lies; of a table without partitions all dates, as each is computed
    from the whole of it. The partition column of each table must be named as that of the output.
    Raises `UsageError` for an input that does not read the partition column of its table.
    """
    return tuple(View(i.name, (i.name,), _window(i), _rows(i.name)) for i in inputs)


def _window(source: Input) -> Window:
    partition = source.table.partition
    if partition is None:
        return Window.always()
    if partition not in source.columns:
        raise UsageError(
            f"The input '{source.name}' does not read '{partition}', by which "
            f"{source.table.name} is partitioned: a view cannot tell its dates apart.",
            hint=f"Add '{partition}' to the columns of the input.",
        )
    return source.window


def _rows(name: str) -> Callable[[Frames, Context], pl.DataFrame]:
    def rows(frames: Frames, context: Context) -> pl.DataFrame:
        return frames[name]

    return rows


def every_date(source: Input, key: Sequence[str]) -> Callable[[Frames, Any], Calendar]:
    """A calendar in which each date that has rows in `source` is due, with a season a year.

    A date is expected to have as many rows as there are different values of `key`. Raises
    `UsageError` for a table without partitions, and for a key that it has not.
    """
    partition = source.table.partition
    absent = [name for name in key if name not in {c.name for c in source.table.columns}]
    if partition is None or absent:
        what = f"no column {', '.join(absent)}" if absent else "no partition, so no dates"
        raise UsageError(
            f"every_date cannot make a calendar of {source.table.name}: it has {what}.",
            hint="Name an input whose table is partitioned by date, and columns of that table.",
        )

    def calendar(frames: Frames, options: Any) -> Calendar:
        counts = (
            frames[source.name]
            .drop_nulls(partition)
            .group_by(partition)
            .agg(pl.struct(*key).n_unique().alias("rows"))
            .sort(partition)
        )
        days = {day: Day(day, None, expected_rows=rows) for day, rows in counts.iter_rows()}
        years = sorted({day.year for day in days})
        return Calendar(tuple(_year(year) for year in years), days)

    return calendar


def _year(year: int) -> Season:
    return Season(str(year), date(year, 1, 1), moved(date(year, 12, 31), 1))
