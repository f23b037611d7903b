"""Statistics of a file as Delta's log has them, from the rows that it holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

__all__ = ["as_json", "figures", "measured", "of_rows"]

_MOST = 8  # the first columns: each commit reads the statistics of all files again
_LONGEST = 64


def measured(schema: Mapping[str, pl.DataType]) -> list[str]:
    """The columns that are measured, of those of a file."""
    return [name for name in list(schema)[:_MOST] if _simple(schema[name])]


def _simple(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone is not None
    return dtype.is_integer() or dtype.is_float() or dtype in (pl.String, pl.Date)


def figures(frame: pl.DataFrame, columns: Sequence[str], partition: str | None) -> pl.DataFrame:
    """Counts and bounds of each date, by `day`; a frame with dates must be sorted by them."""
    exprs = [pl.len().alias("rows")]
    for number, name in enumerate(columns):
        column = pl.col(name)
        exprs += [
            column.null_count().alias(f"n{number}"),
            column.min().alias(f"l{number}"),
            column.max().alias(f"h{number}"),
        ]
        if frame.schema[name].is_float():
            exprs.append(column.is_nan().any().alias(f"x{number}"))
    if not partition:
        return frame.select(exprs)
    day = pl.col(partition).alias("day")
    return frame.set_sorted(partition).group_by(day, maintain_order=True).agg(exprs)


def as_json(columns: Sequence[str], record: Mapping[str, Any]) -> str:
    """Delta's statistics of one file; bounds are left out where they would mislead."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for number, name in enumerate(columns):
        nulls[name] = record[f"n{number}"]
        bounds = _bound(record[f"l{number}"]), _bound(record[f"h{number}"])
        if None not in bounds and not record.get(f"x{number}"):
            low[name], high[name] = bounds
    return json.dumps(
        {
            "numRecords": record["rows"],
            "minValues": low,
            "maxValues": high,
            "nullCount": nulls,
        },
        separators=(",", ":"),
    )


def of_rows(frame: pl.DataFrame) -> str:
    """Delta's statistics of a file with exactly these rows."""
    columns = measured(frame.schema)
    return as_json(columns, figures(frame, columns, None).row(0, named=True))


def _bound(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value
