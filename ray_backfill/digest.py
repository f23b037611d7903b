"""Digests of content: equal rows give equal digests, on any machine and in any order.

Rows are encoded canonically (one text a row, each value with its length or a terminator, so
that no two different rows share an encoding), made distinct, sorted, and hashed by BLAKE2b.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date

import polars as pl
import pyarrow as pa

__all__ = ["NOTHING", "combine", "partition_digests", "text_digest"]

NOTHING = "none"
"""The digest of a window without rows."""


def text_digest(text: str) -> str:
    """16 hexadecimal digits of BLAKE2b over UTF-8."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def partition_digests(rows: pl.DataFrame, partition: str | None) -> dict[date | None, str]:
    """Digest of the distinct rows of each date; of all rows under `None` without a partition.

    Columns are taken by name, in sorted order; a null partition value is left out.
    """
    names = sorted(name for name in rows.columns if name != partition)
    header = ",".join(names)
    # Distinct before the encoding, which costs more: feeds repeat a row up to a hundred times.
    rows = _canonical(rows).unique()
    if rows.is_empty():
        return {}
    encoded = pl.select(
        pl.concat_str([_encoded(rows[name], f"c{n}") for n, name in enumerate(names)]).alias("row")
    )
    if partition is None:
        lines = encoded["row"].sort().to_list()
        return {None: text_digest("\n".join([header, *lines]))}
    joined = (
        encoded.with_columns(rows[partition].alias("day"))
        .drop_nulls("day")
        .sort("day", "row")
        .group_by("day", maintain_order=True)
        .agg(pl.col("row").str.join("\n"))
    )
    return {
        day: text_digest(f"{header}\n{text}")
        for day, text in zip(joined["day"].to_list(), joined["row"].to_list(), strict=True)
    }


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """Equal floats with equal bits: 64 of them, one zero, one NaN."""
    floats = [pl.col(n).cast(pl.Float64) for n, dtype in rows.schema.items() if dtype.is_float()]
    # An explicit choice: Polars takes `x + 0.0` to be x and keeps the sign of zero.
    return rows.with_columns(
        pl.when(x == 0).then(0.0).when(x.is_nan()).then(float("nan")).otherwise(x).name.keep()
        for x in floats
    )


def _encoded(column: pl.Series, name: str) -> pl.Series:
    """Each value as text; null is `~`, text carries its length, floats are their bits."""
    dtype = column.dtype
    if dtype == pl.String:
        value = column.str.len_bytes().cast(pl.String) + ":" + column
    elif dtype.is_float():
        bits = column.to_arrow().view(pa.int64())
        value = pl.Series(pl.from_arrow(bits)).cast(pl.String)
    elif dtype in (pl.Date, pl.Datetime, pl.Boolean, pl.Duration):
        value = column.to_physical().cast(pl.Int64).cast(pl.String)
    elif isinstance(dtype, pl.List):
        value = (
            column.cast(pl.List(pl.String))
            .list.eval(pl.element().str.len_bytes().cast(pl.String) + ":" + pl.element())
            .list.join("")
        )
        value = "[" + value + "]"
    else:
        value = column.cast(pl.String)
    return (value.fill_null("~") + ",").alias(name)


def combine(digests: Iterable[tuple[date, str]]) -> str:
    """One digest of the digests of many dates; `NOTHING` for none."""
    parts = [f"{day}={digest}" for day, digest in sorted(digests)]
    return text_digest(";".join(parts)) if parts else NOTHING
