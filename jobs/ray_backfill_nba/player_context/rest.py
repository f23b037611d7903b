"""Columns *Rest and load*: the days between a player's games, and his minutes."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ray_backfill_nba.history import (
    SINCE,
    Track,
    earlier,
    nth,
    past,
    ratio,
    rows_since,
    sums_since,
)

__all__ = ["columns", "with_neighbours"]


def with_neighbours(games: Track) -> Track:
    """The track with `days_off`, `next_day`, `has_minutes`, and `last_rested`.

    `last_rested`: the later date of the newest two neighbours at least 2 days apart.
    """
    day = pl.col("game_date")
    rows = games.rows.with_columns(
        (day - earlier("game_date")).dt.total_days().alias("days_off"),
        pl.col("minutes").is_not_null().alias("has_minutes"),
    )
    # Where the newest such row at or before each stands. It is another player's if it stands
    # before the first row of this one.
    at = pl.int_range(pl.len()).cast(pl.Int64)
    rested = pl.when(pl.col("days_off") >= 2).then(at).forward_fill()
    own = pl.when(rested >= at - pl.col(SINCE)).then(rested)
    rows = rows.with_columns(
        (pl.col("days_off") == 1).fill_null(False).alias("next_day"),
        day.gather(own).alias("last_rested"),
    )
    return replace(games, rows=rows)


def columns(people: pl.DataFrame, games: Track) -> pl.DataFrame:
    """The columns of the group, one row per row of `people`.

    `people`: `game_date`, `player_lookup`, `history_gap` (Boolean); `games`: the season's games
    played by player, through `with_neighbours`. Days and counts Int64, minutes Float64.
    """
    history = past(games, people)
    week = sums_since(history, ["minutes", "has_minutes"], 7)
    fortnight = sums_since(history, ["minutes", "has_minutes", "next_day"], 14)
    day = pl.col("game_date")
    rest = pl.concat(
        [
            people.select("game_date", "history_gap"),
            nth(history, "game_date", "days_off", "last_rested").rename({"game_date": "last"}),
            week.select(pl.all().name.suffix("_7")),
            fortnight.select(pl.all().name.suffix("_14")),
            pl.DataFrame({"games_7": rows_since(history, 7), "games_14": rows_since(history, 14)}),
        ],
        how="horizontal",
    )
    days_rest = (day - pl.col("last")).dt.total_days()
    values = {
        "days_rest": days_rest,
        "days_rest_before_last_game": pl.col("days_off"),
        "back_to_back": (days_rest == 1).fill_null(False),
        "days_since_2_plus_days_rest": (day - pl.col("last_rested")).dt.total_days(),
        "games_in_last_7_days": pl.col("games_7"),
        "games_in_last_14_days": pl.col("games_14"),
        "minutes_in_last_7_days": _minutes(7),
        "minutes_in_last_14_days": _minutes(14),
        "avg_minutes_per_game_last_7": ratio(pl.col("minutes_7") / 1000, pl.col("has_minutes_7")),
        "back_to_backs_last_14_days": pl.col("next_day_14"),
    }
    return rest.select(
        pl.when(~pl.col("history_gap")).then(value).alias(name) for name, value in values.items()
    )


def _minutes(days: int) -> pl.Expr:
    """Minutes of the games in [D - days, D): 0 without a game, NULL where none is known."""
    unknown = (pl.col(f"games_{days}") > 0) & (pl.col(f"has_minutes_{days}") == 0)
    return pl.when(~unknown).then(pl.col(f"minutes_{days}") / 1000)
