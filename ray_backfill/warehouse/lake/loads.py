"""Loads that are at work: each leaves a note until its end, so that a killed one is swept.

A note is a small object beside the tables, `loads/<table>/<load>.json`: when it began, and the
dates that it stages.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta

from ray_backfill.errors import BackfillError
from ray_backfill.job.table import Table
from ray_backfill.untrusted import parsed
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import sweep as _sweep

__all__ = ["noted", "sweep_killed"]

_AGE = timedelta(days=1)
"""How old the files of a load are when nobody writes them any more."""

_ALWAYS = datetime.max.replace(tzinfo=UTC)


def _folder(table: str) -> str:
    return _objects.object_key(f"loads/{table}")


@contextmanager
def noted(uri: str, table: Table, load: str, days: Collection[date]) -> Iterator[None]:
    """While the block runs, the lake says that this load is at work; a kill leaves that.

    Where the block fails, what the load staged is deleted, unless its commit stands after all.
    """
    began = datetime.now(UTC)
    dates = sorted(days) if table.partition else None
    note = {"at": began.isoformat(), "dates": list(map(str, dates)) if dates else None}
    path = f"{_folder(table.name)}/{load}.json"
    with _objects.translated(f"Writing {_objects.join(uri, path)}"):
        _objects.put(uri, path, json.dumps(note).encode())
    try:
        yield
    except BaseException:
        with _quietly():
            _sweep.sweep(uri, table, [load], _ALWAYS, dates, began)
            _objects.remove_empty(uri, _objects.table_folder(table.name))
            _objects.delete(uri, path)
        raise
    # What is loaded is loaded: a note that stays costs a later load a look, and no more.
    with _quietly():
        _objects.delete(uri, path)


def sweep_killed(uri: str, table: Table, now: datetime) -> int:
    """Delete what loads that were killed had staged, once a day has passed; gives how many."""
    swept = 0
    with _quietly():
        for meta in _objects.list_meta(uri, _folder(table.name)):
            if meta["last_modified"] >= now - _AGE:
                continue
            began, dates = _read(_objects.get(uri, meta["path"]))
            load = meta["path"].rpartition("/")[2].removesuffix(".json")
            swept += _sweep.sweep(uri, table, [load], now - _AGE, dates, began)
            _objects.delete(uri, meta["path"])
    return swept


def _read(data: bytes | None) -> tuple[datetime | None, list[date] | None]:
    """When a load began and what it staged; None for what its note does not say."""
    note = parsed(data)
    try:
        began = datetime.fromisoformat(str(note["at"])).astimezone(UTC)
        dates = note["dates"] and [date.fromisoformat(str(day)) for day in note["dates"]]
    except (KeyError, ValueError, TypeError):
        return None, None
    return began, dates


@contextmanager
def _quietly() -> Iterator[None]:
    """Errors of the storage change nothing of what was loaded."""
    with suppress(BackfillError), _objects.translated("Tidying up after a load"):
        yield
