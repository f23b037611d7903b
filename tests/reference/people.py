"""Spellings and ages: player aliases and the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from tests.reference.rows import Row, grouped, settle

Resolve = Callable[[str | None], str | None]


def aliases(rows: Iterable[Row]) -> dict[str, str]:
    """Whom an alias means; one that means several people means nobody."""
    targets: dict[str, set[str]] = {}
    for row in rows:
        targets.setdefault(row["alias_lookup"], set()).add(row["player_lookup"])
    return {alias: min(people) for alias, people in targets.items() if len(people) == 1}


def resolver(population: set[str], known_aliases: dict[str, str]) -> Resolve:
    """Replaces a spelling that is nobody of the population by the one that the alias means."""

    def resolve(lookup: str | None) -> str | None:
        if lookup is None or lookup in population:
            return lookup
        return known_aliases.get(lookup, lookup)

    return resolve


def birth_dates(rows: Iterable[Row], resolve: Resolve) -> dict[str, dict[str, date]]:
    """The known birth dates of a player, by season."""
    found: dict[str, dict[str, date]] = {}
    for (season, player), group in grouped(
        rows, lambda r: (r["season"], resolve(r.get("player_lookup")))
    ).items():
        row, _ = settle(group, ("birth_date",))
        if player is not None and row.get("birth_date") is not None:
            found.setdefault(player, {})[season] = row["birth_date"]
    return found


def age(births: dict[str, date], season: str, day: date) -> int | None:
    """Completed years, from the season's birth date, else from the latest season that has one."""
    if not births:
        return None
    born = births.get(season, births[max(births)])
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
