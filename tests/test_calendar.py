"""Windows and ranges are half-open and never reach out of their season."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.errors import UsageError
from ray_backfill.job.calendar import (
    ALL_DATES,
    DateRange,
    Season,
    Window,
    hull,
    moved,
    parse_date,
    season_of,
)
from ray_backfill.warehouse import open_warehouse
from tests.conftest import sales
from tests.engine import content, planned, ran
from tests.rolling_job import SALES

SEASONS = (
    Season("2023-24", date(2023, 10, 24), date(2024, 6, 18)),
    Season("2024-25", date(2024, 10, 22), date(2025, 6, 23)),
)
inside = st.integers(0, (SEASONS[1].end - SEASONS[1].start).days - 1).map(
    lambda n: SEASONS[1].start + timedelta(n)
)


@given(inside, st.integers(0, 40), st.integers(0, 40))
def test_a_day_window_has_its_days_before_and_ahead(day: date, before: int, ahead: int) -> None:
    """`around` holds D, `before` days back and `ahead` days on, and nothing else."""
    bounds = Window.around(before=before, ahead=ahead).bounds(day, SEASONS)
    assert bounds is not None
    assert bounds.days() == [day + timedelta(n) for n in range(-before, ahead + 1)]


@given(inside, st.integers(0, 300))
def test_season_to_date_starts_with_the_season_and_ends_in_it(day: date, ahead: int) -> None:
    """Season to date never reaches into another season, however far it looks ahead."""
    bounds = Window.season_to_date(ahead=ahead).bounds(day, SEASONS)
    assert bounds is not None
    assert bounds.start == SEASONS[1].start
    assert bounds.end == min(day + timedelta(1 + ahead), SEASONS[1].end)


@given(inside)
def test_history_excludes_the_day_itself(day: date) -> None:
    """A look-back without D ends before D."""
    bounds = Window.season_to_date(upto_day=False).bounds(day, SEASONS)
    assert bounds is not None
    assert day not in bounds
    assert bounds.end == day


def test_the_season_before_is_the_whole_one() -> None:
    """`season_before` is the earlier season, and empty for the first."""
    window = Window.season_before()
    assert window.bounds(date(2025, 1, 1), SEASONS) == SEASONS[0].range
    first = window.bounds(date(2024, 1, 1), SEASONS)
    assert first is not None
    assert not first


def test_the_season_before_is_the_last_one_before() -> None:
    """Of three seasons the third is preceded by the second, and so is the summer after it."""
    third = Season("2025-26", date(2025, 10, 21), date(2026, 6, 14))
    window = Window.season_before()
    assert window.bounds(date(2026, 1, 1), (*SEASONS, third)) == SEASONS[1].range
    assert window.bounds(date(2025, 8, 1), (*SEASONS, third)) == SEASONS[1].range


def test_a_window_of_always_has_no_bounds() -> None:
    """Tables without partitions are read whole."""
    assert Window.always().bounds(date(2025, 1, 1), SEASONS) is None


def test_a_day_between_seasons_belongs_to_none() -> None:
    """The summer is in no season."""
    assert season_of(date(2024, 8, 1), SEASONS) is None
    assert season_of(date(2024, 6, 17), SEASONS) == SEASONS[0]
    assert season_of(date(2024, 6, 18), SEASONS) is None


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize(
    "window", [Window.around(before=9, ahead=9), Window.season_to_date(ahead=9)]
)
def test_windows_end_where_the_calendar_does(window: Window, day: date) -> None:
    """A window that would reach beyond the first or the last date holds what there is of it."""
    bounds = window.bounds(day, ())
    assert bounds is not None
    assert bounds.end == (date.max if day == date.max else date(1, 1, 11))
    assert date.min <= bounds.start <= day


@given(st.dates(), st.integers(-(10**10), 10**10))
def test_a_date_moves_no_further_than_the_calendar(day: date, days: int) -> None:
    """By any number of days."""
    ordinal = min(max(day.toordinal() + days, date.min.toordinal()), date.max.toordinal())
    assert moved(day, days) == date.fromordinal(ordinal)


def test_every_range_of_partitions_leaves_out_the_very_last_date() -> None:
    """No half-open range could hold it."""
    assert date.max not in ALL_DATES
    assert str(ALL_DATES) == "0001-01-01 … 9999-12-30"


def test_the_hull_ignores_empty_ranges() -> None:
    """Empty ranges do not stretch a hull."""
    day = date(2025, 1, 5)
    assert hull([DateRange(day, day), DateRange(day, day + timedelta(2))]) == DateRange(
        day, day + timedelta(2)
    )
    assert hull([DateRange(day, day)]) is None


@pytest.mark.parametrize("text", ["2025-02-30", "2025-13-01", "yesterday", "", "2025-1-1"])
def test_a_date_that_does_not_exist_is_a_usage_error(text: str) -> None:
    """What is no date is refused with the text that was typed."""
    with pytest.raises(UsageError, match=f"'{text}' is not a date"):
        parse_date(text)


def test_a_run_over_data_of_the_last_dates_publishes_all_that_can_be_held(tmp_path: Path) -> None:
    """Sales of both ends of the calendar, and one of the date that nothing can hold, by others."""
    house = open_warehouse(str(tmp_path / "lake"))
    ends = (date(1, 1, 3), date(1, 1, 4), date.max - timedelta(1), date.max)
    house.append(SALES, sales(ends, shops=2).to_arrow())
    plan = planned(house)
    assert [d.day for d in plan.selected] == [*ends[:2], ends[2]]
    blocked = {d.day: d.reason for d in plan.decisions if d.state == "blocked"}
    assert list(blocked) == [date.max]
    assert "outside of 0001-01-01 … 9999-12-30" in blocked[date.max]
    report = ran(house)
    assert (report.exit_code, len(report.published), list(report.blocked)) == (
        0,
        3,
        [str(date.max)],
    )
    assert content(house)["day"].unique().sort().to_list() == list(ends[:3])
    assert planned(house).selected == ()
