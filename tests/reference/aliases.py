"""Other spellings of players, and whom they mean. Domain rules, section 1 (Aliases)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from tests.reference.games import season_of_date, season_of_label
from tests.reference.rows import Row
from tests.reference.schedule import Schedule

Resolve = Callable[..., str | None]
"""Whom a lookup means, in a row of a team and a season (None: the row states none)."""


@dataclass(frozen=True, order=True)
class Alias:
    """One spelling; it holds only for rows of its team and season where it states them."""

    spelling: str
    player: str
    team: str | None
    season: str | None

    def holds(self, team: str | None, season: str | None) -> bool:
        return self.team in (None, team) and self.season in (None, season)


def season_of_day(schedule: Schedule, day: date) -> str:
    """The season that a date belongs to."""
    games = schedule.on_day.get(day)
    return games[0].season if games else season_of_date(day)


class Aliases:
    """All aliases, with those that are of two people."""

    def __init__(self, rows: Iterable[Row], gamebook: Iterable[Row], schedule: Schedule) -> None:
        self.schedule = schedule
        self.of: dict[str, list[Alias]] = defaultdict(list)
        for row in rows:
            spelling, player = row["alias_lookup"], row["player_lookup"]
            if spelling is None or player is None or spelling == player:
                continue
            label = row.get("season")
            alias = Alias(spelling, player, row.get("team_abbr"), season_of_label(label) or label)
            if alias not in self.of[spelling]:
                self.of[spelling].append(alias)
        self.two_people = self._two_people(gamebook)

    def _two_people(self, gamebook: Iterable[Row]) -> set[Alias]:
        """Aliases whose own rows stand in the gamebook on a date of the player meant."""
        meant = {alias.player for group in self.of.values() for alias in group}
        dates: dict[str, set[date]] = defaultdict(set)
        own: dict[Alias, set[date]] = defaultdict(set)
        for row in gamebook:
            lookup, day = row.get("player_lookup"), row["game_date"]
            if lookup in meant:
                dates[lookup].add(day)
            for alias in self.of.get(lookup, []):
                if alias.holds(row.get("team_abbr"), season_of_day(self.schedule, day)):
                    own[alias].add(day)
        return {alias for alias in own if own[alias] & dates[alias.player]}

    def _meant(self, lookup: str, holding: list[Alias]) -> str:
        """The one player that the aliases mean, else the lookup itself."""
        players = {alias.player for alias in holding}
        if len(players) != 1 or set(holding) & self.two_people:
            return lookup
        return players.pop()

    def in_gamebook(self, row: Row) -> str | None:
        """Whom a row of the gamebook is of."""
        lookup = row.get("player_lookup")
        if lookup not in self.of:
            return lookup
        season = season_of_day(self.schedule, row["game_date"])
        return self._meant(
            lookup, [a for a in self.of[lookup] if a.holds(row.get("team_abbr"), season)]
        )

    def on(self, season: str, population: Mapping[str, str]) -> Resolve:
        """Whom lookups of other tables mean on a date; `population`: its players' teams."""

        def resolve(lookup: str | None, team: str | None, of_row: str | None = None) -> str | None:
            if lookup is None or lookup in population or lookup not in self.of:
                return lookup
            holding = [
                alias
                for alias in self.of[lookup]
                if alias.holds(team or population.get(alias.player), of_row or season)
            ]
            return self._meant(lookup, holding)

        return resolve
