"""Where the time of one season goes, in this process: `python -m benchmarks profile`."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.printer import table
from ray_backfill.catalog import load_job
from ray_backfill.engine.worker import compute_span
from ray_backfill.job import Context, Frames
from ray_backfill.job.gates import quarantine
from ray_backfill.staleness.digest import partition_digests
from ray_backfill.survey.reading import read_frame
from ray_backfill.warehouse import open_warehouse

__all__ = ["profile"]


def profile(lake: str, season: str | None, *, functions: int) -> None:
    """Seconds of every step of a span: each input read, each view made and hashed, each gate.

    The second of two passes, so that imports are not counted. `functions`: how many functions
    of the computation are listed besides, by their own time (cProfile slows them down).
    """
    clock = _Clock()
    _pass(lake, season, _Clock())
    frames, days, context = _pass(lake, season, clock)
    name = f"{context.season.name}: {len(days)} dates"
    total = sum(clock.seconds.values())
    table(
        f"{name}, {total:.2f} s in this process",
        ["step", "seconds", "share", "rows"],
        [
            (step, f"{value:.3f}", f"{value / total:.0%}", clock.rows.get(step, ""))
            for step, value in sorted(clock.seconds.items(), key=lambda item: -item[1])
        ],
    )
    if functions:
        job = load_job("player_context")
        profiler = cProfile.Profile()
        profiler.runcall(compute_span, job, frames, days, context)
        pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(functions)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.rows: dict[str, str] = {}

    def time(self, step: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began
        if hasattr(result, "height"):
            self.rows[step] = f"{result.height:,}"
        return result


def _pass(lake: str, season: str | None, clock: _Clock) -> tuple[Frames, list[Any], Context]:
    job, house = load_job("player_context"), open_warehouse(lake)
    calendar = job.calendar(
        {n: read_frame(house, job.input(n), c, None) for n, c in job.calendar_inputs.items()},
        job.options(),
    )
    chosen = next(s for s in reversed(calendar.seasons) if season in (None, s.name))
    due = [d for d in calendar.days.values() if d.state is None and d.day in chosen.range]
    days = [d.day for d in due]
    context = Context(calendar.seasons, chosen, job.options())
    frames: dict[str, Any] = {}
    for source in job.inputs:
        dates = source.extent(days, calendar.seasons)
        frames[source.name] = clock.time(
            f"read {source.name}", lambda s=source, d=dates: read_frame(house, s, s.columns, d)
        )
    for view in job.views:
        rows = clock.time(f"view {view.name}", lambda v=view: v.rows(frames, context))
        partition = None if view.window.kind == "always" else job.output.partition
        clock.time(f"hash {view.name}", lambda r=rows, p=partition: partition_digests(r, p))
    computed = clock.time("compute", lambda: compute_span(job, frames, days, context))
    clock.time("gates", lambda: quarantine(job, computed.rows, {d.day: d for d in due}))
    with tempfile.TemporaryDirectory() as folder:
        other = open_warehouse(str(Path(folder) / "lake"))
        other.ensure(job.output)
        clock.time(
            "stage",
            lambda: other.stage(job.output, computed.rows.to_arrow(), run_id="p", task="p"),
        )
    return frames, days, context
