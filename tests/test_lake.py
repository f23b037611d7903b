"""Reading and appending: what was written comes back, whoever wrote it."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ray_backfill.errors import ContractError, TableNotFoundError, UsageError, WarehouseError
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, D2, D3, EVERY, OUT, PLAIN, every, frame, scores, stored


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_every_kind_comes_back_as_it_was_written(house: Lake) -> None:
    """NULLs, empty lists, extremes and odd text included."""
    house.append(EVERY, every().to_arrow())
    assert stored(house, EVERY).equals(every().sort("game_date", "text", nulls_last=True))
    back = house.read(EVERY, ["texts", "at", "game_date"])
    assert back.schema.names == ["texts", "at", "game_date"]
    assert back.schema.field("at").type == pa.timestamp("us", "UTC")


def test_opening_and_reading_create_nothing(tmp_path: Path) -> None:
    """A misspelt path must not become a folder."""
    lake = Lake(str(tmp_path / "nowhere"))
    assert lake.tables() == []
    assert not lake.exists("raw.every")
    assert lake.get_object("runs/x") is None
    assert lake.list_objects("runs/") == []
    with pytest.raises(TableNotFoundError, match=r"raw\.every is not in"):
        lake.read(EVERY, ["text"])
    with pytest.raises(TableNotFoundError):
        lake.partitions(EVERY)
    assert list(tmp_path.iterdir()) == []


def test_a_lake_crosses_processes_by_its_address(house: Lake) -> None:
    assert pickle.loads(pickle.dumps(house)).uri == house.uri  # noqa: S301 -- our own bytes
    assert Lake(f"file://{house.uri.replace('lake', 'la%6be')}").uri == house.uri


def test_the_folder_may_have_any_name(tmp_path: Path) -> None:
    """Blanks, percent signs and `key=value` in the path are no part of the table."""
    lake = Lake(str(tmp_path / "game_date=1999-01-01" / "ä lake 100%"))
    lake.append(OUT, pl.concat([scores(D1, 1), scores(D2, 2)]).to_arrow())
    lake.append(OUT, scores(D2, 3, 1).to_arrow(), replace_dates=True)
    got = stored(lake, OUT)
    assert got["points"].to_list() == [1, 1, 1, 3]
    assert got["game_date"].unique().sort().to_list() == [D1, D2]
    assert [(t.name, t.rows) for t in lake.tables()] == [("out.scores", 4)]


def test_dates_are_picked_by_range_or_by_list(house: Lake) -> None:
    rows = pl.concat([scores(day, 1) for day in (D1, D2, D3)])
    house.append(OUT, rows.to_arrow())

    def days(picked: DateRange | list[date] | None) -> list[date]:
        column = house.read(OUT, ["game_date"], picked)["game_date"]
        return sorted(set(column.to_pylist()))

    assert days(DateRange(D1, D3)) == [D1, D2]
    assert days([D3, D1]) == [D1, D3]
    assert days(None) == [D1, D2, D3]
    assert days([]) == []
    assert house.read(OUT, ["points"], [date(1999, 1, 1)]).schema.field("points").type == pa.int64()


def test_appending_again_adds_the_same_rows_again(house: Lake) -> None:
    """Raw tables may repeat their rows."""
    first = house.append(EVERY, every().to_arrow())
    again = house.append(EVERY, every().to_arrow())
    assert (first.rows, first.dates, first.version) == (4, (D1, D2), "0")
    assert again.version == "1"
    assert stored(house, EVERY).height == 8


def test_replacing_dates_leaves_the_others_alone(house: Lake) -> None:
    house.append(OUT, pl.concat([scores(D1, 1), scores(D2, 1)]).to_arrow())
    house.append(OUT, pl.concat([scores(D2, 2, 1), scores(D3, 2)]).to_arrow(), replace_dates=True)
    got = stored(house, OUT).group_by("game_date").agg(pl.len(), pl.sum("points")).sort("game_date")
    assert got.rows() == [(D1, 3, 3), (D2, 1, 2), (D3, 3, 6)]


def test_a_table_without_partitions_is_replaced_whole(house: Lake) -> None:
    house.append(PLAIN, frame(PLAIN, [("a", 1), ("b", 2)]).to_arrow())
    house.append(PLAIN, frame(PLAIN, [("c", None)]).to_arrow())
    assert [(p.day, p.rows) for p in house.partitions(PLAIN)] == [(None, 3)]
    house.append(PLAIN, frame(PLAIN, [("d", 4)]).to_arrow(), replace_dates=True)
    assert stored(house, PLAIN).rows() == [("d", 4)]
    with pytest.raises(ContractError, match="has no partitions"):
        house.read(PLAIN, ["n"], [D1])


def test_no_rows_change_nothing_and_create_nothing(house: Lake) -> None:
    done = house.append(EVERY, EVERY.empty().to_arrow())
    assert (done.rows, done.dates) == (0, ())
    assert not house.exists(EVERY.name)


def test_tokens_change_with_their_partition_alone(house: Lake) -> None:
    house.append(OUT, pl.concat([scores(D1, 1), scores(D2, 1)]).to_arrow())
    before = {p.day: p for p in house.partitions(OUT)}
    house.append(OUT, scores(D2, 5).to_arrow())
    after = {p.day: p for p in house.partitions(OUT)}
    assert after[D1] == before[D1]
    assert after[D2].token != before[D2].token
    assert (before[D2].rows, after[D2].rows) == (3, 6)


def test_frames_that_break_the_contract_are_refused(house: Lake) -> None:
    good = every()
    wrong = {
        "has no column game_date": good.drop("game_date"),
        "not in the contract: more": good.with_columns(more=1),
        "whole is String": good.with_columns(pl.col("whole").cast(pl.String)),
        "game_date is NULL in 1 rows": good.with_columns(
            pl.when(pl.col("text") != "a").then("game_date")
        ).head(2),
    }
    for message, rows in wrong.items():
        with pytest.raises(ContractError, match=message):
            house.append(EVERY, rows.to_arrow())
    assert not house.exists(EVERY.name)


def test_columns_that_came_later_are_null_in_older_files(house: Lake) -> None:
    house.append(OUT, scores(D1, 1).to_arrow())
    wider = replace(OUT, columns=(*OUT.columns, Column("assists", Kind.INT, optional=True)))
    assert house.read(wider, ["assists"])["assists"].null_count == 3
    house.append(wider, scores(D2, 1).with_columns(assists=pl.lit(7, pl.Int64)).to_arrow())
    got = pl.from_arrow(house.read(wider, ["game_date", "assists"]))
    assert isinstance(got, pl.DataFrame)
    assert got.unique().sort("game_date").rows() == [(D1, None), (D2, 7)]


def test_a_stored_table_that_breaks_the_contract_is_named(house: Lake) -> None:
    house.append(OUT, scores(D1, 1).to_arrow())
    needs = replace(OUT, columns=(*OUT.columns, Column("team", Kind.STRING, nullable=False)))
    with pytest.raises(ContractError, match=r"out\.scores has no column team"):
        house.read(needs, ["team"])
    other = replace(OUT, columns=(*OUT.columns[:2], Column("points", Kind.STRING)))
    with pytest.raises(ContractError, match=r"out\.scores\.points is stored as long"):
        house.read(other, ["points"])
    with pytest.raises(ContractError, match="points is stored as long"):
        house.append(other, other.empty().to_arrow())
    write_deltalake(f"{house.uri}/raw/loose", scores(D1, 1).to_arrow())
    with pytest.raises(ContractError, match="must be partitioned by game_date"):
        house.read(replace(OUT, name="raw.loose"), ["points"])


@pytest.mark.parametrize(
    "name",
    ["../x.y", "a.b.c", "a", "a.", ".b", "a/b.c", "a.b/../../c", "_ray_backfill.x", "a.b\n", "à.b"],
)
def test_a_name_never_leaves_the_root(house: Lake, name: str) -> None:
    for attempt in (
        lambda: house.exists(name),
        lambda: replace(PLAIN, name=name),
        lambda: house.history(name),
        lambda: house.restore(name, 0),
        lambda: house.lease_holder(name),
    ):
        with pytest.raises(UsageError, match="not a table's name"):
            attempt()


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../b", "a//b", "", "a/..", "a\\b"])
def test_a_key_never_leaves_the_house_folder(house: Lake, key: str) -> None:
    with pytest.raises(UsageError):
        house.put_object(key, b"x")
    with pytest.raises(UsageError):
        house.get_object(key)


def test_objects_are_kept_beside_the_tables(house: Lake) -> None:
    house.put_object("runs/b.ndjson", b"1")
    house.put_object("runs/a.ndjson", b"2")
    house.put_object("runs/b.ndjson", b"3")
    house.put_object("reports/c.json", b"")
    assert house.list_objects("runs/") == ["runs/a.ndjson", "runs/b.ndjson"]
    assert house.list_objects("re") == ["reports/c.json"]
    assert house.get_object("runs/b.ndjson") == b"3"
    assert house.get_object("reports/c.json") == b""
    assert house.get_object("runs/zzz") is None
    assert house.tables() == []


def test_a_missing_and_a_corrupt_file_are_named(house: Lake) -> None:
    """The error holds the file, its date, and what to do."""
    house.append(OUT, pl.concat([scores(day, 1) for day in (D1, D2, D3)]).to_arrow())
    victim = next(Path(house.uri).rglob(f"*={D2}/*.parquet"))
    for harm, says in (
        (lambda: victim.write_bytes(b"PAR1"), "cannot be read"),
        (victim.unlink, "is missing"),
    ):
        harm()
        with pytest.raises(WarehouseError) as caught:
            house.read(OUT, ["points"])
        assert f"the file of {D2} {says}" in str(caught.value)
        assert str(victim) in str(caught.value)
        assert "--replace" in caught.value.hint
        assert house.read(OUT, ["points"], [D1]).num_rows == 3


def test_a_corrupt_log_is_an_error_of_the_warehouse(house: Lake) -> None:
    house.append(OUT, scores(D1, 1).to_arrow())
    (Path(house.uri) / "out/scores/_delta_log/00000000000000000000.json").write_text("{")
    with pytest.raises(WarehouseError, match="out/scores"):
        house.read(OUT, ["points"])


def test_others_read_the_table(house: Lake) -> None:
    """Polars by Delta itself; DuckDB by the files of the log."""
    house.append(EVERY, every().to_arrow())
    house.append(EVERY, every().to_arrow(), replace_dates=True)
    folder = f"{house.uri}/raw/every"
    assert (
        pl.read_delta(folder)
        .select(every().columns)
        .sort("game_date", "text", nulls_last=True)
        .equals(every().sort("game_date", "text", nulls_last=True))
    )
    files = DeltaTable(folder).file_uris()
    got = duckdb.read_parquet(files, hive_partitioning=True)
    sums = got.aggregate("count(*), sum(whole::HUGEINT), count(DISTINCT game_date)")
    assert sums.fetchall() == [(4, -1, 2)]


def test_what_the_log_says_of_a_table(house: Lake) -> None:
    """Descriptions, types, statistics; the partition column is not in the files."""
    house.append(EVERY, every().to_arrow())
    table = DeltaTable(f"{house.uri}/raw/every")
    fields = {f["name"]: f for f in json.loads(table.schema().to_json())["fields"]}
    assert fields["text"]["metadata"]["comment"] == "Some text."
    assert fields["at"]["type"] == "timestamp"
    assert fields["texts"]["type"]["elementType"] == "string"
    assert not fields["game_date"]["nullable"]
    assert (table.metadata().name, table.metadata().description) == ("raw.every", "One of each.")
    assert table.metadata().partition_columns == ["game_date"]
    assert all(
        "game_date" not in pl.read_parquet_schema(p) for p in Path(house.uri).rglob("*.parquet")
    )
    stats = pl.DataFrame(table.get_add_actions(flatten=True)).sort("partition.game_date")
    assert stats["num_records"].to_list() == [3, 1]
    assert stats["min.whole"].to_list() == [-(2**63), None]
    assert stats["max.day"].to_list() == [D3, None]
    assert stats["null_count.text"].to_list() == [0, 1]


def test_statistics_never_hide_a_row(house: Lake) -> None:
    """Readers that skip files by statistics find every row; NaN and long text have none."""
    rows = every().with_columns(
        number=pl.Series([float("nan"), 1.0, 2.0, float("inf")]), text=pl.lit("z" * 500)
    )
    house.append(EVERY, rows.to_arrow())
    scan = pl.scan_delta(f"{house.uri}/raw/every")
    assert scan.filter(pl.col("number").is_nan()).collect().height == 1
    assert scan.filter(pl.col("text") == "z" * 500).collect().height == 4
    at = rows["at"].drop_nulls()
    for moment in at:
        assert scan.filter(pl.col("at") == moment).collect().height == at.eq(moment).sum()


def test_tables_written_by_others_are_read(house: Lake) -> None:
    """Other integer sizes, naive and millisecond timestamps, another file layout."""
    other = pa.table(
        {
            "game_date": pa.array([D1, D1, D2], pa.date32()),
            "whole": pa.array([1, None, 3], pa.int16()),
            "number": pa.array([1.5, 2.5, None], pa.float32()),
            "at": pa.array([datetime(2025, 1, 1, 12), None, None], pa.timestamp("ms")),
            "unused": pa.array(["a", "b", "c"]),
        }
    )
    write_deltalake(f"{house.uri}/raw/every", other, partition_by=["game_date"])
    got = stored(house, EVERY).sort("game_date", "whole", nulls_last=True)
    assert got["whole"].to_list() == [1, None, 3]
    assert got["number"].to_list() == [1.5, 2.5, None]
    assert str(got["at"][0]) == "2025-01-01 12:00:00+00:00"
    assert got["text"].null_count() == 3


def test_a_table_partitioned_by_more_is_read(house: Lake) -> None:
    rows = every().with_columns(text=pl.lit("k/ö =%"))
    write_deltalake(f"{house.uri}/raw/every", rows.to_arrow(), partition_by=["text", "game_date"])
    assert [(p.day, p.rows) for p in house.partitions(EVERY)] == [(D1, 3), (D2, 1)]
    got = house.read(EVERY, ["text", "whole", "game_date"], [D1])
    assert got.num_rows == 3
    assert set(got["text"].to_pylist()) == {"k/ö =%"}
    with pytest.raises(ContractError, match="partitioned by text, game_date"):
        house.append(EVERY, every().to_arrow())


def test_rows_without_a_date_belong_to_none(house: Lake) -> None:
    """Another tool may have written a NULL partition."""
    loose = pa.table({"game_date": pa.array([D1, None], pa.date32()), "whole": pa.array([1, 2])})
    write_deltalake(f"{house.uri}/raw/every", loose, partition_by=["game_date"])
    assert [(p.day, p.rows) for p in house.partitions(EVERY)] == [(D1, 1)]
    assert house.read(EVERY, ["whole"])["whole"].to_pylist() == [1]


def test_physical_column_names_are_mapped(house: Lake) -> None:
    """Column mapping: the files hold other names than the table."""
    folder = Path(house.uri) / "raw/plain"
    (folder / "_delta_log").mkdir(parents=True)
    pl.DataFrame({"col-1": ["a", "b"], "col-2": [1, 2]}).write_parquet(folder / "f.parquet")
    fields = [
        {
            "name": name,
            "type": kind,
            "nullable": True,
            "metadata": {
                "delta.columnMapping.id": at,
                "delta.columnMapping.physicalName": f"col-{at}",
            },
        }
        for at, (name, kind) in enumerate((("code", "string"), ("n", "long")), 1)
    ]
    entries = [
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {
            "metaData": {
                "id": "5f0e8f0e-0000-4000-8000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {
                    "delta.columnMapping.mode": "name",
                    "delta.columnMapping.maxColumnId": "2",
                },
                "createdTime": 0,
            }
        },
        {
            "add": {
                "path": "f.parquet",
                "partitionValues": {},
                "size": (folder / "f.parquet").stat().st_size,
                "modificationTime": 0,
                "dataChange": True,
                "stats": '{"numRecords":2}',
            }
        },
    ]
    log = folder / "_delta_log/00000000000000000000.json"
    log.write_text("\n".join(map(json.dumps, entries)))
    try:
        assert sorted(stored(house, PLAIN).rows()) == [("a", 1), ("b", 2)]
    except WarehouseError as refused:  # rather than NULLs in every row
        assert "raw.plain" in str(refused)  # noqa: PT017 -- either is right, NULLs are not


def test_rows_behind_a_deletion_vector_are_gone(house: Lake) -> None:
    """Spark deletes rows without writing the file anew; the date's token must change."""
    house.append(PLAIN, frame(PLAIN, [("a", 1), ("b", 2), ("c", 3)]).to_arrow())
    before = house.partitions(PLAIN)[0]
    log = Path(house.uri) / "raw/plain/_delta_log"
    lines = (log / "00000000000000000000.json").read_text().splitlines()
    add = next(json.loads(line) for line in lines if '"add"' in line)["add"]
    # a roaring bitmap array of one bitmap that holds row 1 alone
    bitmap = struct.pack("<iqi", 1681511377, 1, 0) + struct.pack("<IIHHIH", 12346, 1, 0, 0, 16, 1)
    vector = {
        "storageType": "i",
        "pathOrInlineDv": _z85(bitmap + b"\0" * (-len(bitmap) % 4)),
        "sizeInBytes": len(bitmap),
        "cardinality": 1,
    }
    features = ["deletionVectors"]
    entries = [
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
        },
        {"remove": {"path": add["path"], "dataChange": True, "deletionTimestamp": 1}},
        {"add": add | {"deletionVector": vector}},
    ]
    (log / "00000000000000000001.json").write_text("\n".join(map(json.dumps, entries)))
    assert sorted(stored(house, PLAIN).rows()) == [("a", 1), ("c", 3)]
    after = house.partitions(PLAIN)[0]
    assert (before.rows, after.rows) == (3, 2)
    assert after.token != before.token
    with pytest.raises(ContractError, match="cannot be added"):
        house.append(PLAIN, frame(PLAIN, [("d", 4)]).to_arrow())


def _z85(data: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    out = []
    for (value,) in struct.iter_unpack(">I", data):
        out += [digits[value // 85**power % 85] for power in (4, 3, 2, 1, 0)]
    return "".join(out)


def test_files_without_statistics_are_counted(house: Lake) -> None:
    house.append(PLAIN, frame(PLAIN, [("a", 1), ("b", 2)]).to_arrow())
    log = next(Path(house.uri).rglob("00000000000000000000.json"))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["stats"] = None
    log.write_text("\n".join(map(json.dumps, lines)))
    assert [p.rows for p in house.partitions(PLAIN)] == [2]
    assert house.tables()[0].rows == 2


def test_a_listing_of_the_tables(house: Lake) -> None:
    house.append(OUT, pl.concat([scores(D1, 1), scores(D3, 1)]).to_arrow())
    house.append(PLAIN, frame(PLAIN, [("a", 1)]).to_arrow())
    house.put_object("runs/x", b"")
    (Path(house.uri) / "raw/not_a_table").mkdir()
    out, plain = house.tables()
    assert (out.name, out.rows, out.partitions, out.first, out.last, out.version) == (
        "out.scores",
        6,
        2,
        D1,
        D3,
        "0",
    )
    assert (plain.name, plain.rows, plain.partitions, plain.first) == ("raw.plain", 1, 0, None)
    assert out.changed_at is not None
    assert out.changed_at.tzinfo is not None


def test_many_dates_in_one_commit(house: Lake) -> None:
    days = [D1 + timedelta(n) for n in range(400)]
    table = Table("raw.many", EVERY.columns[:3], partition="game_date")
    rows = pl.DataFrame(
        {"game_date": days * 2, "text": ["x"] * 800, "whole": range(800)},
        schema=dict(table.schema()),
    )
    done = house.append(table, rows.to_arrow())
    assert (done.rows, len(done.dates), done.version) == (800, 400, "0")
    assert len(list(Path(house.uri).rglob("*.parquet"))) == 400
    got = pl.from_arrow(house.read(table, ["game_date", "text", "whole"]))
    assert isinstance(got, pl.DataFrame)
    assert got.sort("whole").equals(rows)


def test_importing_the_lake_needs_no_ray() -> None:
    code = "import ray_backfill.warehouse.lake.warehouse, sys; print('ray' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
