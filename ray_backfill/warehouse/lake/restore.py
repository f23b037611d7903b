"""Takes a table back to an old version, as a new one."""

from __future__ import annotations

from datetime import date

from deltalake import CommitProperties, DeltaTable

from ray_backfill.errors import TableNotFoundError, UsageError
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.protocol import Partition, Published

__all__ = ["restore"]


def restore(uri: str, table: str, version: int) -> Published:
    """See `Warehouse.restore`: the dates that changed by it, and their rows."""
    stored = _files.open_table(uri, table)
    if not 0 <= version <= stored.version():
        raise UsageError(
            f"{table} has no version {version}.", hint=f"The newest is {stored.version()}."
        )
    if version == stored.version():
        return Published(str(version), (), 0)
    before = _tokens(stored)
    try:
        _tokens(_files.open_table(uri, table, version))
    except TableNotFoundError:
        raise UsageError(
            f"{table} has no version {version} any more: it was older than what is kept.",
            hint="`ray-backfill history` lists those that are left.",
        ) from None
    about = {"action": "restore", "to": str(version)}
    with _objects.translated(f"Restoring {table} to version {version}"):
        stored.restore(version, commit_properties=CommitProperties(custom_metadata=about))
    newest = _files.open_table(uri, table)
    after = _tokens(newest)
    changed = {d for d in before.keys() | after.keys() if before.get(d) != after.get(d)}
    rows = sum(after[day].rows for day in changed if day in after)
    return Published(str(newest.version()), tuple(sorted(d for d in changed if d)), rows)


def _tokens(stored: DeltaTable) -> dict[date | None, Partition]:
    types = _arrow.stored_types(stored)
    dated = [c for c in stored.metadata().partition_columns if types[c][0] == "date"]
    files = _files.active_files(stored, dated[0] if dated else None)
    return {p.day: p for p in _files.grouped(files)}
