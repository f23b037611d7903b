"""What crosses between the driver and its workers: plain, frozen, picklable data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ray_backfill.calendar import Season
from ray_backfill.job import Day, Unmatched
from ray_backfill.warehouse.protocol import Staged

__all__ = ["Emit", "Handover", "Task"]

Emit = Callable[[Mapping[str, Any]], None]
"""Takes a progress event; it must not raise and may lose events."""


@dataclass(frozen=True, slots=True)
class Task:
    """A span to compute (`restamp`: to write again with a new code version)."""

    job: str
    warehouse: str
    run_id: str
    span: str
    attempt: int
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
    memory_bytes: int = 0
    """What its worker needs at most, by the plan's estimate."""

    @property
    def name(self) -> str:
        """Unique in the run: part of the names of staged files."""
        return f"{self.span.replace('..', '_')}-{self.attempt}"

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(day.day for day in self.days)


@dataclass(frozen=True, slots=True)
class Handover:
    """Some dates of a task, staged and ready to be published, or quarantined."""

    task: Task
    staged: tuple[Staged, ...]
    quarantined: Mapping[date, str]
    fingerprints: Mapping[date, str]
    unmatched: tuple[Unmatched, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Stage -> seconds: read, compute, stage. Whole-span stages come with the first handover."""
    peak_bytes: int = 0
    """Largest resident size of the worker while it did this task; 0 where that is not known."""
