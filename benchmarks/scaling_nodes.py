"""A run on several nodes of this machine, each a Ray node of one CPU and processes of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.process import command
from benchmarks.scaling_lakes import Lake, clear
from tests.nodes import Cluster

__all__ = ["node_run", "worker_base"]

_LOOK = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")
_STORED = re.compile(r'^ray_object_store_memory\{[^}]*Location="(?!IN_MEMORY)[^}]*\} (\S+)', re.M)


def node_run(lake: Lake, nodes: int) -> dict[str, Any]:
    """A whole backfill from nothing on so many nodes: its stages, CPU, and what Ray stored."""
    clear(lake)
    with Cluster(dashboard=False) as cluster:
        for _ in range(nodes):
            cluster.add_node(cpus=1)
        load = os.getloadavg()[0]
        began, before = time.perf_counter(), os.times()
        child = subprocess.Popen(  # noqa: S603 -- the project's own program
            command(
                "run", "player_context", "--warehouse", lake.path, "--address", cluster.address,
                "--workers", nodes, "--json", "--quiet", "--max-dates", 100_000,
            ),
            env=cluster.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        watch = _Watch(cluster)
        stdout, stderr = child.communicate()
        watch.end()
        seconds, after = time.perf_counter() - began, os.times()
    report = json.loads(stdout) if stdout else {"failed": True}
    if child.returncode not in (0, 1) or report["failed"]:
        raise RuntimeError(
            f"the run on {nodes} nodes ended with {child.returncode}: {stderr[-2000:]}"
        )
    return {
        "nodes": nodes,
        "load": round(load, 1),
        "dates": len(report["published"]),
        "rows": report["rows"],
        "wall": round(seconds, 2),
        "work": round(report["compute_seconds"], 2),
        "stages": {name: round(value, 2) for name, value in report["stages"].items()},
        "driver_cpu": round(sum(after[2:4]) - sum(before[2:4]), 2),
        **watch.found(),
        "worker_peak": report["peak_worker_bytes"],
    }


class _Watch:
    """Looks at the nodes' processes until it is ended: their CPU, and Ray's object store."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._roots = {node.process.pid for node in cluster.nodes}
        self._cpu: dict[int, tuple[str, float]] = {}
        self._stored: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def found(self) -> dict[str, Any]:
        """CPU seconds of the tasks' processes, and the most bytes that lay in object stores."""
        cpu = sum(spent for name, spent in self._cpu.values() if name.startswith("ray::"))
        return {"worker_cpu": round(cpu, 2), "object_store_bytes": self._stored}

    def _watch(self) -> None:
        looks = 0
        while not self._over.wait(_LOOK):
            for pid, (name, cpu) in _tree(self._roots).items():
                # One that has ended has no name any more.
                self._cpu[pid] = (name or self._cpu.get(pid, ("", 0.0))[0], cpu)
            looks += 1
            if looks % 10 == 0:
                with suppress(OSError):
                    self._look_at_store()

    def _look_at_store(self) -> None:
        for node in [*self._cluster.nodes, self._cluster.head]:
            with urlopen(node.metrics, timeout=5) as answer:  # noqa: S310 -- loopback
                found = _STORED.findall(answer.read().decode())
            if found:
                self._stored = max(self._stored or 0.0, sum(map(float, found)))


def _tree(roots: set[int]) -> dict[int, tuple[str, float]]:
    """Process -> name, CPU seconds, of these and all that they started."""
    parents, spent = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "cmdline").read_bytes().decode(errors="replace").partition("\0")[0]
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            spent[pid] = (name, (int(fields[11]) + int(fields[12])) / _TICKS)
    return {pid: spent[pid] for pid in spent if _below(pid, parents, roots)}


def _below(pid: int, parents: Mapping[int, int], roots: set[int]) -> bool:
    while pid in parents:
        if pid in roots:
            return True
        pid = parents[pid]
    return False


def worker_base() -> int:
    """Resident bytes of a worker of Ray that has all libraries and has read nothing."""
    import logging

    import ray

    with Cluster(dashboard=False) as cluster:
        cluster.add_node(cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        remote = ray.remote(_idle)
        return int(ray.get(remote.remote()))


def _idle() -> int:
    import ray_backfill.engine.worker as worker
    from ray_backfill.catalog import load_job

    load_job("player_context")
    import deltalake  # noqa: F401

    return worker._peak_bytes()
