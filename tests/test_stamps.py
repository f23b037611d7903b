"""What an output says of its dates: read where it may have changed, and no more than is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from ray_backfill.errors import WarehouseError
from ray_backfill.job import Job
from ray_backfill.job.table import STAMP, Column, Kind
from ray_backfill.staleness.content import content_digests, is_comparable
from ray_backfill.survey import stamps as reading
from ray_backfill.survey.ledger import Ledger
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.bigquery.catalogue import is_not_later
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import DAYS
from tests.engine import content, output, planned, ran
from tests.lakes import EVERY, every
from tests.rolling_job import JOB, MEANS, SALES

D = DAYS[20]
OF_STAMPS = {"day", *(column.name for column in STAMP)}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], list[date]]]:
    """Columns and dates of every reading of the output."""
    seen: list[tuple[set[str], list[date]]] = []
    real = Lake.read

    def watched(self: Lake, table: Any, columns: Sequence[str], dates: Any = None) -> Any:
        if table.name == MEANS.name:
            seen.append((set(columns), sorted(dates)))
        return real(self, table, columns, dates)

    monkeypatch.setattr(Lake, "read", watched)
    return seen


def lose_cache(house: Warehouse) -> None:
    for key in house.list_objects("cache/"):
        house.delete_object(key)


def others(house: Warehouse) -> DeltaTable:
    return DeltaTable(f"{house.uri}/shop/means")


def test_of_what_we_published_nothing_but_stamps_is_read(
    lake: Warehouse, read: list[tuple[set[str], list[date]]]
) -> None:
    """By its metadata a date is known as the run left it; without the cache too."""
    ran(lake)
    read.clear()
    for _ in range(2):
        assert planned(lake).selected == ()
    lose_cache(lake)
    planned(lake)
    assert [days for _, days in read] == [list(DAYS), list(DAYS)]
    assert all(columns <= OF_STAMPS for columns, _ in read)


def test_of_what_others_changed_the_content_is_read_once(
    lake: Warehouse, read: list[tuple[set[str], list[date]]]
) -> None:
    """One partition, its own columns, and then it is in the cache."""
    ran(lake)
    planned(lake)
    others(lake).update(updates={"mean": "99.5"}, predicate=f"day = '{D}' AND shop = 'shop1'")
    read.clear()
    for _ in range(2):
        assert [d.day for d in planned(lake).selected] == [D]
    assert [days for _, days in read] == [[D], [D]]
    assert read[1][0] == {"day", "shop", "mean"}


def test_without_the_ledger_content_tells(
    lake: Warehouse, read: list[tuple[set[str], list[date]]]
) -> None:
    """Everything is read once, in parts, and nothing is claimed that is not so."""
    ran(lake)
    others(lake).update(updates={"mean": "99.5"}, predicate=f"day = '{D}' AND shop = 'shop1'")
    lose_cache(lake)
    lake.delete_object("ledger/shop.means.json.z")
    assert [d.day for d in planned(lake).selected] == [D]
    assert [d.day for d in planned(lake).selected] == [D]


def test_content_is_held_in_parts(
    lake: Warehouse, read: list[tuple[set[str], list[date]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that is larger than the memory is read as its rows allow."""
    ran(lake)
    lake.delete_object("ledger/shop.means.json.z")
    monkeypatch.setattr(reading, "_MOST_ROWS", 12)
    read.clear()
    assert planned(lake).selected == ()
    parts = [days for columns, days in read if "mean" in columns]
    assert [day for days in parts for day in days] == list(DAYS)
    assert max(len(days) for days in parts) == 2


def test_content_that_cannot_be_read_is_named_by_date(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other dates of the part are looked at all the same."""
    ran(lake)
    lake.delete_object("ledger/shop.means.json.z")
    others(lake).update(updates={"mean": "99.5"}, predicate=f"day = '{D}' AND shop = 'shop1'")
    real = Lake.read

    def broken(self: Lake, table: Any, columns: Sequence[str], dates: Any = None) -> Any:
        if "mean" in columns and DAYS[3] in dates:
            raise WarehouseError("the column mean is broken")
        return real(self, table, columns, dates)

    monkeypatch.setattr(Lake, "read", broken)
    reasons = {d.day: d.reason for d in planned(lake).selected}
    assert reasons == {
        DAYS[3]: "its rows cannot be read: the column mean is broken",
        D: "changed by others since it was published: other values",
    }


def test_what_is_read_after_a_commit_is_not_kept_under_the_token_before_it(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan beside a run, then `restore`: the old rows are not taken for the new ones."""
    ran(lake)
    before = lake.history(MEANS.name)[0].version
    late = pl.DataFrame([(D, "late", 1000)], schema=dict(SALES.schema()), orient="row")
    lake.append(SALES, late.to_arrow())
    lose_cache(lake)
    real = Lake.read

    def meanwhile(self: Lake, table: Any, columns: Sequence[str], dates: Any = None) -> Any:
        if table.name == MEANS.name:
            monkeypatch.setattr(Lake, "read", real)
            ran(lake)
        return real(self, table, columns, dates)

    monkeypatch.setattr(Lake, "read", meanwhile)
    planned(lake)
    lake.restore(MEANS.name, before)
    touched = [D + timedelta(n) for n in range(3) if D + timedelta(n) in DAYS]
    assert [d.day for d in planned(lake).selected] == touched


# -- what older versions published ---------------------------------------------------------------
def as_an_older_version(house: Warehouse) -> None:
    """Publish the output as it was before its rows said how many they are."""
    old = tuple(c for c in STAMP if c.name not in ("partition_rows", "content_digest"))
    table = replace(MEANS, columns=MEANS.columns + old)
    rows = output(house).select(table.schema().names())
    import shutil

    shutil.rmtree(f"{house.uri}/shop/means")
    for key in (*house.list_objects("ledger/"), *house.list_objects("cache/")):
        house.delete_object(key)
    house.append(table, rows.to_arrow())


def test_what_an_older_version_published_is_as_complete_as_it_was(lake: Warehouse) -> None:
    """Nothing is claimed of it but a key that stands twice; its next run adds the columns."""
    ran(lake)
    truth = content(lake)
    as_an_older_version(lake)
    assert planned(lake).selected == ()
    delta = others(lake)
    doubled = delta.to_pyarrow_table(filters=[("day", "=", D)])
    from deltalake import write_deltalake

    write_deltalake(delta, doubled, mode="append")
    (found,) = planned(lake).selected
    assert found.reason == (
        "changed by others since it was published: "
        f"the key day, shop stands twice, as in {D}, shop0"
    )
    assert ran(lake).exit_code == 0
    assert content(lake).equals(truth)
    assert output(lake).filter(pl.col("day") == D)["partition_rows"].to_list() == [5] * 5
    assert planned(lake).selected == ()


def test_digests_of_other_columns_or_other_code_say_nothing(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that the job got since is no change by others."""
    ran(lake)
    lake.delete_object("ledger/shop.means.json.z")
    wider = replace(MEANS, columns=(*MEANS.columns, Column("more", Kind.INT)))
    job: Job = replace(JOB, output=wider)
    stamps = reading.read_stamps(lake, job, Ledger(lake, MEANS.name))
    assert {stamp.changed for stamp in stamps.values()} == {""}
    digest = stamps[D].content_digest
    assert is_comparable(MEANS, digest)
    assert not is_comparable(wider, digest)
    assert not is_comparable(MEANS, "")


# -- pure ----------------------------------------------------------------------------------------
def test_the_digest_of_content_is_that_of_the_rows_that_come_back() -> None:
    """Whatever their order; a list that is NULL is an empty one, as BigQuery has it."""
    table = replace(EVERY, key=("game_date", "text"))
    rows = every()
    truth = content_digests(table, rows)
    assert content_digests(table, rows.reverse().rechunk()) == truth
    empty = pl.lit([], dtype=pl.List(pl.String))
    assert content_digests(table, rows.with_columns(pl.col("texts").fill_null(empty))) == truth
    other = rows.with_columns(pl.col("whole").fill_null(7))
    changed = {day for day, digest in content_digests(table, other).items() if digest != truth[day]}
    assert changed == {date(2025, 1, 2)}


@pytest.mark.parametrize(
    ("now", "ours"),
    [
        ("2026-01-01 10:00:00.123000+00:00/300", True),
        ("2026-01-01 10:00:01+00:00/300", True),
        ("2026-01-01 10:00:01.001000+00:00/300", False),
        ("2026-01-01 10:00:00+00:00/299", False),
        ("5f0c3cf6b1d84b0c8f0f0f4f3b2f1a00", False),
        ("", False),
    ],
)
def test_a_partition_of_bigquery_is_ours_by_its_time_and_rows(now: str, ours: bool) -> None:
    """It was modified within our job, and holds as many rows as that wrote."""
    assert is_not_later(now, "2026-01-01 10:00:01+00:00/300") is ours
