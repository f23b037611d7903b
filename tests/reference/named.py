"""What is left out or doubted, as the rules say that it is named; with what a person looks for."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from tests.reference.context import Reference
from tests.reference.games import Game, label_against_id
from tests.reference.injuries import canonical
from tests.reference.names import INJURIES, LINES, PROPS, SCHEDULE
from tests.reference.quotes import outcome, usable_point, usable_points

Side = tuple[date, str]
"""A date and a team."""


def incomplete(reference: Reference) -> dict[Side, tuple[int, int | None]]:
    """Sides of played games without a complete box score: what their points sum to, the score."""
    boxes = reference.boxes
    return {
        (game.day, team): (boxes.known_points(game, team), game.score_of(team))
        for game in reference.schedule.games
        if game.played
        for team in game.teams
        if not boxes.complete(game, team)
    }


def without_rows(reference: Reference) -> set[Side]:
    """Sides of played games that have no gamebook rows."""
    return {
        (game.day, team)
        for game in reference.schedule.games
        if game.played
        for team in game.teams
        if not reference.boxes.side(game, team)
    }


def without_minutes(reference: Reference) -> list[Game]:
    """Played games with gamebook rows of which nobody's minutes are known."""
    return [
        game
        for game in reference.schedule.games
        if game.played
        and (rows := [box for box in reference.boxes.of_game(game) if box.status == "active"])
        and all(box.minutes is None for box in rows)
    ]


def in_state(reference: Reference, state: str) -> list[Game]:
    """The games of a state; those that are off too."""
    schedule = reference.schedule
    return [game for game in schedule.games + schedule.off if game.state == state]


def labels_against_ids(reference: Reference) -> int:
    """Rows of the schedule whose label names another season than the id."""
    return sum(label_against_id(row) for row in reference.raw[SCHEDULE])


def disputed(reference: Reference) -> list[Game]:
    """Games whose tip-off the schedule states and nobody uses."""
    return [game for game in reference.schedule.games if game.tipoff_disputed]


def late(reference: Reference, table: str) -> int:
    """Rows of an odds table that came at tip-off of their game or later."""
    games = {(g.day, g.home, g.away): g for g in reference.schedule.games}
    count = 0
    for row in reference.raw[table]:
        game = games.get((row["game_date"], row["home_team_abbr"], row["away_team_abbr"]))
        seen = row["snapshot_timestamp"]
        if game is not None and game.tipoff is not None and seen is not None:
            count += seen >= game.tipoff
    return count


def unusable(reference: Reference) -> Counter[tuple[str, float]]:
    """Lines out of bounds, by market and value."""
    found = Counter(
        ("points", row["points_line"])
        for row in reference.raw[PROPS]
        if row["points_line"] is not None and not usable_points(row["points_line"])
    )
    found.update(
        (row["market_key"], row["outcome_point"])
        for row in reference.raw[LINES]
        if row["outcome_point"] is not None
        and not usable_point(row["market_key"], row["outcome_point"])
    )
    return found


def unknown_outcomes(reference: Reference) -> Counter[str | None]:
    """Outcomes of spreads and totals that are no side, by name."""
    return Counter(
        row["outcome_name"]
        for row in reference.raw[LINES]
        if outcome(row, row["market_key"]) is None
    )


def no_reports(reference: Reference) -> Counter[str]:
    """Rows of injury reports that lack something, by what."""
    found: Counter[str] = Counter()
    for row in reference.raw[INJURIES]:
        found["player"] += row["player_lookup"] is None
        found["team"] += row["team"] is None
        found["status"] += canonical(row["injury_status"]) is None
    return +found


def games_of(games: list[Game]) -> Counter[Any]:
    """How many games of each kind."""
    return Counter(game.kind for game in games)
