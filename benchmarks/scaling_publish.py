"""The driver's commit as the log grows, and what an object store is asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import polars as pl

from benchmarks.bigquery import made_up
from ray_backfill.catalog import load_job
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill.warehouse.protocol import Staged

__all__ = ["commits", "requests"]

BATCH = 28
_REQUEST = re.compile(r'"(?:\x1b\[[\d;]*m)*([A-Z]+) /\S* HTTP')
"""In the server's log, which colours what is not a plain 200."""
FIRST = date(1990, 1, 1)


def commits(work: Path, sizes: Sequence[int], samples: int = 7) -> list[dict[str, Any]]:
    """Medians of what a commit of 28 dates takes when the table holds so many partitions.

    The table grows by such commits alone, as in a run; `replace`: 28 dates that are there.
    """
    root = work / "publish"
    shutil.rmtree(root, ignore_errors=True)
    house, table = open_warehouse(str(root)), load_job("player_context").table
    house.ensure(table)
    lease = house.acquire_lease(table, "benchmark", seconds=36_000, steal=True)
    folder = root / table.name.replace(".", "/")
    (one,) = house.stage(table, _rows(table, FIRST), run_id="benchmark", task="t")
    held, spent, found = 0, [], []
    for size in sizes:
        while held < size:
            days = [FIRST + timedelta(n) for n in range(held, held + BATCH)]
            spent.append(_publish(house, table, lease, _linked(folder, one, days)))
            held += BATCH
        again = [
            _publish(house, table, lease, _linked(folder, one, _spread(held, n)))
            for n in range(samples)
        ]
        began = time.perf_counter()
        house.partitions(table)
        found.append(
            {
                "partitions": held,
                "commits": len(house.history(table.name)),
                "add": _medians(spent[-samples:]),
                "replace": _medians(again),
                "list_seconds": round(time.perf_counter() - began, 4),
                "log_bytes": sum(f.stat().st_size for f in (folder / "_delta_log").iterdir()),
            }
        )
    shutil.rmtree(root)
    return found


def _rows(table: Any, day: date) -> Any:
    """300 rows of one date."""
    rows = pl.DataFrame(pl.from_arrow(made_up(table))).head(300)
    return rows.with_columns(pl.lit(day).alias("game_date")).to_arrow()


def _spread(held: int, shift: int) -> list[date]:
    step = max(1, held // BATCH)
    return [FIRST + timedelta(min(held - 1, n * step + shift)) for n in range(BATCH)]


def _linked(folder: Path, one: Staged, days: Sequence[date]) -> list[Staged]:
    """The one staged file under other names: what a commit costs does not depend on contents."""
    found = []
    for day in days:
        path = f"game_date={day}/benchmark.t.{uuid4().hex}.parquet"
        (folder / path).parent.mkdir(exist_ok=True)
        os.link(folder / str(one.handle["path"]), folder / path)
        found.append(Staged(day, one.rows, one.bytes, {**one.handle, "path": path}))
    return found


def _publish(house: Warehouse, table: Any, lease: Any, staged: Sequence[Staged]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    house.publish(table, staged, remove=[], lease=lease)
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _medians(spent: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(median(one[name] for one in spent), 4) for name in spent[0]}


def requests() -> dict[str, dict[str, int]] | None:
    """Requests by method of one batch of dates over S3; None without a server to ask."""
    if not (find_spec("moto") and find_spec("boto3")):
        return None
    with _server() as (address, seen):
        settings = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": address,
            "AWS_ALLOW_HTTP": "true",
        }
        os.environ.update(settings)
        import boto3

        boto3.client("s3").create_bucket(Bucket="benchmark")
        return _asked(seen)


def _asked(seen: Counter[str]) -> dict[str, dict[str, int]]:
    house, table = open_warehouse("s3://benchmark/lake"), load_job("player_context").table
    house.ensure(table)
    lease = house.acquire_lease(table, "benchmark", seconds=3600, steal=True)
    frame = pl.DataFrame(pl.from_arrow(made_up(table)))
    found = {}
    for name in ("first", "second"):
        seen.clear()
        staged = house.stage(table, frame.to_arrow(), run_id=name, task="t")
        found[f"stage, {name}"] = _settled(seen)
        seen.clear()
        house.publish(table, staged, remove=[], lease=lease)
        found[f"publish, {name}"] = _settled(seen)
    seen.clear()
    house.read(table, ["game_date", "player_lookup"])
    found["read"] = _settled(seen)
    return found


def _settled(seen: Counter[str]) -> dict[str, int]:
    """What was counted, once the log says nothing more."""
    before = -1
    while before != seen.total():
        before = seen.total()
        time.sleep(0.5)
    return dict(seen)


@contextmanager
def _server() -> Iterator[tuple[str, Counter[str]]]:
    """A server of S3 in a process of its own, and the requests that it was asked so far."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert running.stderr is not None
    address = next(
        match[0]
        for line in running.stderr
        if (match := re.search(r"http://127\.0\.0\.1:\d+", line))
    )
    seen: Counter[str] = Counter()
    pipe = running.stderr

    def count() -> None:
        for line in pipe:
            if match := _REQUEST.search(line):
                seen[match[1]] += 1

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    try:
        yield address, seen
    finally:
        running.terminate()
        running.wait()
