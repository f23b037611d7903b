"""Writes the rows of each date to a file of its own that the log does not name yet."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from io import BytesIO
from uuid import uuid4

import polars as pl
from obstore.exceptions import BaseError

from ray_backfill.job.table import Table
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import stats as _stats
from ray_backfill.warehouse.protocol import Staged

__all__ = ["data_file", "safe", "stage", "staged_by", "write"]

_SEPARATOR = "."
"""Between run, task and a unique part in a file's name; never inside them.

Names hold letters, digits, `_`, `-` and `.` alone: what some encoder writes in another way (a `~`
is `%7E` to Delta's own optimizer) is a file that is not there.
"""

_NAME = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[0-9a-f]{32}\.parquet", re.ASCII)


def safe(text: str) -> str:
    """Text that may be one part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "_"


def data_file(folder: str, run_id: str, task: str) -> str:
    """A new file's name: `<run>.<task>.<unique>.parquet`."""
    name = _SEPARATOR.join((safe(run_id), safe(task), uuid4().hex))
    return f"{folder}{name}.parquet"


def staged_by(path: str) -> str | None:
    """The run that staged a file, as `safe` writes it; None for the files of others."""
    found = _NAME.fullmatch(path.rpartition("/")[2])
    return found[1] if found else None


def stage(
    uri: str, table: Table, frame: pl.DataFrame, run_id: str, task: str, by: list[str]
) -> list[Staged]:
    """One file per date, its rows in the order of `by`; one file for a table without dates.

    Raises `WarehouseError` where a file cannot be written; those before it are deleted again.
    """
    folder = _objects.table_folder(table.name)
    order = [table.partition, *by] if table.partition else by
    order = list(dict.fromkeys(order))
    frame = frame.sort(order, maintain_order=True) if order else frame
    done: list[Staged] = []
    for day, rows, stats in _parts(table, frame):
        path = data_file(f"{table.partition}={day}/" if day else "", run_id, task)
        where = f"{folder}/{path}"
        try:
            with _objects.translated(
                f"Writing {_objects.join(uri, where)}", consequence="Nothing was published."
            ):
                size = write(uri, where, rows)
        except BaseException:
            with suppress(BaseError, OSError):  # a sweep takes what is left
                for earlier in done:
                    _objects.delete(uri, f"{folder}/{earlier.handle['path']}")
            raise
        handle: Mapping[str, str | int] = {
            "path": path,
            "size": size,
            "stats": stats,
            "mtime": time.time_ns() // 1_000_000,
        }
        done.append(Staged(day or date.min, rows.height, size, handle))
    return done


def write(uri: str, path: str, rows: pl.DataFrame) -> int:
    """Write rows as a file of the lake; gives its size in bytes."""
    buffer = BytesIO()
    rows.write_parquet(buffer, compression="zstd", statistics=True)
    data = buffer.getvalue()
    _objects.put(uri, path, data)
    return len(data)


def _parts(table: Table, frame: pl.DataFrame) -> Iterator[tuple[date | None, pl.DataFrame, str]]:
    """The rows of each date without its partition column, and their statistics."""
    if frame.is_empty():
        return
    data = frame.drop(table.partition) if table.partition else frame
    measured = _stats.measured(data.schema)
    figures = _stats.figures(frame, measured, table.partition)
    start = 0
    for record in figures.iter_rows(named=True):
        count = record["rows"]
        yield record.get("day"), data.slice(start, count), _stats.as_json(measured, record)
        start += count
