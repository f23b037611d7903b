"""A whole run: survey, plan, lease, executor, driver, report."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

import polars as pl

from ray_backfill.engine.control import cancellable
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.executor import Executor, InlineExecutor
from ray_backfill.engine.failures import ending
from ray_backfill.engine.lease import HeldLease
from ray_backfill.engine.reading import read_inputs
from ray_backfill.engine.report import Report, save_report
from ray_backfill.engine.task import Emit, Settings
from ray_backfill.engine.upkeep import clean_up
from ray_backfill.engine.worker import compute_span
from ray_backfill.errors import BackfillError
from ray_backfill.job import Context, Job
from ray_backfill.options import from_json
from ray_backfill.planner import Decision, Plan
from ray_backfill.warehouse import Warehouse

__all__ = ["RunOptions", "execute", "new_run_id"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How `run` was asked to work."""

    job: str
    workers: int = 1
    parallel: bool = True
    address: str | None = None
    batch: int = 28
    strict: bool = False
    steal_lease: bool = False
    lease_seconds: int = 60
    lease_wait: float = 0.0
    """Seconds to wait for another run's lease before the run is refused."""
    verify: int = 0
    backoff_seconds: float = 2.0
    worker_wait: float = 900.0
    """Seconds that a cluster may have no room for any task before the run is refused."""


def new_run_id() -> str:
    """Sortable by time, unique by its tail: `20261122T190501123-3f9a2c`."""
    now = datetime.now(UTC)
    # To the millisecond: of two runs in one second the later has to sort behind the earlier.
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


def execute(
    warehouse: Warehouse,
    job: Job,
    plan: Plan,
    options: RunOptions,
    switch: Switch,
    watch: Callable[[Driver], Any],
) -> Report:
    """Carry a plan out. `watch(driver)` is a context manager that displays it.

    Raises `LeaseHeldError` before anything is written; `LeaseLostError` when another run took
    the table over, with everything published until then intact.
    """
    run_id = new_run_id()
    held = HeldLease(
        warehouse,
        job.table,
        run_id,
        seconds=options.lease_seconds,
        steal=options.steal_lease,
        wait=options.lease_wait,
        stopped=lambda: switch.off,
    )
    with held:
        warehouse.ensure(job.table)
        settings = Settings(
            options.job, run_id, options.workers, options.batch, options.backoff_seconds
        )
        driver = Driver(warehouse, job, plan, settings, lambda: held.lease, switch)
        try:
            with cancellable(warehouse, run_id, switch), watch(driver):
                driver.begin()
                report = _work(warehouse, job, plan, options, driver)
        except BaseException as error:
            driver.abort(*ending(error))
            # What was published stays, and what was learned of it.
            with suppress(BackfillError, OSError):
                _keep(warehouse, driver.report)
            raise
        _keep(warehouse, report)
        clean_up(warehouse, job.table, run_id)
    return report


def _keep(warehouse: Warehouse, report: Report) -> None:
    if bill := getattr(warehouse, "billed", None):
        report.billed = bill()
    save_report(warehouse, report)


def _work(
    warehouse: Warehouse, job: Job, plan: Plan, options: RunOptions, driver: Driver
) -> Report:
    if not plan.spans:
        return driver.finish(options.strict)
    restamp = _verified(warehouse, job, plan, options.verify) if options.verify else []
    where = "starting Ray" if options.parallel else "in this process"
    driver.emit({"event": "phase", "phase": where})
    executor = _executor(options, driver)
    try:
        driver.attach(executor)
        if options.parallel:
            driver.watchers.append(_metrics(driver))
        driver.run(executor, restamp)
        return driver.finish(options.strict)
    except BaseException as error:
        executor.kill()
        # Before Ray is left: what it counts of the run ends with the connection.
        driver.abort(*ending(error))
        raise
    finally:
        driver.attach(None)
        executor.close()


def _metrics(driver: Driver) -> Emit:
    from ray_backfill.observe.metrics import Metrics

    report = driver.report
    return Metrics(report.job, report.table, driver.progress, len(report.blocked)).apply


def _executor(options: RunOptions, driver: Driver) -> Executor:
    if not options.parallel:
        return InlineExecutor(driver.emit)
    from ray_backfill.engine.on_ray import RayExecutor

    return RayExecutor(driver.report.run_id, options.workers, options.address, options.worker_wait)


def _verified(warehouse: Warehouse, job: Job, plan: Plan, count: int) -> list[Decision]:
    """The dates that are stale by code alone, if `count` of them compute to what they hold.

    The sample is spread evenly over the dates; one difference, and all are computed.
    """
    stale = [d for d in plan.selected if d.code_alone]
    step = max(1, len(stale) // max(1, count))
    sample = stale[::step][:count]
    return stale if sample and all(_unchanged(warehouse, job, plan, d) for d in sample) else []


def _unchanged(warehouse: Warehouse, job: Job, plan: Plan, decision: Decision) -> bool:
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
