"""Deletes files of ended runs and loads that were staged and never published."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from urllib.parse import unquote

import polars as pl

from ray_backfill.contract import Table
from ray_backfill.errors import TableNotFoundError, WarehouseError
from ray_backfill.warehouse import _files, _objects
from ray_backfill.warehouse._stage import safe, staged_by

__all__ = ["is_inside", "named_by_log", "sweep"]

_LOG = "_delta_log"
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
    try:
        stored = _files.open_table(uri, name)
    except TableNotFoundError:
        return list(paths)
    active = {f"{folder}/{unquote(file.path)}" for file in _files.active_files(stored, None)}
    left = [path for path in paths if path not in active]
    if not left:
        return []
    named = _named_since(uri, folder, stored.version(), since) if since else None
    if named is None:
        named = named_by_log(uri, folder)
    return [path for path in left if path not in named]


def _named_since(uri: str, folder: str, newest: int, since: datetime) -> set[str] | None:
    """What entries from then on name, read from the newest back; None where one is missing."""
    found: set[str] = set()
    for version in range(newest, -1, -1):
        data = _objects.get(uri, f"{folder}/{_LOG}/{version:020d}.json")
        if data is None:
            return None
        entry = _in_json(data.splitlines())
        if entry.at is not None and entry.at < since - _CLOCKS:
            break
        found.update(f"{folder}/{path}" for path in entry.paths)
    return found


def named_by_log(uri: str, folder: str) -> set[str]:
    """Paths from the lake's root of all files that the log names, checkpoints included."""
    found: set[str] = set()
    for meta in _objects.list_meta(uri, f"{folder}/{_LOG}"):
        path = meta["path"]
        if path.endswith(".json"):
            found.update(_in_json((_objects.get(uri, path) or b"").splitlines()).paths)
        elif path.endswith(".parquet"):
            found.update(_in_checkpoint(_objects.get(uri, path) or b""))
    return {f"{folder}/{path}" for path in found}


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one entry of the log says: when it was written, and the files that it names."""

    at: datetime | None
    paths: set[str]


def _in_json(lines: Iterable[bytes]) -> _Entry:
    at, found = None, set()
    for line in lines:
        if b'"path"' not in line and b'"commitInfo"' not in line:
            continue
        action = json.loads(line)
        for kind in ("add", "remove"):
            if kind in action:
                found.add(unquote(action[kind]["path"]))
        if stamp := action.get("commitInfo", {}).get("timestamp"):
            at = datetime.fromtimestamp(stamp / 1000, UTC)
    return _Entry(at, found)


def _in_checkpoint(data: bytes) -> set[str]:
    if not data:
        return set()
    frame = pl.read_parquet(BytesIO(data))
    found: set[str] = set()
    for action in {"add", "remove"} & set(frame.columns):
        paths = frame[action].struct.field("path").drop_nulls()
        found.update(unquote(path) for path in paths)
    return found
