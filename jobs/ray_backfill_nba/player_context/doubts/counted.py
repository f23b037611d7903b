"""Counting what was left out, by date and source, with the first examples."""

from __future__ import annotations

import polars as pl

from ray_backfill.job import Unmatched
from ray_backfill.job.table import Table

__all__ = ["counted", "told_on"]

_EXAMPLES = 3


def counted(
    table: Table,
    why: str,
    rows: pl.DataFrame,
    source: str,
    example: pl.Expr,
    mend: str | None = None,
) -> list[Unmatched]:
    """Distinct rows by `game_date` and the column `source`, most telling first by name.

    `example`: an expression that says in words what one row is about. `mend`: see `Unmatched`.
    """
    if rows.is_empty():
        return []
    told = (
        rows.unique()
        .group_by("game_date", pl.col(source).fill_null("").alias("source"))
        .agg(pl.len(), example.drop_nulls().unique().sort().head(_EXAMPLES).alias("examples"))
        .sort("game_date", "source")
    )
    return [
        Unmatched(day, table.name, name, why, count, tuple(examples), mend)
        for day, name, count, examples in told.iter_rows()
    ]


def told_on(rows: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """The rows with `game_date` moved to the next date that has games, and `on` as it was.

    `sides`: every side of the season. Rows after the last game are left out.
    """
    days = sides.select(pl.col("game_date").unique().sort().alias("day"))
    moved = rows.sort("game_date").join_asof(
        days, left_on="game_date", right_on="day", strategy="forward"
    )
    return moved.drop_nulls("day").rename({"game_date": "on", "day": "game_date"})
