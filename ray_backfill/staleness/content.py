"""The digest of what a run published of a date: it tells whether others changed it since."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import cast

import polars as pl

from ray_backfill.job.table import Kind, Table
from ray_backfill.staleness import digest
from ray_backfill.staleness.code_version import fingerprint_source
from ray_backfill.staleness.digest import partition_digests, text_digest

__all__ = ["content_digests", "is_comparable"]


def content_digests(table: Table, rows: pl.DataFrame) -> dict[date, str]:
    """`form:digest` of each date of an output's rows, as they come out of any warehouse again.

    `rows` have the columns of `table`, which is an output without its stamp. Their order does
    not matter. A list that is NULL counts as empty: BigQuery knows no other.
    """
    lists = [column.name for column in table.columns if column.kind is Kind.STRINGS]
    empty = pl.lit([], dtype=pl.List(pl.String))
    whole = rows.with_columns(pl.col(name).fill_null(empty) for name in lists)
    form = _form(table)
    return {
        cast(date, day): f"{form}:{found}"
        for day, found in partition_digests(whole, table.partition).items()
    }


def is_comparable(table: Table, content_digest: str) -> bool:
    """Whether a digest was made of these columns, and as this code makes digests."""
    return content_digest.partition(":")[0] == _form(table)


@cache
def _form(table: Table) -> str:
    columns = sorted((column.name, column.kind.value) for column in table.columns)
    return text_digest(f"{_digest_code()}{columns}")[:8]


@cache
def _digest_code() -> str:
    return fingerprint_source(Path(digest.__file__).read_text("utf-8"))
