"""Tables and partitions as the catalogue knows them, and how far that can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ray_backfill import names
from ray_backfill.errors import ContractError, TableNotFoundError, WarehouseError
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import create as _bq_create
from ray_backfill.warehouse.bigquery import datasets as _bq_datasets
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried
from ray_backfill.warehouse.bigquery.jobs import Tally
from ray_backfill.warehouse.bigquery.read import stored_table
from ray_backfill.warehouse.bigquery.schema import literal
from ray_backfill.warehouse.protocol import Fit, Partition, TableInfo

if TYPE_CHECKING:
    from google.cloud import bigquery

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["create", "ensure", "exists", "partitions", "tables"]

_log = logging.getLogger(__name__)

_UNSORTED = "__UNPARTITIONED__"
"""Partition of rows that were streamed a moment ago and have no date yet."""


def exists(clients: Clients, name: str) -> bool:
    """Whether there is such a table."""
    from google.api_core.exceptions import NotFound

    full = clients.address.full(name)
    try:
        tried(
            f"Looking at {full}",
            lambda: clients.rest.get_table(full, retry=None, timeout=HTTP_SECONDS),
            expected=(NotFound,),
        )
    except NotFound:
        return False
    return True


# -- partitions ----------------------------------------------------------------------------------
def partitions(clients: Clients, table: Table, tally: Tally) -> list[Partition]:
    """Rows and token of each date: one small query, none for a table without partitions.

    A token that cannot be relied on is another one each time: rows of a local server, whose
    metadata is wrong; rows that were streamed a moment ago; views; other ways to partition.
    """
    stored = stored_table(clients, table.name)
    if table.partition is None:
        sure = not clients.local and stored.table_type == "TABLE" and not stored.streaming_buffer
        token = f"{stored.modified}/{stored.num_rows}" if sure else uuid4().hex
        return [Partition(None, int(stored.num_rows or 0), token, sure)]
    if not clients.local and _bq_schema.partition_of(stored) == table.partition:
        found = _listed(clients, table, tally)
        if found is not None:
            return found
    return _counted(clients, table, tally)


def _listed(clients: Clients, table: Table, tally: Tally) -> list[Partition] | None:
    """What INFORMATION_SCHEMA says; None where some rows have no date yet."""
    dataset, name = table.name.split(".")
    sql = (
        "SELECT partition_id, total_rows, last_modified_time "  # noqa: S608
        f"FROM `{clients.address.project}.{dataset}.INFORMATION_SCHEMA.PARTITIONS` "
        f"WHERE table_name = {literal(name)} AND total_rows > 0"
    )
    rows = _bq_jobs.rows(clients, sql, f"Listing the partitions of {table.name}", tally=tally)
    if any(row["partition_id"] == _UNSORTED for row in rows):
        return None
    dated = [(day_of(row["partition_id"]), row) for row in rows]
    return sorted(
        (
            Partition(
                day,
                int(row["total_rows"]),
                token_of(row["last_modified_time"], row["total_rows"]),
            )
            for day, row in dated
            if day is not None
        ),
        key=lambda p: p.day or date.min,
    )


def token_of(modified: datetime, rows: int) -> str:
    """A partition's token: when it was modified last, and its rows."""
    return f"{modified}/{rows}"


def is_not_later(now: str, published: str) -> bool:
    """Whether a partition's token is that of a commit which ended at the time of `published`.

    The partition's own time is that of the change within the job, so a little earlier. A token
    that cannot be relied on has no time.
    """
    (modified, _, rows), (ended, _, written) = now.partition("/"), published.partition("/")
    try:
        return rows == written and datetime.fromisoformat(modified) <= datetime.fromisoformat(ended)
    except (ValueError, TypeError):
        return False


def day_of(partition_id: str) -> date | None:
    """The date of a partition's id; None for the rows without a date."""
    try:
        return datetime.strptime(partition_id, "%Y%m%d").date()
    except ValueError:
        return None


def _counted(clients: Clients, table: Table, tally: Tally) -> list[Partition]:
    sql = (
        f"SELECT `{table.partition}` AS day, COUNT(*) AS n "  # noqa: S608
        f"FROM `{clients.address.full(table.name)}` "
        f"WHERE `{table.partition}` >= DATE '0001-01-01' GROUP BY 1 ORDER BY 1"
    )
    token = uuid4().hex
    rows = _bq_jobs.rows(clients, sql, f"Counting the rows of {table.name}", tally=tally)
    return [Partition(row["day"], int(row["n"]), token, sure=False) for row in rows]


# -- the list of tables --------------------------------------------------------------------------
def tables(clients: Clients, tally: Tally) -> list[TableInfo]:
    """Every table of the project that a job could read, by name; one query a dataset.

    A dataset that cannot be listed (it is elsewhere, or not ours to see) is a warning.
    """
    found: list[TableInfo] = []
    doing = f"Listing {clients.address.uri}"
    datasets = tried(doing, lambda: list(clients.rest.list_datasets(retry=None)))
    for dataset in sorted(d.dataset_id for d in datasets):
        if dataset.startswith("_") or dataset == clients.address.staging:
            continue
        try:
            found += _listed_of(clients, dataset, tally)
        except WarehouseError as error:
            _log.warning("The tables of %s are left out. %s", dataset, error)
    return found


def _listed_of(clients: Clients, dataset: str, tally: Tally) -> list[TableInfo]:
    listed = tried(
        f"Listing {dataset}", lambda: list(clients.rest.list_tables(dataset, retry=None))
    )
    # BigQuery allows more names than a contract does; those tables are no job's.
    ours = sorted(f"{dataset}.{t.table_id}" for t in listed if t.table_type == "TABLE")
    stored = []
    for name in filter(names.TABLE.fullmatch, ours):
        with suppress(TableNotFoundError):  # deleted a moment ago
            stored.append(stored_table(clients, name))
    return _infos(clients, dataset, stored, tally)


def _infos(
    clients: Clients, dataset: str, stored: Sequence[bigquery.Table], tally: Tally
) -> list[TableInfo]:
    dated = [t for t in stored if _bq_schema.partition_of(t)]
    days: dict[str, list[tuple[date | None, int]]] = {}
    if dated and clients.local:
        for t in dated:
            of = Table(f"{dataset}.{t.table_id}", (), partition=_bq_schema.partition_of(t))
            days[t.table_id] = [(p.day, p.rows) for p in _counted(clients, of, tally)]
    elif dated:
        sql = (
            "SELECT table_name, partition_id, total_rows "  # noqa: S608
            f"FROM `{clients.address.project}.{dataset}.INFORMATION_SCHEMA.PARTITIONS` "
            "WHERE total_rows > 0"
        )
        for row in _bq_jobs.rows(clients, sql, f"Listing {dataset}", tally=tally):
            entry = (day_of(row["partition_id"]), int(row["total_rows"]))
            days.setdefault(row["table_name"], []).append(entry)
    return [_info(f"{dataset}.{t.table_id}", t, days.get(t.table_id)) for t in stored]


def _info(name: str, stored: Any, parts: Sequence[tuple[date | None, int]] | None) -> TableInfo:
    days = [day for day, _ in parts or () if day]
    rows = sum(n for _, n in parts) if parts is not None else int(stored.num_rows or 0)
    return TableInfo(
        name,
        rows,
        len(days),
        min(days, default=None),
        max(days, default=None),
        stored.modified,
        f"{stored.modified:%Y%m%dT%H%M%S}" if stored.modified else "",
    )


# -- creating and changing -----------------------------------------------------------------------
def create(clients: Clients, table: Table, *, raw: bool = False) -> None:
    """Create the table, and its dataset, where they are absent."""
    _bq_datasets.create_dataset(clients, table.name.partition(".")[0])
    resource = _bq_schema.table_resource(clients.address.full(table.name), table, raw=raw)
    _bq_create.create_table(clients, resource, f"Creating {table.name}")


def fit(clients: Clients, table: Table) -> Fit | None:
    """The stored table beside the contract of an output; None where it is absent."""
    try:
        stored = stored_table(clients, table.name)
    except TableNotFoundError:
        return None
    different = _bq_schema.differences(table, stored)
    if stored.table_type != "TABLE":
        different = [f"it is a {stored.table_type}", *different]
    return Fit(frozenset(field.name for field in stored.schema), tuple(different))


def ensure(clients: Clients, table: Table, *, raw: bool = False) -> None:
    """Create the table, or add its new nullable columns.

    Raises `ContractError` with the difference for anything else.
    """
    if not exists(clients, table.name):
        create(clients, table, raw=raw)
    stored = stored_table(clients, table.name)
    different = _bq_schema.differences(table, stored, raw=raw)
    if different and raw:
        raise ContractError(
            f"Rows cannot be added to {table.name}: {'; '.join(different)}.",
            hint="Add them with the tool that writes the table, or load into a new one.",
        )
    if different:
        raise ContractError(
            f"{table.name} is not what the job writes: {'; '.join(different)}.",
            hint="Only new nullable columns are added by themselves. Move the table away, "
            "or give the job's output another name.",
        )
    new = _bq_schema.missing(table, stored)
    if new:
        _extend(clients, table, stored)


def _extend(clients: Clients, table: Table, stored: bigquery.Table) -> None:
    """Add the columns, under the etag that was read; another's change is looked at anew."""
    from google.api_core.exceptions import PreconditionFailed

    for _ in range(10):
        new = _bq_schema.missing(table, stored)
        if not new:
            return
        current = stored
        current.schema = [*current.schema, *_bq_schema.fields(new, nullable=True)]
        try:
            tried(
                f"Adding columns to {table.name}",
                lambda current=current: clients.rest.update_table(  # type: ignore[misc]
                    current, ["schema"], retry=None, timeout=HTTP_SECONDS
                ),
                expected=(PreconditionFailed,),
            )
        except PreconditionFailed:
            stored = stored_table(clients, table.name)
            continue
        return
