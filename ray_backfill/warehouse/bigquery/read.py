"""Reads columns of a stored table as Arrow, through the Storage Read API.

Views, and what else that API cannot read, come through one query job.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa

from ray_backfill.errors import ContractError, TableNotFoundError
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Column, Table
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery.errors import (
    ATTEMPTS,
    HTTP_SECONDS,
    explained,
    is_transient,
    pause,
    tried,
)
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.schema import column_of, literal

if TYPE_CHECKING:
    from google.cloud import bigquery

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["FIRST_DATE", "read", "scan", "scan_bytes", "stored_of", "stored_table", "where"]

_STREAMS = 4
_MANY_ROWS = 200_000
FIRST_DATE = date(1, 1, 1)


class _SessionLostError(Exception):
    """The server does not know the session any more; a new one has to be made."""


def stored_table(clients: Clients, name: str) -> bigquery.Table:
    """What the catalogue says of `dataset.table`; raises `TableNotFoundError`."""
    return stored_of(clients, clients.address.full(name), name)


def stored_of(clients: Clients, full: str, name: str = "") -> bigquery.Table:
    """What the catalogue says of a table by its full name; raises `TableNotFoundError`."""
    from google.api_core.exceptions import NotFound

    try:
        found: bigquery.Table = tried(
            f"Looking at {full}",
            lambda: clients.rest.get_table(full, retry=None, timeout=HTTP_SECONDS),
            expected=(NotFound,),
        )
    except NotFound as error:
        raise TableNotFoundError(
            f"There is no table {name or full} in {clients.address.uri}.",
            hint="Check the name, and the project in --warehouse.",
        ) from error
    return found


def where(column: str, days: DateRange | Sequence[date]) -> str:
    """The condition that keeps these dates."""
    if isinstance(days, DateRange):
        return f"{column} >= {literal(days.start)} AND {column} < {literal(days.end)}"
    return f"{column} IN ({', '.join(literal(day) for day in sorted(set(days)))})"


def read(
    clients: Clients,
    table: Table,
    columns: Sequence[str],
    days: DateRange | Sequence[date] | None,
    tally: Tally,
) -> pa.Table:
    """These columns of these dates in contract dtypes; see `Warehouse.read`."""
    wanted = [column_of(table, name) for name in columns]
    stored = stored_table(clients, table.name)
    names = _present(table, wanted, stored)
    if days is not None and table.partition is None:
        raise ContractError(f"{table.name} has no partitions: it cannot be read by date.")
    if days is not None and not days:
        return pl.DataFrame(schema={c.name: c.kind.polars for c in wanted}).to_arrow()
    # Some column has to be read for the rows to be counted.
    asked = names or [stored.schema[0].name]
    condition = _condition(table, stored, days)
    if stored.table_type == "TABLE":
        found = scan(clients, clients.address.full(table.name), asked, condition, stored)
    else:
        found = _queried(clients, table.name, asked, condition, tally)
    return _arrow.completed(_frame(found.select(asked)), wanted).to_arrow()


def _condition(
    table: Table, stored: bigquery.Table, days: DateRange | Sequence[date] | None
) -> str:
    if days is not None:
        return where(cast(str, table.partition), days)
    # Tables that require a filter on their partition take any.
    by = _bq_schema.partition_of(stored) if stored.require_partition_filter else None
    return f"{by} >= {literal(FIRST_DATE)}" if by else ""


def _present(table: Table, wanted: Sequence[Column], stored: bigquery.Table) -> list[str]:
    """Those of the columns that are stored; raises `ContractError` for what cannot be read."""
    have = {field.name: _bq_schema.type_of(field) for field in stored.schema}
    if not have and stored.table_type != "TABLE":
        return [column.name for column in wanted]  # a view that does not tell: its query will
    for column in wanted:
        if column.name not in have:
            if not _arrow.missing_ok(column):
                raise ContractError(
                    f"{table.name} has no column {column.name}, which is required.",
                    hint="Load the table again with it.",
                )
        elif not _bq_schema.readable(column.kind, have[column.name]):
            raise ContractError(
                f"{table.name}.{column.name} is stored as {have[column.name]}, "
                f"and must be {column.kind}.",
                hint="Load the table again with that type.",
            )
    return [column.name for column in wanted if column.name in have]


def _frame(found: pa.Table) -> pl.DataFrame:
    """Arrow as Polars takes it: it knows no decimals of 256 bits."""
    for n, field in enumerate(found.schema):
        if pa.types.is_decimal256(field.type):
            found = found.set_column(n, field.name, found.column(n).cast(pa.float64()))
    return cast(pl.DataFrame, pl.from_arrow(found))


# -- the Storage Read API ------------------------------------------------------------------------
def scan_bytes(clients: Clients, table: Table, columns: Sequence[str], days: Any) -> int | None:
    """Bytes that a reading would be billed for; None for what only a query can read."""
    stored = stored_table(clients, table.name)
    if stored.table_type != "TABLE":
        return None
    names = _present(table, [column_of(table, n) for n in columns], stored)
    if days is not None and not days:
        return 0
    condition = _condition(table, stored, days)
    session = _session(clients, clients.address.full(table.name), names, condition, 1)
    return int(session.estimated_total_bytes_scanned)


def scan(
    clients: Clients,
    full: str,
    columns: Sequence[str],
    condition: str,
    stored: bigquery.Table | None = None,
) -> pa.Table:
    """Rows of a table as one snapshot of it; streams side by side where it is large.

    A stream that breaks goes on at its offset. Where the whole session is gone it begins anew
    with nothing kept, so that no row comes twice.
    """
    large = stored is not None and (stored.num_rows or 0) > _MANY_ROWS
    for attempt in range(ATTEMPTS):
        session = _session(clients, full, columns, condition, _STREAMS if large else 1)
        try:
            return _rows(clients, full, session)
        except _SessionLostError as error:
            if attempt == ATTEMPTS - 1:
                raise explained(f"Reading {full}", error.__cause__ or error, ATTEMPTS) from error
        pause(attempt)
    raise AssertionError


def _session(
    clients: Clients, full: str, columns: Sequence[str], condition: str, streams: int
) -> Any:
    from google.api_core.exceptions import NotFound
    from google.cloud.bigquery_storage_v1 import types

    wanted = types.ReadSession(
        table=clients.address.path(full),
        data_format=types.DataFormat.ARROW,
        read_options=types.ReadSession.TableReadOptions(
            selected_fields=list(columns), row_restriction=condition
        ),
    )
    request = types.CreateReadSessionRequest(
        parent=f"projects/{clients.address.project}", read_session=wanted, max_stream_count=streams
    )
    try:
        return tried(
            f"Reading {full}",
            lambda: clients.reading.create_read_session(request, retry=None, timeout=HTTP_SECONDS),
            expected=(NotFound,),
        )
    except NotFound as error:
        raise TableNotFoundError(f"There is no table {full}.") from error


def _rows(clients: Clients, full: str, session: Any) -> pa.Table:
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    names = [stream.name for stream in session.streams]
    if len(names) > 1:
        with ThreadPoolExecutor(len(names)) as pool:
            parts = list(pool.map(lambda name: _stream(clients, full, name, schema), names))
    else:
        parts = [_stream(clients, full, name, schema) for name in names]
    batches = [batch for part in parts for batch in part]
    return pa.Table.from_batches(batches, schema)


def _stream(clients: Clients, full: str, name: str, schema: pa.Schema) -> list[pa.RecordBatch]:
    """The batches of one stream, reopened at its offset where it breaks."""
    from google.api_core.exceptions import FailedPrecondition, NotFound

    batches: list[pa.RecordBatch] = []
    offset = failures = 0
    while True:
        try:
            answers = clients.reading.read_rows(
                read_stream=name, offset=offset, retry=None, timeout=3600.0
            )
            for answer in answers:
                data = pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
                batch = pa.ipc.read_record_batch(data, schema)
                batches.append(batch)
                offset, failures = offset + batch.num_rows, 0
        except (NotFound, FailedPrecondition) as error:
            raise _SessionLostError(str(error)) from error
        except Exception as error:
            failures += 1
            if not is_transient(error) or failures == ATTEMPTS:
                raise explained(f"Reading {full}", error, failures) from error
            pause(failures - 1)
        else:
            return batches


# -- queries -------------------------------------------------------------------------------------
def _queried(
    clients: Clients, name: str, columns: Sequence[str], condition: str, tally: Tally
) -> pa.Table:
    listed = ", ".join(f"`{column}`" for column in columns)
    sql = f"SELECT {listed} FROM `{clients.address.full(name)}`"  # noqa: S608
    sql += f" WHERE {condition}" if condition else ""
    doing = f"Reading {name}"
    job = _bq_jobs.query(clients, sql, doing, tally=tally)
    found = tried(
        doing,
        lambda: job.result(retry=None, job_retry=None).to_arrow(create_bqstorage_client=False),
    )
    return cast(pa.Table, found)
