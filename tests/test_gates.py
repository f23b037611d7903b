"""What a date must pass before it is published: the output's contract, then the job's gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from ray_backfill.errors import ContractError, JobCodeError
from ray_backfill.job import Day
from ray_backfill.job.gates import check_schema, quarantine
from tests.rolling_job import JOB, MEANS

D1, D2, D3 = date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)
DUE = {day: Day(day, None, expected_rows=2) for day in (D1, D2, D3)}
GOOD = [(day, shop, 1.0) for day in DUE for shop in ("a", "b")]


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=MEANS.schema(), orient="row")


def test_good_dates_pass() -> None:
    """Rows, no NULL, each key once, and nothing that a gate says."""
    assert quarantine(JOB, frame(GOOD), DUE) == {}


def test_a_date_without_rows_is_quarantined_alone() -> None:
    """With what was expected of it."""
    rest = [row for row in GOOD if row[0] != D2]
    assert quarantine(JOB, frame(rest), DUE) == {D2: "no rows were computed; 2 were expected"}


def test_all_dates_without_rows_are_quarantined() -> None:
    """A computation that gives nothing at all is no success."""
    assert set(quarantine(JOB, frame([]), DUE)) == set(DUE)


def test_a_date_that_is_rightly_empty_passes() -> None:
    """Where the job says so; of another date it still means that something is missing."""
    rest = [row for row in GOOD if row[0] == D1]
    assert list(quarantine(JOB, frame(rest), DUE, {D2: "closed"})) == [D3]


def test_a_null_in_a_column_that_has_none_is_quarantined_alone() -> None:
    """By the name of the column and the number of rows."""
    bad = [*GOOD, (D2, None, 1.0), (D2, None, 2.0)]
    assert quarantine(JOB, frame(bad), DUE) == {D2: "2 rows of shop are NULL"}


def test_a_null_in_a_column_that_may_have_one_passes() -> None:
    """An unknown mean is a value like others."""
    assert quarantine(JOB, frame([*GOOD, (D2, "c", None)]), DUE) == {}


def test_a_key_that_stands_twice_is_quarantined_alone() -> None:
    """By the key, also where the rows are equal; the same shop on two dates is no repetition."""
    found = quarantine(JOB, frame([*GOOD, (D2, "b", 1.0)]), DUE)
    assert list(found) == [D2]
    assert "('day', 'shop') is not unique" in found[D2]
    assert "'b'" in found[D2]


def test_rows_of_a_table_without_a_key_may_repeat() -> None:
    """What is not said to be unique need not be."""
    loose = replace(JOB, output=replace(MEANS, key=()))
    assert quarantine(loose, frame([*GOOD, (D2, "b", 1.0)]), DUE) == {}


def test_the_contract_comes_before_the_gates_and_the_first_gate_that_speaks_decides() -> None:
    """A gate never sees rows that break the contract."""
    seen: list[date] = []

    def first(rows: pl.DataFrame, day: Day) -> str | None:
        seen.append(day.day)
        return "first" if day.day == D1 else None

    def second(rows: pl.DataFrame, day: Day) -> str | None:
        return "second"

    job = replace(JOB, gates=(first, second))
    found = quarantine(job, frame([*GOOD, (D2, None, 1.0)]), DUE)
    assert found == {D1: "first", D2: "1 rows of shop are NULL", D3: "second"}
    assert seen == [D1, D3]


@pytest.mark.parametrize("given", [True, False, 0, ["x"]])
def test_a_gate_that_gives_no_sentence_is_an_error_of_the_job(given: Any) -> None:
    """Nobody knows what `True` means; no date is published or quarantined by it."""
    gate: Callable[..., Any] = lambda rows, day: given  # noqa: E731
    with pytest.raises(JobCodeError, match="gave a"):
        quarantine(replace(JOB, gates=(gate,)), frame(GOOD), DUE)


def test_every_column_that_does_not_fit_is_named() -> None:
    """Missing, unknown, of another type: all at once."""
    wrong = frame(GOOD).drop("shop").with_columns(pl.col("mean").cast(pl.String), extra=1)
    with pytest.raises(ContractError) as found:
        check_schema(MEANS, wrong)
    told = found.value.message
    assert "column shop is missing" in told
    assert "column mean is String, not Float64" in told
    assert "column extra is unknown" in told
