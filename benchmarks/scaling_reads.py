"""How often look-back is read again: bytes of all spans ÷ bytes of the tables once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from benchmarks.scaling_lakes import Lake
from benchmarks.scaling_span import BATCH, due_days
from ray_backfill.catalog import load_job
from ray_backfill.job import Job
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Facts, Plan, Selection, make_plan
from ray_backfill.survey.reading import read_inputs
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.bigquery.cost import PRICES, InputCost, estimate, row_bytes

__all__ = ["amplification"]

_CHECKED = (42, 400)


def amplification(
    lake: Lake, lengths: Sequence[int], workers: Sequence[int], *, check: bool = True
) -> dict[str, Any]:
    """Ratios by span length, by the number of workers that a plan is for, and as really read.

    Once: every date of an input that lies in the window of any due date, of all seasons.
    """
    house, job = open_warehouse(str(lake.path)), load_job("player_context")
    facts = survey(house, job)
    seasons = facts.calendar.seasons
    every = [d.day for s in seasons for d in due_days(facts, s.name)[1]]
    once = sum(_bytes(facts, [days]) for days in [every])
    plans = {n: make_plan(job.name, facts, Selection(select=("all",)), n) for n in workers}
    found: dict[str, Any] = {
        "dates": len(every),
        "once_bytes": once,
        "by_length": {n: round(_bytes(facts, _cut(facts, n)) / once, 3) for n in lengths},
        "by_workers": {
            n: {
                "spans": len(plan.spans),
                "ratio": round(_bytes(facts, [s.days for s in plan.spans]) / once, 3),
                "bigquery": _bigquery(job, facts, plan),
            }
            for n, plan in plans.items()
        },
    }
    if check:
        found["read_by_estimate"] = {
            n: round(_really(house, job, facts, list(_cut(facts, n)))
                     / _bytes(facts, _cut(facts, n)), 4)
            for n in _CHECKED
        }  # fmt: skip
    return found


def _bigquery(job: Job, facts: Facts, plan: Plan) -> dict[str, float]:
    """GiB and dollars of the plan's run over tables of these rows, by the list prices."""
    seasons, inputs = facts.calendar.seasons, []
    for source in job.inputs:
        size = facts.sizing.inputs[source.name]
        columns = tuple(c for c in source.table.columns if c.name in source.columns)
        width = row_bytes(replace(source.table, columns=columns))
        held = sum(size.bytes_in(size.window.extent(s.days, seasons)) for s in plan.spans)
        inputs.append(
            InputCost(source.name, source.table.name, held // max(1, size.row_bytes) * width)
        )
    expected = {d.day: d.expected_rows for d in plan.selected}
    commits = [
        sum(expected[day] for day in span.days[at : at + BATCH])
        for span in plan.spans
        for at in range(0, len(span.days), BATCH)
    ]
    cost = estimate(
        inputs, commits=commits, listings=7, bytes_a_row=row_bytes(job.table), at=PRICES
    )
    return {
        "read_gib": round(cost.read_bytes / 2**30, 3),
        "staged_gib": round(cost.staged_bytes / 2**30, 3),
        "merge_gib": round(cost.merge_bytes / 2**30, 3),
        "commits": len(commits),
        "dollars": round(cost.dollars, 3),
    }


def _cut(facts: Facts, length: int) -> Iterator[tuple[date, ...]]:
    """Runs of at most `length` due dates, each of one season."""
    for season in facts.calendar.seasons:
        due = [d.day for d in due_days(facts, season.name)[1]]
        for at in range(0, len(due), length):
            yield tuple(due[at : at + length])


def _bytes(facts: Facts, spans: Any) -> int:
    seasons: tuple[Season, ...] = facts.calendar.seasons
    return sum(facts.sizing.data_bytes(days, 0, seasons) for days in spans)


def _really(house: Any, job: Job, facts: Facts, spans: Sequence[tuple[date, ...]]) -> int:
    """Rows that reading gives, times the same bytes a row."""
    total = 0
    for days in spans:
        frames = read_inputs(house, job, days, facts.calendar.seasons)
        total += sum(
            frames[name].height * size.row_bytes for name, size in facts.sizing.inputs.items()
        )
    return total
