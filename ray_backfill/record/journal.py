"""The run journal: one NDJSON object a run, beside the tables.

It is what `watch` and `status` read where there is no progress actor, and where the next plan
finds how the last attempt at a date ended. It observes; what is done is read from the table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from datetime import date, datetime
from typing import Any, get_type_hints

from ray_backfill import names, untrusted
from ray_backfill.errors import BackfillError
from ray_backfill.plan import Attempt, Plan
from ray_backfill.record import state
from ray_backfill.record.state import JOURNALS, Kept
from ray_backfill.record.submitted import submission_id
from ray_backfill.warehouse import Warehouse

__all__ = [
    "Journal",
    "attempt_event",
    "journals",
    "last_attempts",
    "read_journal",
    "run_event",
    "run_ids",
    "table_of",
]

_FLUSH_SECONDS = 1.0
_TRIES = 10
"""Journals that are looked at for one that can be read."""
_HINTS = get_type_hints(Attempt)
_SHAPES: Mapping[str, Any] = {
    "run": {
        "run_id": str,
        "job": str,
        "table": str,
        "at": float,
        "workers": int,
        "planned": {date: int},
        "states?": {str: int},
        "submission?": str,
    },
    "phase": {"phase": str, "at": float},
    "stage": {"span": str, "attempt": int, "stage": str},
    "span_done": {"span": str},
    "published": {"days": {date: int}, "at": float},
    "attempt": {"day": date}
    | {f.name if f.default is MISSING else f"{f.name}?": _HINTS[f.name] for f in fields(Attempt)},
    "retry": {"span": str, "attempt": int, "message": str},
    "end": {"at": float, "exit_code": int, "verdict?": str},
}
"""What must stand in an event of each kind for it to be read; others are nobody's to read."""


class Journal:
    """Collects events and writes the whole object again, at most about once a second."""

    def __init__(self, warehouse: Warehouse, run_id: str, table: str) -> None:
        self._warehouse = warehouse
        self._key = state.key(JOURNALS, table, run_id)
        self._lines: list[str] = []
        self._flushed_at = 0.0
        self._dirty = False

    def add(self, event: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps(event, default=_text, separators=(",", ":")))
        self._dirty = True
        self.keep_up()

    def keep_up(self) -> None:
        """Write what has waited for about a second: call it while nothing happens, too.

        It observes: where it cannot be written now, the run goes on, and it is tried again.
        """
        if time.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self._flushed_at = time.monotonic()
            with suppress(BackfillError, OSError):
                self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._dirty:
            self._warehouse.put_object(self._key, ("\n".join(self._lines) + "\n").encode())
            self._flushed_at = time.monotonic()
            self._dirty = False


def _text(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a journal")


def journals(warehouse: Warehouse, table: str = "", *, after: str = "") -> list[Kept]:
    """The runs that left a journal, with their tables, oldest first.

    Of one table where that is given, and then only those behind a run's id.
    """
    return state.kept(warehouse, JOURNALS, table=table, after=after)


def run_ids(warehouse: Warehouse, table: str = "") -> list[str]:
    """Ids of all runs that left a journal, oldest first (ids begin with their time)."""
    return [run.run_id for run in journals(warehouse, table)]


def table_of(warehouse: Warehouse, run_id: str) -> str | None:
    """The table that a run worked on; None where it left no journal."""
    names.run_id(run_id)
    return next((run.table for run in journals(warehouse) if run.run_id == run_id), None)


def read_journal(warehouse: Warehouse, run_id: str, table: str = "") -> list[dict[str, Any]]:
    """The events of a run in order; a last line that was cut short is left out.

    So are lines that are no events, with a warning: another tool or version wrote them. Without
    its table, the run is looked for among all.
    """
    found = table or table_of(warehouse, run_id)
    if not found:
        return []
    key = state.key(JOURNALS, found, run_id)
    lines = [untrusted.parsed(line) for line in (warehouse.get_object(key) or b"").splitlines()]
    events = [event for event in lines if _is_event(event)]
    cut_short = len(lines) > 1 and not lines[-1]
    if wrong := len(lines) - len(events) - cut_short:
        untrusted.doubt(
            f"The journal {key} in {warehouse.uri} is of another shape: {wrong} of its "
            f"{len(lines)} lines count as absent."
        )
    return events


def _is_event(found: Mapping[str, Any]) -> bool:
    kind = found.get("event")
    return isinstance(kind, str) and untrusted.shaped(found, _SHAPES.get(kind, {}))


def last_attempts(warehouse: Warehouse, table: str) -> dict[date, Attempt]:
    """How the last attempt at each unpublished date ended, from the newest journal of its table.

    Each run carries over what it did not try again, so that one journal is enough.
    """
    for run in state.newest(warehouse, JOURNALS, table, _TRIES):
        events = read_journal(warehouse, run.run_id, table)
        if events and events[0].get("table") == table:
            return _attempts(events)
    return {}


def _attempts(events: Sequence[Mapping[str, Any]]) -> dict[date, Attempt]:
    found: dict[date, Attempt] = {}
    for event in events:
        if event["event"] == "attempt":
            known = {k: v for k, v in event.items() if k in Attempt.__dataclass_fields__}
            found[date.fromisoformat(event["day"])] = Attempt(**known)
        elif event["event"] == "published":
            for day in event["days"]:
                found.pop(date.fromisoformat(day), None)
    return found


def run_event(plan: Plan, run_id: str, table: str, workers: int) -> dict[str, Any]:
    """The journal's first line: what the run is going to do."""
    return {
        "event": "run",
        "run_id": run_id,
        "job": plan.job,
        "table": table,
        "workers": workers,
        "code_version": plan.code_version,
        "job_options": plan.job_options,
        "states": plan.counts(),
        "planned": {str(d.day): d.expected_rows for d in plan.selected},
        **({"submission": submitted} if (submitted := submission_id()) else {}),
    }


def attempt_event(day: date, attempt: Attempt) -> dict[str, Any]:
    """The journal's line of a failed or quarantined date."""
    return {"event": "attempt", "day": day.isoformat(), **asdict(attempt)}
