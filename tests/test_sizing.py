"""What a span needs comes from the rows that its windows hold, and no span needs too much."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.cli import plan as plan_command
from ray_backfill.errors import UsageError
from ray_backfill.job import Calendar, Day, Input, Job
from ray_backfill.job.calendar import Season, Window
from ray_backfill.job.plain import every_date, views_of
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.plan import Facts, Selection, make_plan
from ray_backfill.plan.sizing import BASE_BYTES, human_bytes, parse_bytes, sizing_of
from ray_backfill.record.report import Report, past_memory_factor, save_report
from ray_backfill.warehouse import Warehouse
from tests.engine import planned, ran
from tests.rolling_job import MEANS

START = date(2025, 1, 1)
SEASONS = (
    Season("a", START, START + timedelta(40)),
    Season("b", START + timedelta(40), START + timedelta(80)),
)
DAY = Column("day", Kind.DATE, nullable=False)
NUMBER = Column("n", Kind.INT)
RAW = Table("raw.t", (DAY, NUMBER), partition="day")
OUT = Table("out.t", (DAY, NUMBER), key=("day",), partition="day")
WINDOWS = st.one_of(
    st.builds(lambda b, a: Window.around(before=b, ahead=a), st.integers(0, 9), st.integers(0, 9)),
    st.just(Window.season_to_date()),
    st.just(Window.season_to_date(upto_day=False)),
    st.just(Window.whole_season()),
    st.just(Window.season_before()),
)


def job_of(window: Window) -> Job:
    """A job that reads one table over a window."""
    source = Input("t", RAW, ("day", "n"), window)
    return Job(
        "sized",
        "A job.",
        OUT,
        (source,),
        views_of((source,)),
        every_date(source, ("n",)),
        {"t": ("day", "n")},
        lambda frames, dates, context: pytest.fail("nothing is computed"),
        ("tests.test_sizing",),
    )


def by_hand(window: Window, held: Mapping[int, int], days: list[date]) -> int:
    """Rows within the smallest range that covers every window, counted date by date."""
    found = [window.bounds(day, SEASONS) for day in days]
    ranges = [r for r in found if r is not None and r.start < r.end]
    if not ranges:
        return 0
    first, last = min(r.start for r in ranges), max(r.end for r in ranges)
    return sum(rows for at, rows in held.items() if first <= START + timedelta(at) < last)


@given(
    WINDOWS,
    st.dictionaries(st.integers(-5, 85), st.integers(1, 10_000), max_size=40),
    st.lists(st.integers(0, 79), unique=True, min_size=1, max_size=12),
    st.integers(0, 10_000),
)
def test_the_bytes_of_a_span_are_those_of_the_rows_in_its_windows(
    window: Window, held: dict[int, int], offsets: list[int], rows: int
) -> None:
    """Against counting each date: 12 bytes a row in, and what the output's row has."""
    days = sorted(START + timedelta(n) for n in offsets)
    parts = {START + timedelta(n): count for n, count in held.items()}
    sizing = sizing_of(job_of(window), {"t": parts}, factor=3.0)
    stamp = 24 * 5 + 8 * 2
    expected = by_hand(window, held, days) * 12 + rows * (12 + stamp)
    assert sizing.data_bytes(days, rows, SEASONS) == expected
    assert sizing.need(days, rows, SEASONS) == BASE_BYTES + 3 * expected


def test_a_table_without_partitions_is_counted_whole() -> None:
    """Whatever the dates are."""
    sizing = sizing_of(job_of(Window.always()), {"t": {None: 1000}})
    assert sizing.data_bytes([START], 0, SEASONS) == 12_000


def facts_of(rows: Mapping[date, int], window: Window) -> Facts:
    """Facts of a calendar in which each date is due."""
    days = {day: Day(day, None, "", 10) for day in rows}
    sizing = sizing_of(job_of(window), {"t": rows}, factor=1.0)
    return Facts(Calendar(SEASONS, days), {}, {}, {}, "c", "{}", sizing)


@given(
    st.dictionaries(st.integers(0, 79), st.integers(1, 200_000), min_size=1, max_size=60),
    st.integers(1, 4 * 2**20),
    st.integers(1, 9),
)
def test_every_span_fits_and_a_date_that_does_not_is_named(
    held: dict[int, int], room: int, workers: int
) -> None:
    """Dates are planned or left out, each once; the left out need too much even alone."""
    rows = {START + timedelta(n): count for n, count in sorted(held.items())}
    facts, limit = facts_of(rows, Window.season_to_date()), BASE_BYTES + room
    plan = make_plan("sized", facts, Selection(), workers, limit)
    assert all(span.memory_bytes <= limit for span in plan.spans)
    spanned = [day for span in plan.spans for day in span.days]
    assert sorted([*spanned, *plan.too_large]) == sorted(rows)
    assert {d.day for d in plan.selected} == set(spanned)
    for day, why in plan.too_large.items():
        assert facts.sizing.need([day], 10, SEASONS) > limit
        assert human_bytes(limit) in why
        assert "t " in why


def test_the_look_back_of_a_late_date_can_be_too_much_where_an_early_one_fits() -> None:
    """The message holds the numbers: what is needed, for which rows, and what there is."""
    rows = {START + timedelta(n): 100_000 for n in range(40)}
    plan = make_plan(
        "sized",
        facts_of(rows, Window.season_to_date()),
        Selection(),
        1,
        BASE_BYTES + 12 * 2_000_000,
    )
    assert sorted(plan.too_large) == [START + timedelta(n) for n in range(19, 40)]
    assert "t 4,000,000 rows" in plan.too_large[START + timedelta(39)]
    assert "--worker-memory" in plan.too_large[START + timedelta(39)]


def test_what_past_runs_needed_makes_the_next_estimate(lake: Warehouse) -> None:
    """The highest of the last reports, with a margin; no report, no opinion."""
    assert past_memory_factor(lake, MEANS.name) is None
    report = ran(lake)
    assert past_memory_factor(lake, MEANS.name) is None, "a small run says nothing"
    report.learn_memory(BASE_BYTES + 300 * 2**20, 100 * 2**20)
    report.learn_memory(BASE_BYTES + 80 * 2**20, 2**20)
    save_report(lake, report)
    assert past_memory_factor(lake, MEANS.name) == pytest.approx(3.0 * 1.25)
    assert planned(lake).selected == ()


def test_a_run_measures_what_its_workers_needed(lake: Warehouse) -> None:
    """The peak is that of a task, not of all that the process ever held."""
    report: Report = ran(lake)
    assert report.peak_worker_bytes > 30 * 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("512 MiB", 512 * 2**20), ("1.5g", 3 * 2**29), ("1024", 1024)],
)
def test_sizes_of_memory(text: str, size: int) -> None:
    """What people write."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "much", "4 XB", "-1g", "9" * 400, "9999999t"])
def test_what_is_no_size_of_memory_is_a_usage_error(text: str) -> None:
    """With an example."""
    with pytest.raises(UsageError, match="4GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("limit", "share"),
    [("2147483648\n", 2**31 * 4 // 5 // 2), ("max\n", None), ("9223372036854771712\n", None)],
)
def test_a_worker_has_its_share_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, share: int | None
) -> None:
    """Where the system limits it, not of the whole machine; a cluster's nodes are others."""
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(plan_command, "_CONTAINER_LIMITS", ())
    machine, there = plan_command.memory_of(None, 2), plan_command.memory_of(None, 2, here=False)
    limits = (str(tmp_path / "memory.max"), str(tmp_path / "nothing"))
    monkeypatch.setattr(plan_command, "_CONTAINER_LIMITS", limits)
    assert plan_command.memory_of(None, 2) == (share or machine)
    assert plan_command.memory_of(None, 2, here=False) == there
