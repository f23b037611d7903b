"""Which games there are: the schedule, scraped many times, settled. Domain rules, section 1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise

from tests.reference.games import (
    Game,
    interpreted,
    never_counts,
    state_of,
)
from tests.reference.rows import Row, grouped, known, latest_scrape, settle
from tests.reference.tipoffs import Key, tipoff

STATED = (
    "game_id",
    "season",
    "game_date_est",
    "game_status",
    "season_type",
    "is_regular_season",
    "is_playoffs",
    "neutral_site_flag",
    "home_team_score",
    "away_team_score",
)
USED = (
    "game_id",
    "season_name",
    "game_date_est",
    "game_status",
    "season_type",
    "kind",
    "regular",
    "neutral",
    "home_team_score",
    "away_team_score",
)
"""What rows of one game must agree on: what follows from a column, not how it is written."""
STAND_FIRST = {"played": 0, "open": 1, "overdue": 1, "off": 2}
SEASON_GOES_ON = timedelta(7)


def of_one_game(rows: list[Row]) -> tuple[Row, tuple[str, ...]]:
    """One row for rows of one (date, home, away), and the columns that nothing decides.

    A played one, then the latest scrape, then the highest status.
    """
    rows = latest_scrape([row for row in rows if row["played"]] or rows)
    status = max(known(row["game_status"] for row in rows), default=None)
    rows = [row for row in rows if row["game_status"] == status]
    row, _ = settle(rows, STATED)
    _, disagree = settle(rows, USED)
    return {**interpreted(row, False), "played": row["played"]}, tuple(disagree)


def of_one_id(games: list[Game]) -> list[Game]:
    """The games that stand for one id: on its date that was played, is open, or is later."""
    first = min(STAND_FIRST[game.state] for game in games)
    day = max(game.day for game in games if STAND_FIRST[game.state] == first)
    return [game for game in games if game.day == day]


def of_one_date(games: list[Game]) -> tuple[list[Game], list[Game]]:
    """The games of a date with each team once, and those that a better one keeps out."""
    kept: list[Game] = []
    out: list[Game] = []
    for game in sorted(games, key=lambda g: (STAND_FIRST[g.state], g.home, g.away)):
        taken = any(other.has(team) for other in kept for team in game.teams)
        (out if taken else kept).append(game)
    return kept, out


def season_start(days: Iterable[date]) -> date:
    """The first date with a game that is followed by another one within a week. Section 6."""
    ordered = sorted(set(days))
    for day, following in pairwise(ordered):
        if following - day <= SEASON_GOES_ON:
            return day
    return ordered[0]


class Schedule:
    """The counting games of all seasons that are not off; the others beside them."""

    def __init__(
        self,
        rows: Iterable[Row],
        rows_of_teams: set[tuple[date, str]],
        feed: Mapping[Key, datetime],
    ) -> None:
        """`rows_of_teams`: the (date, team) that have gamebook rows. `feed`: its tip-offs."""
        settled = self._settled(rows, rows_of_teams)
        self.exhibitions = {
            (row["game_date"], team)
            for row, _ in settled
            if never_counts(row["kind"], row["game_id"])
            for team in (row["home_team_tricode"], row["away_team_tricode"])
        }
        counting = [one for one in settled if not never_counts(one[0]["kind"], one[0]["game_id"])]
        self.newest_played: date | None = max(
            (row["game_date"] for row, _ in counting if row["played"]), default=None
        )
        games = self._standing([self._game(row, out, feed) for row, out in counting])
        regular = grouped((g for g in games if g.regular and not g.off), lambda g: g.season)
        self.starts = {
            season: season_start(game.day for game in of) for season, of in regular.items()
        }
        games = [g for g in games if g.season in self.starts and g.day >= self.starts[g.season]]
        self.off = [game for game in games if game.off]
        self.games = sorted(
            (game for game in games if not game.off), key=lambda g: (g.day, g.home, g.away)
        )
        self._index()

    @staticmethod
    def _settled(
        rows: Iterable[Row], rows_of_teams: set[tuple[date, str]]
    ) -> list[tuple[Row, tuple[str, ...]]]:
        """One row a (date, home, away), with the columns on which its rows disagree."""
        found = []
        for row in rows:
            day, home, away = row["game_date"], row["home_team_tricode"], row["away_team_tricode"]
            if home is not None and away is not None:
                both = {(day, home), (day, away)} <= rows_of_teams
                found.append(interpreted(row, both))
        by_game = grouped(
            found, lambda r: (r["game_date"], r["home_team_tricode"], r["away_team_tricode"])
        )
        return [of_one_game(group) for group in by_game.values()]

    def _game(self, row: Row, disagree: tuple[str, ...], feed: Mapping[Key, datetime]) -> Game:
        day, home, away = row["game_date"], row["home_team_tricode"], row["away_team_tricode"]
        stated = row.get("game_date_est")
        time, disputed = tipoff(stated, feed.get((day, home, away)), day)
        kind = row["kind"]
        return Game(
            day=day,
            home=home,
            away=away,
            game_id=row["game_id"],
            season=row["season_name"],
            stated_tipoff=stated,
            tipoff=time,
            tipoff_disputed=disputed,
            status=row["game_status"],
            state=state_of(row["played"], row["game_status"], day, self.newest_played),
            season_type=row.get("season_type") or kind,
            kind=kind,
            regular=row["regular"],
            neutral=row["neutral"],
            home_score=row.get("home_team_score"),
            away_score=row.get("away_team_score"),
            disagree=disagree,
        )

    def _standing(self, games: list[Game]) -> list[Game]:
        """An id on one date only, and a team once a date; `kept_out` are the others."""
        nameless = [game for game in games if game.game_id is None]
        of_ids = grouped((g for g in games if g.game_id is not None), lambda g: g.game_id)
        standing = nameless + [game for group in of_ids.values() for game in of_one_id(group)]
        result = []
        self.kept_out: list[Game] = []
        for group in grouped(standing, lambda g: g.day).values():
            kept, out = of_one_date(group)
            result += kept
            self.kept_out += out
        return result

    def _index(self) -> None:
        self.ends: dict[str, date] = {}
        self.on_day: dict[date, list[Game]] = defaultdict(list)
        self.of_team: dict[tuple[str, str], list[Game]] = defaultdict(list)
        for game in self.games:
            self.ends[game.season] = game.day + timedelta(1)
            self.on_day[game.day].append(game)
            for team in game.teams:
                self.of_team[game.season, team].append(game)
        self.teams = {team for game in self.games + self.off for team in game.teams}

    def season_on(self, day: date) -> str | None:
        """The season that had started last on a day."""
        started = [season for season, start in self.starts.items() if start <= day]
        return max(started, key=lambda season: self.starts[season], default=None)

    def season_before(self, season: str) -> str | None:
        """The name of the season that comes before."""
        earlier = [s for s in self.starts if self.starts[s] < self.starts[season]]
        return max(earlier, key=lambda s: self.starts[s]) if earlier else None

    def game_of(self, team: str | None, day: date) -> Game | None:
        """The team's game on a day."""
        games = (game for game in self.on_day.get(day, []) if team is not None and game.has(team))
        return next(games, None)

    def before(self, team: str, season: str, day: date) -> list[Game]:
        """The team's games of the season before a day, played or not, newest first."""
        games = [game for game in self.of_team[season, team] if game.day < day]
        return sorted(games, key=lambda g: g.day, reverse=True)

    def regular_after(self, team: str, season: str, day: date, days: int) -> list[Game]:
        """The team's regular-season games in (day, day + days], soonest first."""
        return [
            game
            for game in self.of_team[season, team]
            if game.regular and day < game.day <= day + timedelta(days)
        ]

    def win_pct(self, team: str, season: str, day: date) -> float | None:
        """Wins over played games with a usable score before a day."""
        results = [game.won_by(team) for game in self.before(team, season, day)]
        results = [won for won in results if won is not None]
        return sum(results) / len(results) if results else None
