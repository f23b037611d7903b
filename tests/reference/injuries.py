"""What the team's latest report before tip-off said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.boxes import Boxes
from tests.reference.rows import Row, exact_mean, grouped, known, settle, thousandths
from tests.reference.schedule import Game

EASTERN = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Report:
    """A team's latest report: who is listed, as what, and why."""

    at: datetime
    status: dict[str, str | None]
    reason: dict[str, str | None]
    disagreeing: tuple[str, ...]


def canonical(status: str | None) -> str | None:
    if status is None:
        return None
    status = status.strip().lower()
    return "questionable" if status == "day-to-day" else status


def team_report(
    rows: list[Row], team: str, game: Game, resolve: Callable[[str | None], str | None]
) -> Report | None:
    """The report that decides, of the rows of one date."""
    limit = game.tipoff or datetime.combine(game.day, time(0), tzinfo=EASTERN)
    usable = [
        row
        for row in rows
        if row.get("team") == team
        and row.get("report_timestamp") is not None
        and row["report_timestamp"] < limit
    ]
    if not usable:
        return None
    at = max(row["report_timestamp"] for row in usable)
    status, reason, disagreeing = {}, {}, []
    latest = [row for row in usable if row["report_timestamp"] == at]
    for player, group in grouped(latest, lambda r: resolve(r.get("player_lookup"))).items():
        if player is None:
            continue
        row, columns = settle(group, ("injury_status", "reason"))
        if columns:
            disagreeing.append(f"nba_raw.nbac_injury_report: {player} disagrees on {columns}")
        status[player] = canonical(row.get("injury_status"))
        reason[player] = row.get("reason")
    return Report(at, status, reason, tuple(disagreeing))


def star(player: str, season: str, day: date, boxes: Boxes) -> bool:
    """Whether a player averages enough, before a day, over 5 or more games."""
    history = boxes.history(player, season, day)
    if len(history) < 5:
        return False
    points = exact_mean(known(box.points for box in history))
    minutes = exact_mean(known(thousandths(box.minutes) for box in history))
    if points is None:
        return False
    return points >= 18 or (minutes is not None and minutes >= 28_000 and points >= 12)


def injuries(
    player: str, report: Report | None, season: str, day: date, boxes: Boxes
) -> dict[str, Any]:
    """Every column of the group."""
    if report is None:
        return dict.fromkeys(
            (
                "player_status",
                "injury_reason",
                "questionable_teammates",
                "probable_teammates",
                "star_teammates_out",
            )
        )
    mates = {mate: status for mate, status in report.status.items() if mate != player}
    listed = player in report.status
    return {
        "player_status": report.status[player] if listed else "available",
        "injury_reason": report.reason[player] if listed else None,
        "questionable_teammates": sum(status == "questionable" for status in mates.values()),
        "probable_teammates": sum(status == "probable" for status in mates.values()),
        "star_teammates_out": sum(
            status in ("out", "doubtful") and star(mate, season, day, boxes)
            for mate, status in mates.items()
        ),
    }
