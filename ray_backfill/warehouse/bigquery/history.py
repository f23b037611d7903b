"""The commits of a table, listed beside it, and the way back to one of them.

BigQuery keeps no list of a table's versions. Each commit of ours leaves a small object; its
version is the moment at which it came to hold, in milliseconds, which is also what time travel
asks for. Commits of others are not in the list, nor is one whose driver died right after it.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import polars as pl

from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.job.table import STAMP
from ray_backfill.names import column_name
from ray_backfill.untrusted import parsed
from ray_backfill.warehouse.bigquery import datasets as _bq_datasets
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery import swap as _bq_swap
from ray_backfill.warehouse.bigquery import temporary as _bq_temporary
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.objects import Objects
from ray_backfill.warehouse.bigquery.read import FIRST_DATE, stored_table, where
from ray_backfill.warehouse.bigquery.schema import literal
from ray_backfill.warehouse.bigquery.stage import LIFE
from ray_backfill.warehouse.protocol import Version

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

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
        number = key.removeprefix(_folder(table)).removesuffix(".json")
        entry = {name: str(text) for name, text in parsed(objects.get(clients, key)).items()}
        at = _moment(entry.pop("at", ""))
        if not number.isdecimal() or at is None:
            continue  # no entry that this tool wrote
        found.append(Version(int(number), at, entry.pop("action", "?"), entry))
    return found


def _moment(text: str) -> datetime | None:
    """A point in time as it was listed; None for any other text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def restore(
    clients: Clients, table: str, version: int, tally: Tally
) -> tuple[Any | None, tuple[date, ...], int]:
    """Make the table what it was at a moment, by one job; gives it, with the dates and the rows.

    Only dates that differ are touched, and without any there is no job; a table that was rebuilt
    since is replaced as a whole. Raises `UsageError` for a moment that BigQuery does not keep any
    more.
    """
    hint = "`ray-backfill history` lists the versions."
    try:
        at = datetime.fromtimestamp(version / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{table} has no version {version}.", hint=hint) from error
    if not datetime.now(UTC) - TRAVEL < at <= datetime.now(UTC):
        raise UsageError(
            f"{table} cannot be restored to {version}: that is {at:%Y-%m-%d %H:%M} UTC, and "
            f"BigQuery keeps a table as it was for {TRAVEL.days} days.",
            hint=hint,
        )
    stored = stored_table(clients, table)
    if by := _bq_schema.partition_of(stored):
        column_name(by)  # BigQuery allows others, which could not stand in a statement like this
    # One statement must not read a table both as it is and as it was: it goes by a copy.
    copy = _copied(clients, table, version, tally)
    try:
        if _schema(_bq_read.stored_of(clients, copy)) != _schema(stored):
            # The table was rebuilt since: all of it goes back, its columns too.
            job = _bq_swap.overwrite(clients, copy, table, tally)
            return (
                job,
                tuple(_days(clients, table)),
                int(stored_table(clients, table).num_rows or 0),
            )
        days = _changed(clients, table, copy, stored)
        if days is not None and not days:
            return None, (), 0
        keep = where(str(by), days) if days else "TRUE"
        columns = ", ".join(f"`{field.name}`" for field in stored.schema)
        sql = (
            f"MERGE `{clients.address.full(table)}` AS t USING "  # noqa: S608
            f"(SELECT {columns} FROM `{copy}` WHERE {keep}) AS s ON FALSE "
            f"WHEN NOT MATCHED BY SOURCE AND {'t.' if days else ''}{keep} THEN DELETE "
            f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
        )
        job = _bq_jobs.query(clients, sql, f"Restoring {table}", tally=tally)
        return job, tuple(days or ()), int(job.num_dml_affected_rows or 0)
    finally:
        _bq_temporary.drop(clients, copy)


def _copied(clients: Clients, table: str, version: int, tally: Tally) -> str:
    """Full name of a table of the house that holds the table as it was, with its columns then."""
    _bq_datasets.create_house(clients)
    copy = clients.address.house(f"restore__{table.replace('.', '__')}__{uuid4().hex[:12]}")
    source = f"{clients.address.full(table)}@{version}"
    try:
        _bq_swap.copy_table(clients, source, copy, f"Reading {table} as it was", tally)
    except WarehouseError as error:
        raise WarehouseError(
            f"{error.message} Nothing was changed.",
            hint="The dataset may keep less than seven days, or the table was created later.",
        ) from error
    made = _bq_read.stored_of(clients, copy)
    made.expires = datetime.now(UTC) + LIFE
    tried(
        f"Changing {copy}",
        lambda: clients.rest.update_table(made, ["expires"], retry=None, timeout=HTTP_SECONDS),
    )
    return copy


def _schema(stored: Any) -> set[tuple[str, str, str]]:
    return {(field.name, _bq_schema.type_of(field), field.mode) for field in stored.schema}


def _days(clients: Clients, table: str) -> list[date]:
    """The dates that have rows."""
    by = _bq_schema.partition_of(stored_table(clients, table))
    if not by:
        return []
    found = _bq_read.scan(
        clients, clients.address.full(table), [by], f"{by} >= {literal(FIRST_DATE)}"
    )
    days = cast(pl.DataFrame, pl.from_arrow(found))[by]
    return days.unique().sort().to_list()


def _changed(clients: Clients, table: str, copy: str, stored: Any) -> list[date] | None:
    """The dates that differ by their stamps and rows; None for a table without dates or stamps."""
    by = _bq_schema.partition_of(stored)
    names = {field.name for field in stored.schema}
    stamps = [column.name for column in STAMP if column.name in names]
    if not by or len(stamps) < len(STAMP):
        return None
    one, other = (
        _bq_read.scan(clients, full, [by, *stamps], f"{by} >= {literal(FIRST_DATE)}")
        for full in (clients.address.full(table), copy)
    )
    counts = [
        {row[0]: row[1:] for row in _grouped(found, by, stamps).iter_rows()}
        for found in (one, other)
    ]
    days = counts[0].keys() | counts[1].keys()
    return sorted(day for day in days if counts[0].get(day) != counts[1].get(day))


def _grouped(found: Any, by: str, stamps: list[str]) -> pl.DataFrame:
    frame = cast(pl.DataFrame, pl.from_arrow(found))
    seen = (pl.col(name).unique().sort().implode() for name in stamps)
    return frame.group_by(by).agg(pl.len().alias("rows"), *seen)
