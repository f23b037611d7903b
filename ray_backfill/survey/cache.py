"""The digest cache of a job: one compressed JSON object in the warehouse.

Whatever is wrong with it (absent, cut short, of another version or shape) makes it empty.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, get_type_hints

from ray_backfill import untrusted
from ray_backfill.errors import WarehouseError
from ray_backfill.job import Calendar, DateState, Day
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Stamp
from ray_backfill.warehouse import Warehouse

__all__ = ["STAMPS", "Cache", "Digests", "Tokens"]

Tokens = Mapping[date | None, str]
"""Date (None for what has no dates) -> what its content goes by as long as it is the same."""

Digests = Mapping[date | None, str | None]
"""Date -> digest of its rows; None where it has none."""

_FORMAT = 3
_HINTS = get_type_hints(Stamp)
STAMPS = ",".join(_HINTS)
"""The header of a cache of stamps: all that is known of a date."""

_SHAPE = {
    "views?": {str: {"context": str, "views": {str: {str: (str, str | None)}}}},
    "calendar?": {
        "token": str,
        "seasons": [(str, date, date)],
        "days": [(date, str | None, str, int, [str], int)],
    },
    "stamps?": {date: {"token": str, **_HINTS}},
}


class Cache:
    """Digests by season, view and date, the calendar, and the output's stamps.

    Whoever puts something in says under which token, and has looked that it still holds after
    the reading: what was read while another wrote belongs to neither token.
    """

    def __init__(self, warehouse: Warehouse, key: str, header: str, data: dict[str, Any]) -> None:
        self._warehouse = warehouse
        self._key = key
        self._header = header
        self._data = data
        self._changed = False

    @classmethod
    def load(cls, warehouse: Warehouse, name: str, header: str) -> Cache:
        """The cache of a job; empty unless it was made under the same header (code, options)."""
        key = f"cache/{name.replace(':', '.')}.json.z"
        header = f"{_FORMAT}/{header}"
        kept = warehouse.get_object(key)
        data = untrusted.parsed(untrusted.inflated(kept))
        mine = data.get("header") == header
        good = mine and untrusted.shaped(data, _SHAPE) and _has_known_states(data)
        if kept and not good and (mine or not isinstance(data.get("header"), str)):
            untrusted.doubt(
                f"The cache {key} in {warehouse.uri} is of another shape: it counts as absent."
            )
        return cls(warehouse, key, header, data if good else {})

    def save(self) -> None:
        """Write it back if anything changed."""
        if self._changed:
            self._data["header"] = self._header
            text = json.dumps(self._data, separators=(",", ":"))
            # A lake that may only be read can be planned all the same, from its tables.
            with suppress(WarehouseError, OSError):
                self._warehouse.put_object(self._key, zlib.compress(text.encode(), 1))

    # -- view digests ----------------------------------------------------------------------
    def digests(self, season: str, context: str, view: str, tokens: Tokens) -> Digests:
        """What is known of the dates whose token is the one that their digest was made under.

        `context` is all that a view of the season may see beside rows: digests of another one
        are not known.
        """
        known = self._views(season, context).get(view, {})
        found = {day: known.get(str(day)) for day in tokens}
        return {day: kept[1] for day, kept in found.items() if kept and kept[0] == tokens[day]}

    def put_digests(
        self, season: str, context: str, view: str, tokens: Tokens, digests: Digests
    ) -> None:
        """Keep digests, each under the token of its date."""
        if digests:
            self._changed = True
            entries = {str(day): (tokens[day], digest) for day, digest in digests.items()}
            self._views(season, context).setdefault(view, {}).update(entries)

    def _views(self, season: str, context: str) -> dict[str, Any]:
        seasons = self._data.setdefault("views", {})
        if season not in seasons or seasons[season]["context"] != context:
            seasons[season] = {"context": context, "views": {}}
        found: dict[str, Any] = seasons[season]["views"]
        return found

    # -- calendar --------------------------------------------------------------------------
    def calendar(self, token: str) -> Calendar | None:
        """The calendar that was made under this token."""
        kept = self._data.get("calendar")
        if kept is None or kept["token"] != token:
            return None
        seasons = tuple(
            Season(n, date.fromisoformat(a), date.fromisoformat(b)) for n, a, b in kept["seasons"]
        )
        days = [
            Day(date.fromisoformat(d), DateState(s) if s else None, why, rows, tuple(notes), absent)
            for d, s, why, rows, notes, absent in kept["days"]
        ]
        return Calendar(seasons, {day.day: day for day in days})

    def put_calendar(self, token: str, calendar: Calendar) -> None:
        self._changed = True
        self._data["calendar"] = {
            "token": token,
            "seasons": [(s.name, str(s.start), str(s.end)) for s in calendar.seasons],
            "days": [
                (str(d.day), d.state, d.reason, d.expected_rows, d.notes, d.absent_rows)
                for d in calendar.days.values()
            ],
        }

    # -- stamps ----------------------------------------------------------------------------
    def stamps(self, tokens: Mapping[date, str]) -> tuple[dict[date, Stamp], list[date]]:
        """Stamps of the partitions that are as they were, and the dates that must be read."""
        kept = self._data.get("stamps", {})
        known: dict[date, Stamp] = {}
        for day, token in tokens.items():
            entry = kept.get(str(day))
            if entry and entry["token"] == token:
                at = entry["computed_at"]
                named = {name: entry[name] for name in _HINTS}
                named["computed_at"] = datetime.fromisoformat(at) if at else None
                known[day] = Stamp(**named)
        return known, [day for day in tokens if day not in known]

    def put_stamps(self, stamps: Mapping[date, Stamp], tokens: Mapping[date, str]) -> None:
        """Keep the stamps of the dates that have a token, and of no others."""
        self._changed = True
        self._data["stamps"] = {
            str(day): {
                **asdict(stamp),
                "computed_at": stamp.computed_at.isoformat() if stamp.computed_at else None,
                "token": tokens[day],
            }
            for day, stamp in stamps.items()
            if day in tokens
        }


def _has_known_states(data: Mapping[str, Any]) -> bool:
    days = data.get("calendar", {}).get("days", [])
    return {state for _, state, *_ in days} <= {None, *(str(state) for state in DateState)}
