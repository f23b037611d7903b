"""The tasks of a run that have not begun: those that may begin, and those that wait a while."""

from __future__ import annotations

import time
from collections import deque

from ray_backfill.engine.task import Task

__all__ = ["TaskQueue"]

_PATIENCE = 0.25


class TaskQueue:
    """First in, first out; a task that failed comes back after its delay, or first of all."""

    def __init__(self) -> None:
        self._ready: deque[Task] = deque()
        self._later: list[tuple[float, Task]] = []

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, task: Task, *, delay: float = 0.0, first: bool = False) -> None:
        """`delay` in seconds."""
        if delay:
            self._later.append((time.monotonic() + delay, task))
        elif first:
            self._ready.appendleft(task)
        else:
            self._ready.append(task)

    def ready(self) -> tuple[Task, ...]:
        """The tasks that may begin now, in their order."""
        now = time.monotonic()
        self._ready.extend(task for due, task in self._later if due <= now)
        self._later = [(due, task) for due, task in self._later if due > now]
        return tuple(self._ready)

    def later(self) -> tuple[Task, ...]:
        """The tasks that wait for their delay to pass."""
        return tuple(task for _, task in self._later)

    def take(self, task: Task) -> None:
        """Leave out one of those that are ready: it begins."""
        self._ready.remove(task)

    def clear(self) -> list[Task]:
        """All tasks, which are left out from now on."""
        tasks = [*self._ready, *self.later()]
        self._ready.clear()
        self._later.clear()
        return tasks

    def patience(self) -> float:
        """Seconds until it is worth looking again."""
        due = min((due for due, _ in self._later), default=float("inf"))
        return max(0.01, min(_PATIENCE, due - time.monotonic()))
