"""Who is with a team in a game, who plays, and how much: one row a player and game.

Box scores, props and injury reports all start from these rows, and so agree with each other.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from ray_backfill_nba.demo_league.dice import chance, key_of, number, seeded
from ray_backfill_nba.demo_league.fixtures import fixtures
from ray_backfill_nba.demo_league.people import rosters
from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["lineups"]

_MINUTES = (355, 345, 335, 325, 310, 265, 235, 200, 165, 120, 70, 45)
"""Weights of minutes by standing among those who can play: five starters, then the bench."""

_LEAST = 8
"""A team always has this many who can play; the injured of lower places play through."""


def lineups(spec: LeagueSpec, year: int, games: pl.DataFrame) -> pl.DataFrame:
    """Rows of `games` × both teams × their players, in that order.

    `side` groups the players of one team in one game. `hurt`: out with an injury. `resting`: out
    for this game alone. `plays` and `weight`: whether and how long. `share` of the team's points
    is what a bookmaker would expect.
    """
    rows = _with_rosters(spec, year, _sides(games))
    rows = rows.rename({"key": "person_key"}).with_columns(
        key_of(seeded(spec.seed, "game player"), "game_key", "person_key").alias("key"),
        hurt=_hurt(fixtures(spec, year).opening),
    )
    rows = rows.with_columns(resting=~pl.col("hurt") & chance("rest", 20))
    out = pl.col("hurt") | pl.col("resting")
    allowed = max(spec.roster - _LEAST, 0)
    rows = rows.with_columns(
        out=out & (out.cast(pl.Int64).cum_sum().over("side") <= allowed)
    ).with_columns(standing=(~pl.col("out")).cast(pl.Int64).cum_sum().over("side") - 1)
    rows = rows.with_columns(plays=~pl.col("out") & (pl.col("standing") < pl.col("rotation")))
    return _with_weights(rows)


def _sides(games: pl.DataFrame) -> pl.DataFrame:
    """Two rows a game, home first; All-Star teams have no roster."""
    known = games.filter(pl.col("kind") != "allstar").with_columns(
        side=pl.int_range(pl.len(), dtype=pl.Int64) * 2
    )
    common = known.rename({"key": "game_key"})
    frames = []
    for at, (own, other) in enumerate((("home", "away"), ("away", "home"))):
        frames.append(
            common.with_columns(
                team=pl.col(own),
                team_abbr=pl.col(f"{own}_abbr"),
                score=pl.col(f"{own}_score"),
                other_score=pl.col(f"{other}_score"),
                side=pl.col("side") + at,
            )
        )
    keyed = key_of(0, "game_key", "team").alias("side_key")
    sides = pl.concat(frames).sort("side").with_columns(keyed)
    return sides.with_columns(rotation=9 + number("rotation", 4, "side_key"))


def _with_rosters(spec: LeagueSpec, year: int, sides: pl.DataFrame) -> pl.DataFrame:
    """The players of each side, by their place."""
    return (
        sides.join(rosters(spec, year), on="team", how="inner")
        .filter(pl.col("day").is_between("here_from", "here_upto"))
        .drop("here_from", "here_upto")
        .sort("side", "place")
    )


def _hurt(opening: date) -> pl.Expr:
    day = (pl.col("day") - pl.lit(opening)).dt.total_days()
    spells = [day.is_between(f"from{n}", f"upto{n}") for n in range(3)]
    return pl.any_horizontal(spells)


def _with_weights(rows: pl.DataFrame) -> pl.DataFrame:
    """Weights of minutes, and the share of the team's points that a bookmaker would expect.

    Those who are out get the share that they would have had.
    """
    table = pl.lit(pl.Series(_MINUTES, dtype=pl.Int64))
    at = pl.when("out").then("place").otherwise("standing").clip(0, len(_MINUTES) - 1)
    usual = pl.when(pl.col("plays") | pl.col("out")).then(table.gather(at)).otherwise(0)
    rows = rows.with_columns(usual=usual, minutes_luck=85 + number("minutes", 31))
    skill = pl.col("twos") * 56 + pl.col("threes") * 39 + pl.col("frees") * 17
    rows = rows.with_columns(
        weight=pl.when("plays").then(pl.col("usual") * pl.col("minutes_luck")).otherwise(0),
        scoring=pl.col("usual") * skill,
    )
    playing = pl.when("plays").then("scoring").otherwise(0).sum().over("side")
    return rows.with_columns(share=pl.col("scoring") / playing).drop("minutes_luck", "scoring")
