"""What inputs held when runs began: kept as differences, told as it was."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_backfill.job.calendar import Season
from ray_backfill.plan.history import Change, Held, InputHistory, changes, described
from ray_backfill.survey.ledger import Ledger, LedgerContent
from ray_backfill.warehouse import Warehouse

DAY = date(2025, 1, 1)
DAYS = st.none() | st.integers(0, 3).map(lambda n: DAY + timedelta(n))
HELD = st.builds(Held, st.integers(1, 3), st.sampled_from("ab"))
STATES = st.dictionaries(st.sampled_from(["t.a", "t.b"]), st.dictionaries(DAYS, HELD))
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow])
SEASONS = st.sampled_from(
    [(), (Season("s", DAY, DAY + timedelta(9)),), (Season("s", DAY, DAY + timedelta(8)),)]
)


@PATIENT
@given(st.lists(st.tuples(STATES, SEASONS, st.booleans()), min_size=1, max_size=8))
def test_each_run_that_is_needed_is_told_as_it_began(
    runs: list[tuple[dict[str, dict[date | None, Held]], tuple[Season, ...], bool]],
) -> None:
    """Whatever was pruned meanwhile; and of runs that are not needed nothing is said."""
    history, needed = InputHistory(), list[str]()
    for number, (state, seasons, keep) in enumerate(runs):
        history = history.noted(f"r{number}", state, seasons, needed)
        if keep:
            needed.append(f"r{number}")
    for number, (state, seasons, _) in enumerate(runs):
        run_id = f"r{number}"
        known = run_id in needed or number == len(runs) - 1
        assert history.seasons_at(run_id) == (seasons if known else None)
        for table in ("t.a", "t.b"):
            assert history.at(run_id, table) == (state.get(table, {}) if known else None)


@PATIENT
@given(st.lists(st.tuples(STATES, SEASONS), min_size=1, max_size=5))
def test_a_state_that_does_not_change_adds_nothing(
    runs: list[tuple[dict[str, dict[date | None, Held]], tuple[Season, ...]]],
) -> None:
    """A night in which no input changed costs the name of its run."""
    history, needed = InputHistory(), list[str]()
    for number, (state, seasons) in enumerate(runs):
        history = history.noted(f"r{number}", state, seasons, needed)
        needed.append(f"r{number}")
    state, seasons = runs[-1]
    again = history.noted("s", state, seasons, needed)
    assert (again.tables, again.seasons) == (history.tables, history.seasons)


def test_a_ledger_comes_back_as_it_was_written(lake: Warehouse) -> None:
    """Through JSON: tables with and without dates, runs, seasons, codes, tokens."""
    seasons = (Season("2025", DAY, DAY + timedelta(300)),)
    inputs = {
        "t.a": {DAY: Held(5, "m"), DAY + timedelta(1): Held(7, "")},
        "t.b": {None: Held(9, "x")},
    }
    history = InputHistory().noted("r1", inputs, seasons, [])
    from datetime import UTC, datetime

    at = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    content = LedgerContent({DAY: "token/5"}, {"c1": at}, history)
    Ledger(lake, "t.out").write(content)
    found = Ledger(lake, "t.out").content
    assert (found.tokens, found.codes) == (content.tokens, content.codes)
    assert found.history.at("r1", "t.a") == inputs["t.a"]
    assert found.history.at("r1", "t.b") == inputs["t.b"]
    assert found.history.seasons_at("r1") == seasons


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("2025-01-01"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@PATIENT
@given(
    st.fixed_dictionaries(
        {"format": st.just(1)},
        optional=dict.fromkeys(("tokens", "codes", "runs", "known", "seasons", "inputs"), JUNK),
    )
)
def test_a_ledger_of_another_shape_is_read_as_far_as_it_goes(data: object) -> None:
    """Whatever lies there: nothing of it ends in a traceback."""
    import json
    import zlib

    class House:
        def get_object(self, key: str) -> bytes:
            return zlib.compress(json.dumps(data).encode())

    content = Ledger(House(), "t.out").content  # type: ignore[arg-type]
    for run_id in content.history.runs:
        content.history.seasons_at(run_id)
        for table in content.history.tables:
            content.history.at(run_id, table)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([Change("t.a", DAY, 5, 3)], "t.a 2025-01-01: 5 → 3 rows"),
        ([Change("t.a", None, 5000, 0)], "t.a 5,000 → 0 rows"),
        (
            [Change("t.a", DAY + timedelta(n), 5, 0) for n in range(4)],
            "t.a 2025-01-01 … 2025-01-04 (4 dates): 20 → 0 rows",
        ),
        ([Change("t.a", DAY, 5, 5)], "t.a 2025-01-01: 5 rows written again"),
        (
            [Change("t.a", DAY, 5, 5), Change("t.a", DAY + timedelta(1), 1, 2)],
            "t.a 2025-01-02: 1 → 2 rows, 1 more written again",
        ),
        (
            [Change("t.a", DAY, 5, 0, outside=True), Change("t.b", DAY, 1, 2)],
            "t.a 2025-01-01: 5 rows, outside of the look-back now; t.b 2025-01-01: 1 → 2 rows",
        ),
        ([], ""),
    ],
)
def test_what_changed_is_told_by_table_date_and_rows(found: list[Change], told: str) -> None:
    """Few dates by name, many as a range."""
    assert described(found) == told


def test_changes_are_what_differs() -> None:
    """New, gone, more, and other content with as many rows."""
    days = [DAY + timedelta(n) for n in range(5)]
    before = {
        days[0]: Held(1, "a"),
        days[1]: Held(1, "a"),
        days[2]: Held(1, "a"),
        days[3]: Held(1, "a"),
    }
    now = {
        days[0]: Held(1, "a"),
        days[1]: Held(2, "b"),
        days[2]: Held(1, "b"),
        days[4]: Held(1, "c"),
    }
    assert [(c.day, c.before, c.after) for c in changes("t.a", before, now)] == [
        (days[1], 1, 2),
        (days[2], 1, 1),
        (days[3], 1, 0),
        (days[4], 0, 1),
    ]
