"""What all feeds have in common: contract dtypes, repeated rows, times."""

from __future__ import annotations

import polars as pl

from jobs.demo_league.dice import number
from jobs.demo_league.spec import LeagueSpec
from ray_backfill.contract import Table

__all__ = ["conform", "known_by_now", "repeated"]


def conform(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Exactly the table's columns and dtypes; a float that lies outside its contract raises."""
    return rows.select(
        pl.col(column.name).cast(column.kind.polars) for column in table.columns
    )


def repeated(rows: pl.DataFrame, label: str, per_mille: int, key: str = "key") -> pl.DataFrame:
    """Some rows twice, and of these one in fifty 23 times: ingested again, nothing changed."""
    again = number(f"again {label}", 1000, key) < per_mille
    often = number(f"often {label}", 50, key) == 0
    times = pl.when(again & often).then(23).when(again).then(2).otherwise(1)
    at = pl.int_range(pl.len(), dtype=pl.Int64).repeat_by(times.cast(pl.UInt32)).explode()
    return rows[rows.select(at.alias("at"))["at"]]


def known_by_now(spec: LeagueSpec, rows: pl.DataFrame, time: str) -> pl.DataFrame:
    """Without rows from after the moment at which the league stands; untimed rows stay."""
    if spec.now is None:
        return rows
    return rows.filter(pl.col(time).is_null() | (pl.col(time) <= spec.now))
