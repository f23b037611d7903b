"""A real Ray of several nodes on this machine: each node is a process group of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ray_backfill.engine.demand import NAMESPACE
from ray_backfill.engine.ray_connect import actor_name
from ray_backfill.record.progress import Progress
from tests.conftest import environment
from tests.ports import free_ports

RAY = str(Path(sys.executable).parent / "ray")
ROLE = "ray-backfill.io/role"
_NAME = "tests/name"
_STORE = 150 * 2**20
_PATIENCE = 400.0
_FAKE = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": "f" * 51 + "00000",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": "f" * 51 + "00000",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
"""Variables of a head whose autoscaler starts nodes on this machine."""


class Node:
    """One `ray start --block` and all that it started."""

    cpus = 0

    def __init__(self, name: str, process: subprocess.Popen[str], metrics: str) -> None:
        self.name = name
        self.process = process
        self.metrics = metrics
        """URL of its Prometheus endpoint."""

    def kill(self) -> None:
        """End all its processes at once, as a machine that is lost does."""
        # Workers are in groups of their own, and outlive their node by a moment.
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """SIGTERM to `ray start --block`, as a spot notice does; does not wait."""
        self.process.send_signal(signal.SIGTERM)


@dataclass(frozen=True)
class Scaling:
    """Nodes that the cluster's own autoscaler starts and ends, 0 to `most`."""

    most: int
    cpus: int = 1
    memory: int = 2 * 2**30
    idle_minutes: float = 0.05


class Cluster:
    """A head without CPUs, and nodes that are added. Use it as a context manager.

    `labels` are the head's, `env` additional variables of all its processes; `scaling`: it adds
    and ends nodes itself.
    """

    def __init__(
        self,
        *,
        dashboard: bool = True,
        labels: str = f"{ROLE}=head",
        env: Mapping[str, str] | None = None,
        scaling: Scaling | None = None,
    ) -> None:
        # Short: the names of Unix sockets are made of it.
        self.temp = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
        self.env = environment() | dict(env or {})
        self.nodes: list[Node] = []
        ports = free_ports(4)
        self.dashboard = f"http://127.0.0.1:{ports[0]}"
        """URL of the Job API."""
        self.head = self._start(
            "head",
            "--head",
            f"--port={ports[3]}",
            f"--dashboard-port={ports[0]}",
            f"--include-dashboard={str(dashboard).lower()}",
            f"--ray-client-server-port={ports[1]}",
            "--num-cpus=0",
            f"--labels={labels}",
            *(self._autoscaling(scaling, ports[3]) if scaling else ()),
            env=_FAKE if scaling else {},
            metrics_port=ports[2],
        )
        self.address = f"127.0.0.1:{ports[3]}"
        """`host:port` for `ray.init` and `--address`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add_node(
        self,
        cpus: int = 2,
        *,
        labels: str = f"{ROLE}=worker",
        memory: int = 4 * 2**30,
        resources: str = "{}",
    ) -> Node:
        """A worker node that has joined."""
        name = f"n{len(self.nodes)}"
        node = self._start(
            name,
            f"--address={self.address}",
            f"--num-cpus={cpus}",
            f"--labels={labels},{_NAME}={name}",
            f"--resources={resources}",
            env={"RAY_OVERRIDE_RESOURCES": f'{{"memory": {memory}}}'},
            metrics_port=free_ports(1)[0],
        )
        node.cpus = cpus
        self.nodes.append(node)
        return node

    def _autoscaling(self, scaling: Scaling, port: int) -> tuple[str, ...]:
        """Options of a head whose nodes come from Ray's provider of processes on this machine."""
        resources = {"CPU": scaling.cpus, "memory": scaling.memory, "object_store_memory": _STORE}
        config = {
            "cluster_name": "tests",
            "max_workers": scaling.most,
            "idle_timeout_minutes": scaling.idle_minutes,
            "upscaling_speed": 10,
            "provider": {
                "type": "external",
                "module": "tests.scaling_provider.Provider",
                "head_node_id": _FAKE["RAY_CLOUD_INSTANCE_ID"],
                "gcs_address": f"{own_address()}:{port}",
                "launch_multiple": True,
            },
            "available_node_types": {
                "ray.head.default": {
                    "resources": {"CPU": 0},
                    "max_workers": 0,
                    "node_config": {},
                },
                "worker": {
                    "resources": resources,
                    "labels": {ROLE: "worker"},
                    "min_workers": 0,
                    "max_workers": scaling.most,
                    "node_config": {},
                },
            },
            "head_node_type": "ray.head.default",
            "setup_commands": [],
            "head_setup_commands": [],
            "worker_setup_commands": [],
            "initialization_commands": [],
            "head_start_ray_commands": [],
            "worker_start_ray_commands": [],
            "file_mounts": {},
            "cluster_synced_files": [],
            "auth": {},
        }
        # JSON is YAML too.
        path = self.temp / "autoscaling.yaml"
        path.write_text(json.dumps(config))
        return (f"--autoscaling-config={path}",)

    def is_alive(self, node: Node) -> bool:
        """Whether the cluster counts on it."""
        return bool(self._found(node)["Alive"])

    def drain(self, node: Node) -> None:
        """Ask it to take no new work and to leave when it is empty, within an hour."""
        command = [RAY, "drain-node", f"--address={self.address}"]
        why = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot"]
        which = [f"--node-id={self._found(node)['NodeID']}", "--deadline-remaining-seconds=3600"]
        subprocess.run([*command, *why, *which], env=self.env, check=True, capture_output=True)

    def progress(self, run_id: str) -> Progress:
        """What the progress actor of a run knows; nothing where it cannot be asked now."""
        ray = self._ray()
        try:
            actor = ray.get_actor(actor_name(run_id), namespace=NAMESPACE)
            return cast(Progress, ray.get(actor.snapshot.remote(), timeout=5))
        except (ValueError, ray.exceptions.RayError):
            return Progress()

    def _found(self, node: Node) -> dict[str, Any]:
        (found,) = (n for n in self._ray().nodes() if n["Labels"].get(_NAME) == node.name)
        return dict(found)

    def _ray(self) -> Any:
        """Ray, connected to this cluster from this process."""
        import ray

        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        return ray

    def logs(self) -> list[Path]:
        """Every log of every process of the session."""
        return [p for p in self.temp.glob("*/session_*/logs/**/*") if p.is_file()]

    def close(self) -> None:
        """End everything at once: nothing is worth a graceful end, which takes twenty seconds."""
        import ray

        ray.shutdown()
        for node in [*self.nodes, self.head]:
            node.kill()
        shutil.rmtree(self.temp, ignore_errors=True)

    def _start(
        self, name: str, *options: str, metrics_port: int, env: Mapping[str, str] | None = None
    ) -> Node:
        command = [
            RAY,
            "start",
            *options,
            "--block",
            "--disable-usage-stats",
            "--dashboard-agent-listen-port=0",
            "--node-ip-address=127.0.0.1",
            f"--metrics-export-port={metrics_port}",
            f"--object-store-memory={_STORE}",
            # Of its own, as on a machine of its own: shipped code is unpacked there.
            f"--temp-dir={self.temp / name}",
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env | dict(env or {}),
            start_new_session=True,
        )
        _until_started(process)
        return Node(name, process, f"http://127.0.0.1:{metrics_port}/metrics")


def _until_started(process: subprocess.Popen[str]) -> None:
    """Read until Ray says that it runs; then go on reading, so that its pipe never fills."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(r"Ray runtime started", line):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return
    raise AssertionError("Ray did not start:\n" + "".join(seen))


def descendants(pid: int) -> list[int]:
    """The processes that one has started, and those that these have, and so on."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found[1:]


def own_address() -> str:
    """The address of this machine that Ray takes for its nodes."""
    import ray

    return str(ray.util.get_node_ip_address())


def until(condition: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
    """Wait until a condition holds; fails where it does not within `seconds`."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        pause.wait(0.05)
