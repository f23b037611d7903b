"""Which games there are: the schedule, scraped many times, settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tests.reference.rows import Row, grouped, latest_scrape, letters, settle

NOT_COUNTING = {"preseason", "allstar", "allstargame", "risingstars"}
FINAL = 3
USED = (
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


@dataclass(frozen=True)
class Game:
    """One game, as the schedule has it after settling."""

    day: date
    home: str
    away: str
    game_id: str | None
    season: str | None
    tipoff: datetime | None
    status: int
    season_type: str | None
    regular: bool | None
    playoffs_flag: bool | None
    neutral: bool | None
    home_score: int | None
    away_score: int | None

    def has(self, team: str) -> bool:
        return team in (self.home, self.away)

    def other(self, team: str) -> str:
        return self.away if team == self.home else self.home

    @property
    def final(self) -> bool:
        return self.status == FINAL

    @property
    def play_in(self) -> bool:
        return letters(self.season_type).startswith("playin")

    @property
    def playoffs(self) -> bool:
        return self.playoffs_flag is True or letters(self.season_type) == "playoffs"

    @property
    def after_season(self) -> bool:
        """Whether the game is a play-in or a playoff game."""
        return self.play_in or self.playoffs

    @property
    def phase(self) -> str:
        if self.after_season:
            return "playoffs"
        if self.day.month in (10, 11):
            return "early"
        if self.day.month in (12, 1, 2):
            return "mid"
        return "late"

    def won_by(self, team: str) -> bool | None:
        """Whether `team` won; None where there is no final score."""
        if not self.final or self.home_score is None or self.away_score is None:
            return None
        margin = self.home_score - self.away_score
        return margin > 0 if team == self.home else margin < 0


def counts(row: Row) -> bool:
    """Whether a schedule row is of a game that counts for anything."""
    if letters(row.get("season_type")) in NOT_COUNTING:
        return False
    return not row["game_id"].startswith(("001", "003"))


def of_one_game_id(rows: list[Row]) -> list[Row]:
    """The rows that stand for a game id: highest status, then later date, then latest scrape."""
    status = max(row["game_status"] for row in rows)
    rows = [row for row in rows if row["game_status"] == status]
    day = max(row["game_date"] for row in rows)
    return latest_scrape([row for row in rows if row["game_date"] == day])


class Schedule:
    """The counting games of all seasons."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.quarantined: dict[date, list[str]] = defaultdict(list)
        standing: list[Row] = []
        for group in grouped(filter(counts, rows), lambda r: r["game_id"]).values():
            standing += of_one_game_id(group)
        games = []
        by_game = grouped(
            standing,
            lambda r: (r["game_date"], r["home_team_tricode"], r["away_team_tricode"]),
        )
        for (day, home, away), group in by_game.items():
            status = max(row["game_status"] for row in group)
            row, disagree = settle([r for r in group if r["game_status"] == status], USED)
            if disagree:
                self.quarantined[day].append(
                    f"nba_raw.nbac_schedule: {away} at {home} disagrees on {disagree}"
                )
            games.append(
                Game(
                    day=day,
                    home=home,
                    away=away,
                    game_id=row["game_id"],
                    season=row["season"],
                    tipoff=row.get("game_date_est"),
                    status=row["game_status"],
                    season_type=row.get("season_type"),
                    regular=row.get("is_regular_season"),
                    playoffs_flag=row.get("is_playoffs"),
                    neutral=row.get("neutral_site_flag"),
                    home_score=row.get("home_team_score"),
                    away_score=row.get("away_team_score"),
                )
            )
        self.starts: dict[str, date] = {}
        for game in games:
            if game.regular is True and game.season is not None:
                first = self.starts.get(game.season, game.day)
                self.starts[game.season] = min(first, game.day)
        self.games = sorted(
            (g for g in games if g.season in self.starts and g.day >= self.starts[g.season]),
            key=lambda g: (g.day, g.home, g.away),
        )
        self.ends: dict[str, date] = {}
        for game in self.games:
            self.ends[game.season] = game.day + timedelta(1)
        self.on_day: dict[date, list[Game]] = defaultdict(list)
        self.of_team: dict[tuple[str, str], list[Game]] = defaultdict(list)
        for game in self.games:
            self.on_day[game.day].append(game)
            self.of_team[game.season, game.home].append(game)
            self.of_team[game.season, game.away].append(game)
        self.last_final = max((g.day for g in self.games if g.final), default=None)

    def season_before(self, season: str) -> str | None:
        """The name of the season that comes before."""
        earlier = [s for s in self.starts if self.starts[s] < self.starts[season]]
        return max(earlier, key=lambda s: self.starts[s]) if earlier else None

    def game_of(self, team: str | None, day: date) -> Game | None:
        """The team's game on a day: of two, the higher status, then the smaller name."""
        games = [game for game in self.on_day.get(day, []) if team is not None and game.has(team)]
        return min(games, key=lambda g: (-g.status, g.home, g.away)) if games else None

    def before(self, team: str, season: str, day: date) -> list[Game]:
        """The team's games of the season before a day, newest first."""
        games = [game for game in self.of_team[season, team] if game.day < day]
        return sorted(games, key=lambda g: g.day, reverse=True)

    def regular_after(self, team: str, season: str, day: date, days: int) -> list[Game]:
        """The team's regular-season games in (day, day + days], soonest first."""
        return [
            game
            for game in self.of_team[season, team]
            if game.regular is True and day < game.day <= day + timedelta(days)
        ]

    def win_pct(self, team: str, season: str, day: date) -> float | None:
        """Wins over games with a final score before a day."""
        results = [game.won_by(team) for game in self.before(team, season, day)]
        results = [won for won in results if won is not None]
        return sum(results) / len(results) if results else None
