"""One measurement a function; each gives plain numbers of one repeat."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.compare import compare
from benchmarks.lakes import DataSet, clear_output, drop_cache
from benchmarks.process import command, module, run

__all__ = [
    "MODES",
    "engine_run",
    "help_seconds",
    "pandas_pool",
    "plain_polars",
    "plan_seconds",
    "ray_start",
]

JOB = "player_context"
MODES: Mapping[str, tuple[str, ...]] = {
    "no-parallel": ("--no-parallel",),
    "1 worker": ("--workers", "1"),
    "2 workers": ("--workers", "2"),
}
_RAY = """
import json, time
began = time.perf_counter()
import ray
imported = time.perf_counter()
from ray_backfill.engine.on_ray import RayExecutor
executor = RayExecutor("benchmark", 2, None)
started = time.perf_counter()
executor.close()
print(json.dumps({"import_seconds": imported - began, "start_seconds": started - imported}))
"""


def help_seconds() -> float:
    return run(command("--help")).seconds


def ray_start() -> dict[str, float]:
    """Importing Ray, and starting it with two workers as a run does, in a fresh process."""
    found: dict[str, float] = run([sys.executable, "-c", _RAY]).json()
    return found


def plan_seconds(data: DataSet) -> dict[str, float]:
    """A complete plan by the command line, over a lake whose output was just published.

    `after a run`: the first one; `warm`: with everything in the cache; `cold`: with the cache
    lost, so that every input and the output's stamps are read.
    """
    plan = command("plan", JOB, "--warehouse", data.lake)
    found = {"after a run": run(plan).seconds, "warm": run(plan).seconds}
    drop_cache(data)
    return {**found, "cold": run(plan).seconds}


def engine_run(data: DataSet, mode: str, season: str | None = None) -> dict[str, Any]:
    """A whole backfill by the command line, from nothing, and where its time went."""
    clear_output(data)
    only = ("--season", season) if season else ()
    ended = run(
        command(
            "run", JOB, "--warehouse", data.lake, "--json", "--quiet", "--max-dates", 100_000,
            *MODES[mode], *only,
        ),
        ok=(0, 1),
    )  # fmt: skip
    report = ended.json()
    bad = {**report["failed"], **report["quarantined"]}
    if report["failed"]:
        raise RuntimeError(f"{len(bad)} dates failed, as {next(iter(bad.items()))}")
    return {
        "wall": ended.seconds,
        "dates": len(report["published"]),
        "rows": report["rows"],
        # Python's start, imports, the plan with its cold cache; and the report's writing.
        "plan": ended.seconds - report["seconds"],
        "ray_start": report["seconds"] - report["compute_seconds"],
        "work": report["compute_seconds"],
        "stages": report["stages"],
        "driver_peak": ended.peak_bytes,
        "worker_peak": (ended.peak_bytes if mode == "no-parallel" else report["peak_worker_bytes"]),
    }


def plain_polars(data: DataSet, work: Path) -> dict[str, Any]:
    out = work / "plain"
    shutil.rmtree(out, ignore_errors=True)
    ended = run(module("benchmarks.plain_polars", data.lake, out))
    return {"wall": ended.seconds, "peak_bytes": ended.peak_bytes, **ended.json()}


def pandas_pool(
    data: DataSet, work: Path, days: Sequence[date], *, by_groups: bool
) -> dict[str, Any]:
    """Seconds a date of two processes that have read their tables already, and what differs.

    The lake must hold the job's output, which the values are compared with.
    """
    out = work / "pandas"
    shutil.rmtree(out, ignore_errors=True)
    style = ("--by-groups",) if by_groups else ()
    listed = ",".join(map(str, days))
    ended = run(module("benchmarks.pandas_pool", data.lake, out, "--dates", listed, *style))
    found = ended.json()
    return {
        "per_date": found["seconds"] / found["dates"],
        "load_seconds": found["load_seconds"],
        "worker_peak": found["peak_bytes"],
        "same_work": compare(str(data.lake), out, days),
    }
