"""Tasks on Ray: streaming generators whose handovers the driver publishes as they come.

Ray is imported inside functions: `--help` answers at once, and Ray reads its authentication
mode when it is imported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from ray_backfill.engine.demand import NAMESPACE, ON_HEAD, Demand
from ray_backfill.engine.executor import Outcome
from ray_backfill.engine.ray_connect import actor_name, start
from ray_backfill.engine.task import Handover, Task
from ray_backfill.errors import RefusedError
from ray_backfill.plan.sizing import human_bytes
from ray_backfill.record.progress import Progress

__all__ = ["RayExecutor"]

_LOOK_SECONDS = 1.0
"""How old what is known of the cluster's nodes may be."""


class ProgressActor:
    """Folds events into a `Progress` and shows it to whoever asks. It decides nothing."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._stages: list[Mapping[str, Any]] = []

    def observe(self, event: Mapping[str, Any]) -> None:
        self._progress.apply(event)
        if event.get("event") == "stage":
            self._stages.append(event)

    def stages(self) -> tuple[bool, list[Mapping[str, Any]]]:
        """Whether it knows its run (not where it was begun anew), and stages since last asked."""
        stages, self._stages = self._stages, []
        return bool(self._progress.run_id), stages

    def snapshot(self) -> Progress:
        return self._progress


def _run_task(task: Task, actor: Any) -> Iterator[Handover]:
    from ray_backfill.engine.worker import run_span
    from ray_backfill.observe.stream import worker_log

    with worker_log(task.job, task.run_id, task.span, task.attempt) as log:

        def emit(event: Mapping[str, Any]) -> None:
            log.event(event)
            # Fire and forget: a lost actor must not hold a worker up.
            actor.observe.remote(event)

        yield from run_span(task, emit)


class RayExecutor:
    """Runs tasks as Ray tasks of one CPU each, on this machine or on the cluster at `address`.

    On a cluster a task also declares the memory that its span needs, no more tasks are begun
    than the nodes that are there have room for, and the autoscaler is asked for what the tasks
    that run and wait need, up to `workers` at once. Where no node has had room for any task for
    `patience` seconds, `fitting` raises `RefusedError`.
    """

    def __init__(
        self, run_id: str, workers: int, address: str | None, patience: float = 900.0
    ) -> None:
        import ray

        self._ray: Any = ray
        start(ray, workers, address)
        self._workers = workers
        self.slots = workers if address is None else 0
        self._address = address
        self._patience = patience
        self._demand = Demand(ray, run_id)
        self._actor: Any = (
            ray.remote(ProgressActor)
            .options(name=actor_name(run_id), namespace=NAMESPACE, max_restarts=-1, **ON_HEAD)
            .remote()
        )
        self._remote: Any = ray.remote(_run_task)
        self._running: dict[Any, Task] = {}
        self._shown: list[Mapping[str, Any]] = []
        self._asked: Any = None
        self._nodes: list[Mapping[str, float]] = []
        self._looked_at = 0.0
        self._room_at = time.monotonic()

    @property
    def running(self) -> int:
        return len(self._running)

    def fitting(self, ready: Sequence[Task], later: Sequence[Task]) -> list[Task]:
        free = max(0, self._workers - len(self._running))
        if self._address is None:
            return list(ready[:free])
        running = list(self._running.values())
        needed = [*running, *ready, *later]
        self._demand.say([_bundle(task) for task in needed[: self._workers]])
        nodes = self._look()
        self.slots = self._slots(nodes, needed)
        self._lose_patience(needed)
        left = [dict(node) for node in nodes]
        for task in sorted(running, key=lambda task: -task.memory_bytes):
            _place(left, _bundle(task))
        # One that is too large for now does not hold up those behind it.
        return [task for task in ready if _place(left, _bundle(task))][:free]

    def _slots(self, nodes: Sequence[Mapping[str, float]], tasks: Sequence[Task]) -> int:
        """How many of the largest task fit in all nodes; at least 1 where any task fits in one."""
        if not tasks:
            return self.slots
        ordered = sorted(tasks, key=lambda task: task.memory_bytes)
        smallest, largest = _bundle(ordered[0]), _bundle(ordered[-1])
        some = any(_fit(node, smallest) for node in nodes)
        return min(self._workers, max(some, sum(_fit(node, largest) for node in nodes)))

    def _look(self) -> list[Mapping[str, float]]:
        """Resources of the nodes that are alive, looked up about once a second."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._looked_at = now
        return self._nodes

    def _lose_patience(self, tasks: Sequence[Task]) -> None:
        """Raise where no node has had room for any task for long.

        Tasks that are begun count too: one that was begun on a machine that is lost waits in Ray
        for another.
        """
        now = time.monotonic()
        if self.slots or not tasks:
            self._room_at = now
        elif now - self._room_at > self._patience:
            least = min(task.memory_bytes for task in tasks)
            raise RefusedError(
                f"No node of the cluster at {self._address} has room for a task of 1 CPU and "
                f"{human_bytes(least)}, and none came within {self._patience:.0f} seconds.",
                hint="`ray status` shows what the autoscaler does; --worker-memory makes tasks "
                "smaller, --worker-wait waits longer.",
            )

    def submit(self, task: Task) -> None:
        remote = self._remote.options(
            num_cpus=1,
            # Ray here counts only what is free when it starts; the plan has shared out the rest.
            memory=task.memory_bytes if self._address is not None else 0,
            name=f"span {task.span}",
            # Retries are the driver's: Ray's have no back-off and would repeat what is published.
            max_retries=0,
            num_returns="streaming",
        )
        self._running[remote.remote(task, self._actor)] = task

    def wait(self, seconds: float) -> list[Outcome]:
        if not self._running:
            threading.Event().wait(seconds)
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._next(steps) for steps in ready]

    def _next(self, steps: Any) -> Outcome:
        task = self._running[steps]
        try:
            return Outcome(task, handover=self._ray.get(next(steps)))
        except StopIteration:
            outcome = Outcome(task)
        except self._ray.exceptions.RayTaskError as error:
            outcome = Outcome(task, error=error.cause)
        except self._ray.exceptions.RayError as error:
            outcome = Outcome(task, error=error)
        del self._running[steps]
        return outcome

    def observe(self, event: Mapping[str, Any]) -> None:
        self._shown.append(event)
        self._actor.observe.remote(event)

    def stages(self) -> list[Mapping[str, Any]]:
        """What the actor has, asked for without waiting: an answer comes with a later call."""
        if self._asked is None:
            self._asked = self._actor.stages.remote()
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return []
        found: list[Mapping[str, Any]]
        try:
            known, found = self._ray.get(self._asked)
        except self._ray.exceptions.RayError:
            return []
        finally:
            self._asked = None
        if not known:
            # Its node was lost, and it was begun anew elsewhere.
            for event in self._shown:
                self._actor.observe.remote(event)
        return found

    def drop(self, begun: Container[tuple[str, int]]) -> None:
        for steps, task in self._running.items():
            if (task.span, task.attempt) not in begun:
                self._ray.cancel(steps)

    def kill(self) -> None:
        for steps in self._running:
            self._ray.cancel(steps, force=True)
        self._running.clear()

    def close(self) -> None:
        self._demand.release()
        self._ray.shutdown()


def _bundle(task: Task) -> dict[str, float]:
    return {"CPU": 1, "memory": task.memory_bytes}


def _fit(node: Mapping[str, float], bundle: Mapping[str, float]) -> int:
    """How many bundles there is room for in a node."""
    return int(min(node.get(name, 0) // need for name, need in bundle.items() if need))


def _place(nodes: Sequence[dict[str, float]], bundle: Mapping[str, float]) -> bool:
    """Take a bundle from the first node that has it left; whether there is one."""
    node = next((node for node in nodes if _fit(node, bundle)), None)
    if node is None:
        return False
    for name, need in bundle.items():
        node[name] = node.get(name, 0) - need
    return True
