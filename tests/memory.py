"""A warehouse in memory, for what must be tried many times: tokens as a lake's, and no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from datetime import date
from itertools import count
from typing import Any, cast

import polars as pl
import pyarrow as pa

from ray_backfill.errors import TableNotFoundError
from ray_backfill.job.calendar import ALL_DATES, DateRange
from ray_backfill.job.table import Table
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Partition

__all__ = ["Memory"]

_Parts = dict[date | None, tuple[str, pl.DataFrame]]


class Memory:
    """What planning asks of a warehouse. Every table keeps its versions, and can go back to one.

    `before_read` is called with a table's name before it is read: another writes meanwhile.
    """

    def __init__(self) -> None:
        self.uri = "memory://tests"
        self.objects: dict[str, bytes] = {}
        self.versions: dict[str, list[_Parts]] = {}
        self.before_read: Callable[[str], None] = lambda name: None
        self.interrupted = False
        self._tokens = count()

    def seen(self) -> Warehouse:
        """Itself, as what it is used as."""
        return cast(Warehouse, self)

    def without_cache(self) -> Warehouse:
        """The same tables, where nothing was ever planned."""
        other = copy(self)
        kept = {key: data for key, data in self.objects.items() if not key.startswith("cache/")}
        other.objects = kept
        other.before_read = lambda name: None
        return other.seen()

    # -- writing ---------------------------------------------------------------------------
    def put(self, table: Table, rows: pl.DataFrame, days: Sequence[date | None]) -> None:
        """These dates (`[None]` of a table without) hold exactly these rows from now on."""
        parts = dict(self.versions.setdefault(table.name, [{}])[-1])
        for day in days:
            held = rows if day is None else rows.filter(pl.col(cast(str, table.partition)) == day)
            parts.pop(day, None)
            if not held.is_empty():
                parts[day] = (f"t{next(self._tokens)}", held)
        self.versions[table.name].append(parts)

    def restore(self, table: str, version: int) -> None:
        """Make an old version the newest."""
        self.versions[table].append(self.versions[table][version % len(self.versions[table])])

    # -- what planning asks ------------------------------------------------------------------
    def _parts(self, table: Table) -> _Parts:
        if table.name not in self.versions:
            raise TableNotFoundError(f"The table {table.name} is not in {self.uri}.")
        return self.versions[table.name][-1]

    def partitions(self, table: Table) -> list[Partition]:
        parts = self._parts(table)
        if table.partition is None and not parts:
            return [Partition(None, 0, "")]
        days = sorted(parts, key=str)
        return [Partition(day, parts[day][1].height, parts[day][0]) for day in days]

    def read(
        self, table: Table, columns: Sequence[str], dates: DateRange | Sequence[date] | None = None
    ) -> pa.Table:
        self.before_read(table.name)
        parts = self._parts(table)
        kinds = cast(Any, dict(table.schema()))
        wanted = [part for day, (_, part) in parts.items() if dates is None or day in dates]
        rows = pl.concat([table.empty(), *(part.cast(kinds) for part in wanted)])
        return rows.select(columns).to_arrow()

    def get_object(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put_object(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def list_objects(self, prefix: str, *, after: str = "") -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix) and key > after)

    @property
    def partition_range(self) -> DateRange:
        return ALL_DATES

    def is_as_published(self, partition: Partition, token: str) -> bool:
        return partition.token == token
