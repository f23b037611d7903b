"""A date that is rightly empty is published without rows, and known for what it is afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.catalog import load_job
from ray_backfill.errors import WarehouseError
from ray_backfill.inspect.coverage import coverage_of, dates_of
from ray_backfill.job import DateState
from ray_backfill.observe.logs import event_of, lines_of
from ray_backfill.plan import Decision, Stamp
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.record.progress import fold
from ray_backfill.survey.empty_dates import empty_dates, keep_empty_dates
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.engine import INLINE, content, newer_code, planned, ran
from tests.filter_job import FILTER, SMALL
from tests.rolling_job import MEANS, SALES

D1, D2, D3 = date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)
HOW = replace(INLINE, job=FILTER)
LEDGER = "empty/shop.means.json"


def sold(*rows: tuple[date, str, int]) -> Any:
    return pl.DataFrame(rows, schema=SALES.schema(), orient="row").to_arrow()


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    """Three days of sales, none of which is large on the second."""
    made = open_warehouse(str(tmp_path / "lake"))
    made.append(SALES, sold((D1, "a", 20), (D2, "a", 5), (D3, "a", 30), (D3, "b", 3)))
    return made


def states(house: Warehouse, options: Sequence[str] = ()) -> dict[date, tuple[str, str]]:
    """State and reason of each due date."""
    found = planned(house, options, job=FILTER).decisions
    return {d.day: (d.state.value, d.reason) for d in found if d.state != DateState.NO_GAMES}


def rows_of(house: Warehouse) -> list[tuple[date, str, float]]:
    return content(house, load_job(FILTER)).rows()


def test_an_empty_date_is_published_and_complete_with_its_reason(house: Warehouse) -> None:
    """Exit 0, the reason in the report and in the next plan, and nothing is left to do."""
    report = ran(house, how=HOW)
    assert (report.exit_code, report.empty) == (0, {str(D2): SMALL})
    assert report.verdict == "all 3 planned dates published, 1 of them empty"
    assert rows_of(house) == [(D1, "a", 20.0), (D3, "a", 30.0)]
    assert states(house) == {
        D1: ("complete", "up to date"),
        D2: ("complete", f"empty: {SMALL}"),
        D3: ("complete", "up to date"),
    }
    assert (ran(house, how=HOW).verdict, report.not_started) == ("nothing to do", [])


def test_a_date_that_becomes_empty_loses_its_rows(house: Warehouse) -> None:
    """In the same commit in which others are replaced; the old version can still be restored."""
    ran(house, ["least=5"], how=HOW)
    assert len(rows_of(house)) == 3
    report = ran(house, ["least=10"], how=HOW)
    assert (report.exit_code, report.empty) == (0, {str(D2): SMALL})
    assert rows_of(house) == [(D1, "a", 20.0), (D3, "a", 30.0)]


def test_an_empty_date_is_planned_again_when_its_inputs_change(house: Warehouse) -> None:
    """And it alone; with rows it is like any other date, and empty again it is empty again."""
    ran(house, how=HOW)
    house.append(SALES, sold((D2, "b", 50)))
    assert states(house)[D2] == ("stale", "changed: sales")
    report = ran(house, how=HOW)
    assert (list(report.published), report.empty) == ([str(D2)], {})
    assert (D2, "b", 50.0) in rows_of(house)
    assert states(house)[D2] == ("complete", "up to date")
    house.append(SALES, sold((D2, "a", 5)), replace_dates=True)
    assert ran(house, how=HOW).empty == {str(D2): SMALL}
    assert states(house)[D2] == ("complete", f"empty: {SMALL}")


def test_an_empty_date_is_planned_again_when_code_or_options_change(
    house: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was computed like others, and without rows it cannot be stamped anew."""
    ran(house, how=HOW)
    assert "options" in states(house, ["least=11"])[D2][1]
    newer_code(monkeypatch)
    (found,) = [d for d in planned(house, job=FILTER).selected if d.day == D2]
    assert (found.state, found.code_alone) == (DateState.STALE, False)
    report = ran(house, how=replace(HOW, verify=2))
    assert (report.restamped, report.empty) == ([str(D1), str(D3)], {str(D2): SMALL})
    assert planned(house, job=FILTER).selected == ()


def test_without_its_record_an_empty_date_is_missing_and_computed_again(house: Warehouse) -> None:
    """A run may have died between the commit and the record: nothing wrong comes of it."""
    ran(house, how=HOW)
    house.delete_object(LEDGER)
    assert states(house)[D2] == ("missing", "no output yet")
    assert ran(house, how=HOW).empty == {str(D2): SMALL}
    assert states(house)[D2] == ("complete", f"empty: {SMALL}")


def test_rows_of_a_date_count_for_more_than_a_record(house: Warehouse) -> None:
    """A version that was restored, in which the date had rows, is compared by its stamps."""
    ran(house, ["least=5"], how=HOW)
    version = int(house.history("shop.means")[0].version)
    ran(house, ["least=10"], how=HOW)
    assert states(house, ["least=10"])[D2] == ("complete", f"empty: {SMALL}")
    house.restore("shop.means", version)
    assert states(house, ["least=5"])[D2] == ("complete", "up to date")
    assert states(house, ["least=10"])[D2][0] == "stale"


def test_an_empty_date_that_is_not_due_any_more_has_nothing_to_remove(house: Warehouse) -> None:
    """An off-day without rows is an off-day."""
    ran(house, how=HOW)
    house.append(SALES, sold((D1, "a", 20)), replace_dates=True)
    shutil.rmtree(Path(house.uri) / "shop" / "sales")
    house.append(SALES, sold((D1, "a", 20), (D3, "a", 30), (D3, "b", 3)))
    assert planned(house, job=FILTER).selected == ()


def test_a_record_that_cannot_be_written_is_a_warning(
    house: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The dates are published all the same, and the next run tries again."""
    real = type(house).put_object

    def put(self: Any, key: str, data: bytes) -> None:
        if key.startswith("empty/"):
            raise WarehouseError("the disk is full")
        real(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(type(house), "put_object", put)
        assert ran(house, how=HOW).exit_code == 0
    assert f"{D2} are published empty, and that could not be noted" in caplog.text
    assert states(house)[D2][0] == "missing"
    assert ran(house, how=HOW).exit_code == 0


GOOD = {
    "empty": "why",
    "fingerprint": "f",
    "code_version": "c",
    "job_options": "{}",
    "computed_at": "2025-03-01T00:00:00+00:00",
}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"dates": []}',
        b'{"dates": {"2025-03-02": null}}',
        json.dumps({"dates": {"2025-03-32": GOOD}}).encode(),
        json.dumps({"dates": {str(D2): GOOD | {"empty": ""}}}).encode(),
        json.dumps({"dates": {str(D2): GOOD | {"empty": 1}}}).encode(),
        json.dumps({"dates": {str(D2): GOOD | {"computed_at": None}}}).encode(),
        json.dumps({"dates": {str(D2): {**GOOD, "fingerprint": []}}}).encode(),
    ],
)
def test_a_record_of_another_shape_counts_as_absent(house: Warehouse, text: bytes) -> None:
    """What cannot be understood stops no plan."""
    house.put_object(LEDGER, text)
    assert states(house)[D2] == ("missing", "no output yet")
    assert ran(house, how=HOW).exit_code == 0
    assert states(house)[D2][0] == "complete"


@given(
    st.dictionaries(
        st.dates(), st.tuples(*[st.text(min_size=1)] * 4, st.datetimes(timezones=st.just(UTC)))
    )
)
def test_what_is_recorded_is_read_back(found: dict[date, tuple[Any, ...]]) -> None:
    """Whatever texts the reasons and stamps are."""

    class House:
        kept: bytes | None = None

        def get_object(self, key: str) -> bytes | None:
            return self.kept

        def put_object(self, key: str, data: bytes) -> None:
            self.kept = data

    house: Any = House()
    stamps = {
        day: Stamp(one, two, three, 0, computed_at=at, empty=why)
        for day, (why, one, two, three, at) in found.items()
    }
    keep_empty_dates(house, MEANS.name, stamps)
    assert empty_dates(house, MEANS.name) == stamps
    keep_empty_dates(house, MEANS.name, {}, filled=list(stamps)[:1])
    assert list(empty_dates(house, MEANS.name)) == sorted(list(stamps)[1:])


def test_an_empty_date_is_no_hole_of_the_coverage() -> None:
    """Nothing is expected of it; a due date that lacks its rows still counts."""
    empty = Decision(D1, DateState.COMPLETE, "empty: x", expected_rows=5, empty="x")
    missing = Decision(D2, DateState.MISSING, "no output yet", expected_rows=5)
    (month,) = dates_of([empty, missing], set(), "month")
    assert (month.due, list(month.holes), month.empty_by_design) == (1, [D2], 1)
    none = pl.DataFrame(schema=MEANS.schema())
    (column,) = coverage_of(none, "day", ["mean"], [empty, missing], "month")
    assert column.expected == 5


def test_progress_and_log_lines_tell_of_empty_dates(house: Warehouse) -> None:
    """The journal folds to the report, and so do the lines of a log."""
    report = ran(house, how=HOW)
    (run_id,) = run_ids(house)
    events = read_journal(house, run_id)
    lines = [one for event in events for one in lines_of(event, run_id, "large")]
    assert f"published {D2}, empty: {SMALL}" in [one["message"] for one in lines]
    again = [event for event in map(event_of, lines) if event]
    for told in (events, again):
        progress = fold(told)
        assert (progress.empty, progress.done) == (report.empty, 3)
        assert progress.published == report.published | {str(D2): 0}
