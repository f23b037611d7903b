"""What a warehouse promises, asked of the lake and of BigQuery alike."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from ray_backfill.cli import build
from ray_backfill.engine import control
from ray_backfill.engine.control import CancelRequest
from ray_backfill.errors import (
    ContractError,
    LeaseHeldError,
    LeaseLostError,
    TableNotFoundError,
    WarehouseError,
)
from ray_backfill.job import DateState
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Column, Kind
from ray_backfill.plan import Allow, Selection
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.record.progress import fold
from ray_backfill.warehouse.protocol import Lease, Staged
from tests.bq.conftest import Place
from tests.conftest import DAYS, sales
from tests.engine import newer_code
from tests.test_engine import as_dict, expected

OFF_DAY = DAYS[2] + timedelta(1)


def lease_of(place: Place, run_id: str = "run-1", *, steal: bool = False) -> Lease:
    return place.house.acquire_lease(place.job.table, run_id, seconds=600, steal=steal)


def staged_rows(place: Place, lease: Lease, *days: date, mean: float = 1.0) -> list[Staged]:
    """A row for each day, staged under the run of the lease."""
    stamp = {"input_fingerprint": "x", "code_version": "x", "job_options": "{}"}
    stamp |= {"partition_rows": 1, "content_digest": None}
    rows = [
        {"day": day, "shop": "s", "mean": mean, **stamp, "run_id": lease.run_id} for day in days
    ]
    at = pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(rows).with_columns(at.alias("computed_at"))
    table = place.job.table
    frame = frame.select(table.schema().names())
    return place.house.stage(table, frame.to_arrow(), run_id=lease.run_id, task="t")


def put(place: Place, lease: Lease, *days: date, mean: float = 1.0) -> None:
    staged = staged_rows(place, lease, *days, mean=mean)
    place.house.publish(place.job.table, staged, remove=[], lease=lease)


# -- plan and run --------------------------------------------------------------------------------
def test_a_run_publishes_every_due_date_with_the_right_values(place: Place) -> None:
    """All values equal a computation by hand, and each row carries its stamp."""
    report = place.ran()
    assert (report.exit_code, len(report.published), report.rows) == (0, len(DAYS), len(DAYS) * 5)
    assert as_dict(place.content()) == expected(sales().rows())
    assert place.output()["run_id"].unique().to_list() == [report.run_id]
    assert report.retries == []


def test_a_second_run_has_nothing_to_do(place: Place) -> None:
    """What is published is complete, and stays as it is."""
    first = place.ran()
    second = place.again().ran()
    assert (second.exit_code, second.planned, second.verdict) == (0, 0, "nothing to do")
    assert place.output()["run_id"].unique().to_list() == [first.run_id]


def test_repeated_rows_change_nothing(place: Place) -> None:
    """A re-ingest of identical rows makes no date stale."""
    place.ran()
    place.house.append(place.sales, sales().sample(fraction=1.0, shuffle=True, seed=3).to_arrow())
    assert place.planned().selected == ()


def test_late_rows_touch_the_dates_whose_window_holds_them(place: Place) -> None:
    """One late row makes D, D + 1 and D + 2 stale, each naming the view."""
    place.ran()
    late = DAYS[20]
    place.add((late, "late", 1000))
    touched = [late + timedelta(n) for n in range(3) if late + timedelta(n) in DAYS]
    assert [(d.day, d.state, d.reason) for d in place.planned().selected] == [
        (day, DateState.STALE, "changed: sales") for day in touched
    ]
    place.ran()
    assert as_dict(place.content()) == expected([*sales().rows(), (late, "late", 1000)])


def test_replaced_dates_hold_only_the_new_rows(place: Place) -> None:
    """Loading with `replace_dates` touches the dates of the rows and no other."""
    place.add((DAYS[4], "only", 7), replace_dates=True)
    rows = [row for row in sales().rows() if row[0] != DAYS[4]]
    place.ran()
    assert as_dict(place.content()) == expected([*rows, (DAYS[4], "only", 7)])


def test_a_lost_cache_changes_no_decision(place: Place) -> None:
    """Without the cache, or with a broken one, the plan is the same."""
    place.ran()
    before = place.planned().decisions
    for key in place.house.list_objects("cache/"):
        place.house.put_object(key, b"not a cache")
    assert place.planned().decisions == before


def test_rows_of_a_day_that_is_not_due_are_removed(place: Place) -> None:
    """A date that is an off-day loses its output, and nothing else does."""
    lease = lease_of(place)
    place.house.ensure(place.job.table)
    put(place, lease, OFF_DAY)
    place.house.release_lease(lease)
    report = place.ran(allow=Allow(removals=1))
    assert report.removed == [str(OFF_DAY)]
    assert as_dict(place.content()) == expected(sales().rows())


def test_options_are_stamped_and_remembered(place: Place) -> None:
    """A nightly run without options keeps those that the table was made with."""
    place.ran("quarantine_on=2030-01-01")
    assert place.planned().selected == ()
    assert len(place.planned("quarantine_on=").selected) == len(DAYS)


def test_only_selected_dates_are_computed(place: Place) -> None:
    """A range and a list of dates bound what a run touches."""
    place.ran(selection=Selection(start=DAYS[3], end=DAYS[10]))
    place.ran(selection=Selection(dates=(DAYS[20], DAYS[30])))
    assert set(place.content()["day"]) == {*DAYS[3:10], DAYS[20], DAYS[30]}


def test_a_poisoned_date_stands_alone(place: Place) -> None:
    """The span is halved until one date is left; the others are published, no row twice."""
    report = place.ran(f"raise_on={DAYS[17]}")
    assert report.failed == {str(DAYS[17]): "ValueError: this date is poisoned"}
    rows = [row for row in as_dict(place.content()) if row[0] == DAYS[17]]
    assert rows == []
    assert place.content().height == (len(DAYS) - 1) * 5
    place.ran("raise_on=")
    assert as_dict(place.content()) == expected(sales().rows())


def test_equal_dates_are_stamped_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--verify`: rows are read back and published again under the new code version."""
    place.ran()
    before = place.content()
    newer_code(monkeypatch)
    report = place.ran(how=replace(place.how, verify=3))
    assert len(report.restamped) == len(DAYS)
    assert place.output()["code_version"].unique().to_list() == ["newer"]
    assert place.content().equals(before)


def test_a_rightly_empty_date_is_published_and_known(place: Place) -> None:
    """Its rows go in the commit of the others; it is complete until something changes."""
    place.ran()
    empty = DAYS[9]
    report = place.ran(f"empty_on={empty}", selection=Selection(dates=DAYS[8:11]))
    assert (report.exit_code, report.empty) == (0, {str(empty): "asked for"})
    assert set(place.content()["day"]) == set(DAYS) - {empty}
    plan = place.again().planned(f"empty_on={empty}", selection=Selection(dates=DAYS[8:11]))
    assert plan.selected == ()
    assert [d.reason for d in plan.decisions if d.day == empty] == ["empty: asked for"]
    alone = place.ran(f"empty_on={empty}", selection=Selection(dates=(empty,), select=("all",)))
    assert (alone.exit_code, list(alone.empty)) == (0, [str(empty)])
    place.ran("empty_on=")
    assert as_dict(place.content()) == expected(sales().rows())


# -- gates ---------------------------------------------------------------------------------------
def test_nothing_quarantined_slips_in(place: Place) -> None:
    """A date that fails a gate keeps what it had; with other input it is tried again."""
    place.ran()
    bad = DAYS[9]
    place.add((bad, "x", -5))
    report = place.ran()
    assert report.exit_code == 1
    assert report.quarantined == {str(bad): "1 means are negative"}
    content = as_dict(place.content())
    assert (bad, "x") not in content
    again = place.ran()
    assert (again.planned, list(again.known_bad)) == (0, [str(bad)])
    good = [row for row in sales().rows() if row[0] == bad]
    place.add(*good, replace_dates=True)
    assert place.ran().exit_code == 0
    assert as_dict(place.content()) == expected(sales().rows())


# -- coverage ------------------------------------------------------------------------------------
def test_coverage_counts_values_by_month(place: Place) -> None:
    """The command line's counts are those of the sales."""
    place.ran(selection=Selection(start=DAYS[0], end=date(2025, 2, 10)))
    arguments = ["coverage", place.name, "-c", "mean", "-w", place.house.uri, "--json"]
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    text = json.dumps(found)
    january = sum(1 for day, _, _ in sales().rows() if day.month == 1)
    assert f'"total": {january}' in text
    assert "2025-02" in text


# -- schema --------------------------------------------------------------------------------------
def test_a_new_nullable_column_is_added(place: Place) -> None:
    """Old rows have NULL in it."""
    place.ran()
    table = place.job.table
    wider = replace(table, columns=(*table.columns, Column("extra", Kind.FLOAT, "New.")))
    place.house.ensure(wider)
    place.house.ensure(wider)
    found = pl.from_arrow(place.house.read(wider, ["day", "extra"]))
    assert found["extra"].null_count() == len(found) == len(DAYS) * 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda columns: columns[:-1], "computed_at is in the table alone"),
        (
            lambda columns: (*columns[:2], Column("mean", Kind.STRING), *columns[3:]),
            "column mean is",
        ),
        (
            lambda columns: (*columns, Column("must", Kind.INT, nullable=False)),
            "new column must is not nullable",
        ),
    ],
)
def test_any_other_change_of_schema_is_refused(place: Place, change, sentence: str) -> None:
    """The difference is shown and the table is as it was."""
    place.house.ensure(place.job.table)
    columns = place.job.table.columns
    with pytest.raises(ContractError, match=sentence):
        place.house.ensure(replace(place.job.table, columns=change(columns)))
    place.house.ensure(place.job.table)


# -- reading -------------------------------------------------------------------------------------
def test_reading_by_date_gives_these_dates_and_columns(place: Place) -> None:
    """A range, a list, a list without dates; columns in the order that was asked for."""
    truth = sales().sort("day", "shop")
    span = DateRange(DAYS[3], DAYS[6])
    found = pl.from_arrow(place.house.read(place.sales, ["shop", "day", "amount"], span))
    assert found.columns == ["shop", "day", "amount"]
    wanted = truth.filter(pl.col("day").is_between(DAYS[3], DAYS[5]))
    assert found.select("day", "shop", "amount").sort("day", "shop").equals(wanted)
    listed = place.house.read(place.sales, ["day"], [DAYS[0], DAYS[50]])
    assert listed.num_rows == 10
    assert place.house.read(place.sales, ["day", "amount"], []).num_rows == 0


def test_an_absent_table_is_named(place: Place) -> None:
    """Reading, listing partitions and history of a table that there is not."""
    nowhere = replace(place.sales, name=f"{place.dataset}.nowhere")
    for call in (
        lambda: place.house.read(nowhere, ["day"]),
        lambda: place.house.partitions(nowhere),
        lambda: place.house.history(nowhere.name),
    ):
        with pytest.raises(TableNotFoundError, match="nowhere"):
            call()
    assert not place.house.exists(nowhere.name)
    assert place.house.exists(place.sales.name)


def test_columns_that_are_not_stored_are_null_or_an_error(place: Place) -> None:
    """Nullable ones come as NULLs, required ones are an error that names them."""
    more = (Column("later", Kind.STRINGS), Column("must", Kind.INT, nullable=False))
    table = replace(place.sales, columns=(*place.sales.columns, *more))
    assert place.house.read(table, ["later"]).column("later").null_count == len(DAYS) * 5
    with pytest.raises(ContractError, match="must, which is required"):
        place.house.read(table, ["must"])
    other = replace(place.sales, columns=(Column("shop", Kind.INT),))
    with pytest.raises(ContractError, match=r"sales\.shop is stored as"):
        place.house.read(other, ["shop"])


def test_partitions_have_their_rows(place: Place) -> None:
    """Every date with rows, in order, with as many as there are."""
    assert [(p.day, p.rows) for p in place.house.partitions(place.sales)] == [
        (day, 5) for day in DAYS
    ]
    (info,) = [i for i in place.house.tables() if i.name == place.sales.name]
    assert (info.rows, info.partitions, info.first, info.last) == (
        len(DAYS) * 5,
        len(DAYS),
        DAYS[0],
        DAYS[-1],
    )


# -- publishing ----------------------------------------------------------------------------------
def test_publishing_replaces_exactly_the_staged_dates(place: Place) -> None:
    """Dates of the commit hold the new rows, removed ones none, all others theirs."""
    lease = lease_of(place)
    place.house.ensure(place.job.table)
    put(place, lease, *DAYS[:6], mean=1.0)
    staged = staged_rows(place, lease, DAYS[1], DAYS[2], mean=2.0)
    done = place.house.publish(place.job.table, staged, remove=[DAYS[4]], lease=lease)
    assert (done.dates, done.rows) == ((DAYS[1], DAYS[2], DAYS[4]), 2)
    found = {(day, mean) for day, _, mean in place.content().iter_rows()}
    kept = {(DAYS[n], 1.0) for n in (0, 3, 5)}
    assert found == kept | {(DAYS[1], 2.0), (DAYS[2], 2.0)}


def test_publishing_a_part_of_what_was_staged_publishes_that_part(place: Place) -> None:
    """Dates of one staging call are published each for itself; the others stay unseen."""
    lease = lease_of(place)
    place.house.ensure(place.job.table)
    staged = staged_rows(place, lease, *DAYS[:4])
    place.house.publish(place.job.table, staged[:1], remove=[], lease=lease)
    assert place.content()["day"].to_list() == [DAYS[0]]
    place.house.publish(place.job.table, staged[2:], remove=[], lease=lease)
    assert place.content()["day"].to_list() == [DAYS[0], DAYS[2], DAYS[3]]


def test_publishing_twice_gives_the_rows_once(place: Place) -> None:
    """The same handover again, as after a lost answer, changes nothing."""
    lease = lease_of(place)
    place.house.ensure(place.job.table)
    staged = staged_rows(place, lease, *DAYS[:3])
    for _ in range(2):
        place.house.publish(place.job.table, staged, remove=[], lease=lease)
    assert place.content().height == 3


def test_a_date_that_was_staged_twice_is_refused(place: Place) -> None:
    """Two stagings of a date in one commit would double its rows."""
    lease = lease_of(place)
    place.house.ensure(place.job.table)
    twice = staged_rows(place, lease, DAYS[0]) + staged_rows(place, lease, DAYS[0])
    with pytest.raises(WarehouseError, match="staged twice"):
        place.house.publish(place.job.table, twice, remove=[], lease=lease)
    assert place.content().is_empty()


# -- leases --------------------------------------------------------------------------------------
def test_a_held_table_is_refused_and_the_holder_named(place: Place) -> None:
    """Until it is released, or stolen; what the first publishes then is refused."""
    first = lease_of(place, "20261122T100000-aaaaaa")
    place.house.ensure(place.job.table)
    with pytest.raises(LeaseHeldError, match="20261122T100000-aaaaaa"):
        lease_of(place, "20261122T100001-bbbbbb")
    later = place.house.renew_lease(first, seconds=900)
    assert later.expires_at > first.expires_at
    staged = staged_rows(place, later, DAYS[0])
    thief = lease_of(place, "20261122T100001-bbbbbb", steal=True)
    with pytest.raises(LeaseLostError, match="20261122T100001-bbbbbb"):
        place.house.publish(place.job.table, staged, remove=[], lease=later)
    with pytest.raises(LeaseLostError):
        place.house.renew_lease(later, seconds=60)
    place.house.release_lease(later)
    put(place, thief, DAYS[1])
    assert place.content()["day"].to_list() == [DAYS[1]]
    place.house.release_lease(thief)
    lease_of(place, "20261122T100002-cccccc")


def test_an_expired_lease_is_free_and_still_its_holders_until_taken(place: Place) -> None:
    """A machine that slept goes on, unless another run came meanwhile."""
    slept = place.house.acquire_lease(place.job.table, "slept", seconds=0, steal=False)
    place.house.ensure(place.job.table)
    put(place, slept, DAYS[0])
    lease_of(place, "next")
    with pytest.raises(LeaseLostError):
        put(place, slept, DAYS[1])
    assert place.content()["day"].to_list() == [DAYS[0]]


def test_two_tables_have_leases_of_their_own(place: Place) -> None:
    """Holding one table does not keep another run from the next."""
    other = replace(place.job.table, name=f"{place.dataset}.others")
    lease_of(place)
    assert place.house.acquire_lease(other, "run-2", seconds=60, steal=False).epoch == 1


# -- journal, objects, history -------------------------------------------------------------------
def test_the_journal_folds_to_the_report(place: Place) -> None:
    """Progress from the journal, in any order and with repeats, equals the run's end."""
    report = place.ran(f"raise_on={DAYS[17]}")
    (run_id,) = run_ids(place.again().house)
    events = read_journal(place.again().house, run_id)
    progress = fold([*events[::-1], *events])
    assert progress.published == report.published
    assert progress.problems.keys() == report.failed.keys()


def test_small_objects_are_the_last_that_was_put(place: Place) -> None:
    """Grown, replaced, shrunk, empty, large; listed by prefix."""
    house = place.house
    assert house.get_object("notes/a") is None
    for data in (b"one\n", b"one\ntwo\n", b"other", b"oth", b"", b"x" * 9_000_000):
        house.put_object("notes/a", data)
        assert place.again().house.get_object("notes/a") == data
    place.again().house.put_object("notes/a", b"of another process")
    house.put_object("notes/b", b"2")
    assert house.get_object("notes/a") == b"of another process"
    assert house.list_objects("notes/") == ["notes/a", "notes/b"]
    assert house.list_objects("nothing/") == []


def test_small_objects_are_listed_behind_a_key_and_no_more_once_deleted(place: Place) -> None:
    """What was deleted is as if it had never been, until it is put again."""
    house = place.house
    for name in ("a", "b", "b2", "c"):
        house.put_object(f"notes/{name}", name.encode())
    house.put_object("notes/c", b"c, grown")
    assert house.list_objects("notes/", after="notes/b") == ["notes/b2", "notes/c"]
    assert house.list_objects("notes/", after="notes/c") == []
    house.delete_object("notes/b2")
    house.delete_object("notes/never")
    for again in (house, place.again().house):
        assert again.list_objects("notes/") == ["notes/a", "notes/b", "notes/c"]
        assert not again.get_object("notes/b2")
    house.put_object("notes/b2", b"")
    assert house.list_objects("notes/", after="notes/b") == ["notes/b2", "notes/c"]


def test_a_request_to_cancel_is_seen_elsewhere_and_taken_away(place: Place) -> None:
    """One process asks, another reads; what was taken away can be asked again."""
    here, there = place.house, place.again().house
    for asked in (CancelRequest(by="somebody@here"), CancelRequest(now=True)):
        control.request(here, "r-1", asked)
        assert control.requested(there, "r-1") == asked
        control.forget(there, "r-1")
        assert control.requested(here, "r-1") is None


def test_history_names_the_runs_newest_first(place: Place) -> None:
    """Each commit with its run and its dates."""
    first = place.ran(selection=Selection(start=DAYS[0], end=DAYS[5]))
    second = place.ran(how=replace(place.how, batch=60))
    published = [v for v in place.house.history(place.job.table.name) if v.operation == "publish"]
    runs = [v.detail["run_id"] for v in published]
    assert list(dict.fromkeys(runs)) == [second.run_id, first.run_id]
    dates = [int(v.detail["dates"]) for v in published]
    assert (dates[-1], sum(dates)) == (5, len(DAYS))
    assert [v.version for v in published] == sorted((v.version for v in published), reverse=True)
