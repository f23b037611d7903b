"""`python -m benchmarks.bigquery`: ways to put the same rows into BigQuery, on a local server.

The server is the tests' emulator, so that what is compared is the work of the clients and the
number of jobs; a real project adds its latency to each job. All ways write the same 28 dates of
player context, made up, into a table that is there already.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import machine
from ray_backfill.catalog import load_job
from ray_backfill.job.table import Kind, Table
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from tests import emulator

DATES = 28
ROWS = 300
FIRST = date(2025, 11, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bigquery", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if why := emulator.absent():
        raise SystemExit(why)
    with tempfile.TemporaryDirectory() as folder:
        server = emulator.Emulator(Path(folder)).start()
        os.environ.update(server.settings)
        try:
            results = _measure(server, given.repeats)
        finally:
            server.stop()
    json.dump(results, sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")


def _measure(server: emulator.Emulator, repeats: int) -> dict[str, Any]:
    table = load_job("player_context").table
    rows = made_up(table)
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "rows": rows.num_rows,
        "dates": DATES,
        "columns": rows.num_columns,
        "ways": {},
    }
    ways: dict[str, Callable[[Table, pa.Table], dict[str, float]]] = {
        "ray-backfill: Arrow stream, one MERGE": _ours,
        "a load job per date, WRITE_TRUNCATE": _load_per_date,
    }
    _start_ray()
    ways["ray.data.Dataset.write_bigquery (appends, block by block)"] = _ray_data
    for name, way in ways.items():
        runs = []
        for n in range(repeats + 1):
            server.forget()
            here = replace(table, name=f"bench.way{len(found['ways'])}_{n}")
            runs.append(_checked(way, here, rows))
        # The first run of each also makes connections; it is not counted.
        found["ways"][name] = _medians(runs[1:]) | {"jobs": len(server.jobs())}
    return found


def _checked(way: Any, table: Table, rows: pa.Table) -> dict[str, float]:
    """One way's seconds; all of its rows are there afterwards."""
    house = open_warehouse("bigquery://bench")
    house.ensure(table)
    spent: dict[str, float] = way(table, rows)
    began = time.perf_counter()
    back = house.read(table, [column.name for column in table.columns])
    spent["read back"] = time.perf_counter() - began
    assert back.num_rows == rows.num_rows, (back.num_rows, rows.num_rows)
    spent["rows per second in"] = rows.num_rows / spent["seconds"]
    spent["rows per second out"] = rows.num_rows / spent["read back"]
    return spent


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def made_up(table: Table) -> pa.Table:
    """`ROWS` rows for each of `DATES` dates, by the contract."""
    count = DATES * ROWS
    values = {
        Kind.STRING: pl.Series([f"value {n % 500}" for n in range(count)]),
        Kind.INT: pl.Series(range(count)),
        Kind.FLOAT: pl.Series([n / 7 for n in range(count)]),
        Kind.BOOL: pl.Series([n % 2 == 0 for n in range(count)]),
        Kind.DATE: pl.Series([FIRST + timedelta(n // ROWS) for n in range(count)]),
        Kind.TIMESTAMP: pl.Series([datetime(2025, 11, 1, tzinfo=UTC)] * count),
        Kind.STRINGS: pl.Series([["one", "two"]] * count),
    }
    columns = [values[c.kind].cast(c.kind.polars).alias(c.name) for c in table.columns]
    return pl.DataFrame(columns).to_arrow()


# -- the ways ------------------------------------------------------------------------------------
def _ours(table: Table, rows: pa.Table) -> dict[str, float]:
    house = open_warehouse("bigquery://bench")
    lease = house.acquire_lease(table, "bench", seconds=600, steal=True)
    began = time.perf_counter()
    staged = house.stage(table, rows, run_id="bench", task="t")
    middle = time.perf_counter()
    house.publish(table, staged, remove=[], lease=lease)
    end = time.perf_counter()
    house.release_lease(lease)
    return {"seconds": end - began, "stage": middle - began, "publish": end - middle}


def _load_per_date(table: Table, rows: pa.Table) -> dict[str, float]:
    from google.cloud.bigquery import LoadJobConfig, ParquetOptions

    client = _bq_settings.clients(_bq_settings.parse("bigquery://bench")).rest
    options = ParquetOptions()
    options.enable_list_inference = True
    config = LoadJobConfig(
        source_format="PARQUET", write_disposition="WRITE_TRUNCATE", parquet_options=options
    )
    frame = pl.DataFrame(pl.from_arrow(rows))
    began = time.perf_counter()
    for key, part in frame.partition_by("game_date", as_dict=True).items():
        buffer = io.BytesIO()
        pq.write_table(_bq_stage.arrow_rows(table.columns, part), buffer)
        target = f"bench.{table.name}${key[0]:%Y%m%d}"
        client.load_table_from_file(buffer, target, rewind=True, job_config=config).result()
    return {"seconds": time.perf_counter() - began}


def _start_ray() -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment = {"worker_process_setup_hook": _point_ray_here}
    ray.init(
        address="local",
        include_dashboard=False,
        runtime_env=environment,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _point_ray_here()


def _point_ray_here() -> None:
    """Ray Data makes its own client, of Google's: here it gets the local server's."""
    from ray.data._internal.datasource import bigquery_datasource

    def create(project_id: str) -> Any:
        return _bq_settings.clients(_bq_settings.parse(f"bigquery://{project_id}")).rest

    bigquery_datasource._create_client = create


def _ray_data(table: Table, rows: pa.Table) -> dict[str, float]:
    import ray

    plain = _bq_stage.arrow_rows(table.columns, pl.DataFrame(pl.from_arrow(rows)))
    dataset = ray.data.from_arrow(plain)
    began = time.perf_counter()
    dataset.write_bigquery("bench", table.name, overwrite_table=False)
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
