"""How often look-back is read again: bytes of all spans ÷ bytes of the tables once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from benchmarks.scaling_lakes import Lake
from benchmarks.scaling_span import due_days
from ray_backfill.calendar import Season
from ray_backfill.engine.reading import read_inputs
from ray_backfill.engine.survey import survey
from ray_backfill.job import Job
from ray_backfill.planner import Facts, Selection, make_plan
from ray_backfill.registry import load_job
from ray_backfill.warehouse import open_warehouse

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
