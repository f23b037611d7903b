"""A whole run: lease, survey and plan under it, executor, driver, report."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray_backfill.engine.control import cancellable
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.executor import Executor, InlineExecutor
from ray_backfill.engine.expiry import expiry_warnings
from ray_backfill.engine.failures import describe, ending
from ray_backfill.engine.lease import HeldLease
from ray_backfill.engine.ledger import Ledger, note, remember
from ray_backfill.engine.refusals import refuse_misfit, refuse_older_code
from ray_backfill.engine.report import Report
from ray_backfill.engine.task import Emit, Settings
from ray_backfill.engine.tidying import keep, tidy, warned
from ray_backfill.engine.verify import unchanged_dates
from ray_backfill.errors import BackfillError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.plan import Plan
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease

__all__ = ["RunOptions", "execute", "new_run_id"]

_log = logging.getLogger(__name__)
_UNKNOWN_NEXT = "What was published was not noted down, and the next plan reads it once more"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How `run` was asked to work."""

    job: str
    workers: int = 1
    parallel: bool | None = True
    """None: where there is more than one span. One has nothing to run beside, and is done sooner
    without Ray's start."""
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
    planned: Callable[[], Plan],
    options: RunOptions,
    switch: Switch,
    watch: Callable[[Driver], Any],
) -> Report:
    """Take the lease, plan, and carry the plan out. `watch(driver)` is a context manager that
    displays it.

    `planned` surveys and plans. It is called under the lease, so that nothing is removed or
    stamped by what was true before another run ended; what it raises ends the run.
    Raises `LeaseHeldError` before anything is written; `LeaseLostError` when another run took
    the table over, with everything published until then intact.
    """
    if not refuse_misfit(warehouse, job) and not _has_input(warehouse, job):
        planned()  # an empty place is refused, and stays as empty as it was
    try:
        held = HeldLease(
            warehouse,
            job.table,
            new_run_id,
            seconds=options.lease_seconds,
            steal=options.steal_lease,
            wait=options.lease_wait,
            stopped=lambda: switch.off,
        )
    except WarehouseError as error:
        return _without_lease(warehouse, job, planned(), options, switch, watch, error)
    with held:
        driver = _driver(
            warehouse, job, planned(), options, switch, lambda: held.lease, held.lease.run_id
        )
        ledger = _noted(warehouse, job, driver)
        try:
            report = _carried_out(warehouse, job, options, driver, switch, watch)
        finally:
            driver.report.warnings += warned(_UNKNOWN_NEXT, lambda: remember(ledger, driver.tokens))
        tidy(warehouse, job, report)
    report.warnings += held.warnings
    return report


def _noted(warehouse: Warehouse, job: Job, driver: Driver) -> Ledger:
    """The table's ledger, with what this run begins with: before any row of it is published."""
    ledger, plan = Ledger(warehouse, job.output.name), driver.plan
    facts = plan.facts
    if plan.spans and facts is not None:
        driver.report.warnings += warned(
            "What this run computes from was not noted down, and guards cannot tell of it later",
            lambda: note(ledger, facts, driver.report.run_id, datetime.now(UTC)),
        )
    return ledger


def _has_input(warehouse: Warehouse, job: Job) -> bool:
    names = dict.fromkeys(source.table.name for source in job.inputs)
    return any(warehouse.exists(name) for name in names)


def _driver(
    warehouse: Warehouse,
    job: Job,
    plan: Plan,
    options: RunOptions,
    switch: Switch,
    lease: Callable[[], Lease],
    run_id: str,
) -> Driver:
    refuse_older_code(plan)
    if plan.selected:
        warehouse.ensure(job.table)
    settings = Settings(
        options.job, run_id, options.workers, options.batch, options.backoff_seconds
    )
    driver = Driver(warehouse, job, plan, settings, lease, switch)
    driver.report.warnings += expiry_warnings(warehouse, job, plan)
    for sentence in driver.report.warnings:
        _log.warning("%s", sentence)
    return driver


def _without_lease(
    warehouse: Warehouse,
    job: Job,
    plan: Plan,
    options: RunOptions,
    switch: Switch,
    watch: Callable[[Driver], Any],
    error: WarehouseError,
) -> Report:
    """The report of a run that has nothing to do, where not even a lease can be written.

    Raises the error that kept it from its lease where there is something to do.
    """
    if plan.selected:
        raise error

    def none() -> Lease:
        raise error

    driver = _driver(warehouse, job, plan, options, switch, none, new_run_id())
    with watch(driver):
        driver.begin()
        report = driver.finish(options.strict)
    report.warnings.append(f"The lease was not taken, as nothing can be written: {error.message}")
    return report


def _carried_out(
    warehouse: Warehouse,
    job: Job,
    options: RunOptions,
    driver: Driver,
    switch: Switch,
    watch: Callable[[Driver], Any],
) -> Report:
    done: list[Report] = []
    try:
        with cancellable(warehouse, driver.report.run_id, switch), watch(driver):
            driver.begin()
            done.append(_work(warehouse, job, options, driver))
    except BaseException as error:
        if done:  # it is in the journal how it ended
            done[0].warnings.append(f"After the run's end: {describe(error)}")
            return done[0]
        driver.abort(*ending(error))
        # What was published stays, and what was learned of it.
        with suppress(BackfillError, OSError):
            keep(warehouse, driver.report)
        raise
    return done[0]


def _work(warehouse: Warehouse, job: Job, options: RunOptions, driver: Driver) -> Report:
    plan = driver.plan
    if not plan.spans:
        return driver.finish(options.strict)
    restamp = unchanged_dates(warehouse, job, plan, options.verify) if options.verify else []
    parallel = len(plan.spans) > 1 if options.parallel is None else options.parallel
    driver.emit({"event": "phase", "phase": "starting Ray" if parallel else "in this process"})
    executor = _executor(options, driver, parallel=parallel)
    try:
        driver.attach(executor)
        if parallel:
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
        driver.report.warnings += warned("Ray was not left in good order", executor.close)


def _metrics(driver: Driver) -> Emit:
    from ray_backfill.observe.metrics import Metrics

    report = driver.report
    return Metrics(report.job, report.table, driver.progress, len(report.blocked)).apply


def _executor(options: RunOptions, driver: Driver, *, parallel: bool) -> Executor:
    if not parallel:
        return InlineExecutor(driver.emit)
    from ray_backfill.engine.on_ray import RayExecutor

    return RayExecutor(driver.report.run_id, options.workers, options.address, options.worker_wait)
