"""Where a lake and its files are: names that every tool reads alike, and no half-made table."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.lake import commit as _commit
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, D2, EVERY, OUT, every, put, scores, stored
from tests.test_cli_tables import command


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


# -- paths -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a%20b", "x%2Fy", "%41", "a#b", "a?b", "a\\b", "a%20b/lake"])
def test_a_path_that_delta_takes_for_another_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is written: it would read the log of another folder, or none."""
    for uri in (str(tmp_path / name), f"{tmp_path}/{name}/"):
        with pytest.raises(UsageError, match="takes such a path for another") as refused:
            open_warehouse(uri)
        assert "Rename the folder" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_folder_where_a_command_is_given_counts(tmp_path: Path) -> None:
    """A relative path is below it."""
    (tmp_path / "job%2Fmain").mkdir()
    done = command(tmp_path / "job%2Fmain", "tables")
    assert (done.returncode, "%2F" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["a b", "50%", "g%h", "[k]", "i*j", "{l}", "a:b", "ü+=&;~^|"])
def test_other_paths_are_one_place_to_all(tmp_path: Path, name: str) -> None:
    lake = Lake(str(tmp_path / name))
    for points in (1, 2):
        lake.append(OUT, scores(D1, points).to_arrow(), replace_dates=True)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert stored(lake, OUT)["points"].to_list() == [2, 2, 2]
    assert [t.broken for t in lake.tables()] == [""]
    assert DeltaTable(f"{lake.uri}/out/scores").optimize.compact()["numFilesRemoved"] == 0


# -- names of files ----------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["compact", "z_order"])
def test_another_tool_compacts_what_we_wrote(house: Lake, way: str) -> None:
    """Delta's own optimizer finds every file; the rows stay, and the next commits are ours."""
    house.append(EVERY, every().to_arrow())
    house.append(EVERY, every().to_arrow())
    lease = house.acquire_lease(OUT, "20250101T000000000-abcdef", seconds=60, steal=False)
    house.ensure(OUT)
    put(house, lease, scores(D1, 1), scores(D2, 2), task="2025-01-01..2025-01-02 ~ 1")
    house.append(OUT, scores(D1, 5).to_arrow())
    before = {table.name: stored(house, table) for table in (EVERY, OUT)}
    for table, column in ((EVERY, "whole"), (OUT, "points")):
        optimize = DeltaTable(f"{house.uri}/{table.name.replace('.', '/')}").optimize
        done = optimize.compact() if way == "compact" else optimize.z_order([column])
        assert done["numFilesRemoved"] > 0
    for table in (EVERY, OUT):
        by = [c.name for c in table.columns if c.name != "texts"]
        after = stored(house, table).sort(by, nulls_last=True)
        assert after.equals(before[table.name].sort(by, nulls_last=True))
    put(house, lease, scores(D1, 7))
    house.append(EVERY, every().to_arrow(), replace_dates=True)
    assert stored(house, OUT)["points"].to_list() == [7, 7, 7, 2, 2, 2]
    assert stored(house, EVERY).equals(every().sort("game_date", "text", nulls_last=True))


def test_names_of_files_hold_nothing_that_is_encoded(house: Lake) -> None:
    for run, task in (("run-1", "a b~%/ü"), ("..", "."), ("", ""), ("a.b", "c.d")):
        (staged,) = house.stage(OUT, scores(D1, 1).to_arrow(), run_id=run, task=task)
        name = str(staged.handle["path"]).rpartition("/")[2]
        assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[0-9a-f]{32}\.parquet", name)


# -- half-made tables --------------------------------------------------------------------------
HALF: dict[str, Callable[[Path], object]] = {
    "an empty log": lambda log: None,
    "a commit that was never named": lambda log: (log / "_commit_1.json.tmp").write_text("{"),
    "an empty entry": lambda log: (log / f"{0:020d}.json").write_text(""),
    "an entry cut short": lambda log: (log / f"{0:020d}.json").write_text('{"protocol":'),
    "a later entry alone": lambda log: (log / f"{7:020d}.json").write_text("{}"),
    "a checkpoint cut short": lambda log: (log / f"{0:020d}.checkpoint.parquet").write_bytes(b"P"),
}


@pytest.mark.parametrize("half", HALF)
def test_a_half_made_table_is_listed_as_broken_beside_the_others(house: Lake, half: str) -> None:
    house.append(OUT, scores(D1, 1).to_arrow())
    log = Path(house.uri) / "shop" / "x" / "_delta_log"
    log.mkdir(parents=True)
    HALF[half](log)
    whole, broken = house.tables()
    assert (whole.name, whole.rows, whole.broken) == (OUT.name, 3, "")
    assert (broken.name, broken.rows, broken.version) == ("shop.x", 0, "")
    assert broken.broken
    assert "<unknown>" not in broken.broken, "no stack of Delta's own code"


def test_the_listing_says_what_is_broken(house: Lake, tmp_path: Path) -> None:
    house.append(OUT, scores(D1, 1).to_arrow())
    (Path(house.uri) / "shop" / "x" / "_delta_log").mkdir(parents=True)
    told = command(tmp_path, "tables", "-w", house.uri)
    assert told.returncode == 0
    assert OUT.name in told.stdout
    assert "shop.x is broken: its log holds no version" in told.stderr


def test_a_table_that_was_begun_and_never_made_can_be_made(house: Lake) -> None:
    (Path(house.uri) / "out" / "scores" / "_delta_log").mkdir(parents=True)
    house.append(OUT, scores(D1, 1).to_arrow())
    assert [(t.rows, t.broken) for t in house.tables()] == [(3, "")]


@pytest.mark.parametrize("how", ["ensure", "append"])
def test_a_table_that_cannot_be_made_leaves_nothing(
    house: Lake, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The commit fails where it is written, as on a full disk: no log, no folder, no file."""
    house.append(EVERY, every().to_arrow())
    before = sorted(Path(house.uri).rglob("*"))

    def failing(where: str, *_: object, **__: object) -> None:
        (Path(where) / "_delta_log").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_commit, "create_table_with_add_actions", failing)
    with pytest.raises(WarehouseError, match="disk is full"):
        house.ensure(OUT) if how == "ensure" else house.append(OUT, scores(D1, 1).to_arrow())
    assert sorted(p for p in Path(house.uri).rglob("*") if p.is_file()) == [
        p for p in before if p.is_file()
    ]
    assert not (Path(house.uri) / "out" / "scores").exists()
    assert [t.name for t in house.tables()] == [EVERY.name]
