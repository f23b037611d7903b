"""Digests of content: equal rows give equal digests, on any machine and in any order.

Rows are made distinct and sorted by all their columns; then BLAKE2b hashes the columns' names, the
number of rows of a date, and the bytes of each column: for each value its kind or that it is null,
the values as 64 little-endian bits, and text as its lengths and its UTF-8, so that no two different
sets of rows share an encoding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate, pairwise

import polars as pl
import pyarrow as pa

from ray_backfill.errors import ContractError

__all__ = ["NOTHING", "Running", "partition_digests", "text_digest"]

NOTHING = "none"
"""The digest of a window without rows."""

_NUMBER, _FLOAT, _TEXT, _LIST = 1, 2, 3, 4
"""What stands for a value's kind; 0 for a null, whatever the column: a view may not know better."""


def text_digest(text: str) -> str:
    """16 hexadecimal digits of BLAKE2b over UTF-8."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def partition_digests(rows: pl.DataFrame, partition: str | None) -> dict[date | None, str]:
    """Digest of the distinct rows of each date; of all rows under `None` without a partition.

    Columns are taken by name, in sorted order; a null partition value is left out.
    Raises `ContractError` for a column of a type that has no encoding.
    """
    names = sorted(name for name in rows.columns if name != partition)
    kinds = {name: _kind(name, rows.schema[name]) for name in names}
    rows = rows.select(pl.lit(None) if partition is None else pl.col(partition).alias(""), *names)
    rows = rows.rename({rows.columns[0]: ""})
    if partition is not None:
        rows = rows.drop_nulls("")
    rows = _distinct(_canonical(rows).sort(rows.columns, nulls_last=False))
    if rows.is_empty():
        return {}
    runs = rows[""].rle().struct.unnest()
    bounds = [0, *accumulate(runs["len"].to_list())]
    header = json.dumps(names).encode()
    hashes = [
        hashlib.blake2b(header + count.to_bytes(8, "little"), digest_size=8)
        for count in runs["len"]
    ]
    for name in names:
        for pieces in _bytes_of(rows[name], kinds[name], bounds):
            for running, piece in zip(hashes, pieces, strict=True):
                running.update(piece)
    days = runs["value"].to_list()
    return {day: running.hexdigest() for day, running in zip(days, hashes, strict=True)}


def _kind(name: str, dtype: pl.DataType) -> int:
    if dtype == pl.String or dtype in (pl.Categorical, pl.Enum):
        return _TEXT
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return _LIST
    if dtype.is_float():
        return _FLOAT
    if dtype.is_integer() or dtype.is_temporal() or dtype in (pl.Boolean, pl.Null):
        return _NUMBER
    raise ContractError(
        f"The column '{name}' is a {dtype}, which has no digest.",
        hint="Let the view show it as text, a number, a date or a list of texts.",
    )


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted rows, each once. Not `unique`: it loses the order that they were stored in, and
    sorting what is nearly in order takes a third of the time."""
    every = pl.all()
    return rows.filter(
        pl.any_horizontal(every.ne_missing(every.shift())) | (pl.int_range(pl.len()) == 0)
    )


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """Equal values with equal bits: numbers of 64 bits, one zero, one NaN; lists as text."""
    return rows.with_columns(
        _in_64_bits(name, dtype) for name, dtype in rows.schema.items() if name
    )


def _in_64_bits(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():
        x = column.cast(pl.Float64)
        # An explicit choice: Polars takes `x + 0.0` to be x and keeps the sign of zero.
        one = pl.when(x == 0).then(0.0).when(x.is_nan()).then(float("nan")).otherwise(x)
        return one.alias(name)
    if isinstance(dtype, pl.List):
        texts = column.cast(pl.List(pl.String))
        # Each element with its length; a null element is the only one without.
        sized = pl.element().str.len_bytes().cast(pl.String) + ":" + pl.element()
        return texts.list.eval(sized.fill_null("~")).list.join("").alias(name)
    if dtype == pl.String:
        return column
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column.to_physical().cast(pl.Int64).alias(name)


def _bytes_of(column: pl.Series, kind: int, bounds: Sequence[int]) -> Iterator[list[memoryview]]:
    """For each kind of bytes of a column (kinds, values, text), its pieces by partition."""
    yield _pieces(column.is_not_null().cast(pl.UInt8) * kind, 1, bounds)
    if column.dtype != pl.String:
        yield _pieces(column.fill_null(0), 8, bounds)
        return
    text = column.fill_null("")
    yield _pieces(text.str.len_bytes().cast(pl.Int64), 8, bounds)
    array = text.rechunk().to_arrow().cast(pa.large_string())
    # Where each text begins in the bytes of all: not from 0 on where the column is part of one.
    ends = memoryview(array.buffers()[1]).cast("q")[array.offset :]
    data = memoryview(array.buffers()[2] or b"")
    yield [data[ends[low] : ends[high]] for low, high in pairwise(bounds)]


def _pieces(column: pl.Series, width: int, bounds: Sequence[int]) -> list[memoryview]:
    array = column.rechunk().to_arrow()
    data = memoryview(array.buffers()[1])[array.offset * width :]
    return [data[low * width : high * width] for low, high in pairwise(bounds)]


class Running:
    """One digest of the digests of many dates, `date=digest;date=digest`, `NOTHING` for none.

    Windows that grow are hashed from where the last one ended.
    """

    def __init__(self) -> None:
        self._days: Sequence[date] = ()
        self._hash = hashlib.blake2b(digest_size=8)

    def combined(self, days: Sequence[date], digests: Mapping[date | None, str]) -> str:
        """The digest of these days (in order) of `digests`."""
        done = len(self._days)
        if list(days[:done]) != list(self._days):
            done, self._hash = 0, hashlib.blake2b(digest_size=8)
        for at, day in enumerate(days[done:], done):
            self._hash.update(f"{';' if at else ''}{day}={digests[day]}".encode())
        self._days = days
        return self._hash.copy().hexdigest() if days else NOTHING
