"""A BigQuery server of the tests' own: `bqemulator` in its own environment and process.

Its libraries do not go together with the project's (another protobuf), so it lives in the
environment `.venv-emulator`, which `make` builds; without it the tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-emulator"
PYTHON = Path(os.environ.get("EMULATOR_PYTHON", HOME / "bin" / "python"))
LAUNCHER = Path(__file__).with_name("emulator_launcher.py")
PROJECT = "test-project"
_START_SECONDS = 60
_STOP_SECONDS = 3


def absent() -> str:
    """Why there can be no emulator here; empty where there can."""
    if "EMULATOR_PYTHON" in os.environ or (HOME / ".installed").exists():
        return ""
    return f"no emulator in {HOME}: `make .venv-emulator/.installed` makes it from a package index"


@dataclass
class Emulator:
    """A running server. `stop` and `start` again keep its ports and, with a folder, its tables."""

    folder: Path
    snapshots: bool = False
    rest_port: int = field(default_factory=lambda: free_port())
    grpc_port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The environment that points the project's clients here."""
        return {
            "RAY_BACKFILL_BIGQUERY_REST": f"http://127.0.0.1:{self.rest_port}",
            "RAY_BACKFILL_BIGQUERY_GRPC": f"127.0.0.1:{self.grpc_port}",
        }

    def start(self) -> Emulator:
        """Start the process and return once it answers."""
        command = [str(PYTHON), str(LAUNCHER), "start", "--data-dir", str(self.folder / "data")]
        ports = ["--rest-port", str(self.rest_port), "--grpc-port", str(self.grpc_port)]
        more = {
            "BQEMU_WRITE_API_MAX_REQUEST_BYTES": str(20 * 2**20),
            "BQP_SNAPSHOTS": "1" if self.snapshots else "0",
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *ports],
                stdout=log,
                stderr=log,
                env=os.environ | more,
                start_new_session=True,
            )
        self._await()
        return self

    def _await(self) -> None:
        assert self.process is not None
        turn = threading.Event()
        for _ in range(_START_SECONDS * 20):
            if self.process.poll() is not None:
                break
            try:
                self.ask("GET", "/healthz")
                return
            except (urllib.error.URLError, ConnectionError):
                turn.wait(0.05)
        self.stop()
        log = (self.folder / "server.log").read_text(errors="replace")[-3000:]
        raise AssertionError(f"The emulator did not start:\n{log}")

    def stop(self) -> None:
        """End the process by its id: SIGTERM, and SIGKILL where that hangs."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """End the process at once, in the middle of whatever it does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer of one of the server's own addresses."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.rest_port}{path}"
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    # -- faults and the request log --------------------------------------------------------
    def fail(self, **fault: Any) -> None:
        """Inject a fault: see the launcher for its fields."""
        self.ask("POST", "/__faults", fault)

    def pending_faults(self) -> list[dict[str, Any]]:
        """Faults that have not struck as often as they should."""
        return [f for f in self.ask("GET", "/__faults") if f.get("count", 1) > 0]

    def mend(self) -> None:
        """Take all faults back."""
        self.ask("DELETE", "/__faults")

    def jobs(self) -> list[dict[str, str]]:
        """Every job that was begun since the last `forget`: kind, id, statement."""
        return [r for r in self.ask("GET", "/__requests") if r["kind"] in ("query", "load", "copy")]

    def forget(self) -> None:
        """Empty the request log."""
        self.ask("DELETE", "/__requests")


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
