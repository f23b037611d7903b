"""Who played: the gamebook, settled and joined to its games."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tests.reference.rows import Row, grouped, settle
from tests.reference.schedule import Game, Schedule

USED = (
    "player_name",
    "team_abbr",
    "player_status",
    "minutes_decimal",
    "points",
    "field_goals_made",
    "field_goals_attempted",
    "free_throws_attempted",
    "offensive_rebounds",
    "turnovers",
)


@dataclass(frozen=True)
class Box:
    """One player in one game."""

    day: date
    game: Game
    player: str
    name: str | None
    team: str
    status: str | None
    minutes: float | None
    points: int | None
    fgm: int | None
    fga: int | None
    fta: int | None
    oreb: int | None
    tov: int | None

    @property
    def opponent(self) -> str:
        return self.game.other(self.team)

    @property
    def played(self) -> bool:
        if self.status != "active":
            return False
        if self.minutes is not None and self.minutes > 0:
            return True
        if self.points is not None and self.points > 0:
            return True
        return self.minutes is None and self.points is not None


class Boxes:
    """Every gamebook row that belongs to a counting game."""

    def __init__(self, rows: Iterable[Row], schedule: Schedule) -> None:
        self.quarantined: dict[date, list[str]] = defaultdict(list)
        self.of_player: dict[str, list[Box]] = defaultdict(list)
        self.of_team: dict[tuple[date, str], list[Box]] = defaultdict(list)
        self.on_day: dict[date, list[Box]] = defaultdict(list)
        named = (row for row in rows if row.get("player_lookup") is not None)
        for (day, player), group in grouped(
            named, lambda r: (r["game_date"], r["player_lookup"])
        ).items():
            row, disagree = settle(group, USED)
            if disagree:
                self.quarantined[day].append(
                    f"nba_raw.nbac_gamebook_player_stats: {player} disagrees on {disagree}"
                )
            game = schedule.game_of(row.get("team_abbr"), day)
            if game is None:
                continue
            box = Box(
                day=day,
                game=game,
                player=player,
                name=row.get("player_name"),
                team=row["team_abbr"],
                status=row.get("player_status"),
                minutes=row.get("minutes_decimal"),
                points=row.get("points"),
                fgm=row.get("field_goals_made"),
                fga=row.get("field_goals_attempted"),
                fta=row.get("free_throws_attempted"),
                oreb=row.get("offensive_rebounds"),
                tov=row.get("turnovers"),
            )
            self.of_player[player].append(box)
            self.of_team[day, box.team].append(box)
            self.on_day[day].append(box)

    def side(self, game: Game, team: str) -> list[Box]:
        """The rows of one team of a game."""
        return [box for box in self.of_team.get((game.day, team), []) if box.game is game]

    def of_game(self, game: Game) -> list[Box]:
        """All rows of a game, of both teams."""
        return self.side(game, game.home) + self.side(game, game.away)

    def history(self, player: str, season: str | None, day: date) -> list[Box]:
        """H: the player's played games of the season before a day, newest first."""
        games = [
            box
            for box in self.of_player.get(player, [])
            if box.day < day and box.game.season == season and box.played
        ]
        return sorted(games, key=lambda box: box.day, reverse=True)
