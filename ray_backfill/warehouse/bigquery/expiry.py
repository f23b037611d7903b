"""What BigQuery would delete by itself of the dates that a run is about to write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ray_backfill.errors import TableNotFoundError
from ray_backfill.warehouse.bigquery.read import stored_table

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["warnings"]


def warnings(clients: Clients, table: str, days: Sequence[date]) -> list[str]:
    """A sentence for each expiry of an existing table that is shorter than these dates.

    A partition is deleted when its own date is that long ago, whenever it was written.
    """
    try:
        stored = stored_table(clients, table)
    except TableNotFoundError:
        return []  # a run creates it with no expiry
    found = []
    change = f"ALTER TABLE `{clients.address.full(table)}` SET OPTIONS"
    by, now = stored.time_partitioning, datetime.now(UTC)
    if by is not None and by.expiration_ms is not None:
        kept = timedelta(milliseconds=int(by.expiration_ms))
        gone = sorted(day for day in days if now - datetime.combine(day, time(), UTC) >= kept)
        if gone:
            found.append(
                f"{table} keeps a date for {kept.total_seconds() / 86400:g} days: {len(gone):,} of "
                f"the {len(days):,} dates to write are older ({gone[0]} … {gone[-1]}), and "
                "BigQuery deletes them soon after they are published. To keep them: "
                f"{change} (partition_expiration_days = NULL)."
            )
    if stored.expires is not None:
        found.append(
            f"{table} deletes itself, with all its dates, at {stored.expires:%Y-%m-%d %H:%M} UTC. "
            f"To keep it: {change} (expiration_timestamp = NULL)."
        )
    return found
