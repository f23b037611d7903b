"""Looking back from a date: rows of a table in order, and sums over the newest of them.

A `Track` is a table sorted by who and date. A `Past` says, for each row that asks, how many rows
of its `who` lie strictly before its date: everything about H, T and O of domain.md §5 is then a
gather at a known position. Sums are of integers over prefix sums, so they are exact, and equal
whatever the span of dates that is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

__all__ = [
    "Past",
    "Track",
    "earlier",
    "mean_newest",
    "nth",
    "past",
    "rows_before",
    "rows_since",
    "sum_newest",
    "sum_since",
    "track",
]

_DAYS = 1 << 20  # more than any day number, so that code and day share one integer


@dataclass(frozen=True, slots=True)
class Track:
    """`rows`: sorted by `by` and `game_date`, unique in them. `key`: code and day of each row.

    `who`: the `by` columns, `code` (Int64, ascending) and `first` (Int64, position in `rows`).
    `since`: how many rows of the same `who` come before each row (Int64).
    """

    rows: pl.DataFrame
    by: tuple[str, ...]
    who: pl.DataFrame
    key: pl.Series
    since: pl.Series


def track(frame: pl.DataFrame, *by: str) -> Track:
    """Sort `frame` by `by` and `game_date` and number its rows."""
    rows = frame.drop_nulls([*by, "game_date"]).sort(*by, "game_date")
    placed = rows.select(*by, "game_date").with_row_index("position")
    placed = placed.with_columns(
        pl.col("position").cast(pl.Int64),
        pl.struct(by).rle_id().cast(pl.Int64).alias("code"),
    )
    who = placed.group_by("code", maintain_order=True).agg(
        *(pl.col(name).first() for name in by), pl.col("position").first().alias("first")
    )
    placed = placed.join(who.select("code", "first"), on="code", how="left", maintain_order="left")
    key = placed.select(_key(pl.col("code"), pl.col("game_date"))).to_series()
    return Track(rows, by, who, key, placed["position"] - placed["first"])


def _key(code: pl.Expr, day: pl.Expr) -> pl.Expr:
    return (code * _DAYS + day.cast(pl.Int32).cast(pl.Int64)).alias("key")


@dataclass(frozen=True, slots=True)
class Past:
    """One entry per asking row: `first` position of its who, and `n` rows before its date.

    `code` is NULL, and `n` 0, for somebody without any row. All Int64.
    """

    track: Track
    day: pl.Series
    code: pl.Series
    first: pl.Series
    n: pl.Series


def past(track: Track, asking: pl.DataFrame) -> Past:
    """The past of each row of `asking`, which holds the columns `by` and `game_date`."""
    found = asking.select(*track.by, "game_date").join(
        track.who, on=track.by, how="left", maintain_order="left"
    )
    first = found["first"].fill_null(0)
    n = _count(track, found["code"], first, found["game_date"])
    return Past(track, found["game_date"], found["code"], first, n)


def _count(track: Track, code: pl.Series, first: pl.Series, day: pl.Series) -> pl.Series:
    """Rows of `code` dated strictly before `day`."""
    asked = pl.DataFrame({"code": code, "day": day}).select(_key(pl.col("code"), pl.col("day")))
    known = asked["key"].is_not_null()
    at = track.key.search_sorted(asked["key"].fill_null(-1), side="left").cast(pl.Int64)
    return (at - first).zip_with(known, pl.zeros(len(at), pl.Int64, eager=True)).alias("n")


def rows_before(past: Past, days: int) -> pl.Series:
    """How many rows lie before the date moved by `days` (Int64)."""
    moved = past.day.dt.offset_by(f"{days}d")
    return _count(past.track, past.code, past.first, moved)


def rows_since(past: Past, days: int) -> pl.Series:
    """How many rows lie in [D - days, D) (Int64)."""
    return past.n - rows_before(past, -days)


def nth(past: Past, column: str, back: int = 0) -> pl.Series:
    """The value of the newest row, or of the one `back` rows before; NULL where there is none."""
    at = past.first + past.n - 1 - back
    at = at.zip_with(past.n > back, pl.repeat(None, len(at), dtype=pl.Int64, eager=True))
    return past.track.rows[column].gather(at)


def sum_newest(past: Past, column: str, newest: int | None = None) -> pl.Series:
    """Sum of an integer column over the newest rows, or over all; unknown counts as 0."""
    low = pl.zeros(len(past.n), pl.Int64, eager=True)
    if newest is not None:
        low = (past.n - newest).clip(lower_bound=0)
    return _sum(past, column, low)


def sum_since(past: Past, column: str, days: int) -> pl.Series:
    """Sum of an integer column over the rows in [D - days, D); unknown counts as 0."""
    return _sum(past, column, rows_before(past, -days))


def _sum(past: Past, column: str, low: pl.Series) -> pl.Series:
    values = past.track.rows[column].cast(pl.Int64).fill_null(0).cum_sum()
    sums = pl.concat([pl.Series([0], dtype=pl.Int64), values])
    return (sums.gather(past.first + past.n) - sums.gather(past.first + low)).alias(column)


def earlier(track: Track, column: str, back: int = 1) -> pl.Series:
    """The value `back` rows before each row of the track; NULL where there is none."""
    values = track.rows[column]
    return values.shift(back).zip_with(track.since >= back, values.clear(len(values)))


def mean_newest(track: Track, column: str, newest: int) -> pl.Series:
    """Mean of the known values of a float column over each row and those before, `newest` in all.

    Added from the newest to the oldest, always: a float sum depends on its order.
    """
    total = pl.zeros(track.rows.height, pl.Float64, eager=True)
    count = pl.zeros(track.rows.height, pl.Int64, eager=True)
    for back in range(newest):
        value = earlier(track, column, back)
        total = total + value.fill_null(0.0)
        count = count + value.is_not_null().cast(pl.Int64)
    return ratio(total, count).alias(column)


def ratio(above: pl.Series, below: pl.Series) -> pl.Series:
    """`above / below` (Float64); NULL where `below` is 0."""
    frame = pl.DataFrame({"above": above, "below": below})
    return frame.select(
        pl.when(pl.col("below") != 0).then(pl.col("above") / pl.col("below")).alias(above.name)
    ).to_series()


def known(columns: Sequence[str]) -> pl.Expr:
    """Whether all of `columns` are known."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in columns)
