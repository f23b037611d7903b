"""Deletes files of ended runs and loads that were staged and never published."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from urllib.parse import unquote

from ray_backfill.errors import TableNotFoundError, WarehouseError
from ray_backfill.job.table import Table
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake import log as _log
from ray_backfill.warehouse.lake.stage import safe, staged_by

__all__ = ["is_inside", "sweep"]

_MOST_FOLDERS = 64
"""Dates up to which their folders are listed one by one, instead of the whole table."""

_CLOCKS = timedelta(days=1)
"""How far the clocks of machines that write to a lake may be apart."""


def sweep(
    uri: str,
    table: Table,
    ended_runs: Sequence[str],
    older_than: datetime,
    dates: Collection[date] | None = None,
    since: datetime | None = None,
) -> int:
    """Delete staged files of these runs, last written before, that the log never named.

    `dates` are all that the runs may have staged, None where that is not known; the first of
    them began at `since`. A file that any entry of the log names, though replaced since, is kept
    for `restore`. Nothing is deleted through a link that leads out of the lake.
    """
    _files.place(uri, table.name)
    runs = {safe(run) for run in ended_runs}
    old = [
        path
        for path, changed in _listed(uri, table, dates)
        if changed < older_than and staged_by(path) in runs and is_inside(uri, path)
    ]
    unwanted = _never_named(uri, table.name, old, since) if old else []
    for path in unwanted:
        _objects.delete(uri, path)
    return len(unwanted)


def _listed(
    uri: str, table: Table, dates: Collection[date] | None
) -> Iterator[tuple[str, datetime]]:
    """Path and time of the files of these dates, or of all."""
    folder = _objects.table_folder(table.name)
    folders = [folder]
    if dates is not None and table.partition and len(dates) <= _MOST_FOLDERS:
        folders = [f"{folder}/{table.partition}={day}" for day in dates]
    for one in folders:
        for meta in _objects.list_meta(uri, one):
            yield meta["path"], meta["last_modified"]


def is_inside(uri: str, path: str) -> bool:
    """Whether a path leads through no link out of the lake."""
    try:
        _objects.inside(uri, path)
    except WarehouseError:
        return False
    return True


def _never_named(uri: str, name: str, paths: Sequence[str], since: datetime | None) -> list[str]:
    """Those of the paths that the log does not name, as far back as `since`."""
    folder = _objects.table_folder(name)
    below = {path: path.removeprefix(f"{folder}/") for path in paths}
    try:
        stored = _files.open_table(uri, name)
    except TableNotFoundError:
        return list(paths)
    active = {unquote(file.path) for file in _files.active_files(stored, None)}
    if active.issuperset(below.values()):
        return []
    named = _named_since(uri, name, stored.version(), since) if since else None
    known = active | (_log.named(uri, name) if named is None else named)
    return [path for path in paths if below[path] not in known]


def _named_since(uri: str, name: str, newest: int, since: datetime) -> set[str] | None:
    """What entries from then on name, read from the newest back; None where one is missing."""
    found: set[str] = set()
    for version in range(newest, -1, -1):
        entry = _log.read(uri, name, version)
        if entry is None:
            return None
        if entry.at is not None and entry.at < since - _CLOCKS:
            break
        found |= entry.paths
    return found
