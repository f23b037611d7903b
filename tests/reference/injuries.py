"""What the team's latest report before tip-off said. Domain rules, sections 2 and 5 (Injuries)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from tests.reference.aliases import Resolve
from tests.reference.boxes import Boxes
from tests.reference.games import Game
from tests.reference.rows import Row, exact_mean, grouped, known, settle, thousandths
from tests.reference.tipoffs import EASTERN

STATUSES = {"out", "doubtful", "questionable", "probable", "available"}


@dataclass(frozen=True)
class Report:
    """A team's latest report: who is listed, as what, and why; on whom its rows disagree."""

    at: datetime
    status: dict[str, str | None]
    reason: dict[str, str | None]
    disagreeing: dict[str, list[str]]


def canonical(status: str | None) -> str | None:
    """One of the five statuses, `day-to-day` as questionable; None for any other text."""
    if status == "day-to-day":
        return "questionable"
    return status if status in STATUSES else None


def reports(
    rows: Iterable[Row],
    day: date,
    population: Mapping[str, str],
    boxes: Boxes,
    resolve: Resolve,
) -> list[Row]:
    """The rows of a date that are reports, of the players meant and with the teams meant.

    No report without a known player, status and team. `population`: the players' teams.
    """
    found = []
    for row in rows:
        player = resolve(row.get("player_lookup"), row.get("team"))
        status = canonical(row.get("injury_status"))
        if player is None or status is None:
            continue
        team = row.get("team") or population.get(player)
        if team is None:
            latest = boxes.latest(player, day)
            team = None if latest is None else latest.team
        if team is not None:
            found.append({**row, "player_lookup": player, "team": team, "injury_status": status})
    return found


def team_report(rows: list[Row], team: str, game: Game) -> Report | None:
    """The report that decides: the team's latest one before tip-off."""
    limit = game.tipoff or datetime.combine(game.day, time(0), tzinfo=EASTERN)
    usable = [
        row
        for row in rows
        if row["team"] == team
        and row.get("report_timestamp") is not None
        and row["report_timestamp"] < limit
    ]
    if not usable:
        return None
    at = max(row["report_timestamp"] for row in usable)
    status, reason, disagreeing = {}, {}, {}
    latest = [row for row in usable if row["report_timestamp"] == at]
    for player, group in grouped(latest, lambda r: r["player_lookup"]).items():
        row, columns = settle(group, ("injury_status", "reason"))
        if columns:
            disagreeing[player] = columns
        status[player] = row.get("injury_status")
        reason[player] = row.get("reason")
    return Report(at, status, reason, disagreeing)


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
