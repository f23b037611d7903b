"""Points lines of players, as the odds feed and as BettingPros give them."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.demo_league.dice import bell, chance, key_of, number
from ray_backfill_nba.demo_league.faults import spoiled
from ray_backfill_nba.demo_league.feed_faults import PRO_FAULTS, PROP_FAULTS
from ray_backfill_nba.demo_league.feeds import (
    at_hour,
    conform,
    each,
    known_by_now,
    offered,
    repeated,
    spelled,
)
from ray_backfill_nba.demo_league.games import oddities
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import BETTINGPROS, POINTS_PROPS

__all__ = ["ALIAS", "bettingpros", "points_props"]

ALIAS = ("jr", 40)
"""Suffix of spellings that the alias table knows, and how many of a thousand people have it."""

_NOBODY = ("sr", 15)
"""The same for spellings that match nobody."""

_BOOKS = {
    "draftkings": 820,
    "fanduel": 780,
    "betmgm": 620,
    "williamhill_us": 520,
    "betrivers": 420,
    "fanatics": 300,
    "underdog": 90,
}
_UNTIMED = len(_BOOKS) - 1
_PROS = {
    "DraftKings": 760,
    "FanDuel": 720,
    "BetMGM": 560,
    "Caesars": 460,
    "BettingPros Consensus": 880,
}
_MORNING, _CLOSING, _AT_TIP, _LIVE = range(4)


def _quoted(spec: LeagueSpec, players: pl.DataFrame, label: str) -> pl.DataFrame:
    """Players of a `lineups` frame who have lines, with the points that are expected of them.

    Late scratches and some of the injured have lines too.
    """
    rank = pl.when("out").then("place").otherwise("standing")
    odds = pl.when(rank < 5).then(950).when(rank < 8).then(700).otherwise(250)
    odds = pl.when("resting").then(600).when("hurt").then(60).otherwise(odds)
    chosen = players.filter((pl.col("plays") | pl.col("out")) & chance(f"has {label}", odds))
    home = pl.col("team") == pl.col("home")
    margin = pl.when(home).then("expected_margin").otherwise(-pl.col("expected_margin"))
    team_points = (pl.col("expected_total") + margin) / 2
    expected = team_points * pl.col("share") * (1.0 + bell("form") * 0.07)
    return chosen.with_columns(
        base=expected.floor().cast(pl.Int64).clip(3, 45),
        feed_lookup=spelled(spec, (ALIAS, _NOBODY)),
    )


def points_props(spec: LeagueSpec, year: int, players: pl.DataFrame) -> pl.DataFrame:
    """The odds feed's points lines of `players`, in their order."""
    rows = each(offered(_quoted(spec, players, "props"), _BOOKS), "snap", 4).with_columns(
        key_of(1, "book_key", "snap").alias("snap_key")
    )
    rows = _snapshots(spec, year, rows)
    alternates = chance("alternates", 40, "snap_key") & (pl.col("snap") < _AT_TIP)
    several = pl.lit([-1, 0, 1], dtype=pl.List(pl.Int64))
    single = pl.lit([0], dtype=pl.List(pl.Int64))
    if not spec.defects:
        alternates = pl.lit(False)
    rows = rows.with_columns(alternate=pl.when(alternates).then(several).otherwise(single))
    rows = _with_prices(rows.explode("alternate")).with_columns(
        game_date="day",
        game_start_time="tip",
        home_team_abbr="home_abbr",
        away_team_abbr="away_abbr",
        bookmaker="book",
        player_lookup="feed_lookup",
    )
    rows = known_by_now(spec, rows, "snapshot_timestamp")
    rows = spoiled(PROP_FAULTS, spec.faults, rows)
    return conform(POINTS_PROPS, repeated(spec, rows, "props", 50, "snap_key"))


def _snapshots(spec: LeagueSpec, year: int, rows: pl.DataFrame) -> pl.DataFrame:
    """When the lines were seen; one book and one date of the season have no times."""
    snap, tip = pl.col("snap"), pl.col("tip")
    kept = (
        pl.when(snap == _AT_TIP)
        .then(chance("at tip", 30, "book_key"))
        .when(snap == _LIVE)
        .then(chance("live", 300, "book_key"))
        .otherwise(chance("seen", 900, "snap_key"))
    )
    running = snap >= _AT_TIP
    rows = rows.filter(kept & ~(running & ~pl.col("played")))
    if not spec.defects:
        rows = rows.filter(~running)
    nameless = pl.col("nth_book") == _UNTIMED
    untimed_day = oddities(spec, year).untimed
    timeless = nameless if untimed_day is None else nameless | (pl.col("day") == untimed_day)
    rows = rows.filter(~(timeless & running)).filter(~nameless | (snap == _MORNING))
    time = (
        pl.when(timeless)
        .then(None)
        .when(snap == _MORNING)
        .then(at_hour("day", 0, 14.5))
        .when(snap == _CLOSING)
        .then(tip - pl.duration(minutes=35))
        .when(snap == _AT_TIP)
        .then(tip)
        .otherwise(tip + pl.duration(minutes=50))
    )
    return rows.with_columns(snapshot_timestamp=time)


def _with_prices(rows: pl.DataFrame) -> pl.DataFrame:
    shade = (number("shade", 5, "book_key") - 2).clip(-1, 1)
    moved = (number("moved", 5, "snap_key") - 2).clip(-1, 1) * (pl.col("snap") > 0)
    swing = pl.when(pl.col("snap") == _LIVE).then(number("swing", 21, "snap_key") - 8).otherwise(0)
    line = pl.col("base") + shade + moved + swing + pl.col("alternate") * 4
    lean = number("price", 19, "snap_key") - 9
    alternate = pl.col("alternate") * 50
    under = (187 - lean - alternate) / 100
    return rows.with_columns(
        points_line=line.clip(0) + 0.5,
        over_price=(187 + lean + alternate) / 100,
        under_price=pl.when(chance("no under", 25, "snap_key")).then(None).otherwise(under),
    )


def bettingpros(spec: LeagueSpec, year: int, players: pl.DataFrame) -> pl.DataFrame:
    """BettingPros' rows of `players`, in their order: one a market, book and side."""
    rows = offered(_quoted(spec, players, "pros"), _PROS)
    some_markets = (pl.col("standing") < 2) & (pl.col("nth_book") == 0)
    every = pl.lit([0, 1, 2], dtype=pl.List(pl.Int64))
    points = pl.lit([0], dtype=pl.List(pl.Int64))
    rows = rows.with_columns(market=pl.when(some_markets).then(every).otherwise(points)).explode(
        "market"
    )
    rows = each(rows, "update", 3).with_columns(
        key_of(4, "book_key", "market", "update").alias("update_key")
    )
    rows = _updates(spec, year, rows)
    rows = each(_with_lines(spec, rows), "side_no", 2)
    if spec.defects:
        rows = rows.filter(~(chance("one side", 20, "update_key") & (pl.col("side_no") == 1)))
    rows = known_by_now(spec, _with_odds(rows), "bookmaker_last_update", "opening_timestamp")
    rows = spoiled(PRO_FAULTS, spec.faults, rows)
    return conform(BETTINGPROS, repeated(spec, rows, "pros", 40, "update_key"))


def _updates(spec: LeagueSpec, year: int, rows: pl.DataFrame) -> pl.DataFrame:
    """One update before tip-off, sometimes a second, sometimes one in the game."""
    update, tip = pl.col("update"), pl.col("tip")
    kept = (
        pl.when(update == 0)
        .then(True)
        .when(update == 1)
        .then(chance("second", 200, "book_key"))
        .otherwise(chance("live", 120, "book_key") & pl.col("played") & spec.defects)
    )
    rows = rows.filter(kept)
    early = at_hour("day", 0, 13) + pl.duration(minutes=number("early", 180, "update_key"))
    close = tip - pl.duration(minutes=5 + number("close", 55, "update_key"))
    before = pl.when(update == 0).then(early).otherwise(close)
    time = pl.when(update == 2).then(tip + pl.duration(minutes=30)).otherwise(before)
    untimed_day = oddities(spec, year).untimed
    if untimed_day is not None:
        rows = rows.filter((pl.col("day") != untimed_day) | (update == 0))
        time = pl.when(pl.col("day") == untimed_day).then(None).otherwise(time)
    return rows.with_columns(bookmaker_last_update=time)


def _with_lines(spec: LeagueSpec, rows: pl.DataFrame) -> pl.DataFrame:
    base = pl.when(pl.col("market") == 0).then("base").otherwise(pl.col("base") // 3 + 1)
    shade = (number("shade", 5, "book_key") - 2).clip(-1, 1)
    moved = (number("moved", 5, "update_key") - 2).clip(-1, 1) * (pl.col("update") > 0)
    swing = pl.when(pl.col("update") == 2).then(number("swing", 17, "update_key") - 6).otherwise(0)
    gone = chance("gone", 60, "update_key") & spec.defects
    unsaid = chance("unsaid", 30, "update_key") & spec.defects
    line = base + shade + moved + swing + pl.when(gone).then(4).otherwise(0)
    opened = base + (number("opened", 5, "book_key") - 2).clip(-1, 1)
    return rows.with_columns(
        points_line=line.clip(0) + 0.5,
        opening_line=pl.when(~chance("no opening", 180, "book_key")).then(opened.clip(0) + 0.5),
        is_active=pl.when(gone).then(False).when(~unsaid).then(True),
    )


def _with_odds(rows: pl.DataFrame) -> pl.DataFrame:
    """American odds near -110; never between -100 and 100."""
    over = pl.col("side_no") == 0
    lean = number("lean", 26, "update_key") - 12
    value = pl.when(over).then(-112 + lean).otherwise(-112 - lean)
    odds = pl.when(value > -100).then(value + 200).otherwise(value)
    market = pl.col("market").replace_strict(
        {0: "points", 1: "rebounds", 2: "assists"}, return_dtype=pl.String
    )
    return rows.with_columns(
        game_date="day",
        market_type=market,
        bet_side=pl.when(over).then(pl.lit("over")).otherwise(pl.lit("under")),
        player_lookup="feed_lookup",
        bookmaker="book",
        odds_american=odds,
        opening_timestamp=at_hour("day", -1, 20),
    )
