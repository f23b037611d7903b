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
from ray_backfill.engine.lease import HeldLease
from ray_backfill.engine.rebuild import begin_anew, new_table, take_place
from ray_backfill.engine.refusals import refuse_misfit, refuse_older_code
from ray_backfill.engine.task import Emit, Settings
from ray_backfill.engine.tidying import keep, tidy, warned
from ray_backfill.engine.verify import unchanged_dates
from ray_backfill.errors import BackfillError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.plan import Plan
from ray_backfill.record.failures import describe, ending
from ray_backfill.record.report import Report
from ray_backfill.survey.ledger import Ledger, note, remember
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
    rebuild: bool = False
    """Write the table anew beside the old one, and let it take its place once it is whole."""


def new_run_id() -> str:
    """Sortable by time, unique by its tail: `20261122T190501123-3f9a2c`."""
    now = datetime.now(UTC)
    # To the millisecond: of two runs in one second the later has to sort behind the earlier.
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class _Run:
    """What a run is made of, wherever it goes. `into`: the job with the table that it writes."""

    warehouse: Warehouse
    job: Job
    into: Job
    planned: Callable[[], Plan]
    options: RunOptions
    switch: Switch
    watch: Callable[[Driver], Any]

    def held(self, job: Job, run_id: Callable[[], str]) -> HeldLease:
        """The lease on a job's output."""
        return HeldLease(
            self.warehouse,
            job.table,
            run_id,
            seconds=self.options.lease_seconds,
            steal=self.options.steal_lease,
            wait=self.options.lease_wait,
            stopped=lambda: self.switch.off,
        )

    def driver(self, plan: Plan, lease: Callable[[], Lease], run_id: str) -> Driver:
        """The driver of a plan, with the table that it writes."""
        refuse_older_code(plan)
        if plan.selected:
            self.warehouse.ensure(self.into.table)
        settings = Settings(
            self.options.job,
            run_id,
            self.options.workers,
            self.options.batch,
            self.options.backoff_seconds,
            self.into.output.name if self.into is not self.job else "",
        )
        driver = Driver(self.warehouse, self.into, plan, settings, lease, self.switch)
        driver.report.warnings += expiry_warnings(self.warehouse, self.into, plan)
        for sentence in driver.report.warnings:
            _log.warning("%s", sentence)
        return driver


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

    `planned` surveys and plans (with `rebuild` of the new table: see `rebuild_facts`). It is
    called under the lease, so that nothing is removed or stamped by what was true before another
    run ended; what it raises ends the run.
    Raises `LeaseHeldError` before anything is written; `LeaseLostError` when another run took
    the table over, with everything published until then intact.
    """
    into = new_table(job) if options.rebuild else job
    run = _Run(warehouse, job, into, planned, options, switch, watch)
    is_there = refuse_misfit(warehouse, job, rebuild=options.rebuild)
    if not is_there and not _has_input(warehouse, job):
        planned()  # an empty place is refused, and stays as empty as it was
    try:
        held = run.held(job, new_run_id)
    except WarehouseError as error:
        return _without_lease(run, planned(), error)
    with held:
        report = _rebuilt(run, held) if options.rebuild else _under(run, held, _nothing_more)
    report.warnings += held.warnings
    return report


def _has_input(warehouse: Warehouse, job: Job) -> bool:
    names = dict.fromkeys(source.table.name for source in job.inputs)
    return any(warehouse.exists(name) for name in names)


def _nothing_more(driver: Driver) -> None:
    """What is done when all is published: it is where it belongs."""


def _rebuilt(run: _Run, outer: HeldLease) -> Report:
    """A run that writes another table under its own lease, which then takes the place of ours."""
    begin_anew(run.warehouse, run.into)
    with run.held(run.into, lambda: outer.lease.run_id) as inner:
        report = _under(
            run, inner, lambda driver: take_place(run.warehouse, run.job, driver, outer.lease)
        )
    report.warnings += inner.warnings
    return report


def _under(run: _Run, held: HeldLease, finally_do: Callable[[Driver], None]) -> Report:
    driver = run.driver(run.planned(), lambda: held.lease, held.lease.run_id)
    ledger = _noted(run, driver)
    try:
        report = _carried_out(run, driver, finally_do)
    finally:
        driver.report.warnings += warned(_UNKNOWN_NEXT, lambda: remember(ledger, driver.tokens))
    tidy(run.warehouse, run.job, report)
    return report


def _noted(run: _Run, driver: Driver) -> Ledger:
    """The table's ledger, with what this run begins with: before any row of it is published."""
    ledger, plan = Ledger(run.warehouse, run.into.output.name), driver.plan
    facts = plan.facts
    if plan.spans and facts is not None:
        driver.report.warnings += warned(
            "What this run computes from was not noted down, and guards cannot tell of it later",
            lambda: note(ledger, facts, driver.report.run_id, datetime.now(UTC)),
        )
    return ledger


def _without_lease(run: _Run, plan: Plan, error: WarehouseError) -> Report:
    """The report of a run that has nothing to do, where not even a lease can be written.

    Raises the error that kept it from its lease where there is something to do.
    """
    if plan.selected or run.options.rebuild:
        raise error

    def none() -> Lease:
        raise error

    driver = run.driver(plan, none, new_run_id())
    with run.watch(driver):
        driver.begin()
        report = driver.finish(run.options.strict)
    report.warnings.append(f"The lease was not taken, as nothing can be written: {error.message}")
    return report


def _carried_out(run: _Run, driver: Driver, finally_do: Callable[[Driver], None]) -> Report:
    done: list[Report] = []
    try:
        with (
            cancellable(run.warehouse, driver.report.run_id, run.switch),
            run.watch(driver),
        ):
            driver.begin()
            done.append(_work(run, driver, finally_do))
    except BaseException as error:
        if done:  # it is in the journal how it ended
            done[0].warnings.append(f"After the run's end: {describe(error)}")
            return done[0]
        driver.abort(*ending(error))
        # What was published stays, and what was learned of it.
        with suppress(BackfillError, OSError):
            keep(run.warehouse, driver.report)
        raise
    return done[0]


def _work(run: _Run, driver: Driver, finally_do: Callable[[Driver], None]) -> Report:
    plan, options = driver.plan, run.options

    def finish() -> Report:
        finally_do(driver)
        return driver.finish(options.strict)

    if not plan.spans:
        return finish()
    verify = options.verify
    restamp = unchanged_dates(run.warehouse, run.into, plan, verify) if verify else []
    parallel = len(plan.spans) > 1 if options.parallel is None else options.parallel
    driver.emit({"event": "phase", "phase": "starting Ray" if parallel else "in this process"})
    executor = _executor(options, driver, parallel=parallel)
    try:
        driver.attach(executor)
        if parallel:
            driver.watchers.append(_metrics(driver))
        driver.run(executor, restamp)
        return finish()
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
