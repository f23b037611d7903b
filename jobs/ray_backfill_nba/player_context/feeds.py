"""The odds feeds as they are compared: names normalised, sides told apart, and their tip-offs."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.names import code_of_name, normalised

__all__ = ["MARKETS", "SPREADS", "clean_lines", "starts_of", "with_tipoff"]

SPREADS = "spreads"
MARKETS = (SPREADS, "totals")

_EASTERN = "America/New_York"
_NEAR_HOURS = 3
_GAME = ["game_date", "home_team", "away_team"]
_NAMES = ["home_team", "away_team", "outcome_name"]


def clean_lines(game_lines: pl.DataFrame) -> pl.DataFrame:
    """Outcomes of all markets with `home_team` and `away_team` as codes, and `is_first`.

    `is_first`: the home team's outcome or Over; NULL where it is neither side's. A spread's
    outcome is the side whose name it equals, else whose code its name stands for. A row without
    a code takes the one of its name.
    """
    rows = normalised(game_lines, without=_NAMES)
    # Nearly every name is written as the outcome's: only the others are read letter by letter.
    plain = rows.with_columns(_plain_side().alias("is_first"))
    if plain.select(_is_odd().any()).item():
        odd = normalised(plain.filter(_is_odd())).with_columns(*_codes())
        odd = odd.with_columns(_read_side().alias("is_first"))
        plain = pl.concat([plain.filter(~_is_odd()), odd.select(plain.columns)])
    return plain.drop("home_team", "away_team").rename(
        {"home_team_abbr": "home_team", "away_team_abbr": "away_team"}
    )


def _is_odd() -> pl.Expr:
    known = pl.col("is_first").is_not_null() | ~pl.col("market_key").is_in(MARKETS).fill_null(False)
    return ~known | pl.col("home_team_abbr").is_null() | pl.col("away_team_abbr").is_null()


def _plain_side() -> pl.Expr:
    """The side of an outcome that is written in the usual way."""
    outcome, spread = pl.col("outcome_name"), pl.col("market_key") == SPREADS
    first = outcome == pl.when(spread).then("home_team").otherwise(pl.lit("Over"))
    second = outcome == pl.when(spread).then("away_team").otherwise(pl.lit("Under"))
    told = (outcome.str.strip_chars() != "") & pl.col("market_key").is_in(MARKETS)
    return pl.when(told & first).then(True).when(told & second).then(False)


def _codes() -> list[pl.Expr]:
    abbr = [
        pl.coalesce(f"{side}_team_abbr", code_of_name(f"{side}_team")).alias(f"{side}_team_abbr")
        for side in ("home", "away")
    ]
    return [*abbr, code_of_name("outcome_name").alias("outcome_code")]


def _read_side() -> pl.Expr:
    """The side of an outcome by its normalised name, for rows with `_codes`."""
    outcome, code = pl.col("outcome_name"), pl.col("outcome_code")
    of_spread = (
        pl.when(outcome == pl.col("home_team"))
        .then(True)
        .when(outcome == pl.col("away_team"))
        .then(False)
        .when(code == pl.col("home_team_abbr"))
        .then(True)
        .when(code == pl.col("away_team_abbr"))
        .then(False)
    )
    of_total = pl.when(outcome == "over").then(True).when(outcome == "under").then(False)
    market = pl.col("market_key")
    return pl.when(market == SPREADS).then(of_spread).when(market.is_in(MARKETS)).then(of_total)


def starts_of(feed: pl.DataFrame, start: str) -> pl.DataFrame:
    """Distinct `seen` and `start` per game: when the feed looked, and when it says it begins.

    Of cleaned lines or normalised props, whatever the market. A start that does not fall on the
    date in the US East is left out.
    """
    home, away = (
        next(name for name in (f"{side}_team_abbr", f"{side}_team") if name in feed.columns)
        for side in ("home", "away")
    )
    pairs = feed.select(
        "game_date", home_team=home, away_team=away, seen="snapshot_timestamp", start=start
    )
    return pairs.unique().filter(_falls_on("start"))


def _falls_on(time: str) -> pl.Expr:
    local = pl.col(time).dt.convert_time_zone(_EASTERN).dt.date()
    return (local == pl.col("game_date")).fill_null(False)


def with_tipoff(games: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Sides with `tipoff_at`, the schedule's or the feed's, and `tipoff_disputed`.

    `starts`: of both tables of The Odds API, see `starts_of`.
    The feed's (the median of its starts, of an even number the earlier of the middle two) holds
    where the schedule has none on the date, or one that is more than 3 hours away.
    """
    feed = (
        starts.unique()
        .group_by(_GAME)
        .agg(pl.col("start").sort().get((pl.len() - 1) // 2).alias("fed"))
    )
    stated, fed = pl.col("tipoff_at"), pl.col("fed")
    usable = pl.when(_falls_on("tipoff_at")).then(stated)
    far = (usable - fed).abs() > pl.duration(hours=_NEAR_HOURS)
    chosen = pl.when(far.fill_null(False)).then(fed).otherwise(pl.coalesce(usable, fed))
    return (
        games.join(feed, on=_GAME, how="left", maintain_order="left")
        .with_columns(
            chosen.alias("tipoff_at"),
            (stated.is_not_null() & stated.ne_missing(chosen)).alias("tipoff_disputed"),
        )
        .drop("fed")
    )
