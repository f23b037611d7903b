"""Small objects (journals, reports, the cache, the list of commits) as rows of one table.

They go in through the default write stream and come out through the Storage Read API: no query
or load job, no limit on how often, readable at once. The newest generation of a key is the
object. A journal that grows sends only what is new, as the next part of its generation.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_backfill.errors import TableNotFoundError, WarehouseError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.bigquery import create as _bq_create
from ray_backfill.warehouse.bigquery import datasets as _bq_datasets
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from ray_backfill.warehouse.bigquery.errors import (
    ATTEMPTS,
    explained,
    pause,
    reason_of,
)
from ray_backfill.warehouse.bigquery.schema import literal

if TYPE_CHECKING:
    from google.cloud.bigquery import Table as Resource

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["Objects", "resource"]

TABLE = "objects"
LIFE = timedelta(days=400)
"""How long an object is kept after it was written."""

_MOST = 4 * 2**20
"""Bytes of an object in one row."""

_GONE = -1
"""Where the only part of a generation starts that says that the object was deleted."""

_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("generation", pa.string()),
        ("start", pa.int64()),
        ("data", pa.binary()),
        ("put_at", pa.timestamp("us", "UTC")),
    ]
)


@dataclass
class _Known:
    """What this process wrote last under a key."""

    generation: str
    size: int
    digest: str


@dataclass
class Objects:
    """The objects of one warehouse; remembers what it wrote, to add to it."""

    table: str = TABLE
    written: dict[str, _Known] = field(default_factory=dict)

    def put(self, clients: Clients, key: str, data: bytes) -> None:
        """Write an object; only its new end where this process wrote the beginning."""
        _objects.object_key(key)
        known = self.written.get(key)
        if known and len(data) > known.size and _digest(data[: known.size]) == known.digest:
            generation, start = known.generation, known.size
        else:
            generation, start = f"{time.time_ns():020d}", 0
        # What failed may have arrived: nothing is added to it, the next one is written whole.
        self.written.pop(key, None)
        _send(clients, self._full(clients), key, generation, start, data)
        self.written[key] = _Known(generation, len(data), _digest(data))

    def get(self, clients: Clients, key: str) -> bytes | None:
        """The newest generation of an object, as far as its parts go."""
        _objects.object_key(key)
        this = f"key = {literal(key)}"
        found = self._read(clients, ["generation"], this)
        if not found:
            return None
        # Old generations stay for a while; only their names are looked at.
        newest = literal(max(str(row["generation"]) for row in found))
        rows = self._read(clients, ["start", "data"], f"{this} AND generation = {newest}")
        # A part may have arrived twice, its answer being lost, and have grown before it was sent
        # again: the longest holds the others.
        parts: dict[int, bytes] = {}
        for row in rows:
            parts[row["start"]] = max(parts.get(row["start"], b""), row["data"], key=len)
        if _GONE in parts:
            return None
        data = b""
        while len(data) in parts and parts[len(data)]:
            data += parts[len(data)]
        return data

    def delete(self, clients: Clients, key: str) -> None:
        """A newer generation that holds nothing takes its place."""
        _objects.object_key(key)
        _send(clients, self._full(clients), key, f"{time.time_ns():020d}", _GONE, b"")
        self.written.pop(key, None)

    def keys(self, clients: Clients, prefix: str, after: str = "") -> list[str]:
        """Keys that begin with the prefix, sorted, of these those behind `after`;
        what could not have been put is left out.

        Only the first part of each generation is looked at: a long journal has hundreds.
        """
        conditions = ["start <= 0"]
        if prefix:
            end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            conditions += [f"key >= {literal(prefix)}", f"key < {literal(end)}"]
        if after:
            conditions.append(f"key > {literal(after)}")
        newest: dict[str, tuple[str, int]] = {}
        for row in self._read(clients, ["key", "generation", "start"], " AND ".join(conditions)):
            found = (str(row["generation"]), int(row["start"]))
            newest[str(row["key"])] = max(found, newest.get(str(row["key"]), ("", 0)))
        standing = (key for key, (_, start) in newest.items() if start != _GONE)
        return sorted(filter(_objects.is_key, standing))

    def _full(self, clients: Clients) -> str:
        return clients.address.house(self.table)

    def _read(self, clients: Clients, columns: list[str], condition: str) -> list[dict[str, Any]]:
        try:
            found = _bq_read.scan(clients, self._full(clients), columns, condition)
        except TableNotFoundError:
            return []
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _send(clients: Clients, full: str, key: str, generation: str, start: int, data: bytes) -> None:
    at = datetime.now(UTC)
    cuts = range(start, len(data), _MOST) or range(start, start + 1)
    rows = [(key, generation, n, data[n : n + _MOST], at) for n in cuts]
    columns = [pa.array(values, f.type) for values, f in zip(zip(*rows, strict=True), _SCHEMA)]  # noqa: B905
    table = pa.Table.from_arrays(columns, schema=_SCHEMA)
    stream = f"{clients.address.path(full)}/streams/_default"
    for attempt in range(ATTEMPTS):
        try:
            _bq_stage.append(clients, stream, table, full, offsets=False)
            return
        except (WarehouseError, _bq_stage.StreamLostError) as error:
            # A table that was made a moment ago may not be known to the stream yet.
            cause = error.__cause__ or error
            if reason_of(cause) != "notFound" or attempt == ATTEMPTS - 1:
                raise explained(f"Writing {key} to {full}", cause, attempt + 1) from cause
        _bq_datasets.create_house(clients)
        _bq_create.create_table(clients, resource(full), f"Creating {full}")
        if attempt:
            pause(attempt)


def resource(full: str) -> Resource:
    """The table that objects are kept in."""
    from google.cloud.bigquery import SchemaField, Table, TimePartitioning

    kinds = {"key": "STRING", "generation": "STRING", "start": "INTEGER", "data": "BYTES"}
    fields = [SchemaField(name, kind, "REQUIRED") for name, kind in kinds.items()]
    table = Table(full, [*fields, SchemaField("put_at", "TIMESTAMP", "REQUIRED")])
    table.description = "Journals, reports and caches of ray-backfill; see `key`."
    table.clustering_fields = ["key", "generation"]
    table.time_partitioning = TimePartitioning(
        field="put_at", expiration_ms=int(LIFE.total_seconds() * 1000)
    )
    return table
