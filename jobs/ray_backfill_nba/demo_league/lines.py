"""Game lines as the odds feed gives them: every outcome of every market, book and snapshot.

Lines follow the strength of the teams before tip-off, and the score after it: whoever takes
the last snapshot for the closing line looks at the result.
"""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.demo_league.dice import bell, chance, digits, key_of, number
from ray_backfill_nba.demo_league.faults import spoiled
from ray_backfill_nba.demo_league.feed_faults import LINE_FAULTS
from ray_backfill_nba.demo_league.feeds import (
    at_hour,
    conform,
    each,
    known_by_now,
    offered,
    repeated,
)
from ray_backfill_nba.demo_league.games import oddities
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import GAME_LINES

__all__ = ["game_lines"]

_BOOKS = {
    "draftkings": 900,
    "fanduel": 860,
    "betmgm": 780,
    "williamhill_us": 700,
    "betrivers": 640,
    "bovada": 560,
    "unnamed_close": 90,
}
"""Bookmaker keys, and how many of a thousand games each quotes. The last gives no times."""

_UNTIMED = len(_BOOKS) - 1
_EARLY, _MORNING, _CLOSING, _AT_TIP, _LIVE, _LATE = range(6)


def game_lines(spec: LeagueSpec, year: int, games: pl.DataFrame) -> pl.DataFrame:
    """The raw lines of `games`, in their order."""
    quoted = _with_opinion(_feed_games(spec, games))
    rows = each(offered(quoted, _BOOKS), "snap", 6).with_columns(
        key_of(1, "book_key", "snap").alias("snap_key")
    )
    rows = _snapshots(spec, year, rows)
    rows = known_by_now(spec, _markets(spec, rows), "snapshot_timestamp")
    rows = spoiled(LINE_FAULTS, spec.faults, rows)
    return conform(GAME_LINES, repeated(spec, rows, "lines", 60, "market_key_"))


def _feed_games(spec: LeagueSpec, games: pl.DataFrame) -> pl.DataFrame:
    """The games that the feed lists, among them some that were never played that day or way."""
    real = games.filter(pl.col("kind") != "allstar").with_columns(listing=0)
    if not spec.defects:
        return real
    listed = real.filter(~chance("no lines", 12))
    shift = pl.col("first_date") - pl.col("day")
    postponed = real.filter(pl.col("first_date").is_not_null()).with_columns(
        tip=pl.col("tip") + shift, day="first_date", listing=1, played=pl.lit(False)
    )
    swapped = real.filter(chance("swapped", 8)).with_columns(
        home_abbr="away_abbr",
        away_abbr="home_abbr",
        home_name="away_name",
        away_name="home_name",
        listing=2,
        played=pl.lit(False),
    )
    frames = [listed, postponed.select(real.columns), swapped.select(real.columns)]
    return (
        pl.concat(frames)
        .sort("game", "listing")
        .with_columns(key_of(2, "key", "listing").alias("key"))
    )


def _with_opinion(games: pl.DataFrame) -> pl.DataFrame:
    """What the market thinks of a game, and where it moves."""
    late = pl.when(chance("late start", 300)).then(10).otherwise(0)
    return games.with_columns(
        opinion=-pl.col("expected_margin") + bell("opinion") * 1.2,
        opinion_total=pl.col("expected_total") + bell("opinion total") * 2.5,
        drift=bell("drift") * 1.0,
        drift_total=bell("drift total") * 1.5,
        score_gap=pl.col("away_score") - pl.col("home_score"),
        score_sum=pl.col("home_score") + pl.col("away_score"),
        feed_id=digits("feed a", "feed b", "feed c"),
        commence_time=pl.col("tip") + pl.duration(minutes=late),
    )


def _snapshots(spec: LeagueSpec, year: int, rows: pl.DataFrame) -> pl.DataFrame:
    """When each book was looked at. One book and one date of the season have no times."""
    snap = pl.col("snap")
    kept = (
        pl.when(snap == _AT_TIP)
        .then(chance("at tip", 60, "book_key"))
        .when(snap == _LIVE)
        .then(chance("live", 700, "book_key"))
        .when(snap == _LATE)
        .then(chance("late", 300, "book_key"))
        .when(snap == _MORNING)
        .then(True)
        .otherwise(chance("seen", 900, "snap_key"))
    )
    running = snap >= _AT_TIP
    rows = rows.filter(kept & ~(running & ~pl.col("played")))
    if not spec.defects:
        rows = rows.filter(~running)
    rows = rows.with_columns(running=running)
    nameless = pl.col("nth_book") == _UNTIMED
    untimed_day = oddities(spec, year).untimed
    timeless = nameless if untimed_day is None else nameless | (pl.col("day") == untimed_day)
    rows = rows.filter(~nameless | (snap == _MORNING)).filter(~(timeless & running))
    tip = pl.col("tip")
    time = (
        pl.when(timeless)
        .then(None)
        .when(snap == _EARLY)
        .then(at_hour("day", -1, 16))
        .when(snap == _MORNING)
        .then(at_hour("day", 0, 11.925))
        .when(snap == _CLOSING)
        .then(tip - pl.duration(minutes=20))
        .when(snap == _AT_TIP)
        .then(tip)
        .when(snap == _LIVE)
        .then(tip + pl.duration(minutes=45))
        .otherwise(tip + pl.duration(minutes=110))
    )
    return rows.with_columns(snapshot_timestamp=time)


def _markets(spec: LeagueSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Spreads and totals, both sides of each, now and then with alternate lines beside."""
    rows = each(rows, "market", 2).with_columns(
        key_of(3, "snap_key", "market").alias("market_key_")
    )
    alternates = ~pl.col("running") & chance("alternates", 50, "market_key_")
    several = pl.lit([-1, 0, 1], dtype=pl.List(pl.Int64))
    single = pl.lit([0], dtype=pl.List(pl.Int64))
    if not spec.defects:
        alternates = pl.lit(False)
    rows = rows.with_columns(alternate=pl.when(alternates).then(several).otherwise(single))
    rows = _with_points(spec, rows.explode("alternate"))
    rows = each(rows, "outcome", 2)
    if spec.defects:
        lone = chance("one side", 8, "market_key_") & (pl.col("outcome") == 1)
        rows = rows.filter(~lone)
    return _with_outcomes(rows)


def _with_points(spec: LeagueSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """`halves`: the home team's spread or the total, in half points."""
    spread = pl.col("market") == 0
    moved = pl.min_horizontal("snap", 2)
    shade = (number("shade", 5, "book_key") - 2).clip(-1, 1) * 0.5
    before = (
        pl.when(spread)
        .then(pl.col("opinion") + pl.col("drift") * moved)
        .otherwise(pl.col("opinion_total") + pl.col("drift_total") * moved)
    )
    swing = bell("swing", "snap_key") * 4.0
    during = (
        pl.when(spread)
        .then(pl.col("score_gap") * 0.8 + swing)
        .otherwise(pl.col("score_sum") + swing * 2)
    )
    point = pl.when("running").then(during).otherwise(before) + shade
    point = point + 3.0 * pl.col("alternate")
    if spec.defects:
        misprint = chance("misprint", 2, "market_key_") & spread
        point = pl.when(misprint).then(34.5).otherwise(point)
    return rows.with_columns(halves=(point * 2).round().cast(pl.Int64))


def _with_outcomes(rows: pl.DataFrame) -> pl.DataFrame:
    """The two sides of a line: opposite points of a spread, one point of a total."""
    spread = pl.col("market") == 0
    first = pl.col("outcome") == 0
    lean = number("price", 13, "market_key_") - 6
    # The first side gets likelier, and cheaper, as a spread rises and as a total falls.
    alternate = pl.col("alternate") * pl.when(spread).then(-45).otherwise(45)
    cents = pl.when(first).then(191 + lean + alternate).otherwise(191 - lean - alternate)
    home, away, halves = pl.col("home_name"), pl.col("away_name"), pl.col("halves")
    return rows.with_columns(
        game_id="feed_id",
        game_date="day",
        home_team=home,
        away_team=away,
        home_team_abbr="home_abbr",
        away_team_abbr="away_abbr",
        bookmaker_key="book",
        market_key=pl.when(spread).then(pl.lit("spreads")).otherwise(pl.lit("totals")),
        outcome_name=pl.when(spread & first)
        .then(home)
        .when(spread)
        .then(away)
        .when(first)
        .then(pl.lit("Over"))
        .otherwise(pl.lit("Under")),
        outcome_point=pl.when(spread & ~first).then(-halves).otherwise(halves) / 2,
        outcome_price=cents / 100,
    )
