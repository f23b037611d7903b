"""Warehouses: where tables are read from and published to."""

from __future__ import annotations

from pathlib import Path

from ray_backfill import redact
from ray_backfill.errors import UsageError
from ray_backfill.warehouse.protocol import Warehouse

__all__ = ["Warehouse", "open_warehouse"]


def open_warehouse(uri: str) -> Warehouse:
    """The warehouse of a path or URL: a folder, an object store with Delta tables, BigQuery.

    Raises `UsageError` for a scheme that is not known, and for a path that is a file.
    """
    from ray_backfill.warehouse.lake.warehouse import SCHEMES, Lake

    scheme = uri.partition("://")[0] if "://" in uri else "file"
    if scheme == "bigquery":
        from ray_backfill.warehouse.bigquery.warehouse import BigQuery

        return BigQuery(uri)
    if scheme not in SCHEMES:
        known = sorted({*SCHEMES, "bigquery"})
        raise UsageError(
            f"'{redact.url(uri)}' is not a warehouse that this version knows.",
            hint=f"Give a path, or a URL beginning with one of: {', '.join(known)}.",
        )
    lake = Lake(uri)
    if scheme == "file" and Path(lake.uri).is_file():
        raise UsageError(f"{lake.uri} is a file; a lake is a folder.", hint="Give the folder.")
    return lake
