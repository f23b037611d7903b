"""Who played: the gamebook, settled and joined to its games. Domain rules, sections 1 and 5."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tests.reference.aliases import Aliases
from tests.reference.games import Game
from tests.reference.rows import Row, distinct, grouped, known, latest_scrape, settle
from tests.reference.schedule import Schedule

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
TOO_MANY_POINTS_OF_NO_MINUTE = 5
STRAY_PLAYERS = 5
ROSTER_DAYS = 30


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


def teams_with_rows(rows: Iterable[Row]) -> set[tuple[date, str]]:
    """The teams that have gamebook rows on a date."""
    return {
        (row["game_date"], row["team_abbr"])
        for row in rows
        if row.get("team_abbr") is not None and row.get("player_lookup") is not None
    }


def no_zero_minutes(side: list[Box]) -> list[Box]:
    """The rows of a team in a game without the minutes that cannot be."""
    active = [box for box in side if box.status == "active"]
    if active and all(box.minutes == 0 for box in active):
        return [replace(box, minutes=None) if box.status == "active" else box for box in side]
    return [
        replace(box, minutes=None)
        if box.minutes == 0 and (box.points or 0) > TOO_MANY_POINTS_OF_NO_MINUTE
        else box
        for box in side
    ]


class Boxes:
    """Every gamebook row that belongs to a counting game that is not off."""

    def __init__(self, rows: Iterable[Row], schedule: Schedule, aliases: Aliases) -> None:
        self.schedule = schedule
        self.disagreeing: dict[date, dict[str, list[str]]] = defaultdict(dict)
        self.doubted: set[tuple[date, str]] = set()
        sides: dict[tuple[date, str], list[Box]] = defaultdict(list)
        elsewhere: dict[tuple[date, str], set[str]] = defaultdict(set)
        by_player = grouped(rows, lambda r: (r["game_date"], aliases.in_gamebook(r)))
        for (day, player), group in by_player.items():
            if player is None:
                continue
            row = self._settled(day, player, group)
            team = row.get("team_abbr")
            game = schedule.game_of(team, day)
            if game is not None:
                sides[day, team].append(box_of(row, player, game))
            elif team is not None:
                elsewhere[day, team].add(player)
        self.of_player: dict[str, list[Box]] = defaultdict(list)
        self.of_team: dict[tuple[date, str], list[Box]] = {}
        self.on_day: dict[date, list[Box]] = defaultdict(list)
        for (day, team), side in sides.items():
            self.of_team[day, team] = no_zero_minutes(side)
            for box in self.of_team[day, team]:
                self.of_player[box.player].append(box)
                self.on_day[day].append(box)
        counting = [b for of in self.of_player.values() for b in of if b.game.played and b.played]
        counting.sort(key=lambda box: box.day, reverse=True)
        self.played = grouped(counting, lambda box: (box.player, box.game.season))
        self.strays = self._strays(elsewhere)
        self.whole: set[tuple[date, str]] = {
            (game.day, team)
            for game in schedule.games
            for team in game.teams
            if self._is_complete(game, team)
        }

    def _settled(self, day: date, player: str, group: list[Row]) -> Row:
        """One row for a player and date; what its rows disagree on is unknown."""
        row, disagree = settle(group, USED)
        if disagree:
            self.disagreeing[day][player] = disagree
            for one in distinct(latest_scrape(group), USED):
                self.doubted.add((day, one.get("team_abbr")))
        return row

    def _strays(
        self, elsewhere: dict[tuple[date, str], set[str]]
    ) -> dict[tuple[str, str], list[date]]:
        """By (season, team): dates since its start with rows of 5 players and without a game."""
        strays: dict[tuple[str, str], list[date]] = defaultdict(list)
        for (day, team), players in sorted(elsewhere.items()):
            season = self.schedule.season_on(day)
            if (
                season is not None
                and team in self.schedule.teams
                and (day, team) not in self.schedule.exhibitions
                and len(players) >= STRAY_PLAYERS
            ):
                strays[season, team].append(day)
        return strays

    def side(self, game: Game, team: str) -> list[Box]:
        """The rows of one team of a game."""
        return self.of_team.get((game.day, team), [])

    def of_game(self, game: Game) -> list[Box]:
        """All rows of a game, of both teams."""
        return self.side(game, game.home) + self.side(game, game.away)

    def history(self, player: str, season: str | None, day: date) -> list[Box]:
        """H: the player's played rows in played games of the season before a day, newest first."""
        return [box for box in self.played.get((player, season), []) if box.day < day]

    def latest(self, player: str, day: date) -> Box | None:
        """The player's latest row within the 30 days before a day."""
        rows = [
            box
            for box in self.of_player.get(player, [])
            if day - timedelta(ROSTER_DAYS) <= box.day < day
        ]
        return max(rows, key=lambda box: box.day, default=None)

    # Complete box scores --------------------------------------------------------

    def known_points(self, game: Game, team: str) -> int:
        """What the known points of the team's rows sum to."""
        return sum(known(box.points for box in self.side(game, team)))

    def complete(self, game: Game, team: str) -> bool:
        """Whether a team's box score of a game is complete."""
        return (game.day, team) in self.whole

    def _is_complete(self, game: Game, team: str) -> bool:
        """Played, with rows that all agree and whose known points sum to a usable score."""
        if not game.played or not self.side(game, team):
            return False
        if (game.day, team) in self.doubted or game.scores_disagree:
            return False
        score = game.score_of(team)
        return score is None or self.known_points(game, team) == score

    def strays_before(self, team: str, season: str, day: date) -> list[date]:
        """The team's stray dates of the season before a day."""
        return [stray for stray in self.strays.get((season, team), []) if stray < day]

    def missing(self, team: str, season: str, day: date) -> int:
        """How many box scores of the team's season before a day are missing."""
        games = self.schedule.before(team, season, day)
        incomplete = sum(not self.complete(game, team) for game in games)
        return incomplete + len(self.strays_before(team, season, day))


def box_of(row: Row, player: str, game: Game) -> Box:
    """A settled row of the gamebook in its game."""
    return Box(
        day=game.day,
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
