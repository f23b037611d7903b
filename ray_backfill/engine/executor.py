"""Where tasks run: in this process, or on Ray. The driver sees the same outcomes from both."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ray_backfill.engine.task import Emit, Handover, Task

__all__ = ["Executor", "InlineExecutor", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that a task did: a handover, its end, or the error that ended it."""

    task: Task
    handover: Handover | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.handover is None


class Executor(Protocol):
    """Runs tasks and gives their outcomes as they come."""

    slots: int
    """How many tasks may run at once, now: of the largest, where they differ; 0 where none may."""

    @property
    def running(self) -> int:
        """How many tasks were submitted and are not done."""

    def fitting(self, ready: Sequence[Task], later: Sequence[Task]) -> list[Task]:
        """Those of the `ready` tasks that there is room for now, in their order.

        Called often: an executor that can grow learns from it what the run needs, for the tasks
        that come `later` too. Raises `RefusedError` where no task can ever begin.
        """

    def submit(self, task: Task) -> None: ...

    def drop(self, begun: Container[tuple[str, int]]) -> None:
        """End the tasks that were submitted and are not among those `begun` (span, attempt)."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that are there, waiting up to `seconds` for the first."""

    def observe(self, event: Mapping[str, Any]) -> None:
        """Show an event to whoever watches; never raises."""

    def stages(self) -> list[Mapping[str, Any]]:
        """Stage events of the workers since the last call."""

    def kill(self) -> None:
        """End every running task at once."""

    def close(self) -> None: ...


class InlineExecutor:
    """The same steps in this process, one task after another, without Ray."""

    slots = 1

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._running: deque[tuple[Task, Iterator[Handover]]] = deque()

    @property
    def running(self) -> int:
        return len(self._running)

    def fitting(self, ready: Sequence[Task], later: Sequence[Task]) -> list[Task]:
        return [] if self._running else list(ready[:1])

    def drop(self, begun: Container[tuple[str, int]]) -> None:
        """A task here begins when it is submitted."""

    def submit(self, task: Task) -> None:
        from ray_backfill.engine.worker import run_span

        self._running.append((task, run_span(task, self._emit)))

    def wait(self, seconds: float) -> list[Outcome]:
        if not self._running:
            # Nothing but the end of a back-off is to be waited for.
            threading.Event().wait(seconds)
            return []
        from ray_backfill.observe.stream import at_span

        task, steps = self._running[0]
        try:
            with at_span(task.span):
                return [Outcome(task, handover=next(steps))]
        except StopIteration:
            outcome = Outcome(task)
        except Exception as error:  # noqa: BLE001 - the driver decides what any error means
            outcome = Outcome(task, error=error)
        self._running.popleft()
        return [outcome]

    def observe(self, event: Mapping[str, Any]) -> None:
        """Nobody else can watch a run without Ray but through its journal."""

    def stages(self) -> list[Mapping[str, Any]]:
        return []

    def kill(self) -> None:
        self._running.clear()

    def close(self) -> None:
        self._running.clear()
