"""Current and opening line of every book, and their consensus.

Shared by player points and game lines. A candidate is a quoted line: the keys of what it is a
line for (`by`), `book`, `line` (Float64), `at` (when it was seen; NULL: untimed) and `gap`
(absolute difference of the two sides' decimal prices; NULL where one is unknown).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["book_name", "by_book", "consensus", "no_negative_zero", "timed"]


def book_name(column: str) -> pl.Expr:
    """A bookmaker's name as it is compared: lower-case letters and digits only."""
    return pl.col(column).str.to_lowercase().str.replace_all("[^a-z0-9]", "")


def no_negative_zero(value: pl.Expr) -> pl.Expr:
    """`value` with 0.0 for -0.0, which is equal and yet another number to a hash.

    Not `value + 0.0` nor `0.0 - value`: Polars simplifies them away.
    """
    return pl.when(value == 0).then(0.0).otherwise(value)


def timed(frame: pl.DataFrame, time: str, tipoff: pl.Expr, *, strict: bool) -> pl.DataFrame:
    """Without the lines of tip-off and later; `at` is the time where it can be trusted.

    A line without a time, or of a game without a tip-off, is untimed (`at` NULL); with `strict`
    (the option `strict_known_at`) it is dropped.
    """
    sure = pl.col(time).is_not_null() & tipoff.is_not_null()
    kept = frame.filter(~sure | (pl.col(time) < tipoff)).with_columns(
        pl.when(sure).then(pl.col(time)).alias("at")
    )
    return kept.filter(pl.col("at").is_not_null()) if strict else kept


def by_book(candidates: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The line of each group of `by`: `line`, `opening`, `at`, `hint`.

    Timed candidates only, where the group has one. Current is the latest, opening the earliest;
    at one instant those with both prices first, then the closest prices, then the lowest line.
    Of an untimed line `at` and `opening` are NULL. `hint` (the opening that the source itself
    states; optional column) is the current candidate's.
    """
    if "hint" not in candidates.columns:
        candidates = candidates.with_columns(pl.lit(None, dtype=pl.Float64).alias("hint"))
    spans = candidates.group_by(by).agg(
        pl.col("at").max().alias("last"), pl.col("at").min().alias("first")
    )
    placed = candidates.join(spans, on=by, how="left")
    current = _best(placed.filter(pl.col("at").eq_missing(pl.col("last"))), by)
    first = _best(
        placed.filter((pl.col("at") == pl.col("first")) & (pl.col("first") < pl.col("last"))), by
    )
    first = first.select(*by, pl.col("line").alias("earliest"))
    opening = pl.when(pl.col("at").is_not_null()).then(pl.coalesce("hint", "earliest", "line"))
    return current.join(first, on=by, how="left").select(
        *by, "line", opening.alias("opening"), "at"
    )


def _best(candidates: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The candidate of each group that is taken among those of one instant."""
    double = candidates.select(by).is_duplicated()
    if not double.any():
        return candidates
    rest = candidates.filter(double)
    chosen = rest.sort("gap", "line", nulls_last=True).unique(by, keep="first", maintain_order=True)
    return pl.concat([candidates.filter(~double), chosen])


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
