"""A nightly run with nothing to do asks a store for the same, however long its history is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto.server")

from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import DAYS, sales
from tests.engine import content, ran
from tests.history import age_table, leave_runs
from tests.lakes import D1, D2, OUT, put, scores, stored
from tests.rolling_job import MEANS, SALES
from tests.s3 import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Of pages so small that a listing that grows is seen to."""
    with Server(page=20) as running:
        yield running


def asked(server: Server, versions: int, runs: int) -> Counter[str]:
    """The requests of a run with nothing to do after so much history."""
    lake = server.lake()
    lake.append(SALES, sales().to_arrow())
    ran(lake)
    for table in (SALES.name, MEANS.name):
        age_table(lake, table, versions)
    ids = leave_runs(lake, MEANS.name, runs)
    leave_runs(lake, "shop.other", runs)
    lake.put_object(f"sweeps/{MEANS.name}.json", json.dumps({"through": ids[-2]}).encode())
    ran(lake)  # the caches know the newest versions from here on
    server.asked()
    assert ran(lake).verdict == "nothing to do"
    found = server.asked()
    assert content(lake).height == 5 * len(DAYS)
    return found


def test_a_night_with_nothing_to_do_costs_the_same_after_years(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.settings(monkeypatch)
    short, long = asked(server, 100, 40), asked(server, 300, 240)
    assert long == short
    assert 0 < short["LIST"] < 20


@pytest.mark.parametrize("way", ["publish", "load"])
def test_each_hundredth_version_leaves_a_checkpoint(tmp_path: Path, way: str) -> None:
    """So that opening a table reads no more than a hundred entries of its log."""
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    age_table(lake, OUT.name, 97)
    lease = lake.acquire_lease(OUT, "run-1", seconds=600, steal=False)
    for points in (1, 2):
        if way == "publish":
            put(lake, lease, scores(D1, points))
        else:
            lake.append(OUT, scores(D1, points).to_arrow(), replace_dates=True)
    last = json.loads((tmp_path / "lake/out/scores/_delta_log/_last_checkpoint").read_text())
    assert last["version"] == 99
    put(lake, lease, scores(D2, 3))
    assert stored(lake, OUT)["points"].to_list() == [2, 2, 2, 3, 3, 3]
