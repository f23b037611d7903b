"""What there is to tidy on BigQuery: staging tables whose own expiry has not come yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery.errors import tried
from ray_backfill.warehouse.bigquery.stage import staging_name
from ray_backfill.warehouse.protocol import Tidied

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["staged", "tidy"]

_AGE = timedelta(days=1)
"""How old a staging table is when no run fills it any more."""

_NOTE = (
    "BigQuery merges files and lets old versions go by itself (its time travel is 2 to 7 days): "
    "nothing of a table is compacted or expired here"
)


def tidy(clients: Clients, table: str, *, dry_run: bool) -> Tidied:
    """Delete staging tables of this table that are a day old; raises `TableNotFoundError`."""
    _bq_read.stored_table(clients, table)
    prefix = staging_name(table, "")
    listed = tried(
        f"Listing {clients.address.staging}", lambda: staged(clients, clients.address.staging)
    )
    old = [
        entry
        for entry in listed
        if entry.table_id.startswith(prefix)
        and entry.created
        and entry.created < datetime.now(UTC) - _AGE
    ]
    for entry in [] if dry_run else old:
        tried(
            f"Deleting {entry.table_id}",
            lambda entry=entry: clients.rest.delete_table(  # type: ignore[misc]
                entry, not_found_ok=True, retry=None
            ),
        )
    return Tidied(table, removed=len(old), notes=(_NOTE,))


def staged(clients: Clients, dataset: str) -> list[Any]:
    """The tables of the dataset of staging tables; none where it is not there."""
    from google.api_core.exceptions import NotFound

    try:
        return list(clients.rest.list_tables(dataset, retry=None))
    except NotFound:
        return []
