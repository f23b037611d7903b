"""The driver: hands spans to workers, publishes what they stage, splits what fails.

It is the only publisher of a run. Whatever kills it leaves every date as it was or as it
should be: the next plan finds in the table what is left to do.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ray_backfill.engine.executor import Executor, Outcome
from ray_backfill.engine.queue import TaskQueue
from ray_backfill.engine.record import Record
from ray_backfill.engine.same_code import check_handover
from ray_backfill.engine.task import Handover, Settings, Task, halves, singles, tasks_of
from ray_backfill.errors import BackfillError, CodeDiffersError, LeaseLostError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.plan import Decision, Plan, Stamp
from ray_backfill.plan.guards import shrunk
from ray_backfill.record.failures import describe, remedy, was_lost
from ray_backfill.record.progress import WORKING
from ray_backfill.record.report import Report
from ray_backfill.survey.empty_dates import keep_empty_dates
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease, Staged

__all__ = ["Driver", "Switch"]

_log = logging.getLogger(__name__)
_LONGEST_BACKOFF = 60.0
_COMMITS = 3
"""Times that emptying dates is tried."""
_WAITING = "waiting for workers"


@dataclass
class Switch:
    """Set by the first Ctrl-C: start nothing new, let running spans finish.

    `now`: end at once, as after the second; `interrupt` does that where the run is in the middle
    of a span of its own. `told` is what another process asked for, to be noted once.
    """

    off: bool = False
    now: bool = False
    told: str = ""
    interrupt: Callable[[], None] = lambda: None


class Driver:
    """One run of a plan. `run` gives the report; errors that end the whole run are raised."""

    def __init__(
        self,
        warehouse: Warehouse,
        job: Job,
        plan: Plan,
        settings: Settings,
        lease: Callable[[], Lease],
        switch: Switch,
    ) -> None:
        self._warehouse = warehouse
        self._job = job
        self._plan = plan
        self._settings = settings
        self._lease = lease
        self._switch = switch
        self._decisions = {d.day: d for d in plan.decisions}
        self._queue = TaskQueue()
        self._left: dict[str, set[date]] = {}
        self._alone: Counter[tuple[str, str]] = Counter()
        """Season and message -> single dates that failed so."""
        self._unpublished: dict[str, WarehouseError] = {}
        self._stopping = False
        self._record = Record(warehouse, plan, settings, job.output.name)
        self.progress = self._record.progress
        self.report = self._record.report
        self.watchers = self._record.watchers
        self.tokens: dict[date, str] = {}
        """What the warehouse knows the published dates by, see `Published.tokens`."""

    @property
    def plan(self) -> Plan:
        """What is carried out."""
        return self._plan

    # -- the run ---------------------------------------------------------------------------
    def begin(self) -> None:
        """Write the run's first lines, and empty the dates that belong to nothing any more."""
        self._record.begin()
        removals = self._plan.removals
        if removals:
            self._empty(removals)
            self.report.removed = [str(day) for day in removals]
            self.emit({"event": "published", "days": {str(day): 0 for day in removals}})

    def _empty(self, days: Sequence[date]) -> None:
        """Empty dates in one commit; an error of the warehouse is tried again, as elsewhere."""
        for attempt in range(_COMMITS):
            try:
                self._warehouse.publish(self._job.table, [], remove=days, lease=self._lease())
                return
            except WarehouseError:
                if attempt == _COMMITS - 1:
                    raise
            time.sleep(self._settings.backoff_seconds * 2**attempt)

    def run(self, executor: Executor, restamp: Sequence[Decision] = ()) -> None:
        """Compute and publish every span of the plan; `restamp` are written again as they are."""
        began = time.monotonic()
        for task in tasks_of(self._plan, self._settings, self._warehouse.uri, restamp):
            self._add(task)
        while self._busy(executor):
            self._heed()
            if not self._stopping:
                self._submit(executor)
            for event in executor.stages():
                self._record.take_in(event)
            for outcome in executor.wait(self._queue.patience()):
                self._take(outcome)
            self._record.keep_up()
        self.report.compute_seconds += time.monotonic() - began

    def finish(self, strict: bool) -> Report:
        """Settle the report and write the run's last line."""
        self._record.sum_up(stopped=self._switch.off)
        self.report.settle(strict)
        self._record.end()
        return self.report

    def abort(self, exit_code: int, why: str) -> None:
        """Settle the report of a run that was ended by an error, if it has not ended yet."""
        if self.progress.ended is not None:
            return
        self._tell()
        self._record.sum_up(stopped=self._switch.off)
        self.report.exit_code, self.report.verdict = exit_code, why
        self._record.end()

    def emit(self, event: Mapping[str, Any]) -> None:
        """Fold an event in, and write it where others see it."""
        self._record.emit(event)

    def attach(self, executor: Executor | None) -> None:
        """Show events to an executor's watchers from now on, beginning with what the run is."""
        self._record.attach(executor)

    def _heed(self) -> None:
        """Note what `cancel` asked for, and end at once where it says so."""
        self._tell()
        if self._switch.now:
            raise KeyboardInterrupt

    def _tell(self) -> None:
        if self._switch.told:
            told, self._switch.told = self._switch.told, ""
            self.emit({"event": "cancel", "message": told})

    # -- queue -----------------------------------------------------------------------------
    def _busy(self, executor: Executor) -> bool:
        if self._switch.off and not self._stopping:
            self._stopping = True
            # What was begun on a machine that is not there any more would be waited for.
            executor.drop({(span, s["attempt"]) for span, s in self.progress.spans.items()})
        if self._stopping:
            for task in self._queue.clear():
                del self._left[task.name]
        return bool(self._left)

    def _add(self, task: Task, *, delay: float = 0.0, first: bool = False) -> None:
        self._queue.add(task, delay=delay, first=first)
        self._left[task.name] = set(task.dates)

    def _submit(self, executor: Executor) -> None:
        ready = self._queue.ready()
        fitting = executor.fitting(ready, self._queue.later())
        for task in fitting:
            self._queue.take(task)
            executor.submit(task)
        # Also with tasks begun: what was begun on a machine that is lost waits for another.
        waits = bool(ready or executor.running) and not (executor.running and executor.slots)
        phase = _WAITING if waits else WORKING if executor.running else self.progress.phase
        if phase != self.progress.phase:
            self.emit({"event": "phase", "phase": phase})
        self._record.queue(len(self._queue), executor.running, executor.slots)

    # -- outcomes --------------------------------------------------------------------------
    def _take(self, outcome: Outcome) -> None:
        task = outcome.task
        if outcome.handover is not None:
            self._publish(outcome.handover)
            return
        still = self._left.pop(task.name, set())
        left = [day for day in task.days if day.day in still]
        unpublished = self._unpublished.pop(task.name, None)
        if outcome.error is None:
            self.emit({"event": "span_done", "span": task.span})
        if left:
            error = (
                outcome.error
                or unpublished
                or WarehouseError("The worker ended without handing this over.")
            )
            self._recover(replace(task, days=tuple(left)), error)

    def _publish(self, handover: Handover) -> None:
        task, seconds = handover.task, dict(handover.seconds)
        check_handover(handover)
        for day, why in handover.quarantined.items():
            fingerprint = handover.fingerprints.get(day, "")
            self._record.given_up(task, day, "quarantined", "data", why, fingerprint)
            self._left[task.name].discard(day)
        staged = self._not_shrunk(handover)
        if staged or handover.empty:
            began = time.perf_counter()
            try:
                done = self._warehouse.publish(
                    self._job.table, staged, remove=sorted(handover.empty), lease=self._lease()
                )
            except LeaseLostError:
                raise
            except WarehouseError as error:
                # The dates stay in what the task has left: they are tried again at its end.
                self._unpublished[task.name] = error
                return
            seconds["commit"] = time.perf_counter() - began
            self._left[task.name] -= set(done.dates)
            self.tokens.update(done.tokens)
            self._record.published(handover, done.dates)
            self._keep_empty(handover)
        self._record.learn(handover, seconds)

    def _keep_empty(self, handover: Handover) -> None:
        """Note what the empty dates were computed from; without it they are missing again."""
        if not handover.empty:
            return
        task = handover.task
        found = {
            day: Stamp(
                handover.fingerprints[day],
                handover.code_version,
                task.job_options,
                rows=0,
                computed_at=task.computed_at,
                empty=why,
            )
            for day, why in handover.empty.items()
        }
        filled = {staged.day for staged in handover.staged}
        try:
            keep_empty_dates(self._warehouse, self._job.output.name, found, filled)
        except (BackfillError, OSError) as error:
            _log.warning(
                "%s are published empty, and that could not be noted: the next run computes "
                "them again. %s",
                ", ".join(map(str, found)),
                describe(error),
            )

    def _not_shrunk(self, handover: Handover) -> list[Staged]:
        """What may be published: dates that lose too many of their rows are quarantined."""
        if self._plan.allow.shrink:
            return list(handover.staged)
        good = []
        for staged in handover.staged:
            why = shrunk(self._decisions[staged.day], staged.rows)
            if not why:
                good.append(staged)
                continue
            task, fingerprint = handover.task, handover.fingerprints.get(staged.day, "")
            self._record.given_up(
                task, staged.day, "quarantined", "data", why, fingerprint, guard="shrink"
            )
            self._left[task.name].discard(staged.day)
        return good

    # -- failures --------------------------------------------------------------------------
    def _recover(self, task: Task, error: BaseException) -> None:
        """Try again, split, or give a single date up; nothing once cancelled.

        A worker that has other code than this run ends it: no date is to blame.
        """
        if isinstance(error, CodeDiffersError):
            raise error
        if self._switch.off:
            return
        message = describe(error)
        alike = self._alone[(task.season.name, message)]
        kind, cure = remedy(error, task.attempt, task.lost, len(task.days), alike)
        if cure != "give up":
            self._record.retry(task, kind, cure, message)
        if cure == "again":
            delay = self._settings.backoff_seconds * 2 ** (task.attempt - 1)
            lost = task.lost + was_lost(error)
            again = replace(task, attempt=task.attempt + 1, lost=lost)
            self._add(again, delay=min(delay, _LONGEST_BACKOFF))
            return
        if cure == "give up":
            (day,) = task.dates
            self._alone[(task.season.name, message)] += 1
            fingerprint = self._decisions[day].fingerprint
            self._record.given_up(task, day, "failed", kind, message, fingerprint)
        else:
            # First in the queue: down to single dates before anything else, so that an error
            # of every date is known as such after few tries.
            for part in reversed(halves(task) if cure == "split in halves" else singles(task)):
                self._add(part, first=True)
        self.emit({"event": "span_done", "span": task.span})
