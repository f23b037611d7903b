"""Columns *Game lines*: spread and total of the row's game, from the Odds API."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.cascade import CONSENSUS, GAME_LINE_BOOKS
from ray_backfill_nba.player_context.feeds import MARKETS, SPREADS
from ray_backfill_nba.player_context.lines import (
    by_book,
    consensus,
    no_negative_zero,
    paired,
    timed,
)

__all__ = ["columns", "is_known", "is_usable"]

_GAME = ["game_date", "home_team", "away_team"]
_OF = ["game", "is_spread"]
_BY = [*_OF, "book"]
_MOST_SPREAD = 40
_TOTALS = (100, 350)


def is_known() -> pl.Expr:
    """Whether a cleaned outcome is of one of the two markets, of a known side and book."""
    return (
        pl.col("market_key").is_in(MARKETS)
        & pl.col("is_first").is_not_null()
        & pl.col("bookmaker_key").is_not_null()
    ).fill_null(False)


def is_usable() -> pl.Expr:
    """Whether the point of a known outcome can be one: |spread| ≤ 40, 100 ≤ total ≤ 350."""
    point = pl.col("outcome_point")
    spread = point.abs() <= _MOST_SPREAD
    total = point.is_between(*_TOTALS)
    can_be = pl.when(pl.col("market_key") == SPREADS).then(spread).otherwise(total)
    return (point.is_finite() & can_be).fill_null(False)


def columns(slate: pl.DataFrame, lines: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """The columns of the group, one row per row of `slate`.

    `slate`: `game_date`, `home_team`, `away_team`, `is_home`. `lines`: cleaned outcomes with the
    number `game` and the `tipoff_at` of theirs. Points in points, times in UTC; the spread is
    relative to the row's team.
    """
    found = lines.filter(pl.col("game").is_not_null() & is_known() & is_usable())
    books = by_book(_candidates(timed(found, "snapshot_timestamp", strict=strict)), _OF, _BY)
    chosen = _cascade(books).join(found.select("game", *_GAME).unique("game"), on="game")
    spread = _market(slate, chosen.filter("is_spread"), "spread", "game_spread")
    total = _market(slate, chosen.filter(~pl.col("is_spread")), "total", "game_total")
    sign = [
        pl.when(slate["is_home"])
        .then(pl.col(name))
        .otherwise(no_negative_zero(-pl.col(name)))
        .alias(name)
        for name in ("game_spread", "opening_spread", "spread_movement")
    ]
    both = pl.concat([spread.with_columns(sign), total], how="horizontal")
    return both.with_columns(
        (pl.col("game_total") / 2 - pl.col("game_spread") / 2).alias("implied_team_total")
    )


def _candidates(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Home-relative lines with the prices of their two sides (home and away, over and under)."""
    point, price = pl.col("outcome_point"), pl.col("outcome_price").fill_nan(None)
    is_spread = pl.col("market_key") == SPREADS
    away = is_spread & ~pl.col("is_first")
    quoted = outcomes.select(
        "game",
        is_spread.alias("is_spread"),
        pl.col("bookmaker_key").alias("book"),
        "at",
        "snapshot_timestamp",
        no_negative_zero(pl.when(away).then(-point).otherwise(point)).alias("line"),
        pl.when("is_first").then(price).alias("first"),
        pl.when(~pl.col("is_first")).then(price).alias("second"),
    )
    return paired(quoted, _BY, "snapshot_timestamp")


def _cascade(books: pl.DataFrame) -> pl.DataFrame:
    """The chosen line per game and market: `line`, `opening`, `at`, `bookmaker`, `books`."""
    order = {book: rank for rank, book in enumerate(GAME_LINE_BOOKS)}
    ranked = books.with_columns(
        pl.col("book").replace_strict(order, default=None, return_dtype=pl.Int64).alias("rank")
    )
    best = ranked.filter(pl.col("rank").is_not_null()).filter(
        pl.col("rank") == pl.col("rank").min().over(_OF)
    )
    named = best.select(*_OF, "line", "opening", "at", pl.col("book").alias("bookmaker"))
    rest = consensus(books.join(named, on=_OF, how="anti"), _OF)
    rest = rest.with_columns(pl.lit(CONSENSUS).alias("bookmaker"))
    counts = books.group_by(_OF).agg(pl.len().cast(pl.Int64).alias("books"))
    return pl.concat([named, rest]).join(counts, on=_OF)


def _market(slate: pl.DataFrame, chosen: pl.DataFrame, word: str, name: str) -> pl.DataFrame:
    """The chosen lines of one market under their column names, aligned to `slate`."""
    found = slate.select(_GAME).join(chosen, on=_GAME, how="left", maintain_order="left")
    return found.select(
        pl.col("line").alias(name),
        pl.col("opening").alias(f"opening_{word}"),
        (pl.col("line") - pl.col("opening")).alias(f"{word}_movement"),
        pl.col("bookmaker").alias(f"{word}_bookmaker"),
        pl.col("at").alias(f"{word}_at"),
        pl.col("books").fill_null(0).alias(f"{word}_books"),
    )
