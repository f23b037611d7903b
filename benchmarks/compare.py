"""Whether two computations did the same work: their values of a date, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.player_context import JOB

__all__ = ["compare"]

_KEY = "player_lookup"
_CLOSE = 1e-9


def compare(lake: str, folder: Path, days: Sequence[date]) -> dict[str, object]:
    """Values of `folder`'s files against the lake's output: how many, and how many differ.

    Numbers may differ in the last digits, since sums are added in another order.
    """
    columns = [c.name for c in JOB.output.columns]
    stored = pl.DataFrame(open_warehouse(lake).read(JOB.table, columns, list(days)))
    values, covered, differing, rows = 0, set[str](), Counter[str](), 0
    for day in days:
        other = pl.read_parquet(folder / f"{day}.parquet")
        ours = stored.filter(pl.col("game_date") == day).sort(_KEY)
        other = other.sort(_KEY)
        rows += ours.height
        if ours[_KEY].to_list() != other[_KEY].to_list():
            differing["rows"] += 1
            continue
        for name in columns:
            if name in other.columns and name != "game_date":
                covered.add(name)
                values += ours.height
                differing[name] += _differing(ours[name], other[name])
    return {
        "dates": len(days),
        "rows": rows,
        "columns": len(covered),
        "not_covered": sorted(set(columns) - covered - {"game_date"}),
        "values": values,
        "differing": {name: count for name, count in differing.items() if count},
    }


def _differing(ours: pl.Series, other: pl.Series) -> int:
    """How many values differ; NaN of pandas is NULL."""
    if ours.dtype == pl.List(pl.String):
        other = other.cast(ours.dtype)
        return int((ours.list.join(",") != other.list.join(",")).sum())
    if other.null_count() == other.len() or (other.dtype.is_float() and other.is_nan().all()):
        return ours.len() - ours.null_count()
    if ours.dtype.is_numeric():
        one, two = ours.cast(pl.Float64), other.cast(pl.Float64).fill_nan(None)
        apart = (one - two).abs() > _CLOSE * pl.Series([1.0]).append(one.abs()).max()
        return int(((one.is_null() != two.is_null()) | apart.fill_null(False)).sum())
    if ours.dtype == pl.Boolean:
        other = other.cast(pl.Boolean)
    elif isinstance(ours.dtype, pl.Datetime):
        other = other.cast(ours.dtype)
    return int(ours.ne_missing(other).sum())
