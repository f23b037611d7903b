"""Team-game sums: possessions, pace, ratings. Domain rules, section 5 (Team and opponent)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from tests.reference.boxes import Box, Boxes
from tests.reference.games import Game
from tests.reference.rows import exact_mean, half_up, known, thousandths
from tests.reference.schedule import Schedule

FREE_THROW = Fraction(44, 100)
GAMES = 10


def usage_weight(box: Box) -> Fraction:
    """FGA + 0.44 FTA + TOV."""
    return box.fga + FREE_THROW * box.fta + box.tov


def game_minutes(team: list[Box]) -> int:
    """240, and 25 for each overtime, from the minutes of those who played for one team."""
    minutes = Fraction(sum(thousandths(box.minutes) for box in team), 1000)
    return 240 + 25 * half_up((minutes - 240) / 25)


@dataclass(frozen=True)
class Sums:
    """One team's figures in one game; `minutes` are those of the game."""

    points: int
    fga: int
    fta: int
    oreb: int
    tov: int
    minutes: int

    @property
    def usage_weight(self) -> Fraction:
        return self.fga + FREE_THROW * self.fta + self.tov

    @property
    def possessions(self) -> Fraction:
        return self.fga + FREE_THROW * self.fta - self.oreb + self.tov


def sums(game: Game, team: str, boxes: Boxes) -> Sums | None:
    """The team's sums; None where the box score is not complete or a player's figure unknown."""
    if not boxes.complete(game, team):
        return None
    played = [box for box in boxes.side(game, team) if box.played]
    figures = [(b.minutes, b.points, b.fga, b.fta, b.oreb, b.tov) for b in played]
    if not figures or any(None in row for row in figures):
        return None
    return Sums(
        points=sum(box.points for box in played),
        fga=sum(box.fga for box in played),
        fta=sum(box.fta for box in played),
        oreb=sum(box.oreb for box in played),
        tov=sum(box.tov for box in played),
        minutes=game_minutes(played),
    )


@dataclass(frozen=True)
class Ratings:
    """One team's averages over its newest complete games."""

    pace: float | None
    offense: float | None
    defense: float | None
    ft_rate_allowed: float | None


def ratings(team: str, season: str, day: date, schedule: Schedule, boxes: Boxes) -> Ratings:
    """Means over the newest games of the season of which both sides have sums."""
    complete: list[tuple[Sums, Sums]] = []
    for game in schedule.before(team, season, day):
        own, other = sums(game, team, boxes), sums(game, game.other(team), boxes)
        if own is not None and other is not None:
            complete.append((own, other))
        if len(complete) == GAMES:
            break
    return Ratings(
        pace=exact_mean(
            [
                48 * (own.possessions + o.possessions) / (2 * Fraction(own.minutes, 5))
                for own, o in complete
            ]
        ),
        offense=exact_mean(known(ratio(100 * o.points, o.possessions) for o, _ in complete)),
        defense=exact_mean(known(ratio(100 * o.points, o.possessions) for _, o in complete)),
        ft_rate_allowed=exact_mean(known(ratio(o.fta, Fraction(o.fga)) for _, o in complete)),
    )


def ratio(above: int, below: Fraction) -> Fraction | None:
    return above / below if below else None


def team_and_opponent(
    own: Ratings, other: Ratings, team: str, opponent: str, game: Game, schedule: Schedule
) -> dict[str, Any]:
    """Every column of the group."""
    return {
        "team_pace_last_10": own.pace,
        "team_off_rating_last_10": own.offense,
        "opponent_pace_last_10": other.pace,
        "opponent_off_rating_last_10": other.offense,
        "opponent_def_rating_last_10": other.defense,
        "opponent_ft_rate_allowed": other.ft_rate_allowed,
        "pace_differential": None if None in (own.pace, other.pace) else own.pace - other.pace,
        "team_win_pct": schedule.win_pct(team, game.season, game.day),
        "opponent_win_pct": schedule.win_pct(opponent, game.season, game.day),
    }


def ahead_and_rest(team: str, opponent: str, game: Game, schedule: Schedule) -> dict[str, Any]:
    """Schedule ahead, and the opponent's rest."""
    day, season = game.day, game.season
    row: dict[str, Any] = dict.fromkeys(
        (
            "next_game_days_rest",
            "games_in_next_7_days",
            "next_opponent_win_pct",
            "opponent_games_in_next_7_days",
            "opponent_next_game_days_rest",
        )
    )
    played = schedule.before(opponent, season, day)
    row["opponent_days_rest"] = (day - played[0].day).days if played else None
    if game.after_season:
        return row
    row["games_in_next_7_days"] = len(schedule.regular_after(team, season, day, 7))
    row["opponent_games_in_next_7_days"] = len(schedule.regular_after(opponent, season, day, 7))
    following = schedule.regular_after(team, season, day, 14)
    if following:
        row["next_game_days_rest"] = (following[0].day - day).days
        row["next_opponent_win_pct"] = schedule.win_pct(following[0].other(team), season, day)
    following = schedule.regular_after(opponent, season, day, 14)
    if following:
        row["opponent_next_game_days_rest"] = (following[0].day - day).days
    return row
