"""Columns *Schedule ahead and opponent's rest*.

Who plays on in the playoffs is who won: only regular-season games are looked ahead to, at most
14 days, and never from a postseason game.
"""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.history import Past, Track, nth, past, rows_before, track
from ray_backfill_nba.player_context.team import win_pct
from ray_backfill_nba.schedule import is_postseason

__all__ = ["columns"]

_AHEAD = 14
_WEEK = 7


def columns(slate: pl.DataFrame, sides: pl.DataFrame, results: Track) -> pl.DataFrame:
    """The columns of the group, one row per row of `slate`.

    `sides`: every side of the season, played or not. Days and counts Int64, shares Float64.
    """
    regular = sides.filter("is_regular")
    fixtures = track(regular.select("game_date", "team_abbr", "opponent"), "team_abbr")
    team = slate.select("game_date", "team_abbr")
    other = slate.select("game_date", pl.col("opponent").alias("team_abbr"))
    next_date, next_opponent = _next(past(fixtures, team))
    other_date, _ = _next(past(fixtures, other))
    ahead = pl.DataFrame(
        {
            "next_game_days_rest": (next_date - slate["game_date"]).dt.total_days(),
            "games_in_next_7_days": _games_in_week(past(fixtures, team)),
            "next_opponent_win_pct": win_pct(
                results, team.select("game_date", next_opponent.alias("team_abbr"))
            ),
            "opponent_games_in_next_7_days": _games_in_week(past(fixtures, other)),
            "opponent_next_game_days_rest": (other_date - slate["game_date"]).dt.total_days(),
        }
    )
    late = slate.select(is_postseason().alias("late")).to_series()
    ahead = ahead.select(pl.when(~late).then(pl.col(name)).alias(name) for name in ahead.columns)
    every = track(sides.select("game_date", "team_abbr"), "team_abbr")
    last = nth(past(every, other), "game_date").to_series()
    rest = (slate["game_date"] - last).dt.total_days().alias("opponent_days_rest")
    return ahead.with_columns(rest)


def _next(history: Past) -> tuple[pl.Series, pl.Series]:
    """Date and opponent of the first game in (D, D + 14]; NULL where there is none."""
    low, high = rows_before(history, 1), rows_before(history, 1 + _AHEAD)
    at = (history.first + low).zip_with(
        high > low, pl.repeat(None, len(low), dtype=pl.Int64, eager=True)
    )
    rows = history.track.rows
    return rows["game_date"].gather(at), rows["opponent"].gather(at)


def _games_in_week(history: Past) -> pl.Series:
    """Games in (D, D + 7]."""
    return rows_before(history, 1 + _WEEK) - rows_before(history, 1)
