"""The digest cache of a job: one compressed JSON object in the warehouse.

Whatever is wrong with it (absent, cut short, of another version) makes it empty.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from ray_backfill import stored
from ray_backfill.calendar import Season
from ray_backfill.errors import WarehouseError
from ray_backfill.job import Calendar, DateState, Day
from ray_backfill.plan import Stamp
from ray_backfill.warehouse import Warehouse

__all__ = ["Cache"]

_FORMAT = 1


class Cache:
    """Digests by season, view and date, the calendar, and the output's stamps."""

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
        data = stored.parsed(stored.inflated(warehouse.get_object(key)))
        return cls(warehouse, key, header, data if data.get("header") == header else {})

    def save(self) -> None:
        """Write it back if anything changed."""
        if self._changed:
            self._data["header"] = self._header
            text = json.dumps(self._data, separators=(",", ":"))
            # A lake that may only be read can be planned all the same, from its tables.
            with suppress(WarehouseError, OSError):
                self._warehouse.put_object(self._key, zlib.compress(text.encode(), 1))

    # -- view digests ----------------------------------------------------------------------
    def lacking(
        self, season: str, view: str, tokens: Mapping[date | None, str]
    ) -> list[date | None]:
        """The dates whose token is not the one that their digest was made under."""
        known = self._view(season, view)
        return [day for day, token in tokens.items() if known.get(str(day), [None])[0] != token]

    def update(
        self,
        season: str,
        view: str,
        tokens: Mapping[date | None, str],
        fresh: Sequence[date | None],
        found: Mapping[date | None, str],
        *,
        keep: bool = True,
    ) -> dict[date | None, str]:
        """Digests of all dates: cached ones, and `found` for those that are fresh.

        `keep=False`: found ones are given back and not kept.
        """
        known = self._view(season, view)
        anew = {str(day): [tokens[day], found.get(day)] for day in fresh}
        if anew and keep:
            self._changed = True
            known.update(anew)
        merged = known | anew
        digests = {day: merged[str(day)][1] for day in tokens}
        return {day: digest for day, digest in digests.items() if digest is not None}

    def _view(self, season: str, view: str) -> dict[str, Any]:
        views = self._data.setdefault("views", {}).setdefault(season, {})
        found: dict[str, Any] = views.setdefault(view, {})
        return found

    # -- calendar --------------------------------------------------------------------------
    def calendar(self, token: str) -> Calendar | None:
        """The calendar that was made under this token."""
        kept = self._data.get("calendar", {})
        if kept.get("token") != token:
            return None
        seasons = tuple(
            Season(n, date.fromisoformat(a), date.fromisoformat(b)) for n, a, b in kept["seasons"]
        )
        days = [
            Day(date.fromisoformat(d), DateState(s) if s else None, reason, rows, tuple(notes))
            for d, s, reason, rows, notes in kept["days"]
        ]
        return Calendar(seasons, {day.day: day for day in days})

    def put_calendar(self, token: str, calendar: Calendar) -> None:
        self._changed = True
        self._data["calendar"] = {
            "token": token,
            "seasons": [(s.name, str(s.start), str(s.end)) for s in calendar.seasons],
            "days": [
                (str(d.day), d.state, d.reason, d.expected_rows, d.notes)
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
                fields = {k: v for k, v in entry.items() if k != "token"}
                fields["computed_at"] = datetime.fromisoformat(at) if at else None
                known[day] = Stamp(**fields)
        return known, [day for day in tokens if day not in known]

    def put_stamps(self, stamps: Mapping[date, Stamp], tokens: Mapping[date, str]) -> None:
        self._changed = True
        self._data["stamps"] = {
            str(day): {
                **asdict(stamp),
                "computed_at": stamp.computed_at.isoformat() if stamp.computed_at else None,
                "token": tokens[day],
            }
            for day, stamp in stamps.items()
        }
