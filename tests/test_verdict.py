"""A run says what it did: the verdict compares what was published with what was planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from ray_backfill.catalog import load_job
from ray_backfill.engine import runs
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.executor import InlineExecutor, Outcome
from ray_backfill.engine.runs import RunOptions, execute
from ray_backfill.plan import Plan, Selection, make_plan
from ray_backfill.record.report import Report
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS
from tests.engine import INLINE, ROLLING, content, planned, ran
from tests.rolling_job import SALES
from tests.unruly_job import UNRULY

FEW = Selection(dates=DAYS[:6])
WITH_UNRULY = replace(INLINE, job=UNRULY)


def report(**changes: Any) -> Report:
    """The report of a run of three dates, two of which were published, settled."""
    found = Report("r", "j", "t", "w", "c", "{}", 3, {"missing": 3}, published={"a": 1, "b": 1})
    for name, value in changes.items():
        setattr(found, name, value)
    found.settle(strict=False)
    return found


# -- settling ------------------------------------------------------------------------------------
def test_all_published_is_said_where_all_are() -> None:
    """With rows, rightly empty, or removed."""
    whole = report(published={"a": 1, "b": 1, "c": 1})
    assert (whole.exit_code, whole.verdict) == (0, "all 3 planned dates published")
    mixed = report(published={"a": 1}, empty={"b": "x"}, removed=["c"])
    assert mixed.exit_code == 0
    assert mixed.verdict == "all 3 planned dates published, 1 of them empty, 1 of them removed"


def test_a_date_that_never_came_back_is_no_success() -> None:
    """Neither published nor failed: exit 1, and counted."""
    lost = report(not_started=["c"])
    assert lost.exit_code == 1
    assert "2 of 3 dates published; 1 were planned and never came back" in lost.verdict


@pytest.mark.parametrize("what", ["failed", "quarantined", "known_bad", "too_large"])
def test_each_kind_of_unpublished_date_is_exit_1(what: str) -> None:
    """Whatever the reason is, and whatever else was published."""
    found = report(planned=2, **{what: {"c": "why"}})
    assert (found.exit_code, found.verdict.startswith("all")) == (1, False)


def test_a_cancelled_run_with_dates_left_is_130() -> None:
    """With how many are left."""
    found = report(cancelled=True, not_started=["c"])
    assert found.exit_code == 130
    assert "2 of 3 dates published, 1 were not" in found.verdict


# -- in a run ------------------------------------------------------------------------------------
class Custom(InlineExecutor):
    """Changes what a task says of itself."""

    change: Callable[[Outcome], list[Outcome]]

    def wait(self, seconds: float) -> list[Outcome]:
        return [one for outcome in super().wait(seconds) for one in type(self).change(outcome)]


@pytest.fixture
def changed(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[Outcome], list[Outcome]]], None]:
    """Have the outcomes of this process's tasks changed by a function."""

    def use(change: Callable[[Outcome], list[Outcome]]) -> None:
        monkeypatch.setattr(Custom, "change", staticmethod(change), raising=False)
        monkeypatch.setattr(runs, "InlineExecutor", Custom)

    return use


def test_a_worker_that_ends_without_a_handover_is_asked_again(
    lake: Warehouse, changed: Callable[..., None]
) -> None:
    """What it did not hand over is tried again, as a failure of infrastructure."""
    lost: list[Outcome] = []

    def lose_first(outcome: Outcome) -> list[Outcome]:
        if outcome.handover and not lost:
            lost.append(outcome)
            return []
        return [outcome]

    changed(lose_first)
    found = ran(lake, selection=FEW)
    assert lost
    assert (found.exit_code, len(found.published)) == (0, 6)
    assert found.retry_counts == {"infrastructure": 1}
    assert found.retries[0]["message"] == "The worker ended without handing this over."


def test_a_worker_that_never_hands_over_fails_its_dates_by_name(
    lake: Warehouse, changed: Callable[..., None]
) -> None:
    """After a few tries; no date of it counts as published."""
    changed(lambda outcome: [] if outcome.handover else [outcome])
    found = ran(lake, selection=FEW)
    assert (found.exit_code, found.published) == (1, {})
    assert set(found.failed) == {str(day) for day in DAYS[:6]}
    assert set(found.failed.values()) == {"The worker ended without handing this over."}
    assert lake.partitions(load_job(ROLLING).table) == []


def test_dates_that_get_lost_between_worker_and_driver_are_counted(
    lake: Warehouse, changed: Callable[..., None]
) -> None:
    """Half of a task is forgotten by whoever runs it: exit 1, and the dates by name."""

    def forget(outcome: Outcome) -> list[Outcome]:
        if outcome.handover:
            return []
        return [replace(outcome, task=replace(outcome.task, days=outcome.task.days[:0]))]

    changed(forget)
    found = ran(lake, selection=FEW)
    assert found.exit_code == 1
    assert found.not_started == [str(day) for day in DAYS[:6]]
    assert "6 were planned and never came back" in found.verdict


def test_only_what_a_commit_says_it_holds_counts_as_published(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warehouse that left a date out has it tried again."""
    real, left_out = type(lake).publish, [DAYS[2]]

    def publish(self: Any, table: Any, staged: Any, *, remove: Any, lease: Any) -> Any:
        days = left_out.copy()
        left_out.clear()
        kept = [one for one in staged if one.day not in days]
        return real(self, table, kept, remove=remove, lease=lease)

    monkeypatch.setattr(type(lake), "publish", publish)
    found = ran(lake, selection=FEW)
    assert (found.exit_code, len(found.published)) == (0, 6)
    assert found.retry_counts == {"infrastructure": 1}
    assert set(content(lake)["day"]) == set(DAYS[:6])


def watched(switch: Switch, when: Callable[[Mapping[str, Any]], bool]) -> Any:
    """Has the run asked to stop at an event."""

    @contextmanager
    def watch(driver: Driver) -> Iterator[None]:
        def see(event: Mapping[str, Any]) -> None:
            if when(event):
                switch.off = True

        driver.watchers.append(see)
        yield

    return watch


def stopped_at(house: Warehouse, plan: Plan, event: str, how: RunOptions = INLINE) -> Report:
    """The report of a run that is asked to stop when the event comes."""
    switch = Switch()
    watch = watched(switch, lambda seen: seen["event"] == event)
    return execute(house, load_job(how.job), lambda: plan, how, switch, watch)


@pytest.mark.parametrize("event", ["published", "handover", "span_done"])
def test_an_interrupt_after_the_last_date_is_no_cancelling(lake: Warehouse, event: str) -> None:
    """All is done, and so it is said: exit 0."""
    found = stopped_at(lake, planned(lake, selection=FEW), event)
    assert (found.exit_code, found.cancelled) == (0, False)
    assert found.verdict == "all 6 planned dates published"


def test_an_interrupt_before_the_last_date_is_one(lake: Warehouse) -> None:
    """The same moment of a run that has more to do."""
    found = stopped_at(lake, planned(lake), "span_done")
    assert (found.exit_code, found.cancelled) == (130, True)
    assert 0 < len(found.published) < len(DAYS)
    assert len(found.published) + len(found.not_started) == len(DAYS)


def test_an_interrupt_after_the_last_date_hides_no_failure(lake: Warehouse) -> None:
    """A date that failed before it is still exit 1."""
    bad = [f"on={DAYS[3]}", "what=value"]
    plan = planned(lake, bad, Selection(dates=DAYS[3:4]), job=UNRULY)
    found = stopped_at(lake, plan, "attempt", WITH_UNRULY)
    assert (found.exit_code, list(found.failed)) == (1, [str(DAYS[3])])


def test_a_date_that_fits_no_worker_makes_a_run_exit_1(lake: Warehouse) -> None:
    """The others are published, and it is named with what it needs."""
    large = DAYS[-1]
    rows = [(large, f"s{n}", 1) for n in range(40_000)]
    lake.append(SALES, pl.DataFrame(rows, schema=SALES.schema(), orient="row").to_arrow())
    job = load_job(ROLLING)
    facts = survey(lake, job)
    needs = {
        day: facts.sizing.need(
            [day], facts.calendar.days[day].expected_rows, facts.calendar.seasons
        )
        for day in (DAYS[0], large)
    }
    chosen = Selection(dates=(DAYS[0], large))
    plan = make_plan(ROLLING, facts, chosen, 1, worker_memory=needs[large] - 1)
    assert needs[DAYS[0]] < needs[large] - 1
    found = execute(
        lake, job, lambda: plan, INLINE, Switch(), watched(Switch(), lambda event: False)
    )
    assert (found.exit_code, list(found.too_large)) == (1, [str(large)])
    assert "1 do not fit in --worker-memory" in found.verdict
    assert list(found.published) == [str(DAYS[0])]


# -- blame ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("what", "kind"), [("value", "code"), ("data", "data")])
def test_good_dates_among_many_bad_ones_are_published(
    lake: Warehouse, what: str, kind: str
) -> None:
    """Nine dates fail in one way, beside seven good ones: only those that failed are blamed."""
    days = DAYS[:16]
    bad = [*days[:8], days[11]]
    options = [f"what={what}", f"on={','.join(map(str, bad))}"]
    found = ran(lake, options, Selection(dates=days), WITH_UNRULY)
    assert set(found.failed) == {str(day) for day in bad}
    assert set(found.published) == {str(day) for day in days if day not in bad}
    assert set(found.retry_counts) == {kind}
    again = ran(lake, options, Selection(dates=days), WITH_UNRULY)
    assert set(again.failed) | set(again.known_bad) == {str(day) for day in bad}


def known_bad(house: Warehouse, options: list[str]) -> set[date]:
    decisions = planned(house, options, job=UNRULY).decisions
    return {decision.day for decision in decisions if decision.known_bad}


def test_a_date_that_failed_on_its_data_waits_for_other_data(lake: Warehouse) -> None:
    """The attempt carries the fingerprint that it failed on: the same again is not tried."""
    bad = DAYS[5]
    ran(lake, how=WITH_UNRULY)
    options = ["what=data", f"on={bad}"]
    found = ran(lake, options, Selection(dates=(bad,)), WITH_UNRULY)
    assert found.failed == {str(bad): "asked for"}
    assert known_bad(lake, options) == {bad}
    late = pl.DataFrame([(bad, "late", 1)], schema=SALES.schema(), orient="row")
    lake.append(SALES, late.to_arrow())
    assert known_bad(lake, options) == set()


# -- waiting -------------------------------------------------------------------------------------
def test_a_run_without_ray_waits_through_a_back_off(
    lake: Warehouse, changed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks a few times a second whether there is something to do, and does not spin."""
    turns, real = [0], Custom.wait

    def counted(self: Custom, seconds: float) -> list[Outcome]:
        turns[0] += 1
        return real(self, seconds)

    changed(lambda outcome: [] if outcome.handover else [outcome])
    monkeypatch.setattr(Custom, "wait", counted)
    found = ran(lake, selection=Selection(dates=DAYS[:1]), how=replace(INLINE, backoff_seconds=0.4))
    assert found.retry_counts == {"infrastructure": 2}
    assert turns[0] < 30
