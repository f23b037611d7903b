"""`--verify` believes new code only where a sample over all dates computes to what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from ray_backfill.job import Computed
from ray_backfill.warehouse import Warehouse
from tests import rolling_job
from tests.conftest import DAYS
from tests.engine import INLINE, content, newer_code, ran


@pytest.fixture
def newer(lake: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A lake that other code has computed."""
    ran(lake)
    newer_code(monkeypatch)
    return lake


@pytest.mark.parametrize("other", [0, len(DAYS) // 2, len(DAYS) - 1])
def test_the_sample_is_spread_over_all_dates(
    newer: Warehouse, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    """Code that differs on the first, the middle or the last date alone is found with three."""
    day, real = DAYS[other], rolling_job._one

    def one(frame: pl.DataFrame, at: date) -> pl.DataFrame:
        return real(frame, at).with_columns(pl.col("mean") + (at == day))

    monkeypatch.setattr(rolling_job, "_one", one)
    before = content(newer)
    report = ran(newer, how=replace(INLINE, verify=3))
    assert (report.restamped, len(report.published)) == ([], len(DAYS))
    changed = content(newer).filter(content(newer)["mean"].ne_missing(before["mean"]))
    assert set(changed["day"]) == {day}


@pytest.mark.parametrize("count", [1, 2, 51, 10_000])
def test_a_sample_of_any_size_is_a_sample(newer: Warehouse, count: int) -> None:
    """One date, two, all but one, more than there are."""
    report = ran(newer, how=replace(INLINE, verify=count))
    assert (report.exit_code, len(report.restamped)) == (0, len(DAYS))


def test_a_date_that_new_code_quarantines_is_not_equal(
    newer: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values are those that are there, and still it must not be stamped anew unseen."""

    def doubting(
        rows: pl.DataFrame, quarantined: dict[date, str], empty: dict[date, str]
    ) -> Computed:
        mine = {day for day in rows["day"] if day == DAYS[0]}
        return Computed(rows, dict.fromkeys(mine, "two rows disagree"))

    monkeypatch.setattr(rolling_job, "Computed", doubting)
    report = ran(newer, how=replace(INLINE, verify=3))
    assert (report.exit_code, report.restamped) == (1, [])
    assert report.quarantined == {str(DAYS[0]): "two rows disagree"}
