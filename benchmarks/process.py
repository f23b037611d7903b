"""Runs a program and says how long it took and how much memory it held at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import PROJECT

__all__ = ["Ended", "command", "module", "peak_bytes", "run"]

_LOOK = 0.02
_PATIENCE = 3600


@dataclass(frozen=True)
class Ended:
    """Wall seconds from start to end as a user waits them; `peak_bytes` of the program itself.

    `cpu`: CPU seconds of it and of the children that it has waited for.
    """

    seconds: float
    peak_bytes: int
    stdout: str
    stderr: str = ""
    code: int = 0
    cpu: float = 0.0

    def json(self) -> Any:
        return json.loads(self.stdout)


def command(*arguments: object) -> list[str]:
    """The command line as it is installed beside this Python."""
    return [str(Path(sys.executable).with_name("ray-backfill")), *map(str, arguments)]


def module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", name, *map(str, arguments)]


def run(
    program: Sequence[str], *, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None
) -> Ended:
    """Raises `RuntimeError` with what it printed where it ends otherwise than `ok`."""
    env = {**os.environ, "RAY_DEDUP_LOGS": "0", **(env or {})}
    before, began = os.times(), time.perf_counter()
    child = subprocess.Popen(  # noqa: S603 -- the project's own programs
        list(program),
        cwd=PROJECT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while True:
        try:
            stdout, stderr = child.communicate(timeout=_LOOK)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, peak_bytes(child.pid))
            if time.perf_counter() - began > _PATIENCE:
                child.kill()
    seconds, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    if child.returncode not in ok:
        tail = "\n".join(stderr.splitlines()[-20:])
        raise RuntimeError(f"{' '.join(program)} ended with {child.returncode}:\n{tail}")
    return Ended(seconds, peak, stdout, stderr, child.returncode, cpu)


def peak_bytes(pid: int | str = "self") -> int:
    """Largest resident size of a process so far; 0 where /proc does not say.

    Not `getrusage`: a child's begins with what its parent held when it started it.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
