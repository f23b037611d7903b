"""BigQuery as a warehouse: `bigquery://PROJECT[?location=US&staging=DATASET]`.

Tables are where their names say, `PROJECT.dataset.table`. Staging tables, journals and reports
live in a dataset of their own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Table
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.bigquery import catalogue as _bq_catalogue
from ray_backfill.warehouse.bigquery import cost as _bq_cost
from ray_backfill.warehouse.bigquery import errors as _bq_errors
from ray_backfill.warehouse.bigquery import estimate as _bq_estimate
from ray_backfill.warehouse.bigquery import expiry as _bq_expiry
from ray_backfill.warehouse.bigquery import history as _bq_history
from ray_backfill.warehouse.bigquery import lease as _bq_lease
from ray_backfill.warehouse.bigquery import load as _bq_load
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from ray_backfill.warehouse.bigquery import swap as _bq_swap
from ray_backfill.warehouse.bigquery import temporary as _bq_temporary
from ray_backfill.warehouse.bigquery import tidy as _bq_tidy
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.objects import Objects
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
    import pyarrow as pa

    from ray_backfill.job import Job
    from ray_backfill.plan import Plan
    from ray_backfill.warehouse.bigquery.cost import Cost
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["SCHEME", "BigQuery"]

SCHEME = "bigquery"


class BigQuery:
    """A project of BigQuery; see `Warehouse` for what each method promises.

    It holds its address and what this process did there; clients are made where they are
    used, so that it can be pickled and opened anywhere.
    """

    partition_range = DateRange(date(1960, 1, 1), date(2160, 1, 1))
    """Rows of other dates lie in `__UNPARTITIONED__`, where no date can be replaced."""
    settings = re.compile(r"RAY_BACKFILL_BIGQUERY_\w+", re.ASCII)

    def __init__(self, uri: str) -> None:
        self._address = _bq_settings.parse(uri)
        _bq_settings.local_settings()
        self._objects = Objects()
        self.tally = Tally()

    def __repr__(self) -> str:
        return f"BigQuery({self.uri!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (BigQuery, (self.uri,))

    @property
    def uri(self) -> str:
        """The URL, without what is usual."""
        return self._address.uri

    @property
    def _clients(self) -> Clients:
        return _bq_settings.clients(self._address)

    # -- reading ---------------------------------------------------------------------------
    def exists(self, table: str) -> bool:
        """Whether there is such a table; raises `UsageError` for what is no table's name."""
        _objects.table_folder(table)
        return _bq_catalogue.exists(self._clients, table)

    def tables(self) -> list[TableInfo]:
        return _bq_catalogue.tables(self._clients, self.tally)

    def partitions(self, table: Table) -> list[Partition]:
        return _bq_catalogue.partitions(self._clients, table, self.tally)

    def read(
        self, table: Table, columns: Sequence[str], dates: DateRange | Sequence[date] | None = None
    ) -> pa.Table:
        return _bq_read.read(self._clients, table, columns, dates, self.tally)

    # -- raw tables ------------------------------------------------------------------------
    def append(self, table: Table, rows: pa.Table, *, replace_dates: bool = False) -> Published:
        """See `Warehouse.append`; no rows change nothing, and create no table.

        Raises `ContractError` for rows that break the contract, or for a stored table that
        has another type in one of its columns.
        """
        frame = _arrow.conformed(table, rows)
        if frame.is_empty():
            return Published("0", (), 0)
        clients = self._clients
        job = _bq_load.append(clients, table, frame, self.tally, replace=replace_dates)
        days = tuple(sorted(frame[table.partition].unique())) if table.partition else ()
        about = _about(
            "replace" if replace_dates else "append", str(job.job_id), frame.height, days
        )
        version = _bq_history.record(self._objects, clients, table.name, job, about)
        return Published(str(version), days, frame.height)

    # -- output tables ---------------------------------------------------------------------
    def fit(self, table: Table) -> Fit | None:
        """See `Warehouse.fit`."""
        return _bq_catalogue.fit(self._clients, table)

    def ensure(self, table: Table) -> None:
        _bq_catalogue.ensure(self._clients, table)

    def take_place(self, table: Table, new: Table, *, lease: Lease) -> Published:
        """See `Warehouse.take_place`."""
        clients = self._clients
        if not _bq_catalogue.exists(clients, table.name):
            _bq_catalogue.create(clients, table)
        parts = self.partitions(new)
        job = _bq_swap.take_place(clients, table, new, lease, self.tally)
        days = tuple(p.day for p in parts if p.day)
        rows = sum(p.rows for p in parts)
        about = _about("rebuild", lease.run_id, rows, days)
        version = _bq_history.record(self._objects, clients, table.name, job, about)
        self.drop(new)
        tokens = {p.day: _bq_catalogue.token_of(job.ended, p.rows) for p in parts if p.day}
        return Published(str(version), days, rows, tokens)

    def drop(self, table: Table) -> None:
        _bq_swap.drop(self._clients, table.name)

    def stage(self, table: Table, rows: pa.Table, *, run_id: str, task: str) -> list[Staged]:
        """See `Warehouse.stage`: one stream for all dates of the call."""
        if table.partition is None:
            raise UsageError(f"{table.name} has no partition: its dates cannot be staged.")
        frame = _arrow.conformed(table, rows)
        if frame.is_empty():
            return []
        clients = self._clients
        full = self._address.house(_bq_stage.staging_name(table.name, run_id))
        arrow = _bq_stage.arrow_rows(table.columns, frame.sort(list(table.key)))
        if not _bq_catalogue.exists(clients, f"{self._address.staging}.{full.rpartition('.')[2]}"):
            _bq_stage.create_staging(clients, table, run_id)
        handle = _bq_stage.write(clients, full, arrow, task)
        counts = frame.group_by(table.partition).len().sort(table.partition)
        return [
            Staged(day, count, arrow.nbytes * count // arrow.num_rows, handle)
            for day, count in counts.iter_rows()
        ]

    def publish(
        self, table: Table, staged: Sequence[Staged], *, remove: Sequence[date], lease: Lease
    ) -> Published:
        """See `Warehouse.publish`; nothing is run where nothing would change.

        Raises `WarehouseError` where a stream is gone or holds other rows than were counted.
        """
        days = [item.day for item in staged]
        every = tuple(sorted({*days, *remove}))
        if len(set(days)) < len(days):
            twice = sorted({str(day) for day in days if days.count(day) > 1})
            raise WarehouseError(f"{table.name}: staged twice: {', '.join(twice)}.")
        if lease.table != table.name:
            raise UsageError(f"A lease on {lease.table} does not cover {table.name}.")
        if len(every) > _bq_publish.MOST_DATES:
            raise UsageError(
                f"{len(every):,} dates are more than BigQuery changes at once "
                f"({_bq_publish.MOST_DATES:,}).",
                hint="Run fewer dates at a time, or a smaller --batch.",
            )
        clients = self._clients
        _bq_lease.check(clients, lease)
        if not every:
            return Published("0", (), 0)
        if staged:
            full = self._address.house(_bq_stage.staging_name(table.name, lease.run_id))
            streams = [str(item.handle["stream"]) for item in staged]
            _bq_publish.commit_streams(clients, full, streams)
            # Committing may have taken its time; what counts is who holds the table now.
            _bq_lease.check(clients, lease)
        job = _bq_publish.replace(clients, table, staged, remove, lease, self.tally)
        rows = sum(item.rows for item in staged)
        about = _about("publish", lease.run_id, rows, every)
        version = _bq_history.record(self._objects, clients, table.name, job, about)
        tokens = {item.day: _bq_catalogue.token_of(job.ended, item.rows) for item in staged}
        return Published(str(version), every, rows, tokens)

    def is_as_published(self, partition: Partition, token: str) -> bool:
        """See `Warehouse.is_as_published`: as many rows, and not modified after the commit."""
        return _bq_catalogue.is_not_later(partition.token, token)

    def sweep(
        self,
        table: Table,
        *,
        ended_runs: Sequence[str],
        older_than: datetime,
        dates: Collection[date] | None = None,
        since: datetime | None = None,
    ) -> int:
        """Delete staging tables of ended runs; those that are left delete themselves."""
        clients, house = self._clients, f"{self._address.project}.{self._address.staging}"
        ended = {_bq_stage.staging_name(table.name, run_id) for run_id in ended_runs}
        listed = _bq_errors.tried(f"Listing {house}", lambda: _bq_tidy.staged(clients, house))
        gone = [t for t in listed if t.table_id in ended and t.created and t.created < older_than]
        return sum(_bq_temporary.drop(clients, f"{house}.{t.table_id}") for t in gone)

    def tidy(self, table: str, *, keep: timedelta, run_id: str, dry_run: bool) -> Tidied:
        """See `Warehouse.tidy`: staging tables that are left; the rest BigQuery does itself."""
        return _bq_tidy.tidy(self._clients, table, dry_run=dry_run)

    def history(self, table: str) -> list[Version]:
        """Newest first: the commits of this tool, each with its run, dates, job and bytes."""
        _objects.table_folder(table)
        _bq_read.stored_table(self._clients, table)
        return _bq_history.versions(self._objects, self._clients, table)

    def restore(self, table: str, version: int) -> Published:
        """Make the table what it was at a version, for as long as BigQuery keeps that."""
        _objects.table_folder(table)
        clients = self._clients
        job, days, rows = _bq_history.restore(clients, table, version, self.tally)
        if job is None:
            return Published(str(version), (), 0)
        about = {"action": "restore", "to": str(version), "dates": str(len(days))}
        newest = _bq_history.record(self._objects, clients, table, job, about)
        return Published(str(newest), days, rows)

    # -- cost ------------------------------------------------------------------------------
    def cost(self, job: Job, plan: Plan, batch: int = 28) -> Cost:
        """What a run of the plan would be billed, at list price; reads nothing."""
        return _bq_estimate.cost(self._clients, job, plan, batch)

    def billed(self) -> dict[str, Any]:
        """What the jobs of this object were billed, according to themselves."""
        return _bq_cost.billed(self.tally.jobs, self.tally.billed, _bq_cost.prices())

    def expiry_warnings(self, table: Table, days: Sequence[date]) -> list[str]:
        """What BigQuery would delete by itself of these dates, once they are published."""
        return _bq_expiry.warnings(self._clients, table.name, days)

    # -- leases ----------------------------------------------------------------------------
    def acquire_lease(self, table: Table, run_id: str, *, seconds: int, steal: bool) -> Lease:
        """See `Warehouse.acquire_lease`; creates an absent table, whose labels it needs."""
        clients = self._clients
        if table.columns and not _bq_catalogue.exists(clients, table.name):
            _bq_catalogue.create(clients, table)
        lease = _bq_lease.acquire(clients, table.name, run_id, seconds=seconds, steal=steal)
        if table.columns:
            _bq_stage.create_staging(clients, table, run_id)
        return lease

    def renew_lease(self, lease: Lease, *, seconds: int) -> Lease:
        return _bq_lease.renew(self._clients, lease, seconds=seconds)

    def lease_holder(self, table: str) -> str | None:
        _objects.table_folder(table)
        return _bq_lease.holder(self._clients, table)

    def release_lease(self, lease: Lease) -> None:
        """Let the next run in, and delete what this one had staged."""
        clients = self._clients
        _bq_lease.release(clients, lease)
        full = self._address.house(_bq_stage.staging_name(lease.table, lease.run_id))
        _bq_temporary.drop(clients, full)

    # -- small objects ---------------------------------------------------------------------
    def put_object(self, key: str, data: bytes) -> None:
        self._objects.put(self._clients, key, data)

    def get_object(self, key: str) -> bytes | None:
        return self._objects.get(self._clients, key)

    def delete_object(self, key: str) -> None:
        """A row that says so takes its place: streamed rows cannot be deleted at once."""
        self._objects.delete(self._clients, key)

    def list_objects(self, prefix: str, *, after: str = "") -> list[str]:
        """Keys that begin with the prefix, sorted, without those that were deleted."""
        return self._objects.keys(self._clients, prefix, after)


def _about(action: str, run_id: str, rows: int, days: Sequence[date]) -> dict[str, str]:
    """What the list of commits says of one."""
    found = {"action": action, "run_id": run_id, "rows": str(rows)}
    if days:
        found |= {"dates": str(len(days)), "first": str(min(days)), "last": str(max(days))}
    return found
