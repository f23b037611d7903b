"""One table takes the place of another: a copy job that truncates is atomic, and costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_backfill.errors import RefusedError
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import lease as _bq_lease
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.read import stored_table
from ray_backfill.warehouse.protocol import Lease

if TYPE_CHECKING:
    from google.cloud import bigquery

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["copy_table", "drop", "overwrite", "take_place"]

_KEPT = ("labels", "description", "require_partition_filter")
"""What a table says of itself beside its rows and schema: a copy may not take that along."""


def take_place(clients: Clients, table: Table, new: Table, lease: Lease, tally: Tally) -> Any:
    """Give a table the rows, schema and partitions of another one; gives the finished job.

    Raises `RefusedError` where the stored table is partitioned otherwise: its old rows could not
    be restored into the new one.
    """
    by = _bq_schema.partition_of(stored_table(clients, table.name))
    if by != table.partition:
        raise RefusedError(
            f"{table.name} is partitioned by {by or 'nothing'}, and cannot be rebuilt in its "
            f"place by {table.partition}.",
            hint="Move the table away, or give the job's output another name.",
        )
    _bq_lease.check(clients, lease)
    return overwrite(clients, clients.address.full(new.name), table.name, tally)


def overwrite(clients: Clients, source: str, table: str, tally: Tally) -> Any:
    """Make a table hold what another one (by its full name) holds; its lease stays as it is."""
    before = stored_table(clients, table)
    job = copy_table(clients, source, clients.address.full(table), f"Replacing {table}", tally)
    _tell_again(clients, table, before)
    return job


def _tell_again(clients: Clients, table: str, before: bigquery.Table) -> None:
    """What the table said of itself before, also where its lease is renewed meanwhile."""
    from google.api_core.exceptions import PreconditionFailed

    for _ in range(10):
        stored = stored_table(clients, table)
        stored.labels = {**before.labels, **stored.labels}
        stored.description = before.description
        stored.require_partition_filter = before.require_partition_filter
        try:
            current = stored
            tried(
                f"Changing {table}",
                lambda current=current: clients.rest.update_table(  # type: ignore[misc]
                    current, list(_KEPT), retry=None, timeout=HTTP_SECONDS
                ),
                expected=(PreconditionFailed,),
            )
        except PreconditionFailed:
            continue
        return


def copy_table(clients: Clients, source: str, target: str, doing: str, tally: Tally) -> Any:
    """The finished job that makes one table a copy of another, which may name a moment of it."""
    from google.cloud.bigquery import CopyJobConfig

    config = CopyJobConfig(write_disposition="WRITE_TRUNCATE")

    def begin(ident: str) -> Any:
        return clients.rest.copy_table(
            source, target, job_id=ident, job_config=config, retry=None, timeout=HTTP_SECONDS
        )

    return _bq_jobs.load(clients, begin, doing, tally=tally)


def drop(clients: Clients, table: str) -> None:
    """Delete a table; one that is gone is fine."""
    full = clients.address.full(table)
    tried(
        f"Deleting {full}",
        lambda: clients.rest.delete_table(
            full, not_found_ok=True, retry=None, timeout=HTTP_SECONDS
        ),
    )
