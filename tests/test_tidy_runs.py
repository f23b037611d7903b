"""Tidying as people do it: between loads and runs, by the command line, in any warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_backfill.engine.tidy import tidy
from ray_backfill.record import state
from ray_backfill.record.journal import last_attempts, run_ids
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.lake import read as _read
from tests.conftest import DAYS, sales
from tests.engine import content, planned, ran, visible_files
from tests.history import leave_runs
from tests.rolling_job import MEANS, SALES
from tests.test_cli import call, call_json

MONTH = timedelta(days=30)


def reloaded(lake: Warehouse, times: int, days: tuple[date, ...] = DAYS[:6]) -> None:
    """The same sales again, as a scrape that is loaded each night."""
    for _ in range(times):
        lake.append(SALES, sales(days).to_arrow())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The dates of SALES whose values are read, each as often; the calendar asks for keys alone."""
    found: list[date] = []
    real = _read.read

    def counting(stored: Any, folder: str, table: Any, columns: Any, days: Any) -> Any:
        if table.name == SALES.name and "amount" in columns:
            found.extend(day for day in DAYS if days is None or day in days)
        return real(stored, folder, table, columns, days)

    monkeypatch.setattr(_read, "read", counting)
    return found


def test_merged_dates_are_read_once_more_and_are_up_to_date(
    lake: Warehouse, read: list[date]
) -> None:
    """Digests are by content: nothing is planned, and the plan after reads nothing."""
    reloaded(lake, 3)
    ran(lake)
    assert planned(lake).selected == ()
    read.clear()
    assert planned(lake).selected == ()
    assert read == []
    report = tidy(lake, [SALES.name, MEANS.name], keep=MONTH, dry_run=False)
    assert [t.merged for t in report.tables] == [4 * 6, 0]
    assert report.exit_code == 0
    assert planned(lake).selected == ()
    assert sorted(read) == sorted(DAYS[:6])
    read.clear()
    assert planned(lake).selected == ()
    assert read == []


def test_a_run_on_merged_tables_computes_the_same(lake: Warehouse) -> None:
    reloaded(lake, 2)
    ran(lake)
    expected = content(lake)
    tidy(lake, [SALES.name], keep=MONTH, dry_run=False)
    call("run", "tests.rolling_job:JOB", "--no-parallel", "--select", "all", warehouse=lake)
    assert content(lake).equals(expected)


# -- a year, made short ------------------------------------------------------------------------
def test_weekly_tidying_keeps_files_a_date_flat(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five weeks of nights: the last ten days are loaded again each night, one is new."""
    days = DAYS[-35:]
    most, after = 0, []
    for night, day in enumerate(days):
        window = tuple(d for d in DAYS if day - timedelta(10) < d <= day)
        lake.append(SALES, sales(window).to_arrow())
        if night % 7 == 6:
            found = tidy(lake, [SALES.name], keep=MONTH, dry_run=False)
            (done,) = found.tables
            assert done.before is not None
            assert done.after is not None
            most = max(most, done.before.files)
            after.append(done.after.files)
    assert after == [len(DAYS)] * 5
    # A week adds at most ten files a night, however many weeks there were.
    assert most <= len(DAYS) + 7 * 10
    assert len(visible_files(lake, SALES.name)) == len(DAYS)
    ran(lake)
    assert content(lake).height == 5 * len(DAYS)
    assert planned(lake).selected == ()


# -- what runs left ----------------------------------------------------------------------------
def test_old_journals_and_reports_go_but_for_the_newest_ten(lake: Warehouse) -> None:
    """Those in the window stay, and what the next plan learns from, whatever its age."""
    failed = ran(lake, [f"raise_on={DAYS[0]}"])
    ids = leave_runs(lake, MEANS.name, 60)
    old = leave_runs(lake, "shop.rare", 40)
    for run in old:  # a table whose runs are all of long ago
        for kind in (state.JOURNALS, state.REPORTS):
            data = lake.get_object(state.key(kind, "shop.rare", run)) or b""
            lake.delete_object(state.key(kind, "shop.rare", run))
            lake.put_object(state.key(kind, "shop.rare", f"2020{run[4:]}"), data)
    seen = tidy(lake, [], keep=MONTH, dry_run=True)
    assert (seen.objects_before, len(run_ids(lake))) == (2 * 101, 101)
    done = tidy(lake, [], keep=MONTH, dry_run=False)
    assert (done.objects_before, done.objects_after) == (seen.objects_before, seen.objects_after)
    cutoff = datetime.now(UTC) - MONTH
    young = [run for run in ids if (state.begun(run) or cutoff) >= cutoff]
    assert run_ids(lake, MEANS.name) == [*young, failed.run_id]
    assert run_ids(lake, "shop.rare") == [f"2020{run[4:]}" for run in old[-10:]]
    assert {str(day) for day in last_attempts(lake, MEANS.name)} == set(failed.failed)


def test_a_store_that_fails_at_the_journals_is_a_problem_beside_the_tables(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are tidied and told of; the exit code says that something is left."""
    from ray_backfill.errors import WarehouseError

    reloaded(lake, 2)

    def failing(*_: object, **__: object) -> list[str]:
        raise WarehouseError("503: slow down")

    monkeypatch.setattr(type(lake), "list_objects", failing)
    report = tidy(lake, [SALES.name], keep=MONTH, dry_run=False)
    assert (report.tables[0].merged, report.exit_code) == (18, 1)
    assert report.tables[1].problems == ("503: slow down",)


# -- the command -------------------------------------------------------------------------------
def test_the_command_tells_what_it_did_and_what_it_would_do(lake: Warehouse) -> None:
    """All tables without a name; each figure before and after; JSON with the same."""
    reloaded(lake, 3)
    ran(lake)
    files = len(visible_files(lake, SALES.name))
    seen = call_json("tidy", "--dry-run", warehouse=lake)
    assert len(visible_files(lake, SALES.name)) == files
    assert [t["table"] for t in seen["tables"]] == [MEANS.name, SALES.name]
    done = call("tidy", "sales", "--keep", "2w", warehouse=lake)
    assert done.returncode == 0, done.stderr
    assert f"{files} → {len(DAYS)}" in done.stdout
    found = call_json("tidy", warehouse=lake)
    sales_table = found["tables"][1]
    assert (sales_table["merged"], sales_table["after"]["files"]) == (0, len(DAYS))
    assert (found["dry_run"], found["exit_code"]) == (False, 0)
    assert seen["tables"][1]["merged"] == files - len(DAYS) + 6


def test_a_table_that_a_run_holds_is_left_and_the_others_are_tidied(lake: Warehouse) -> None:
    reloaded(lake, 2)
    ran(lake)
    lease = lake.acquire_lease(MEANS, "run-7", seconds=600, steal=False)
    done = call("tidy", warehouse=lake)
    assert done.returncode == 3
    assert "shop.means is held by run run-7" in done.stderr
    assert len(visible_files(lake, SALES.name)) == len(DAYS)
    lake.release_lease(lease)
    assert call("tidy", "shop.nothing", warehouse=lake).returncode == 1


@pytest.mark.parametrize("keep", ["", "0d", "23h", "30", "d", "-1d", "1m", "1e3d", "99999999d"])
def test_a_window_is_a_day_or_more(tmp_path: Path, keep: str) -> None:
    """Readers and runs of the last day are never robbed."""
    from typer.testing import CliRunner

    from ray_backfill.cli.tidy import app
    from ray_backfill.errors import UsageError

    result = CliRunner().invoke(app, [f"--keep={keep}", "-w", str(tmp_path / "none")])
    assert isinstance(result.exception, UsageError)
    assert list(tmp_path.iterdir()) == []
