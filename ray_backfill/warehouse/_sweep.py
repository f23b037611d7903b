"""Deletes files of ended runs that were staged and never published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from urllib.parse import unquote

import polars as pl

from ray_backfill.errors import WarehouseError
from ray_backfill.warehouse import _files, _objects
from ray_backfill.warehouse._stage import safe, staged_by

__all__ = ["sweep"]

_LOG = "_delta_log"


def sweep(uri: str, table: str, ended_runs: Sequence[str], older_than: datetime) -> int:
    """Delete staged files of these runs, last written before, that the log never named.

    A file that any entry of the log names, though replaced since, is kept for `restore`. Nothing
    is deleted through a link that leads out of the lake.
    """
    _files.place(uri, table)
    folder = _objects.table_folder(table)
    runs = {safe(run) for run in ended_runs}
    old = [
        meta["path"]
        for meta in _objects.list_meta(uri, folder)
        if meta["last_modified"] < older_than
        and staged_by(meta["path"]) in runs
        and _is_inside(uri, meta["path"])
    ]
    if not old:
        return 0
    named = {f"{folder}/{path}" for path in _named(uri, folder)}
    unwanted = [path for path in old if path not in named]
    for path in unwanted:
        _objects.delete(uri, path)
    return len(unwanted)


def _is_inside(uri: str, path: str) -> bool:
    try:
        _objects.inside(uri, path)
    except WarehouseError:
        return False
    return True


def _named(uri: str, folder: str) -> set[str]:
    """Paths of all files that a commit or a checkpoint ever added or removed."""
    found: set[str] = set()
    for meta in _objects.list_meta(uri, f"{folder}/{_LOG}"):
        path = meta["path"]
        if path.endswith(".json"):
            found.update(_in_json((_objects.get(uri, path) or b"").splitlines()))
        elif path.endswith(".parquet"):
            found.update(_in_checkpoint(_objects.get(uri, path) or b""))
    return found


def _in_json(lines: Iterable[bytes]) -> set[str]:
    found = set()
    for line in lines:
        if b'"path"' not in line:
            continue
        entry = json.loads(line)
        for action in ("add", "remove"):
            if action in entry:
                found.add(unquote(entry[action]["path"]))
    return found


def _in_checkpoint(data: bytes) -> set[str]:
    if not data:
        return set()
    frame = pl.read_parquet(BytesIO(data))
    found: set[str] = set()
    for action in {"add", "remove"} & set(frame.columns):
        paths = frame[action].struct.field("path").drop_nulls()
        found.update(unquote(path) for path in paths)
    return found
