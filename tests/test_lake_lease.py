"""Leases: one holder at a time, whoever dies, sleeps or steals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ray_backfill.errors import LeaseHeldError, LeaseLostError
from ray_backfill.warehouse.lake import lease as _lease
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease
from tests.lakes import OUT


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2025, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_lease, "now", made)
    return made


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def take(lake: Lake, run: str, *, steal: bool = False) -> Lease:
    return lake.acquire_lease(OUT, run, seconds=60, steal=steal)


def test_a_second_run_is_told_who_holds_the_table(house: Lake, clock: Clock) -> None:
    lease = take(house, "run-1")
    assert lease.expires_at == clock.time + timedelta(seconds=60)
    with pytest.raises(LeaseHeldError) as caught:
        take(house, "run-2")
    text = str(caught.value)
    for part in ("run-1", "pid ", "since 2025-01-01T00:00:00", "00:01:00", "--steal-lease"):
        assert part in text


def test_a_released_lease_is_free_at_once(house: Lake) -> None:
    first = take(house, "run-1")
    house.release_lease(first)
    assert take(house, "run-2").epoch == first.epoch + 1
    house.release_lease(first)  # long gone: nothing happens
    with pytest.raises(LeaseHeldError, match="run-2"):
        take(house, "run-3")
    with pytest.raises(LeaseLostError):
        house.renew_lease(first, seconds=60)


def test_an_expired_lease_can_be_taken(house: Lake, clock: Clock) -> None:
    first = take(house, "run-1")
    clock.move(59)
    with pytest.raises(LeaseHeldError):
        take(house, "run-2")
    clock.move(1)
    take(house, "run-2")
    with pytest.raises(LeaseLostError, match="taken over by run run-2"):
        house.renew_lease(first, seconds=60)


def test_renewing_keeps_it(house: Lake, clock: Clock) -> None:
    lease = take(house, "run-1")
    for _ in range(5):
        clock.move(50)
        lease = house.renew_lease(lease, seconds=60)
    assert lease.expires_at == clock.time + timedelta(seconds=60)
    with pytest.raises(LeaseHeldError, match="since 2025-01-01T00:00:00"):
        take(house, "run-2")


def test_a_holder_that_slept_goes_on_if_nobody_came(house: Lake, clock: Clock) -> None:
    lease = take(house, "run-1")
    clock.move(3600)
    lease = house.renew_lease(lease, seconds=60)
    with pytest.raises(LeaseHeldError):
        take(house, "run-2")


def test_stealing_takes_a_live_lease(house: Lake, clock: Clock) -> None:
    first = take(house, "run-1")
    second = take(house, "run-2", steal=True)
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLostError, match="run-2"):
        house.renew_lease(first, seconds=60)
    house.release_lease(first)
    house.renew_lease(second, seconds=60)


def test_tables_have_leases_of_their_own(house: Lake) -> None:
    take(house, "run-1")
    other = house.acquire_lease(replace(OUT, name="out.other"), "run-2", seconds=60, steal=False)
    assert other.epoch == 1


def test_old_epochs_are_cleaned_up(house: Lake) -> None:
    for n in range(5):
        house.release_lease(take(house, f"run-{n}"))
    assert house.list_objects("leases/") == ["leases/out.scores/00000005.json"]


def test_a_lease_file_that_is_gone_is_lost(house: Lake) -> None:
    lease = take(house, "run-1")
    next(Path(house.uri).rglob("0*.json")).unlink()
    with pytest.raises(LeaseLostError, match="is gone"):
        house.renew_lease(lease, seconds=60)


def test_a_lease_file_that_cannot_be_read_is_held(house: Lake) -> None:
    take(house, "run-1")
    next(Path(house.uri).rglob("0*.json")).write_bytes(b"{")
    with pytest.raises(LeaseHeldError, match="--steal-lease"):
        take(house, "run-2")
    take(house, "run-2", steal=True)


@pytest.mark.parametrize("start", ["new", "released", "expired", "stolen"])
def test_of_many_at_once_one_wins(house: Lake, clock: Clock, start: str) -> None:
    if start != "new":
        first = take(house, "run-0")
        if start == "released":
            house.release_lease(first)
        clock.move(0 if start == "stolen" else 60)

    def attempt(n: int) -> Lease | LeaseHeldError:
        try:
            return take(Lake(house.uri), f"run-{n}")
        except LeaseHeldError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(1, 9)))
    won = [r for r in results if isinstance(r, Lease)]
    assert len(won) == (0 if start == "stolen" else 1)
    for lease in won:
        house.renew_lease(lease, seconds=60)


class Holders(RuleBasedStateMachine):
    """Runs that acquire, steal, renew, release and sleep in any order."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.lake = Lake(self.folder.name)
        self.clock = Clock()
        self.before = _lease.now
        _lease.now = self.clock
        self.leases: dict[str, Lease] = {}
        self.holder: str | None = None
        self.count = 0

    def teardown(self) -> None:
        _lease.now = self.before
        self.folder.cleanup()

    def free(self) -> bool:
        held = self.leases.get(self.holder or "")
        return held is None or held.expires_at <= self.clock.time

    @rule(steal=st.booleans())
    def acquire(self, steal: bool) -> None:
        self.count += 1
        run = f"run-{self.count}"
        if self.free() or steal:
            self.leases[run] = take(self.lake, run, steal=steal)
            self.holder = run
        else:
            with pytest.raises(LeaseHeldError, match=self.holder):
                take(self.lake, run)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: Any) -> None:
        run = data.draw(st.sampled_from(sorted(self.leases)))
        if run == self.holder:
            self.leases[run] = self.lake.renew_lease(self.leases[run], seconds=60)
        else:
            with pytest.raises(LeaseLostError):
                self.lake.renew_lease(self.leases[run], seconds=60)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        run = data.draw(st.sampled_from(sorted(self.leases)))
        self.lake.release_lease(self.leases.pop(run))
        if run == self.holder:
            self.holder = None

    @rule(seconds=st.integers(0, 90))
    def sleep(self, seconds: int) -> None:
        self.clock.move(seconds)

    @invariant()
    def at_most_one_epoch_is_left(self) -> None:
        assert len(self.lake.list_objects("leases/")) <= 1


TestHolders = Holders.TestCase
TestHolders.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
)
