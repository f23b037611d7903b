"""Points props of both sources as candidates of one shape (see `lines`)."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.cascade import BETTINGPROS, ODDS_API
from ray_backfill_nba.player_context.lines import paired, timed

__all__ = ["SIDES", "bettingpros", "is_offered", "is_usable", "is_used", "odds_api", "plays_in"]

SIDES = ("over", "under")
_BY = ["row", "source", "book"]
_SHAPE = [*_BY, "line", "at", "gap", "hint"]
_MOST_POINTS = 60


def is_usable(line: str = "points_line") -> pl.Expr:
    """Whether a points line can be one: above 0, and 60 at most."""
    value = pl.col(line)
    return (value.is_finite() & (value > 0) & (value <= _MOST_POINTS)).fill_null(False)


def is_offered() -> pl.Expr:
    """Whether a row of BettingPros is a points line that is on offer."""
    return (pl.col("market_type") == "points").fill_null(False) & pl.col("is_active").fill_null(
        True
    )


def odds_api(props: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Usable lines of The Odds API: `row`, `source`, `book`, `line`, `at`, `gap`, `hint`.

    `props`: normalised rows with the `row`, `team_abbr` and `tipoff_at` of the player. A line is
    a player's if his team is one of the two of the line.
    """
    quoted = timed(
        props.filter(is_used() & plays_in()), "snapshot_timestamp", strict=strict
    ).select(
        "row",
        pl.lit(ODDS_API).alias("source"),
        pl.col("bookmaker").alias("book"),
        pl.col("points_line").alias("line"),
        "at",
        "snapshot_timestamp",
        pl.col("over_price").fill_nan(None).alias("first"),
        pl.col("under_price").fill_nan(None).alias("second"),
    )
    hint = pl.lit(None, dtype=pl.Float64).alias("hint")
    return _two_sided(paired(quoted, _BY, "snapshot_timestamp").with_columns(hint))


def bettingpros(props: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Usable lines of BettingPros, its over and under rows paired; the same columns.

    `hint` is the over side's usable opening line, of several the lowest, else the under side's.
    """
    found = props.filter(is_used() & is_offered() & pl.col("bet_side").is_in(SIDES))
    american = pl.col("odds_american")
    price = (
        pl.when(american > 0).then(1 + american / 100).when(american < 0).then(1 - 100 / american)
    )
    over = pl.col("bet_side") == "over"
    opening = pl.when(is_usable("opening_line")).then("opening_line")
    quoted = timed(found, "bookmaker_last_update", strict=strict).select(
        "row",
        pl.lit(BETTINGPROS).alias("source"),
        pl.col("bookmaker").alias("book"),
        pl.col("points_line").alias("line"),
        "at",
        "bookmaker_last_update",
        pl.when(over).then(price).alias("first"),
        pl.when(~over).then(price).alias("second"),
        pl.when(over).then(opening).alias("over_opening"),
        pl.when(~over).then(opening).alias("under_opening"),
    )
    hint = pl.coalesce(pl.col("over_opening").min(), pl.col("under_opening").min()).alias("hint")
    return _two_sided(paired(quoted, _BY, "bookmaker_last_update", hint))


def _two_sided(candidates: pl.DataFrame) -> pl.DataFrame:
    """Without lines that lack a price, where the book has a timed one with both."""
    both = pl.col("gap").is_not_null()
    two = candidates.filter(both & pl.col("at").is_not_null()).select(_BY).unique()
    one = candidates.filter(~both).join(two, on=_BY, how="anti")
    return pl.concat([candidates.filter(both), one]).select(_SHAPE)


def plays_in() -> pl.Expr:
    """Whether the player's team is one of the two of the line, both being known."""
    home, away = pl.col("home_team_abbr"), pl.col("away_team_abbr")
    is_one = (pl.col("team_abbr") == home) | (pl.col("team_abbr") == away)
    return home.is_not_null() & away.is_not_null() & is_one


def is_used() -> pl.Expr:
    """Whether a row is a usable line of somebody at a book."""
    return is_usable() & pl.col("bookmaker").is_not_null() & pl.col("row").is_not_null()
