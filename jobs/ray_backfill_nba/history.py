"""Looking back from a date: rows of a table in order, and sums over the newest of them.

A `Track` is a table sorted by who and date. A `Past` says, for each row that asks, how many rows
of its `who` lie strictly before its date: everything about H (a player's played games), T and O
(the games of his team and of its opponent) is then a gather at a known position. Sums are
differences of prefix sums of integers, so they are exact, and equal whatever the span of dates
that is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

__all__ = [
    "SINCE",
    "Past",
    "Track",
    "earlier",
    "known",
    "mean_newest",
    "nth",
    "past",
    "ratio",
    "rows_before",
    "rows_since",
    "sums_newest",
    "sums_since",
    "track",
]

_DAYS = 1 << 20  # more than any day number, so that code and day share one integer

SINCE = "rows_of_who_before"
"""Column of a track: how many rows of the same `who` stand before each row (Int64)."""


@dataclass(frozen=True, slots=True)
class Track:
    """`rows`: sorted by `by` and `game_date`, unique in them, with the column `SINCE`.

    `who`: the `by` columns, `code` and `first` (position of their first row), both Int64.
    `key`: code and day of each row as one integer, ascending.
    """

    rows: pl.DataFrame
    by: tuple[str, ...]
    who: pl.DataFrame
    key: pl.Series


def track(frame: pl.DataFrame, *by: str) -> Track:
    """Sort `frame` by `by` and `game_date` and number its rows; without rows that lack one."""
    frame = frame.drop_nulls([*by, "game_date"])
    who = frame.select(by).unique().sort(by).with_row_index("code")
    who = who.with_columns(pl.col("code").cast(pl.Int64))
    # Sorting one integer is several times faster than sorting by names.
    placed = frame.join(who, on=by, how="left", maintain_order="left").with_columns(
        _key(pl.col("code"), pl.col("game_date")).alias("key")
    )
    placed = placed.sort("key").with_row_index("position")
    firsts = placed.group_by("code").agg(pl.col("position").min().cast(pl.Int64).alias("first"))
    who = who.join(firsts, on="code", how="left", maintain_order="left")
    first = who["first"].gather(placed["code"])
    rows = placed.drop("code", "key", "position").with_columns(
        (placed["position"].cast(pl.Int64) - first).alias(SINCE)
    )
    return Track(rows, by, who, placed["key"])


def _key(code: pl.Expr, day: pl.Expr) -> pl.Expr:
    return code * _DAYS + day.cast(pl.Int32).cast(pl.Int64)


@dataclass(frozen=True, slots=True)
class Past:
    """One entry per asking row: `first` position of its who, and `n` rows before its date.

    `key` is where its date stands among the track's keys. Somebody without any row has n = 0.
    """

    track: Track
    key: pl.Series
    first: pl.Series
    n: pl.Series


def past(track: Track, asking: pl.DataFrame) -> Past:
    """The past of each row of `asking`, which holds the columns `by` and `game_date`."""
    found = (
        asking.select(*track.by, "game_date")
        .join(track.who, on=track.by, how="left", maintain_order="left")
        .select(
            _key(pl.col("code").fill_null(-1), pl.col("game_date")).alias("key"),
            pl.col("first").fill_null(0),
        )
    )
    return Past(track, found["key"], found["first"], _count(track, found["key"], found["first"]))


def _count(track: Track, key: pl.Series, first: pl.Series) -> pl.Series:
    """Rows of the who of `key` before the day of `key`; 0 for nobody, whose keys are negative."""
    return track.key.search_sorted(key, side="left").cast(pl.Int64) - first


def rows_before(past: Past, days: int) -> pl.Series:
    """How many rows lie before the date moved by `days` (Int64)."""
    return _count(past.track, past.key + days, past.first)


def rows_since(past: Past, days: int) -> pl.Series:
    """How many rows lie in [D - days, D) (Int64)."""
    return past.n - rows_before(past, -days)


def nth(past: Past, *columns: str, back: int = 0) -> pl.DataFrame:
    """The newest row's values, or of the row `back` rows before; NULL where there is none."""
    at = pl.DataFrame({"at": past.first + past.n - 1 - back, "n": past.n}).select(
        pl.when(pl.col("n") > back).then("at")
    )
    return past.track.rows.select(pl.col(columns).gather(at["at"]))


def sums_newest(past: Past, columns: Sequence[str], newest: int | None = None) -> pl.DataFrame:
    """Sums of integer columns over the newest rows, or over all; unknown counts as 0."""
    low = past.first
    if newest is not None:
        low = low + (past.n - newest).clip(lower_bound=0)
    return _sums(past, columns, low)


def sums_since(past: Past, columns: Sequence[str], days: int) -> pl.DataFrame:
    """Sums of integer columns over the rows in [D - days, D); unknown counts as 0."""
    return _sums(past, columns, past.first + rows_before(past, -days))


def _sums(past: Past, columns: Sequence[str], low: pl.Series) -> pl.DataFrame:
    """Sums over the positions [low, first + n)."""
    zero = pl.lit(0, dtype=pl.Int64)
    high = past.first + past.n

    def total(name: str) -> pl.Expr:
        prefix = zero.append(pl.col(name).cast(pl.Int64).fill_null(0).cum_sum())
        return (prefix.gather(high) - prefix.gather(low)).alias(name)

    return past.track.rows.select(total(name) for name in columns)


def earlier(column: str, back: int = 1) -> pl.Expr:
    """Over a track's rows: the value `back` rows before each; NULL where there is none."""
    return pl.when(pl.col(SINCE) >= back).then(pl.col(column).shift(back))


def mean_newest(column: str, newest: int) -> pl.Expr:
    """Over a track's rows: mean of the known values of each row and those before it.

    `newest` rows in all. Added from the newest to the oldest, always: a float sum depends on its
    order.
    """
    values = [earlier(column, back) for back in range(newest)]
    total, count = pl.lit(0.0), pl.lit(0, dtype=pl.Int64)
    for value in values:
        total = total + value.fill_null(0.0)
        count = count + value.is_not_null().cast(pl.Int64)
    return ratio(total, count).alias(column)


def ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """`above / below` (Float64); NULL where `below` is 0."""
    return pl.when(below != 0).then(above / below)


def known(columns: Sequence[str]) -> pl.Expr:
    """Whether all of `columns` are known."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in columns)
