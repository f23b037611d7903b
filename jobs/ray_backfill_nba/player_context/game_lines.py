"""Columns *Game lines*: spread and total of the row's game, from the Odds API."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.cascade import CONSENSUS, GAME_LINE_BOOKS
from ray_backfill_nba.player_context.lines import (
    book_name,
    by_book,
    consensus,
    no_negative_zero,
    timed,
)

__all__ = ["columns"]

_BY = ["game_date", "home_team", "away_team", "market_key"]


def columns(slate: pl.DataFrame, game_lines: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """The columns of the group, one row per row of `slate`.

    `slate`: `game_date`, `home_team`, `away_team`, `is_home`, `tipoff_at`. `game_lines`: the raw
    outcomes. Points in points, times in UTC; the spread is relative to the row's team.
    """
    quoted = _quoted(slate, game_lines, strict=strict)
    books = by_book(_candidates(quoted), [*_BY, "book"])
    chosen = _cascade(books)
    spread = _market(slate, chosen, "spreads", "spread", "game_spread")
    total = _market(slate, chosen, "totals", "total", "game_total")
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


def _quoted(slate: pl.DataFrame, game_lines: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Outcomes before tip-off, as `side` (first: home or Over), home-relative `line`, `price`."""
    games = slate.select("game_date", "home_team", "away_team", "tipoff_at").unique()
    lines = game_lines.select(
        pl.all().exclude("home_team", "away_team"), _side().alias("side")
    ).filter(
        pl.col("market_key").is_in(["spreads", "totals"])
        & pl.col("side").is_not_null()
        & pl.col("outcome_point").is_finite()
        & pl.col("bookmaker_key").is_not_null()
    )
    found = lines.join(
        games,
        left_on=["game_date", "home_team_abbr", "away_team_abbr"],
        right_on=["game_date", "home_team", "away_team"],
    )
    tipoff = pl.coalesce("tipoff_at", "commence_time")
    point = pl.col("outcome_point")
    away_spread = ~pl.col("side") & (pl.col("market_key") == "spreads")
    return timed(found, "snapshot_timestamp", tipoff, strict=strict).select(
        "game_date",
        pl.col("home_team_abbr").alias("home_team"),
        pl.col("away_team_abbr").alias("away_team"),
        "market_key",
        book_name("bookmaker_key").alias("book"),
        "at",
        "snapshot_timestamp",
        "side",
        no_negative_zero(pl.when(away_spread).then(-point).otherwise(point)).alias("line"),
        pl.col("outcome_price").fill_nan(None).alias("price"),
    )


def _side() -> pl.Expr:
    """TRUE for the home team's outcome and Over, FALSE for the others, NULL for neither."""
    outcome, is_spread = pl.col("outcome_name"), pl.col("market_key") == "spreads"
    first = pl.when(is_spread).then("home_team").otherwise(pl.lit("Over"))
    second = pl.when(is_spread).then("away_team").otherwise(pl.lit("Under"))
    return pl.when(outcome == first).then(True).when(outcome == second).then(False)


def _candidates(quoted: pl.DataFrame) -> pl.DataFrame:
    """One row per line and instant of a book, with the gap between its two sides' prices.

    Outcomes of one snapshot are a pair, also where its time cannot be trusted (`at` NULL). A side
    that is quoted at several prices counts with the highest.
    """
    price = pl.col("price")
    return (
        quoted.group_by(*_BY, "book", "at", "snapshot_timestamp", "line")
        .agg(
            price.filter("side").max().alias("first"),
            price.filter(~pl.col("side")).max().alias("second"),
        )
        .with_columns((pl.col("first") - pl.col("second")).abs().alias("gap"))
        .drop("first", "second", "snapshot_timestamp")
    )


def _cascade(books: pl.DataFrame) -> pl.DataFrame:
    """The chosen line per game and market: `line`, `opening`, `at`, `bookmaker`, `books`."""
    order = {book: rank for rank, book in enumerate(GAME_LINE_BOOKS)}
    ranked = books.with_columns(
        pl.col("book").replace_strict(order, default=None, return_dtype=pl.Int64).alias("rank")
    )
    best = ranked.filter(pl.col("rank").is_not_null()).filter(
        pl.col("rank") == pl.col("rank").min().over(_BY)
    )
    named = best.select(*_BY, "line", "opening", "at", pl.col("book").alias("bookmaker"))
    rest = consensus(books.join(named, on=_BY, how="anti"), _BY)
    rest = rest.with_columns(pl.lit(CONSENSUS).alias("bookmaker"))
    counts = books.group_by(_BY).agg(pl.len().cast(pl.Int64).alias("books"))
    return pl.concat([named, rest]).join(counts, on=_BY)


def _market(
    slate: pl.DataFrame, chosen: pl.DataFrame, market: str, word: str, name: str
) -> pl.DataFrame:
    """The chosen lines of one market under their column names, aligned to `slate`."""
    found = slate.select("game_date", "home_team", "away_team").join(
        chosen.filter(pl.col("market_key") == market),
        on=["game_date", "home_team", "away_team"],
        how="left",
        maintain_order="left",
    )
    return found.select(
        pl.col("line").alias(name),
        pl.col("opening").alias(f"opening_{word}"),
        (pl.col("line") - pl.col("opening")).alias(f"{word}_movement"),
        pl.col("bookmaker").alias(f"{word}_bookmaker"),
        pl.col("at").alias(f"{word}_at"),
        pl.col("books").fill_null(0).alias(f"{word}_books"),
    )
