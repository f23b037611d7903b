"""What crosses between the driver and its workers: plain, frozen, picklable data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from ray_backfill.job import Day, Unmatched, UnmatchedName
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Decision, Plan
from ray_backfill.plan.model import Span
from ray_backfill.warehouse.protocol import Staged

__all__ = ["Emit", "Handover", "Settings", "Task", "halves", "singles", "tasks_of"]

Emit = Callable[[Mapping[str, Any]], None]
"""Takes a progress event; it must not raise and may lose events."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run works, apart from what it computes."""

    job: str
    run_id: str
    workers: int
    batch: int = 28
    backoff_seconds: float = 2.0
    into: str = ""
    """The table that is written, where it is not the job's own."""


@dataclass(frozen=True, slots=True)
class Task:
    """A span to compute (`restamp`: to write again with a new code version)."""

    job: str
    warehouse: str
    run_id: str
    span: str
    attempt: int
    """From 1 on; those that ended with a lost machine are counted in `lost` too."""
    season: Season
    seasons: tuple[Season, ...]
    days: tuple[Day, ...]
    job_options: str
    code_version: str
    computed_at: datetime
    batch: int
    restamp: bool = False
    data_bytes: int = 0
    """What it reads and writes, by the plan's estimate."""
    lost: int = 0
    memory_bytes: int = 0
    """What its worker needs at most, by the plan's estimate."""
    rules: str = ""
    """Version of what decides what is published."""
    into: str = ""

    @property
    def name(self) -> str:
        """Unique in the run: part of the names of staged files."""
        return f"{self.span.replace('..', '_')}-{self.attempt}"

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(day.day for day in self.days)


@dataclass(frozen=True, slots=True)
class Handover:
    """Some dates of a task: staged and ready to be published, rightly empty, or quarantined."""

    task: Task
    staged: tuple[Staged, ...]
    quarantined: Mapping[date, str]
    fingerprints: Mapping[date, str]
    unmatched: tuple[Unmatched, ...] = ()
    names: tuple[UnmatchedName, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Stage -> seconds: read, compute, stage. Whole-span stages come with the first handover."""
    peak_bytes: int = 0
    """Largest resident size of the worker while it did this task; 0 where that is not known."""
    empty: Mapping[date, str] = field(default_factory=dict)
    """Why a date has no rows, of those that are to be published without any."""
    code_version: str = ""
    """That of the code which computed the rows, according to the worker itself."""


def tasks_of(
    plan: Plan, settings: Settings, warehouse: str, restamp: Sequence[Decision]
) -> list[Task]:
    """A task a span; the dates to restamp come in a task of their own."""
    kept, now = {d.day for d in restamp}, datetime.now(UTC)
    tasks = []
    for span in plan.spans:
        again = tuple(day for day in span.days if day in kept)
        fresh = tuple(day for day in span.days if day not in kept)
        if fresh:
            tasks.append(_task(replace(span, days=fresh), plan, settings, warehouse, now))
        if again:
            other = replace(span, id=f"{span.id}-restamp", days=again)
            tasks.append(replace(_task(other, plan, settings, warehouse, now), restamp=True))
    return tasks


def _task(span: Span, plan: Plan, settings: Settings, warehouse: str, now: datetime) -> Task:
    days = set(span.days)
    return Task(
        job=settings.job,
        warehouse=warehouse,
        run_id=settings.run_id,
        span=span.id,
        attempt=1,
        season=next(s for s in plan.seasons if s.name == span.season),
        seasons=plan.seasons,
        days=tuple(
            Day(d.day, None, "", d.expected_rows, d.notes) for d in plan.decisions if d.day in days
        ),
        job_options=plan.job_options,
        code_version=plan.code_version,
        computed_at=now,
        batch=settings.batch,
        data_bytes=span.data_bytes,
        memory_bytes=span.memory_bytes,
        rules=plan.rules,
        into=settings.into,
    )


def halves(task: Task) -> tuple[Task, Task]:
    """The two halves of a task of more than one date; what each reads is not known any more."""
    middle = len(task.days) // 2
    first, second = task.days[:middle], task.days[middle:]
    return (
        replace(task, span=_name(first), days=first, data_bytes=0),
        replace(task, span=_name(second), days=second, data_bytes=0),
    )


def singles(task: Task) -> tuple[Task, ...]:
    """Each date of a task by itself."""
    return tuple(replace(task, span=_name([day]), days=(day,), data_bytes=0) for day in task.days)


def _name(days: Sequence[Day]) -> str:
    return f"{days[0].day}..{days[-1].day}" if len(days) > 1 else str(days[0].day)
