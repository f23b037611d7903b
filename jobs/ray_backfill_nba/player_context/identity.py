"""Columns *Identity*."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.schedule import is_postseason

__all__ = ["columns"]


def columns(slate: pl.DataFrame) -> pl.DataFrame:
    """The columns that belong to the team's game, one row per row of `slate`.

    `game_date`, `player_lookup`, `player_name`, `team_abbr`, `population` and `tipoff_at` come
    with the population.
    """
    day, month = pl.col("game_date"), pl.col("game_date").dt.month()
    phase = (
        pl.when(is_postseason())
        .then(pl.lit("playoffs"))
        .when(month.is_in([10, 11]))
        .then(pl.lit("early"))
        .when(month.is_in([12, 1, 2]))
        .then(pl.lit("mid"))
        .otherwise(pl.lit("late"))
    )
    return slate.select(
        pl.concat_str(day.dt.strftime("%Y%m%d"), "away_team", "home_team", separator="_").alias(
            "game_id"
        ),
        "nba_game_id",
        "season",
        pl.coalesce("season_type", "kind").alias("season_type"),
        phase.alias("season_phase"),
        pl.col("opponent").alias("opponent_team_abbr"),
        pl.col("is_home").alias("home_game"),
    )
