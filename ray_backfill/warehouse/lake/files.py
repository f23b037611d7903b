"""What a Delta table's log says of its files, without opening any."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError as DeltaNotFound

from ray_backfill import names
from ray_backfill.errors import ContractError, TableNotFoundError, WarehouseError
from ray_backfill.job.calendar import DateRange
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.protocol import Partition

if TYPE_CHECKING:
    from ray_backfill.job.table import Table

__all__ = [
    "File",
    "active_files",
    "grouped",
    "is_plain",
    "open_table",
    "partition_column",
    "place",
    "token_of",
]

_NOT_BELOW = re.compile(r"[\x00-\x1f\\\x7f]|://")
_PLAIN_FEATURES = {"timestampNtz", "deletionVectors"}


@dataclass(frozen=True, slots=True)
class File:
    """One active file: its path as the log has it, and the date that it holds.

    `rows` that are there, None where a writer left that out of the log; `deleted` is a digest of
    the vector that says which others are in the file.
    """

    path: str
    size: int
    rows: int | None
    day: date | None
    deleted: str = ""
    partition: tuple[tuple[str, str | None], ...] = ()

    def url(self, folder: str) -> str:
        """Where the file is; raises `WarehouseError` where a link leads out of the folder."""
        return _objects.join(folder, _objects.inside(folder, unquote(self.path)))


def open_table(uri: str, name: str, version: int | None = None) -> DeltaTable:
    """The table at its newest version; raises `TableNotFoundError`, `WarehouseError`."""
    where = place(uri, name)
    try:
        with _objects.translated(f"Opening {where}"):
            try:
                return DeltaTable(where, version=version)
            except DeltaNotFound:
                raise _Absent from None
    except _Absent:
        raise TableNotFoundError(
            f"The table {name} is not in {uri}.",
            hint="`ray-backfill tables` lists those that are; `ray-backfill load` adds one.",
        ) from None


def place(uri: str, name: str) -> str:
    """A table's folder; raises `WarehouseError` where it or its log leads out of the lake."""
    folder = _objects.table_folder(name)
    log = _objects.inside(uri, f"{folder}/_delta_log")
    if _objects.is_local(uri):
        with suppress(OSError), os.scandir(f"{uri}/{log}") as entries:
            for entry in entries:
                if entry.is_symlink():
                    _objects.inside(uri, f"{log}/{entry.name}")
    return _objects.join(uri, folder)


class _Absent(Exception):  # noqa: N818 -- never leaves this module
    pass


def partition_column(table: Table, stored: DeltaTable) -> str | None:
    """The contract's partition column; raises `ContractError` where the table lacks it."""
    columns = stored.metadata().partition_columns
    if table.partition and table.partition not in columns:
        raise ContractError(
            f"{table.name} must be partitioned by {table.partition}, and is stored "
            f"{'by ' + ', '.join(columns) if columns else 'without partitions'}.",
            hint="Write it again as a Delta table with that partition.",
        )
    return table.partition


def is_plain(table: Table, stored: DeltaTable) -> bool:
    """Whether the data files alone hold the rows: no deletion vectors, no mapped columns."""
    protocol = stored.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version == 2 or not features <= _PLAIN_FEATURES:
        return False
    if "deletionVectors" in features and _vectors(stored):
        return False
    return list(stored.metadata().partition_columns) == ([table.partition] * bool(table.partition))


def active_files(
    stored: DeltaTable,
    partition: str | None,
    days: DateRange | Collection[date] | None = None,
) -> list[File]:
    """The active files by path, of these dates where given.

    Files without a date (a NULL in the partition column) belong to no date and are left out.
    Raises `WarehouseError` for a file that the log puts outside the table's folder.
    """
    actions = pl.DataFrame(stored.get_add_actions(flatten=True))
    keys = [name for name in actions.columns if name.startswith("partition.")]
    columns = {"path": "", "size_bytes": 0} | dict.fromkeys(keys)
    rows = actions["num_records"] if "num_records" in actions.columns else [None] * len(actions)
    vectors = _vectors(stored)
    found = []
    for record, count in zip(actions.select(*columns).iter_rows(named=True), rows, strict=True):
        path = _below(stored, record["path"])
        gone, digest = vectors.pop(unquote(path), (0, ""))
        day = record[f"partition.{partition}"] if partition else None
        if partition and (day is None or (days is not None and day not in days)):
            continue
        values = tuple((key.partition(".")[2], _text(record[key])) for key in keys)
        kept = None if count is None else count - gone
        found.append(File(path, record["size_bytes"], kept, day, digest, values))
    if vectors:
        raise WarehouseError(
            f"{stored.table_uri}: rows are deleted from {len(vectors)} files that the log does "
            f"not name as such: {names.shown(min(vectors))}.",
            hint="Rewrite the table with the tool that deletes from it, as with Spark's REORG "
            "TABLE … APPLY (PURGE).",
        )
    return sorted(found, key=lambda file: file.path)


def _below(stored: DeltaTable, path: str) -> str:
    """The path as it is, if it stays in the table's folder however often it is decoded."""
    layers = [path]
    while (plain := unquote(layers[-1])) != layers[-1]:
        layers.append(plain)
    for layer in layers:
        parts = layer.split("/")
        if _NOT_BELOW.search(layer) or not all(parts) or {".", ".."} & set(parts):
            raise WarehouseError(
                f"The log of {stored.table_uri} names {names.shown(path)}, which is not a file "
                "below the table; it is neither read nor replaced.",
                hint="Tables that share files with others (shallow clones) cannot be used: copy "
                "the table. If it is no clone, look at who wrote to its log.",
            )
    return path


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _vectors(stored: DeltaTable) -> dict[str, tuple[int, str]]:
    """Decoded path -> (deleted rows, digest of which): rows of a file that are no longer there."""
    if "deletionVectors" not in (stored.protocol().reader_features or ()):
        return {}
    found = {}
    with _objects.translated(f"Reading which rows of {stored.table_uri} are deleted"):
        vectors = pl.DataFrame(stored.deletion_vectors())
    root = f"{stored.table_uri.rstrip('/')}/"
    for url, kept in vectors.iter_rows():
        digest = hashlib.sha256(bytes(kept)).hexdigest()[:16]
        found[unquote(url.removeprefix(root))] = (kept.count(False), digest)
    return found


def grouped(files: Collection[File]) -> list[Partition]:
    """One entry per date; the token is a hash of the paths and sizes of its files."""
    by_day: dict[date | None, list[File]] = {}
    for file in files:
        by_day.setdefault(file.day, []).append(file)
    found = []
    for day in sorted(by_day, key=lambda d: d or date.min):
        token = token_of((f.path, f.size, f.deleted) for f in by_day[day])
        found.append(Partition(day, sum(f.rows or 0 for f in by_day[day]), token))
    return found


def token_of(files: Iterable[tuple[str, int, str]]) -> str:
    """The token of a partition with these files: path, size, digest of its deleted rows."""
    lines = sorted("\0".join(map(str, file)) for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]
