"""The dates that were published without rows, and what they were computed from.

A row carries its own ledger; a date without rows has none to carry it. One small object a table
says of each such date why it is empty and what it was computed from, in the words of a stamp. It is
written after the commit that emptied the date, under the same lease. It cannot disagree with the
table: rows of a date always count for more, and where there are none it says of a pure computation
what that gives, which stays true whatever happened to the table since. Without it (a run that died
between the two, an object that was lost) the date is missing, and is computed again.

Not the log of a lake, where it would be in the commit itself: what lists it must read the whole
history at each plan, other tools trim it, and BigQuery has nothing like it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from ray_backfill import names, untrusted
from ray_backfill.job import Calendar, Job
from ray_backfill.plan import Stamp
from ray_backfill.warehouse import Warehouse

__all__ = ["empty_dates", "keep_empty_dates", "with_empty_dates"]

_TEXTS = ("empty", "fingerprint", "code_version", "job_options")


def empty_dates(warehouse: Warehouse, table: str) -> dict[date, Stamp]:
    """The stamp of each date that was published empty; what is none is left out."""
    dates = untrusted.parsed(warehouse.get_object(_key(table))).get("dates")
    listed = dates.items() if isinstance(dates, dict) else ()
    return {stamp[0]: stamp[1] for stamp in (_stamp(day, told) for day, told in listed) if stamp}


def _stamp(day: str, told: Any) -> tuple[date, Stamp] | None:
    try:
        texts = {name: told[name] for name in _TEXTS}
        if not all(isinstance(text, str) for text in texts.values()) or not texts["empty"]:
            return None
        at = datetime.fromisoformat(told["computed_at"])
        return date.fromisoformat(day), Stamp(rows=0, computed_at=at, **texts)
    except (KeyError, TypeError, ValueError):
        return None


def keep_empty_dates(
    warehouse: Warehouse, table: str, found: Mapping[date, Stamp], filled: Collection[date] = ()
) -> None:
    """Add dates that were published empty, and leave out those that were `filled` since."""
    known = empty_dates(warehouse, table)
    kept = {day: stamp for day, stamp in {**known, **found}.items() if day not in filled}
    if kept != known:
        dates = {str(day): _told(stamp) for day, stamp in sorted(kept.items())}
        data = json.dumps({"dates": dates}, separators=(",", ":"))
        warehouse.put_object(_key(table), data.encode())


def _told(stamp: Stamp) -> dict[str, str]:
    at = stamp.computed_at.isoformat() if stamp.computed_at else ""
    return {name: getattr(stamp, name) for name in _TEXTS} | {"computed_at": at}


def with_empty_dates(
    warehouse: Warehouse, job: Job, calendar: Calendar, stamps: Mapping[date, Stamp]
) -> dict[date, Stamp]:
    """The stamps of the table, and those of due dates that have no rows and were published so.

    Nothing is read where every due date has rows.
    """
    lacking = {d.day for d in calendar.days.values() if d.state is None and d.day not in stamps}
    if not lacking:
        return dict(stamps)
    found = empty_dates(warehouse, job.output.name)
    return {**{day: stamp for day, stamp in found.items() if day in lacking}, **stamps}


def _key(table: str) -> str:
    return f"empty/{names.table_name(table)}.json"
