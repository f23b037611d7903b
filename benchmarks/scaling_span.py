"""One span of dates in a process of its own: `python -m benchmarks.scaling_span LAKE FIRST COUNT`.

What a worker does with a task, without Ray: it reads, digests, computes and stages, and nothing
is published. Prints what went in and out, the seconds and CPU seconds of each stage, and the
highest resident size, as JSON. Start it with POLARS_MAX_THREADS=1, as workers are.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from ray_backfill.catalog import load_job
from ray_backfill.engine.task import Handover, Task
from ray_backfill.engine.worker import run_span
from ray_backfill.job import Day
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Facts
from ray_backfill.plan.sizing import Sizing
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import open_warehouse

__all__ = ["due_days", "files_read", "look_back", "measure"]

JOB = "player_context"
BATCH = 28


def due_days(facts: Facts, season: str | None = None) -> tuple[Season, list[Day]]:
    """The dates to compute of one season: of the last, where none is named."""
    known = facts.calendar.seasons
    chosen = next(s for s in reversed(known) if season in (None, s.name))
    days = facts.calendar.days
    return chosen, [days[d] for d in sorted(days) if days[d].state is None and d in chosen.range]


def files_read(sizing: Sizing, days: Sequence[date], seasons: Sequence[Season]) -> int:
    """Partitions of all inputs that a span of these days reads: a file each in a fresh lake."""
    total = 0
    for size in sizing.inputs.values():
        extent = size.window.extent(days, seasons)
        total += bool(size.whole)
        total += sum(1 for day in size.days if extent is not None and day in extent)
    return total


def look_back(sizing: Sizing, days: Sequence[date], seasons: Sequence[Season]) -> int:
    """Bytes of the inputs that reach further than the dates themselves."""
    return sum(
        size.bytes_in(size.window.extent(days, seasons))
        for size in sizing.inputs.values()
        if size.window.kind not in ("day", "always")
    )


def measure(lake: str, first: int, count: int, season: str | None = None) -> dict[str, Any]:
    """Stage the due dates `first`, … `first + count - 1` of a season, and say what it took."""
    house, job = open_warehouse(lake), load_job(JOB)
    facts = survey(house, job)
    chosen, due = due_days(facts, season)
    days = due[first : first + count]
    dates = [d.day for d in days]
    rows = sum(d.expected_rows for d in days)
    seasons, sizing = facts.calendar.seasons, facts.sizing
    house.ensure(job.table)
    task = Task(
        JOB, lake, "benchmark", f"{dates[0]}", 1, chosen, seasons, tuple(days),
        facts.job_options, facts.code_version, datetime.now(UTC), BATCH,
        data_bytes=sizing.data_bytes(dates, rows, seasons), rules=facts.rules,
    )  # fmt: skip
    clock = _Clock()
    # Not kept: a worker gives each away before it makes the next.
    handed = [_about(h) for h in clock.over(run_span(task, clock.stage))]
    output = rows * sizing.output_row_bytes
    return {
        "dates": len(days),
        "rows": sum(h["rows"] for h in handed),
        "files": files_read(sizing, dates, seasons),
        "input_bytes": task.data_bytes - output,
        "look_bytes": look_back(sizing, dates, seasons),
        "output_bytes": output,
        "staged_bytes": sum(h["staged"] for h in handed),
        "need_bytes": sizing.need(dates, rows, seasons),
        "peak_bytes": max(h["peak"] for h in handed),
        "seconds": clock.seconds,
        "cpu": clock.cpu,
        "task_bytes": len(pickle.dumps(task)),
        "handover_bytes": max(h["bytes"] for h in handed),
        "handovers": len(handed),
    }


def _about(handover: Handover) -> dict[str, int]:
    return {
        "rows": sum(s.rows for s in handover.staged),
        "staged": sum(s.bytes for s in handover.staged),
        "peak": handover.peak_bytes,
        # Ray pickles what a task gives back with the same protocol.
        "bytes": len(pickle.dumps(handover)),
    }


class _Clock:
    """Wall and CPU seconds of each stage, from the events with which stages begin."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._now = ""
        self._at = (0.0, 0.0)

    def stage(self, event: Mapping[str, Any]) -> None:
        self._end()
        self._now = str(event["stage"])
        self._at = (time.perf_counter(), time.process_time())

    def over(self, handovers: Any) -> Any:
        """The handovers; what is done between them is no stage."""
        for handover in handovers:
            self._end()
            yield handover

    def _end(self) -> None:
        if self._now:
            wall, cpu = time.perf_counter() - self._at[0], time.process_time() - self._at[1]
            self.seconds[self._now] = round(self.seconds.get(self._now, 0.0) + wall, 3)
            self.cpu[self._now] = round(self.cpu.get(self._now, 0.0) + cpu, 3)
        self._now = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling_span", description=__doc__)
    parser.add_argument("lake")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--season")
    given = parser.parse_args()
    print(json.dumps(measure(given.lake, given.first, given.count, given.season)))


if __name__ == "__main__":
    main()
