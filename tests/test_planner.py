"""The plan is a pure function: each date has one state, one reason, and at most one span."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.errors import UsageError
from ray_backfill.job import Calendar, DateState, Day
from ray_backfill.job.calendar import Season
from ray_backfill.plan import (
    Attempt,
    Facts,
    Selection,
    Stamp,
    asked_days,
    decide,
    make_plan,
    pick,
)
from ray_backfill.plan.sizing import Sizing
from ray_backfill.plan.spans import make_spans
from ray_backfill.staleness.fingerprint import changed_views, fingerprints
from tests.rolling_job import JOB

SEASON = Season("2025-26", date(2025, 10, 21), date(2026, 6, 20))
DAY = date(2025, 11, 4)


def facts(
    *,
    entry: Day | None = None,
    stamp: Stamp | None = None,
    attempt: Attempt | None = None,
    fingerprint: str = "lines=a;box=b",
) -> Facts:
    entry = entry or Day(DAY, None, expected_rows=300)
    return Facts(
        calendar=Calendar((SEASON,), {DAY: entry}),
        fingerprints={DAY: fingerprint},
        stamps={DAY: stamp} if stamp else {},
        attempts={DAY: attempt} if attempt else {},
        code_version="c1",
        job_options="{}",
        rules="r1",
    )


GOOD = Stamp("lines=a;box=b", "c1", "{}", 300)


def test_a_due_date_without_output_is_missing() -> None:
    """No row in the output: missing, to be computed."""
    (found,) = decide(facts(), [DAY])
    assert (found.state, found.action) == (DateState.MISSING, "compute")


def test_equal_stamps_are_complete() -> None:
    """The same inputs, code and options leave nothing to do."""
    (found,) = decide(facts(stamp=GOOD), [DAY])
    assert found.state == DateState.COMPLETE
    assert pick([found], ("missing", "stale")) == []


@pytest.mark.parametrize(
    ("stamp", "reason", "code_alone"),
    [
        (replace(GOOD, fingerprint="lines=x;box=b"), "changed: lines", False),
        (replace(GOOD, fingerprint="lines=a"), "changed: box", False),
        (replace(GOOD, fingerprint="lines=a;box=b;old=1"), "changed: old", False),
        (replace(GOOD, code_version="c0"), "code c0 → c1", True),
        (replace(GOOD, job_options='{"x":1}'), 'options {"x":1} → {}', False),
        (replace(GOOD, mixed=True), "its rows carry different stamps", False),
        (
            replace(GOOD, fingerprint="lines=x;box=y", code_version="c0"),
            "changed: lines, box; code c0 → c1",
            False,
        ),
    ],
)
def test_a_stale_date_names_what_changed(stamp: Stamp, reason: str, code_alone: bool) -> None:
    """Views, code and options that differ are in the reason, by name."""
    (found,) = decide(facts(stamp=stamp), [DAY])
    assert (found.state, found.reason, found.code_alone) == (DateState.STALE, reason, code_alone)


@pytest.mark.parametrize("state", [DateState.NO_GAMES, DateState.BY_DESIGN])
def test_rows_of_a_date_that_is_not_due_any_more_are_removed(state: DateState) -> None:
    """A postponed game leaves no rows behind."""
    (found,) = decide(facts(entry=Day(DAY, state, "moved"), stamp=GOOD), [DAY])
    assert (found.state, found.action) == (DateState.STALE, "remove")
    assert "moved" in found.reason


@pytest.mark.parametrize("state", [DateState.BLOCKED, DateState.FUTURE])
def test_rows_of_a_blocked_date_are_left_alone(state: DateState) -> None:
    """What cannot be computed now is neither deleted nor planned."""
    (found,) = decide(facts(entry=Day(DAY, state, "no box scores"), stamp=GOOD), [DAY])
    assert (found.state, found.action) == (state, None)
    assert pick([found], ("all",)) == []


JUDGED_BY = Day(DAY, None, expected_rows=300).judged_by("r1")
BAD = Attempt("quarantined", "data", "two rows disagree", "lines=a;box=b", "c1", "{}", JUDGED_BY)


def test_a_data_failure_is_not_tried_again_on_the_same_inputs() -> None:
    """Exactly these inputs and this code: only `failed` or `all` take it."""
    (found,) = decide(facts(attempt=BAD), [DAY])
    assert found.known_bad
    assert "two rows disagree" in found.reason
    assert pick([found], ("missing", "stale")) == []
    assert pick([found], ("failed",)) == [found]
    assert pick([found], ("all",)) == [found]


@pytest.mark.parametrize(
    "attempt",
    [
        replace(BAD, fingerprint="lines=z;box=b"),
        replace(BAD, code_version="c0"),
        replace(BAD, job_options='{"x":1}'),
        replace(BAD, judged_by=Day(DAY, None, expected_rows=300).judged_by("r0")),
        replace(BAD, judged_by=Day(DAY, None, expected_rows=299).judged_by("r1")),
        replace(BAD, judged_by=Day(DAY, None, "", 300, ("a note",)).judged_by("r1")),
        replace(BAD, kind="code"),
        replace(BAD, kind="infrastructure"),
    ],
)
def test_any_other_failure_is_tried_again(attempt: Attempt) -> None:
    """New inputs, code, gates or notes for them, or a failure not of the data: as usual."""
    (found,) = decide(facts(attempt=attempt), [DAY])
    assert not found.known_bad
    assert pick([found], ("missing",)) == [found]


def test_an_off_day_is_no_failure() -> None:
    """A day that the calendar does not list is an off-day without an action."""
    (found,) = decide(facts(), [date(2025, 12, 24)])
    assert (found.state, found.action) == (DateState.NO_GAMES, None)


@given(
    st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=200),
    st.integers(1, 32),
    st.integers(1, 400_000),
    st.integers(330 * 2**20, 4 * 2**30),
)
def test_spans_hold_each_date_once_and_never_cross_a_season(
    offsets: list[int], workers: int, rows: int, memory: int
) -> None:
    """Spans are a partition of the dates: of one season each, in order, and each fits a worker."""
    start = date(2024, 10, 22)
    seasons = (
        Season("a", start, start + timedelta(200)),
        Season("b", start + timedelta(200), start + timedelta(401)),
    )
    days = {start + timedelta(n): Day(start + timedelta(n), None, "", rows) for n in offsets}
    plan = Facts(Calendar(seasons, days), dict.fromkeys(days, "v=1"), {}, {}, "c", "{}")
    sizing = Sizing(output_row_bytes=800)
    spans = make_spans(decide(plan, days), workers, seasons, sizing, memory)
    assert sorted(day for span in spans for day in span.days) == sorted(days)
    for span in spans:
        assert list(span.days) == sorted(span.days)
        assert {plan.calendar.season(day).name for day in span.days} == {span.season}  # type: ignore[union-attr]
        assert span.memory_bytes == sizing.need(span.days, len(span.days) * rows, seasons)
        assert len(span.days) == 1 or span.memory_bytes <= memory
    assert [s.expected_rows for s in spans] == sorted(
        (s.expected_rows for s in spans), reverse=True
    )


def test_a_plan_of_a_range_counts_off_days_and_keeps_to_the_range() -> None:
    """`--start-date` and `--end-date` bound every decision; off-days are counted."""
    selection = Selection(start=DAY, end=DAY + timedelta(7))
    plan = make_plan("rolling", facts(), selection, 2)
    assert len(plan.decisions) == 7
    assert plan.counts()["no_games"] == 6
    assert [d.day for d in plan.selected] == [DAY]


def test_a_season_that_is_not_there_is_named() -> None:
    """An unknown season is a usage error that lists those that are known."""
    with pytest.raises(UsageError, match=r"2019-20.*2025-26"):
        make_plan("rolling", facts(), Selection(seasons=("2019-20",)), 2)


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), min_size=1))
def test_changed_views_are_those_whose_digest_differs(new: dict[str, str]) -> None:
    """Against any other fingerprint exactly the differing names come out."""
    old = {"a": "1", "b": "2"}
    names = changed_views(*(";".join(f"{k}={v}" for k, v in f.items()) for f in (old, new)))
    assert set(names) == {k for k in old | new if old.get(k) != new.get(k)}


@given(st.dictionaries(st.integers(0, 20), st.sampled_from("xyz")), st.integers(0, 20))
def test_a_fingerprint_changes_with_its_window_and_with_nothing_else(
    content: dict[int, str], at: int
) -> None:
    """Changing one partition makes exactly the dates stale whose look-back holds it."""
    start = date(2025, 1, 1)
    seasons = (Season("2025", start, date(2026, 1, 1)),)
    days = [start + timedelta(n) for n in range(24)]
    before = {start + timedelta(n): v for n, v in content.items()}
    after = before | {start + timedelta(at): "changed"}
    old, new = (fingerprints(JOB, {"sales": d}, days, seasons) for d in (before, after))
    touched = {day for day in days if old[day] != new[day]}
    assert touched == {start + timedelta(at + n) for n in range(3)}


@given(
    st.sets(st.sampled_from(["a", "b"])),
    st.none() | st.integers(-5, 60),
    st.none() | st.integers(-5, 60),
    st.lists(st.integers(-5, 60), max_size=3),
)
def test_a_season_that_a_selection_does_not_touch_has_none_of_its_days(
    names: set[str], start: int | None, end: int | None, named: list[int]
) -> None:
    """What the survey leaves out can never be asked for."""
    first = date(2025, 1, 1)
    seasons = (
        Season("a", first, first + timedelta(20)),
        Season("b", first + timedelta(25), first + timedelta(50)),
    )
    selection = Selection(
        seasons=tuple(sorted(names)),
        start=None if start is None else first + timedelta(start),
        end=None if end is None else first + timedelta(end),
        dates=tuple(first + timedelta(n) for n in named),
    )
    known = Facts(Calendar(seasons, {}), {}, {}, {}, "c", "{}")
    asked = asked_days(known, selection)
    for season in seasons:
        assert selection.touches(season) or not any(day in season.range for day in asked)
