"""Staging and publishing: whole dates, all or nothing, whoever else is at work."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.errors import ContractError, LeaseLostError, UsageError, WarehouseError
from ray_backfill.job.table import Column, Kind
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease, Staged
from tests.conftest import environment
from tests.lakes import D1, D2, D3, OUT, PLAIN, contents, frame, put, scores, stored

LATER = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    return lake


@pytest.fixture
def lease(house: Lake) -> Lease:
    return house.acquire_lease(OUT, "run-1", seconds=600, steal=False)


def sums(lake: Lake) -> dict[date, int]:
    """Points of each date."""
    got = stored(lake, OUT).group_by("game_date").agg(pl.sum("points")).sort("game_date")
    return dict(got.iter_rows())


def test_publishing_replaces_exactly_the_staged_dates(house: Lake, lease: Lease) -> None:
    """The files of other dates stay as they are, byte for byte."""
    put(house, lease, scores(D1, 1), scores(D2, 1), scores(D3, 1))
    before = contents(house.uri)
    staged = house.stage(OUT, scores(D2, 5, 1).to_arrow(), run_id="run-1", task="again")
    done = house.publish(OUT, staged, remove=[D3], lease=lease)
    assert (done.dates, done.rows, done.version) == ((D2, D3), 1, "2")
    assert sums(house) == {D1: 3, D2: 5}
    assert before.items() <= contents(house.uri).items()
    assert [p.day for p in house.partitions(OUT)] == [D1, D2]


def test_staged_rows_are_not_visible(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    tokens = house.partitions(OUT)
    staged = house.stage(
        OUT, pl.concat([scores(D1, 9), scores(D2, 9)]).to_arrow(), run_id="run-1", task="x"
    )
    assert [(s.day, s.rows) for s in staged] == [(D1, 3), (D2, 3)]
    assert house.partitions(OUT) == tokens
    assert sums(house) == {D1: 3}
    assert house.history(OUT.name)[0].version == 1


def test_the_same_rows_give_the_same_bytes(house: Lake) -> None:
    """Whatever order they come in: files are sorted by the table's key."""
    rows = scores(D1, 1, 50)
    first = house.stage(OUT, rows.to_arrow(), run_id="a", task="t")
    second = house.stage(
        OUT, rows.sample(50, shuffle=True, seed=3).to_arrow(), run_id="b", task="t"
    )
    one, two = (
        (Path(house.uri) / "out/scores" / str(s[0].handle["path"])).read_bytes()
        for s in (first, second)
    )
    assert one == two


def test_publishing_twice_changes_nothing(house: Lake, lease: Lease) -> None:
    """A commit whose answer got lost is not repeated."""
    staged = house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="t")
    first = house.publish(OUT, staged, remove=[], lease=lease)
    assert house.publish(OUT, staged, remove=[], lease=lease) == first
    assert sums(house) == {D1: 3}


def test_removing_what_is_not_there_commits_nothing(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    assert house.publish(OUT, [], remove=[D3], lease=lease).version == "1"
    assert house.publish(OUT, [], remove=[D1], lease=lease).version == "2"
    assert sums(house) == {}


def test_one_date_twice_is_refused(house: Lake, lease: Lease) -> None:
    staged = [
        *house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="a"),
        *house.stage(OUT, scores(D1, 2).to_arrow(), run_id="run-1", task="b"),
    ]
    with pytest.raises(WarehouseError, match="staged twice: 2025-01-01"):
        house.publish(OUT, staged, remove=[], lease=lease)


def test_publishers_at_once_all_end_in_the_table(house: Lake, lease: Lease) -> None:
    """Each commits on top of the others, none undoes another's dates."""
    days = [D1 + timedelta(n) for n in range(12)]

    def publish(day: date) -> str:
        own = Lake(house.uri)
        staged = own.stage(OUT, scores(day, day.day).to_arrow(), run_id="run-1", task=str(day))
        return own.publish(OUT, staged, remove=[], lease=lease).version

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(publish, days))
    assert sorted(map(int, versions)) == list(range(1, 13))
    assert sums(house) == {day: 3 * day.day for day in days}


def test_publishers_of_one_date_at_once_leave_one_of_them(house: Lake, lease: Lease) -> None:
    def publish(points: int) -> None:
        own = Lake(house.uri)
        staged = own.stage(OUT, scores(D1, points).to_arrow(), run_id="run-1", task=str(points))
        own.publish(OUT, staged, remove=[], lease=lease)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(1, 9)))
    assert stored(house, OUT).height == 3
    assert house.history(OUT.name)[0].version == 8


def test_readers_see_a_date_before_or_after_and_never_between(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D2, 1))

    def publish() -> None:
        for points in range(2, 12):
            put(house, lease, scores(D1, points), scores(D2, points), task=str(points))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(publish)
        seen = []
        while not writing.done():
            seen.append(sums(house))
        writing.result()
    assert seen
    assert all(found.keys() == {D1, D2} and found[D1] == found[D2] for found in seen)


def test_a_lost_lease_publishes_nothing(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    staged = house.stage(OUT, scores(D1, 7).to_arrow(), run_id="run-1", task="late")
    thief = house.acquire_lease(OUT, "run-2", seconds=600, steal=True)
    with pytest.raises(LeaseLostError, match="taken over by run run-2"):
        house.publish(OUT, staged, remove=[D1], lease=lease)
    assert sums(house) == {D1: 3}
    put(house, thief, scores(D1, 2))
    assert sums(house) == {D1: 6}


def test_a_lease_covers_its_own_table_alone(house: Lake, lease: Lease) -> None:
    staged = house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="t")
    with pytest.raises(UsageError, match="does not cover"):
        house.publish(OUT, staged, remove=[], lease=replace(lease, table="out.other"))


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_staged_file_that_is_not_whole_stops_the_commit(
    house: Lake, lease: Lease, harm: str
) -> None:
    put(house, lease, scores(D1, 1))
    both = pl.concat([scores(D1, 2), scores(D2, 2)])
    staged = house.stage(OUT, both.to_arrow(), run_id="run-1", task="t")
    victim = Path(house.uri) / "out/scores" / str(staged[1].handle["path"])
    if harm == "cut":
        victim.write_bytes(victim.read_bytes()[:-10])
    else:
        victim.unlink()
    with pytest.raises(WarehouseError, match="staged file of 2025-01-02") as caught:
        house.publish(OUT, staged, remove=[], lease=lease)
    assert str(victim) in str(caught.value)
    assert sums(house) == {D1: 3}


def test_staging_refuses_what_breaks_the_contract(house: Lake) -> None:
    with pytest.raises(ContractError, match="player is NULL in 1 rows"):
        house.stage(OUT, frame(OUT, [(D1, None, 1)]).to_arrow(), run_id="r", task="t")
    with pytest.raises(UsageError, match="no partition"):
        house.stage(PLAIN, frame(PLAIN, [("a", 1)]).to_arrow(), run_id="r", task="t")
    assert house.stage(OUT, OUT.empty().to_arrow(), run_id="r", task="t") == []


def test_a_task_name_cannot_leave_the_folder(house: Lake, lease: Lease) -> None:
    rows = scores(D1, 1).to_arrow()
    staged = house.stage(OUT, rows, run_id="run/../1", task="../../x ~ü")
    path = Path(house.uri) / "out/scores" / str(staged[0].handle["path"])
    assert path.parent.name == f"game_date={D1}"
    house.publish(OUT, staged, remove=[], lease=lease)
    assert sums(house) == {D1: 3}


# -- the table itself --------------------------------------------------------------------------
def test_new_nullable_columns_are_added(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    wider = replace(OUT, columns=(*OUT.columns, Column("note", Kind.STRINGS, "Why.")))
    house.ensure(wider)
    house.ensure(wider)
    rows = scores(D2, 2).with_columns(note=pl.lit(["x"]))
    staged = house.stage(wider, rows.to_arrow(), run_id="run-1", task="t")
    house.publish(wider, staged, remove=[], lease=lease)
    got = stored(house, wider)
    assert got["note"].to_list() == [None] * 3 + [["x"]] * 3


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ((*OUT.columns, Column("team", Kind.STRING, nullable=False)), "team is not nullable"),
        (OUT.columns[:2], "column points is in the table alone"),
        (
            (*OUT.columns[:2], Column("points", Kind.FLOAT)),
            "column points is long, and the job says double",
        ),
        (
            (*OUT.columns[:2], Column("points", Kind.INT, nullable=False)),
            "column points is long, and the job says long not null",
        ),
    ],
)
def test_any_other_change_is_refused_with_the_difference(
    house: Lake, columns: tuple[Column, ...], says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        house.ensure(replace(OUT, columns=columns))
    house.ensure(OUT)


def test_another_partition_is_refused(house: Lake) -> None:
    with pytest.raises(ContractError, match="partitioned by"):
        house.ensure(replace(OUT, partition=None))


def test_creating_at_once_creates_one(tmp_path: Path) -> None:
    uri = str(tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Lake(uri).ensure(OUT), range(8)))
    assert [v.version for v in Lake(uri).history(OUT.name)] == [0]


# -- sweeping and restoring --------------------------------------------------------------------
def sweep(lake: Lake, runs: list[str], older_than: datetime = LATER) -> int:
    return lake.sweep(OUT, ended_runs=runs, older_than=older_than)


def test_only_old_unpublished_files_of_ended_runs_are_swept(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    put(house, lease, scores(D1, 2))  # replaces it; the first file is in the log still
    for run in ("run-1", "run-1-b", "run-9"):
        house.stage(OUT, scores(D2, 1).to_arrow(), run_id=run, task="lost")
    foreign = Path(house.uri) / "out/scores/game_date=2025-01-02/part-0.parquet"
    foreign.write_bytes(b"not ours")
    assert sweep(house, ["run-1"], older_than=datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert sweep(house, []) == 0
    assert len(contents(house.uri)) == 6
    assert sweep(house, ["run-1"]) == 1
    assert sweep(house, ["run-1"]) == 0
    assert len(contents(house.uri)) == 5
    assert foreign.exists()


def test_restoring_works_after_a_sweep(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D2, 1))
    put(house, lease, scores(D2, 2), scores(D3, 2))
    house.stage(OUT, scores(D1, 3).to_arrow(), run_id="run-1", task="lost")
    assert sweep(house, ["run-1"]) == 1
    done = house.restore(OUT.name, 1)
    assert (done.version, done.dates, done.rows) == ("3", (D2, D3), 3)
    assert sums(house) == {D1: 3, D2: 3}
    assert sweep(house, ["run-1"]) == 0
    house.restore(OUT.name, 2)
    assert sums(house) == {D1: 3, D2: 6, D3: 6}
    put(house, lease, scores(D2, 4))
    assert sums(house) == {D1: 3, D2: 12, D3: 6}


def test_files_that_only_a_checkpoint_names_are_kept(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    put(house, lease, scores(D1, 2))
    from deltalake import DeltaTable

    DeltaTable(f"{house.uri}/out/scores").create_checkpoint()
    for log in (Path(house.uri) / "out/scores/_delta_log").glob("*.json"):
        log.unlink()
    assert sums(house) == {D1: 6}
    assert sweep(house, ["run-1"]) == 0
    assert len(list(Path(house.uri).rglob("game_date=*/*.parquet"))) == 2


def test_history_says_who_published_what(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D3, 1))
    house.restore(OUT.name, 0)
    restored, published, created = house.history(OUT.name)
    assert (created.version, created.operation) == (0, "create")
    assert (restored.version, restored.operation, restored.detail["to"]) == (2, "restore", "0")
    assert published.operation == "publish"
    assert published.detail == {
        "run_id": "run-1",
        "rows": "6",
        "dates": "2",
        "first": "2025-01-01",
        "last": "2025-01-03",
    }
    assert published.at.tzinfo is not None
    with pytest.raises(UsageError, match="has no version 7"):
        house.restore(OUT.name, 7)


def test_restoring_what_was_deleted_is_an_error(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    put(house, lease, scores(D1, 2))
    for path in (Path(house.uri) / "out/scores").rglob("game_date=*/*.parquet"):
        if pl.read_parquet(path)["points"][0] == 1:
            path.unlink()
    with pytest.raises(WarehouseError, match="Restoring"):
        house.restore(OUT.name, 1)
    assert sums(house) == {D1: 6}


# -- a full disk -------------------------------------------------------------------------------
FILL = """
import sys
from datetime import timedelta
import polars as pl
from ray_backfill.errors import WarehouseError
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, OUT, scores
lake = Lake(sys.argv[1])
rows = pl.concat([scores(D1 + timedelta(n), n, 60_000 if n == 2 else 3) for n in range(3)])
rows = rows.with_columns(points=pl.int_range(rows.height).shuffle(1))
try:
    lake.stage(OUT, rows.to_arrow(), run_id="run-1", task="full")
except WarehouseError as error:
    print(error)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_no_half_file(small_disk: Path) -> None:
    """A real ENOSPC in the third file: the error says so, and all staged files are gone."""
    lake = Lake(str(small_disk / "lake"))
    lake.ensure(OUT)
    says = subprocess.check_output(
        [sys.executable, "-c", FILL, lake.uri], text=True, env=environment()
    )
    assert "the disk is full" in says
    assert "Nothing was published" in says
    assert f"{lake.uri}/out/scores/game_date=2025-01-03/" in says
    left = [p for p in (small_disk / "lake/out/scores").rglob("*") if p.is_file()]
    assert [p.name for p in left] == ["00000000000000000000.json"]
    assert sums(lake) == {}


def test_a_file_over_the_limit_leaves_no_half_file(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    says = subprocess.check_output(
        [sys.executable, "-c", limit + FILL, lake.uri], text=True, env=environment()
    )
    assert "larger than allowed" in says
    left = [p for p in (tmp_path / "lake/out/scores").rglob("*") if p.is_file()]
    assert [p.name for p in left] == ["00000000000000000000.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_full_disk_at_the_commit_publishes_nothing(small_disk: Path) -> None:
    lake = Lake(str(small_disk / "lake"))
    lake.ensure(OUT)
    lease = lake.acquire_lease(OUT, "run-1", seconds=60, steal=False)
    put(lake, lease, scores(D1, 1))
    staged = lake.stage(OUT, scores(D1, 2).to_arrow(), run_id="run-1", task="t")
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"0" * 1_000_000)
    with pytest.raises(WarehouseError, match="disk is full"):
        lake.publish(OUT, staged, remove=[], lease=lease)
    assert sums(lake) == {D1: 3}
    ballast.unlink()
    lake.publish(OUT, staged, remove=[], lease=lease)
    assert sums(lake) == {D1: 6}


def test_staged_is_plain_data(house: Lake) -> None:
    staged = house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="t")[0]
    assert isinstance(staged, Staged)
    assert {type(value) for value in staged.handle.values()} <= {str, int}
    assert staged.bytes == staged.handle["size"]
