"""The rows of a date, column group by column group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.reference.aliases import Aliases, Resolve
from tests.reference.boxes import Boxes, teams_with_rows
from tests.reference.form import form
from tests.reference.games import Game
from tests.reference.injuries import Report, injuries, reports, team_report
from tests.reference.lines import (
    BookLine,
    GameLine,
    PointsLine,
    books,
    game_line,
    game_lines,
    points_columns,
    points_line,
    uniform_books,
)
from tests.reference.load import history_gap, rest_and_load
from tests.reference.names import (
    ALIASES,
    BETTINGPROS,
    GAMEBOOK,
    INJURIES,
    LINES,
    LOCATIONS,
    PROPS,
    REGISTRY,
    SCHEDULE,
    read_all,
)
from tests.reference.people import age, birth_dates
from tests.reference.population import Member, absent, members, state
from tests.reference.quality import Circumstances, newest_complete, quality
from tests.reference.quotes import Book, points_quotes
from tests.reference.rows import Row
from tests.reference.schedule import Schedule
from tests.reference.team import Ratings, ahead_and_rest, ratings, team_and_opponent
from tests.reference.tipoffs import feed_tipoffs
from tests.reference.travel import arenas, travel

Tables = Mapping[str, list[Row]]
QUARANTINE, DROP_ROW = "quarantine", "drop_row"


@dataclass(frozen=True)
class ReferenceDay:
    """The rows of a date, why there are none, and why they must not be published."""

    rows: list[Row] = field(default_factory=list)
    state: str | None = None
    quarantined: str | None = None


@dataclass(frozen=True)
class Conflict:
    """Rows of one key that disagree; `player` is None for a row of the schedule."""

    table: str
    player: str | None
    text: str


@dataclass(frozen=True)
class Slate:
    """What all rows of a date are made from."""

    day: date
    people: list[Member]
    markets: dict[Game, tuple[GameLine, GameLine]]
    points: dict[str, dict[Book, BookLine]]
    uniform: set[Book]
    strength: dict[str, Ratings]
    reports: dict[str, Report | None]
    births: dict[str, dict[str, date]]


def reference_rows(
    tables: Tables, day: date, *, strict_known_at: bool = False, on_conflict: str = QUARANTINE
) -> ReferenceDay:
    """The rows of one date from raw rows over all dates."""
    return Reference(tables, strict_known_at=strict_known_at, on_conflict=on_conflict).day(day)


class Reference:
    """The raw tables, indexed once, and every date that can be computed from them."""

    def __init__(
        self, tables: Tables, *, strict_known_at: bool = False, on_conflict: str = QUARANTINE
    ) -> None:
        self.strict = strict_known_at
        self.on_conflict = on_conflict
        self.raw = read_all(tables)
        self.schedule = Schedule(
            self.raw[SCHEDULE],
            teams_with_rows(self.raw[GAMEBOOK]),
            feed_tipoffs(self.raw[LINES], self.raw[PROPS]),
        )
        self.aliases = Aliases(self.raw[ALIASES], self.raw[GAMEBOOK], self.schedule)
        self.boxes = Boxes(self.raw[GAMEBOOK], self.schedule, self.aliases)
        self.props = by_date(self.raw[PROPS])
        self.bettingpros = by_date(self.raw[BETTINGPROS])
        self.lines = by_date(self.raw[LINES])
        self.reports = by_date(self.raw[INJURIES])
        self.arenas = arenas(self.raw[LOCATIONS])

    def told(self, *, strict_known_at: bool = False, on_conflict: str = QUARANTINE) -> Reference:
        """The same tables under other options."""
        other = copy(self)
        other.strict, other.on_conflict = strict_known_at, on_conflict
        return other

    def state(self, day: date) -> tuple[str | None, int]:
        """Why a date is not due, and how many rows it has where it is."""
        people = members(day, self.schedule, self.boxes)
        what = state(day, self.schedule, people)
        return what, 0 if what else len(people)

    def absent_rows(self, day: date) -> int:
        """How many rows it would have besides, were its box scores whole."""
        due = self.state(day)[0] in (None, "blocked")
        return absent(day, self.schedule, self.boxes) if due else 0

    def day(self, day: date) -> ReferenceDay:
        """One date."""
        people = members(day, self.schedule, self.boxes)
        what = state(day, self.schedule, people)
        if what is not None:
            return ReferenceDay(state=what)
        slate = self.slate(day, people)
        conflicts = self.conflicts(slate)
        spoiled = [c for c in conflicts if c.player is None or self.on_conflict == QUARANTINE]
        dropped = {conflict.player for conflict in conflicts}
        return ReferenceDay(
            rows=[self.row(one, slate) for one in people if one.player not in dropped],
            quarantined="; ".join(conflict.text for conflict in spoiled) or None,
        )

    def slate(self, day: date, people: list[Member]) -> Slate:
        """Everything that the rows of a date share."""
        games = {member.game for member in people}
        teams = {member.player: member.team for member in people}
        resolve = self.aliases.on(self.season_of(day), teams)
        lines = self.lines.get(day, [])
        points = {member.player: self.points(member, resolve) for member in people}
        return Slate(
            day=day,
            people=people,
            markets={
                game: (
                    game_line(lines, game, "spreads", self.strict),
                    game_line(lines, game, "totals", self.strict),
                )
                for game in games
            },
            points=points,
            uniform=uniform_books(points.values()),
            strength={
                team: ratings(team, game.season, day, self.schedule, self.boxes)
                for game in games
                for team in game.teams
            },
            reports=self.team_reports(day, teams, resolve),
            births=birth_dates(self.raw[REGISTRY], resolve),
        )

    def season_of(self, day: date) -> str:
        return self.schedule.on_day[day][0].season

    def points(self, member: Member, resolve: Resolve) -> dict[Book, BookLine]:
        """The points line of every book for a player."""
        day = member.game.day
        quotes = points_quotes(
            self.props.get(day, []),
            self.bettingpros.get(day, []),
            member.player,
            member.team,
            member.game,
            resolve,
        )
        return books(quotes, self.strict, two_sided=True)

    def team_reports(
        self, day: date, teams: Mapping[str, str], resolve: Resolve
    ) -> dict[str, Report | None]:
        """The deciding report of every team that plays."""
        rows = reports(self.reports.get(day, []), day, teams, self.boxes, resolve)
        return {
            team: team_report(rows, team, game)
            for game in self.schedule.on_day[day]
            for team in game.teams
        }

    def conflicts(self, slate: Slate) -> list[Conflict]:
        """The keys of the date whose rows disagree, of the tables that it is made from."""
        found = [
            Conflict(SCHEDULE, None, f"{SCHEDULE}: {game.away} at {game.home}: {game.disagree}")
            for game in self.schedule.on_day[slate.day]
            if game.disagree
        ]
        found += [
            Conflict(GAMEBOOK, player, f"{GAMEBOOK}: {player}: {columns}")
            for player, columns in self.boxes.disagreeing.get(slate.day, {}).items()
        ]
        found += [
            Conflict(INJURIES, player, f"{INJURIES}: {player}: {columns}")
            for report in slate.reports.values()
            if report is not None
            for player, columns in report.disagreeing.items()
        ]
        return found

    def row(self, member: Member, slate: Slate) -> Row:
        """One player."""
        game, player, team, opponent = member.game, member.player, member.team, member.opponent
        day, season = game.day, game.season
        schedule, boxes = self.schedule, self.boxes
        history = boxes.history(player, season, day)
        gap = history_gap(team, season, day, schedule, boxes)
        points = points_line(slate.points[player])
        spread, total = slate.markets[game]
        report = slate.reports.get(team)
        row: dict[str, Any] = {
            **identity(member),
            **points_columns(points, history),
            **game_lines(spread, total, team == game.home),
            **rest_and_load(history, day, gap),
            **form(player, opponent, season, day, schedule, boxes),
            **team_and_opponent(
                slate.strength[team], slate.strength[opponent], team, opponent, game, schedule
            ),
            **ahead_and_rest(team, opponent, game, schedule),
            **travel(team, game, season, schedule, self.arenas),
            "player_age": age(slate.births.get(player, {}), season, day),
            **injuries(player, report, season, day, boxes),
        }
        return row | quality(
            row,
            Circumstances(
                game=game,
                history=history,
                gap=gap,
                untimed_line=points.untimed or spread.untimed or total.untimed,
                uniform_line=is_uniform(points, slate.uniform),
                report_at=report.at if report else None,
                missing=boxes.missing(team, season, day),
                newest_complete=newest_complete(team, season, day, schedule, boxes),
            ),
        )


def identity(member: Member) -> dict[str, Any]:
    """Every column of the group."""
    game = member.game
    return {
        "game_date": game.day,
        "game_id": f"{game.day:%Y%m%d}_{game.away}_{game.home}",
        "nba_game_id": game.game_id,
        "season": game.season,
        "season_type": game.season_type,
        "season_phase": game.phase,
        "tipoff_at": game.tipoff,
        "player_lookup": member.player,
        "player_name": member.name,
        "team_abbr": member.team,
        "opponent_team_abbr": member.opponent,
        "home_game": member.team == game.home,
        "population": member.population,
    }


def is_uniform(points: PointsLine, uniform: set[Book]) -> bool:
    """Whether the line is one of a book that says the same of everybody."""
    return points.book is not None and points.book in uniform


def by_date(rows: list[Row]) -> dict[date, list[Row]]:
    dates: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        dates[row["game_date"]].append(row)
    return dates
