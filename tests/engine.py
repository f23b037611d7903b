"""Runs a job as the command line does, in this process, and reads what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from ray_backfill.catalog import load_job
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.rebuild import rebuild_facts
from ray_backfill.engine.runs import RunOptions, execute
from ray_backfill.job import Job
from ray_backfill.job.options import parse_options
from ray_backfill.job.table import STAMP
from ray_backfill.plan import Allow, Plan, Selection, make_plan
from ray_backfill.record.report import Report
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import Warehouse

ROLLING = "tests.rolling_job:JOB"
INLINE = RunOptions(ROLLING, parallel=False, backoff_seconds=0.01)


def planned(
    house: Warehouse,
    options: Sequence[str] = (),
    selection: Selection | None = None,
    job: str = ROLLING,
    workers: int = 2,
    allow: Allow | None = None,
    rebuild: bool = False,
) -> Plan:
    """The plan of a job, options given as on the command line."""
    loaded = load_job(job)
    gather = rebuild_facts if rebuild else survey
    facts = gather(house, loaded, lambda base: parse_options(loaded, options, base))
    return make_plan(job, facts, selection or Selection(), workers, allow=allow or Allow())


def ran(
    house: Warehouse,
    options: Sequence[str] = (),
    selection: Selection | None = None,
    how: RunOptions = INLINE,
    allow: Allow | None = None,
) -> Report:
    """The report of a run of what `planned` gives."""
    return execute(
        house,
        load_job(how.job),
        lambda: planned(house, options, selection, how.job, how.workers, allow, how.rebuild),
        how,
        Switch(),
        _unwatched,
    )


def newer_code(monkeypatch: pytest.MonkeyPatch, version: str = "newer") -> None:
    """Every job of this process has this code version from now on."""
    monkeypatch.setattr("ray_backfill.staleness.loaded_code.code_of", lambda job: version)


def on_ray(address: str, workers: int = 2, **changes: Any) -> RunOptions:
    """Run options for the session's Ray cluster."""
    how = RunOptions(ROLLING, workers=workers, address=address, backoff_seconds=0.01)
    return replace(how, **changes)


@contextmanager
def _unwatched(driver: Driver) -> Iterator[None]:
    yield


def content(house: Warehouse, job: Job | None = None) -> pl.DataFrame:
    """All rows of the output without the stamp, in the order of its key."""
    job = job or load_job(ROLLING)
    names = [column.name for column in job.output.columns]
    return output(house, job).select(names).sort(list(job.output.key))


def output(house: Warehouse, job: Job | None = None) -> pl.DataFrame:
    """All rows of the output as they are."""
    job = job or load_job(ROLLING)
    names = [column.name for column in job.table.columns]
    return cast(pl.DataFrame, pl.from_arrow(house.read(job.table, names)))


STAMP_NAMES = [column.name for column in STAMP]


def visible_files(house: Warehouse, table: str) -> set[str]:
    """Paths of the data files that the table's log names now."""
    from deltalake import DeltaTable

    root = Path(house.uri.removeprefix("file://"))
    return set(DeltaTable(str(root / table.replace(".", "/"))).file_uris())


def break_file(house: Warehouse, table: str, day: date) -> None:
    """Overwrite the only file of a date with something that is no Parquet."""
    (active,) = (uri for uri in visible_files(house, table) if f"={day}/" in uri)
    Path(active.removeprefix("file://")).write_bytes(b"not Parquet")
