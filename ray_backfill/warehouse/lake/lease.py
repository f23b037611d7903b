"""The right to publish to one table: a file per epoch, created atomically.

The newest epoch is the holder's, until it is released, runs out, or its process is known to
be dead. Taking over means creating the next epoch, which only one
can; a holder that finds a higher epoch than its own has lost.
"""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_backfill import untrusted
from ray_backfill.errors import LeaseHeldError, LeaseLostError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse import process as _process
from ray_backfill.warehouse.protocol import Lease

__all__ = ["acquire", "check", "holder", "now", "release", "renew"]


def now() -> datetime:
    """The clock of all leases (UTC)."""
    return datetime.now(UTC)


def _folder(table: str) -> str:
    _objects.table_folder(table)
    return _objects.object_key(f"leases/{table}")


def _path(table: str, epoch: int) -> str:
    return f"{_folder(table)}/{epoch:08d}.json"


def _epochs(uri: str, table: str) -> list[int]:
    names = _objects.list_names(uri, _folder(table))
    stems = (name.removesuffix(".json") for name in names)
    return sorted(int(stem) for stem in stems if stem.isdigit())


def _load(uri: str, table: str, epoch: int) -> dict[str, Any] | None:
    """The content of an epoch; None where it is gone, empty where it cannot be read."""
    data = _objects.get(uri, _path(table, epoch))
    return None if data is None else untrusted.parsed(data)


def _free(held: dict[str, Any] | None) -> bool:
    if held is None or held.get("released") or _process.is_dead(held):
        return True
    return "expires_at" in held and datetime.fromisoformat(held["expires_at"]) <= now()


def holder(uri: str, table: str) -> str | None:
    """The run of the newest epoch, while it is neither released, expired nor dead."""
    newest = (_epochs(uri, table) or [0])[-1]
    held = _load(uri, table, newest) if newest else None
    return None if held is None or _free(held) else str(held.get("run_id", "?"))


def _held_error(table: str, held: dict[str, Any]) -> LeaseHeldError:
    who = f"run {held.get('run_id', '?')} on {held.get('host', '?')} (pid {held.get('pid', '?')})"
    return LeaseHeldError(
        f"{table} is held by {who}, since {held.get('since', '?')}, "
        f"until {held.get('expires_at', '?')} unless it is renewed.",
        hint="Wait for that run to end; if it is dead, wait for the expiry or add --steal-lease.",
    )


def acquire(uri: str, table: str, run_id: str, *, seconds: int, steal: bool) -> Lease:
    """Create the next epoch where the newest is released, expired, or stolen.

    Raises `LeaseHeldError` with the holder where it is neither, or where another run was
    faster.
    """
    epochs = _epochs(uri, table)
    newest = epochs[-1] if epochs else 0
    held = _load(uri, table, newest) if newest else None
    if not _free(held) and not steal:
        raise _held_error(table, held or {})
    start = now()
    lease = Lease(table, run_id, newest + 1, start + timedelta(seconds=seconds))
    content = {
        "run_id": run_id,
        "host": socket.gethostname(),
        **_process.identity(),
        "since": start.isoformat(timespec="seconds"),
    }
    if not _objects.put(uri, _path(table, lease.epoch), _bytes(lease, content), create=True):
        raise _held_error(table, _load(uri, table, lease.epoch) or {})
    after = _epochs(uri, table)
    if after[-1] > lease.epoch:
        # Our view was old: that epoch had been used, released and cleaned up before.
        _objects.delete(uri, _path(table, lease.epoch))
        raise _held_error(table, _load(uri, table, after[-1]) or {})
    for epoch in after:
        if epoch < lease.epoch:
            _objects.delete(uri, _path(table, epoch))
    return lease


def _bytes(lease: Lease, content: dict[str, Any]) -> bytes:
    return json.dumps(content | {"expires_at": lease.expires_at.isoformat()}).encode()


def check(uri: str, lease: Lease) -> dict[str, Any]:
    """The content of a lease that is still this run's; raises `LeaseLostError`.

    A lease that ran out and that nobody took over meanwhile is still this run's: a machine
    that slept for an hour goes on.
    """
    newest = (_epochs(uri, lease.table) or [0])[-1]
    held = _load(uri, lease.table, newest) if newest else None
    if newest == lease.epoch and held and held.get("run_id") == lease.run_id:
        if not held.get("released"):
            return held
        raise _lost(lease, "was released")
    if held and newest > lease.epoch:
        who = f"run {held.get('run_id')} on {held.get('host')} (pid {held.get('pid')})"
        raise _lost(lease, f"was taken over by {who}, since {held.get('since')}")
    raise _lost(lease, "is gone: its file was deleted or changed")


def _lost(lease: Lease, why: str) -> LeaseLostError:
    return LeaseLostError(
        f"The lease of run {lease.run_id} on {lease.table} {why}; this run publishes no more.",
        hint="What it published stands. Plan again to see what is left.",
    )


def renew(uri: str, lease: Lease, *, seconds: int) -> Lease:
    """The same lease with a later expiry; raises `LeaseLostError`."""
    held = check(uri, lease)
    later = Lease(lease.table, lease.run_id, lease.epoch, now() + timedelta(seconds=seconds))
    _objects.put(uri, _path(lease.table, lease.epoch), _bytes(later, held))
    check(uri, later)
    return later


def release(uri: str, lease: Lease) -> None:
    """Let the next run in at once; nothing happens where the lease was lost already."""
    try:
        held = check(uri, lease)
    except LeaseLostError:
        return
    content = _bytes(lease, held | {"released": True})
    _objects.put(uri, _path(lease.table, lease.epoch), content)
