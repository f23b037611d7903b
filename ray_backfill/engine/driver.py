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
from ray_backfill.engine.failures import describe, remedy, was_lost
from ray_backfill.engine.journal import Journal, attempt_event, run_event
from ray_backfill.engine.progress import WORKING, Progress
from ray_backfill.engine.queue import TaskQueue
from ray_backfill.engine.report import Report, new_report
from ray_backfill.engine.task import Emit, Handover, Settings, Task, halves, tasks_of
from ray_backfill.errors import BackfillError, LeaseLostError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.plan import Attempt, Decision, Plan
from ray_backfill.plan.guards import shrunk
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease, Staged

__all__ = ["Driver", "Switch"]

_log = logging.getLogger(__name__)
_LONGEST_BACKOFF = 60.0
_COMMITS = 3
"""Times that emptying dates is tried."""
_WAITING = "waiting for workers"
_SAME_FAILURES = 8
"""Single dates of a span that fail in one way before the rest is taken to fail so too."""


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
        self._journal = Journal(warehouse, settings.run_id)
        self._decisions = {d.day: d for d in plan.decisions}
        self._queue = TaskQueue()
        self._left: dict[str, set[date]] = {}
        self._same: Counter[tuple[str, str]] = Counter()
        self._unmatched: Counter[tuple[str, str, str]] = Counter()
        self._executor: Executor | None = None
        self._queue_shown: Mapping[str, int] = {}
        self._unpublished: dict[str, WarehouseError] = {}
        self._stopping = False
        self._header = run_event(plan, settings.run_id, job.output.name, settings.workers)
        self.tokens: dict[date, str] = {}
        """What the warehouse knows the published dates by, see `Published.tokens`."""
        self.progress = Progress()
        self.watchers: list[Emit] = []
        """Shown every event, those of workers too; a watcher does not raise."""
        self.report = new_report(
            plan, settings.run_id, job.output.name, warehouse.uri, settings.workers
        )

    @property
    def plan(self) -> Plan:
        """What is carried out."""
        return self._plan

    # -- the run ---------------------------------------------------------------------------
    def begin(self) -> None:
        """Write the run's first lines, and empty the dates that belong to nothing any more."""
        self.emit(self._header)
        # All of them: the next plan reads the newest journal alone, whatever its range was.
        for day, attempt in self._plan.attempts.items():
            self.emit({**attempt_event(day, attempt), "carried": True})
        if self._plan.selected:  # where nothing is written, nothing has to be writable
            self._journal.flush()
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
                self._take_in(event)
            for outcome in executor.wait(self._queue.patience()):
                self._take(outcome)
            self._journal.keep_up()
        self.report.compute_seconds += time.monotonic() - began

    def finish(self, strict: bool) -> Report:
        """Settle the report and write the run's last line."""
        self._sum_up()
        self.report.settle(strict)
        self._end()
        return self.report

    def abort(self, exit_code: int, why: str) -> None:
        """Settle the report of a run that was ended by an error, if it has not ended yet."""
        if self.progress.ended is not None:
            return
        self._tell()
        self._sum_up()
        self.report.exit_code, self.report.verdict = exit_code, why
        self._end()

    def _sum_up(self) -> None:
        report, done = self.report, self.progress.published.keys() | self.progress.problems.keys()
        report.cancelled = self._switch.off
        report.not_started = [str(d.day) for d in self._plan.selected if str(d.day) not in done]
        report.published = {d: n for d, n in self.progress.published.items() if n}
        report.rows = sum(report.published.values())
        report.seconds = time.time() - (self.progress.started or time.time())
        report.count_unmatched(self._unmatched)

    def _end(self) -> None:
        report = self.report
        self.emit({"event": "end", "exit_code": report.exit_code, "verdict": report.verdict})
        try:
            self._journal.flush()
        except (BackfillError, OSError) as error:
            _log.warning("The run's journal could not be written to its end: %s", describe(error))

    def emit(self, event: Mapping[str, Any]) -> None:
        """Fold an event in, and write it where others see it."""
        stamped = {"at": time.time(), **event}
        self._take_in(stamped)
        if self._executor is not None:
            self._executor.observe(stamped)

    def _take_in(self, event: Mapping[str, Any]) -> None:
        self.progress.apply(event)
        self._journal.add(event)
        self._show(event)

    def _show(self, event: Mapping[str, Any]) -> None:
        for show in self.watchers:
            show(event)

    def attach(self, executor: Executor | None) -> None:
        """Show events to an executor's watchers from now on, beginning with what the run is."""
        self._executor = executor
        if executor is not None:
            executor.observe({"at": self.progress.started, **self._header})

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
        self._show_queue(executor.running, executor.slots)

    def _show_queue(self, running: int, slots: int) -> None:
        self.report.at_once = max(self.report.at_once, running)
        queue = {"waiting": len(self._queue), "running": running, "slots": slots}
        if queue != self._queue_shown:
            self._queue_shown = queue
            self._show({"event": "queue", "at": time.time(), **queue})

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
        for day, why in handover.quarantined.items():
            fingerprint = handover.fingerprints.get(day, "")
            self._give_up(task, day, "quarantined", "data", why, fingerprint)
            self._left[task.name].discard(day)
        staged = self._not_shrunk(handover)
        if staged:
            began = time.perf_counter()
            try:
                done = self._warehouse.publish(
                    self._job.table, staged, remove=[], lease=self._lease()
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
            days = {str(s.day): s.rows for s in staged}
            self.emit({"event": "published", "days": days, "span": task.span})
            if task.restamp:
                self.report.restamped += sorted(days)
        self._learn(handover, seconds)

    def _not_shrunk(self, handover: Handover) -> list[Staged]:
        """What may be published: dates that lose too many of their rows are quarantined."""
        good = []
        for staged in handover.staged:
            why = (
                "" if self._plan.allow.shrink else shrunk(self._decisions[staged.day], staged.rows)
            )
            if not why:
                good.append(staged)
                continue
            task, print_ = handover.task, handover.fingerprints.get(staged.day, "")
            self._give_up(task, staged.day, "quarantined", "data", why, print_, guard="shrink")
            self._left[task.name].discard(staged.day)
        return good

    def _learn(self, handover: Handover, seconds: Mapping[str, float]) -> None:
        for stage, spent in seconds.items():
            self.report.stages[stage] = self.report.stages.get(stage, 0.0) + spent
        for u in handover.unmatched:
            self._unmatched[(u.table, u.source, u.why)] += u.rows
        self.report.learn_memory(handover.peak_bytes, handover.task.data_bytes)
        self._show(
            {
                "event": "handover",
                "at": time.time(),
                "span": handover.task.span,
                "attempt": handover.task.attempt,
                "seconds": seconds,
                "rows": sum(s.rows for s in handover.staged),
                "bytes": sum(s.bytes for s in handover.staged),
                "peak_bytes": handover.peak_bytes,
            }
        )

    # -- failures --------------------------------------------------------------------------
    def _recover(self, task: Task, error: BaseException) -> None:
        """Try again, split in halves, or give a single date up; nothing once cancelled."""
        if self._switch.off:
            return
        message = describe(error)
        hopeless = self._hopeless(task, message)
        kind, cure = remedy(error, task.attempt, task.lost, len(task.days), hopeless)
        if cure != "give up":
            self._retry(task, kind, cure, message)
        if cure == "again":
            delay = self._settings.backoff_seconds * 2 ** (task.attempt - 1)
            lost = task.lost + was_lost(error)
            again = replace(task, attempt=task.attempt + 1, lost=lost)
            self._add(again, delay=min(delay, _LONGEST_BACKOFF))
            return
        if cure == "split in halves":
            # First in the queue: down to a single date before anything else, so that an
            # error of every date is known as such after few tries.
            for half in reversed(halves(task)):
                self._add(half, first=True)
        else:
            for day in task.days:
                self._same[(task.season.name, message)] += 1
                fingerprint = self._decisions[day.day].fingerprint
                self._give_up(task, day.day, "failed", kind, message, fingerprint)
        self.emit({"event": "span_done", "span": task.span})

    def _hopeless(self, task: Task, message: str) -> bool:
        return self._same[(task.season.name, message)] >= _SAME_FAILURES

    def _retry(self, task: Task, kind: str, action: str, message: str) -> None:
        self.report.count_retry(task.span, task.attempt, kind, action, message)
        self.emit({"event": "retry", **self.report.retries[-1]})

    def _give_up(
        self,
        task: Task,
        day: date,
        outcome: str,
        kind: str,
        message: str,
        fingerprint: str,
        *,
        guard: str = "",
    ) -> None:
        code, options = self._plan.code_version, self._plan.job_options
        attempt = Attempt(outcome, kind, message, fingerprint, code, options, guard)
        into = self.report.quarantined if outcome == "quarantined" else self.report.failed
        into[str(day)] = message
        self.emit({**attempt_event(day, attempt), "span": task.span})
