"""The guards are pure functions of facts: their numbers at the edges, and the order of code."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.job import Calendar, DateState, Day
from ray_backfill.job.calendar import Season, Window
from ray_backfill.plan import Allow, Attempt, Decision, Facts, Selection, Source, Stamp, make_plan
from ray_backfill.plan.guards import older_code, shrunk
from ray_backfill.plan.history import Held, InputHistory

SEASON = Season("2025", date(2025, 1, 1), date(2026, 1, 1))
DAY = date(2025, 3, 9)


@given(st.integers(0, 500), st.integers(0, 500))
def test_fewer_than_four_fifths_of_the_published_rows_are_too_few(before: int, rows: int) -> None:
    """Exactly four fifths are enough; a date without published rows has nothing to lose."""
    decision = Decision(DAY, DateState.STALE, "", published_rows=before)
    assert bool(shrunk(decision, rows)) == (rows < before * 4 / 5)


@pytest.mark.parametrize(
    ("stamp", "rows"),
    [
        (Stamp("v=1", "c", "{}", 5), 5),
        (Stamp("v=1", "c", "{}", 10, partition_rows=5, changed="10 rows instead of 5"), 5),
        (Stamp("v=1", "c", "{}", 10, changed="the key stands twice"), 0),
        (Stamp("v=1", "c", "{}", 7, unstamped=2), 5),
        (Stamp("", "", "", 5, unreadable="broken"), 5),
    ],
)
def test_published_rows_are_what_a_run_wrote(stamp: Stamp, rows: int) -> None:
    """Not what others added; nothing is claimed where that cannot be told apart."""
    assert stamp.published_rows == rows


def facts(*days: Day, **more: object) -> Facts:
    calendar = Calendar((SEASON,), {day.day: day for day in days})
    known: dict[str, object] = {"stamps": {}, "attempts": {}, "fingerprints": {}}
    return Facts(calendar, code_version="c", job_options="{}", **{**known, **more})  # type: ignore[arg-type]


def gone(count: int) -> Facts:
    """Dates with rows that belong to nothing any more."""
    stamps = {DAY + timedelta(n): Stamp("v=1", "c", "{}", 5, run_id="r") for n in range(count)}
    return facts(stamps=stamps)


@given(st.integers(0, 5), st.integers(0, 6))
def test_removals_go_all_or_none(count: int, allowed: int) -> None:
    """As many as are allowed, or every one of them is kept."""
    plan = make_plan("j", gone(count), Selection(), 1, allow=Allow(removals=allowed))
    assert len(plan.removals) == (count if count <= allowed else 0)
    assert len(plan.kept) == (0 if count <= allowed else count)


def test_a_date_that_the_shrink_guard_kept_back_is_freed_by_a_word_alone() -> None:
    """On the same inputs it waits; what another gate kept back is not freed by that."""
    stamp = Stamp("v=0", "c", "{}", 5)
    due = Day(DAY, None, expected_rows=5)
    judged = due.judged_by("")
    attempt = Attempt("quarantined", "data", "too few", "v=1", "c", "{}", judged, guard="shrink")
    known = facts(
        due,
        stamps={DAY: stamp},
        fingerprints={DAY: "v=1"},
        attempts={DAY: attempt},
    )
    other = replace(known, attempts={DAY: replace(attempt, guard="")})
    for found, allow, taken in (
        (known, Allow(), 0),
        (known, Allow(shrink=True), 1),
        (other, Allow(shrink=True), 0),
    ):
        assert len(make_plan("j", found, Selection(), 1, allow=allow).selected) == taken


@pytest.mark.parametrize(("now", "lost"), [({}, True), ({DAY: Held(1, "b")}, False)])
def test_only_partitions_that_changed_views_read_count_as_lost(
    now: dict[date | None, Held], lost: bool
) -> None:
    """A partition that is gone, and not one that has fewer rows or that no changed view reads."""
    history = InputHistory().noted(
        "r", {"t.read": {DAY: Held(9, "a")}, "t.other": {DAY: Held(9, "a")}}, (SEASON,), []
    )
    window = Window.around(before=2)
    known = facts(
        Day(DAY, None, expected_rows=5),
        stamps={DAY: Stamp("v=0;w=1", "c", "{}", 5, run_id="r")},
        fingerprints={DAY: "v=1;w=1"},
        sources=(Source("a", "t.read", window, now), Source("b", "t.other", window, {})),
        views={"v": ("a",), "w": ("b",)},
        history=history,
    )
    assert bool(make_plan("j", known, Selection(), 1).shrinking) is lost


T = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mine", "standing", "codes", "older"),
    [
        ("a", ["a"], {"a": 1}, False),
        ("a", ["b"], {"b": 2}, False),  # never seen before: new
        ("a", ["b"], {"a": 1, "b": 2}, True),
        ("a", ["a", "b"], {"a": 1, "b": 2}, True),
        ("a", ["a", "b"], {"a": 3, "b": 2}, False),
        ("a", ["a"], {"a": 1, "b": 2}, False),  # nothing of the newer stands
        ("a", ["b", "c"], {"a": 2, "b": 1, "c": 3}, True),
    ],
)
def test_code_is_older_where_newer_work_of_later_code_stands(
    mine: str, standing: list[str], codes: dict[str, int], older: bool
) -> None:
    """By when each computed last, and only where there is something to replace."""
    stamps = {DAY + timedelta(n): Stamp("v=1", code, "{}", 5) for n, code in enumerate(standing)}
    times = {code: T + timedelta(hours=n) for code, n in codes.items()}
    found = replace(facts(stamps=stamps, codes=times), code_version=mine)
    assert bool(older_code(found)) is older
