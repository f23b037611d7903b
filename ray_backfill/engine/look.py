"""Computes dates and publishes nothing: what a job has to say of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from ray_backfill.engine.worker import compute_span
from ray_backfill.errors import ContractError, DataError, JobCodeError
from ray_backfill.job import Computed, Context, Job
from ray_backfill.job.options import from_json
from ray_backfill.plan import Decision, Facts
from ray_backfill.record.failures import describe
from ray_backfill.survey.reading import read_inputs
from ray_backfill.warehouse import Warehouse

__all__ = ["Looked", "looked_at", "to_look_at"]

_AT_ONCE = 120
"""Dates: most of a season, so that its look-back is read once or twice."""


@dataclass(frozen=True)
class Looked:
    """Dates that were computed together, or one that cannot be: then `why` says so."""

    days: tuple[date, ...]
    computed: Computed | None
    why: str = ""


def to_look_at(decisions: Sequence[Decision]) -> list[Decision]:
    """The dates that can be computed: those that are due, complete ones too."""
    return [d for d in decisions if d.action == "compute"]


def looked_at(
    warehouse: Warehouse, job: Job, facts: Facts, decisions: Sequence[Decision]
) -> Iterator[Looked]:
    """Compute the dates season by season, in order. A date that fails is given alone."""
    seasons: Mapping[str, Context] = {
        season.name: Context(facts.calendar.seasons, season, from_json(job, facts.job_options))
        for season in facts.calendar.seasons
    }
    for name, group in groupby(decisions, key=lambda d: d.season):
        days = [d.day for d in group]
        for at in range(0, len(days), _AT_ONCE):
            yield from _looked(warehouse, job, days[at : at + _AT_ONCE], seasons[name])


def _looked(
    warehouse: Warehouse, job: Job, days: Sequence[date], context: Context
) -> Iterator[Looked]:
    frames = read_inputs(warehouse, job, days, context.seasons)
    try:
        yield Looked(tuple(days), compute_span(job, frames, days, context))
    except (ContractError, DataError, JobCodeError) as error:
        if len(days) == 1:
            yield Looked(tuple(days), None, describe(error))
            return
        middle = len(days) // 2
        yield from _looked(warehouse, job, days[:middle], context)
        yield from _looked(warehouse, job, days[middle:], context)
