"""Checks of a cluster: whether it answers, what each node has, and what it sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ray_backfill.doctor import clock, machine
from ray_backfill.doctor.check import Check, UnfitError
from ray_backfill.errors import RefusedError

__all__ = ["Cluster", "checks", "joined"]

_SECONDS = 120
"""A node that starts its first worker takes some; this long it may."""

_SAME = ("ray", "ray-backfill", "polars", "pyarrow")
"""Packages whose version decides what is computed or understood: the same everywhere."""


class Cluster:
    """The nodes of a cluster that are there now."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._ray: Any = None

    def join(self) -> str:
        import ray

        from ray_backfill.engine.ray_connect import start

        with redirect_stdout(sys.stderr):
            try:
                start(ray, 1, self.address)
            except RefusedError as error:
                cause = " ".join(str(error.__cause__ or "").split())
                more = "" if cause in error.message else f" {cause}"
                raise RefusedError(f"{error.message}{more}", error.hint) from error
        self._ray = ray
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        count = len(self._nodes())
        nodes = f"{count} node{'s' if count != 1 else ''}"
        return f"Ray {ray.__version__}, {nodes} with {cpus} CPUs now; later ones are not looked at"

    def leave(self) -> None:
        if self._ray is not None:
            self._ray.shutdown()

    def _nodes(self) -> dict[str, str]:
        """Id -> name of every node that is alive."""
        return {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            for node in self._ray.nodes()
            if node["Alive"]
        }

    def on_each(self, call: Callable[..., Any], *args: object) -> dict[str, Any]:
        """Node -> what the function gave there, or the error that came of it."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At

        remote = self._ray.remote(call)
        names = self._nodes()
        asked = {
            node: remote.options(
                num_cpus=0, max_retries=0, scheduling_strategy=At(node, soft=False)
            ).remote(*args)
            for node in names
        }
        self._ray.wait(list(asked.values()), num_returns=len(asked), timeout=_SECONDS)
        return {names[node]: self._answer(reference) for node, reference in asked.items()}

    def _answer(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference, timeout=0)
        except Exception as error:  # noqa: BLE001 - whatever a node answers is told
            return error

    def versions(self) -> str:
        """The same interpreter and packages on each node as here; raises with the differences."""
        here = {"python": ".".join(map(str, sys.version_info[:3])), **machine.packages()}
        before = clock.now()
        answers = self.on_each(_probe(), list(here))
        after = clock.now()
        wrong, clocks = [], []
        for node, answer in answers.items():
            if isinstance(answer, Exception):
                wrong.append(f"{node}: {_told(answer)}")
                continue
            there, moment = answer
            wrong += [f"{node}: {text}" for text in differing(here, there)]
            theirs = datetime.fromtimestamp(moment, UTC)
            clocks.append(partial(clock.compared, f"that of {node}", before, theirs, after))
        if wrong:
            raise UnfitError(f"{'; '.join(wrong)}.")
        for compare in clocks:
            compare()
        return f"{', '.join(answers)}: Python {here['python']} and all packages as here"

    def seeing(self, uri: str, key: str) -> str:
        """Have each node look into the warehouse; `key` is an object that lies there."""
        answers = self.on_each(_look(), uri, key)
        blind = {
            node: _told(answer) if isinstance(answer, Exception) else "another place of that name"
            for node, answer in answers.items()
            if answer is not True
        }
        if blind:
            told = "; ".join(f"{node}: {why}" for node, why in blind.items())
            raise UnfitError(f"{uri} is not what these nodes see. {told}")
        return f"{', '.join(answers)}: {uri}"


def differing(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What a node lacks, or has in a version that must not differ, or that is not supported."""
    wrong = machine.unmet(there, machine.requirements())
    for name in ("python", *_SAME):
        have, want = there.get(name, ""), here.get(name, "")
        if have != want and not any(text.startswith(f"{name} ") for text in wrong):
            wrong.append(f"{name} {have or 'is not installed'} there, {want} here")
    return wrong


def _told(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _probe() -> Callable[[list[str]], tuple[dict[str, str], float]]:
    """A function that Ray sends as it is: a node without our packages can run it."""

    def probe(names: list[str]) -> tuple[dict[str, str], float]:
        import platform
        import time
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": platform.python_version()}
        for name in names:
            if name != "python":
                try:
                    found[name] = version(name)
                except PackageNotFoundError:
                    found[name] = ""
        return found, time.time()

    return probe


def _look() -> Callable[[str, str], bool]:
    def look(uri: str, key: str) -> bool:
        from ray_backfill.warehouse import open_warehouse

        house = open_warehouse(uri)
        return house.get_object(key) == b"1" if key else not house.exists("no_such.table")

    return look


@contextmanager
def joined(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, which is left when the block ends."""
    try:
        yield cluster
    finally:
        cluster.leave()


def checks(cluster: Cluster, uri: str, marker: Callable[[], str], last: str) -> list[Check]:
    """The checks of a cluster's nodes.

    `marker` writes an object that all must see and gives its key; no key where the warehouse is a
    service. `last` is the check without which the warehouse cannot be reached from here.
    """
    return [
        Check(
            "cluster",
            "the cluster answers and lets us in",
            cluster.join,
            needs="The same Ray and Python as the cluster's; its token, where it asks for one.",
        ),
        Check(
            "nodes",
            "every node has the same packages",
            cluster.versions,
            ("cluster",),
            mend="Install the same requirements-cluster.lock on every node, or use one image.",
        ),
        Check(
            "nodes' warehouse",
            "every node looks into the same warehouse",
            lambda: cluster.seeing(uri, marker()),
            ("nodes", last),
            mend="A folder must be shared by all nodes; credentials must be on each of them.",
        ),
    ]
