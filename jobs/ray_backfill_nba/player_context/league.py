"""The cleaned tables that every group of columns starts from: games, sides, box rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from ray_backfill.job import Context, Frames
from ray_backfill_nba.player_context.clean import (
    Resolved,
    counting,
    resolve,
    resolve_schedule,
)
from ray_backfill_nba.player_context.population import people_of

__all__ = [
    "League",
    "clean_box",
    "load",
    "people_on",
    "sides_of",
    "slate",
    "with_played",
    "with_side",
]

_SHORT = {
    "field_goals_made": "fgm",
    "field_goals_attempted": "fga",
    "free_throws_attempted": "fta",
    "offensive_rebounds": "oreb",
    "turnovers": "tov",
}


@dataclass(frozen=True, slots=True)
class League:
    """The season of the context, without a row that does not count.

    `sides`: one row per team and date: `game_date`, `team_abbr`, `opponent`, `is_home`, and the
    columns of the game. `box`: gamebook rows that found their side, with `opponent`, `minutes`
    in thousandths (Int64) and `played`. `before`: the same of the season before (fewer columns).
    `schedule`, `gamebook`: how their duplicates were decided, rows that do not count included.
    """

    season: str
    sides: pl.DataFrame
    box: pl.DataFrame
    before: pl.DataFrame
    schedule: Resolved
    gamebook: Resolved

    def played(self) -> pl.DataFrame:
        return self.box.filter("played")


def load(frames: Frames, context: Context) -> League:
    """Resolve duplicates and tie gamebook rows to games; rows of other seasons are left out."""
    schedule = resolve_schedule(frames["schedule"])
    span = context.season.range
    in_season = (
        (pl.col("season") == context.season.name)
        & (pl.col("game_date") >= span.start)
        & (pl.col("game_date") < span.end)
    )
    sides = sides_of(schedule.rows.filter(counting() & in_season))
    gamebook = clean_box(frames["gamebook"])
    before = sides_of(resolve_schedule(frames["schedule_before"]).rows.filter(counting()))
    return League(
        season=context.season.name,
        sides=sides,
        box=with_side(with_played(gamebook.rows), sides),
        before=with_side(with_played(clean_box(frames["gamebook_before"]).rows), before),
        schedule=schedule,
        gamebook=gamebook,
    )


def sides_of(games: pl.DataFrame) -> pl.DataFrame:
    """Two rows per game, one per team, sorted by team and date.

    A team that is listed for two games on a date plays the one of the higher status, then the
    first by (home, away).
    """
    pair = pl.col("home_team") + "@" + pl.col("away_team")
    home = games.select(
        pl.all(),
        pl.col("home_team").alias("team_abbr"),
        pl.col("away_team").alias("opponent"),
        pl.lit(True).alias("is_home"),
    )
    away = games.select(
        pl.all(),
        pl.col("away_team").alias("team_abbr"),
        pl.col("home_team").alias("opponent"),
        pl.lit(False).alias("is_home"),
    )
    both = pl.concat([home, away])
    if both.select("game_date", "team_abbr").is_duplicated().any():
        both = both.sort("game_date", "team_abbr", -pl.col("status"), pair)
        both = both.unique(["game_date", "team_abbr"], keep="first", maintain_order=True)
    return both.sort("team_abbr", "game_date")


def clean_box(gamebook: pl.DataFrame) -> Resolved:
    """Gamebook rows, one per (game_date, player_lookup), with minutes in thousandths.

    Rows without a player are left out. Tied rows are compared in every column that is used.
    """
    named = gamebook.filter(pl.col("player_lookup").is_not_null())
    if "minutes_decimal" in named.columns:
        minutes = pl.col("minutes_decimal").fill_nan(None)
        named = named.with_columns(
            (minutes * 1000).round().cast(pl.Int64, strict=False).alias("minutes")
        )
        named = named.drop("minutes_decimal")
    named = named.rename({old: new for old, new in _SHORT.items() if old in named.columns})
    return resolve(named, ["game_date", "player_lookup"])


def with_side(box: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """The rows whose team plays on their date, with `opponent`."""
    return box.join(
        sides.select("game_date", "team_abbr", "opponent"), on=["game_date", "team_abbr"]
    )


def with_played(box: pl.DataFrame) -> pl.DataFrame:
    """The rows with `played` (Boolean): whether it is a game played."""
    active = pl.col("player_status") == "active"
    scored = pl.col("minutes").is_null() & pl.col("points").is_not_null()
    played = active & ((pl.col("minutes") > 0) | (pl.col("points") > 0) | scored)
    return box.with_columns(played.fill_null(False).alias("played"))


def slate(league: League, dates: Sequence[date]) -> pl.DataFrame:
    """The sides that play on `dates`, sorted by date and team."""
    return league.sides.filter(pl.col("game_date").is_in(list(dates))).sort(
        "game_date", "team_abbr"
    )


def people_on(league: League, games: pl.DataFrame) -> pl.DataFrame:
    """The population of `games` (sides of some dates), see `people_of`."""
    earlier = pl.concat(
        frame.select("game_date", "player_lookup", "player_name", "team_abbr")
        for frame in (league.before, league.box)
    )
    return people_of(games, league.box, earlier)
