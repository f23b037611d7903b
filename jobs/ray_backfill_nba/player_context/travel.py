"""Columns *Travel*: the team's route from arena to arena over its season."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import polars as pl

from ray_backfill_nba.history import SINCE, Track, earlier, track
from ray_backfill_nba.names import normalised

__all__ = ["EARTH_RADIUS_MILES", "columns", "locate"]

EARTH_RADIUS_MILES = 3958.7613
_DAYS = 14


def locate(locations: pl.DataFrame) -> pl.DataFrame:
    """One row per team; a value on which rows of a team disagree is NULL, as is an unknown zone."""
    values = ["latitude", "longitude", "timezone"]
    rows = normalised(locations).drop_nulls("team_abbr")
    one = rows.group_by("team_abbr").agg(
        pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()) for name in values
    )
    known = [name for name in one["timezone"].drop_nulls().unique() if _is_zone(name)]
    return one.select(
        "team_abbr",
        pl.col("latitude", "longitude").fill_nan(None),
        pl.when(pl.col("timezone").is_in(known)).then("timezone"),
    ).sort("team_abbr")


def columns(slate: pl.DataFrame, sides: pl.DataFrame, locations: pl.DataFrame) -> pl.DataFrame:
    """The columns of the group, one row per row of `slate`.

    `sides`: every side of the season (`home_team`, `is_home`, `is_neutral`). Miles and hours
    Float64, games Int64.
    """
    route = track(
        sides.select("game_date", "team_abbr", "home_team", "is_home", "is_neutral"), "team_abbr"
    )
    legs = _legs(route, locate(locations))
    found = pl.DataFrame(
        {
            "game_date": route.rows["game_date"],
            "team_abbr": route.rows["team_abbr"],
            "travel_miles": legs["travel_miles"],
            "time_zone_changes": legs["time_zone_changes"],
            "consecutive_road_games": _road_games(route),
        }
    )
    recent = pl.concat([route.rows.select(SINCE), found], how="horizontal").select(
        _last_days("travel_miles").alias("miles_traveled_last_14_days"),
        _last_days("time_zone_changes").alias("time_zones_crossed_last_14_days"),
    )
    found = pl.concat([found, recent], how="horizontal")
    return (
        slate.select("game_date", "team_abbr")
        .join(found, on=["game_date", "team_abbr"], how="left", maintain_order="left")
        .drop("game_date", "team_abbr")
    )


def _legs(route: Track, places: pl.DataFrame) -> pl.DataFrame:
    """Miles and hours of the leg into each game; NULL where an arena is not known."""
    neutral = pl.col("is_neutral").fill_null(False)
    arena = route.rows.select(pl.when(~neutral).then("home_team").alias("arena")).to_series()
    start = route.rows[SINCE] == 0
    origin = route.rows["team_abbr"].zip_with(start, arena.shift(1))
    ends = [
        pl.DataFrame({"team_abbr": at, "game_date": route.rows["game_date"]})
        .join(places, on="team_abbr", how="left", maintain_order="left")
        .pipe(_with_offset)
        .select(pl.all().name.prefix(prefix))
        for prefix, at in (("from_", origin), ("to_", arena))
    ]
    return pl.concat(ends, how="horizontal").select(
        _miles().alias("travel_miles"),
        (pl.col("to_hours") - pl.col("from_hours")).abs().alias("time_zone_changes"),
    )


def _miles() -> pl.Expr:
    """Haversine distance of the two ends of a leg, in statute miles."""
    from_lat, to_lat = pl.col("from_latitude").radians(), pl.col("to_latitude").radians()
    across = (pl.col("to_longitude") - pl.col("from_longitude")).radians()
    chord = ((to_lat - from_lat) / 2).sin() ** 2 + from_lat.cos() * to_lat.cos() * (
        (across / 2).sin() ** 2
    )
    return 2 * EARTH_RADIUS_MILES * chord.clip(0.0, 1.0).sqrt().arcsin()


def _with_offset(places: pl.DataFrame) -> pl.DataFrame:
    """`hours` that local noon of `game_date` is ahead of UTC at each place."""
    noon = pl.col("game_date").cast(pl.Datetime("us")).dt.offset_by("12h")
    hours = pl.lit(None, dtype=pl.Float64)
    for zone in sorted(places["timezone"].drop_nulls().unique()):
        local = noon.dt.replace_time_zone(zone)
        offset = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes() / 60
        hours = pl.when(pl.col("timezone") == zone).then(offset).otherwise(hours)
    return places.with_columns(hours.alias("hours"))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _road_games(route: Track) -> pl.Series:
    """Away games in a row up to and with each game; 0 at home."""
    at = pl.int_range(pl.len()).cast(pl.Int64)
    last_home = pl.when("is_home").then(at).forward_fill()
    before_first = at - pl.col(SINCE) - 1
    runs = at - pl.max_horizontal(last_home, before_first)
    return route.rows.select(runs.alias("consecutive_road_games")).to_series()


def _last_days(leg: str) -> pl.Expr:
    """Sum of the legs into games of (D - 14, D], newest first; NULL where one of them is."""
    total = pl.col(leg)
    for back in range(1, _DAYS):
        away = (pl.col("game_date") - earlier("game_date", back)).dt.total_days()
        total = total + pl.when(away < _DAYS).then(earlier(leg, back)).otherwise(0.0)
    return total
