"""A lease that was lost meanwhile is noticed at the last moment that still helps."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from ray_backfill.engine import worker
from ray_backfill.engine.lease import HeldLease
from ray_backfill.errors import LeaseHeldError, LeaseLostError
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import commit as _commit
from ray_backfill.warehouse.lake import lease as _lease
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease
from tests.engine import INLINE, ran
from tests.lakes import D1, OUT, put, scores, stored


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    """A lake with an empty output."""
    lake = Lake(str(tmp_path / "lake"))
    lake.ensure(OUT)
    return lake


def take(lake: Lake, run: str, *, steal: bool = False) -> Lease:
    return lake.acquire_lease(OUT, run, seconds=60, steal=steal)


def rob(lake: Lake) -> None:
    """Another run takes the table over, and publishes a date."""
    put(lake, take(lake, "thief", steal=True), scores(D1, 2), task="stolen")


# -- the lease itself ----------------------------------------------------------------------------
def test_an_old_view_of_the_epochs_does_not_give_the_lease(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch that was used, released and cleaned up before can be created again: that is none."""
    house.release_lease(take(house, "run-1"))
    holder = take(house, "run-2")
    real, old = _lease._epochs, [[]]
    monkeypatch.setattr(_lease, "_epochs", lambda *at: old.pop() if old else real(*at))
    with pytest.raises(LeaseHeldError, match="run-2"):
        take(house, "run-3")
    assert house.list_objects("leases/") == ["leases/out.scores/00000002.json"]
    house.renew_lease(holder, seconds=60)


def test_a_lease_that_is_stolen_while_it_is_renewed_is_lost(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the writing another run came: the renewal says so."""
    lease = take(house, "run-1")
    real = _objects.put

    def put_late(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(_objects, "put", real)
        take(house, "thief", steal=True)
        return real(*args, **kwargs)

    monkeypatch.setattr(_objects, "put", put_late)
    with pytest.raises(LeaseLostError, match="thief"):
        house.renew_lease(lease, seconds=60)


def test_a_lease_is_renewed_until_it_is_left(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread writes a later expiry, and ends with the block."""
    twice, seen = threading.Event(), []
    real = Lake.renew_lease

    def renew(self: Lake, lease: Lease, *, seconds: int) -> Lease:
        later = real(self, lease, seconds=seconds)
        seen.append(later.expires_at)
        if len(seen) == 2:
            twice.set()
        return later

    monkeypatch.setattr(Lake, "renew_lease", renew)
    with HeldLease(house, OUT, lambda: "run-1", seconds=1, steal=False) as held:
        first = held.lease.expires_at
        assert twice.wait(60)
    assert first < seen[0] < seen[1]
    assert house.lease_holder(OUT.name) is None


def test_a_run_renews_its_lease_while_it_works(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes longer than the lease lasts is published all the same."""
    renewed, waited = threading.Event(), []
    renew, compute = Lake.renew_lease, worker.compute_span

    def renewing(self: Lake, lease: Lease, *, seconds: int) -> Lease:
        later = renew(self, lease, seconds=seconds)
        renewed.set()
        return later

    def computing(*args: Any) -> Any:
        waited.append(renewed.wait(60))
        return compute(*args)

    monkeypatch.setattr(Lake, "renew_lease", renewing)
    monkeypatch.setattr(worker, "compute_span", computing)
    report = ran(lake, how=replace(INLINE, lease_seconds=1))
    assert (report.exit_code, set(waited)) == (0, {True})


# -- the commit ----------------------------------------------------------------------------------
def test_what_a_thief_published_before_the_table_was_opened_stands(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard looks after the table was opened: no later commit can be built upon unseen."""
    lease = take(house, "run-1")
    staged = house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="t")
    real = _commit.open_table

    def open_late(*args: Any) -> DeltaTable:
        monkeypatch.setattr(_commit, "open_table", real)
        rob(house)
        return real(*args)

    monkeypatch.setattr(_commit, "open_table", open_late)
    with pytest.raises(LeaseLostError, match="thief"):
        house.publish(OUT, staged, remove=[], lease=lease)
    assert stored(house, OUT)["points"].to_list() == [2, 2, 2]


def test_a_commit_that_lost_a_race_looks_at_the_lease_again(
    house: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt fails because a thief was faster; the second must not be made."""
    lease = take(house, "run-1")
    staged = house.stage(OUT, scores(D1, 1).to_arrow(), run_id="run-1", task="t")
    real = DeltaTable.create_write_transaction

    def lose(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(DeltaTable, "create_write_transaction", real)
        rob(house)
        raise CommitFailedError("another version is there")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lose)
    with pytest.raises(LeaseLostError, match="thief"):
        house.publish(OUT, staged, remove=[], lease=lease)
    assert stored(house, OUT)["points"].to_list() == [2, 2, 2]
