"""A plan of many dates is shown at once."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from ray_backfill.cli.planned import plan_json
from ray_backfill.job import DateState
from ray_backfill.plan import Decision, Plan

DATES = 300


def test_the_work_of_showing_a_plan_grows_with_its_dates_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each decision is looked up a few times, not once for every other one."""
    first = date(2025, 1, 1)
    decisions = tuple(
        Decision(first + timedelta(n), DateState.MISSING, f"why {n}", action="compute")
        for n in range(DATES)
    )
    plan = Plan("job", "code", "{}", decisions, decisions[::2], (), (), {})
    hashed: Counter[str] = Counter()

    def counting(decision: Decision) -> int:
        hashed["decisions"] += 1
        return hash(decision.day)

    monkeypatch.setattr(Decision, "__hash__", counting)
    found = plan_json(plan, None)
    assert [d["selected"] for d in found["dates"]] == [n % 2 == 0 for n in range(DATES)]
    assert hashed["decisions"] <= 4 * DATES
