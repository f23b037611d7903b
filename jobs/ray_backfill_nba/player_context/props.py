"""Points props of both sources as candidates of one shape (see `lines`)."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.cascade import BETTINGPROS, ODDS_API
from ray_backfill_nba.player_context.lines import book_name, no_negative_zero, timed

__all__ = ["bettingpros", "odds_api", "plays_in"]


def odds_api(people: pl.DataFrame, props: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Usable lines of The Odds API: `row`, `source`, `book`, `line`, `at`, `gap`, `hint`.

    `people`: `row`, `game_date`, `player_lookup`, `team_abbr`, `tipoff_at`. A line is a player's
    if his team is one of the two of the line.
    """
    found = _usable(props).join(people, on=["game_date", "player_lookup"])
    found = found.filter(plays_in())
    tipoff = pl.coalesce("tipoff_at", "game_start_time")
    gap = pl.col("over_price").fill_nan(None) - pl.col("under_price").fill_nan(None)
    return timed(found, "snapshot_timestamp", tipoff, strict=strict).select(
        "row",
        pl.lit(ODDS_API).alias("source"),
        book_name("bookmaker").alias("book"),
        no_negative_zero(pl.col("points_line")).alias("line"),
        "at",
        gap.abs().alias("gap"),
        pl.lit(None, dtype=pl.Float64).alias("hint"),
    )


def bettingpros(people: pl.DataFrame, props: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Usable lines of BettingPros, its over and under rows paired; the same columns.

    Rows of one update are a pair, also where the update's time cannot be trusted (`at` NULL).
    A side that is quoted at several prices counts with the highest, and with the lowest opening
    line. `hint` is the over side's opening line, else the under side's.
    """
    active = props.filter(
        (pl.col("market_type") == "points")
        & pl.col("is_active").fill_null(True)
        & pl.col("bet_side").is_in(["over", "under"])
    )
    found = _usable(active).join(people, on=["game_date", "player_lookup"])
    kept = timed(found, "bookmaker_last_update", pl.col("tipoff_at"), strict=strict)
    american = pl.col("odds_american")
    price = (
        pl.when(american > 0).then(1 + american / 100).when(american < 0).then(1 - 100 / american)
    )
    over = pl.col("bet_side") == "over"
    opening = no_negative_zero(pl.col("opening_line").fill_nan(None))
    quoted = kept.select(
        "row",
        pl.lit(BETTINGPROS).alias("source"),
        book_name("bookmaker").alias("book"),
        no_negative_zero(pl.col("points_line")).alias("line"),
        "at",
        "bookmaker_last_update",
        pl.when(over).then(price).alias("over"),
        pl.when(~over).then(price).alias("under"),
        pl.when(over).then(opening).alias("over_opening"),
        pl.when(~over).then(opening).alias("under_opening"),
    )
    return (
        quoted.group_by("row", "source", "book", "line", "at", "bookmaker_last_update")
        .agg(
            (pl.col("over").max() - pl.col("under").max()).abs().alias("gap"),
            pl.coalesce(pl.col("over_opening").min(), pl.col("under_opening").min()).alias("hint"),
        )
        .select("row", "source", "book", "line", "at", "gap", "hint")
    )


def plays_in() -> pl.Expr:
    """Whether the player's team is one of the two of the line, both being known."""
    home, away = pl.col("home_team_abbr"), pl.col("away_team_abbr")
    is_one = (pl.col("team_abbr") == home) | (pl.col("team_abbr") == away)
    return home.is_not_null() & away.is_not_null() & is_one


def _usable(props: pl.DataFrame) -> pl.DataFrame:
    return props.filter(pl.col("points_line").is_finite() & pl.col("bookmaker").is_not_null())
