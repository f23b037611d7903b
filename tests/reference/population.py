"""Who gets a row on a date, and what the date is. Domain rules, section 4."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from tests.reference.boxes import ROSTER_DAYS, Box, Boxes
from tests.reference.games import Game
from tests.reference.schedule import Schedule

FUTURE_DAYS = 7


@dataclass(frozen=True)
class Member:
    """One player who gets a row."""

    player: str
    name: str
    team: str
    game: Game
    population: str

    @property
    def opponent(self) -> str:
        return self.game.other(self.team)


def members(day: date, schedule: Schedule, boxes: Boxes) -> list[Member]:
    """The population of a date, by player."""
    found: dict[str, Member] = {}
    unplayed = []
    for game in schedule.on_day.get(day, []):
        rows = boxes.of_game(game)
        for box in rows:
            found[box.player] = member(box, game, "gamebook")
        if not rows and not game.played:
            unplayed.append(game)
    for game in unplayed:
        for box in roster(game, boxes):
            found.setdefault(box.player, member(box, game, "roster"))
    return [found[player] for player in sorted(found)]


def member(box: Box, game: Game, population: str) -> Member:
    name = box.name if box.name is not None else box.player
    return Member(box.player, name, box.team, game, population)


def roster(game: Game, boxes: Boxes) -> list[Box]:
    """The latest row of every player whose latest row of the last days is for one of the teams."""
    latest: dict[str, Box] = {}
    for back in range(ROSTER_DAYS, 0, -1):
        for box in boxes.on_day.get(game.day - timedelta(back), []):
            latest[box.player] = box
    return [box for box in latest.values() if game.has(box.team)]


def absent(day: date, schedule: Schedule, boxes: Boxes) -> int:
    """How many players the sides of played games lack that have no gamebook rows."""
    games = schedule.on_day.get(day, [])
    booked = {box.player: box.team for game in games for box in boxes.of_game(game)}
    teams = set(booked.values())
    return sum(
        box.team not in teams and box.player not in booked
        for game in games
        if game.played
        for box in roster(game, boxes)
    )


def state(day: date, schedule: Schedule, population: list[Member]) -> str | None:
    """None where the date is due, else what it is instead."""
    games = schedule.on_day.get(day, [])
    if not games:
        return "no_games"
    newest = schedule.newest_played
    if newest is not None and day > newest + timedelta(FUTURE_DAYS):
        return "future"
    if population:
        return None
    return "blocked" if all(game.played for game in games) else "by_design"
