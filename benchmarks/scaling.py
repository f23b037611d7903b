"""`python -m benchmarks.scaling`: what `docs/scaling.md` says in numbers, measured again.

    python -m benchmarks.scaling                      # all parts: about an hour on 2 cores
    python -m benchmarks.scaling --quick              # leagues × 1 and × 10, fewer spans
    python -m benchmarks.scaling --only spans --only model --scale 1 --scale 10
    python -m benchmarks.scaling --work DIR           # keep the lakes there for the next time

Every part prints its result and keeps it in one JSON file under `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.lakes import drop_cache
from benchmarks.process import command, module, run
from benchmarks.scaling_lakes import SCALES, Lake, clear, made

__all__ = ["main", "measure"]

_RESULTS = Path(__file__).parent / "results"
_ONE_CPU = {"POLARS_MAX_THREADS": "1"}
_SPANS: dict[int, Sequence[tuple[int, int]]] = {
    0: ((0, 400), (120, 42), (0, 42), (140, 7), (140, 1)),
    1: ((0, 400), (120, 42), (0, 42), (140, 7), (140, 1)),
    10: ((0, 400), (120, 42), (0, 42), (120, 28), (120, 7), (140, 1), (0, 1)),
    100: ((140, 1), (0, 1), (60, 7), (100, 14)),
}
"""Scale -> first due date of the last season and how many; 400: all."""
_QUICK: Sequence[tuple[int, int]] = ((0, 42), (120, 42), (140, 1))
_LENGTHS = (1, 7, 14, 28, 42, 84, 400)
_WORKERS = (1, 4, 20, 100)
_NODES = (1, 2, 4)
_PARTITIONS = (1000, 2000, 5000, 10_000)


@dataclass
class Settings:
    """`scales`: 0 is the real seasons. `results` is what was measured so far."""

    work: Path
    scales: Sequence[int]
    quick: bool
    say: Callable[[str], None]
    results: dict[str, Any]

    def lakes(self) -> list[Lake]:
        self.say("making the lakes that are not there")
        return [lake for scale in self.scales if (lake := made(self.work, scale))]


def spans(settings: Settings) -> Any:
    """Single spans, each in a fresh process of one thread: stages, bytes, peak memory."""
    found = []
    for lake in settings.lakes():
        asked = _QUICK if settings.quick else _SPANS[lake.scale]
        clear(lake)
        first = run(command("plan", "player_context", "--warehouse", lake.path, "--json"))
        found.append({"lake": lake.name, "plan": _of(first)})
        for at, count in asked:
            settings.say(f"{lake.name}: {count} dates from the {at}th on")
            load = round(os.getloadavg()[0], 1)
            one = run(module("benchmarks.scaling_span", lake.path, at, count), env=_ONE_CPU).json()
            found.append({"lake": lake.name, "first": at, "load": load, **one})
            settings.say(json.dumps(found[-1]))
    return found


def reads(settings: Settings) -> Any:
    """Look-back amplification, computed, and checked on what is really read."""
    from benchmarks.scaling_reads import amplification

    return {
        lake.name: amplification(lake, _LENGTHS, _WORKERS, check=lake.scale <= 1)
        for lake in settings.lakes()
    }


def publish(settings: Settings) -> Any:
    """The driver's commit as the log grows; requests to an object store."""
    from benchmarks.scaling_publish import commits, requests

    sizes = _PARTITIONS[:1] if settings.quick else _PARTITIONS
    load = round(os.getloadavg()[0], 1)
    return {"commits": commits(settings.work, sizes), "requests": requests(), "load": load}


def nodes(settings: Settings) -> Any:
    """Runs on 1, 2 and 4 nodes; then the plan of what is complete, its cache lost."""
    from benchmarks.scaling_nodes import node_run, worker_base

    found: dict[str, Any] = {"worker_base": worker_base(), "runs": [], "plans": {}}
    for lake in settings.lakes():
        if lake.scale > 10:
            continue
        for count in _NODES[:2] if settings.quick else _NODES:
            settings.say(f"{lake.name}: a run on {count} nodes")
            found["runs"].append({"lake": lake.name, **node_run(lake, count)})
            settings.say(json.dumps(found["runs"][-1]))
        drop_cache(_as_data(lake))
        plan = command("plan", "player_context", "--warehouse", lake.path, "--json")
        found["plans"][lake.name] = {"cold": _of(run(plan)), "warm": _of(run(plan))}
        settings.say(json.dumps(found["plans"][lake.name]))
    return found


def limits(settings: Settings) -> Any:
    """Runs whose memory is bounded: spans are split, and a date that does not fit is refused."""
    found = []
    for lake in settings.lakes():
        if lake.scale < 10:
            continue
        for bound in ("640MiB",) if lake.scale == 10 else ("1GiB",):
            found.append(_refused(settings, lake, bound))
        for bound in ("1GiB", "4GiB") if lake.scale == 10 else ("4GiB",):
            found.append(_bounded(settings, lake, bound))
        clear(lake)
    return found


def _range(lake: Lake) -> tuple[str, str]:
    """Fourteen days in February (28 at the smaller scale), when most look-back is there."""
    year = 2026 if lake.scale <= 10 else 2025
    return f"{year}-02-01", f"{year}-02-{28 if lake.scale <= 10 else 14}"


def _arguments(lake: Lake, bound: str) -> list[object]:
    first, last = _range(lake)
    return [
        "player_context", "--warehouse", lake.path, "--start-date", first, "--end-date", last,
        "--worker-memory", bound, "--workers", 1, "--json",
    ]  # fmt: skip


def _refused(settings: Settings, lake: Lake, bound: str) -> dict[str, Any]:
    settings.say(f"{lake.name}: a run with {bound} that is refused")
    clear(lake)
    ended = run(command("run", *_arguments(lake, bound), "--quiet"), ok=(3,))
    return {"lake": lake.name, "bound": bound, "code": ended.code, "said": ended.stderr[-600:]}


def _bounded(settings: Settings, lake: Lake, bound: str) -> dict[str, Any]:
    settings.say(f"{lake.name}: a run with {bound}")
    clear(lake)
    plan = run(command("plan", *_arguments(lake, bound))).json()
    # On Ray, of one worker: its peak is not the driver's.
    ended = run(
        command("run", *_arguments(lake, bound), "--log-format", "json"),
        ok=(0,),
    )
    events = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    peaks: dict[str, int] = {}
    for event in events:
        if event.get("event") == "handover":
            peaks[event["span"]] = max(peaks.get(event["span"], 0), event["peak_bytes"])
    report = ended.json()
    return {
        "lake": lake.name,
        "bound": bound,
        "code": ended.code,
        "dates": len(report["published"]),
        "spans": [
            {
                "span": span["id"],
                "dates": len(span["days"]),
                "need_bytes": span["memory_bytes"],
                "peak_bytes": peaks.get(span["id"]),
            }
            for span in plan["spans"]
        ],
        "stages": report["stages"],
        "seconds": report["seconds"],
        "driver": _of(ended),
    }


def model(settings: Settings) -> Any:
    """Constants fitted to the spans that were measured, and how far they are off."""
    from benchmarks.scaling_model import fit, memory_factors, residuals
    from ray_backfill.plan.sizing import BASE_BYTES

    measured = [span for span in settings.results.get("spans", []) if "cpu" in span]
    if not measured:
        return None
    constants = fit(measured)
    return {
        "constants": {name: float(f"{value:.3g}") for name, value in constants.items()},
        "residuals": residuals(constants, measured),
        "memory_factors": memory_factors(measured, BASE_BYTES),
    }


PARTS: dict[str, Callable[[Settings], Any]] = {
    "reads": reads,
    "spans": spans,
    "publish": publish,
    "nodes": nodes,
    "limits": limits,
    "model": model,
}


def _of(ended: Any) -> dict[str, float]:
    return {
        "seconds": round(ended.seconds, 2),
        "cpu": round(ended.cpu, 2),
        "peak_bytes": ended.peak_bytes,
    }


def _as_data(lake: Lake) -> Any:
    from benchmarks.lakes import DataSet

    return DataSet(lake.name, lake.path, "", 0)


def measure(
    parts: Sequence[str], work: Path, scales: Sequence[int], *, quick: bool, into: Path | None
) -> Path:
    """Measure some parts; results of other parts that stand in `into` are kept."""
    before = json.loads(into.read_text()) if into and into.exists() else {}

    def say(text: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)

    settings = Settings(work, scales, quick, say, before)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    path = into or _RESULTS / f"scaling-{at.replace(':', '').replace('-', '')[:15]}.json"
    path.parent.mkdir(exist_ok=True)
    for name in (part for part in PARTS if part in parts):
        about = {"at": at, "machine": machine.describe()}
        settings.results[name] = PARTS[name](settings)
        settings.results.setdefault("about", {})[name] = about
        path.write_text(json.dumps(settings.results, indent=1, default=str) + "\n")
        print(json.dumps({name: settings.results[name]}, indent=1, default=str))
    say(f"kept as {path}")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="leagues × 1 and × 10, few spans")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part; repeatable")
    parser.add_argument(
        "--scale", action="append", type=int, choices=[0, *SCALES], help="0: the real seasons"
    )
    parser.add_argument("--work", type=Path, help="lakes are made here, and kept")
    parser.add_argument("--into", type=Path, help="a file of results to complete")
    given = parser.parse_args(arguments)
    scales = given.scale or ([1, 10] if given.quick else [0, *SCALES])
    work = given.work or Path(tempfile.mkdtemp(prefix="ray-backfill-scaling-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        measure(given.only or list(PARTS), work, scales, quick=given.quick, into=given.into)
    finally:
        if given.work is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
