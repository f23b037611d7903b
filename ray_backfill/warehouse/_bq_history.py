"""The commits of a table, listed beside it, and the way back to one of them.

BigQuery keeps no list of a table's versions. Each commit of ours leaves a small object; its
version is the moment at which it came to hold, in milliseconds, which is also what time travel
asks for. Commits of others are not in the list.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.warehouse import _bq_jobs, _bq_schema, _bq_stage
from ray_backfill.warehouse._bq_errors import HTTP_SECONDS, tried
from ray_backfill.warehouse._bq_jobs import Tally
from ray_backfill.warehouse._bq_objects import Objects
from ray_backfill.warehouse._bq_read import stored_table
from ray_backfill.warehouse.protocol import Version

if TYPE_CHECKING:
    from ray_backfill.warehouse._bq_settings import Clients

__all__ = ["record", "restore", "version_of", "versions"]

TRAVEL = timedelta(days=7)
"""How far back BigQuery keeps a table as it was (a dataset may be set to less)."""


def version_of(job: Any) -> int:
    """The moment at which a job's change came to hold, in milliseconds."""
    return int(job.ended.timestamp() * 1000)


def record(objects: Objects, clients: Clients, table: str, job: Any, about: dict[str, str]) -> int:
    """List a commit; gives its version."""
    version = version_of(job)
    billed = int(getattr(job, "total_bytes_billed", None) or 0)
    detail = about | {"job": str(job.job_id), "billed_bytes": str(billed)}
    data = json.dumps({"at": job.ended.isoformat(), **detail}).encode()
    objects.put(clients, f"{_folder(table)}{version:016d}.json", data)
    return version


def _folder(table: str) -> str:
    return f"history/{table}/"


def versions(objects: Objects, clients: Clients, table: str) -> list[Version]:
    """The listed commits, newest first."""
    found = []
    for key in reversed(objects.keys(clients, _folder(table))):
        entry = json.loads(objects.get(clients, key) or b"{}")
        at = datetime.fromisoformat(entry.pop("at"))
        number = int(key.removeprefix(_folder(table)).removesuffix(".json"))
        found.append(Version(number, at, str(entry.pop("action", "?")), entry))
    return found


def restore(clients: Clients, table: str, version: int, tally: Tally) -> Any:
    """Make the table what it was at a moment, by one statement; gives its job.

    Raises `UsageError` for a moment that BigQuery does not keep any more.
    """
    at = datetime.fromtimestamp(version / 1000, UTC)
    if not datetime.now(UTC) - TRAVEL < at <= datetime.now(UTC):
        raise UsageError(
            f"{table} cannot be restored to {version}: that is {at:%Y-%m-%d %H:%M} UTC, and "
            f"BigQuery keeps a table as it was for {TRAVEL.days} days.",
            hint="`ray-backfill history` lists the versions.",
        )
    stored = stored_table(clients, table)
    columns = ", ".join(f"`{field.name}`" for field in stored.schema)
    by = _bq_schema.partition_of(stored)
    every = f"{by} >= DATE '0001-01-01'" if by else "TRUE"
    # One statement must not read a table both as it is and as it was: it goes by a copy.
    copy = _copied(clients, table, columns, every, at, tally)
    try:
        sql = (
            f"MERGE `{clients.address.full(table)}` AS t USING "  # noqa: S608
            f"(SELECT {columns} FROM `{copy}`) AS s ON FALSE "
            f"WHEN NOT MATCHED BY SOURCE AND {'t.' if by else ''}{every} THEN DELETE "
            f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
        )
        return _bq_jobs.query(clients, sql, f"Restoring {table}", tally=tally)
    finally:
        tried(
            f"Deleting {copy}",
            lambda: clients.rest.delete_table(
                copy, not_found_ok=True, retry=None, timeout=HTTP_SECONDS
            ),
        )


def _copied(
    clients: Clients, table: str, columns: str, every: str, at: datetime, tally: Tally
) -> str:
    _bq_stage.create_house(clients)
    copy = clients.address.house(f"restore__{table.replace('.', '__')}__{uuid4().hex[:12]}")
    sql = (
        f"CREATE TABLE `{copy}` AS SELECT {columns} "  # noqa: S608
        f"FROM `{clients.address.full(table)}` "
        f"FOR SYSTEM_TIME AS OF TIMESTAMP '{at.isoformat(' ')}' WHERE {every}"
    )
    try:
        _bq_jobs.query(clients, sql, f"Reading {table} as it was at {at}", tally=tally)
    except WarehouseError as error:
        raise WarehouseError(
            f"{error.message} Nothing was changed.",
            hint="The dataset may keep less than seven days, or the table was created later.",
        ) from error
    return copy
