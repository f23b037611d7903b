"""A rebuild writes a new table, and gives it the place of the old one in one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.catalog import load_job
from ray_backfill.errors import LeaseLostError, RefusedError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.job.table import Column, Kind
from ray_backfill.plan import Allow, Selection
from ray_backfill.warehouse import open_warehouse
from tests import contract_job, rolling_job
from tests.bq.conftest import REAL, Place
from tests.conftest import DAYS, sales
from tests.emulator import Emulator
from tests.engine import planned, ran


def rebuilt(place: Place, *options: str, **how: Any) -> Any:
    allow = how.pop("allow", None)
    return ran(place.house, options, how=replace(place.how, rebuild=True, **how), allow=allow)


def new_name(place: Place) -> str:
    return f"{place.job.output.name}__rebuild"


@pytest.fixture
def other_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The job writes its mean as text from now on, and a column that is never NULL."""
    real_job, real_compute = contract_job.job_of, rolling_job.JOB.compute

    def compute(*args: Any) -> Any:
        done = real_compute(*args)
        rows = done.rows.with_columns(pl.col("mean").cast(pl.String), more=pl.lit(1))
        return replace(done, rows=rows.with_columns(pl.col("more").cast(pl.Int64)))

    def job_of(dataset: str) -> Job:
        job = real_job(dataset)
        day, shop, _ = job.output.columns
        columns = (day, shop, Column("mean", Kind.STRING), Column("more", Kind.INT, nullable=False))
        return replace(job, output=replace(job.output, columns=columns), compute=compute, gates=())

    monkeypatch.setattr(contract_job, "job_of", job_of)
    monkeypatch.setattr("tests.bq.conftest.job_of", job_of)
    load_job.cache_clear()
    yield
    load_job.cache_clear()


def test_a_schema_that_cannot_be_added_is_refused_until_it_is_rebuilt(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """Refused with the difference and the command; then one commit changes rows and schema."""
    place.ran()
    truth = place.content()
    request.getfixturevalue("other_schema")
    place = place.again()
    with pytest.raises(RefusedError, match=r"column mean is .*--rebuild") as caught:
        place.ran()
    assert "new column more is not nullable" in str(caught.value)
    plan = planned(place.house, job=place.name, rebuild=True)
    assert (len(plan.selected), plan.kept, plan.shrinking) == (len(DAYS), {}, {})
    report = rebuilt(place)
    assert (report.exit_code, len(report.published), report.warnings) == (0, len(DAYS), [])
    assert "the new table took the place of the old one, as version" in report.verdict
    found = place.content()
    assert found["mean"].to_list() == truth["mean"].cast(pl.String).to_list()
    assert found["more"].unique().to_list() == [1]
    assert not place.house.exists(new_name(place))
    assert place.house.lease_holder(place.job.output.name) is None
    assert place.house.history(place.job.output.name)[0].operation == "rebuild"
    assert place.planned().selected == ()
    assert place.ran().verdict == "nothing to do"


def test_until_it_is_whole_nobody_sees_anything_of_it(place: Place) -> None:
    """A date that fails keeps the old table as it stands; the next rebuild goes on from there."""
    place.ran()
    truth = place.output()
    report = rebuilt(place, f"raise_on={DAYS[7]}")
    assert (report.exit_code, list(report.failed)) == (1, [str(DAYS[7])])
    assert "the old table stands as it was" in report.verdict
    assert place.output().equals(truth)
    again = rebuilt(place, f"raise_on={DAYS[7]}")
    assert (again.planned, again.exit_code) == (1, 1)
    done = rebuilt(place, "raise_on=")
    assert (done.exit_code, len(done.published)) == (0, len(DAYS))
    assert place.content().equals(truth.select(place.content().columns).sort("day", "shop"))


def test_options_are_remembered_from_the_old_table(place: Place) -> None:
    """A rebuild without options is one with those of most dates."""
    place.ran("quarantine_on=2030-01-01")
    assert rebuilt(place).exit_code == 0
    assert '"quarantine_on":"2030-01-01"' in place.output()["job_options"].unique().to_list()[0]


def test_dates_that_the_new_table_would_lack_need_a_word(place: Place) -> None:
    """Rows of dates that are not due, and of dates that shrink, are not lost by the way."""
    place.ran()
    truth = place.output()
    days = DAYS[:-1]
    _only(place, sales(days))
    plan = planned(place.house, job=place.name, rebuild=True)
    assert list(plan.kept) == [DAYS[-1]]
    assert plan.kept[DAYS[-1]].startswith("its 5 rows would not be in the new table: off-day")
    report = rebuilt(place)
    assert (report.exit_code, list(report.kept)) == (3, [str(DAYS[-1])])
    assert place.output().equals(truth)
    allowed = rebuilt(place, allow=Allow(removals=1, shrink=True))
    assert allowed.exit_code == 0
    assert set(place.content()["day"]) == set(days)


def _only(place: Place, rows: pl.DataFrame) -> None:
    """Make the sales hold these rows alone."""
    place.house.drop(place.sales)
    place.house.append(place.sales, rows.to_arrow())


def test_a_date_that_shrinks_keeps_the_old_table(place: Place) -> None:
    """The rows of the old table are what counts: 60% of them are too few."""
    place.ran()
    truth = place.output()
    few = sales().filter((pl.col("day") != DAYS[9]) | (pl.col("shop") < "shop3"))
    _only(place, few)
    report = rebuilt(place)
    assert report.exit_code == 1
    assert "3 rows, 60% of its 5 published ones" in report.quarantined[str(DAYS[9])]
    assert place.output().equals(truth)
    assert rebuilt(place, allow=Allow(shrink=True)).exit_code == 0
    assert place.content().height == few.height


def test_a_table_that_is_stolen_is_not_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is looked at in the last moment; what was computed waits for the next rebuild."""
    place.ran()
    real = type(place.house).take_place

    def robbed(self: Any, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(type(place.house), "take_place", real)
        self.acquire_lease(place.job.table, "thief", seconds=600, steal=True)
        return real(self, *args, **kwargs)

    truth = place.output()
    monkeypatch.setattr(type(place.house), "take_place", robbed)
    with pytest.raises(LeaseLostError, match="thief"):
        rebuilt(place)
    assert place.output().equals(truth)
    done = rebuilt(place, steal_lease=True)
    assert (done.exit_code, done.planned) == (0, 0)
    assert place.content().equals(truth.select(place.content().columns).sort("day", "shop"))


def test_a_driver_that_died_after_the_swap_does_no_harm(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new table is still there: it takes the place again, with the same rows, and goes."""
    place.ran()
    real = type(place.house).drop

    def die(self: Any, *args: Any) -> None:
        raise WarehouseError("the machine is gone")

    monkeypatch.setattr(type(place.house), "drop", die)
    with pytest.raises(WarehouseError, match="the machine is gone"):
        rebuilt(place)
    monkeypatch.setattr(type(place.house), "drop", real)
    truth = place.content()
    assert truth.height == len(DAYS) * 5
    assert place.again().house.exists(new_name(place))
    place.add((DAYS[3], "late", 9))
    done = rebuilt(place.again())
    assert done.exit_code == 0
    assert place.content().height == truth.height + 1
    assert not place.house.exists(new_name(place))


def test_a_rebuild_of_other_columns_begins_anew(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """What an earlier one left is of no use to it."""
    place.ran()
    rebuilt(place, f"raise_on={DAYS[7]}")
    request.getfixturevalue("other_schema")
    place = place.again()
    assert len(planned(place.house, ("raise_on=",), job=place.name, rebuild=True).selected) == len(
        DAYS
    )
    report = rebuilt(place, "raise_on=")
    assert (report.exit_code, len(report.published)) == (0, len(DAYS))


def test_the_first_table_may_be_built_so_too(place: Place) -> None:
    """Where there is none to replace."""
    assert rebuilt(place).exit_code == 0
    assert place.content().height == len(DAYS) * 5
    assert place.planned().selected == ()


def test_a_rebuild_with_the_sales_of_part_of_a_year_does_not_compute_the_others_twice(
    place: Place,
) -> None:
    """What is in the new table already is complete there."""
    place.ran(selection=Selection(start=DAYS[10]))
    assert rebuilt(place).exit_code == 0
    assert place.content().height == len(DAYS) * 5


def test_old_versions_can_be_restored_on_the_lake(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Rows and schema of before, by the version that history lists."""
    house = open_warehouse(str(tmp_path / "lake"))
    _restores(Place(house, "shop"), request)


@pytest.mark.skipif(bool(REAL), reason="of the emulator")
def test_old_versions_can_be_restored_on_bigquery(
    server: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """By a copy of the table as it was."""
    running = Emulator(tmp_path / "server", snapshots=True).start()
    for name, value in running.settings.items():
        monkeypatch.setenv(name, value)
    try:
        _restores(Place(open_warehouse("bigquery://past"), "shop"), request)
    finally:
        running.stop()


def _restores(place: Place, request: pytest.FixtureRequest) -> None:
    place.house.append(place.sales, sales().to_arrow())
    place.ran()
    before, old_job = place.house.history(place.job.output.name)[0].version, place.job
    truth = place.output()
    request.getfixturevalue("other_schema")
    place = place.again()
    assert rebuilt(place).exit_code == 0
    done = place.house.restore(place.job.output.name, before)
    assert done.rows == truth.height
    names = truth.columns
    found = pl.from_arrow(place.house.read(old_job.table, names))
    assert isinstance(found, pl.DataFrame)
    assert found.sort("day", "shop").equals(truth.sort("day", "shop"))
    assert place.house.fit(old_job.table).differences == ()  # type: ignore[union-attr]
    with pytest.raises(RefusedError, match="--rebuild"):
        place.ran()
