"""A league of a few games, for examples that can be computed by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.reference.context import Reference
from tests.reference.names import (
    ALIASES,
    BETTINGPROS,
    GAMEBOOK,
    INJURIES,
    LINES,
    PROPS,
    SCHEDULE,
)
from tests.reference.rows import Row

OPENING = date(2025, 10, 21)
PLAYERS = 5
FULL_NAMES = {
    "BOS": "Boston Celtics",
    "NYK": "New York Knicks",
    "LAL": "Los Angeles Lakers",
    "LAC": "LA Clippers",
}


def on(days: int) -> date:
    """So many days after opening night."""
    return OPENING + timedelta(days)


def at(day: date, hour: float) -> datetime:
    """Hours after midnight of a date, by the clock of UTC; 24 and more is the next date."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)


def tip(day: date) -> datetime:
    """Half past seven in the evening of a date in October, in the US East."""
    return at(day, 23.5)


@dataclass
class Tiny:
    """Raw tables that are filled game by game."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    games: int = 0

    def add(self, table: str, **row: Any) -> Row:
        self.tables.setdefault(table, []).append(row)
        return row

    def game(
        self,
        day: date,
        home: str = "BOS",
        away: str = "NYK",
        score: tuple[int | None, int | None] = (100, 90),
        *,
        digit: int = 2,
        boxes: bool = True,
        **changes: Any,
    ) -> Row:
        """A game that was played, with box scores that add up; `changes` are to its row."""
        self.games += 1
        row = {
            "game_id": f"00{digit}25{self.games:05d}",
            "season": "2025-26",
            "game_date": day,
            "game_date_est": tip(day),
            "game_status": 3,
            "home_team_tricode": home,
            "away_team_tricode": away,
            "home_team_score": score[0],
            "away_team_score": score[1],
        }
        if boxes:
            for team, points in ((home, score[0]), (away, score[1])):
                self.boxes(day, team, points or 0)
        return self.add(SCHEDULE, **{**row, **changes})

    def ahead(self, day: date, home: str = "BOS", away: str = "NYK", **changes: Any) -> Row:
        """A game that is still to be played."""
        return self.game(
            day, home, away, (None, None), boxes=False, **{"game_status": 1, **changes}
        )

    def boxes(self, day: date, team: str, points: int) -> None:
        """Five players, 48 minutes each, whose points add up."""
        for n in range(PLAYERS):
            share = points // PLAYERS + (points % PLAYERS if n == 0 else 0)
            self.box(day, team, f"{team.lower()}{n}", share)

    def box(self, day: date, team: str | None, player: str | None, points: Any, **more: Any) -> Row:
        row = {
            "game_date": day,
            "team_abbr": team,
            "player_lookup": player,
            "player_name": player,
            "player_status": "active",
            "minutes_decimal": 48.0,
            "points": points,
            "field_goals_made": 4,
            "field_goals_attempted": 10,
            "free_throws_attempted": 2,
            "offensive_rebounds": 1,
            "turnovers": 1,
        }
        return self.add(GAMEBOOK, **{**row, **more})

    def prop(
        self, day: date, line: float, player: str = "bos0", hour: float = 20, **more: Any
    ) -> None:
        """A points line at the Odds API with both prices at even odds."""
        row = {
            "game_date": day,
            "snapshot_timestamp": at(day, hour),
            "game_start_time": tip(day),
            "home_team_abbr": "BOS",
            "away_team_abbr": "NYK",
            "bookmaker": "draftkings",
            "player_lookup": player,
            "points_line": line,
            "over_price": 1.9,
            "under_price": 1.9,
        }
        self.add(PROPS, **{**row, **more})

    def pro(self, day: date, line: float, player: str = "bos0", **more: Any) -> None:
        """Both sides of a points line at BettingPros."""
        for side in ("over", "under"):
            row = {
                "game_date": day,
                "market_type": "points",
                "bet_side": side,
                "player_lookup": player,
                "bookmaker": "DraftKings",
                "points_line": line,
                "odds_american": -110,
                "bookmaker_last_update": at(day, 20),
            }
            self.add(BETTINGPROS, **{**row, **more})

    def line(self, day: date, name: str, point: float, hour: float = 20, **more: Any) -> None:
        """One outcome of a market of Boston against New York."""
        row = {
            "game_date": day,
            "snapshot_timestamp": at(day, hour),
            "commence_time": tip(day),
            "home_team": "Boston Celtics",
            "away_team": "New York Knicks",
            "home_team_abbr": "BOS",
            "away_team_abbr": "NYK",
            "bookmaker_key": "draftkings",
            "market_key": "totals" if name.strip().lower() in ("over", "under") else "spreads",
            "outcome_name": name,
            "outcome_point": point,
            "outcome_price": 1.9,
        }
        self.add(LINES, **{**row, **more})

    def report(self, day: date, player: str | None, status: str | None, **more: Any) -> None:
        """A player on Boston's report of an hour before tip-off."""
        row = {
            "game_date": day,
            "report_timestamp": tip(day) - timedelta(hours=1),
            "team": "BOS",
            "player_lookup": player,
            "injury_status": status,
        }
        self.add(INJURIES, **{**row, **more})

    def alias(self, spelling: str, player: str, **scope: str) -> None:
        self.add(ALIASES, alias_lookup=spelling, player_lookup=player, **scope)

    def reference(self, **options: Any) -> Reference:
        return Reference(self.tables, **options)

    def rows(self, day: date, **options: Any) -> dict[str, Row]:
        """The rows of a date by player; it must be fit to be published."""
        one = self.reference(**options).day(day)
        assert one.quarantined is None
        return {row["player_lookup"]: row for row in one.rows}

    def row(self, day: date, player: str = "bos0", **options: Any) -> Row:
        return self.rows(day, **options)[player]


def opened(days: int = 1) -> Tiny:
    """Boston against New York on opening night and on the days after it."""
    tiny = Tiny()
    for n in range(days):
        tiny.game(on(n))
    return tiny
