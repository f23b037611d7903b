"""What a run costs on BigQuery, at list price.

`PRICES` is the one place where prices stand. They are dollars for the US multi-region, before
any free tier or discount. `RAY_BACKFILL_BIGQUERY_PRICES` overrides single ones, as JSON:
`{"query_tib": 5.0}`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ray_backfill.errors import UsageError
from ray_backfill.job.table import Kind, Table

__all__ = ["PRICES", "Cost", "InputCost", "Prices", "billed", "estimate", "prices", "row_bytes"]

VARIABLE = "RAY_BACKFILL_BIGQUERY_PRICES"

_TIB = 2**40
_GIB = 2**30
_LEAST_BYTES = 10 * 2**20
"""What a query is billed for each table that it touches, at least."""

_BYTES = {
    Kind.STRING: 18,
    Kind.INT: 8,
    Kind.FLOAT: 8,
    Kind.BOOL: 1,
    Kind.DATE: 8,
    Kind.TIMESTAMP: 8,
    Kind.STRINGS: 24,
}
"""Logical bytes of a value; those of texts are a guess (two and their length)."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars: a TiB that a query scans, a TiB that is read, a GiB that is streamed in."""

    as_of: str
    query_tib: float
    read_tib: float
    write_gib: float


PRICES = Prices(as_of="2026-09", query_tib=6.25, read_tib=1.10, write_gib=0.025)


@dataclass(frozen=True, slots=True)
class InputCost:
    """Bytes that one input is read with, over all spans.

    `by_query`: the table cannot be read through the Storage Read API (a view, say), so that each
    span asks for it by a query job, whose bytes are not known before.
    """

    name: str
    table: str
    bytes: int
    by_query: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run will be billed for. `jobs`: query jobs; load jobs are free."""

    inputs: tuple[InputCost, ...]
    read_bytes: int
    staged_bytes: int
    merge_bytes: int
    listing_bytes: int
    jobs: int
    dollars: float
    prices: Prices
    notes: tuple[str, ...] = ()


def prices(environment: Mapping[str, str] = os.environ) -> Prices:
    """The list prices with what the environment overrides; raises `UsageError` for nonsense."""
    text = environment.get(VARIABLE)
    if not text:
        return PRICES
    names = [field.name for field in fields(Prices)]
    try:
        given: dict[str, Any] = json.loads(text)
        found = replace(PRICES, **given)
        dollars = [float(n) for n in (found.query_tib, found.read_tib, found.write_gib)]
        if not all(0 <= price < math.inf for price in dollars):
            raise ValueError("a price is a number of dollars, from 0 up")
        return Prices(str(found.as_of), *dollars)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{VARIABLE} is not understood: {error}.",
            hint=f"Give a JSON object with some of: {', '.join(names)}.",
        ) from error


def row_bytes(table: Table) -> int:
    """Logical bytes of a row of a contract, where there are no stored rows to judge by."""
    return sum(_BYTES[column.kind] for column in table.columns)


def estimate(
    inputs: Sequence[InputCost],
    *,
    commits: Sequence[int],
    listings: int,
    bytes_a_row: int,
    at: Prices,
) -> Cost:
    """The cost of reading the inputs, staging, and publishing in `commits` (rows of each).

    A statement scans the staged rows and those that they replace, which are taken to be as
    many. `listings` are the small queries that a plan is made from.
    """
    merge = sum(2 * max(_LEAST_BYTES, rows * bytes_a_row) for rows in commits)
    read = sum(entry.bytes for entry in inputs)
    staged = sum(commits) * bytes_a_row
    listing = listings * _LEAST_BYTES
    dollars = (
        (merge + listing) / _TIB * at.query_tib
        + read / _TIB * at.read_tib
        + staged / _GIB * at.write_gib
    )
    views = [entry for entry in inputs if entry.by_query]
    notes = tuple(
        f"{entry.name} ({entry.table}) is no plain table: each span reads it by a query job, "
        "whose bytes are not in this estimate"
        for entry in views
    )
    return Cost(
        inputs=tuple(inputs),
        read_bytes=read,
        staged_bytes=staged,
        merge_bytes=merge,
        listing_bytes=listing,
        jobs=len(commits) + listings + len(views),
        dollars=round(dollars, 6),
        prices=at,
        notes=notes,
    )


def billed(jobs: int, query_bytes: int, at: Prices) -> dict[str, Any]:
    """What jobs were billed, according to themselves, for a report."""
    return {
        "jobs": jobs,
        "bytes": query_bytes,
        "dollars": round(query_bytes / _TIB * at.query_tib, 6),
        "prices": asdict(at),
    }
