"""Two months of the real seasons, through Ray: BigQuery and the lake hold the same cells."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from ray_backfill.catalog import load_job
from ray_backfill.cli import build
from ray_backfill.engine.runs import RunOptions
from ray_backfill.plan import Selection
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests import engine
from tests.bq.conftest import REAL
from tests.emulator import Emulator
from tests.reference import real

JOB = "player_context"
MONTHS = Selection(start=date(2025, 10, 1), end=date(2025, 12, 1))
HOW = RunOptions(JOB, parallel=False, backoff_seconds=0.01)
QUERY = (
    "SELECT FORMAT_DATE('%Y-%m', game_date) AS month, COUNTIF(game_spread IS NOT NULL) AS "
    "with_spread, COUNT(*) AS total, ROUND(COUNTIF(game_spread IS NOT NULL) * 100.0 / COUNT(*), 1) "
    "AS pct FROM nba_analytics.upcoming_player_game_context WHERE game_date >= '2025-10-01' AND "
    "game_date <= '2025-11-30' GROUP BY 1 ORDER BY 1"
)
"""The query that people run by hand, letter by letter."""

MOST_JOBS = 25

pytestmark = [
    pytest.mark.skipif(real.absent() is not None, reason=str(real.absent())),
    pytest.mark.skipif(bool(REAL), reason="the tables have the names of those in use"),
]


def loaded(house: Warehouse) -> Warehouse:
    """The warehouse with the real raw tables."""
    for table in RAW_TABLES:
        if table.name in real.tables():
            house.append(table, real.tables()[table.name].to_arrow())
    return house


@dataclass(frozen=True)
class Months:
    """BigQuery with two months, and the jobs that they took, as the server counted them."""

    house: Warehouse
    jobs: list[dict[str, str]]


@pytest.fixture(scope="module")
def months(server: Emulator) -> Months:
    """BigQuery with the raw tables and two months, computed by two workers."""
    server.mend()
    house = loaded(open_warehouse("bigquery://seasons"))
    server.forget()
    report = engine.ran(house, (), MONTHS, replace(HOW, parallel=True, workers=2))
    assert (report.exit_code, report.retries) == (0, [])
    return Months(house, server.jobs())


def test_every_cell_equals_the_lakes(months: Months, tmp_path: Path) -> None:
    """The same rows, columns, values and NULLs."""
    job = load_job(JOB)
    lake = loaded(open_warehouse(str(tmp_path / "lake")))
    assert engine.ran(lake, (), MONTHS, HOW).exit_code == 0
    here, there = engine.content(months.house, job), engine.content(lake, job)
    assert here.height > 6_000
    assert here.equals(there)
    prints = ["game_date", "input_fingerprint", "code_version"]
    one, other = (
        engine.output(house, job).select(prints).unique().sort(prints)
        for house in (months.house, lake)
    )
    assert one.equals(other)


def test_two_months_take_few_jobs(months: Months) -> None:
    """Planning and publishing 61 dates, counted by the server; none to read an input."""
    assert 0 < len(months.jobs) <= MOST_JOBS
    assert {job["sql"].split()[0] for job in months.jobs} == {"SELECT", "MERGE"}
    selects = [job["sql"] for job in months.jobs if job["sql"].startswith("SELECT")]
    assert all("COUNT(*)" in sql or "INFORMATION_SCHEMA" in sql for sql in selects)


def test_the_month_query_equals_the_coverage(months: Months) -> None:
    """What people run by hand, and what `ray-backfill coverage` prints."""
    client = _bq_settings.clients(_bq_settings.parse(months.house.uri)).rest
    rows = [dict(row) for row in client.query(QUERY, retry=None).result(retry=None)]
    arguments = ["coverage", JOB, "-c", "game_spread", "-w", months.house.uri, "--json"]
    dates = ["--start-date", "2025-10-01", "--end-date", "2025-11-30"]
    done = CliRunner().invoke(build(), [*arguments, *dates])
    assert done.exit_code == 0, done.output
    found = cast("dict[str, list[dict[str, object]]]", json.loads(done.stdout))
    covered = [
        {"month": c["period"], "with_spread": c["non_null"], "total": c["total"], "pct": c["pct"]}
        for c in found["columns"]
    ]
    assert rows == covered
    assert [row["month"] for row in rows] == ["2025-10", "2025-11"]
