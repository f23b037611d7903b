"""Copy jobs: of a table as it was (`table@milliseconds`), and over another one, schema and all.

A copy that truncates gives its target the source's schema and partitions, as BigQuery says. It
does not say what becomes of the target's labels: here they are gone, which is the worst.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bqemulator.jobs import executor
from bqemulator.storage.sql_identifiers import quoted_table_ref

_Name = tuple[str, str, str]

_replaced: dict[_Name, list[tuple[datetime, Any]]] = {}
"""Table -> until when it was what."""
_moments: dict[_Name, datetime] = {}
"""Source of a copy that goes on -> the moment at which it is copied."""


def mend() -> None:
    executor._copy_table_into_destination = _over(executor._copy_table_into_destination)
    executor._create_copy_destination = _as_it_was(executor._create_copy_destination)


def _over(real: Any) -> Any:
    async def copy(**given: Any) -> None:
        source, _, moment = given["src_table_id"].partition("@")
        if moment:
            at = datetime.fromtimestamp(int(moment) / 1000, UTC)
            _moments[(given["src_proj"], given["src_ds"], source)] = at
        ctx, target = given["ctx"], (given["dst_proj"], given["dst_ds"], given["dst_table_id"])
        if given["write_disposition"] == "WRITE_TRUNCATE":
            await _make_room(ctx, target)
        await real(**{**given, "src_table_id": source})

    return copy


async def _make_room(ctx: Any, target: _Name) -> None:
    before = ctx.catalog.get_table(*target)
    if before is None:
        return
    _replaced.setdefault(target, []).append((ctx.clock.now(), before))
    async with ctx.engine.write_lock():
        ctx.engine.execute(f"DROP TABLE {quoted_table_ref(*target)}")
        ctx.catalog.delete_table(*target)


def _as_it_was(real: Any) -> Any:
    def create(**given: Any) -> None:
        ctx, now = given["ctx"], given["src_meta"]
        name = (now.project_id, now.dataset_id, now.table_id)
        if at := _moments.pop(name, None):
            metas = [meta for until, meta in _replaced.get(name, []) if at < until]
            snapshot = ctx.snapshots.resolve_time_travel(*name, at)
            given["src_meta"] = metas[0] if metas else now
            if snapshot is not None:
                given["src_ref"] = f'"{snapshot.duckdb_schema}"."{snapshot.duckdb_table}"'
        real(**given)

    return create
