"""What runs leave behind, and that looking after it does not grow with history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.engine import upkeep
from ray_backfill.engine.upkeep import sweep_ended
from ray_backfill.errors import UsageError
from ray_backfill.record import state
from ray_backfill.record.journal import journals, last_attempts, read_journal, run_ids
from ray_backfill.record.report import past_rate
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import DAYS, environment
from tests.engine import ran
from tests.lakes import D1, D2, D3, OUT, contents, put, scores, stored
from tests.rolling_job import MEANS

OLD = datetime(2020, 1, 1, tzinfo=UTC)


def run_id(at: datetime, tail: str = "abcdef") -> str:
    return f"{at:%Y%m%dT%H%M%S}000-{tail}"


def journal(lake: Warehouse, run: str, table: str, days: list[date], at: datetime) -> None:
    """What a run that ended, or was killed, leaves."""
    header = {
        "event": "run",
        "run_id": run,
        "job": "rolling",
        "table": table,
        "planned": {str(day): 3 for day in days},
        "workers": 1,
        "at": at.timestamp(),
    }
    lake.put_object(f"runs/{table}/{run}.ndjson", json.dumps(header).encode() + b"\n")


def age(lake: Warehouse, days: int) -> None:
    """As if all files had been written so many days ago."""
    for path in Path(lake.uri).rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - days * 86_400
            os.utime(path, (then, then))


# -- state by table ----------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_newest_runs_of_a_table_are_found_however_old_they_are(
    lake: Warehouse, count: int
) -> None:
    """Those of other tables are not among them, nor what is no run's."""
    now = datetime.now(UTC)
    ids = [run_id(now - timedelta(days)) for days in (1, 2, 17, 100, 300, 2000)]
    for run in ids:
        lake.put_object(f"runs/shop.means/{run}.ndjson", b"")
        lake.put_object(f"runs/shop.means_2/{run}.ndjson", b"")
    lake.put_object("runs/shop.means/notes.txt", b"")
    found = state.newest(lake, state.JOURNALS, "shop.means", count)
    assert found == [state.Kept(run, "shop.means") for run in ids[:count]]


def test_a_journal_is_found_by_its_run_alone(lake: Warehouse) -> None:
    report = ran(lake)
    other = run_id(OLD)
    journal(lake, other, "shop.other", [], OLD)
    assert journals(lake) == [(other, "shop.other"), (report.run_id, MEANS.name)]
    assert run_ids(lake, MEANS.name) == [report.run_id]
    assert read_journal(lake, other)[0]["table"] == "shop.other"
    assert read_journal(lake, other, MEANS.name) == []
    with pytest.raises(UsageError):
        state.key(state.JOURNALS, "../x", other)


def test_runs_of_other_tables_hide_nothing(lake: Warehouse) -> None:
    """A hundred newer runs of another job: the rate and the failures of this one are known."""
    failed = ran(lake, [f"raise_on={DAYS[0]}"])
    assert list(failed.failed) == [str(DAYS[0])]
    rate = past_rate(lake, MEANS.name)
    later = datetime.now(UTC) + timedelta(1)
    for n in range(100):
        journal(lake, run_id(later, f"{n:06x}"), "shop.other", [], later)
        lake.put_object(f"reports/shop.other/{run_id(later, f'{n:06x}')}.json", b"{}")
    assert past_rate(lake, MEANS.name) == rate
    assert {str(day) for day in last_attempts(lake, MEANS.name)} == set(failed.failed)


# -- what runs staged and never published ------------------------------------------------------
def staged(lake: Warehouse, run: str, *days: date, task: str = "lost") -> list[str]:
    """Files of a run that are in no log."""
    rows = pl.concat([scores(day, 9) for day in days]).to_arrow()
    return [str(s.handle["path"]) for s in lake.stage(OUT, rows, run_id=run, task=task)]


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    """A lake with an output of two dates, published by a run long ago."""
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    lease = lake.acquire_lease(OUT, run_id(OLD, "000000"), seconds=600, steal=False)
    put(lake, lease, scores(D1, 1), scores(D2, 1))
    journal(lake, lease.run_id, OUT.name, [D1, D2], OLD)
    lake.release_lease(lease)
    return lake


def test_a_run_that_died_is_swept_by_the_next_and_only_once(house: Lake) -> None:
    """Its staged files go when they are a day old; what was published stays, replaced or not."""
    dead = run_id(OLD + timedelta(1))
    lost = staged(house, dead, D1, D3)
    journal(house, dead, OUT.name, [D1, D3], OLD + timedelta(1))
    lease = house.acquire_lease(OUT, "x", seconds=600, steal=False)
    put(house, lease, scores(D1, 2))  # the first file of D1 is in an old version alone
    age(house, 2)
    before = contents(house.uri)
    sweep_ended(house, OUT, run_id(datetime.now(UTC)))
    gone = before.keys() - contents(house.uri).keys()
    assert sorted(path.removeprefix(f"{house.uri}/out/scores/") for path in gone) == sorted(lost)
    assert house.restore(OUT.name, 1).dates == (D1,)
    assert json.loads(house.get_object("sweeps/out.scores.json") or b"") == {"through": dead}


def test_a_run_whose_workers_may_still_write_waits_for_its_turn(house: Lake) -> None:
    """A day after its last word it is swept, and those behind it with it."""
    now = datetime.now(UTC)
    fresh, behind = run_id(now - timedelta(hours=30)), run_id(now - timedelta(hours=20))
    lost = staged(house, fresh, D1) + staged(house, behind, D2)
    journal(house, fresh, OUT.name, [D1], now - timedelta(hours=30))
    journal(house, behind, OUT.name, [D2], now - timedelta(hours=20))
    age(house, 2)
    sweep_ended(house, OUT, run_id(now))
    left = {path.rpartition("/")[2] for path in contents(house.uri)}
    assert lost[0].rpartition("/")[2] not in left
    assert lost[1].rpartition("/")[2] in left
    journal(house, behind, OUT.name, [D2], now - timedelta(hours=25))
    sweep_ended(house, OUT, run_id(now))
    left = {path.rpartition("/")[2] for path in contents(house.uri)}
    assert lost[1].rpartition("/")[2] not in left


def test_young_files_and_those_of_a_later_run_are_left(house: Lake) -> None:
    dead = run_id(OLD + timedelta(1))
    staged(house, dead, D1)
    staged(house, run_id(datetime.now(UTC) + timedelta(1)), D1)
    journal(house, dead, OUT.name, [D1], OLD + timedelta(1))
    before = contents(house.uri)
    sweep_ended(house, OUT, run_id(datetime.now(UTC)))
    assert contents(house.uri) == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"event": 3}', b'{"event": "run", "at": []}'])
def test_a_journal_that_says_nothing_holds_no_other_back(house: Lake, data: bytes) -> None:
    """A file whose dates are not known is looked for among all; one without a time is passed."""
    broken, dead = run_id(OLD + timedelta(1)), run_id(OLD + timedelta(2))
    lost = staged(house, broken, D3) + staged(house, dead, D1)
    house.put_object(f"runs/{OUT.name}/{broken}.ndjson", data)
    house.put_object(f"runs/{OUT.name}/0-run.ndjson", data)
    journal(house, dead, OUT.name, [D1], OLD + timedelta(2))
    age(house, 2)
    sweep_ended(house, OUT, run_id(datetime.now(UTC)))
    left = {path.removeprefix(f"{house.uri}/out/scores/") for path in contents(house.uri)}
    assert left.isdisjoint(lost)
    assert stored(house, OUT).height == 6


@pytest.mark.parametrize("through", ['{"through": ["x"]}', '{"through": "../x"}', "{", "[]"])
def test_a_lost_or_broken_mark_sweeps_all_again(house: Lake, through: str) -> None:
    """What was named stays whatever the mark says."""
    age(house, 2)
    before = contents(house.uri)
    house.put_object("sweeps/out.scores.json", through.encode())
    sweep_ended(house, OUT, run_id(datetime.now(UTC)))
    assert contents(house.uri) == before
    mark = json.loads(house.get_object("sweeps/out.scores.json") or b"")
    assert mark == {"through": run_id(OLD, "000000")}


def test_many_runs_are_swept_a_part_at_a_time(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_MOST", 3)
    runs = [run_id(OLD + timedelta(n)) for n in range(1, 9)]
    for run in runs:
        staged(house, run, D1)
        journal(house, run, OUT.name, [D1], OLD)
    age(house, 2)
    counts = []
    for _ in range(4):
        sweep_ended(house, OUT, run_id(datetime.now(UTC)))
        counts.append(len(contents(house.uri)) - 2)
    assert counts == [6, 3, 0, 0]


def test_what_a_version_named_is_kept_though_its_entry_is_gone(house: Lake) -> None:
    """Another tool cleaned the log up: a checkpoint names the file, or nothing is known."""
    from deltalake import DeltaTable

    dead = run_id(OLD + timedelta(1))
    lease = house.acquire_lease(OUT, dead, seconds=600, steal=False)
    put(house, lease, scores(D1, 2))
    put(house, lease, scores(D1, 3))
    journal(house, dead, OUT.name, [D1], OLD + timedelta(1))
    DeltaTable(f"{house.uri}/out/scores").create_checkpoint()
    for entry in sorted((Path(house.uri) / "out/scores/_delta_log").glob("*.json"))[:-1]:
        entry.unlink()
    lost = staged(house, dead, D1)
    age(house, 2)
    before = contents(house.uri)
    sweep_ended(house, OUT, run_id(datetime.now(UTC)))
    gone = before.keys() - contents(house.uri).keys()
    assert [path.removeprefix(f"{house.uri}/out/scores/") for path in gone] == lost


# -- what loads staged -------------------------------------------------------------------------
KILLED = """
import os, sys
from ray_backfill.warehouse.lake import commit as _commit
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, D2, OUT, scores
import polars as pl
_commit.commit = _commit.create = lambda *_, **__: os._exit(9)
Lake(sys.argv[1]).append(OUT, pl.concat([scores(D1, 7), scores(D2, 7)]).to_arrow())
"""


@pytest.mark.parametrize("new", [False, True])
def test_a_load_that_was_killed_is_swept_by_the_next(tmp_path: Path, new: bool) -> None:
    """Once its files are a day old; before, it may be at work still."""
    lake = Lake(str(tmp_path / "lake"))
    if not new:
        lake.append(OUT, scores(D1, 1).to_arrow())
    dead = subprocess.run([sys.executable, "-c", KILLED, lake.uri], env=environment())
    assert dead.returncode == 9
    lost = {path for path in contents(lake.uri) if "load" in path}
    assert len(lost) == 2 + (not new)
    lake.append(OUT, scores(D3, 1).to_arrow())
    assert lost <= contents(lake.uri).keys(), "a day has not passed"
    age(lake, 2)
    lake.append(OUT, scores(D3, 1).to_arrow())
    assert len(lost & contents(lake.uri).keys()) == (not new)
    assert lake.list_objects("loads/") == []
    assert stored(lake, OUT).height == 6 + 3 * (not new)


def test_a_load_leaves_no_note_whether_it_ends_well_or_not(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.append(OUT, scores(D3, 1).to_arrow())
    assert house.list_objects("loads/") == []
    before = contents(house.uri)
    monkeypatch.setattr("ray_backfill.warehouse.lake.commit.commit", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        house.append(OUT, scores(D3, 1).to_arrow())
    assert house.list_objects("loads/") == []
    assert contents(house.uri) == before


def test_a_load_whose_commit_stands_keeps_its_files(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer got lost and the load fails: what the log names is not deleted."""
    from ray_backfill.warehouse.lake import commit as _commit

    real = _commit.commit

    def failing(*args: Any, **kwargs: Any) -> int:
        real(*args, **kwargs)
        raise OSError("the answer got lost")

    monkeypatch.setattr(_commit, "commit", failing)
    with pytest.raises(OSError, match="got lost"):
        house.append(OUT, scores(D3, 1).to_arrow())
    assert stored(house, OUT).height == 9


@pytest.mark.parametrize("note", [b"", b"{", b'{"at": 3, "dates": 7}', b'{"dates": [1]}'])
def test_a_note_that_is_none_stops_no_load(house: Lake, note: bytes) -> None:
    house.put_object("loads/out.scores/load-x.json", note)
    age(house, 2)
    house.append(OUT, scores(D3, 1).to_arrow())
    assert stored(house, OUT).height == 9
    assert house.list_objects("loads/") == []


def test_a_store_that_fails_while_tidying_up_changes_nothing_of_a_load(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there: the load says so."""
    real = _objects.delete

    def failing(uri: str, path: str) -> None:
        if "loads/" in path:
            raise OSError("503: slow down")
        real(uri, path)

    monkeypatch.setattr(_objects, "delete", failing)
    assert house.append(OUT, scores(D3, 1).to_arrow()).rows == 3
    assert stored(house, OUT).height == 9
