"""Rest and load: the gaps between the games of H, and what fell into the last days.

Domain rules, section 5.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from tests.reference.boxes import Box, Boxes
from tests.reference.rows import known, thousandths
from tests.reference.schedule import Schedule

COLUMNS = (
    "days_rest",
    "days_rest_before_last_game",
    "back_to_back",
    "days_since_2_plus_days_rest",
    "games_in_last_7_days",
    "games_in_last_14_days",
    "minutes_in_last_7_days",
    "minutes_in_last_14_days",
    "avg_minutes_per_game_last_7",
    "back_to_backs_last_14_days",
)


def history_gap(team: str, season: str, day: date, schedule: Schedule, boxes: Boxes) -> bool:
    """Whether a box score of the team is missing in the 14 days before.

    That of a game which is not off and has no complete one, or of a stray date.
    """
    since = day - timedelta(14)
    games = [game for game in schedule.before(team, season, day) if game.day >= since]
    strays = [stray for stray in boxes.strays_before(team, season, day) if stray >= since]
    return bool(strays) or not all(boxes.complete(game, team) for game in games)


def rest_and_load(history: list[Box], day: date, gap: bool) -> dict[str, Any]:
    """Every column of the group."""
    if gap:
        return dict.fromkeys(COLUMNS)
    last = history[0].day if history else None
    days_rest = None if last is None else (day - last).days
    pairs = list(pairwise(history))
    since = None
    for later, earlier in pairs:
        if (later.day - earlier.day).days >= 2:
            since = (day - later.day).days
            break
    week = [box for box in history if box.day >= day - timedelta(7)]
    fortnight = [box for box in history if box.day >= day - timedelta(14)]
    week_minutes = known(thousandths(box.minutes) for box in week)
    return {
        "days_rest": days_rest,
        "days_rest_before_last_game": (pairs[0][0].day - pairs[0][1].day).days if pairs else None,
        "back_to_back": days_rest == 1,
        "days_since_2_plus_days_rest": since,
        "games_in_last_7_days": len(week),
        "games_in_last_14_days": len(fortnight),
        "minutes_in_last_7_days": minutes_in(week),
        "minutes_in_last_14_days": minutes_in(fortnight),
        "avg_minutes_per_game_last_7": (
            sum(week_minutes) / (1000 * len(week_minutes)) if week_minutes else None
        ),
        "back_to_backs_last_14_days": sum(
            (later.day - earlier.day).days == 1 and later.day >= day - timedelta(14)
            for later, earlier in pairs
        ),
    }


def minutes_in(games: list[Box]) -> float | None:
    """The known minutes of a window: 0 without a game, None where no game has any."""
    if not games:
        return 0.0
    minutes = known(thousandths(box.minutes) for box in games)
    return sum(minutes) / 1000 if minutes else None
