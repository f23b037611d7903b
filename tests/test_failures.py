"""A failure is told apart by whose it is, and what helps is tried a bounded number of times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import ray.exceptions as of_ray  # noqa: TID253 - its real errors

from ray_backfill.engine.queue import TaskQueue
from ray_backfill.engine.task import Task, halves, singles
from ray_backfill.errors import ContractError, WarehouseError
from ray_backfill.job import Day
from ray_backfill.job.calendar import Season
from ray_backfill.record.failures import remedy, was_lost

SEASON = Season("s", date(2025, 1, 1), date(2026, 1, 1))


def task(dates: int, span: str = "x") -> Task:
    """A task of some dates."""
    days = tuple(Day(SEASON.start + timedelta(n), None, "", 1) for n in range(dates))
    now = datetime(2025, 6, 1, tzinfo=UTC)
    return Task("j", "w", "r", span, 1, SEASON, (SEASON,), days, "{}", "c", now, 28, data_bytes=9)


@pytest.mark.parametrize(
    ("error", "kind", "tries"),
    [
        (of_ray.NodeDiedError("a spot machine"), "infrastructure", 8),
        (of_ray.ObjectLostError("00" * 28, None, ""), "infrastructure", 8),
        (of_ray.WorkerCrashedError(), "infrastructure", 3),
        (WarehouseError("a store that does not answer"), "infrastructure", 3),
        (OSError("a full disk"), "infrastructure", 3),
        (ContractError("a null in the key"), "data", 1),
        (ValueError("a bug"), "code", 1),
    ],
)
def test_only_infrastructure_is_tried_again_and_not_for_ever(
    error: Exception, kind: str, tries: int
) -> None:
    """A lost machine oftener than a worker that died by itself; data and code never."""
    lost = was_lost(error)
    cures = [remedy(error, n, lost * (n - 1), 1) for n in range(1, 12)]
    assert {found for found, _ in cures} == {kind}
    assert [cure for _, cure in cures] == ["again"] * (tries - 1) + ["give up"] * (12 - tries)


def test_lost_machines_do_not_use_up_the_tries_of_other_failures() -> None:
    """After five preemptions a store that does not answer is tried as if it were the first time."""
    assert remedy(WarehouseError("503"), 6, 5, 1)[1] == "again"
    assert remedy(WarehouseError("503"), 8, 5, 1)[1] == "give up"
    assert remedy(of_ray.NodeDiedError("spot"), 3, 0, 1)[1] == "again"


@pytest.mark.parametrize("error", [MemoryError(), of_ray.OutOfMemoryError("")])
def test_what_ran_out_of_memory_is_halved_at_once(error: Exception) -> None:
    """The same again would run out again; a single date is tried like other infrastructure."""
    assert remedy(error, 1, 0, 2) == ("infrastructure", "split in halves")
    assert remedy(error, 1, 0, 1) == ("infrastructure", "again")


@pytest.mark.parametrize("error", [ValueError(), ContractError("two rows"), WarehouseError("403")])
@pytest.mark.parametrize("alike", [0, 7, 8, 1000])
def test_only_a_date_that_failed_alone_is_given_up(error: Exception, alike: int) -> None:
    """However many failed in the same way: these only say how to split."""
    for dates in (2, 9, 300):
        cure = remedy(error, 3, 0, dates, alike)[1]
        assert cure == ("split into dates" if alike >= 8 else "split in halves")
    assert remedy(error, 3, 0, 1, alike)[1] == "give up"


@pytest.mark.parametrize("dates", [2, 3, 8])
def test_halves_hold_each_date_once(dates: int) -> None:
    """In order, named by their dates; what they read is no measure any more."""
    whole = task(dates)
    first, second = halves(whole)
    assert first.days + second.days == whole.days
    assert abs(len(first.days) - len(second.days)) <= 1
    assert first.span.startswith("2025-01-01")
    assert (first.data_bytes, second.data_bytes) == (0, 0)


def test_single_dates_hold_each_date_once() -> None:
    """In order, each named by its date."""
    whole = task(3)
    parts = singles(whole)
    assert tuple(day for part in parts for day in part.days) == whole.days
    assert [part.span for part in parts] == ["2025-01-01", "2025-01-02", "2025-01-03"]
    assert {part.data_bytes for part in parts} == {0}


def test_a_task_that_failed_comes_back_after_its_delay_and_a_half_before_all() -> None:
    """Also those that wait are counted, and left out when the queue is cleared."""
    queue = TaskQueue()
    queue.add(task(1, "b"))
    queue.add(task(1, "late"), delay=3600)
    queue.add(task(1, "a"), first=True)
    assert [t.span for t in queue.ready()] == ["a", "b"]
    queue.take(queue.ready()[0])
    assert [t.span for t in queue.ready()] == ["b"]
    assert ([t.span for t in queue.later()], len(queue)) == (["late"], 2)
    assert {t.span for t in queue.clear()} == {"b", "late"}
    assert (len(queue), queue.ready()) == (0, ())
