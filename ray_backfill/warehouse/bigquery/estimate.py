"""Asks BigQuery what a plan would read, and makes its cost of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ray_backfill.errors import TableNotFoundError
from ray_backfill.job import Input, Job
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Table
from ray_backfill.warehouse.bigquery import cost as _bq_cost
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery.cost import Cost, InputCost

if TYPE_CHECKING:
    from ray_backfill.plan import Plan
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["cost"]


def cost(clients: Clients, job: Job, plan: Plan, batch: int) -> Cost:
    """The cost of a plan's run; opening a read session tells its bytes, and is free."""
    asked = [(source, _input(clients, source, plan)) for source in job.inputs] if plan.spans else []
    present = [(source, entry) for source, entry in asked if entry is not None]
    expected = {d.day: d.expected_rows for d in plan.selected}
    commits = [
        sum(expected[day] for day in span.days[n : n + batch])
        for span in plan.spans
        for n in range(0, len(span.days), batch)
    ]
    dated = sum(1 for source, _ in present if source.table.partition) + 1
    return _bq_cost.estimate(
        [entry for _, entry in present],
        commits=commits,
        listings=dated + bool(plan.removals),
        bytes_a_row=_row_bytes(clients, job.table),
        at=_bq_cost.prices(),
    )


def _input(clients: Clients, source: Input, plan: Plan) -> InputCost | None:
    """All spans of a plan read an input each for itself; None for a table that there is not."""
    total, by_query = 0, False
    for days in _extents(source, plan):
        try:
            found = _bq_read.scan_bytes(clients, source.table, source.columns, days)
        except TableNotFoundError:
            return None
        total, by_query = total + (found or 0), by_query or found is None
    return InputCost(source.name, source.table.name, total, by_query)


def _extents(source: Input, plan: Plan) -> Sequence[DateRange | None]:
    return [source.extent(span.days, plan.seasons) for span in plan.spans]


def _row_bytes(clients: Clients, table: Table) -> int:
    try:
        stored = _bq_read.stored_table(clients, table.name)
    except TableNotFoundError:
        return _bq_cost.row_bytes(table)
    rows, size = int(stored.num_rows or 0), int(stored.num_bytes or 0)
    return size // rows if rows and size else _bq_cost.row_bytes(table)
