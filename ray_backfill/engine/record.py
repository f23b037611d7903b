"""What a run says of itself as it goes: its journal, progress and report, and who watches."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from ray_backfill.engine.executor import Executor
from ray_backfill.engine.task import Emit, Handover, Settings, Task
from ray_backfill.errors import BackfillError
from ray_backfill.job import Unmatched, UnmatchedName
from ray_backfill.plan import Attempt, Plan
from ray_backfill.record.failures import describe
from ray_backfill.record.journal import Journal, attempt_event, run_event
from ray_backfill.record.left_out import left_out, unmatched_names
from ray_backfill.record.progress import Progress
from ray_backfill.record.report import Report, new_report
from ray_backfill.warehouse import Warehouse

__all__ = ["Record"]

_log = logging.getLogger(__name__)


class Record:
    """Folds the events of one run in, and writes and shows them; it decides nothing."""

    def __init__(self, warehouse: Warehouse, plan: Plan, settings: Settings, table: str) -> None:
        self._plan = plan
        self._journal = Journal(warehouse, settings.run_id, table)
        self._header = run_event(plan, settings.run_id, table, settings.workers)
        self._left_out: list[Unmatched] = []
        self._names: list[UnmatchedName] = []
        self._queue_shown: Mapping[str, int] = {}
        self._executor: Executor | None = None
        self.progress = Progress()
        self.report: Report = new_report(
            plan, settings.run_id, table, warehouse.uri, settings.workers
        )
        self.watchers: list[Emit] = []
        """Shown every event, those of workers too; a watcher does not raise."""

    def begin(self) -> None:
        """Write the run's first lines."""
        self.emit(self._header)
        # All of them: the next plan reads the newest journal alone, whatever its range was.
        for day, attempt in self._plan.attempts.items():
            self.emit({**attempt_event(day, attempt), "carried": True})
        if self._plan.selected:  # where nothing is written, nothing has to be writable
            self._journal.flush()

    # -- events ----------------------------------------------------------------------------
    def emit(self, event: Mapping[str, Any]) -> None:
        """Fold an event in, and write it where others see it."""
        stamped = {"at": time.time(), **event}
        self.take_in(stamped)
        if self._executor is not None:
            self._executor.observe(stamped)

    def take_in(self, event: Mapping[str, Any]) -> None:
        """Fold in an event that others see already."""
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

    def keep_up(self) -> None:
        """Write what has waited for about a second."""
        self._journal.keep_up()

    def queue(self, waiting: int, running: int, slots: int) -> None:
        """Show how many tasks wait and run, and for how many there is room."""
        self.report.at_once = max(self.report.at_once, running)
        queue = {"waiting": waiting, "running": running, "slots": slots}
        if queue != self._queue_shown:
            self._queue_shown = queue
            self._show({"event": "queue", "at": time.time(), **queue})

    # -- outcomes --------------------------------------------------------------------------
    def published(self, handover: Handover, dates: Collection[date]) -> None:
        """These dates of a handover are in the table, or empty in it."""
        rows = {str(s.day): s.rows for s in handover.staged if s.day in dates}
        empty = {str(day): why for day, why in handover.empty.items() if day in dates}
        event = {"event": "published", "days": rows | dict.fromkeys(empty, 0)}
        self.emit({**event, "span": handover.task.span, **({"empty": empty} if empty else {})})
        self.report.empty |= empty
        if handover.task.restamp:
            self.report.restamped += sorted(rows)

    def learn(self, handover: Handover, seconds: Mapping[str, float]) -> None:
        """Sum up what a handover says of its stages, memory and input that matched nothing."""
        for stage, spent in seconds.items():
            self.report.stages[stage] = self.report.stages.get(stage, 0.0) + spent
        self._left_out += handover.unmatched
        self._names += handover.names
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

    def retry(self, task: Task, kind: str, action: str, message: str) -> None:
        """A task failed, and is tried again or split."""
        self.report.count_retry(task.span, task.attempt, kind, action, message)
        self.emit({"event": "retry", **self.report.retries[-1]})

    def given_up(
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
        """A date is not published by this run: it `failed` or is `quarantined`."""
        entry = next(d for d in task.days if d.day == day)
        attempt = Attempt(
            outcome,
            kind,
            message,
            fingerprint,
            self._plan.code_version,
            self._plan.job_options,
            entry.judged_by(self._plan.rules),
            guard,
        )
        into = self.report.quarantined if outcome == "quarantined" else self.report.failed
        into[str(day)] = message
        self.emit({**attempt_event(day, attempt), "span": task.span})

    # -- the end ---------------------------------------------------------------------------
    def sum_up(self, *, stopped: bool) -> None:
        """Make the report what has happened until now; `stopped`: the run was asked to end."""
        report, done = self.report, self.progress.published.keys() | self.progress.problems.keys()
        report.not_started = [str(d.day) for d in self._plan.selected if str(d.day) not in done]
        # Asked after its last date, a run that did all of its work was not cancelled.
        report.cancelled = stopped and bool(report.not_started)
        report.published = {d: n for d, n in self.progress.published.items() if n}
        report.rows = sum(report.published.values())
        report.seconds = time.time() - (self.progress.started or time.time())
        report.unmatched = left_out(self._left_out)
        report.names = unmatched_names(self._names)

    def end(self) -> None:
        """Write the run's last line, as its report is settled."""
        report = self.report
        self.emit({"event": "end", "exit_code": report.exit_code, "verdict": report.verdict})
        try:
            self._journal.flush()
        except (BackfillError, OSError) as error:
            _log.warning("The run's journal could not be written to its end: %s", describe(error))
