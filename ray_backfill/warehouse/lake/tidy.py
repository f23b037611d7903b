"""Tidies a table of a lake under its lease: small files merged, old versions gone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import compact as _compact
from ray_backfill.warehouse.lake import expire as _expire
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake import lease as _lease
from ray_backfill.warehouse.lake import log as _log
from ray_backfill.warehouse.lake.compact import Compacted
from ray_backfill.warehouse.lake.expire import Expiry
from ray_backfill.warehouse.protocol import Footprint, Lease, Tidied

__all__ = ["now", "tidy"]

_SECONDS = 120
"""How long the lease is taken for at a time."""


def now() -> datetime:
    """The clock that versions are old by (UTC)."""
    return datetime.now(UTC)


def tidy(uri: str, name: str, *, keep: timedelta, run_id: str, dry_run: bool) -> Tidied:
    """See `Warehouse.tidy`."""
    _files.open_table(uri, name)
    if dry_run:
        return _foreseen(uri, name, keep)
    held = _Held(uri, name, run_id)
    try:
        return _done(uri, name, keep, run_id, held)
    finally:
        held.release()


class _Held:
    """A lease that is kept by being looked at: `held()` raises where it was lost."""

    def __init__(self, uri: str, name: str, run_id: str) -> None:
        self._uri = uri
        self._lease: Lease = _lease.acquire(uri, name, run_id, seconds=_SECONDS, steal=False)
        self._renewed = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._renewed > _SECONDS / 4:
            self._lease = _lease.renew(self._uri, self._lease, seconds=_SECONDS)
            self._renewed = time.monotonic()
        else:
            _lease.check(self._uri, self._lease)

    def release(self) -> None:
        _lease.release(self._uri, self._lease)


def _done(uri: str, name: str, keep: timedelta, run_id: str, held: _Held) -> Tidied:
    before = _footprint(uri, name, _listed(uri, name))
    why = _compact.unfit(_files.open_table(uri, name))
    merging = Compacted() if why else _compact.compact(uri, name, run_id, held)
    expiry = _expire.planned(uri, name, _listed(uri, name), keep=keep, now=now())
    _expire.carry_out(uri, name, expiry, held)
    after = _footprint(uri, name, _listed(uri, name))
    return _told(name, before, after, merging, expiry, why)


def _foreseen(uri: str, name: str, keep: timedelta) -> Tidied:
    """What would be done; merged files are taken to be as large as those that they hold."""
    listed = _listed(uri, name)
    stored = _files.open_table(uri, name)
    why = _compact.unfit(stored)
    parts = [] if why else _compact.bins(_files.active_files(stored, None))
    merging = Compacted(sum(map(len, parts)), len(parts))
    expiry = _expire.planned(uri, name, listed, keep=keep, now=now())
    before = _footprint(uri, name, listed)
    gone = [*expiry.data, *expiry.log]
    after = Footprint(
        before.files - merging.sources + merging.merged,
        before.versions - expiry.versions,
        before.objects - len(gone) + merging.merged,
        before.bytes - _bytes(gone) + sum(file.size for part in parts for file in part),
    )
    return _told(name, before, after, merging, expiry, why)


def _listed(uri: str, name: str) -> list[dict[str, Any]]:
    return _objects.list_meta(uri, _objects.table_folder(name))


def _bytes(metas: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(meta["size"]) for meta in metas)


def _footprint(uri: str, name: str, listed: Sequence[Mapping[str, Any]]) -> Footprint:
    stored = _files.open_table(uri, name)
    versions = [meta for meta in listed if _log.is_entry(meta["path"])]
    files = _files.active_files(stored, None)
    return Footprint(len(files), len(versions), len(listed), _bytes(listed))


def _told(
    name: str,
    before: Footprint,
    after: Footprint,
    merging: Compacted,
    expiry: Expiry,
    why: str,
) -> Tidied:
    notes = [f"not compacted: {why}"] if why and why != _compact.OUTPUT else []
    if expiry.foreign:
        notes.append(
            f"{len(expiry.foreign):,} files ({_bytes(expiry.foreign):,} bytes) that no version "
            f"names were not staged by this tool and stay, as {expiry.foreign[0]['path']}"
        )
    return Tidied(
        name,
        before,
        after,
        merged=merging.sources,
        expired=expiry.versions,
        removed=len(expiry.data),
        notes=tuple(notes),
        problems=merging.problems,
    )
