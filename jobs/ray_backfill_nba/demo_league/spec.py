"""What a league is made from. Equal specs make equal leagues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ray_backfill.errors import UsageError
from ray_backfill.job.calendar import DateRange
from ray_backfill_nba.demo_league.names import TEAMS

__all__ = ["FAULTS", "LeagueSpec", "season_name"]

FAULTS = {
    "called_off": "games with a status of their own, and without box scores",
    "cut_off": "box scores without four of the players",
    "doubtful_aliases": "aliases that mean two players",
    "early_games": "a lone game that is called regular, weeks before the season",
    "empty_texts": "empty texts where nothing is known",
    "feed_times": "tip-offs of the odds feed off by hours or a day",
    "late_scrapes": "scrapes of finals that know less than earlier ones",
    "missing_sides": "box scores of one team alone",
    "nameless_reports": "rows of injury reports without a player",
    "no_codes": "lines that name the teams and give no code",
    "no_kinds": "games without season type and flags",
    "no_minutes": "box scores without minutes and attempts",
    "no_status": "finals without a status",
    "one_sided_lines": "lines with one price beside those with two",
    "renamed_players": "players who stand in the gamebook under an alias for a month",
    "scoreless_finals": "finals without scores, whose box scores are there",
    "season_labels": "labels of seasons other than the ids say",
    "spellings": "names in capitals, in lower case and between blanks",
    "split_prices": "the two prices of a line in two rows",
    "stuck_games": "games that stay scheduled or live, some without box scores",
    "teamless_reports": "rows of injury reports without a team",
    "tipoffs": "tip-offs of the schedule at midnight or by the clock of the East",
    "two_games": "a second game of a team on one date",
    "uniform_lines": "dates on which a book says the same of every player",
    "unknown_statuses": "statuses that no injury report has",
    "unplayed_finals": "finals at 0-0 without box scores",
    "unusable_lines": "lines of 0, and others that cannot be",
    "wrong_dates": "box scores filed a day late",
    "zero_minutes": "0 minutes for people who played, or for a whole team",
}
"""What can be switched on besides, and what it is."""


@dataclass(frozen=True, slots=True)
class LeagueSpec:
    """A made-up league.

    `seasons` seasons from `first_season` on (2024 is 2024-25), each of `games` games a team.
    `scale` leagues play side by side, with teams of their own; `teams` is even and at most 30.
    `through`: the last day that has been played; later games are only scheduled. Lines of game
    dates in the month `withhold_lines` ('2025-11') are left out, and delivered by `late_lines`.
    `defects` off gives feeds without faults: each row once, one scrape, nothing missing.
    `conflict_date`: box scores of that date disagree, and nothing says which are right.
    `faults`: what else is wrong with the feeds, by names of `FAULTS`.
    """

    seed: int = 7
    first_season: int = 2024
    seasons: int = 2
    teams: int = 30
    games: int = 82
    roster: int = 15
    scale: int = 1
    through: date | None = None
    withhold_lines: str = ""
    preseason: bool = True
    playoffs: bool = True
    defects: bool = True
    conflict_date: date | None = None
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "faults", tuple(sorted(set(self.faults))))
        unknown = [name for name in self.faults if name not in FAULTS]
        if unknown:
            raise UsageError(
                f"No feed of a league can have the fault '{unknown[0]}'.",
                hint=f"Take some of {', '.join(FAULTS)}.",
            )
        limits = {
            "seasons": (1, 60),
            "teams": (2, len(TEAMS)),
            "games": (1, 82),
            "roster": (8, 20),
            "scale": (1, 1000),
            "first_season": (1950, 2200),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(
                    f"A league with {name}={value} cannot be made.",
                    hint=f"Take {name} from {low} to {high}.",
                )
        if self.teams % 2:
            raise UsageError(
                f"A league of {self.teams} teams cannot be made: on a full day one would be idle.",
                hint="Take an even number of teams.",
            )
        _ = self.withheld

    @property
    def years(self) -> range:
        """The years in which the seasons begin."""
        return range(self.first_season, self.first_season + self.seasons)

    @property
    def withheld(self) -> DateRange | None:
        """The game dates whose lines come late."""
        if not self.withhold_lines:
            return None
        try:
            start = date.fromisoformat(f"{self.withhold_lines}-01")
        except ValueError:
            raise UsageError(
                f"'{self.withhold_lines}' is not a month.", hint="Write it like 2025-11."
            ) from None
        return DateRange(start, (start + timedelta(32)).replace(day=1))

    @property
    def now(self) -> datetime | None:
        """The moment up to which anything is known: noon after the last played day."""
        if self.through is None:
            return None
        day = self.through + timedelta(1)
        return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def season_name(year: int) -> str:
    """Like '2025-26' for 2025."""
    return f"{year}-{(year + 1) % 100:02d}"
