"""What people write today: a pandas script, date by date, over a pool of processes.

    python -m benchmarks.pandas_pool LAKE OUT --dates 2024-11-01,2024-12-24 --processes 2

Each process reads the tables once (timed apart) and then, for each date, filters the season's
history, computes the columns, and writes one Parquet file. The player columns are computed
player by player, as such scripts are; with `--by-groups`, with `groupby` over all players of the
date. Prints what it took as JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.process import peak_bytes

if TYPE_CHECKING:
    from benchmarks.by_pandas.tables import Tables

_TABLES: Tables | None = None
_PATIENCE = 600


def _start(lake: str, ready: Any) -> None:
    """Runs once in each process of the pool."""
    global _TABLES
    import benchmarks.by_pandas.context  # noqa: F401 -- imported here, so that no date pays
    from benchmarks.by_pandas.tables import load

    _TABLES = load(lake)
    ready.wait(_PATIENCE)


def _date(day: str, out: str, by_groups: bool) -> tuple[int, int]:
    """Rows of the date, and the peak memory of this process so far."""
    import pandas as pd

    from benchmarks.by_pandas.context import context_of

    assert _TABLES is not None
    rows = context_of(pd.Timestamp(day), _TABLES, by_groups=by_groups)
    rows.to_parquet(Path(out) / f"{day}.parquet", compression="zstd", index=False)
    return len(rows), peak_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake")
    parser.add_argument("out")
    parser.add_argument("--dates", required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--by-groups", action="store_true", help="player columns with groupby")
    given = parser.parse_args()
    days = given.dates.split(",")
    Path(given.out).mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(given.processes + 1)
    with context.Pool(given.processes, _start, (given.lake, ready)) as pool:
        ready.wait(_PATIENCE)
        loaded = time.perf_counter()
        done = pool.starmap(_date, [(day, given.out, given.by_groups) for day in days], chunksize=1)
        ended = time.perf_counter()
    result = {
        "dates": len(days),
        "rows": sum(rows for rows, _ in done),
        "load_seconds": loaded - began,
        "seconds": ended - loaded,
        "peak_bytes": max(peak for _, peak in done),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
