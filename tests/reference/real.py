"""The real data, read and indexed once a process."""

from __future__ import annotations

from functools import cache

import polars as pl

from tests.frames import real_data, real_tables, rows_of
from tests.reference.context import Reference


def absent() -> str | None:
    """Why the real data cannot be used; None where it can."""
    folder = real_data()
    if (folder / "nbac_schedule.parquet").exists():
        return None
    return f"no real data in {folder} (set RAY_BACKFILL_REAL_DATA)"


@cache
def tables() -> dict[str, pl.DataFrame]:
    """Raw tables as frames."""
    return real_tables(real_data())


@cache
def reference() -> Reference:
    """The reference over them."""
    return Reference(rows_of(tables()))
