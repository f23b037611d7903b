"""Travel: the legs between arenas. Domain rules, section 5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.games import Game
from tests.reference.rows import Row, grouped, settle
from tests.reference.schedule import Schedule

EARTH_MILES = 3958.7613


@dataclass(frozen=True)
class Arena:
    latitude: float | None
    longitude: float | None
    timezone: str | None


def arenas(rows: Iterable[Row]) -> dict[str, Arena]:
    """Every team's own arena; a value on which rows disagree is unknown."""
    found = {}
    for team, group in grouped(rows, lambda r: r["team_abbr"]).items():
        row, _ = settle(group, ("latitude", "longitude", "timezone"))
        found[team] = Arena(row.get("latitude"), row.get("longitude"), row.get("timezone"))
    return found


def arena_of(game: Game, homes: dict[str, Arena]) -> Arena | None:
    """Where a game is played: at the home team's arena, unknown on a neutral site."""
    return None if game.neutral else homes.get(game.home)


def miles(start: Arena | None, end: Arena | None) -> float | None:
    """Great circle between two arenas."""
    if start is None or end is None:
        return None
    if None in (start.latitude, start.longitude, end.latitude, end.longitude):
        return None
    lat_1, lat_2 = radians(start.latitude), radians(end.latitude)
    half_lat = (lat_2 - lat_1) / 2
    half_lon = radians(end.longitude - start.longitude) / 2
    chord = sin(half_lat) ** 2 + cos(lat_1) * cos(lat_2) * sin(half_lon) ** 2
    return 2 * EARTH_MILES * asin(sqrt(chord))


def offset_hours(arena: Arena, day: date) -> float:
    """Hours ahead of UTC at noon."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(arena.timezone))
    return noon.utcoffset().total_seconds() / 3600


def zones(start: Arena | None, end: Arena | None, day: date) -> float | None:
    """Hours between the clocks of two arenas."""
    if start is None or end is None or start.timezone is None or end.timezone is None:
        return None
    return abs(offset_hours(start, day) - offset_hours(end, day))


def travel(
    team: str, game: Game, season: str, schedule: Schedule, homes: dict[str, Arena]
) -> dict[str, Any]:
    """Every column of the group."""
    route = [*reversed(schedule.before(team, season, game.day)), game]
    where = homes.get(team)
    legs = []
    for stop in route:
        arena = arena_of(stop, homes)
        legs.append((stop.day, miles(where, arena), zones(where, arena, stop.day)))
        where = arena
    recent = [leg for leg in legs if leg[0] > game.day - timedelta(14)]
    road = 0
    for stop in reversed(route):
        if stop.home == team:
            break
        road += 1
    return {
        "travel_miles": legs[-1][1],
        "time_zone_changes": legs[-1][2],
        "consecutive_road_games": road,
        "miles_traveled_last_14_days": total(leg[1] for leg in recent),
        "time_zones_crossed_last_14_days": total(leg[2] for leg in recent),
    }


def total(values: Iterable[float | None]) -> float | None:
    """The sum; None where one is unknown."""
    values = list(values)
    return None if None in values else sum(values)
