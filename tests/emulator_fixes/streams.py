"""The storage APIs: columns checked, offsets kept, streams committed together, faults injected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pyarrow as pa
from bqemulator.api.routes import tabledata
from bqemulator.grpc_api import write_servicer
from bqemulator.grpc_api.read_servicer import BigQueryReadHandler
from bqemulator.grpc_api.write_servicer import BigQueryWriteHandler, WriteStreamState
from bqemulator.streaming.read_session import get_session
from emulator_fixes.engine import WRITING
from emulator_fixes.web import take
from google.cloud.bigquery_storage_v1 import types  # noqa: TID253 - never in the project's process

_UNARY = {
    "CreateWriteStream": "_handle_create_write_stream",
    "FinalizeWriteStream": "_handle_finalize_write_stream",
    "BatchCommitWriteStreams": "_handle_batch_commit_write_streams",
}


def mend() -> None:
    write_servicer._table_arrow_schema = lambda meta: tabledata._build_arrow_schema(
        tabledata._fields_raw_from_schema(meta.schema_.fields)
    )
    write_servicer._align_to_target = _aligned
    handler = BigQueryWriteHandler
    handler._handle_batch_commit_write_streams = _together(
        handler._handle_batch_commit_write_streams
    )
    handler._handle_append_rows = _append_with_faults(handler._handle_append_rows)
    for name, attribute in _UNARY.items():
        setattr(handler, attribute, _unary_with_faults(name, getattr(handler, attribute)))
    BigQueryReadHandler._handle_read_rows = _read(BigQueryReadHandler._handle_read_rows)


# -- writing -------------------------------------------------------------------------------------
def _aligned(table: pa.Table, target: pa.Schema) -> pa.Table:
    """The rows in the table's own columns; one too many is refused, as BigQuery does."""
    extra = [name for name in table.column_names if name not in target.names]
    if extra:
        raise ValueError(f"Input schema has more fields than BigQuery schema: {', '.join(extra)}")
    arrays = []
    for field in target:
        if field.name not in table.column_names:
            column = pa.nulls(table.num_rows, field.type)
        else:
            column = table.column(field.name).cast(field.type)
        if not field.nullable and column.null_count:
            raise ValueError(f"Field {field.name} is REQUIRED but has null value")
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=target)


def _together(real: Callable[..., bytes]) -> Callable[..., bytes]:
    """All streams in one transaction; those that were committed before are named as such."""

    def commit(self: BigQueryWriteHandler, request: bytes, context: Any) -> bytes:
        names = types.BatchCommitWriteStreamsRequest.deserialize(request).write_streams
        known = [s for s in map(self._manager.get, names) if s is not None]
        done = [s.name for s in known if s.state is WriteStreamState.COMMITTED]
        if done:
            code = types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
            errors = [
                types.StorageError(code=code, entity=name, error_message="already committed")
                for name in done
            ]
            answer = types.BatchCommitWriteStreamsResponse(stream_errors=errors)
            return types.BatchCommitWriteStreamsResponse.serialize(answer)
        with WRITING:
            connection = self._ctx.engine.connection
            connection.execute("BEGIN")
            try:
                answer = real(self, request, context)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.execute("ROLLBACK")
                raise
            return answer

    return commit


# -- reading -------------------------------------------------------------------------------------
def _read(real: Callable[..., Any]) -> Callable[..., Iterator[bytes]]:
    """From the offset that was asked for (the server begins anew), with faults."""

    def read(self: BigQueryReadHandler, request: bytes, context: Any) -> Iterator[bytes]:
        asked = types.ReadRowsRequest.deserialize(request)
        skip = asked.offset
        for raw in real(self, request, context):
            answer = types.ReadRowsResponse.deserialize(raw)
            if answer.row_count <= skip:
                skip -= answer.row_count
                continue
            if fault := take("ReadRows", asked.read_stream):
                return _broken(context, fault)
            yield _without_first(answer, skip, asked.read_stream) if skip else raw
            skip = 0
        return None

    return read


def _without_first(answer: Any, skip: int, stream: str) -> bytes:
    session = get_session(stream.rpartition("/streams/")[0])
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema_bytes))
    data = pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
    rest = pa.ipc.read_record_batch(data, schema).slice(skip)
    answer.arrow_record_batch.serialized_record_batch = rest.serialize().to_pybytes()
    answer.row_count = rest.num_rows
    return types.ReadRowsResponse.serialize(answer)


# -- faults --------------------------------------------------------------------------------------
def _broken(context: Any, fault: dict[str, Any]) -> None:
    context.set_code(getattr(grpc.StatusCode, fault["code"]))
    context.set_details(fault.get("message", "injected fault"))


def _append_with_faults(real: Callable[..., Any]) -> Callable[..., Iterator[bytes]]:
    def append(
        self: BigQueryWriteHandler, requests: Iterator[bytes], context: Any
    ) -> Iterator[bytes]:
        late: list[dict[str, Any]] = []
        stream = ""

        def passed() -> Iterator[bytes]:
            nonlocal stream
            for request in requests:
                stream = types.AppendRowsRequest.deserialize(request).write_stream or stream
                fault = take("AppendRows", stream)
                if fault and not fault.get("after"):
                    return _broken(context, fault)
                if fault:
                    late.append(fault)
                yield request
            return None

        for answer in real(self, passed(), context):
            if late:
                return _broken(context, late[0])
            yield answer
        return None

    return append


def _unary_with_faults(name: str, real: Callable[..., bytes]) -> Callable[..., bytes]:
    def call(self: BigQueryWriteHandler, request: bytes, context: Any) -> bytes:
        fault = take(name, "")
        if fault and not fault.get("after"):
            _broken(context, fault)
            return b""
        answer = real(self, request, context)
        if fault:
            _broken(context, fault)
            return b""
        return answer

    return call
