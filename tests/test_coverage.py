"""Coverage counts what a percentage alone would hide."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from ray_backfill.inspect.coverage import coverage_of, dates_of, rows_by_date
from ray_backfill.job import DateState
from ray_backfill.plan import Decision

FIRST = date(2025, 11, 1)


def decisions(states: list[DateState], rows: int = 10) -> list[Decision]:
    return [
        Decision(FIRST + timedelta(n), state, state.value, expected_rows=rows)
        for n, state in enumerate(states)
    ]


def rows_of(values: dict[int, list[float | None]]) -> pl.DataFrame:
    rows = [(FIRST + timedelta(n), x) for n, found in values.items() for x in found]
    return pl.DataFrame(rows, schema={"day": pl.Date, "x": pl.Float64}, orient="row")


def test_due_dates_without_rows_count_against_a_column() -> None:
    """Ten rows are there and full, ten more are expected: half."""
    plan = decisions([DateState.COMPLETE, DateState.MISSING])
    (found,) = coverage_of(rows_of({0: [1.0, 2.0] * 5}), "day", ["x"], plan, "month")
    assert (found.total, found.expected, found.pct, found.pct_expected) == (10, 20, 100.0, 50.0)


def test_a_blocked_date_counts_as_a_usual_one() -> None:
    """How many rows it would have is not known; it is not taken to be none."""
    plan = decisions([DateState.COMPLETE, DateState.BLOCKED], rows=0)
    for by in ("month", "date"):
        found = coverage_of(rows_of({0: [1.0, 2.0]}), "day", ["x"], plan, by)
        assert sum(c.expected for c in found) == 4


def test_off_days_and_empty_dates_by_design_do_not_count() -> None:
    """What has no rows on purpose is explained and in no denominator."""
    states = [DateState.COMPLETE, DateState.NO_GAMES, DateState.BY_DESIGN, DateState.FUTURE]
    plan = decisions(states)
    (found,) = coverage_of(rows_of({0: [1.0]}), "day", ["x"], plan, "month")
    assert found.expected == 1
    (dates,) = dates_of(plan, {FIRST: 1}, "month")
    assert (dates.due, dates.off_days, dates.empty_by_design, dates.holes) == (1, 1, 1, {})


@pytest.mark.parametrize(
    ("values", "constant", "zero_pct", "distinct"),
    [
        ([0.0, 0.0, 0.0], True, 100.0, 1),
        ([0.0, 1.0, None], False, 50.0, 2),
        ([None, None], False, None, 0),
        ([5.0], False, 0.0, 1),
    ],
)
def test_constants_and_zeros_are_seen(
    values: list[float | None], constant: bool, zero_pct: float | None, distinct: int
) -> None:
    """A full column that says nothing is named."""
    plan = decisions([DateState.COMPLETE])
    (found,) = coverage_of(rows_of({0: values}), "day", ["x"], plan, "date")
    assert (found.constant, found.zero_pct, found.distinct) == (constant, zero_pct, distinct)


def test_rows_that_inputs_lack_count_as_expected() -> None:
    """Ten rows of one side are there; the other side's twelve count too, where they are not."""
    day = decisions([DateState.COMPLETE])[0]
    plan = [replace(day, absent_rows=12, notes=("no box scores of BOS",))]
    for rows, lacking in ((10, 12), (15, 7), (22, 0), (30, 0)):
        frame = rows_of({0: [float(n) for n in range(rows)]})
        (found,) = coverage_of(frame, "day", ["x"], plan, "month")
        assert (found.total, found.expected) == (rows, rows + lacking)
        (dates,) = dates_of(plan, rows_by_date(frame, "day"), "month")
        assert dates.lacking == ({FIRST: (lacking, "no box scores of BOS")} if lacking else {})


def test_a_blocked_date_counts_as_what_its_inputs_lack() -> None:
    """Where that is known, it is better than what is usual."""
    done, blocked = decisions([DateState.COMPLETE, DateState.BLOCKED], rows=0)
    plan = [done, replace(blocked, absent_rows=25)]
    (found,) = coverage_of(rows_of({0: [1.0, 2.0]}), "day", ["x"], plan, "month")
    assert found.expected == 27
    (only,) = coverage_of(rows_of({}), "day", ["x"], [plan[1]], "month")
    assert (only.total, only.expected) == (0, 25)
