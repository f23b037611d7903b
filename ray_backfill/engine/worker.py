"""One span: read, compute, check, stage, hand over. The same in a Ray worker and in process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, cast

import polars as pl

from ray_backfill.engine.answer import checked
from ray_backfill.engine.same_code import job_of, same_code
from ray_backfill.engine.task import Emit, Handover, Task
from ray_backfill.job import Computed, Context, Frames, Job
from ray_backfill.job.gates import quarantine
from ray_backfill.job.options import from_json
from ray_backfill.job.table import STAMP
from ray_backfill.job.user_code import called
from ray_backfill.redact import cleaned
from ray_backfill.staleness.content import content_digests
from ray_backfill.staleness.fingerprint import fingerprints, view_digests
from ray_backfill.survey.reading import read_inputs
from ray_backfill.warehouse import Warehouse, open_warehouse

__all__ = ["compute_span", "run_span"]


def run_span(task: Task, emit: Emit) -> Iterator[Handover]:
    """Hand over the dates of a task, about `task.batch` at a time.

    Every error goes to the caller, without credentials; what was handed over before stays good.
    """
    try:
        yield from _handovers(task, emit)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        safe = cleaned(error)
        if safe is error:
            raise
        raise safe from None


def _handovers(task: Task, emit: Emit) -> Iterator[Handover]:
    _forget_peak()
    job = job_of(task)
    warehouse = open_warehouse(task.warehouse)
    clock = _Clock(task, emit)
    if task.restamp:
        yield from _restamp(warehouse, job, task, clock)
        return
    frames, context, prints = _prepare(warehouse, job, task, clock)
    computed = clock.time("compute", lambda: compute_span(job, frames, task.dates, context))
    version = same_code(job, task)  # what it imported on the way counts, too
    rows = _by_day(job, computed.rows)
    days_by_date = {d.day: d for d in task.days}
    found = quarantine(job, computed.rows, days_by_date, computed.empty)
    bad = {**found, **computed.quarantined}
    for days in _batches(task.dates, task.batch):
        good = [rows[day] for day in days if day in rows and day not in bad]
        stamped = _stamped(job, pl.concat(good), prints, task, version) if good else None
        staged = clock.time("stage", lambda rows=stamped: _stage(warehouse, job, task, rows))
        yield Handover(
            task=task,
            staged=tuple(staged),
            quarantined={day: bad[day] for day in days if day in bad},
            fingerprints={day: prints[day] for day in days},
            unmatched=tuple(u for u in computed.unmatched if u.day in days),
            names=tuple(n for n in computed.names if n.day in days),
            seconds=clock.spent(),
            peak_bytes=_peak_bytes(),
            empty={d: computed.empty[d] for d in days if d in computed.empty and d not in bad},
            code_version=version,
        )


def compute_span(job: Job, frames: Frames, days: Sequence[date], context: Context) -> Computed:
    """The job's result, with the contract's columns in order.

    Raises `ContractError` where it does not fit the output or speaks of other dates than `days`,
    `JobCodeError` where the job raises.
    """
    return checked(job.output, called("", job.compute, frames, days, context), days)


def _prepare(
    warehouse: Warehouse, job: Job, task: Task, clock: _Clock
) -> tuple[Frames, Context, Mapping[date, str]]:
    """Frames, context, and the fingerprints of the very frames that are computed from."""
    context = Context(task.seasons, task.season, from_json(job, task.job_options))
    frames = clock.time("read", lambda: read_inputs(warehouse, job, task.dates, task.seasons))
    digests = clock.time(
        "digest",
        lambda: {
            view.name: view_digests(job, view, frames, context, task.dates) for view in job.views
        },
    )
    return frames, context, fingerprints(job, digests, task.dates, task.seasons)


def _stamped(
    job: Job, rows: pl.DataFrame, prints: Mapping[date, str], task: Task, version: str
) -> pl.DataFrame:
    assert job.output.partition is not None
    day = pl.col(job.output.partition)
    digests = content_digests(job.output, rows)
    return rows.with_columns(
        day.replace_strict(dict(prints), return_dtype=pl.String).alias("input_fingerprint"),
        pl.lit(version).alias("code_version"),
        pl.lit(task.job_options).alias("job_options"),
        pl.len().over(day).cast(pl.Int64).alias("partition_rows"),
        day.replace_strict(digests, return_dtype=pl.String).alias("content_digest"),
        pl.lit(task.run_id).alias("run_id"),
        pl.lit(task.computed_at, dtype=pl.Datetime("us", "UTC")).alias("computed_at"),
    )


def _stage(warehouse: Warehouse, job: Job, task: Task, rows: pl.DataFrame | None) -> list[Any]:
    if rows is None:
        return []
    return warehouse.stage(job.table, rows.to_arrow(), run_id=task.run_id, task=task.name)


def _restamp(warehouse: Warehouse, job: Job, task: Task, clock: _Clock) -> Iterator[Handover]:
    """Write dates again as they are, under the task's code version."""
    names = [column.name for column in job.table.columns]
    version = same_code(job, task)
    for days in _batches(task.dates, task.batch):
        found = clock.time("read", lambda days=days: warehouse.read(job.table, names, list(days)))
        rows = cast(pl.DataFrame, pl.from_arrow(found))
        prints = dict(
            rows.select(cast(str, job.output.partition), "input_fingerprint").unique().rows()
        )
        content = rows.drop([column.name for column in STAMP])
        stamped = _stamped(job, content, prints, task, version).select(names)
        staged = clock.time("stage", lambda s=stamped: _stage(warehouse, job, task, s))
        spent = clock.spent()
        yield Handover(task, tuple(staged), {}, prints, seconds=spent, code_version=version)


def _by_day(job: Job, rows: pl.DataFrame) -> dict[date, pl.DataFrame]:
    partition = cast(str, job.output.partition)
    return {
        cast(date, key[0]): frame
        for key, frame in rows.partition_by(partition, as_dict=True).items()
    }


def _batches(days: Sequence[date], size: int) -> Iterator[tuple[date, ...]]:
    rest = iter(days)
    while batch := tuple(islice(rest, size)):
        yield batch


def _forget_peak() -> None:
    """Measure the largest resident size anew: a worker does many tasks."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """Largest resident size of this process since it was forgotten; 0 where /proc says nothing.

    Not `ru_maxrss`: that begins with what the parent held when it started this process.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


class _Clock:
    """Seconds a stage since the last handover, and an event as each stage begins."""

    def __init__(self, task: Task, emit: Emit) -> None:
        self._task = task
        self._emit = emit
        self._seconds: dict[str, float] = {}

    def time(self, stage: str, work: Any) -> Any:
        self._emit(
            {
                "event": "stage",
                "span": self._task.span,
                "attempt": self._task.attempt,
                "stage": stage,
                "at": time.time(),
            }
        )
        began = time.perf_counter()
        result = work()
        spent = time.perf_counter() - began
        self._seconds[stage] = self._seconds.get(stage, 0.0) + spent
        return result

    def spent(self) -> dict[str, float]:
        spent, self._seconds = self._seconds, {}
        return spent
