"""The schedule feed: each game as it stood at several scrapes."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.demo_league.dice import chance, number
from ray_backfill_nba.demo_league.faults import SCHEDULE_FAULTS, spoiled
from ray_backfill_nba.demo_league.feed_faults import SCHEDULE_NAMES
from ray_backfill_nba.demo_league.feeds import at_hour, conform, repeated
from ray_backfill_nba.demo_league.games import oddities
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import SCHEDULE

__all__ = ["schedule"]


def schedule(spec: LeagueSpec, year: int, games: pl.DataFrame) -> pl.DataFrame:
    """The raw schedule rows of `games`: scheduled, sometimes live, final once played.

    A postponed game keeps its id: it stands as scheduled on its first date for good.
    """
    if spec.defects:
        scrapes = [_scheduled(year, games), _postponed(year, games), _final(games)]
        scrapes += [_live(games), _untouched(games)]
    else:
        scrapes = [_scheduled(year, games.filter(~pl.col("played"))), _final(games)]
    rows = pl.concat(scrapes).sort("game", "game_status", "processed_at", "day")
    if spec.now is not None:
        rows = rows.filter(pl.col("processed_at") <= spec.now)
    tip = pl.col("tip")
    odd = oddities(spec, year).no_tip
    if odd is not None:
        tip = pl.when((pl.col("day") == odd) & pl.col("first_of_day")).then(None).otherwise(tip)
    kind = pl.col("kind")
    rows = rows.with_columns(
        season_year=pl.lit(year),
        game_date="day",
        game_date_est=tip,
        home_team_tricode="home_abbr",
        away_team_tricode="away_abbr",
        season_type=kind,
        is_regular_season=kind == "regular",
        is_playoffs=kind == "playoffs",
        neutral_site_flag=pl.when("neutral").then(True).when(number("flagged", 3) > 0).then(False),
    )
    rows = spoiled({**SCHEDULE_FAULTS, **SCHEDULE_NAMES}, spec.faults, rows)
    return conform(SCHEDULE, repeated(spec, rows, "schedule", 20))


def _as_of(games: pl.DataFrame, status: int, share: float | None) -> pl.DataFrame:
    """A scrape in the given status; `share` of the final score is on the board."""
    board = [
        (pl.col(f"{side}_score") * share).floor().cast(pl.Int64).alias(f"{side}_team_score")
        if share is not None
        else pl.lit(None, dtype=pl.Int64).alias(f"{side}_team_score")
        for side in ("home", "away")
    ]
    return games.with_columns(*board, game_status=pl.lit(status))


def _scheduled(year: int, games: pl.DataFrame) -> pl.DataFrame:
    """As announced in the summer before."""
    announced = pl.datetime(year, 8, 20, 8, time_zone="UTC", time_unit="us")
    return _as_of(games, 1, None).with_columns(processed_at=announced)


def _postponed(year: int, games: pl.DataFrame) -> pl.DataFrame:
    moved = games.filter(pl.col("first_date").is_not_null()).with_columns(
        tip=pl.col("tip") + (pl.col("first_date") - pl.col("day")), day="first_date"
    )
    return _scheduled(year, moved)


def _live(games: pl.DataFrame) -> pl.DataFrame:
    some = games.filter(pl.col("played") & chance("seen live", 250))
    return _as_of(some, 2, 0.55).with_columns(processed_at=pl.col("tip") + pl.duration(minutes=70))


def _final(games: pl.DataFrame) -> pl.DataFrame:
    played = games.filter("played")
    return _as_of(played, 3, 1.0).with_columns(processed_at=at_hour("day", 1, 8))


def _untouched(games: pl.DataFrame) -> pl.DataFrame:
    """Scraped once more, days later: another time of scrape, the same game."""
    some = games.filter(pl.col("played") & chance("seen again", 150))
    return _as_of(some, 3, 1.0).with_columns(processed_at=at_hour("day", 3, 8))
