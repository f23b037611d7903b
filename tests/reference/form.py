"""Form: what the player did in the newest games of H. Domain rules, section 5."""

from __future__ import annotations

import statistics
from datetime import date
from fractions import Fraction
from typing import Any

from tests.reference.boxes import Box, Boxes
from tests.reference.rows import exact_mean, known, thousandths
from tests.reference.schedule import Schedule
from tests.reference.team import sums, usage_weight


def form(
    player: str, opponent: str, season: str, day: date, schedule: Schedule, boxes: Boxes
) -> dict[str, Any]:
    """Every column of the group."""
    history = boxes.history(player, season, day)
    last_5, last_10 = history[:5], history[:10]
    points_5 = known(box.points for box in last_5)
    points_10 = known(box.points for box in last_10)
    meetings = against(player, opponent, season, day, schedule, boxes)
    return {
        "points_avg_last_5": exact_mean(points_5),
        "points_avg_last_10": exact_mean(points_10),
        "points_avg_season": exact_mean(known(box.points for box in history)),
        "points_std_last_10": statistics.stdev(points_10) if len(points_10) >= 2 else None,
        "minutes_avg_last_10": mean_minutes(last_10),
        "ppm_avg_last_10": points_per_minute(last_10),
        "usage_rate_last_10": exact_mean(known(usage(box, boxes) for box in last_10)),
        "shooting_pct_decline_last_5": shooting_decline(history),
        "games_played_season": len(history),
        "l5_games_used": len(points_5),
        "l10_games_used": len(points_10),
        "avg_points_vs_opponent": exact_mean(known(box.points for box in meetings)),
        "games_vs_opponent": len(meetings),
    }


def mean_minutes(games: list[Box]) -> float | None:
    """The mean of the known minutes."""
    minutes = known(thousandths(box.minutes) for box in games)
    return float(Fraction(sum(minutes), 1000 * len(minutes))) if minutes else None


def points_per_minute(games: list[Box]) -> float | None:
    """Points over minutes, of the sums over games that have both."""
    both = [(b.points, thousandths(b.minutes)) for b in games if None not in (b.points, b.minutes)]
    minutes = sum(m for _, m in both)
    return float(Fraction(1000 * sum(p for p, _ in both), minutes)) if minutes else None


def usage(box: Box, boxes: Boxes) -> Fraction | None:
    """The share of the team's chances that the player used while he was on the floor."""
    team = sums(box.game, box.team, boxes)
    if team is None or not box.minutes or box.minutes <= 0 or team.usage_weight == 0:
        return None
    minutes = Fraction(thousandths(box.minutes), 1000)
    return 100 * usage_weight(box) * Fraction(team.minutes, 5) / (minutes * team.usage_weight)


def shooting_decline(history: list[Box]) -> float | None:
    """FG% of the season minus FG% of the last 5 games, each of the sums."""
    season, recent = field_goal_pct(history), field_goal_pct(history[:5])
    return None if season is None or recent is None else float(season - recent)


def field_goal_pct(games: list[Box]) -> Fraction | None:
    shots = [(box.fgm, box.fga) for box in games if None not in (box.fgm, box.fga)]
    attempts = sum(attempted for _, attempted in shots)
    return Fraction(sum(made for made, _ in shots), attempts) if attempts else None


def against(
    player: str, opponent: str, season: str, day: date, schedule: Schedule, boxes: Boxes
) -> list[Box]:
    """Played games against the opponent, this season and the one before."""
    games = boxes.history(player, season, day)
    before = schedule.season_before(season)
    if before is not None:
        games += boxes.history(player, before, day)
    return [box for box in games if box.opponent == opponent]
