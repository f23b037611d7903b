"""One table takes the place of another: its files are copied, and one commit names them alone."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from ray_backfill.errors import WarehouseError
from ray_backfill.job.table import Table
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import stage as _stage
from ray_backfill.warehouse.lake.files import File, active_files, open_table, place
from ray_backfill.warehouse.protocol import Staged

__all__ = ["copied", "drop"]

_COPIES = 8
"""Files that are copied at once."""


def copied(uri: str, new: Table, into: Table, run_id: str) -> list[Staged]:
    """Copies of a table's files in the folder of another, under names of their own, unseen yet.

    Raises `WarehouseError` for a table whose rows are not in its files alone, as others leave one.
    """
    stored = open_table(uri, new.name)
    files = active_files(stored, new.partition)
    if any(file.deleted or file.rows is None for file in files):
        raise WarehouseError(
            f"{new.name} was changed by others: it cannot take the place of {into.name}.",
            hint=f"Move {new.name} away, and run the same command again.",
        )
    stats = _stats(stored)
    with (
        ThreadPoolExecutor(_COPIES) as pool,
        _objects.translated(f"Copying {new.name}", consequence="Nothing was replaced."),
    ):
        return list(pool.map(lambda file: _copy(uri, new, into, run_id, file, stats), files))


def _copy(
    uri: str, new: Table, into: Table, run_id: str, file: File, stats: Mapping[str, str]
) -> Staged:
    path = _stage.data_file(f"{into.partition}={file.day}/", run_id, "rebuild")
    source = f"{_objects.table_folder(new.name)}/{unquote(file.path)}"
    _objects.copy(uri, source, f"{_objects.table_folder(into.name)}/{path}")
    handle: Mapping[str, str | int] = {
        "path": path,
        "size": file.size,
        "stats": stats[file.path],
        "mtime": time.time_ns() // 1_000_000,
    }
    return Staged(file.day or date.min, file.rows or 0, file.size, handle)


def _stats(stored: DeltaTable) -> dict[str, str]:
    """The statistics of each file by its path, as a commit takes them."""
    actions = pl.DataFrame(stored.get_add_actions(flatten=False))
    return {
        row["path"]: json.dumps(
            {
                "numRecords": row["num_records"],
                "minValues": _known(row.get("min")),
                "maxValues": _known(row.get("max")),
                "nullCount": _known(row.get("null_count")),
            },
            separators=(",", ":"),
        )
        for row in actions.iter_rows(named=True)
    }


def _known(found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: _plain(value) for name, value in (found or {}).items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


def drop(uri: str, name: str) -> None:
    """Delete a table: its newest commits first, so that it is a whole table until it is none."""
    place(uri, name)
    folder = _objects.table_folder(name)
    with _objects.translated(f"Deleting {_objects.join(uri, folder)}"):
        paths = [str(meta["path"]) for meta in _objects.list_meta(uri, folder)]
        commits = [path for path in paths if f"{folder}/_delta_log/" in path]
        for path in sorted(commits, key=_newest_first, reverse=True):
            _objects.delete(uri, path)
        for path in set(paths) - set(commits):
            _objects.delete(uri, path)


def _newest_first(path: str) -> tuple[bool, str]:
    # Checkpoints before all: they tell of commits that are deleted after them.
    return not path.endswith(".json"), path
