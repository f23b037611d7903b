"""Box scores: the gamebook's rows, one per player and date, and which of them are games played."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ray_backfill_nba.aliases import Aliases, with_players
from ray_backfill_nba.clean import resolve

__all__ = ["STATUSES", "Gamebook", "clean_box", "keys_of", "teams_of", "with_played"]

STATUSES = ("active", "dnp", "inactive")

_SHORT = {
    "field_goals_made": "fgm",
    "field_goals_attempted": "fga",
    "free_throws_attempted": "fta",
    "offensive_rebounds": "oreb",
    "turnovers": "tov",
}
_TEAM_GAME = ["game_date", "team_abbr"]
_SOME_POINTS = 5  # what nobody scores in no time


@dataclass(frozen=True, slots=True)
class Gamebook:
    """`rows`: one per date and player, NULL where its rows disagree; `ties`: those rows.

    `untimed`: `game_date`, `team_abbr`, `player_lookup` of rows whose 0 minutes cannot be.
    """

    rows: pl.DataFrame
    ties: pl.DataFrame
    untimed: pl.DataFrame


def keys_of(gamebook: pl.DataFrame, season: str) -> pl.DataFrame:
    """`game_date`, `season`, `team_abbr`, `player_lookup` of normalised rows with a player."""
    return gamebook.select(
        "game_date", pl.lit(season).alias("season"), "team_abbr", "player_lookup"
    ).drop_nulls("player_lookup")


def teams_of(gamebook: pl.DataFrame) -> pl.DataFrame:
    """`game_date`, `team_abbr`: the teams that have rows of a player on a date."""
    named = gamebook.filter(pl.col("player_lookup").is_not_null())
    return named.select(_TEAM_GAME).unique().drop_nulls()


def clean_box(gamebook: pl.DataFrame, aliases: Aliases, season: str) -> Gamebook:
    """Normalised rows of a season, settled by date and player, with `minutes` in thousandths.

    Rows without a player are left out. Tied rows are compared in every column of the frame.
    """
    named = gamebook.filter(pl.col("player_lookup").is_not_null())
    if "minutes_decimal" in named.columns:
        minutes = pl.col("minutes_decimal").fill_nan(None)
        named = named.with_columns(
            (minutes * 1000).round().cast(pl.Int64, strict=False).alias("minutes")
        )
        named = named.drop("minutes_decimal")
    named = named.rename({old: new for old, new in _SHORT.items() if old in named.columns})
    named = with_players(named, aliases, pl.lit(season))
    found = resolve(named, ["game_date", "player_lookup"])
    rows, untimed = _possible(found.rows) if "minutes" in named.columns else (found.rows, None)
    none = named.select(*_TEAM_GAME, "player_lookup").clear()
    return Gamebook(rows, found.ties, none if untimed is None else untimed)


def _possible(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with minutes that can be, and those whose minutes were taken away.

    0 minutes with more than 5 points are unknown, and all are where every active row has 0.
    """
    active, zero = pl.col("player_status") == "active", pl.col("minutes") == 0
    some = rows.filter(active & zero).select(_TEAM_GAME).unique()
    timed = rows.filter(active & ~zero.fill_null(False)).select(_TEAM_GAME)
    empty = some.join(timed, on=_TEAM_GAME, how="anti").with_columns(pl.lit(True).alias("empty"))
    marked = rows.join(empty, on=_TEAM_GAME, how="left", maintain_order="left")
    wrong = zero & (pl.col("empty").fill_null(False) | (pl.col("points") > _SOME_POINTS))
    wrong = wrong.fill_null(False)
    mended = marked.with_columns(pl.when(~wrong).then("minutes").alias("minutes")).drop("empty")
    return mended, marked.filter(wrong).select(*_TEAM_GAME, "player_lookup")


def with_played(box: pl.DataFrame) -> pl.DataFrame:
    """The rows with `played` (Boolean): whether it is a game played, if its game was one."""
    active = pl.col("player_status") == "active"
    scored = pl.col("minutes").is_null() & pl.col("points").is_not_null()
    played = active & ((pl.col("minutes") > 0) | (pl.col("points") > 0) | scored)
    return box.with_columns(played.fill_null(False).alias("played"))
