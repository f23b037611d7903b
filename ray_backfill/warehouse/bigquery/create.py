"""Creates tables whose expiry is their own, whatever the defaults of the dataset.

A table that states no expiry inherits the dataset's when it is created, and cannot say "none"
then: it is taken away right after. Partitions expire by their date, so that rows of old dates
would be gone as soon as they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried

if TYPE_CHECKING:
    from google.cloud import bigquery

    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["create_table"]

_RACES = 5


def create_table(clients: Clients, resource: bigquery.Table, doing: str) -> None:
    """Create a table with exactly the expiry that it states; one that is there stays as it is."""
    from google.api_core.exceptions import Conflict

    sent = 0

    def create() -> None:
        nonlocal sent
        sent += 1
        clients.rest.create_table(resource, retry=None, timeout=HTTP_SECONDS)

    try:
        tried(doing, create, expected=(Conflict,))
    except Conflict:
        if sent == 1:
            return
        # An earlier answer got lost: the table is ours.
    _own_expiry(clients, resource, doing)


def _own_expiry(clients: Clients, resource: bigquery.Table, doing: str) -> None:
    from google.api_core.exceptions import PreconditionFailed

    for _ in range(_RACES):
        made = tried(
            doing,
            lambda: clients.rest.get_table(resource.reference, retry=None, timeout=HTTP_SECONDS),
        )
        changed = _without_inherited(made, resource)
        if not changed:
            return
        try:
            tried(
                f"{doing} without the dataset's default expiry",
                lambda made=made, changed=changed: clients.rest.update_table(  # type: ignore[misc]
                    made, changed, retry=None, timeout=HTTP_SECONDS
                ),
                expected=(PreconditionFailed,),
            )
        except PreconditionFailed:
            continue
        return


def _without_inherited(made: bigquery.Table, asked: bigquery.Table) -> list[str]:
    """Take from a created table what was not asked for; gives the properties that changed."""
    changed = []
    by, wanted = made.time_partitioning, asked.time_partitioning
    if by is not None and wanted is not None and by.expiration_ms != wanted.expiration_ms:
        by.expiration_ms = wanted.expiration_ms
        made.time_partitioning = by
        changed.append("time_partitioning")
    if made.expires is not None and asked.expires is None:
        made.expires = None
        changed.append("expires")
    return changed
