"""What runs ask of an autoscaler is added up, and taken back whatever happens on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ray_backfill.engine.demand import Demand, DemandKeeper

ONE, TWO = {"CPU": 1.0, "memory": 5.0}, {"CPU": 1.0, "memory": 7.0}


class Autoscaler:
    """Stands where Ray's does: keeps the last request, and fails where it is told to."""

    def __init__(self) -> None:
        self.requests: list[list[Mapping[str, float]]] = []
        self.fails = 0

    def request(self, bundles: list[Mapping[str, float]]) -> None:
        if self.fails:
            self.fails -= 1
            raise TimeoutError("the cluster does not answer")
        self.requests.append(bundles)


@pytest.fixture
def autoscaler(monkeypatch: pytest.MonkeyPatch) -> Autoscaler:
    found = Autoscaler()
    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", found.request)
    return found


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The actor's own class, whose watching thread is played by the test."""
    monkeypatch.setattr(DemandKeeper, "_watch", lambda self: None)
    return DemandKeeper(3600.0)


def test_the_runs_of_a_cluster_add_up(autoscaler: Autoscaler, keeper: Any) -> None:
    """Each says what it needs; saying it again asks for nothing new."""
    keeper.ask("a", [ONE, ONE])
    keeper.ask("b", [TWO])
    keeper.ask("b", [TWO])
    keeper.ask("a", [])
    keeper.ask("b", [])
    assert autoscaler.requests == [[ONE, ONE], [ONE, ONE, TWO], [TWO], []]


def test_a_silent_run_is_forgotten(autoscaler: Autoscaler, keeper: Any) -> None:
    """Its share alone is taken back."""
    keeper.ask("a", [ONE])
    assert keeper._needed()
    keeper._forget_seconds = 0.0
    assert not keeper._needed()
    assert autoscaler.requests == [[ONE], []]


def test_what_could_not_be_taken_back_is_tried_again(autoscaler: Autoscaler, keeper: Any) -> None:
    """A cluster that does not answer at that moment does not keep its machines for ever."""
    keeper.ask("a", [ONE])
    keeper._forget_seconds = 0.0
    autoscaler.fails = 2
    assert keeper._needed()
    assert keeper._needed()
    assert not keeper._needed()
    assert autoscaler.requests == [[ONE], []]


def test_a_new_keeper_takes_back_what_a_lost_one_left(autoscaler: Autoscaler, keeper: Any) -> None:
    """It does not know what stands, so that its first word always counts."""
    keeper.ask("a", [])
    assert autoscaler.requests == [[]]


class Cluster:
    """Stands where `ray` does: finds a keeper by name whose class has gone with its last run."""

    def __init__(self, ending: int) -> None:
        self.ending = ending
        self.told: list[tuple[str, list[Mapping[str, float]]]] = []

    def remote(self, *asked: Any) -> Any:
        """`ray.remote(…)`, `….remote(…)` and `keeper.ask.remote(…)` in one."""
        if len(asked) == 2:
            self.told.append(asked)
        elif asked != (DemandKeeper,) and self.ending:
            self.ending -= 1
            raise AssertionError("Expected str or bytes, got <class 'NoneType'>")
        return self

    def options(self, **_: Any) -> Any:
        return self

    @property
    def ask(self) -> Any:
        return self


def test_a_keeper_that_has_just_ended_is_begun_anew() -> None:
    """The next run on the same cluster, a moment after the last one there."""
    cluster = Cluster(ending=1)
    Demand(cluster, "a").say([ONE])
    assert cluster.told == [("a", [ONE])]
