"""What `compute` gives is about the dates that it was asked for, and contradicts itself nowhere."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from ray_backfill.engine.answer import checked
from ray_backfill.errors import ContractError, JobCodeError
from ray_backfill.job import Computed, Unmatched
from ray_backfill.plan import Selection
from ray_backfill.warehouse import Warehouse
from tests import rolling_job
from tests.conftest import DAYS
from tests.engine import content, ran
from tests.rolling_job import MEANS

D1, D2, D3 = date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)


def rows(*days: date | None) -> pl.DataFrame:
    """A row for each day."""
    return pl.DataFrame([(day, "s", 1.0) for day in days], schema=MEANS.schema(), orient="row")


def refused(computed: Computed) -> str:
    """Why what was computed for D1 and D2 is refused."""
    with pytest.raises(ContractError) as found:
        checked(MEANS, computed, [D1, D2])
    return found.value.message


def test_what_is_right_passes_with_its_columns_in_order() -> None:
    """Rows, a quarantined and an empty date, and input that matched nothing."""
    lost = Unmatched(D1, "t", "s", "why", 3)
    shuffled = rows(D1).select("mean", "shop", "day")
    found = checked(MEANS, Computed(shuffled, {D1: "odd"}, (lost,), {D2: "no sales"}), [D1, D2])
    assert found.rows.equals(rows(D1))
    assert (found.quarantined, found.unmatched) == ({D1: "odd"}, (lost,))
    assert found.empty == {D2: "no sales"}


def test_rows_of_other_dates_are_named_and_counted() -> None:
    """Which dates, how many rows of each; those without a date apart."""
    told = refused(Computed(rows(D1, D2, D3, D3, None)))
    assert "rows of dates that were not asked for: 2025-03-03 (2)" in told
    assert "1 rows without a date" in told


def test_of_many_other_dates_the_first_are_named() -> None:
    """A sentence stays one that can be read."""
    many = [date(2024, 1, n) for n in range(1, 29)]
    assert "2024-01-05 (1) and 23 more" in refused(Computed(rows(D1, D2, *many)))


@pytest.mark.parametrize("day", [D3, datetime(2025, 3, 1), "2025-03-01"])
def test_what_is_said_of_other_dates_is_refused(day: Any) -> None:
    """Also of what only looks like one of the dates."""
    good = rows(D1, D2)
    assert "quarantined of dates that were not" in refused(Computed(good, {day: "odd"}))
    assert "empty of dates that were not" in refused(Computed(good, empty={day: "none"}))
    lost = (Unmatched(day, "t", "s", "why", 3),)
    assert "unmatched of dates that were not" in refused(Computed(good, unmatched=lost))


def test_an_empty_date_has_no_rows_and_a_reason() -> None:
    """Nobody can tell otherwise what was meant."""
    assert "2025-03-02 is said to be empty, and has 1 rows" in refused(
        Computed(rows(D1, D2), empty={D2: "none"})
    )
    for why in ("", "  ", None):
        told = refused(Computed(rows(D1), empty={D2: why}))  # type: ignore[dict-item]
        assert "2025-03-02 is empty, and no reason is given" in told


def test_a_quarantined_date_has_a_reason() -> None:
    """It is what the report shows."""
    assert "2025-03-02 is quarantined, and no reason" in refused(Computed(rows(D1), {D2: ""}))


@pytest.mark.parametrize(
    ("given", "kind"),
    [(None, "a NoneType"), (rows(D1), "a DataFrame"), (Computed(rows(D1).lazy()), "a LazyFrame")],  # type: ignore[arg-type]
)
def test_what_is_no_answer_at_all_is_named(given: object, kind: str) -> None:
    """The type that came in place of a `Computed` of a frame."""
    with pytest.raises(JobCodeError, match=f"compute gave {kind} where"):
        checked(MEANS, given, [D1])


@pytest.mark.parametrize("stray", [DAYS[40], None])
def test_a_date_whose_computation_gives_others_fails_by_name(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch, stray: date | None
) -> None:
    """The rows do not vanish without a word, and no other date suffers."""
    bad, days, real = DAYS[5], DAYS[2:9], rolling_job._one

    def straying(sales: pl.DataFrame, day: date) -> pl.DataFrame:
        return pl.concat([real(sales, day), rows(stray) if day == bad else rows()])

    monkeypatch.setattr(rolling_job, "_one", straying)
    report = ran(lake, selection=Selection(dates=days))
    assert (report.exit_code, list(report.failed)) == (1, [str(bad)])
    told = report.failed[str(bad)]
    assert f"{stray} (1)" in told if stray else "1 rows without a date" in told
    assert set(content(lake)["day"]) == set(days) - {bad}
