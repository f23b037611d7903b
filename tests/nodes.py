"""A real Ray of several nodes on this machine: each node is a process group of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import environment

RAY = str(Path(sys.executable).parent / "ray")
ROLE = "ray-backfill.io/role"
_STORE = 150 * 2**20
_PATIENCE = 60.0


class Node:
    """One `ray start --block` and all that it started."""

    def __init__(self, process: subprocess.Popen[str], metrics: str) -> None:
        self.process = process
        self.metrics = metrics
        """URL of its Prometheus endpoint."""

    def kill(self) -> None:
        """End all its processes at once, as a machine that is lost does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """SIGTERM to `ray start --block`, as a spot notice does; does not wait."""
        self.process.send_signal(signal.SIGTERM)


class Cluster:
    """A head without CPUs, and nodes that are added. Use it as a context manager.

    `env` are additional variables of all its processes.
    """

    def __init__(self, *, dashboard: bool = True, env: Mapping[str, str] | None = None) -> None:
        # Short: the names of Unix sockets are made of it.
        self.temp = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
        self.env = environment() | dict(env or {})
        self.nodes: list[Node] = []
        ports = free_ports(4)
        self.dashboard = f"http://127.0.0.1:{ports[0]}"
        """URL of the Job API."""
        self.head = self._start(
            "--head",
            f"--port={ports[3]}",
            f"--dashboard-port={ports[0]}",
            f"--include-dashboard={str(dashboard).lower()}",
            f"--ray-client-server-port={ports[1]}",
            "--num-cpus=0",
            f"--labels={ROLE}=head",
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
        node = self._start(
            f"--address={self.address}",
            f"--num-cpus={cpus}",
            f"--labels={labels}",
            f"--resources={resources}",
            env={"RAY_OVERRIDE_RESOURCES": f'{{"memory": {memory}}}'},
            metrics_port=free_ports(1)[0],
        )
        self.nodes.append(node)
        return node

    def logs(self) -> list[Path]:
        """Every log of every process of the session."""
        return [p for p in self.temp.glob("session_*/logs/**/*") if p.is_file()]

    def close(self) -> None:
        """End everything at once: nothing is worth a graceful end, which takes twenty seconds."""
        for node in [*self.nodes, self.head]:
            node.kill()
        shutil.rmtree(self.temp, ignore_errors=True)

    def _start(
        self, *options: str, metrics_port: int, env: Mapping[str, str] | None = None
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
            f"--temp-dir={self.temp}",
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
        return Node(process, f"http://127.0.0.1:{metrics_port}/metrics")


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


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(condition: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
    """Wait until a condition holds; fails where it does not within `seconds`."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        pause.wait(0.05)
