"""Whether new code computes what is there: a sample of the dates that are stale by code alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import cast

import polars as pl

from ray_backfill.engine.worker import compute_span
from ray_backfill.job import Context, Job
from ray_backfill.job.options import from_json
from ray_backfill.plan import Decision, Plan
from ray_backfill.survey.reading import read_inputs
from ray_backfill.warehouse import Warehouse

__all__ = ["unchanged_dates"]


def unchanged_dates(warehouse: Warehouse, job: Job, plan: Plan, count: int) -> list[Decision]:
    """The dates that are stale by code alone, if `count` of them compute to what they hold.

    The sample is spread evenly, the first and the last date with it; one difference, and all
    are computed.
    """
    stale = [d for d in plan.selected if d.code_alone]
    equal = all(_is_unchanged(warehouse, job, plan, d) for d in _spread(stale, count))
    return stale if stale and equal else []


def _spread(found: Sequence[Decision], count: int) -> list[Decision]:
    steps = max(1, min(count, len(found)) - 1)
    chosen = {n * (len(found) - 1) // steps for n in range(min(count, len(found)))}
    return [found[at] for at in sorted(chosen)]


def _is_unchanged(warehouse: Warehouse, job: Job, plan: Plan, decision: Decision) -> bool:
    season = next(s for s in plan.seasons if s.name == decision.season)
    context = Context(plan.seasons, season, from_json(job, plan.job_options))
    days = [decision.day]
    try:
        frames = read_inputs(warehouse, job, days, plan.seasons)
        computed = compute_span(job, frames, days, context)
    except Exception:  # noqa: BLE001 - whatever it is, the run meets it again and names its date
        return False
    return not computed.quarantined and _same(job, computed.rows, _stored(warehouse, job, days))


def _stored(warehouse: Warehouse, job: Job, days: Sequence[date]) -> pl.DataFrame:
    names = [column.name for column in job.output.columns]
    return cast(pl.DataFrame, pl.from_arrow(warehouse.read(job.table, names, list(days))))


def _same(job: Job, left: pl.DataFrame, right: pl.DataFrame) -> bool:
    key = list(job.output.key) or left.columns
    return left.sort(key).equals(right.select(left.columns).sort(key))
