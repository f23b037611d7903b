"""Tasks on Ray: streaming generators whose handovers the driver publishes as they come.

Ray is imported inside functions: `--help` answers at once, and Ray reads its authentication
mode when it is imported.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ray_backfill.engine.executor import Outcome
from ray_backfill.engine.progress import Progress
from ray_backfill.engine.task import Handover, Task
from ray_backfill.errors import RefusedError

__all__ = ["NAMESPACE", "RayExecutor", "actor_name"]

NAMESPACE = "ray-backfill"


def actor_name(run_id: str) -> str:
    """Name of the progress actor of a run, in the namespace `ray-backfill`."""
    return f"progress-{run_id}"


class ProgressActor:
    """Folds events into a `Progress` and shows it to whoever asks. It decides nothing."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._stages: list[Mapping[str, Any]] = []

    def observe(self, event: Mapping[str, Any]) -> None:
        self._progress.apply(event)
        if event.get("event") == "stage":
            self._stages.append(event)

    def stages(self) -> list[Mapping[str, Any]]:
        """Stage events since the last call."""
        stages, self._stages = self._stages, []
        return stages

    def snapshot(self) -> Progress:
        return self._progress


def _run_task(task: Task, actor: Any) -> Iterator[Handover]:
    from ray_backfill.engine.worker import run_span

    def emit(event: Mapping[str, Any]) -> None:
        # Fire and forget: a lost actor must not hold a worker up.
        actor.observe.remote(event)

    yield from run_span(task, emit)


class RayExecutor:
    """Runs tasks as Ray tasks of one CPU each, on this machine or on the cluster at `address`."""

    def __init__(self, run_id: str, workers: int, address: str | None) -> None:
        import ray

        self._ray = ray
        _start(ray, workers, address)
        self._workers = workers
        self._actor: Any = (
            ray.remote(ProgressActor)
            .options(name=actor_name(run_id), namespace=NAMESPACE, num_cpus=0)
            .remote()
        )
        # Retries are the driver's: Ray's have no back-off and would repeat handed-over dates.
        self._remote = ray.remote(_run_task).options(
            num_cpus=1, max_retries=0, num_returns="streaming"
        )
        self._running: dict[Any, Task] = {}
        self._asked: Any = None

    @property
    def slots(self) -> int:
        return self._workers - len(self._running)

    def submit(self, task: Task) -> None:
        self._running[self._remote.remote(task, self._actor)] = task

    def wait(self, seconds: float) -> list[Outcome]:
        if not self._running:
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
        self._actor.observe.remote(event)

    def stages(self) -> list[Mapping[str, Any]]:
        """What the actor has, asked for without waiting: an answer comes with a later call."""
        if self._asked is None:
            self._asked = self._actor.stages.remote()
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return []
        try:
            found: list[Mapping[str, Any]] = self._ray.get(self._asked)
        except self._ray.exceptions.RayError:
            return []
        finally:
            self._asked = None
        return found

    def kill(self) -> None:
        for steps in self._running:
            self._ray.cancel(steps, force=True)
        self._running.clear()

    def close(self) -> None:
        self._ray.shutdown()


def _start(ray: Any, workers: int, address: str | None) -> None:
    """Connect to a cluster, or start a local one with `workers` CPUs."""
    env = {
        # A one-CPU task would otherwise use every core.
        "POLARS_MAX_THREADS": "1",
        # Workers import jobs from wherever this process does.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # noqa: PTH109
    }
    # A cluster that was started elsewhere has settings of its own.
    env |= {name: value for name, value in os.environ.items() if name.startswith("RAY_BACKFILL_")}
    quiet: dict[str, Any] = {
        "namespace": NAMESPACE,
        "runtime_env": {"env_vars": env},
        "logging_level": logging.ERROR,
        "log_to_driver": False,
    }
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address:
        _probe(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError) as error:
            raise RefusedError(
                f"The Ray cluster at {address} cannot be used: {str(error).splitlines()[0]}",
                hint="`ray status --address …` shows whether it is up; a cluster that asks for a "
                "token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN.",
            ) from error
    else:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)


def _probe(address: str) -> None:
    """Whether anything listens at `host:port`: Ray itself would wait for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise RefusedError(
            f"No Ray cluster answers at {address}: {error}.",
            hint="Give the address that `ray start --head` printed, or leave --address out to "
            "start a local one.",
        ) from error


def connect_progress(run_id: str, address: str) -> Callable[[], Progress | None] | None:
    """A function that asks the run's progress actor; None where there is no such actor.

    A run without `--address` started a Ray of its own, which `auto` finds on its machine.
    """
    import ray

    _probe(address)
    try:
        ray.init(address=address, namespace=NAMESPACE, logging_level=logging.ERROR)
        actor = ray.get_actor(actor_name(run_id), namespace=NAMESPACE)
    except (ValueError, ConnectionError):
        return None

    def ask() -> Progress | None:
        try:
            return cast(Progress, ray.get(actor.snapshot.remote()))
        except ray.exceptions.RayError:
            return None  # it ended with its run

    return ask
