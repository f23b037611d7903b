"""The same lake in an object store, over a real S3 protocol (moto's server; skipped without)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import obstore
import polars as pl
import pytest
from obstore.store import from_url

from ray_backfill.errors import LeaseHeldError, UsageError, WarehouseError
from ray_backfill.warehouse.lake import tidy as _tidy
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease
from tests.lakes import D1, D2, D3, EVERY, OUT, every, put, scores, stored

pytest.importorskip("moto.server")

from tests.s3 import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, server: Server) -> Lake:
    server.settings(monkeypatch)
    return server.lake()


@pytest.mark.parametrize("folder", ["a%20b", "a b", "100%25", "caf%C3%A9"])
def test_a_url_is_one_place_however_it_is_encoded(house: Lake, folder: str) -> None:
    """Delta, the object store and Polars read the same keys, which are those of the other way."""
    root = house.uri.removesuffix("some/lake")
    odd = Lake(root + folder)
    odd.append(OUT, scores(D1, 1).to_arrow())
    odd.append(OUT, scores(D1, 2).to_arrow(), replace_dates=True)
    assert stored(odd, OUT)["points"].to_list() == [2, 2, 2]
    assert len(odd.history(OUT.name)) == 2
    plain = Lake(root + unquote(folder))
    assert (plain.uri, stored(plain, OUT).height) == (odd.uri, 3)
    keys = [m["path"] for page in obstore.list(from_url(root)) for m in page]
    assert {str(key).partition("/")[0] for key in keys} == {unquote(folder)}


@pytest.mark.parametrize("folder", ["a%2520b", "a%3Fb", "a%23b", "a%5Cb"])
def test_a_url_that_is_several_places_is_refused(folder: str) -> None:
    with pytest.raises(UsageError, match="another one"):
        Lake(f"s3://bucket/{folder}")


def test_reading_publishing_and_restoring(house: Lake) -> None:
    assert house.tables() == []
    house.ensure(OUT)
    lease = house.acquire_lease(OUT, "run-1", seconds=60, steal=False)
    put(house, lease, scores(D1, 1), scores(D2, 2))
    put(house, lease, scores(D2, 3, 1))
    assert stored(house, OUT)["points"].to_list() == [1, 1, 1, 3]
    house.append(EVERY, every().to_arrow())
    house.append(EVERY, every().to_arrow(), replace_dates=True)
    assert stored(house, EVERY).equals(every().sort("game_date", "text", nulls_last=True))
    house.stage(OUT, scores(D3, 1).to_arrow(), run_id="run-1", task="lost")
    later = datetime(2999, 1, 1, tzinfo=UTC)
    assert house.sweep(OUT, ended_runs=["run-1"], older_than=later) == 1
    assert house.restore(OUT.name, 1).dates == (D2,)
    assert [(t.name, t.rows) for t in house.tables()] == [("out.scores", 6), ("raw.every", 4)]
    house.put_object("runs/x", b"1")
    assert (house.list_objects("runs/"), house.get_object("runs/x")) == (["runs/x"], b"1")


def test_races_have_one_winner(house: Lake) -> None:
    house.ensure(OUT)

    def take(n: int) -> Lease | None:
        try:
            return Lake(house.uri).acquire_lease(OUT, f"run-{n}", seconds=60, steal=False)
        except LeaseHeldError:
            return None

    with ThreadPoolExecutor(4) as pool:
        won = [lease for lease in pool.map(take, range(6)) if lease]
    assert len(won) == 1

    def publish(n: int) -> int:
        return int(put(Lake(house.uri), won[0], scores(D1 + timedelta(n), n), task=str(n)))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(publish, range(6))) == [1, 2, 3, 4, 5, 6]
    assert stored(house, OUT).height == 18


def test_missing_files_and_buckets_are_named(house: Lake) -> None:
    house.append(OUT, scores(D2, 1).to_arrow())
    store = from_url(house.uri)
    paths = [m["path"] for page in obstore.list(store, f"out/scores/game_date={D2}") for m in page]
    obstore.delete(store, paths)
    with pytest.raises(WarehouseError, match=f"the file of {D2} is missing: {house.uri}/out"):
        stored(house, OUT)
    with pytest.raises(WarehouseError, match="NoSuchBucket"):
        Lake("s3://no-such-bucket/x").tables()


def test_tidying_merges_and_expires(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as in a folder: rows stay, old versions and their files go, others can be read."""
    for points in range(4):
        house.append(OUT, pl.concat([scores(D1, points), scores(D2, points)]).to_arrow())
    before = stored(house, OUT)
    month = timedelta(days=30)
    done = house.tidy(OUT.name, keep=month, run_id="tidy-1", dry_run=False)
    assert (done.merged, done.expired, done.problems) == (8, 0, ())
    monkeypatch.setattr(_tidy, "now", lambda: datetime.now(UTC) + 3 * month)
    done = house.tidy(OUT.name, keep=month, run_id="tidy-2", dry_run=False)
    assert (done.merged, done.expired, done.removed) == (0, 4, 8)
    assert done.after is not None
    assert (done.after.files, done.after.versions) == (2, 1)
    by = ["game_date", "player", "points"]
    assert stored(house, OUT).sort(by).equals(before.sort(by))
    house.append(OUT, scores(D3, 9).to_arrow())
    house.restore(OUT.name, 4)
    assert stored(house, OUT).sort(by).equals(before.sort(by))
    with pytest.raises(UsageError, match="no version 3 any more"):
        house.restore(OUT.name, 3)
