"""What grows with history: a night with nothing to do, and a year of nights with `tidy` or not.

`history` puts a long history under a small table: versions of the log, journals and reports. A
night with nothing to do is counted in requests to an S3 server on loopback, and timed in a folder.

`year` replays a season of the real league: each night the last days of every raw table are loaded
again, and the job runs. Once it is never tidied, once each week. The clock of versions is set to
the night, so that old ones expire as they would.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table as Shown

from benchmarks import machine
from benchmarks.lakes import real_data, why_absent
from ray_backfill.catalog import load_job
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.runs import RunOptions, execute
from ray_backfill.engine.tidy import tidy
from ray_backfill.job.table import Table
from ray_backfill.plan import Plan, Selection, make_plan
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse.lake import tidy as _tidy
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests.conftest import sales
from tests.history import age_table, leave_runs
from tests.rolling_job import MEANS, SALES
from tests.s3 import Server

__all__ = ["main"]

_ROLLING = "tests.rolling_job:JOB"
_NAME = "player_context"
_AGAIN = 3
"""Days that are loaded again each night."""

_KEEP = timedelta(days=30)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks upkeep", description=__doc__)
    parser.add_argument("--only", choices=["history", "year"])
    parser.add_argument("--versions", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--nights", type=int, default=365, help="of the season that is replayed")
    parser.add_argument("--season", default="2024-25")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {"machine": machine.describe()}
    if given.only != "year":
        results["history"] = [_history(count) for count in given.versions]
        _show("A night with nothing to do", results["history"])
    if given.only != "history":
        if absent := why_absent():
            sys.exit(absent)
        for weekly in (False, True):
            name = "tidied each week" if weekly else "never tidied"
            results[name] = _year(given.season, given.nights, weekly)
            _show(f"A year of nights, {name}", results[name])
    print(json.dumps(results, default=str))


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    shown = Shown(title=title, title_justify="left")
    for name in rows[0]:
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(*(f"{v:,.2f}" if isinstance(v, float) else f"{v}" for v in row.values()))
    Console(stderr=True).print(shown)


# -- one night after a long history --------------------------------------------------------------
def _history(count: int) -> dict[str, Any]:
    """Requests and seconds of a night with nothing to do after so many versions and runs."""
    with Server() as server:
        before = {name: os.environ.get(name) for name in server.variables()}
        os.environ.update(server.variables())
        try:
            lake = _aged(server.lake(), count)
            server.asked()
            _night(lake, _ROLLING)
            asked = server.asked()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    with tempfile.TemporaryDirectory() as folder:
        lake = _aged(Lake(folder), count)
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            _night(lake, _ROLLING)
            spent.append(time.perf_counter() - began)
    return {
        "versions and runs": count,
        "requests": sum(asked.values()),
        "of these listings": asked["LIST"],
        "seconds in a folder": sorted(spent)[2],
    }


def _aged(lake: Lake, count: int) -> Lake:
    """Sales, their output, and so long a history of both tables and of their runs."""
    lake.append(SALES, sales().to_arrow())
    _night(lake, _ROLLING)
    for table in (SALES.name, MEANS.name):
        age_table(lake, table, count)
    ids = leave_runs(lake, MEANS.name, count)
    lake.put_object(f"sweeps/{MEANS.name}.json", json.dumps({"through": ids[-2]}).encode())
    _night(lake, _ROLLING)
    return lake


def _night(lake: Lake, name: str, season: str | None = None) -> float:
    """Plan and run a job in this process; gives the seconds that the plan took."""
    job = load_job(name)
    selection = Selection(seasons=(season,)) if season else Selection()
    began = time.perf_counter()
    plan: Plan = make_plan(name, survey(lake, job, None, selection.touches), selection, workers=1)
    planned = time.perf_counter() - began
    execute(lake, job, lambda: plan, RunOptions(name, parallel=False), Switch(), _unwatched)
    return planned


@contextmanager
def _unwatched(driver: Driver) -> Iterator[None]:
    yield


# -- a year of nights ----------------------------------------------------------------------------
def _year(season: str, nights: int, weekly: bool) -> list[dict[str, Any]]:
    """A row for each four weeks: files, bytes and the plan of a night with nothing to do."""
    frames = {table: _frame(table) for table in RAW_TABLES if _file(table).exists()}
    first = _first_day(frames, season)
    started = datetime.now(UTC) - timedelta(days=nights + 1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for table, rows in frames.items():
            past = rows if table.partition is None else rows.filter(pl.col(table.partition) < first)
            lake.append(table, past.to_arrow())
        dated: dict[str, int] = {}
        for night in range(nights):
            now = started + timedelta(days=night)
            _load_again(lake, frames, first + timedelta(days=night))
            _night(lake, _NAME, season)
            _set_clock(lake, now, dated)
            if weekly and night % 7 == 6:
                _tidy_at(lake, now)
            if night % 28 == 27 or night == nights - 1:
                found.append(_measured(lake, night + 1, season))
    return found


def _file(table: Table) -> Path:
    return real_data() / f"{table.name.split('.')[1]}.parquet"


def _frame(table: Table) -> pl.DataFrame:
    """A real table as its contract has it."""
    from ray_backfill.loading.formats import read_file

    return read_file(table, _file(table)).rows


def _first_day(frames: dict[Table, pl.DataFrame], season: str) -> date:
    schedule = next(rows for table, rows in frames.items() if "schedule" in table.name)
    days = schedule.filter(pl.col("season") == season)["game_date"]
    found = days.min()
    assert isinstance(found, date)
    return found


def _load_again(lake: Lake, frames: dict[Table, pl.DataFrame], day: date) -> None:
    """The last days of every table, up to this one, as a nightly scrape would load them."""
    for table, rows in frames.items():
        if table.partition is not None:
            at = pl.col(table.partition)
            part = rows.filter(at <= day, at > day - timedelta(days=_AGAIN))
            if part.height:
                lake.append(table, part.to_arrow())


def _set_clock(lake: Lake, now: datetime, dated: dict[str, int]) -> None:
    """Date the versions of this night, and their files, to its time."""
    for info in lake.tables():
        log = Path(lake.uri) / info.name.replace(".", "/") / "_delta_log"
        for version in range(dated.get(info.name, -1) + 1, int(info.version) + 1):
            entry = log / f"{version:020d}.json"
            lines = [json.loads(line) for line in entry.read_text().splitlines()]
            for line in lines:
                if "commitInfo" in line:
                    line["commitInfo"]["timestamp"] = int(now.timestamp() * 1000)
            entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
            os.utime(entry, (now.timestamp(), now.timestamp()))
        dated[info.name] = int(info.version)


def _tidy_at(lake: Lake, now: datetime) -> None:
    real = _tidy.now
    _tidy.now = lambda: now
    try:
        names = [info.name for info in lake.tables()]
        report = tidy(lake, names, keep=_KEEP, dry_run=False)
        assert report.exit_code == 0, report
    finally:
        _tidy.now = real


def _measured(lake: Lake, nights: int, season: str) -> dict[str, Any]:
    """How the lake stands after so many nights."""
    _night(lake, _NAME, season)  # what the last tidying merged is read again once
    spent = sorted(_night(lake, _NAME, season) for _ in range(3))[1]
    footprints = [
        _tidy._footprint(lake.uri, info.name, _tidy._listed(lake.uri, info.name))
        for info in lake.tables()
    ]
    dates = sum(max(info.partitions, 1) for info in lake.tables())
    return {
        "nights": nights,
        "dates": dates,
        "files": sum(f.files for f in footprints),
        "files a date": sum(f.files for f in footprints) / dates,
        "versions": sum(f.versions for f in footprints),
        "MB in all": sum(f.bytes for f in footprints) / 1e6,
        "plan, seconds": spent,
    }
