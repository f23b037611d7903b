"""A lake: Delta tables in a folder or an object store.

One folder per table, `<root>/<dataset>/<table>`; everything else lives under
`<root>/_ray_backfill/`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from deltalake import DeltaTable

from ray_backfill import names
from ray_backfill.errors import ContractError, TableNotFoundError, UsageError, WarehouseError
from ray_backfill.job.calendar import ALL_DATES, DateRange
from ray_backfill.job.table import Table
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import commit as _commit
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake import history as _history
from ray_backfill.warehouse.lake import lease as _lease
from ray_backfill.warehouse.lake import loads as _loads
from ray_backfill.warehouse.lake import read as _read
from ray_backfill.warehouse.lake import restore as _restore
from ray_backfill.warehouse.lake import stage as _stage
from ray_backfill.warehouse.lake import swap as _swap
from ray_backfill.warehouse.lake import sweep as _sweep
from ray_backfill.warehouse.lake import tidy as _tidy
from ray_backfill.warehouse.lake.store_settings import settings_of
from ray_backfill.warehouse.objects import SCHEMES
from ray_backfill.warehouse.protocol import (
    Fit,
    Lease,
    Partition,
    Published,
    Staged,
    TableInfo,
    Tidied,
    Version,
)

if TYPE_CHECKING:
    import re

    import pyarrow as pa

__all__ = ["SCHEMES", "Lake"]


class Lake:
    """A warehouse at a path or URL; see `Warehouse` for what each method promises.

    It holds nothing but its address, so that it can be pickled and opened anywhere.
    Credentials of object stores come from the environment.
    """

    partition_range = ALL_DATES

    def __init__(self, uri: str) -> None:
        self._uri = _objects.normal_uri(uri)

    def __repr__(self) -> str:
        return f"Lake({self._uri!r})"

    @property
    def uri(self) -> str:
        """The absolute path, or the URL."""
        return self._uri

    @property
    def settings(self) -> re.Pattern[str]:
        return settings_of(self._uri)

    def _folder(self, table: str) -> str:
        return _objects.join(self._uri, _objects.table_folder(table))

    # -- reading ---------------------------------------------------------------------------
    def exists(self, table: str) -> bool:
        """Whether there is such a table; raises `UsageError` for what is no table's name."""
        folder = _files.place(self._uri, table)
        with _objects.translated(f"Opening {folder}"):
            return DeltaTable.is_deltatable(folder)

    def tables(self) -> list[TableInfo]:
        with _objects.translated(f"Listing {self._uri}"):
            found = [
                f"{dataset}.{table}"
                for dataset in _objects.subfolders(self._uri, "")
                if not dataset.startswith(("_", "."))
                for table in _objects.subfolders(self._uri, dataset)
                if names.TABLE.fullmatch(f"{dataset}.{table}")
                and "_delta_log" in _objects.subfolders(self._uri, f"{dataset}/{table}")
            ]
        return [self._info_or_why(name) for name in sorted(found)]

    def _info_or_why(self, name: str) -> TableInfo:
        try:
            return self._info(name)
        except TableNotFoundError:
            why = "its log holds no version: it was begun and never made"
        except WarehouseError as error:
            why = error.message
        return TableInfo(name, 0, 0, None, None, None, "", broken=why)

    def _info(self, name: str) -> TableInfo:
        stored = _files.open_table(self._uri, name)
        types = _arrow.stored_types(stored)
        dated = [c for c in stored.metadata().partition_columns if types[c][0] == "date"]
        files = _files.active_files(stored, dated[0] if dated else None)
        parts = _files.grouped(self._counted(name, files))
        days = [p.day for p in parts if p.day]
        newest = stored.history(1)
        return TableInfo(
            name,
            sum(p.rows for p in parts),
            len(days),
            min(days, default=None),
            max(days, default=None),
            datetime.fromtimestamp(newest[0]["timestamp"] / 1000, UTC) if newest else None,
            str(stored.version()),
        )

    def _counted(self, name: str, files: Sequence[_files.File]) -> list[_files.File]:
        """The files with their rows, counted where a writer left that out of the log."""
        return [_read.counted(file, self._folder(name)) for file in files]

    def partitions(self, table: Table) -> list[Partition]:
        stored = _files.open_table(self._uri, table.name)
        files = _files.active_files(stored, _files.partition_column(table, stored))
        found = _files.grouped(self._counted(table.name, files))
        return found if found or table.partition else [Partition(None, 0, "")]

    def read(
        self, table: Table, columns: Sequence[str], dates: DateRange | Sequence[date] | None = None
    ) -> pa.Table:
        stored = _files.open_table(self._uri, table.name)
        days = dates if dates is None or isinstance(dates, DateRange) else frozenset(dates)
        return _read.read(stored, self._folder(table.name), table, columns, days)

    # -- raw tables ------------------------------------------------------------------------
    def append(self, table: Table, rows: pa.Table, *, replace_dates: bool = False) -> Published:
        """See `Warehouse.append`; no rows change nothing, and create no table.

        Raises `ContractError` for rows that break the contract, or for a stored table that
        has another type in one of its columns.
        """
        frame = _arrow.conformed(table, rows)
        stored = _files.open_table(self._uri, table.name) if self.exists(table.name) else None
        if stored:
            _commit.fits(table, stored)
        if frame.is_empty():
            return Published(str(stored.version() if stored else 0), (), 0)
        if stored:
            _commit.evolve(self._uri, table, stored)
        load = f"load-{uuid4().hex[:12]}"
        days: list[date] = frame[table.partition].unique().to_list() if table.partition else []
        with _loads.noted(self._uri, table, load, days):
            staged = _stage.stage(self._uri, table, frame, load, "load", [])
            done = self._add(table, staged, load, replace_dates)
        _loads.sweep_killed(self._uri, table, datetime.now(UTC))
        return done

    def _add(self, table: Table, staged: Sequence[Staged], load: str, anew: bool) -> Published:
        days = tuple(s.day for s in staged) if table.partition else ()
        about = _history.about("replace" if anew else "append", load, staged, days)
        if not self.exists(table.name) and _commit.create(self._uri, table, staged, about):
            return _published(0, days, staged)
        every = days if table.partition else _commit.ALL
        version = _commit.commit(self._uri, table, staged, every if anew else (), about)
        return _published(version, days, staged)

    # -- output tables ---------------------------------------------------------------------
    def fit(self, table: Table) -> Fit | None:
        """See `Warehouse.fit`."""
        if not self.exists(table.name):
            return None
        stored = _files.open_table(self._uri, table.name)
        columns = frozenset(_arrow.stored_types(stored))
        return Fit(columns, tuple(_commit.differences(table, stored)))

    def ensure(self, table: Table) -> None:
        try:
            stored = _files.open_table(self._uri, table.name)
        except TableNotFoundError:
            if _commit.create(self._uri, table, [], {"action": "create"}):
                return
            stored = _files.open_table(self._uri, table.name)
        different = _commit.differences(table, stored)
        if different:
            raise ContractError(
                f"{table.name} is not what the job writes: {'; '.join(different)}.",
                hint="Only new nullable columns are added by themselves. Move the table away, "
                "or give the job's output another name.",
            )
        _commit.evolve(self._uri, table, stored)

    def take_place(self, table: Table, new: Table, *, lease: Lease) -> Published:
        """See `Warehouse.take_place`: one commit, which `restore` can take back."""
        if not self.exists(table.name):
            self.ensure(table)
        staged = _swap.copied(self._uri, new, table, lease.run_id)
        days = tuple(sorted(s.day for s in staged))
        about = _history.about("rebuild", lease.run_id, staged, days)
        version = _commit.overwrite(self._uri, table, staged, about, lambda: self._check(lease))
        self.drop(new)
        return replace(_published(version, days, staged), tokens=_tokens_of(staged))

    def drop(self, table: Table) -> None:
        _swap.drop(self._uri, table.name)

    def stage(self, table: Table, rows: pa.Table, *, run_id: str, task: str) -> list[Staged]:
        """See `Warehouse.stage`; the rows of a file are in the order of the table's key."""
        if table.partition is None:
            raise UsageError(f"{table.name} has no partition: its dates cannot be staged.")
        frame = _arrow.conformed(table, rows)
        return _stage.stage(self._uri, table, frame, run_id, task, list(table.key))

    def publish(
        self, table: Table, staged: Sequence[Staged], *, remove: Sequence[date], lease: Lease
    ) -> Published:
        """See `Warehouse.publish`; nothing is committed where nothing would change.

        Raises `WarehouseError` where a staged file is gone or not whole.
        """
        days = [s.day for s in staged]
        if len(set(days)) < len(days):
            twice = sorted({str(day) for day in days if days.count(day) > 1})
            raise WarehouseError(f"{table.name}: staged twice: {', '.join(twice)}.")
        if lease.table != table.name:
            raise UsageError(f"A lease on {lease.table} does not cover {table.name}.")
        every = tuple(sorted({*days, *remove}))
        about = _history.about("publish", lease.run_id, staged, every)
        version = _commit.commit(self._uri, table, staged, every, about, lambda: self._check(lease))
        return replace(_published(version, every, staged), tokens=_tokens_of(staged))

    def is_as_published(self, partition: Partition, token: str) -> bool:
        """See `Warehouse.is_as_published`: its only file is the one that was staged."""
        return partition.token == token

    def _check(self, lease: Lease) -> None:
        with _objects.translated(f"Looking at the lease on {lease.table}"):
            _lease.check(self._uri, lease)

    def sweep(
        self,
        table: Table,
        *,
        ended_runs: Sequence[str],
        older_than: datetime,
        dates: Collection[date] | None = None,
        since: datetime | None = None,
    ) -> int:
        with _objects.translated(f"Sweeping {self._folder(table.name)}"):
            return _sweep.sweep(self._uri, table, ended_runs, older_than, dates, since)

    def tidy(self, table: str, *, keep: timedelta, run_id: str, dry_run: bool) -> Tidied:
        """See `Warehouse.tidy`."""
        with _objects.translated(f"Tidying {self._folder(table)}"):
            return _tidy.tidy(self._uri, table, keep=keep, run_id=run_id, dry_run=dry_run)

    def history(self, table: str) -> list[Version]:
        """Newest first; `detail` holds the run and the dates where this project wrote them."""
        stored = _files.open_table(self._uri, table)
        return [_history.version(entry) for entry in stored.history()]

    def restore(self, table: str, version: int) -> Published:
        """Make an old version the newest one; gives the dates that changed by it.

        Raises `UsageError` for a version that there is not, `WarehouseError` where files of
        it are gone, or are said to lie outside the table.
        """
        return _restore.restore(self._uri, table, version)

    # -- leases ----------------------------------------------------------------------------
    def acquire_lease(self, table: Table, run_id: str, *, seconds: int, steal: bool) -> Lease:
        with _objects.translated(f"Taking the lease on {table.name}"):
            return _lease.acquire(self._uri, table.name, run_id, seconds=seconds, steal=steal)

    def renew_lease(self, lease: Lease, *, seconds: int) -> Lease:
        with _objects.translated(f"Renewing the lease on {lease.table}"):
            return _lease.renew(self._uri, lease, seconds=seconds)

    def release_lease(self, lease: Lease) -> None:
        with _objects.translated(f"Releasing the lease on {lease.table}"):
            _lease.release(self._uri, lease)

    def lease_holder(self, table: str) -> str | None:
        with _objects.translated(f"Looking at the lease on {table}"):
            return _lease.holder(self._uri, table)

    # -- small objects ---------------------------------------------------------------------
    def put_object(self, key: str, data: bytes) -> None:
        path = _objects.object_key(key)
        with _objects.translated(f"Writing {_objects.join(self._uri, path)}"):
            _objects.put(self._uri, path, data)

    def get_object(self, key: str) -> bytes | None:
        path = _objects.object_key(key)
        with _objects.translated(f"Reading {_objects.join(self._uri, path)}"):
            return _objects.get(self._uri, path)

    def delete_object(self, key: str) -> None:
        path = _objects.object_key(key)
        with _objects.translated(f"Deleting {_objects.join(self._uri, path)}"):
            _objects.delete(self._uri, path)

    def list_objects(self, prefix: str, *, after: str = "") -> list[str]:
        """Keys that begin with the prefix, sorted; what could not have been put is left out."""
        folder = prefix.rpartition("/")[0]
        path = _objects.object_key(folder) if folder else _objects.HOUSE
        behind = f"{_objects.HOUSE}/{after}" if after else None
        with _objects.translated(f"Listing {_objects.join(self._uri, path)}"):
            found = _objects.list_meta(self._uri, path, after=behind)
        keys = (str(meta["path"]).removeprefix(f"{_objects.HOUSE}/") for meta in found)
        return sorted(key for key in keys if key.startswith(prefix) and _objects.is_key(key))


def _tokens_of(staged: Sequence[Staged]) -> dict[date, str]:
    """The token of each date once its staged file is its only one."""
    files = ((s.day, str(s.handle["path"]), int(s.handle["size"])) for s in staged)
    return {day: _files.token_of([(path, size, "")]) for day, path, size in files}


def _published(version: int, days: Sequence[date], staged: Sequence[Staged]) -> Published:
    return Published(str(version), tuple(sorted(days)), sum(s.rows for s in staged))
