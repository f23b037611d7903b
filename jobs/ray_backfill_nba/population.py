"""Who gets a row."""

from __future__ import annotations

import polars as pl

__all__ = ["ROSTER_DAYS", "absent_people", "latest_rows", "missing_boxes", "people_of"]

ROSTER_DAYS = 30
_PERSON = ["game_date", "player_lookup", "player_name", "team_abbr"]


def people_of(sides: pl.DataFrame, box: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The players of the games in `sides`, sorted by `game_date`, `player_lookup`.

    `box`: gamebook rows that belong to counting games, at least of the dates of `sides`;
    `earlier`: such rows of the 30 days before every date that may need a roster.
    Gives `game_date`, `player_lookup`, `player_name`, `team_abbr`, `population`.

    It is decided per game: one with gamebook rows gives those; an open one without any gives the
    players whose latest row within the 30 days before is for one of its teams; a played game
    without box scores gives nobody.
    """
    key = ["game_date", "team_abbr"]
    booked = box.join(sides.select(key), on=key, how="semi").select(_PERSON)
    has_box = booked.select(key).unique()
    open_sides = _without_box(sides, has_box).filter(~pl.col("is_played"))
    people = booked.with_columns(pl.lit("gamebook").alias("population"))
    if not open_sides.is_empty():
        roster = _roster(open_sides, booked, earlier)
        people = pl.concat([people, roster.with_columns(pl.lit("roster").alias("population"))])
    return people.with_columns(
        pl.coalesce("player_name", "player_lookup").alias("player_name")
    ).sort("game_date", "player_lookup")


def absent_people(missing: pl.DataFrame, box: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The rosters of the sides in `missing`, as `missing_boxes` gives them.

    Who has a row in `box` on that date is no longer on them; `earlier` as for `people_of`.
    Gives `game_date`, `player_lookup`, `player_name`, `team_abbr`.
    """
    return _roster(missing, box, earlier)


def missing_boxes(sides: pl.DataFrame, box: pl.DataFrame) -> pl.DataFrame:
    """Sides of played games without a gamebook row, with `is_whole`: the opponent has none too."""
    key = ["game_date", "team_abbr"]
    has_box = box.select(key).unique()
    bare = sides.filter("is_played").join(has_box, on=key, how="anti")
    both = _without_box(sides, has_box).select(*key, pl.lit(True).alias("is_whole"))
    return bare.join(both, on=key, how="left", maintain_order="left").with_columns(
        pl.col("is_whole").fill_null(False)
    )


def _without_box(sides: pl.DataFrame, has_box: pl.DataFrame) -> pl.DataFrame:
    """The sides of games that neither team has a gamebook row of."""
    own = sides.join(has_box, on=["game_date", "team_abbr"], how="anti")
    return own.join(
        has_box,
        left_on=["game_date", "opponent"],
        right_on=["game_date", "team_abbr"],
        how="anti",
    )


def _roster(sides: pl.DataFrame, booked: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Players whose latest row in [D - 30, D) is for a team of `sides` on D, and who are free.

    Who is in `booked` on D is not.
    """
    days = sides.select(pl.col("game_date").alias("day")).unique()
    latest = latest_rows(days, earlier.select(_PERSON))
    return (
        latest.with_columns(pl.col("day").alias("game_date"))
        .select(_PERSON)
        .join(sides, on=["game_date", "team_abbr"], how="semi")
        .join(booked, on=["game_date", "player_lookup"], how="anti")
    )


def latest_rows(days: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Each player's latest row of `earlier` in [D - 30, D), for each D of `days` (`day`)."""
    back = pl.col("day").dt.offset_by(f"-{ROSTER_DAYS}d")
    # Both sides of the cross join are cut to dates that can meet: it stays small in a season
    # whose second half has not been played.
    days = days.filter(back <= earlier.select(pl.col("game_date").max()).to_series())
    earlier = earlier.filter(pl.col("game_date") >= days.select(back.min()).to_series())
    return (
        days.join(earlier, how="cross")
        .filter((pl.col("game_date") < pl.col("day")) & (pl.col("game_date") >= back))
        .filter(pl.col("game_date") == pl.col("game_date").max().over("day", "player_lookup"))
    )
