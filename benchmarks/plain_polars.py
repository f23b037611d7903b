"""The honest lower bound: the same computation as a plain Polars script in one process.

    python -m benchmarks.plain_polars LAKE OUT

Reads the raw tables from the lake's files, calls the job's pure `compute` season by season, and
writes one Parquet file a date. No fingerprints, gates, staging, ledger or lease, nothing that
can be resumed. Prints what it took as JSON.
"""

from __future__ import annotations

import time

_BEGAN = time.perf_counter()

import argparse  # noqa: E402 -- importing is a part of what a script takes
import json  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402

import polars as pl  # noqa: E402

from ray_backfill.job import Context  # noqa: E402
from ray_backfill.job.calendar import Season, hull  # noqa: E402
from ray_backfill.job.table import Table  # noqa: E402
from ray_backfill_nba.player_context import JOB  # noqa: E402


def read(lake: Path, table: Table) -> pl.DataFrame:
    """A raw table whole, in the dtypes of its contract; empty where it is absent."""
    folder = lake / table.name.replace(".", "/")
    if not folder.is_dir():
        return table.empty()
    partitioned = table.partition is not None
    frame = pl.scan_parquet(
        folder / ("*/*.parquet" if partitioned else "*.parquet"),
        hive_partitioning=partitioned,
        hive_schema={table.partition: pl.Date} if table.partition else None,
    ).collect()
    return frame.select(
        (pl.col(c.name) if c.name in frame.columns else pl.lit(None))
        .cast(c.kind.polars)
        .alias(c.name)
        for c in table.columns
    )


def frames_of(
    tables: dict[str, pl.DataFrame], days: list[date], seasons: tuple[Season, ...]
) -> dict[str, pl.DataFrame]:
    """The job's inputs over the hull of the days' windows."""
    frames = {}
    for source in JOB.inputs:
        frame = tables[source.table.name].select(source.columns)
        bounds = [source.window.bounds(day, seasons) for day in days]
        dates = hull(b for b in bounds if b is not None)
        if source.window.kind != "always":
            day = pl.col("game_date")
            inside = (day >= dates.start) & (day < dates.end) if dates else pl.lit(False)
            frame = frame.filter(inside)
        frames[source.name] = frame
    return frames


def write(rows: pl.DataFrame, out: Path) -> None:
    """One file a date, in a folder a date."""
    for (day,), part in rows.partition_by("game_date", as_dict=True).items():
        folder = out / f"game_date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        part.drop("game_date").write_parquet(folder / "rows.parquet", compression="zstd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    options = JOB.options()
    seconds = {"import": time.perf_counter() - _BEGAN, "compute": 0.0, "write": 0.0}
    mark = time.perf_counter()
    tables = {i.table.name: read(given.lake, i.table) for i in JOB.inputs}
    calendar = JOB.calendar(
        {n: tables[JOB.input(n).table.name].select(c) for n, c in JOB.calendar_inputs.items()},
        options,
    )
    seconds["read"] = time.perf_counter() - mark
    done, dates = 0, 0
    for season in calendar.seasons:
        days = [d.day for d in calendar.days.values() if d.state is None and d.day in season.range]
        if not days:
            continue
        mark = time.perf_counter()
        frames = frames_of(tables, days, calendar.seasons)
        rows = JOB.compute(frames, days, Context(calendar.seasons, season, options)).rows
        seconds["compute"] += time.perf_counter() - mark
        mark = time.perf_counter()
        write(rows, given.out)
        seconds["write"] += time.perf_counter() - mark
        done, dates = done + rows.height, dates + len(days)
    stages = {name: round(value, 3) for name, value in seconds.items()}
    print(json.dumps({"dates": dates, "rows": done, "stages": stages}))


if __name__ == "__main__":
    main()
