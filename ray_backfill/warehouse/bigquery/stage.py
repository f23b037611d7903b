"""Staging: Arrow rows in PENDING streams of the run's own table, where no reader looks.

The rows of a stream carry its tag, so that a publisher can tell them from those of another
attempt at the same dates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import pyarrow as pa

from ray_backfill.errors import DataError, WarehouseError
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.warehouse.bigquery import create as _bq_create
from ray_backfill.warehouse.bigquery import datasets as _bq_datasets
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery.errors import (
    ATTEMPTS,
    HTTP_SECONDS,
    explained,
    is_transient,
    pause,
    tried,
)

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = [
    "TAG",
    "StreamLostError",
    "append",
    "arrow_rows",
    "create_staging",
    "staging_name",
    "write",
]

TAG = "ray_backfill_tag"
"""Column of the staging table alone: span, attempt and stream that a row came by."""

LIFE = timedelta(hours=24)
REQUEST_BYTES = 8 * 2**20
"""Largest record batch in one request; BigQuery takes 20 MB (10 MB where it is old)."""


STREAM_SECONDS = 900.0
"""After this long a call that appends is begun anew, where it is."""


class StreamLostError(Exception):
    """The server does not know the stream, or has other rows in it: a new one is needed."""


def staging_name(table: str, run_id: str) -> str:
    """Name of a run's staging table within its dataset."""
    return f"stage__{table.replace('.', '__')}__{run_id.replace('-', '_')}"


def create_staging(clients: Clients, table: Table, run_id: str) -> str:
    """Create the run's staging table where it is absent; gives its full name.

    All columns may be NULL there, it is partitioned by the same dates, and it deletes itself
    after a day.
    """
    _bq_datasets.create_house(clients)
    columns = [*table.columns, Column(TAG, Kind.STRING)]
    full = clients.address.house(staging_name(table.name, run_id))
    resource = _bq_schema.table_resource(full, Table(table.name, tuple(columns)))
    resource.schema = _bq_schema.fields(columns, nullable=True)
    if table.partition:
        from google.cloud.bigquery import TimePartitioning

        resource.time_partitioning = TimePartitioning(field=table.partition)
    resource.clustering_fields = [TAG]
    resource.description = f"Rows of run {run_id} on their way to {table.name}."
    resource.expires = datetime.now(UTC) + LIFE
    _bq_create.create_table(clients, resource, f"Creating {full}")
    return full


def arrow_rows(columns: Sequence[Column], frame: pl.DataFrame) -> pa.Table:
    """The rows in the types that are sent.

    An array is never NULL in BigQuery: such a one becomes an empty one. Raises `DataError`
    for a NULL inside an array, which BigQuery cannot store.
    """
    for column in columns:
        if column.kind is Kind.STRINGS:
            values = frame[column.name]
            if values.explode(empty_as_null=False, keep_nulls=False).null_count():
                raise DataError(
                    f"{column.name} has an array with a NULL in it, which BigQuery cannot store."
                )
            empty = pl.lit([], dtype=pl.List(pl.String))
            frame = frame.with_columns(pl.col(column.name).fill_null(empty))
    return frame.to_arrow().cast(_bq_schema.arrow_schema(columns))


def write(clients: Clients, full: str, rows: pa.Table, tag: str) -> dict[str, str | int]:
    """Write the rows to a new PENDING stream and finalize it; gives its name and tag.

    A stream that the server lost is never committed: another one takes its place, under
    another tag.
    """
    for attempt in range(ATTEMPTS):
        mark = f"{tag}/{uuid4().hex[:12]}"
        marked = rows.append_column(TAG, pa.array([mark] * rows.num_rows, pa.string()))
        stream = _create(clients, full)
        try:
            append(clients, stream, marked, full)
            finalize(clients, stream, rows.num_rows)
        except StreamLostError as error:
            if attempt == ATTEMPTS - 1:
                raise explained(f"Writing to {full}", error.__cause__ or error, ATTEMPTS) from error
            pause(attempt)
            continue
        return {"stream": stream, "tag": mark}
    raise AssertionError


def _create(clients: Clients, full: str) -> str:
    from google.cloud.bigquery_storage_v1 import types

    parent = clients.address.path(full)
    stream = types.WriteStream(type_=types.WriteStream.Type.PENDING)
    made = tried(
        f"Opening a stream to {full}",
        lambda: clients.writing.create_write_stream(
            parent=parent, write_stream=stream, retry=None, timeout=HTTP_SECONDS
        ),
    )
    return str(made.name)


def finalize(clients: Clients, stream: str, rows: int) -> None:
    from google.api_core.exceptions import NotFound

    try:
        done = tried(
            f"Closing the stream {stream}",
            lambda: clients.writing.finalize_write_stream(
                name=stream, retry=None, timeout=HTTP_SECONDS
            ),
            expected=(NotFound,),
        )
    except NotFound as error:
        raise StreamLostError(str(error)) from error
    if done.row_count != rows:
        raise WarehouseError(
            f"The stream {stream} holds {done.row_count:,} rows, and {rows:,} were sent."
        )


# -- appending -----------------------------------------------------------------------------------
def append(
    clients: Clients, stream: str, rows: pa.Table, full: str, *, offsets: bool = True
) -> None:
    """Append all rows to a stream, each request answered.

    With offsets exactly once: what got no answer is sent again at its offset, and "already
    exists" means that it had arrived. Without (the default stream) at least once.
    """
    batches, doing = list(_batches(rows)), f"Writing to {full}"
    starts = [0]
    for batch in batches:
        starts.append(starts[-1] + batch.num_rows)
    done = failures = 0
    while done < len(batches):
        sent = _requests(stream, batches[done:], starts[done:] if offsets else None)
        try:
            for _ in _answers(clients, stream, sent):
                done, failures = done + 1, 0
            if done < len(batches):
                raise ConnectionError("the stream was closed before every request was answered")
        except StreamLostError:
            raise
        except Exception as error:
            if _arrived(error):
                done += 1
                continue
            failures += 1
            if not is_transient(error) or failures == ATTEMPTS:
                raise explained(doing, error, failures) from error
            pause(failures - 1)


def _answers(clients: Clients, stream: str, requests: Iterator[Any]) -> Iterator[None]:
    """One item for each request that arrived; raises what the server says otherwise."""
    from google.api_core.exceptions import (
        FailedPrecondition,
        NotFound,
        OutOfRange,
        from_grpc_status,
    )

    try:
        # The client's own retry sends an exhausted iterator and loses rows in silence.
        answers = clients.writing.append_rows(
            requests,
            retry=None,
            timeout=STREAM_SECONDS,
            metadata=(("x-goog-request-params", f"write_stream={stream}"),),
        )
        for answer in answers:
            if answer.error.code:
                code, text = answer.error.code, answer.error.message
                error = from_grpc_status(code, text)  # type: ignore[no-untyped-call]
                if not _arrived(error):
                    raise error
            yield None
    except (NotFound, OutOfRange, FailedPrecondition) as error:
        raise StreamLostError(str(error)) from error


def _arrived(error: BaseException) -> bool:
    from google.api_core.exceptions import AlreadyExists

    return isinstance(error, AlreadyExists)


def _requests(
    stream: str, batches: Sequence[pa.RecordBatch], starts: Sequence[int] | None
) -> Iterator[Any]:
    from google.cloud.bigquery_storage_v1 import types

    for n, batch in enumerate(batches):
        data = types.AppendRowsRequest.ArrowData(
            rows=types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes())
        )
        request = types.AppendRowsRequest(write_stream=stream, arrow_rows=data)
        if n == 0:
            schema = batch.schema.serialize().to_pybytes()
            data.writer_schema = types.ArrowSchema(serialized_schema=schema)
            request.arrow_rows = data
        if starts is not None:
            request.offset = starts[n]
        yield request


def _batches(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Record batches under the limit of a request."""
    whole = rows.combine_chunks()
    for batch in whole.to_batches():
        yield from _halved(batch)


def _halved(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if pa.ipc.get_record_batch_size(batch) <= REQUEST_BYTES:
        yield batch
        return
    if batch.num_rows == 1:
        raise DataError(f"A row is larger than the {REQUEST_BYTES:,} bytes that BigQuery takes.")
    middle = batch.num_rows // 2
    yield from _halved(batch.slice(0, middle))
    yield from _halved(batch.slice(middle))
