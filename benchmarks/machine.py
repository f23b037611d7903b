"""The machine and the versions that numbers belong to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["PROJECT", "cores", "describe"]

PROJECT = Path(__file__).resolve().parents[1]
_PACKAGES = ("ray-backfill", "polars", "ray", "deltalake", "pyarrow", "pandas")


def cores() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Cores, memory, CPU model, load, versions."""
    return {
        "cores": cores(),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "memory_bytes": int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) * 1024,
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _field(path: str, name: str) -> str | None:
    """The first value of a field of a file under /proc; None where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
