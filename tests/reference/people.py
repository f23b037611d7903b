"""Ages from the registry. Domain rules, section 5 (Player)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from tests.reference.aliases import Resolve
from tests.reference.games import season_of_label
from tests.reference.rows import Row, grouped, settle


def birth_dates(rows: Iterable[Row], resolve: Resolve) -> dict[str, dict[str, date]]:
    """The known birth dates of a player, by season; one that rows disagree on is unknown."""
    found: dict[str, dict[str, date]] = {}
    for (season, player), group in grouped(
        rows,
        lambda r: (
            season_of_label(r["season"]) or r["season"],
            resolve(r.get("player_lookup"), None, season_of_label(r["season"]) or r["season"]),
        ),
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
