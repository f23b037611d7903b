"""Every step of the real protocol of BigQuery, by the functions that a run uses itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from ray_backfill.doctor import bigquery_place, scratch
from ray_backfill.doctor.check import UnfitError
from ray_backfill.doctor.scratch import DAYS, require
from ray_backfill.errors import LeaseHeldError
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import catalogue as _bq_catalogue
from ray_backfill.warehouse.bigquery import create as _bq_create
from ray_backfill.warehouse.bigquery import datasets as _bq_datasets
from ray_backfill.warehouse.bigquery import history as _bq_history
from ray_backfill.warehouse.bigquery import lease as _bq_lease
from ray_backfill.warehouse.bigquery import load as _bq_load
from ray_backfill.warehouse.bigquery import objects as _bq_objects
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.protocol import Lease, Staged

if TYPE_CHECKING:
    from google.cloud import bigquery

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["BigQueryScratch"]

_ALL = [(day, 1.0) for day in DAYS]


class BigQueryScratch:
    """The scratch tables of a project, and what the steps before left for the next ones."""

    def __init__(self, uri: str) -> None:
        self.address = _bq_settings.parse(uri)
        self.name = scratch.new_name()
        self.table = scratch.table(self._named(self.name))
        self.raw = scratch.raw(self._named(f"{self.name}__raw"))
        self.tally = Tally()
        self._staged: list[Staged] = []
        self._lease: Lease | None = None
        self._version = 0
        self._made_dataset = False
        self.touched = False
        """Whether there may be anything to remove."""

    def _named(self, table: str) -> str:
        return f"{self.address.staging}.{table}"

    @property
    def clients(self) -> Clients:
        return _bq_settings.clients(self.address)

    @property
    def _held(self) -> Lease:
        assert self._lease is not None
        return self._lease

    @property
    def _staging(self) -> str:
        return self.address.house(_bq_stage.staging_name(self.table.name, self.name))

    # -- creating --------------------------------------------------------------------------
    def create(self) -> str:
        """An output with partitions, a required filter and an expiry of its own."""
        self.touched, self._made_dataset = (
            True,
            bigquery_place.dataset(self.clients, self.address.staging) is None,
        )
        _bq_datasets.create_house(self.clients)
        self._create(_bq_schema.table_resource(self.address.full(self.table.name), self.table))
        stored = _bq_read.stored_table(self.clients, self.table.name)
        require("The partition", _bq_schema.partition_of(stored), self.table.partition)
        require("The required filter", stored.require_partition_filter, True)
        require("The clusters", stored.clustering_fields, list(self.table.cluster))
        require("The partitions' expiry", stored.time_partitioning.expiration_ms, None)
        left = (stored.expires or datetime.max.replace(tzinfo=UTC)) - datetime.now(UTC)
        require("An expiry within the hour", left <= scratch.LIFE, True)
        return f"{self.table.name}: partitions that stay, a required filter, gone in an hour"

    def _create(self, resource: bigquery.Table) -> None:
        resource.expires = datetime.now(UTC) + scratch.LIFE
        _bq_create.create_table(self.clients, resource, f"Creating {resource.table_id}")

    def outputs(self, datasets: Sequence[str]) -> str:
        """Make and delete an empty table in each dataset that jobs write to."""
        there = [name for name in datasets if bigquery_place.dataset(self.clients, name)]
        for dataset in there:
            full = f"{self.address.project}.{dataset}.{self.name}"
            try:
                self._create(_bq_schema.table_resource(full, self.table))
            finally:
                self._delete(full)
        new = [name for name in datasets if name not in there]
        made = f"a table was made and deleted in {', '.join(there)}" if there else ""
        absent = f"{', '.join(new)}: not there yet, made by the first run" if new else ""
        return "; ".join(text for text in (made, absent) if text) or "no job is known here"

    # -- reading and writing ---------------------------------------------------------------
    def load(self) -> str:
        resource = _bq_schema.table_resource(self.address.full(self.raw.name), self.raw, raw=True)
        self._create(resource)
        frame = scratch.rows(self.raw, self.name, _ALL)
        _bq_load.append(self.clients, self.raw, frame, self.tally, replace=False)
        return "three rows of a Parquet file"

    def read(self) -> str:
        """Columns and dates of the loaded rows, through the Storage Read API."""
        found = self._read(self.raw, DAYS[:1], "place", "tags")
        require("A row that was loaded", found.to_dicts(), [{"place": "here", "tags": ["a", "b"]}])
        require("The loaded rows", self._values(self.raw), _ALL)
        return "columns and dates as Arrow"

    def _read(self, table: Table, days: Any, *columns: str) -> pl.DataFrame:
        found = _bq_read.read(self.clients, table, columns, days, self.tally)
        return cast(pl.DataFrame, pl.from_arrow(found))

    def _values(self, table: Table) -> list[tuple[date, float]]:
        return scratch.values(self._read(table, DAYS, "day", "value"))

    def _staged_rows(self) -> int:
        return int(_bq_read.scan(self.clients, self._staging, ["day"], "").num_rows)

    def hold(self) -> str:
        """Take the lease, be refused as another run, be refused under an old etag."""
        from google.api_core.exceptions import PreconditionFailed

        name = self.table.name
        self._lease = _bq_lease.acquire(self.clients, name, self.name, seconds=60, steal=False)
        try:
            _bq_lease.acquire(self.clients, name, "another-doctor", seconds=60, steal=False)
        except LeaseHeldError:
            pass
        else:
            raise UnfitError("Two runs hold one lease.")
        old = _bq_read.stored_table(self.clients, name)
        self._lease = _bq_lease.renew(self.clients, self._held, seconds=60)
        old.labels = {**old.labels, "rbf_run": "another-doctor"}
        try:
            tried(
                f"Changing the labels of {name} under an old etag",
                lambda: self.clients.rest.update_table(
                    old, ["labels"], retry=None, timeout=HTTP_SECONDS
                ),
                expected=(PreconditionFailed,),
            )
        except PreconditionFailed:
            return "taken, refused to another run and to an old etag, renewed"
        raise UnfitError("A change under an old etag was taken: two runs could hold one lease.")

    def stage(self) -> str:
        _bq_stage.create_staging(self.clients, self.table, self.name)
        self._staged = self._write(_ALL)
        require("Rows of a stream that is not committed", self._staged_rows(), 0)
        return "three rows in a pending stream, which no reader sees"

    def _write(self, found: list[tuple[date, float]]) -> list[Staged]:
        frame = scratch.rows(self.table, self.name, found)
        arrow = _bq_stage.arrow_rows(self.table.columns, frame)
        handle = _bq_stage.write(self.clients, self._staging, arrow, "doctor")
        return [Staged(day, 1, arrow.nbytes, handle) for day, _ in found]

    def _commit(self, staged: list[Staged]) -> None:
        streams = [str(item.handle["stream"]) for item in staged]
        _bq_publish.commit_streams(self.clients, self._staging, streams)

    def commit(self) -> str:
        self._commit(self._staged)
        self._commit(self._staged)  # as after a lost answer
        require("Rows of a committed stream", self._staged_rows(), len(DAYS))
        return "visible in staging; committed again, it says so"

    def merge(self) -> str:
        """Publish; then replace one date and remove another by one statement."""
        job = self._replace(self._staged, [])
        require("What was published", self._values(self.table), _ALL)
        self._version = _bq_history.version_of(job)
        again = self._write([(DAYS[1], 2.0)])
        self._commit(again)
        self._replace(again, [DAYS[2]])
        now = [(DAYS[0], 1.0), (DAYS[1], 2.0)]
        require("A replaced and a removed date", self._values(self.table), now)
        return "three dates, then one replaced and one removed by one statement"

    def _replace(self, staged: list[Staged], remove: list[date]) -> Any:
        _bq_lease.check(self.clients, self._held)
        args = (self.clients, self.table, staged, remove, self._held, self.tally)
        return _bq_publish.replace(*args)

    def partitions(self) -> str:
        parts = _bq_catalogue.partitions(self.clients, self.table, self.tally)
        require("Partitions and rows", [(p.day, p.rows) for p in parts], [(d, 1) for d in DAYS[:2]])
        return "dates and rows, by one small query"

    def view(self) -> str:
        from google.cloud.bigquery import Table as Resource

        name = self._named(f"{self.name}__view")
        resource = Resource(self.address.full(name))
        resource.view_query = f"SELECT * FROM `{self.address.full(self.table.name)}`"  # noqa: S608
        self._create(resource)
        found = self._values(replace(self.table, name=name))
        require("The rows of a view", found, self._values(self.table))
        return "read by a query job, as any view is"

    def restore(self) -> str:
        _bq_history.restore(self.clients, self.table.name, self._version, self.tally)
        require("What was restored", self._values(self.table), _ALL)
        return "the first version is the newest again"

    def objects(self) -> str:
        """Write, add to, read and list an object, as journals are kept."""
        kept = _bq_objects.Objects(f"{self.name}__objects")
        self._create(_bq_objects.resource(self.address.house(kept.table)))
        for data in (b"one\n", b"one\ntwo\n"):
            kept.put(self.clients, "doctor", data)
        require("The object that was written", kept.get(self.clients, "doctor"), b"one\ntwo\n")
        require("Its listing", kept.keys(self.clients, "doc"), ["doctor"])
        return "written, added to, read, listed, without a job"

    def release(self) -> str:
        _bq_lease.release(self.clients, self._held)
        require("Who holds it", _bq_lease.holder(self.clients, self.table.name), None)
        return "the next run may begin"

    # -- removing --------------------------------------------------------------------------
    def remove(self) -> str:
        """Delete all tables of this doctor, and what others left that were killed."""
        found = self._scratch()
        for name in found:
            self._delete(self.address.house(name))
        require("What is left", self._scratch(), [])
        if self._made_dataset:
            self._delete_dataset()
        self.touched = False
        others = sum(self.name not in name for name in found)
        more = f", nor {others} tables of killed ones" if others else ""
        bill = f"{self.tally.jobs} jobs were billed {self.tally.billed:,} bytes"
        return f"nothing is left{more}; {bill}"

    def _scratch(self) -> list[str]:
        from google.api_core.exceptions import NotFound

        dataset = f"{self.address.project}.{self.address.staging}"
        try:
            listed = tried(
                f"Listing {self.address.staging}",
                lambda: list(self.clients.rest.list_tables(dataset, retry=None)),
                expected=(NotFound,),
            )
        except NotFound:
            return []
        names = [str(table.table_id) for table in listed]
        return [n for n in names if self.name in n or scratch.is_left_over(n)]

    def _delete(self, full: str) -> None:
        tried(
            f"Deleting {full}",
            lambda: self.clients.rest.delete_table(
                full, not_found_ok=True, retry=None, timeout=HTTP_SECONDS
            ),
        )

    def _delete_dataset(self) -> None:
        """The dataset that was made for this, unless somebody has put a table in it meanwhile."""
        from google.api_core.exceptions import BadRequest

        name = f"{self.address.project}.{self.address.staging}"
        try:
            tried(
                f"Deleting {name}",
                lambda: self.clients.rest.delete_dataset(
                    name, not_found_ok=True, retry=None, timeout=HTTP_SECONDS
                ),
                expected=(BadRequest,),
            )
        except BadRequest:
            return
        self._made_dataset = False
