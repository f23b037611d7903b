"""Where runs keep what they say of themselves: small objects by table, in the order of time.

A key is `<folder>/<table>/<run><suffix>`, and a run's id begins with its time. What the newest runs
left is thus one look under a prefix, however many there were before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ray_backfill import names
from ray_backfill.warehouse import Warehouse

__all__ = ["JOURNALS", "REPORTS", "Kept", "Kind", "begun", "kept", "key", "newest"]

_LOOKS = (timedelta(days=16), timedelta(days=256))
"""How far back to look for the newest runs, before all are listed."""

_STAMP = "%Y%m%dT%H%M%S"


class Kind(NamedTuple):
    """What is kept of each run."""

    folder: str
    suffix: str


JOURNALS = Kind("runs", ".ndjson")
REPORTS = Kind("reports", ".json")


class Kept(NamedTuple):
    """The run and the table of an object."""

    run_id: str
    table: str


def key(kind: Kind, table: str, run_id: str) -> str:
    """The key of an object; raises `UsageError` for what is no table or no run."""
    return f"{kind.folder}/{names.table_name(table)}/{names.run_id(run_id)}{kind.suffix}"


def kept(warehouse: Warehouse, kind: Kind, *, table: str = "", after: str = "") -> list[Kept]:
    """What is there, oldest run first: of all tables, or of one, and then behind a run's id.

    Objects whose names cannot be those of a table and a run are not ours, and passed over.
    """
    prefix = f"{kind.folder}/{names.table_name(table)}/" if table else f"{kind.folder}/"
    behind = f"{prefix}{after}{kind.suffix}" if after else ""
    found = warehouse.list_objects(prefix, after=behind)
    return sorted(filter(None, (_parts(text, kind) for text in found)))


def _parts(text: str, kind: Kind) -> Kept | None:
    table, _, name = text.removeprefix(f"{kind.folder}/").partition("/")
    run_id = name.removesuffix(kind.suffix)
    if not name.endswith(kind.suffix) or not names.RUN.fullmatch(run_id):
        return None
    return Kept(run_id, table) if names.TABLE.fullmatch(table) else None


def newest(warehouse: Warehouse, kind: Kind, table: str, count: int) -> list[Kept]:
    """The newest of a table, at most `count`, newest first."""
    now = datetime.now(UTC)
    for back in _LOOKS:
        after = f"{now - back:{_STAMP}}"
        found = kept(warehouse, kind, table=table, after=after)
        if len(found) >= count:
            return found[::-1][:count]
    return kept(warehouse, kind, table=table)[::-1][:count]


def begun(run_id: str) -> datetime | None:
    """When a run began, by its id; None for an id that is not made of a time."""
    try:
        return datetime.strptime(run_id[:15], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
