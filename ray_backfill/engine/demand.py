"""What runs ask of an autoscaling cluster, kept by an actor that outlives none of them.

`request_resources` is one standing request a cluster: it stays until it is replaced, also when
whoever asked is gone. So the runs tell an actor what each needs, again and again; it asks for
the sum, and forgets a run that has not been heard of for a while. A driver that is killed thus
leaves no machine running.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FORGET_SECONDS", "NAMESPACE", "ON_HEAD", "Demand", "DemandKeeper"]

NAMESPACE = "ray-backfill"
_KEEPER = "demand-3"
"""Its number changes with its calls: it may have been begun by another version of this code."""
FORGET_SECONDS = 60.0
"""Silence after which a run counts as gone. A driver is silent while it publishes: should that take
longer, idle machines may go early, and come back when it asks again."""
_REPEAT_SECONDS = 2.0

ON_HEAD: Mapping[str, Any] = {
    "num_cpus": 0,
    "label_selector": {"ray-backfill.io/role": "head"},
    # A cluster without such a label, or whose labelled node is lost: anywhere.
    "fallback_strategy": [{"label_selector": {}}],
}
"""Options of actors that belong on the head, which is not a spot machine."""


class DemandKeeper:
    """The actor. It ends itself when no run asks for anything any more."""

    def __init__(self, forget_seconds: float) -> None:
        self._forget_seconds = forget_seconds
        self._asked: dict[str, tuple[tuple[Mapping[str, float], ...], float]] = {}
        # Not known: a keeper that was lost may have left a request behind.
        self._requested: list[Mapping[str, float]] | None = None
        self._lock = threading.Lock()
        self._watching: threading.Thread | None = None

    def ask(self, run_id: str, bundles: Sequence[Mapping[str, float]]) -> None:
        """Note what a run needs from now on; nothing: it needs nothing any more."""
        with self._lock:
            if bundles:
                self._asked[run_id] = (tuple(bundles), time.monotonic())
            else:
                self._asked.pop(run_id, None)
            self._settle()
        if self._watching is None or not self._watching.is_alive():
            self._watching = threading.Thread(target=self._watch, daemon=True)
            self._watching.start()

    def _watch(self) -> None:
        import ray

        while self._needed():
            time.sleep(1.0)
        # Not `exit_actor`, which is for calls, and waits for those that it has made itself.
        ray.kill(ray.get_runtime_context().current_actor)

    def _needed(self) -> bool:
        """Forget silent runs; whether any is left, or the last request could not be taken back."""
        with self._lock:
            oldest = time.monotonic() - self._forget_seconds
            self._asked = {run: said for run, said in self._asked.items() if said[1] > oldest}
            try:
                self._settle()
            except Exception:  # noqa: BLE001 - the cluster did not answer; the next second it may
                return True
            return bool(self._asked)

    def _settle(self) -> None:
        from ray.autoscaler.sdk import request_resources

        wanted = [bundle for bundles, _ in self._asked.values() for bundle in bundles]
        if wanted != self._requested:
            request_resources(bundles=[dict(bundle) for bundle in wanted])
            self._requested = wanted


class Demand:
    """One run's side: says what the run needs, often enough to be believed."""

    def __init__(self, ray: Any, run_id: str) -> None:
        self._ray = ray
        self._run_id = run_id
        self._keeper: Any = None
        self._said: list[Mapping[str, float]] | None = None
        self._said_at = 0.0
        self._answer: Any = None

    def say(self, bundles: Sequence[Mapping[str, float]]) -> None:
        """Say what is needed now; without waiting, and only where it is new or was long ago."""
        wanted, now = list(bundles), time.monotonic()
        if wanted == self._said and now - self._said_at < _REPEAT_SECONDS:
            return
        self._forget_lost_keeper()
        if self._keeper is None:
            if not wanted:
                return
            self._keeper = self._begin_keeper()
        self._answer = self._keeper.ask.remote(self._run_id, wanted)
        self._said, self._said_at = wanted, now

    def release(self) -> None:
        """Need nothing any more, and wait a moment until that is known."""
        if self._keeper is None:
            return
        for _ in range(2):
            try:
                self._ray.get(self._keeper.ask.remote(self._run_id, []), timeout=5.0)
            except self._ray.exceptions.RayError:
                # It was lost, and what it had asked for stays: another takes it back.
                self._keeper = self._begin_keeper()
            else:
                return

    def _begin_keeper(self) -> Any:
        options = {"name": _KEEPER, "namespace": NAMESPACE, "lifetime": "detached"}
        keeper = self._ray.remote(DemandKeeper).options(get_if_exists=True, **options, **ON_HEAD)
        try:
            return keeper.remote(FORGET_SECONDS)
        except AssertionError:
            # Ray found the keeper of another run by name, but not its class any more: that keeper
            # has just ended. Its name is free now.
            return keeper.remote(FORGET_SECONDS)

    def _forget_lost_keeper(self) -> None:
        if self._answer is None or not self._ray.wait([self._answer], timeout=0)[0]:
            return
        try:
            self._ray.get(self._answer)
        except self._ray.exceptions.RayError:
            self._keeper, self._said = None, None
        self._answer = None
