"""Tidying: small files merged, old versions gone, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_backfill.engine.tidy import tidy
from ray_backfill.errors import LeaseHeldError, LeaseLostError, UsageError
from ray_backfill.warehouse.lake import compact as _compact
from ray_backfill.warehouse.lake import expire as _expire
from ray_backfill.warehouse.lake import stage as _stage
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Tidied
from tests.conftest import environment
from tests.lakes import D1, D2, D3, EVERY, OUT, PLAIN, contents, every, frame, put, scores, stored

MONTH = timedelta(days=30)


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def tidied(
    lake: Lake, table: str = EVERY.name, keep: timedelta = MONTH, dry: bool = False
) -> Tidied:
    return lake.tidy(table, keep=keep, run_id="tidy-1", dry_run=dry)


def loads(lake: Lake, times: int) -> pl.DataFrame:
    """The same two dates so many times; gives all rows, sorted."""
    rows = every().with_columns(number=pl.Series([float("nan"), -0.0, None, float("inf")]))
    for _ in range(times):
        lake.append(EVERY, rows.to_arrow())
    return in_order(lake)


def in_order(lake: Lake) -> pl.DataFrame:
    rows = stored(lake, EVERY)
    return rows.sort([c for c in rows.columns if c != "texts"], nulls_last=True)


def files_of(lake: Lake, table: str = EVERY.name) -> list[str]:
    """Paths of the newest version's files."""
    folder = f"{lake.uri}/{table.replace('.', '/')}"
    return sorted(pl.DataFrame(DeltaTable(folder).get_add_actions())["path"])


def data_of(lake: Lake) -> set[str]:
    """Paths of all data files, those of old versions too."""
    return {path for path in contents(lake.uri) if "_delta_log" not in path}


def log_of(lake: Lake, table: str = EVERY.name) -> Path:
    return Path(lake.uri) / table.replace(".", "/") / "_delta_log"


def date_back(lake: Lake, table: str, days: float, version: int | None = None) -> None:
    """As if a version, or all, had been committed and written so many days earlier."""
    for entry in log_of(lake, table).glob("*.json"):
        if version is None or int(entry.stem) == version:
            lines = [json.loads(line) for line in entry.read_text().splitlines()]
            for line in lines:
                if "commitInfo" in line:
                    line["commitInfo"]["timestamp"] -= int(days * 86_400_000)
            entry.write_text("".join(json.dumps(line) + "\n" for line in lines))


def age_files(lake: Lake, days: float) -> None:
    for path in Path(lake.uri).rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - days * 86_400
            os.utime(path, (then, then))


# -- merging -----------------------------------------------------------------------------------
def test_many_loads_of_a_date_become_one_file(house: Lake) -> None:
    """Every value of every kind stays, bit for bit; a second time there is nothing to do."""
    before = loads(house, 4)
    versions = len(house.history(EVERY.name))
    done = tidied(house)
    assert (done.merged, done.problems, done.notes) == (8, (), ())
    assert done.before is not None
    assert done.after is not None
    assert (done.before.files, done.after.files) == (8, 2)
    assert len(files_of(house)) == 2
    assert in_order(house).equals(before)
    assert [(p.day, p.rows) for p in house.partitions(EVERY)] == [(D1, 12), (D2, 4)]
    newest = house.history(EVERY.name)[0]
    assert (newest.operation, newest.detail["files"]) == ("compact", "8")
    again = tidied(house)
    assert again.merged == 0
    assert len(house.history(EVERY.name)) == versions + 1
    assert house.lease_holder(EVERY.name) is None


def test_other_readers_see_the_merged_table_whole(house: Lake) -> None:
    """Polars, DuckDB and Delta itself; skipping files by their statistics hides no row."""
    before = loads(house, 3)
    tidied(house)
    folder = f"{house.uri}/raw/every"
    assert pl.read_delta(folder).height == before.height
    assert duckdb.read_parquet(DeltaTable(folder).file_uris()).aggregate("count(*)").fetchall() == [
        (before.height,)
    ]
    scan = pl.scan_delta(folder)
    assert scan.filter(pl.col("number").is_nan()).collect().height == 3
    assert scan.filter(pl.col("number") > 5).collect().height == 6
    for at in before["at"].drop_nulls().unique():
        expected = before.filter(pl.col("at") == at).height
        assert scan.filter(pl.col("at") == at).collect().height == expected
    entry = (log_of(house) / f"{3:020d}.json").read_text().splitlines()
    changes = [json.loads(line) for line in entry]
    assert {c[k]["dataChange"] for c in changes for k in ("add", "remove") if k in c} == {False}


def test_tables_of_others_keep_their_types(house: Lake) -> None:
    """Small integers, floats, decimals, naive timestamps and NULL dates stay as they are stored."""
    rows = pl.DataFrame(
        {
            "game_date": [D1, D1, None],
            "small": pl.Series([1, None, -3], dtype=pl.Int16),
            "real": pl.Series([0.1, None, float("nan")], dtype=pl.Float32),
            "money": pl.Series(["1.50", None, "-2.25"]).cast(pl.Decimal(9, 2)),
            "naive": pl.Series([datetime(2025, 1, 1, 12), None, None], dtype=pl.Datetime("us")),
        }
    )
    folder = f"{house.uri}/raw/every"
    for _ in range(3):
        write_deltalake(folder, rows.to_arrow(), partition_by=["game_date"], mode="append")
    before, schema = pl.read_delta(folder), DeltaTable(folder).schema().to_json()
    done = tidied(house)
    assert (done.merged, done.problems) == (6, ())
    assert len(files_of(house)) == 2
    after = pl.read_delta(folder)
    assert after.schema == before.schema
    assert after.sort("money", nulls_last=True).equals(before.sort("money", nulls_last=True))
    assert DeltaTable(folder).schema().to_json() == schema
    write_deltalake(folder, rows.to_arrow(), mode="append")
    assert DeltaTable(folder).optimize.compact()["numFilesRemoved"] == 4


def test_columns_that_old_files_lack_are_null(house: Lake) -> None:
    small = frame(PLAIN, [("a", 1)])
    house.append(PLAIN, small.to_arrow())
    folder = f"{house.uri}/raw/plain"
    wider = small.with_columns(more=pl.lit("x"))
    write_deltalake(folder, wider.to_arrow(), mode="append", schema_mode="merge")
    assert tidied(house, PLAIN.name).merged == 2
    assert sorted(pl.read_delta(folder).rows(), key=str) == [("a", 1, "x"), ("a", 1, None)]


def test_an_output_and_large_files_are_left(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from ray_backfill.job.table import STAMP

    output = replace(OUT, name="out.stamped", columns=(*OUT.columns, *STAMP))
    house.ensure(output)
    at = datetime(2025, 1, 1, tzinfo=UTC)
    stamped = scores(D1, 1).with_columns(
        input_fingerprint=pl.lit("v=1"),
        code_version=pl.lit("c"),
        job_options=pl.lit("{}"),
        run_id=pl.lit("r"),
        computed_at=pl.lit(at).dt.cast_time_unit("us"),
    )
    house.append(output, stamped.to_arrow())
    house.append(output, stamped.to_arrow())
    done = tidied(house, output.name)
    assert (done.merged, done.notes) == (0, ())
    loads(house, 2)
    monkeypatch.setattr(_compact, "_SMALL", 100)
    assert tidied(house).merged == 0


def test_files_are_merged_up_to_a_size(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    loads(house, 5)
    size = max(f.stat().st_size for f in Path(house.uri).rglob("*.parquet"))
    monkeypatch.setattr(_compact, "_LARGEST", 2 * size)
    before = in_order(house)
    assert tidied(house).merged == 8
    assert len(files_of(house)) == 6
    assert in_order(house).equals(before)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.write_bytes(b"PAR1"), "cannot be read"),
        (lambda path: path.unlink(), "cannot be read"),
        (
            lambda path: pl.read_parquet(path).head(1).write_parquet(path),
            "hold 7 rows, and the log says 9",
        ),
    ],
)
def test_a_date_that_cannot_be_read_whole_is_named_and_left(
    house: Lake, harm: Callable[[Path], object], says: str
) -> None:
    loads(house, 3)
    (victim, *_) = sorted(Path(house.uri).rglob(f"*={D1}/*.parquet"))
    harm(victim)
    before = files_of(house)
    done = tidied(house)
    (problem,) = done.problems
    assert says in problem
    assert str(D1) in problem
    assert done.merged == 3
    assert [f for f in files_of(house) if str(D1) in f] == [f for f in before if str(D1) in f]


@pytest.mark.parametrize(
    ("feature", "says"),
    [("changeDataFeed", "changeDataFeed"), ("rowTracking", "rowTracking")],
)
def test_features_that_a_merge_would_not_keep_leave_a_table(
    house: Lake, feature: str, says: str
) -> None:
    loads(house, 2)
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [feature]}
    (log_of(house) / f"{2:020d}.json").write_text(json.dumps({"protocol": protocol}))
    done = tidied(house)
    assert done.merged == 0
    assert says in done.notes[0]


# -- beside others -----------------------------------------------------------------------------
def test_a_table_that_a_run_holds_is_left(house: Lake) -> None:
    loads(house, 2)
    lease = house.acquire_lease(EVERY, "run-7", seconds=600, steal=False)
    before = sorted(Path(house.uri).rglob("*"))
    with pytest.raises(LeaseHeldError, match="run-7"):
        tidied(house)
    assert tidied(house, dry=True).merged == 4
    assert sorted(Path(house.uri).rglob("*")) == before
    house.release_lease(lease)
    assert tidied(house).merged == 4


def test_a_lease_that_is_lost_stops_it_with_nothing_changed(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and the commit another run took the table."""
    before = loads(house, 3)
    real = _stage.write

    def stolen(uri: str, path: str, rows: pl.DataFrame) -> int:
        house.acquire_lease(EVERY, "run-8", seconds=600, steal=True)
        return real(uri, path, rows)

    files = contents(house.uri)
    monkeypatch.setattr(_stage, "write", stolen)
    with pytest.raises(LeaseLostError):
        tidied(house)
    assert contents(house.uri) == files
    assert in_order(house).equals(before)
    assert house.history(EVERY.name)[0].operation == "append"


@pytest.mark.parametrize("way", ["append", "replace"])
def test_a_load_meanwhile_loses_nothing(
    house: Lake, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Rows that came while a date was merged stand beside them, or in their place."""
    loads(house, 3)
    real, done = _stage.write, []

    def beside(uri: str, path: str, rows: pl.DataFrame) -> int:
        size = real(uri, path, rows)
        if "compact" in path and not done:
            done.append(path)
            some = every().filter(pl.col("game_date") == D1)
            house.append(EVERY, some.to_arrow(), replace_dates=way == "replace")
        return size

    monkeypatch.setattr(_stage, "write", beside)
    found = tidied(house)
    expected = {D1: 12 if way == "append" else 3, D2: 3}
    assert {p.day: p.rows for p in house.partitions(EVERY)} == expected
    assert found.merged == (6 if way == "append" else 3)
    named = {f.rpartition("/")[2] for f in files_of(house)}
    kept = {p.name for p in Path(house.uri).rglob("*.compact.*")}
    assert kept <= named, "a merged file that nobody needs is deleted"
    tidied(house)
    assert {p.day: p.rows for p in house.partitions(EVERY)} == expected


def test_a_commit_whose_answer_gets_lost_stands_once(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loads(house, 3)
    real = DeltaTable.create_write_transaction

    def lost(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise OSError("the answer got lost")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lost)
    assert tidied(house).merged == 6
    assert in_order(house).equals(before)
    assert len(house.history(EVERY.name)) == 4


def test_a_commit_that_fails_leaves_all_as_it_was(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loads(house, 3)
    files = contents(house.uri)

    def failing(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", failing)
    report = tidy(house, [EVERY.name], keep=MONTH, dry_run=False)
    assert "disk is full" in report.tables[0].problems[0]
    assert report.exit_code == 1
    assert contents(house.uri) == files
    assert in_order(house).equals(before)


# -- expiring ----------------------------------------------------------------------------------
def test_what_the_window_needs_can_be_restored_and_the_rest_is_gone(house: Lake) -> None:
    """The version that stood at the window's beginning, and all since."""
    house.ensure(OUT)
    lease = house.acquire_lease(OUT, "run-1", seconds=600, steal=False)
    for points in range(1, 7):  # versions 1 to 6, ten days apart
        put(house, lease, scores(D1, points), scores(D2, points))
    house.release_lease(lease)
    for version in range(7):
        date_back(house, OUT.name, 61 - 10 * version, version)
    before = len(data_of(house))
    done = tidied(house, OUT.name, timedelta(days=25))
    # 25 days ago version 3 of day -31 stood; 0 to 2 are gone.
    assert (done.expired, done.removed) == (3, 4)
    assert len(data_of(house)) == before - 4
    assert [v.version for v in house.history(OUT.name)] == [6, 5, 4, 3]
    with pytest.raises(UsageError, match="no version 2 any more"):
        house.restore(OUT.name, 2)
    assert house.restore(OUT.name, 3).dates == (D1, D2)
    assert set(stored(house, OUT)["points"]) == {3}
    house.restore(OUT.name, 5)
    assert set(stored(house, OUT)["points"]) == {5}


def test_a_table_that_rests_keeps_its_newest_version_alone(house: Lake) -> None:
    before = loads(house, 3)
    date_back(house, EVERY.name, 90)
    tidied(house)
    date_back(house, EVERY.name, 90)
    done = tidied(house)
    assert [v.operation for v in house.history(EVERY.name)] == ["compact"]
    assert done.removed == 6
    assert len(data_of(house)) == 2
    assert in_order(house).equals(before)
    assert tidied(house).removed == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([D1, D2, D3]), st.integers(0, 9)),
        st.tuples(st.just("replace"), st.sampled_from([D1, D2, D3]), st.integers(0, 9)),
        st.tuples(st.just("restore"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("tidy"), st.integers(1, 12), st.just(0)),
        st.tuples(st.just("checkpoint"), st.just(0), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_whatever_happens_a_version_is_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any, int]]
) -> None:
    """A plain list of every version's rows is the truth; each step is a day later than the last."""
    lake = Lake(str(tmp_path_factory.mktemp("tidy")))
    lake.append(OUT, scores(D1, 0).to_arrow())
    truth = {0: stored(lake, OUT).rows()}
    for kind, what, points in steps:
        date_back(lake, OUT.name, 1)
        age_files(lake, 1)
        if kind in ("append", "replace"):
            rows = scores(what, points).to_arrow()
            lake.append(OUT, rows, replace_dates=kind == "replace")
        elif kind == "restore":
            version = what % (max(truth) + 1)
            if version in truth and lake.restore(OUT.name, version).dates:
                assert sorted(stored(lake, OUT).rows()) == sorted(truth[version])
        elif kind == "checkpoint":
            DeltaTable(f"{lake.uri}/out/scores").create_checkpoint()
        else:
            tidied(lake, OUT.name, timedelta(days=what, hours=12))
        newest = DeltaTable(f"{lake.uri}/out/scores").version()
        truth[newest] = stored(lake, OUT).rows()
        if kind == "tidy":
            kept = {v.version for v in lake.history(OUT.name)}
            truth = {version: rows for version, rows in truth.items() if version in kept}
    for version, rows in truth.items():
        lake.restore(OUT.name, version)
        assert sorted(stored(lake, OUT).rows()) == sorted(rows)
    for version in range(min(truth)):
        if version not in truth:
            with pytest.raises(UsageError, match="no version"):
                lake.restore(OUT.name, version)


def test_versions_as_old_as_the_window_are_kept_to_the_day(house: Lake) -> None:
    """Each of a month of daily versions, with windows of any length."""
    house.append(OUT, scores(D1, 0).to_arrow())
    for points in range(1, 20):
        date_back(house, OUT.name, 1)
        house.append(OUT, scores(D1, points).to_arrow(), replace_dates=True)
    for days in (15, 10, 3, 1):
        tidied(house, OUT.name, timedelta(days=days, hours=12))
        kept = [v.version for v in house.history(OUT.name)]
        assert kept == list(range(19, 19 - days - 2, -1))
        for version in kept:
            folder = f"{house.uri}/out/scores"
            assert set(pl.read_delta(folder, version=version)["points"]) == {version}


def test_what_is_staged_or_not_ours_stays(house: Lake) -> None:
    """Young staged files of a run or a load; files that no version names; vectors of Spark."""
    loads(house, 2)
    folder = Path(house.uri) / "raw/every"
    foreign = [folder / "part-0.parquet", folder / "game_date=2025-01-01/notes.txt"]
    vector = folder / "deletion_vector_5f0e8f0e.bin"
    for path in (*foreign, vector):
        path.write_bytes(b"not ours")
    (old,) = house.stage(
        EVERY, every().filter(pl.col("game_date") == D2).to_arrow(), run_id="run-1", task="dead"
    )
    date_back(house, EVERY.name, 90)
    age_files(house, 2)
    (young,) = house.stage(
        EVERY, every().filter(pl.col("game_date") == D2).to_arrow(), run_id="run-2", task="live"
    )
    done = tidied(house)
    assert all(path.exists() for path in (*foreign, vector))
    assert (folder / str(young.handle["path"])).exists()
    assert not (folder / str(old.handle["path"])).exists()
    assert "2 files (16 bytes) that no version names were not staged by this tool" in done.notes[0]


def test_a_version_that_another_tool_restores_meanwhile_keeps_its_files(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for no lease: what is the newest now is not deleted, though it was old before."""
    for points in range(3):
        house.append(OUT, scores(D1, points).to_arrow(), replace_dates=True)
    date_back(house, OUT.name, 90)
    real = _expire.planned

    def beside(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        DeltaTable(f"{house.uri}/out/scores").restore(0)
        return found

    monkeypatch.setattr(_expire, "planned", beside)
    tidied(house, OUT.name)
    assert stored(house, OUT)["points"].to_list() == [0, 0, 0]


def test_a_link_out_of_the_lake_is_not_followed(house: Lake, tmp_path: Path) -> None:
    loads(house, 2)
    (tmp_path / "elsewhere").mkdir()
    outside = tmp_path / "elsewhere" / f"run-1.t.{0:032x}.parquet"
    outside.write_bytes(b"private")
    (Path(house.uri) / "raw/every/game_date=2025-01-09").symlink_to(outside.parent)
    age_files(house, 9)
    os.utime(outside, (0, 0))
    tidied(house)
    assert outside.exists()


KILLED = """
import os, sys
from datetime import timedelta
from ray_backfill.warehouse.lake import expire as _expire
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.warehouse import Lake
left, real = int(sys.argv[2]), _objects.delete
def delete(uri, path):
    global left
    if "leases/" not in path:
        left -= 1
        if left < 0:
            os._exit(9)
    real(uri, path)
_objects.delete = delete
_expire._delete = lambda uri, paths, guard: [delete(uri, path) for path in paths]
Lake(sys.argv[1]).tidy("raw.every", keep=timedelta(days=30), run_id="tidy-0", dry_run=False)
"""


@pytest.mark.parametrize("after", [0, 2, 5, 6, 8])
def test_killed_anywhere_it_is_done_to_its_end_the_next_time(house: Lake, after: int) -> None:
    """Between the files, between files and entries, between the entries: the rows are whole."""
    before = loads(house, 3)
    tidied(house)
    date_back(house, EVERY.name, 90)
    command = [sys.executable, "-c", KILLED, house.uri, str(after)]
    assert subprocess.run(command, env=environment()).returncode == 9
    assert in_order(house).equals(before)
    house.append(EVERY, every().to_arrow())
    tidied(house)
    assert in_order(house).height == before.height + 4
    # What the rest and the new load made is there, and nothing of before.
    assert len(house.history(EVERY.name)) == 3
    assert {Path(path).name.partition("-")[0] for path in data_of(house)} == {"load", "tidy"}
    assert len(data_of(house)) == 6


# -- dry runs ----------------------------------------------------------------------------------
def test_a_dry_run_foresees_and_changes_nothing(house: Lake) -> None:
    loads(house, 4)
    date_back(house, EVERY.name, 90)
    loads(house, 3)
    files = {p: p.read_bytes() for p in Path(house.uri).rglob("*") if p.is_file()}
    seen = tidied(house, dry=True)
    assert {p: p.read_bytes() for p in Path(house.uri).rglob("*") if p.is_file()} == files
    done = tidied(house)
    assert (seen.before, seen.merged) == (done.before, done.merged)
    assert seen.after is not None
    assert done.after is not None
    assert seen.after.files == done.after.files == 2
    assert (seen.expired, seen.removed) == (done.expired, done.removed)
