"""What a reader of a row should know of what it is made from. Domain rules, section 5 (Quality)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tests.reference.boxes import Box, Boxes
from tests.reference.games import Game
from tests.reference.rows import Row, known
from tests.reference.schedule import Schedule

NEWEST = 10


@dataclass(frozen=True)
class Circumstances:
    """What the issues of a row are told from, beside the row itself."""

    game: Game
    history: list[Box]
    gap: bool
    untimed_line: bool
    uniform_line: bool
    report_at: Any
    missing: int
    newest_complete: bool


def newest_complete(team: str, season: str, day: date, schedule: Schedule, boxes: Boxes) -> bool:
    """Whether the team's newest 10 games before a day that are not off have complete box scores."""
    return all(boxes.complete(g, team) for g in schedule.before(team, season, day)[:NEWEST])


def tier(history: list[Box], complete: bool) -> str:
    """`gold`, `silver` or `bronze`."""
    if len(history) < 5:
        return "bronze"
    minutes = known(box.minutes for box in history[:NEWEST])
    full = len(history) >= NEWEST and 2 * len(minutes) >= NEWEST
    return "gold" if full and complete else "silver"


def issues(row: Row, about: Circumstances) -> list[str]:
    """The flags that hold, in the order of the list."""
    spread, total = row["game_spread"], row["game_total"]
    games = len(about.history)
    flags = {
        "no_history": games == 0,
        "thin_history": games in (1, 2),
        "history_gap": about.gap,
        "history_incomplete": about.missing > 0,
        "no_minutes": games > 0 and not known(box.minutes for box in about.history[:NEWEST]),
        "no_tipoff": about.game.tipoff is None,
        "tipoff_disputed": about.game.tipoff_disputed,
        "overdue_game": about.game.overdue,
        "no_game_spread": spread is None,
        "no_game_total": total is None,
        "no_points_line": not row["has_prop_line"],
        "unstamped_line": about.untimed_line,
        "uniform_points_line": about.uniform_line,
        "no_injury_report": about.report_at is None,
        "implausible_spread": spread is not None and abs(spread) > 30,
        "implausible_total": total is not None and not 150 <= total <= 300,
    }
    return [issue for issue, holds in flags.items() if holds]


def quality(row: Row, about: Circumstances) -> dict[str, Any]:
    """Every column of the group."""
    times = [row["points_line_at"], row["spread_at"], row["total_at"], about.report_at]
    return {
        "missing_box_scores": about.missing,
        "data_quality_tier": tier(about.history, about.newest_complete),
        "data_quality_issues": issues(row, about),
        "known_at_max": max(known(times), default=None),
    }
