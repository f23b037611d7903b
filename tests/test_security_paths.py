"""A lake ends at its root: no log, no link and no key leads out of it.

Whoever may write to a lake could otherwise have its readers read and delete files of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ray_backfill.errors import RefusedError, UsageError, WarehouseError
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill_nba.demo_league.command import app
from ray_backfill_nba.demo_league.load import remember
from ray_backfill_nba.demo_league.spec import LeagueSpec
from tests.lakes import D1, D2, OUT, put, scores, stored

LATER = datetime(2999, 1, 1, tzinfo=UTC)
OURS = f"run-1.t.{0:032x}.parquet"
"""What a run names the files that it stages."""

OUTSIDE = [
    "../other/scores/game_date=2025-01-01/x.parquet",
    "game_date=2025-01-01/../../../../x.parquet",
    "%2e%2e%2f%2e%2e/x.parquet",
    "%252e%252e%252fx.parquet",
    "..%5cx.parquet",
    "a\\..\\x.parquet",
    "/etc/x.parquet",
    "file:///etc/x.parquet",
    "s3://bucket/x.parquet",
    "s3%3A%2F%2Fbucket/x.parquet",
    "http://127.0.0.1/x.parquet",
    "a//x.parquet",
    "./x.parquet",
    "a%00.parquet",
    "",
]


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    lake.append(OUT, scores(D1, 1).to_arrow())
    lake.append(OUT, scores(D2, 2).to_arrow())
    return lake


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the lake, with a Parquet file that is not the lake's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    scores(D1, 666).drop("game_date").write_parquet(folder / OURS)
    (folder / "private.txt").write_text("private")
    return folder


def folder_of(house: Lake) -> Path:
    return Path(house.uri) / "out" / "scores"


def craft(house: Lake, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Write the first added file of the first version into the log otherwise."""
    log = folder_of(house) / "_delta_log" / f"{0:020d}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    changed = [{"add": change(line["add"])} if "add" in line else line for line in lines]
    log.write_text("\n".join(map(json.dumps, changed)) + "\n")


def uses(house: Lake) -> list[Callable[[], object]]:
    """All that follows the paths of a log."""
    lease = house.acquire_lease(OUT, "run-1", seconds=60, steal=True)
    rows = scores(D1, 3).to_arrow()
    return [
        lambda: stored(house, OUT),
        lambda: house.partitions(OUT),
        lambda: house.append(OUT, rows, replace_dates=True),
        lambda: put(house, lease, scores(D1, 3)),
        lambda: house.restore(OUT.name, 0),
    ]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_log_that_names_a_file_elsewhere_is_refused(house: Lake, path: str) -> None:
    """Read, counted, replaced or restored: each says which name it was, and changes nothing."""
    craft(house, lambda add: add | {"path": path})
    before = sorted(p.name for p in (folder_of(house) / "_delta_log").iterdir())
    for use in uses(house):
        with pytest.raises(WarehouseError, match=r"not a file\s+below the table"):
            use()
    assert sorted(p.name for p in (folder_of(house) / "_delta_log").iterdir()) == before
    (listed,) = house.tables()
    assert re.search(r"not a file\s+below the table", listed.broken)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "a=b", "%2e", "x.parquet"]), min_size=1),
    st.integers(0, 3),
)
def test_no_spelling_of_a_path_leads_out(house: Lake, parts: list[str], encodings: int) -> None:
    """However often it is encoded: what is let through stays below, however often it is decoded."""
    path = "/".join(parts)
    for _ in range(encodings):
        path = quote(path, safe="")
    table = _files.open_table(house.uri, OUT.name)
    try:
        _files._below(table, path)
    except WarehouseError:
        return
    for _ in range(encodings + 2):
        where = (folder_of(house) / path).resolve()
        assert where.is_relative_to(folder_of(house).resolve())
        path = unquote(path)


@pytest.mark.parametrize("value", ["../../x", "2025-01-01/../x", "20250101", "2025-13-01", "%2e"])
def test_a_partition_is_a_date_and_nothing_else(house: Lake, value: str) -> None:
    craft(house, lambda add: add | {"partitionValues": {"game_date": value}})
    for use in uses(house):
        with pytest.raises(WarehouseError):
            use()


def test_a_plain_encoded_path_is_read(house: Lake) -> None:
    """Delta encodes the paths of its log; that alone makes none suspicious."""
    before = stored(house, OUT)
    craft(house, lambda add: add | {"path": quote(unquote(add["path"]))})
    assert stored(house, OUT).equals(before)
    craft(house, lambda add: add | {"path": unquote(add["path"]).replace("-", "%2D")})
    assert stored(house, OUT).equals(before)


def test_a_deletion_vector_that_is_none_ends_in_one_message(house: Lake) -> None:
    """Delta's reader opens it wherever the log puts it; what is no bitmap is not shown."""
    features = ["deletionVectors"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol |= {"readerFeatures": features, "writerFeatures": features}
    vector = {"storageType": "p", "pathOrInlineDv": "file:///etc/passwd", "offset": 1}
    vector |= {"sizeInBytes": 36, "cardinality": 1}
    craft(house, lambda add: add | {"deletionVector": vector})
    log = folder_of(house) / "_delta_log" / f"{0:020d}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines = [{"protocol": protocol} if "protocol" in line else line for line in lines]
    log.write_text("\n".join(map(json.dumps, lines)) + "\n")
    with pytest.raises(WarehouseError, match="deleted failed: External error") as refused:
        stored(house, OUT)
    assert "root:" not in str(refused.value)


LINKED = ["out", "out/scores", "out/scores/_delta_log", "out/scores/game_date=2025-01-01"]


@pytest.mark.parametrize("where", LINKED)
def test_a_folder_that_is_a_link_out_of_the_lake_is_refused(
    house: Lake, outside: Path, where: str
) -> None:
    """Reading, publishing and sweeping; nothing appears there, and nothing goes."""
    linked = Path(house.uri) / where
    moved = outside / "moved"
    linked.rename(moved)
    linked.symlink_to(moved)
    before = sorted(outside.rglob("*"))
    lease = house.acquire_lease(OUT, "run-2", seconds=60, steal=True)
    for use in (
        lambda: stored(house, OUT),
        lambda: put(house, lease, scores(D1, 3)),
        lambda: house.append(OUT, scores(D1, 3).to_arrow()),
    ):
        with pytest.raises(WarehouseError, match="leads out of the lake"):
            use()
    assert sorted(outside.rglob("*")) == before


def test_a_file_that_is_a_link_out_of_the_lake_is_not_read(house: Lake, outside: Path) -> None:
    (file,) = folder_of(house).glob("game_date=2025-01-01/*.parquet")
    file.unlink()
    file.symlink_to(outside / OURS)
    with pytest.raises(WarehouseError, match="leads out of the lake"):
        stored(house, OUT)


def test_an_entry_of_the_log_that_is_a_link_out_of_the_lake_is_not_read(
    house: Lake, outside: Path
) -> None:
    """The message of a log that makes no sense would show a line of what it is."""
    (folder_of(house) / "_delta_log" / f"{2:020d}.json").symlink_to(outside / "private.txt")
    with pytest.raises(WarehouseError, match="leads out of the lake") as refused:
        stored(house, OUT)
    assert "private" not in str(refused.value)


def test_sweeping_deletes_nothing_outside(house: Lake, outside: Path) -> None:
    """Neither through a link to a folder nor to a file, though named as what a run staged."""
    (folder_of(house) / "game_date=2025-01-09").symlink_to(outside)
    (folder_of(house) / f"run-1.u.{1:032x}.parquet").symlink_to(outside / OURS)
    house.stage(OUT, scores(D2, 9).to_arrow(), run_id="run-1", task="lost")
    assert house.sweep(OUT, ended_runs=["run-1"], older_than=LATER) == 1
    assert sorted(p.name for p in outside.iterdir()) == ["private.txt", OURS]


def test_small_objects_are_neither_read_nor_written_through_links(
    house: Lake, outside: Path
) -> None:
    (Path(house.uri) / "_ray_backfill").mkdir(exist_ok=True)
    (Path(house.uri) / "_ray_backfill" / "runs").symlink_to(outside)
    for use in (
        lambda: house.get_object("runs/private.txt"),
        lambda: house.put_object("runs/private.txt", b"x"),
        lambda: house.delete_object("runs/private.txt"),
    ):
        with pytest.raises(WarehouseError, match="leads out of the lake"):
            use()
    assert (outside / "private.txt").read_text() == "private"


def test_the_lake_itself_may_be_a_link_and_so_may_folders_that_stay_inside(
    house: Lake, tmp_path: Path
) -> None:
    """Whoever runs the tool puts its root where they like."""
    (tmp_path / "link").symlink_to(house.uri)
    linked = Lake(str(tmp_path / "link"))
    (Path(house.uri) / "real").mkdir()
    (Path(house.uri) / "out" / "scores").rename(Path(house.uri) / "real" / "scores")
    (Path(house.uri) / "out" / "scores").symlink_to(Path(house.uri) / "real" / "scores")
    linked.append(OUT, scores(D2, 3).to_arrow())
    assert stored(linked, OUT).height == 9


@pytest.mark.parametrize("uri", ["a\0b", "file:///a%00b", "s3://a\nb/c", "lake\x1b[31m"])
def test_a_lake_s_own_path_has_no_control_characters(uri: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_warehouse(uri)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("foreign", ["notes.txt", "mine/notes.txt", "nba_raw/notes.txt", "link"])
def test_replacing_the_demo_deletes_the_demo_alone(tmp_path: Path, foreign: str) -> None:
    """What somebody else put beside its tables is named, and nothing at all is deleted."""
    lake = tmp_path / "lake"
    house = open_warehouse(str(lake))
    remember(house, LeagueSpec(), delivered=True)
    if foreign == "link":
        (tmp_path / "target").mkdir()
        (lake / foreign).symlink_to(tmp_path / "target")
    else:
        (lake / foreign).parent.mkdir(exist_ok=True)
        (lake / foreign).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, ["demo", "-w", str(lake), "--replace", "--only-load"])
    assert isinstance(result.exception, RefusedError)
    assert foreign in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == before
