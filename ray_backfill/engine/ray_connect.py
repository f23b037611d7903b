"""Connecting to Ray: starting a local one, joining a cluster, finding a run's progress actor.

Ray is imported inside functions: `--help` answers at once, and Ray reads its authentication
mode when it is imported.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ray_backfill.engine.demand import NAMESPACE
from ray_backfill.errors import RefusedError
from ray_backfill.record.progress import Progress
from ray_backfill.record.submitted import JOB_CONFIG
from ray_backfill.redact import is_secret
from ray_backfill.warehouse.lake.store_settings import ANY as STORES

__all__ = ["actor_name", "connect_progress", "probe", "start"]


START_WAIT = "RAY_gcs_server_port_wait_time_s"


def actor_name(run_id: str) -> str:
    """Name of the progress actor of a run, in the namespace `ray-backfill`."""
    return f"progress-{run_id}"


def start(ray: Any, workers: int, address: str | None) -> None:
    """Connect to a cluster, or start a local one with `workers` CPUs.

    Raises `RefusedError` where the cluster does not answer or does not let us in.
    """
    env = {"env_vars": worker_environment(os.environ)}
    if address:
        _join(ray, address, runtime_env=env)
        return
    with _own_sigterm(), _patience():
        ray.init(
            address="local", num_cpus=workers, include_dashboard=False, runtime_env=env, **_quiet()
        )


def _join(ray: Any, address: str, **more: Any) -> None:
    probe(address)
    try:
        with _own_sigterm():
            ray.init(address=address, **_quiet(), **more)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RefusedError(
            f"The Ray cluster at {address} cannot be used: {first}",
            hint="`ray status --address …` shows whether it is up; a cluster that asks for a "
            "token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN.",
        ) from error


def _quiet() -> dict[str, Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    return {"namespace": NAMESPACE, "logging_level": logging.ERROR, "log_to_driver": False}


@contextmanager
def _patience() -> Iterator[None]:
    """Let a busy machine take its time: Ray gives its first process 30 s to say its port."""
    if START_WAIT in os.environ:
        yield
        return
    os.environ[START_WAIT] = "180"
    try:
        yield
    finally:
        # Whoever joins a cluster later would try as long, also where nothing is there.
        os.environ.pop(START_WAIT, None)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does here: Ray would end this process at once where it means gently."""
    if threading.current_thread() is not threading.main_thread():
        yield  # neither Ray nor anybody else can set it from here
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that workers get from their driver; Ray shows and logs them, so no secrets."""
    env = {
        # A one-CPU task would otherwise use every core.
        "POLARS_MAX_THREADS": "1",
    }
    # A cluster that was started elsewhere has settings of its own: its workers would look for the
    # warehouse in another place than their driver.
    env |= {
        name: value
        for name, value in environment.items()
        if (name.startswith("RAY_BACKFILL_") or STORES.fullmatch(name))
        and not is_secret(name, value)
    }
    if JOB_CONFIG not in environment:
        # Workers import jobs from wherever this process does. A submitted job's code is shipped
        # to each node instead, at a path of its own.
        env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109
        return env
    # Ray refuses a variable that the job was submitted with already.
    job = json.loads(environment[JOB_CONFIG])
    given = (job.get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in env.items() if name not in given}


def probe(address: str) -> None:
    """Raise `RefusedError` where nothing listens at `host:port`: Ray itself would wait long."""
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

    try:
        _join(ray, address)
        actor = ray.get_actor(actor_name(run_id), namespace=NAMESPACE)
    except (ValueError, AssertionError):  # gone; or just ending: Ray has its name, not its class
        return None

    def ask() -> Progress | None:
        try:
            found = cast(Progress, ray.get(actor.snapshot.remote(), timeout=5.0))
        except ray.exceptions.RayError:
            return None  # it ended with its run
        return found if found.run_id else None  # begun anew, and not told yet

    return ask
