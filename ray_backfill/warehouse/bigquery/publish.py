"""Publishing: the staged streams become visible in staging, then one statement moves them.

The statement replaces exactly its dates, whatever ran before it: it may be lost, found again
or repeated, and the table is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from ray_backfill.errors import WarehouseError
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.read import where
from ray_backfill.warehouse.bigquery.schema import literal
from ray_backfill.warehouse.bigquery.stage import TAG, staging_name
from ray_backfill.warehouse.protocol import Lease, Staged

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["MOST_DATES", "commit_streams", "merge_sql", "replace"]

MOST_DATES = 4000
"""Partitions that one job of BigQuery may change."""


def commit_streams(clients: Clients, full: str, streams: Sequence[str]) -> None:
    """Make the rows of all streams visible in the staging table, all or none.

    Streams that are committed already (the answer got lost) are fine. Raises
    `WarehouseError` for one that is gone or was not finalized.
    """
    from google.cloud.bigquery_storage_v1 import types

    done = types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
    left, doing = sorted(set(streams)), f"Committing streams of {full}"
    while left:
        request = types.BatchCommitWriteStreamsRequest(
            parent=clients.address.path(full), write_streams=left
        )
        answer = tried(
            doing,
            lambda request=request: clients.writing.batch_commit_write_streams(  # type: ignore[misc]
                request, retry=None, timeout=HTTP_SECONDS
            ),
        )
        already = {e.entity for e in answer.stream_errors if e.code == done}
        other = [e for e in answer.stream_errors if e.code != done or e.entity not in left]
        if other:
            raise WarehouseError(
                f"{doing} failed: {other[0].error_message}. Nothing was published.",
                hint="Run the same command again: the dates are computed anew.",
            )
        left = [stream for stream in left if stream not in already] if already else []


def merge_sql(
    target: str, staging: str, table: Table, staged: Sequence[Staged], remove: Any
) -> str:
    """The one statement that replaces the staged dates and empties those of `remove`.

    Its source names the tag of each stream with the dates that passed, so that nothing which
    was quarantined or staged by another attempt slips in.
    """
    by = str(table.partition)
    if not staged:
        return f"DELETE FROM `{target}` WHERE {where(by, list(remove))}"  # noqa: S608
    days: dict[str, list[date]] = {}
    for item in staged:
        days.setdefault(str(item.handle["tag"]), []).append(item.day)
    picked = " OR ".join(
        f"({TAG} = {literal(tag)} AND {where(by, members)})" for tag, members in days.items()
    )
    columns = ", ".join(f"`{column.name}`" for column in table.columns)
    return (
        f"MERGE `{target}` AS t\n"  # noqa: S608
        f"USING (\n  SELECT {columns}\n  FROM `{staging}`\n"
        f"  WHERE {where(by, [s.day for s in staged])} AND ({picked})\n) AS s\n"
        "ON FALSE\n"
        f"WHEN NOT MATCHED BY SOURCE AND t.{where(by, [*remove, *(s.day for s in staged)])} "
        "THEN DELETE\n"
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
    )


def replace(
    clients: Clients,
    table: Table,
    staged: Sequence[Staged],
    remove: Sequence[date],
    lease: Lease,
    tally: Tally,
) -> Any:
    """Run the statement, once; gives its finished job.

    Raises `WarehouseError` where it did not insert what the workers counted.
    """
    target = clients.address.full(table.name)
    staging = clients.address.house(staging_name(table.name, lease.run_id))
    sql = merge_sql(target, staging, table, staged, remove)
    # The same dates of the same streams in the same run always get the same id.
    mark = hashlib.sha256(f"{lease.run_id}/{lease.epoch}/{sql}".encode()).hexdigest()[:20]
    doing = f"Publishing to {table.name}"
    job = _bq_jobs.query(clients, sql, doing, job_id=f"rbf_{lease.run_id}_{mark}", tally=tally)
    expected = sum(item.rows for item in staged)
    found = _inserted(clients, table, staged, job)
    if found != expected:
        raise WarehouseError(
            f"{doing} wrote {found:,} rows where the workers had counted {expected:,} "
            f"(job {job.job_id}).",
            hint="Run the same command again: the dates are replaced. If it happens twice, "
            "something else writes to the table.",
        )
    return job


def _inserted(clients: Clients, table: Table, staged: Sequence[Staged], job: Any) -> int:
    """Rows that the job inserted; counted in the table where its statistics do not tell."""
    if job.dml_stats is not None:
        return int(job.dml_stats.inserted_row_count or 0)
    if not staged:
        return 0
    by = str(table.partition)
    condition = where(by, [item.day for item in staged])
    found = _bq_read.scan(clients, clients.address.full(table.name), [by], condition)
    return int(found.num_rows)
