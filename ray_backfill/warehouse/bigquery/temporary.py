"""Tables that are needed for a moment. They delete themselves within a day."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ray_backfill.errors import WarehouseError
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["drop"]

_log = logging.getLogger(__name__)


def drop(clients: Clients, full: str) -> bool:
    """Delete a temporary table; whether it is gone.

    One that cannot be deleted is a warning: what it was needed for has ended already, and an
    error here would hide how.
    """
    try:
        tried(
            f"Deleting {full}",
            lambda: clients.rest.delete_table(
                full, not_found_ok=True, retry=None, timeout=HTTP_SECONDS
            ),
        )
    except WarehouseError as error:
        _log.warning("%s It deletes itself within a day.", error.message)
        return False
    return True
