"""What each run does at its end for those before it: it costs the same however many there were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ray_backfill import names
from ray_backfill.job.table import Table
from ray_backfill.record import state
from ray_backfill.record.journal import journals, read_journal
from ray_backfill.untrusted import parsed
from ray_backfill.warehouse import Warehouse

__all__ = ["sweep_ended"]

_AGE = timedelta(days=1)
"""How long after a run's last word its workers may still write."""

_MOST = 50
"""Runs that are swept behind one: others wait for the next, which sweeps on."""


def sweep_ended(warehouse: Warehouse, table: Table, run_id: str) -> None:
    """Delete what earlier runs of a table staged and never published.

    Each run is swept once, a day after its last word: a small object holds how far that came.
    """
    key = f"sweeps/{table.name}.json"
    through = done = _through(warehouse, key)
    now = datetime.now(UTC)
    for run in journals(warehouse, table.name, after=through)[:_MOST]:
        if run.run_id >= run_id or not _sweep(warehouse, table, run.run_id, now):
            break
        done = run.run_id
    if done != through:
        warehouse.put_object(key, json.dumps({"through": done}).encode())


def _through(warehouse: Warehouse, key: str) -> str:
    """The last run that was swept; empty where none was, or where that was lost."""
    found = parsed(warehouse.get_object(key)).get("through")
    return found if isinstance(found, str) and names.RUN.fullmatch(found) else ""


def _sweep(warehouse: Warehouse, table: Table, run_id: str, now: datetime) -> bool:
    """Sweep what one run staged; False where its workers may still be at work."""
    events = read_journal(warehouse, run_id, table.name)
    times = [at for event in events if (at := _at(event)) is not None]
    began = min([*times, *filter(None, [state.begun(run_id)])], default=None)
    last = max(times, default=began)
    if last is None:  # its journal says nothing: what it left is found by `tidy`
        return True
    if last >= now - _AGE:
        return False
    days = _planned(events)
    if days is None or days:
        warehouse.sweep(table, ended_runs=[run_id], older_than=now - _AGE, dates=days, since=began)
    return True


def _at(event: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromtimestamp(event["at"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _planned(events: Sequence[Mapping[str, Any]]) -> list[date] | None:
    """The dates that a run may have staged; None where its journal does not say."""
    try:
        return [date.fromisoformat(day) for day in events[0]["planned"]]
    except (IndexError, KeyError, TypeError, ValueError):
        return None
