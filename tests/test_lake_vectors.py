"""Deletion vectors, as Spark and Databricks write them: rows that are deleted stay so.

The logs and the files of the vectors are written here by Delta's protocol, with no library.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_backfill.errors import ContractError
from ray_backfill.job.table import Column, Kind
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease
from tests.lakes import D1, D2, D3, OUT, put, scores, stored

FEATURES = ("deletionVectors", "appendOnly", "invariants")


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    return lake


@pytest.fixture
def lease(house: Lake) -> Lease:
    return house.acquire_lease(OUT, "run-1", seconds=600, steal=False)


def bitmap(rows: Iterable[int]) -> bytes:
    """A serialised 64-bit roaring bitmap of one array container."""
    found = sorted(rows)
    container = struct.pack("<IIHHI", 12346, 1, 0, len(found) - 1, 16)
    values = struct.pack(f"<{len(found)}H", *found)
    return struct.pack("<iqi", 1681511377, 1, 0) + container + values


def z85(data: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    words = struct.iter_unpack(">I", data + b"\0" * (-len(data) % 4))
    return "".join(digits[w // 85**n % 85] for (w,) in words for n in (4, 3, 2, 1, 0))


def vector(folder: Path, rows: Sequence[int], kind: str) -> dict[str, Any]:
    """The log's entry of a vector: in the log itself (`i`), or in a file beside it (`u`)."""
    data = bitmap(rows)
    about = {"storageType": kind, "sizeInBytes": len(data), "cardinality": len(rows)}
    if kind == "i":
        return about | {"pathOrInlineDv": z85(data)}
    name = uuid4()
    framed = struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    (folder / f"deletion_vector_{name}.bin").write_bytes(b"\x01" + framed)
    return about | {"pathOrInlineDv": z85(name.bytes), "offset": 1}


def log_of(house: Lake) -> list[dict[str, Any]]:
    """All entries of the log in order."""
    folder = Path(house.uri) / "out/scores/_delta_log"
    files = sorted(folder.glob("*.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def delete(house: Lake, rows: dict[date, Sequence[int]], kind: str = "u") -> None:
    """DELETE as Spark does: each file stays, and is added again with a vector."""
    folder = Path(house.uri) / "out/scores"
    entries: list[dict[str, Any]] = [
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": list(FEATURES),
            }
        }
    ]
    adds = {e["add"]["path"]: e["add"] for e in log_of(house) if "add" in e}
    active = pl.DataFrame(DeltaTable(str(folder)).get_add_actions())["path"]
    for day, numbers in rows.items():
        (path,) = (path for path in active if f"={day}/" in path)
        add = adds[path]
        kept = {key: add[key] for key in ("path", "partitionValues", "size")}
        remove = kept | {"dataChange": True, "deletionTimestamp": 1, "extendedFileMetadata": True}
        if add.get("deletionVector"):
            remove["deletionVector"] = add["deletionVector"]
        entries.append({"remove": remove})
        entries.append({"add": add | {"deletionVector": vector(folder, numbers, kind)}})
    version = DeltaTable(str(folder)).version() + 1
    file = folder / "_delta_log" / f"{version:020d}.json"
    file.write_text("\n".join(map(json.dumps, entries)) + "\n")


def held(house: Lake) -> list[tuple[date, str, int]]:
    """The rows, and a check that another reader of Delta sees the same."""
    rows = stored(house, OUT).rows()
    by_delta = pl.DataFrame(DeltaTable(f"{house.uri}/out/scores").scan())
    assert sorted(by_delta.select("game_date", "player", "points").rows()) == sorted(rows)
    return rows


@pytest.mark.parametrize("kind", ["i", "u"])
def test_a_date_with_deleted_rows_is_replaced_once_and_for_all(
    house: Lake, lease: Lease, kind: str
) -> None:
    """The remove carries the vector: no old row stands beside the new ones."""
    put(house, lease, scores(D1, 1), scores(D2, 1), scores(D3, 1))
    delete(house, {D1: [1], D2: [0, 2]}, kind)
    assert [(p.day, p.rows) for p in house.partitions(OUT)] == [(D1, 2), (D2, 1), (D3, 3)]
    put(house, lease, scores(D1, 5), scores(D3, 5))
    assert held(house) == [
        *((D1, f"p{n}", 5) for n in range(3)),
        (D2, "p1", 1),
        *((D3, f"p{n}", 5) for n in range(3)),
    ]
    added = [e["add"].get("deletionVector") for e in log_of(house) if "add" in e]
    removed = [e["remove"].get("deletionVector") for e in log_of(house) if "remove" in e]
    assert [v for v in removed if v] == [v for v in added if v][:1]
    put(house, lease, scores(D2, 6, 1))
    assert [row for row in held(house) if row[0] == D2] == [(D2, "p0", 6)]


def test_a_date_with_deleted_rows_is_removed(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D2, 1))
    delete(house, {D1: [0]})
    done = house.publish(OUT, [], remove=[D1, D3], lease=lease)
    assert held(house) == [(D2, f"p{n}", 1) for n in range(3)]
    assert house.history(OUT.name)[0].detail["run_id"] == "run-1"
    assert house.publish(OUT, [], remove=[D1, D3], lease=lease).version == done.version


def test_every_row_of_a_date_deleted_is_a_date_without_rows(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D2, 1))
    delete(house, {D1: [0, 1, 2]})
    assert [(p.day, p.rows) for p in house.partitions(OUT)] == [(D1, 0), (D2, 3)]
    put(house, lease, scores(D1, 4))
    assert [row[2] for row in held(house)] == [4, 4, 4, 1, 1, 1]


def test_publishers_at_once_over_vectors_undo_nothing(house: Lake, lease: Lease) -> None:
    """A commit that lost the race is computed anew, also where the library derives its removes."""
    days = [date(2025, 1, n) for n in range(1, 9)]
    put(house, lease, *(scores(day, 0) for day in days))
    delete(house, {day: [0] for day in days})

    def publish(day: date) -> str:
        own = Lake(house.uri)
        staged = own.stage(OUT, scores(day, day.day).to_arrow(), run_id="run-1", task=str(day))
        return own.publish(OUT, staged, remove=[], lease=lease).version

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(publish, days))
    assert sorted(map(int, versions)) == list(range(3, 11))
    assert held(house) == [(day, f"p{n}", day.day) for day in days for n in range(3)]


def test_restoring_goes_over_vectors_both_ways(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1), scores(D2, 1))
    delete(house, {D1: [1]})
    put(house, lease, scores(D1, 2))
    assert house.restore(OUT.name, 2).dates == (D1,)
    assert held(house)[:2] == [(D1, "p0", 1), (D1, "p2", 1)]
    assert house.restore(OUT.name, 1).dates == (D1,)
    assert [row[2] for row in held(house)] == [1] * 6
    put(house, lease, scores(D1, 3))
    assert [row[2] for row in held(house)] == [3, 3, 3, 1, 1, 1]


def test_vectors_of_equal_file_names_are_told_apart(house: Lake, lease: Lease) -> None:
    """Other tools name files alike in each partition; a vector belongs to one path."""
    put(house, lease, scores(D1, 1), scores(D2, 1))
    log = Path(house.uri) / "out/scores/_delta_log" / f"{1:020d}.json"
    text = log.read_text()
    for add in [e["add"] for e in log_of(house) if "add" in e]:
        other = f"{add['path'].rpartition('/')[0]}/part-0.parquet"
        (Path(house.uri) / "out/scores" / add["path"]).rename(
            Path(house.uri) / "out/scores" / other
        )
        text = text.replace(add["path"], other)
    log.write_text(text)
    delete(house, {D1: [0, 1]})
    assert [(p.day, p.rows) for p in house.partitions(OUT)] == [(D1, 1), (D2, 3)]
    assert [p.rows for p in house.partitions(OUT)] == [
        len([row for row in held(house) if row[0] == day]) for day in (D1, D2)
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("delete"), st.sampled_from([D1, D2]), st.sets(st.integers(0, 2))),
            st.tuples(st.just("put"), st.sampled_from([D1, D2]), st.integers(1, 99)),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_deletes_and_runs_in_any_order(tmp_path_factory: Any, steps: list[Any]) -> None:
    """The table holds what a plain dictionary of rows holds."""
    house = Lake(str(tmp_path_factory.mktemp("lake")))
    house.ensure(OUT)
    lease = house.acquire_lease(OUT, "run-1", seconds=600, steal=False)
    put(house, lease, scores(D1, 0), scores(D2, 0))
    model = {(day, n): 0 for day in (D1, D2) for n in range(3)}
    hidden: dict[date, set[int]] = {D1: set(), D2: set()}
    for kind, day, value in steps:
        if kind == "put":
            put(house, lease, scores(day, value))
            model |= {(day, n): value for n in range(3)}
            hidden[day] = set()
        elif value - hidden[day]:
            hidden[day] |= value
            delete(house, {day: sorted(hidden[day])}, "i")
            for n in value:
                model.pop((day, n), None)
    assert held(house) == sorted((day, f"p{n}", points) for (day, n), points in model.items())


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ({"minReaderVersion": 1, "minWriterVersion": 4}, "writer version 4"),
        (
            {
                "minReaderVersion": 1,
                "minWriterVersion": 7,
                "writerFeatures": ["rowTracking", "domainMetadata", "appendOnly"],
            },
            "domainMetadata, rowTracking",
        ),
    ],
)
def test_features_that_a_commit_would_not_keep_are_refused_before_anything(
    house: Lake, protocol: dict[str, Any], says: str
) -> None:
    """Where the job would write: nothing is computed for a table that cannot take it."""
    log = Path(house.uri) / "out/scores/_delta_log" / f"{1:020d}.json"
    log.write_text(json.dumps({"protocol": protocol}))
    with pytest.raises(ContractError, match=says):
        house.ensure(OUT)


def test_a_table_that_only_grows_is_refused(house: Lake) -> None:
    folder = f"{house.uri}/out/scores"
    DeltaTable(folder).alter.set_table_properties({"delta.appendOnly": "true"})
    with pytest.raises(ContractError, match="appendOnly"):
        house.ensure(OUT)


def test_new_columns_are_added_over_vectors(house: Lake, lease: Lease) -> None:
    put(house, lease, scores(D1, 1))
    delete(house, {D1: [0]})
    wider = replace(OUT, columns=(*OUT.columns, Column("note", Kind.STRING)))
    house.ensure(wider)
    assert stored(house, wider).rows() == [(D1, "p1", 1, None), (D1, "p2", 1, None)]
