"""The rows of a date, column group by column group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.reference.boxes import Boxes
from tests.reference.form import form
from tests.reference.injuries import Report, injuries, team_report
from tests.reference.lines import (
    GameLine,
    bettingpros_quotes,
    game_line,
    game_lines,
    odds_api_quotes,
    points_line,
)
from tests.reference.load import history_gap, rest_and_load
from tests.reference.people import Resolve, age, aliases, birth_dates, resolver
from tests.reference.population import Member, members, state
from tests.reference.rows import Row, known
from tests.reference.schedule import Schedule
from tests.reference.team import Ratings, ahead_and_rest, ratings, team_and_opponent
from tests.reference.travel import arenas, travel

Tables = Mapping[str, list[Row]]


@dataclass(frozen=True)
class ReferenceDay:
    """The rows of a date, why there are none, and why they must not be published."""

    rows: list[Row] = field(default_factory=list)
    state: str | None = None
    quarantined: str | None = None


def reference_rows(tables: Tables, day: date, *, strict_known_at: bool = False) -> ReferenceDay:
    """The rows of one date from raw rows over all dates."""
    return Reference(tables, strict_known_at=strict_known_at).day(day)


class Reference:
    """The raw tables, indexed once, and every date that can be computed from them."""

    def __init__(self, tables: Tables, *, strict_known_at: bool = False) -> None:
        self.strict = strict_known_at
        self.schedule = Schedule(tables.get("nba_raw.nbac_schedule", []))
        self.boxes = Boxes(tables.get("nba_raw.nbac_gamebook_player_stats", []), self.schedule)
        self.props = by_date(tables.get("nba_raw.odds_api_player_points_props", []))
        self.bettingpros = by_date(tables.get("nba_raw.bettingpros_player_points_props", []))
        self.lines = by_date(tables.get("nba_raw.odds_api_game_lines", []))
        self.reports = by_date(tables.get("nba_raw.nbac_injury_report", []))
        self.registry = tables.get("nba_reference.nba_players_registry", [])
        self.arenas = arenas(tables.get("nba_reference.team_locations", []))
        self.aliases = aliases(tables.get("nba_reference.player_aliases", []))

    def strictly(self) -> Reference:
        """The same tables, with lines that have no time left out."""
        other = copy(self)
        other.strict = True
        return other

    def state(self, day: date) -> tuple[str | None, int]:
        """Why a date is not due, and how many rows it has where it is."""
        people = members(day, self.schedule, self.boxes)
        what = state(day, self.schedule, people)
        return what, 0 if what else len(people)

    def day(self, day: date) -> ReferenceDay:
        """One date."""
        people = members(day, self.schedule, self.boxes)
        what = state(day, self.schedule, people)
        if what is not None:
            return ReferenceDay(state=what)
        resolve = resolver({member.player for member in people}, self.aliases)
        births = birth_dates(self.registry, resolve)
        reports = self.team_reports(day, resolve)
        markets = {
            game: (
                game_line(self.lines.get(day, []), game, "spreads", self.strict),
                game_line(self.lines.get(day, []), game, "totals", self.strict),
            )
            for game in {member.game for member in people}
        }
        strength = {
            team: ratings(team, game.season, day, self.schedule, self.boxes)
            for game in markets
            for team in (game.home, game.away)
        }
        rows = [
            self.row(
                member,
                *markets[member.game],
                strength,
                reports.get(member.team),
                births.get(member.player, {}),
                resolve,
            )
            for member in people
        ]
        trouble = [
            *self.schedule.quarantined.get(day, []),
            *self.boxes.quarantined.get(day, []),
            *(text for report in reports.values() if report for text in report.disagreeing),
        ]
        return ReferenceDay(rows=rows, quarantined="; ".join(trouble) or None)

    def team_reports(self, day: date, resolve: Resolve) -> dict[str, Report | None]:
        """The deciding report of every team that plays."""
        teams = {team for game in self.schedule.on_day[day] for team in (game.home, game.away)}
        return {
            team: team_report(
                self.reports.get(day, []), team, self.schedule.game_of(team, day), resolve
            )
            for team in teams
        }

    def row(
        self,
        member: Member,
        spread: GameLine,
        total: GameLine,
        strength: dict[str, Ratings],
        report: Report | None,
        births: dict[str, date],
        resolve: Resolve,
    ) -> Row:
        """One player."""
        game, player, team, opponent = member.game, member.player, member.team, member.opponent
        day, season = game.day, game.season
        schedule, boxes = self.schedule, self.boxes
        history = boxes.history(player, season, day)
        gap = history_gap(team, season, day, schedule, boxes)
        points, points_untimed = points_line(
            odds_api_quotes(self.props.get(day, []), player, team, game, resolve),
            bettingpros_quotes(self.bettingpros.get(day, []), player, game, resolve),
            history,
            self.strict,
        )
        row: dict[str, Any] = {
            "game_date": day,
            "game_id": f"{day:%Y%m%d}_{game.away}_{game.home}",
            "nba_game_id": game.game_id,
            "season": season,
            "season_type": game.season_type,
            "season_phase": game.phase,
            "tipoff_at": game.tipoff,
            "player_lookup": player,
            "player_name": member.name,
            "team_abbr": team,
            "opponent_team_abbr": opponent,
            "home_game": team == game.home,
            "population": member.population,
            **points,
            **game_lines(spread, total, team == game.home),
            **rest_and_load(history, day, gap),
            **form(player, opponent, season, day, schedule, boxes),
            **team_and_opponent(strength[team], strength[opponent], team, opponent, game, schedule),
            **ahead_and_rest(team, opponent, game, schedule),
            **travel(team, game, season, schedule, self.arenas),
            "player_age": age(births, season, day),
            **injuries(player, report, season, day, boxes),
        }
        untimed = points_untimed or spread.untimed or total.untimed
        row["data_quality_tier"] = tier(len(history))
        row["data_quality_issues"] = issues(row, len(history), gap, untimed, report is None)
        row["known_at_max"] = max(
            known(
                [
                    row["points_line_at"],
                    row["spread_at"],
                    row["total_at"],
                    report.at if report else None,
                ]
            ),
            default=None,
        )
        return row


def by_date(rows: list[Row]) -> dict[date, list[Row]]:
    dates: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        dates[row["game_date"]].append(row)
    return dates


def tier(games: int) -> str:
    if games >= 10:
        return "gold"
    return "silver" if games >= 5 else "bronze"


def issues(row: Row, games: int, gap: bool, untimed: bool, unreported: bool) -> list[str]:
    """What a reader of the row should know, in the order of the list."""
    spread, total = row["game_spread"], row["game_total"]
    flags = {
        "no_history": games == 0,
        "thin_history": games in (1, 2),
        "history_gap": gap,
        "no_tipoff": row["tipoff_at"] is None,
        "no_game_spread": spread is None,
        "no_game_total": total is None,
        "no_points_line": not row["has_prop_line"],
        "unstamped_line": untimed,
        "no_injury_report": unreported,
        "implausible_spread": spread is not None and abs(spread) > 30,
        "implausible_total": total is not None and not 150 <= total <= 300,
    }
    return [issue for issue, holds in flags.items() if holds]
