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

from ray_backfill import names, stored
from ray_backfill.engine.submitted import submission_id
from ray_backfill.errors import BackfillError
from ray_backfill.planner import Attempt, Plan
from ray_backfill.warehouse import Warehouse

__all__ = [
    "Journal",
    "attempt_event",
    "ended_runs",
    "last_attempts",
    "read_journal",
    "run_event",
    "run_ids",
]

_FLUSH_SECONDS = 1.0
_PREFIX = "runs/"
_SUFFIX = ".ndjson"
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

    def __init__(self, warehouse: Warehouse, run_id: str) -> None:
        self._warehouse = warehouse
        self._key = _key(run_id)
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


def run_ids(warehouse: Warehouse) -> list[str]:
    """Ids of all runs that left a journal, oldest first (ids begin with their time).

    Objects whose name cannot be that of a run are not ours, and passed over.
    """
    keys = warehouse.list_objects(_PREFIX)
    found = (
        key.removeprefix(_PREFIX).removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX)
    )
    return sorted(run_id for run_id in found if names.RUN.fullmatch(run_id))


def _key(run_id: str) -> str:
    return f"{_PREFIX}{names.run_id(run_id)}{_SUFFIX}"


def read_journal(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """The events of a run in order; a last line that was cut short is left out.

    So are lines that are no events, with a warning: another tool or version wrote them.
    """
    lines = (warehouse.get_object(_key(run_id)) or b"").splitlines()
    found = [stored.parsed(line) for line in lines]
    events = [event for event in found if _is_event(event)]
    cut_short = len(found) > 1 and not found[-1]
    if wrong := len(found) - len(events) - cut_short:
        stored.doubt(
            f"The journal {_key(run_id)} in {warehouse.uri} is of another shape: {wrong} of its "
            f"{len(found)} lines count as absent."
        )
    return events


def _is_event(found: Mapping[str, Any]) -> bool:
    kind = found.get("event")
    return isinstance(kind, str) and stored.shaped(found, _SHAPES.get(kind, {}))


def last_attempts(warehouse: Warehouse, table: str) -> dict[date, Attempt]:
    """How the last attempt at each unpublished date ended, from the newest journal of its table.

    Each run carries over what it did not try again, so that one journal is enough.
    """
    for run_id in reversed(run_ids(warehouse)):
        events = read_journal(warehouse, run_id)
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


def ended_runs(warehouse: Warehouse, live: Sequence[str]) -> list[str]:
    """Ids of runs that left a journal and hold no lease any more."""
    return [run_id for run_id in run_ids(warehouse) if run_id not in live]
