"""The DuckDB behind the server: no downloads, no dead-lock, no copy of a table at each write."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bqemulator.domain.events import TableDataChanged
from bqemulator.grpc_api.write_servicer import BigQueryWriteHandler
from bqemulator.storage.engine import DuckDBEngine, InternalError
from bqemulator.versioning.snapshots import SnapshotManager

WRITING = threading.RLock()
"""Held by whoever writes: REST on the main thread, gRPC on its own ones."""

_cursors = threading.local()


def mend() -> None:
    _skip_spatial()
    _cursor_per_thread()
    _one_writer()
    if os.environ.get("BQP_SNAPSHOTS") != "1":
        SnapshotManager.record_change = _announce_change


def _skip_spatial() -> None:
    """The extension is a download; nothing here uses it."""
    real = DuckDBEngine._load_spatial

    def load(self: DuckDBEngine) -> None:
        if os.environ.get("BQP_SPATIAL") == "1":
            with contextlib.suppress(Exception):
                real(self)

    DuckDBEngine._load_spatial = load


def _cursor_per_thread() -> None:
    """One connection for all threads locks itself and mixes up their results."""

    def connection(self: DuckDBEngine) -> Any:
        base = self._connection
        if base is None:
            raise InternalError("DuckDBEngine not started")
        if threading.current_thread() is threading.main_thread():
            return base
        if getattr(_cursors, "base", None) is not base:
            _cursors.base, _cursors.cursor = base, base.cursor()
            _cursors.cursor.execute("SET TimeZone='UTC'")
        return _cursors.cursor

    DuckDBEngine.connection = property(connection)


def _one_writer() -> None:
    """REST and gRPC each have a lock of their own, and change the same tables."""

    @asynccontextmanager
    async def write_lock(self: DuckDBEngine) -> AsyncIterator[None]:
        async with self._write_lock:
            with WRITING:
                yield

    DuckDBEngine.write_lock = write_lock
    real = BigQueryWriteHandler.__init__

    def init(self: BigQueryWriteHandler, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        self._write_lock = WRITING

    BigQueryWriteHandler.__init__ = init


def _announce_change(self: SnapshotManager, project: str, dataset: str, table: str) -> None:
    """What `record_change` does, without the copy that time travel needs."""
    self._events.publish(TableDataChanged(project, dataset, table))
