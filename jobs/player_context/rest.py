"""Columns *Rest and load*: the days between a player's games, and his minutes."""

from __future__ import annotations

import polars as pl

from jobs.player_context.history import (
    Past,
    Track,
    earlier,
    nth,
    past,
    ratio,
    rows_since,
    sum_since,
    track,
)

__all__ = ["columns", "gaps"]

GAP_DAYS = 14


def gaps(slate: pl.DataFrame, sides: pl.DataFrame, box: pl.DataFrame) -> pl.Series:
    """Whether a final game of the team in the 14 days before lacks box scores (Boolean).

    `slate`: `game_date`, `team_abbr`; `sides`: every side of the season with its `status`;
    `box`: gamebook rows, played or not.
    """
    bare = sides.filter(pl.col("status") == 3).join(
        box.select("game_date", "team_abbr").unique(), on=["game_date", "team_abbr"], how="anti"
    )
    found = past(track(bare.select("game_date", "team_abbr"), "team_abbr"), slate)
    return rows_since(found, GAP_DAYS) > 0


def columns(people: pl.DataFrame, played: pl.DataFrame) -> pl.DataFrame:
    """The columns of the group, one row per row of `people`.

    `people`: `game_date`, `player_lookup`, `history_gap` (Boolean); `played`: the season's games
    played with `minutes` in thousandths. Days and counts Int64, minutes Float64.
    """
    games = _with_neighbours(track(played, "player_lookup"))
    history = past(games, people)
    rest = pl.DataFrame(
        {
            "days_rest": _days(history.day, nth(history, "game_date")),
            "days_rest_before_last_game": nth(history, "days_off"),
            "days_since_2_plus_days_rest": _days(history.day, nth(history, "last_rested")),
            "games_in_last_7_days": rows_since(history, 7),
            "games_in_last_14_days": rows_since(history, 14),
            "minutes_in_last_7_days": _minutes(history, 7),
            "minutes_in_last_14_days": _minutes(history, 14),
            "avg_minutes_per_game_last_7": ratio(
                sum_since(history, "minutes", 7) / 1000, sum_since(history, "has_minutes", 7)
            ),
            "back_to_backs_last_14_days": sum_since(history, "next_day", 14),
        }
    )
    rest = rest.with_columns((pl.col("days_rest") == 1).fill_null(False).alias("back_to_back"))
    return rest.select(
        pl.when(~people["history_gap"]).then(pl.col(name)).alias(name) for name in rest.columns
    )


def _with_neighbours(games: Track) -> Track:
    """The track with `days_off`, `next_day`, `has_minutes`, and `last_rested`.

    `last_rested`: the later date of the newest two neighbours at least 2 days apart.
    """
    rows = games.rows.with_columns(
        _days(games.rows["game_date"], earlier(games, "game_date")).alias("days_off"),
        pl.col("minutes").is_not_null().alias("has_minutes"),
    ).with_columns((pl.col("days_off") == 1).fill_null(False).alias("next_day"))
    # The newest such row at or before each; it is another player's where it lies before the
    # first row of this one.
    at = pl.int_range(pl.len()).cast(pl.Int64)
    rested = pl.when(pl.col("days_off") >= 2).then(at).forward_fill()
    own = pl.when(rested >= at - games.since).then(rested)
    position = rows.select(own.alias("position")).to_series()
    rows = rows.with_columns(rows["game_date"].gather(position).alias("last_rested"))
    return Track(rows, games.by, games.who, games.key, games.since)


def _days(later: pl.Series, sooner: pl.Series) -> pl.Series:
    return (later - sooner).dt.total_days()


def _minutes(history: Past, days: int) -> pl.Series:
    """Minutes of the games in [D - days, D): 0 without a game, NULL where none is known."""
    unknown = (rows_since(history, days) > 0) & (sum_since(history, "has_minutes", days) == 0)
    total = sum_since(history, "minutes", days) / 1000
    return total.zip_with(~unknown, total.clear(len(total)))
