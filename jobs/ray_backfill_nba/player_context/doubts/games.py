"""What is doubted of the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill.job import Unmatched
from ray_backfill_nba.league import League
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context.doubts.counted import counted, told_on
from ray_backfill_nba.player_context.local import Local, of_dates
from ray_backfill_nba.raw_tables import SCHEDULE
from ray_backfill_nba.schedule import GAME, is_known_type, is_read_label

__all__ = ["found"]

_GAME_ON = pl.concat_str(
    "away_team", pl.lit(" at "), "home_team", pl.lit(" on "), pl.col("on").cast(pl.String)
)
_OFF, _FINAL = pl.col("state") == "off", pl.col("status") == 3
_TOLD = (
    ("the game is off: final without a score, and older than others", "stated", _OFF & _FINAL),
    ("the game is off by its status", "stated", _OFF & ~_FINAL),
    ("the game is overdue: not played, and older than others", "stated", pl.col("is_overdue")),
    (
        "the game was played, and its score is not known",
        "stated",
        pl.col("is_played") & pl.col("home_score").is_null(),
    ),
    ("rows of the game disagree, and no processed_at decides", "stated", pl.col("is_disputed")),
    (
        "the game is of the season of its game_id, not of its label",
        "label",
        is_read_label() & (pl.col("label") != pl.col("season")),
    ),
    ("the season is not understood", "label", ~is_read_label()),
    ("the season_type is not understood", "season_type", ~is_known_type()),
)
"""Why, the column that is named as the source, and of which games."""


def found(
    schedule: pl.DataFrame, league: League, local: Local, dates: Sequence[date]
) -> list[Unmatched]:
    """Games that are off, late, without a score, twice, or that the schedule is unsure of."""
    listed = told_on(league.now.listed.filter("counts"), league.sides)
    stated = pl.concat_str(pl.lit("status "), pl.col("status").cast(pl.String).fill_null("unknown"))
    listed = of_dates(listed, dates).with_columns(stated.alias("stated"))
    told = [
        one
        for why, source, which in _TOLD
        for one in counted(SCHEDULE, why, listed.filter(which.fill_null(False)), source, _GAME_ON)
    ]
    return [*told, *_nameless(schedule, dates), *_doubled(league, dates), *_disputed(local)]


def _nameless(schedule: pl.DataFrame, dates: Sequence[date]) -> list[Unmatched]:
    rows = normalised(of_dates(schedule, dates)).drop("processed_at")
    home, away = pl.col("home_team_tricode"), pl.col("away_team_tricode")
    two = home.is_not_null() & away.is_not_null() & (home != away)
    return counted(
        SCHEDULE,
        "the row does not name two teams",
        rows.filter(~two.fill_null(False)),
        "season_type",
        pl.col("game_id"),
    )


def _doubled(league: League, dates: Sequence[date]) -> list[Unmatched]:
    """Teams with two games on one date: one of them is taken."""
    held = of_dates(league.now.listed.filter(pl.col("counts") & ~_OFF), dates)
    both = pl.concat(held.select(*GAME, team=name) for name in ("home_team", "away_team"))
    twice = both.filter(pl.struct("game_date", "team").is_duplicated())
    return counted(
        SCHEDULE,
        "the team has two games on that date: the one that was played, or the first, is taken",
        twice,
        "team",
        pl.concat_str("away_team", pl.lit(" at "), "home_team"),
    )


def _disputed(local: Local) -> list[Unmatched]:
    games = local.games.filter("tipoff_disputed").select(*GAME, pl.lit("").alias("source"))
    return counted(
        SCHEDULE,
        "the tip-off is not used: not on that date, or more than 3 hours from the feed's",
        games,
        "source",
        pl.concat_str("away_team", pl.lit(" at "), "home_team"),
    )
