"""Current and opening line of every book, and their consensus.

Shared by player points and game lines. A candidate is a line that was quoted at one instant: the
keys of what it is a line for (`of`), of the quoting book (`by`, which begins with `of`), `line`
(Float64), `at` (when it was seen; NULL: untimed) and `gap`: the absolute difference of the two
sides' decimal prices, NULL where one is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["by_book", "consensus", "no_negative_zero", "paired", "timed"]


def no_negative_zero(value: pl.Expr) -> pl.Expr:
    """`value` with 0.0 for -0.0, which is equal and yet another number to a hash.

    Not `value + 0.0` nor `0.0 - value`: Polars simplifies them away.
    """
    return pl.when(value == 0).then(0.0).otherwise(value)


def timed(frame: pl.DataFrame, time: str, *, strict: bool) -> pl.DataFrame:
    """Without the lines of `tipoff_at` and later; `at` is the time where it can be trusted.

    A line without a time, or of a game without a tip-off, is untimed (`at` NULL); with `strict`
    (the option `strict_known_at`) it is dropped.
    """
    tipoff = pl.col("tipoff_at")
    sure = pl.col(time).is_not_null() & tipoff.is_not_null()
    kept = frame.filter(~sure | (pl.col(time) < tipoff)).with_columns(
        pl.when(sure).then(pl.col(time)).alias("at")
    )
    return kept.filter(pl.col("at").is_not_null()) if strict else kept


def paired(quoted: pl.DataFrame, by: Sequence[str], time: str, *extra: pl.Expr) -> pl.DataFrame:
    """Candidates: the prices of one line at one instant belong together, whoever brought them.

    `quoted`: `by`, `line`, `at`, `time` as it was read (outcomes of one snapshot are a pair, also
    where its time cannot be trusted), and the prices `first` and `second` of its sides. A side
    that is quoted at several prices counts with the highest. `extra` are further aggregations.
    """
    return (
        quoted.group_by(*by, "line", "at", time)
        .agg(pl.col("first").max(), pl.col("second").max(), *extra)
        .with_columns((pl.col("first") - pl.col("second")).abs().alias("gap"))
        .drop("first", "second", time)
    )


def by_book(candidates: pl.DataFrame, of: Sequence[str], by: Sequence[str]) -> pl.DataFrame:
    """The line of each group of `by`: `line`, `opening`, `at`.

    Timed candidates only, where the group has one. Current is the latest, opening the earliest;
    of several at one instant see `_best`. Of an untimed line `at` and `opening` are NULL. An
    optional column `hint` (the opening that the source itself states) goes before the earliest.
    """
    if "hint" not in candidates.columns:
        candidates = candidates.with_columns(pl.lit(None, dtype=pl.Float64).alias("hint"))
    spans = candidates.group_by(by).agg(
        pl.col("at").max().alias("last"), pl.col("at").min().alias("first")
    )
    placed = candidates.join(spans, on=by, how="left")
    last = _closest(placed.filter(pl.col("at").eq_missing(pl.col("last"))), by)
    alone = last.filter(~last.select(by).is_duplicated())
    first = placed.filter((pl.col("at") == pl.col("first")) & (pl.col("first") < pl.col("last")))
    current = _best(last, alone, of, by)
    earliest = _best(_closest(first, by), alone, of, by).select(
        *by, pl.col("line").alias("earliest")
    )
    opening = pl.when(pl.col("at").is_not_null()).then(pl.coalesce("hint", "earliest", "line"))
    return current.join(earliest, on=by, how="left").select(
        *by, "line", opening.alias("opening"), "at"
    )


def _closest(candidates: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The candidates of one instant with the closest prices; all, where no pair is known.

    Each line once: of an untimed one there may be several quotes.
    """
    double = candidates.select(by).is_duplicated()
    if not double.any():
        return candidates
    rest = candidates.filter(double)
    least = pl.col("gap").min().over(by)
    close = rest.filter(pl.col("gap").eq_missing(least)).sort("hint", nulls_last=True)
    once = close.unique([*by, "line"], keep="first", maintain_order=True)
    return pl.concat([candidates.filter(~double), once])


def _best(
    candidates: pl.DataFrame, alone: pl.DataFrame, of: Sequence[str], by: Sequence[str]
) -> pl.DataFrame:
    """One candidate of each group: the nearest to what the other books have, then the lowest.

    `alone`: the current lines of the groups that have just one left at their latest instant.
    """
    double = candidates.select(by).is_duplicated()
    if not double.any():
        return candidates
    rest = candidates.filter(double)
    book = [name for name in by if name not in of]
    others = alone.select(*by, pl.col("line").alias("theirs")).rename(
        {name: f"their_{name}" for name in book}
    )
    middle = (
        rest.select(by)
        .unique()
        .join(others, on=of)
        .filter(pl.any_horizontal(pl.col(name) != pl.col(f"their_{name}") for name in book))
        .group_by(by)
        .agg(pl.col("theirs").median().alias("middle"))
    )
    away = (pl.col("line") - pl.col("middle")).abs()
    chosen = (
        rest.join(middle, on=by, how="left")
        .sort(away, "line", nulls_last=True)
        .unique(by, keep="first", maintain_order=True)
    )
    return pl.concat([candidates.filter(~double), chosen.drop("middle")])


def consensus(books: pl.DataFrame, by: Sequence[str], *extra: pl.Expr) -> pl.DataFrame:
    """Median over books of their lines per group of `by`: `line`, `opening`, `at`.

    Only timed books, where there is one. `opening` is the median of the openings, `at` the
    latest time. `extra` are further aggregations.
    """
    any_timed = pl.col("at").is_not_null().any().over(by)
    return (
        books.filter(pl.col("at").is_not_null() | ~any_timed)
        .group_by(by)
        .agg(pl.col("line").median(), pl.col("opening").median(), pl.col("at").max(), *extra)
    )
