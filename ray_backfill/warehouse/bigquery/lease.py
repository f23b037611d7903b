"""The right to publish to one table: labels of the table itself, changed under its etag.

Two runs that change them at once cannot both succeed: BigQuery refuses the second, which then
reads the winner's. The labels stay when a lease is released; only their expiry is over.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ray_backfill.errors import (
    LeaseHeldError,
    LeaseLostError,
    TableNotFoundError,
    WarehouseError,
)
from ray_backfill.warehouse import process as _process
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.read import stored_table
from ray_backfill.warehouse.protocol import Lease

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["acquire", "check", "release", "renew"]

_RUN = "rbf_run"
_EPOCH = "rbf_epoch"
_UNTIL = "rbf_until"
_SINCE = "rbf_since"
_HOST = "rbf_host"
_PID = "rbf_pid"
_STARTED = "rbf_started"
_MACHINE = "rbf_machine"
_RACES = 20


def _label(text: str) -> str:
    """A text as a label may hold it."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


def _machine() -> str:
    return hashlib.sha256(str(_process.identity()["machine"]).encode()).hexdigest()[:20]


def _now() -> datetime:
    return datetime.now(UTC)


def _millis(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


def _moment(label: str) -> datetime:
    """The time in a label; the end of time where it holds none: who holds the table is not known.

    Such a lease is not free, and can be stolen.
    """
    try:
        return datetime.fromtimestamp(int(label or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _epoch(held: Mapping[str, str]) -> int:
    label = held.get(_EPOCH, "")
    return int(label) if re.fullmatch("[0-9]+", label) else 0


def _dead(held: Mapping[str, str]) -> bool:
    """Whether the holder was a process of this machine that runs no more."""
    pid = held.get(_PID, "")
    if held.get(_MACHINE) != _machine() or not re.fullmatch("[0-9]+", pid):
        return False
    identity = {"pid": pid, "started": held.get(_STARTED)}
    return _process.is_dead({**identity, "machine": _process.identity()["machine"]})


def _free(held: Mapping[str, str]) -> bool:
    return not held.get(_RUN) or _moment(held.get(_UNTIL, "")) <= _now() or _dead(held)


def _run_name(label: str) -> str:
    """A run's id as it was before it became a label."""
    return label.replace("t", "T", 1) if re.match(r"\d{8}t\d{6,}-", label) else label


def holder(clients: Clients, table: str) -> str | None:
    """The run that the labels name, while it is neither released, expired nor dead."""
    try:
        held = dict(stored_table(clients, table).labels)
    except TableNotFoundError:
        return None
    return None if _free(held) else _run_name(held[_RUN])


def _held_error(table: str, held: Mapping[str, str]) -> LeaseHeldError:
    who = f"run {_run_name(held.get(_RUN, '?'))} on {held.get(_HOST)} (pid {held.get(_PID)})"
    since, until = (
        _moment(held.get(key, "")).isoformat(" ", "seconds") for key in (_SINCE, _UNTIL)
    )
    return LeaseHeldError(
        f"{table} is held by {who}, since {since}, until {until} unless it is renewed.",
        hint="Wait for that run to end; if it is dead, wait for the expiry or add --steal-lease.",
    )


def acquire(clients: Clients, table: str, run_id: str, *, seconds: int, steal: bool) -> Lease:
    """Write this run into the table's labels; raises `LeaseHeldError` where another's stand."""
    for _ in range(_RACES):
        stored = stored_table(clients, table)
        held = dict(stored.labels)
        if not _free(held) and not steal:
            raise _held_error(table, held)
        start = _now()
        until = start + timedelta(seconds=seconds)
        lease = Lease(table, run_id, _epoch(held) + 1, until)
        mine = {
            _RUN: _label(run_id),
            _EPOCH: str(lease.epoch),
            _UNTIL: _millis(until),
            _SINCE: _millis(start),
            _HOST: _label(socket.gethostname()),
            _PID: str(os.getpid()),
            _STARTED: _label(str(_process.identity()["started"])),
            _MACHINE: _machine(),
        }
        if _written(clients, stored, mine):
            return lease
    raise _contended(table)


def _written(clients: Clients, stored: object, labels: Mapping[str, str]) -> bool:
    """Whether the labels were changed; False where the table had changed meanwhile.

    An answer that got lost looks like that too; reading the labels again then tells.
    """
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud.bigquery import Table as Resource

    assert isinstance(stored, Resource)
    stored.labels = {**stored.labels, **labels}
    try:
        tried(
            f"Changing the labels of {stored.full_table_id}",
            # The etag that was read goes along: the change is refused if it is not current.
            lambda: clients.rest.update_table(stored, ["labels"], retry=None, timeout=HTTP_SECONDS),
            expected=(PreconditionFailed,),
        )
    except PreconditionFailed:
        now = stored_table(clients, f"{stored.dataset_id}.{stored.table_id}").labels
        return all(now.get(key) == value for key, value in labels.items())
    return True


def _contended(table: str) -> WarehouseError:
    return WarehouseError(
        f"The labels of {table} changed under {_RACES} attempts to write the lease.",
        hint="Something else changes the table all the time; try again when it has ended.",
    )


def check(clients: Clients, lease: Lease) -> None:
    """Raises `LeaseLostError` where the lease is not this run's any more.

    One that ran out and that nobody took over meanwhile is still this run's: a machine that
    slept for an hour goes on.
    """
    _mine(stored_table(clients, lease.table).labels, lease)


def _mine(held: Mapping[str, str], lease: Lease) -> None:
    if held.get(_RUN) == _label(lease.run_id) and held.get(_EPOCH) == str(lease.epoch):
        if held.get(_UNTIL) == "0":
            raise _lost(lease, "was released")
        return
    if not held.get(_RUN):
        raise _lost(lease, "is gone: its labels were deleted")
    who = f"run {_run_name(held[_RUN])} on {held.get(_HOST)} (pid {held.get(_PID)})"
    since = _moment(held.get(_SINCE, "")).isoformat(" ", "seconds")
    raise _lost(lease, f"was taken over by {who}, since {since}")


def _lost(lease: Lease, why: str) -> LeaseLostError:
    return LeaseLostError(
        f"The lease of run {lease.run_id} on {lease.table} {why}; this run publishes no more.",
        hint="What it published stands. Plan again to see what is left.",
    )


def renew(clients: Clients, lease: Lease, *, seconds: int) -> Lease:
    """The same lease with a later expiry; raises `LeaseLostError`."""
    for _ in range(_RACES):
        stored = stored_table(clients, lease.table)
        _mine(stored.labels, lease)
        until = _now() + timedelta(seconds=seconds)
        if _written(clients, stored, {_UNTIL: _millis(until)}):
            return Lease(lease.table, lease.run_id, lease.epoch, until)
    raise _contended(lease.table)


def release(clients: Clients, lease: Lease) -> None:
    """Let the next run in at once; nothing happens where the lease was lost already, or went with
    its table.
    """
    for _ in range(_RACES):
        try:
            stored = stored_table(clients, lease.table)
            _mine(stored.labels, lease)
        except (LeaseLostError, TableNotFoundError):
            return
        if _written(clients, stored, {_UNTIL: "0"}):
            return
