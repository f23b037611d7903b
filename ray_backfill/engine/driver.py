"""The driver: hands spans to workers, publishes what they stage, splits what fails.

It is the only publisher of a run. Whatever kills it leaves every date as it was or as it
should be: the next plan finds in the table what is left to do.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from ray_backfill.engine.executor import Executor, Outcome
from ray_backfill.engine.failures import describe, kind_of, most_tries, out_of_memory
from ray_backfill.engine.journal import Journal, attempt_event, run_event
from ray_backfill.engine.progress import WORKING, Progress
from ray_backfill.engine.report import Report, new_report
from ray_backfill.engine.task import Emit, Handover, Task
from ray_backfill.errors import LeaseLostError, WarehouseError
from ray_backfill.job import Day, Job
from ray_backfill.planner import Attempt, Decision, Plan
from ray_backfill.spans import Span
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease

__all__ = ["Driver", "Settings", "Switch"]

_LONGEST_BACKOFF = 60.0
_WAITING = "waiting for workers"
_SAME_FAILURES = 8
"""Single dates of a span that fail in one way before the rest is taken to fail so too."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run works, apart from what it computes."""

    job: str
    run_id: str
    workers: int
    batch: int = 28
    backoff_seconds: float = 2.0


@dataclass
class Switch:
    """Set by the first Ctrl-C: start nothing new, let running spans finish.

    `now`: end at once, as after the second. `told` is what another process asked for, to be
    noted once.
    """

    off: bool = False
    now: bool = False
    told: str = ""


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
        self._waiting: deque[Task] = deque()
        self._later: list[tuple[float, Task]] = []
        self._left: dict[str, set[date]] = {}
        self._same: Counter[tuple[str, str]] = Counter()
        self._unmatched: Counter[tuple[str, str, str]] = Counter()
        self._executor: Executor | None = None
        self._queue_shown: Mapping[str, int] = {}
        self._computed_at = datetime.now(UTC)
        self._header = run_event(plan, settings.run_id, job.output.name, settings.workers)
        self.progress = Progress()
        self.watchers: list[Emit] = []
        """Shown every event, those of workers too; a watcher does not raise."""
        self.report = new_report(
            plan, settings.run_id, job.output.name, warehouse.uri, settings.workers
        )

    # -- the run ---------------------------------------------------------------------------
    def begin(self) -> None:
        """Write the run's first lines, and empty the dates that belong to nothing any more."""
        self.emit(self._header)
        # All of them: the next plan reads the newest journal alone, whatever its range was.
        for day, attempt in self._plan.attempts.items():
            self.emit({**attempt_event(day, attempt), "carried": True})
        self._journal.flush()
        removals = self._plan.removals
        if removals:
            self._warehouse.publish(self._job.table, [], remove=removals, lease=self._lease())
            self.report.removed = [str(day) for day in removals]
            self.emit({"event": "published", "days": {str(day): 0 for day in removals}})

    def run(self, executor: Executor, restamp: Sequence[Decision] = ()) -> None:
        """Compute and publish every span of the plan; `restamp` are written again as they are."""
        began = time.monotonic()
        for task in self._tasks(restamp):
            self._queue(task)
        while self._busy():
            self._heed()
            self._submit(executor)
            for event in executor.stages():
                self._take_in(event)
            for outcome in executor.wait(self._patience()):
                self._take(outcome)
            self._journal.keep_up()
        self.report.compute_seconds += time.monotonic() - began

    def finish(self, strict: bool) -> Report:
        """Settle the report and write the run's last line."""
        report, done = self.report, self.progress.published.keys() | self.progress.problems.keys()
        report.cancelled = self._switch.off
        report.not_started = [str(d.day) for d in self._plan.selected if str(d.day) not in done]
        report.published = {d: n for d, n in self.progress.published.items() if n}
        report.rows = sum(report.published.values())
        report.seconds = time.time() - (self.progress.started or time.time())
        report.count_unmatched(self._unmatched)
        report.settle(strict)
        self.emit({"event": "end", "exit_code": report.exit_code, "verdict": report.verdict})
        self._journal.flush()
        return report

    def abort(self, exit_code: int, why: str) -> None:
        """Write the last line of a run that was ended from outside, if it has none yet."""
        if self.progress.ended is not None:
            return
        self.emit({"event": "end", "exit_code": exit_code, "verdict": why})
        self._journal.flush()

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
        if self._switch.told:
            told, self._switch.told = self._switch.told, ""
            self.emit({"event": "cancel", "message": told})
        if self._switch.now:
            raise KeyboardInterrupt

    # -- queue -----------------------------------------------------------------------------
    def _busy(self) -> bool:
        if self._switch.off:
            for task in [*self._waiting, *(task for _, task in self._later)]:
                del self._left[task.name]
            self._waiting.clear()
            self._later.clear()
        return bool(self._left)

    def _queue(self, task: Task, *, delay: float = 0.0, first: bool = False) -> None:
        if delay:
            self._later.append((time.monotonic() + delay, task))
        elif first:
            self._waiting.appendleft(task)
        else:
            self._waiting.append(task)
        self._left[task.name] = set(task.dates)

    def _submit(self, executor: Executor) -> None:
        now = time.monotonic()
        self._waiting.extend(task for due, task in self._later if due <= now)
        self._later = [(due, task) for due, task in self._later if due > now]
        room = executor.room(tuple(self._waiting))
        while self._waiting and room > 0:
            if self.progress.phase != WORKING:
                self.emit({"event": "phase", "phase": WORKING})
            executor.submit(self._waiting.popleft())
            room -= 1
        self._show_queue(executor.running, room)

    def _show_queue(self, running: int, room: int) -> None:
        if not running and self._waiting and self.progress.phase != _WAITING:
            self.emit({"event": "phase", "phase": _WAITING})
        queue = {
            "waiting": len(self._waiting) + len(self._later),
            "running": running,
            "slots": running + room,
        }
        if queue != self._queue_shown:
            self._queue_shown = queue
            self._show({"event": "queue", "at": time.time(), **queue})

    def _patience(self) -> float:
        if not self._later:
            return 0.25
        return max(0.01, min(0.25, min(due for due, _ in self._later) - time.monotonic()))

    # -- outcomes --------------------------------------------------------------------------
    def _take(self, outcome: Outcome) -> None:
        task = outcome.task
        if outcome.handover is not None:
            self._publish(outcome.handover)
            return
        still = self._left.pop(task.name, set())
        left = [day for day in task.days if day.day in still]
        if outcome.error is None:
            self.emit({"event": "span_done", "span": task.span})
        if left:
            error = outcome.error or WarehouseError("The worker ended without handing this over.")
            self._recover(replace(task, days=tuple(left)), error)

    def _publish(self, handover: Handover) -> None:
        task, seconds = handover.task, dict(handover.seconds)
        for day, why in handover.quarantined.items():
            fingerprint = handover.fingerprints.get(day, "")
            self._give_up(task, day, "quarantined", "data", why, fingerprint)
            self._left[task.name].discard(day)
        if handover.staged:
            began = time.perf_counter()
            try:
                done = self._warehouse.publish(
                    self._job.table, handover.staged, remove=[], lease=self._lease()
                )
            except LeaseLostError:
                raise
            except WarehouseError as error:
                # The dates stay in what the task has left: they are tried again at its end.
                self._retry(task, "infrastructure", "again", f"publishing: {describe(error)}")
                return
            seconds["commit"] = time.perf_counter() - began
            self._left[task.name] -= set(done.dates)
            days = {str(s.day): s.rows for s in handover.staged}
            self.emit({"event": "published", "days": days, "span": task.span})
            if task.restamp:
                self.report.restamped += sorted(days)
        self._learn(handover, seconds)

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
        kind, message = kind_of(error), describe(error)
        splits = len(task.days) > 1 and not self._hopeless(task, message)
        again = kind == "infrastructure" and task.attempt < most_tries(error)
        if again and not (splits and out_of_memory(error)):
            delay = self._settings.backoff_seconds * 2 ** (task.attempt - 1)
            self._retry(task, kind, "again", message)
            self._queue(replace(task, attempt=task.attempt + 1), delay=min(delay, _LONGEST_BACKOFF))
            return
        if splits:
            middle = len(task.days) // 2
            self._retry(task, kind, "split in halves", message)
            # First in the queue: down to a single date before anything else, so that an
            # error of every date is known as such after few tries.
            for half in (task.days[middle:], task.days[:middle]):
                part = replace(task, span=_name(half), days=half, data_bytes=0)
                self._queue(part, first=True)
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
        self, task: Task, day: date, outcome: str, kind: str, message: str, fingerprint: str
    ) -> None:
        attempt = Attempt(
            outcome, kind, message, fingerprint, self._plan.code_version, self._plan.job_options
        )
        into = self.report.quarantined if outcome == "quarantined" else self.report.failed
        into[str(day)] = message
        self.emit({**attempt_event(day, attempt), "span": task.span})

    # -- making ----------------------------------------------------------------------------
    def _tasks(self, restamp: Sequence[Decision]) -> list[Task]:
        """A task a span; the dates to restamp come in a task of their own."""
        kept = {d.day for d in restamp}
        tasks = []
        for span in self._plan.spans:
            again = tuple(day for day in span.days if day in kept)
            fresh = tuple(day for day in span.days if day not in kept)
            if fresh:
                tasks.append(self._task(replace(span, days=fresh), restamp=False))
            if again:
                name = f"{span.id}-restamp"
                tasks.append(self._task(replace(span, id=name, days=again), restamp=True))
        return tasks

    def _task(self, span: Span, *, restamp: bool) -> Task:
        season = next(s for s in self._plan.seasons if s.name == span.season)
        days = (self._decisions[day] for day in span.days)
        return Task(
            job=self._settings.job,
            warehouse=self._warehouse.uri,
            run_id=self._settings.run_id,
            span=span.id,
            attempt=1,
            season=season,
            seasons=self._plan.seasons,
            days=tuple(Day(d.day, None, "", d.expected_rows, d.notes) for d in days),
            job_options=self._plan.job_options,
            code_version=self._plan.code_version,
            computed_at=self._computed_at,
            batch=self._settings.batch,
            restamp=restamp,
            data_bytes=span.data_bytes,
            memory_bytes=span.memory_bytes,
        )


def _name(days: Sequence[Day]) -> str:
    return f"{days[0].day}..{days[-1].day}" if len(days) > 1 else str(days[0].day)
