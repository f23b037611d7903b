"""Raw tables: rows come in by one load job, or replace their dates by one statement."""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import pyarrow.parquet as pq

from ray_backfill.errors import UsageError
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import catalogue as _bq_catalogue
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from ray_backfill.warehouse.bigquery import temporary as _bq_temporary
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.stage import TAG

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["append"]


def append(
    clients: Clients, table: Table, frame: pl.DataFrame, tally: Tally, *, replace: bool
) -> Any:
    """The job that added the rows, or replaced their dates or the whole undated table."""
    _bq_catalogue.ensure(clients, table, raw=True)
    if replace and table.partition:
        return _replace_dates(clients, table, frame, tally)
    full = clients.address.full(table.name)
    # Truncating the data leaves the schema as it is; plain truncating would rewrite it.
    disposition = "WRITE_TRUNCATE_DATA" if replace else "WRITE_APPEND"
    return _loaded(clients, full, table, frame, disposition, tally)


def _loaded(
    clients: Clients, full: str, table: Table, frame: pl.DataFrame, disposition: str, tally: Tally
) -> Any:
    from google.cloud.bigquery import LoadJobConfig, ParquetOptions

    buffer = io.BytesIO()
    rows = _bq_stage.arrow_rows(table.columns, frame)
    pq.write_table(rows, buffer, compression="zstd")
    options = ParquetOptions()  # type: ignore[no-untyped-call]
    options.enable_list_inference = True
    config = LoadJobConfig(
        source_format="PARQUET",
        write_disposition=disposition,
        create_disposition="CREATE_NEVER",
        parquet_options=options,
    )

    def begin(job_id: str) -> Any:
        # Not the client's: it gives up at a 403 rateLimitExceeded.
        return clients.rest.load_table_from_file(
            buffer,
            full,
            rewind=True,
            size=buffer.getbuffer().nbytes,
            num_retries=0,
            job_id=job_id,
            job_config=config,
            timeout=HTTP_SECONDS,
        )

    return _bq_jobs.load(clients, begin, f"Loading {table.name}", tally=tally)


def _replace_dates(clients: Clients, table: Table, frame: pl.DataFrame, tally: Tally) -> Any:
    """Through a staging table and one statement, as outputs are published."""
    partition = str(table.partition)
    days: list[date] = sorted(frame[partition].unique())
    if len(days) > _bq_publish.MOST_DATES:
        raise UsageError(
            f"{len(days):,} dates are more than BigQuery replaces at once "
            f"({_bq_publish.MOST_DATES:,}).",
            hint="Load the files in parts.",
        )
    load = f"load-{uuid4().hex[:12]}"
    staging = _bq_stage.create_staging(clients, table, load)
    try:
        _loaded(clients, staging, table, frame, "WRITE_APPEND", tally)
        condition = _bq_read.where(partition, days)
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        sql = (
            f"MERGE `{clients.address.full(table.name)}` AS t\n"  # noqa: S608
            f"USING (SELECT {columns} FROM `{staging}` WHERE {condition} AND {TAG} IS NULL) AS s\n"
            f"ON FALSE\nWHEN NOT MATCHED BY SOURCE AND t.{condition} THEN DELETE\n"
            f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
        )
        doing = f"Replacing dates of {table.name}"
        return _bq_jobs.query(clients, sql, doing, job_id=f"rbf_{load}", tally=tally)
    finally:
        _bq_temporary.drop(clients, staging)
