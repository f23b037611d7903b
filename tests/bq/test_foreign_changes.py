"""What others did to an output is seen in the plan, and the next run puts it right."""

# ruff: noqa: S608 - the statements are the tests' own

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.transaction import AddAction

from ray_backfill.job import DateState
from ray_backfill.plan import Allow
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery.warehouse import BigQuery
from tests.bq.conftest import Place
from tests.conftest import DAYS
from tests.engine import planned

D = DAYS[20]


class Others:
    """Another tool, which changes the output as it likes."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.table = place.job.table

    def _sql(self, statement: str) -> None:
        client = _bq_settings.clients(_bq_settings.parse(self.place.house.uri)).rest
        name = f"`{client.project}.{self.table.name}`"
        client.query(statement.replace("{t}", name), retry=None).result()

    @property
    def _delta(self) -> DeltaTable:
        return DeltaTable(f"{self.place.house.uri}/{self.table.name.replace('.', '/')}")

    @property
    def _on_bigquery(self) -> bool:
        return isinstance(self.place.house, BigQuery)

    def add(self, rows: pl.DataFrame) -> None:
        """Insert rows; a column that they lack is NULL."""
        if self._on_bigquery:
            columns = ", ".join(rows.columns)
            for row in rows.iter_rows():
                values = ", ".join(_literal(value) for value in row)
                self._sql(f"INSERT INTO {{t}} ({columns}) VALUES ({values})")
        else:
            whole = pl.concat([self.table.empty(), rows], how="diagonal")
            types = pa.schema(self._delta.schema().to_arrow())
            write_deltalake(self._delta, whole.to_arrow().cast(types), mode="append")

    def delete(self, condition: str) -> None:
        if self._on_bigquery:
            self._sql(f"DELETE FROM {{t}} WHERE {condition}")
        else:
            self._delta.delete(condition)

    def update(self, column: str, value: str, condition: str) -> None:
        if self._on_bigquery:
            self._sql(f"UPDATE {{t}} SET {column} = {value} WHERE {condition}")
        else:
            self._delta.update(updates={column: value}, predicate=condition)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else f"'{value}'"


def rows_of(place: Place) -> pl.DataFrame:
    return place.output().filter(pl.col("day") == D)


def twice(others: Others) -> None:
    others.add(rows_of(others.place))


def fewer(others: Others) -> None:
    others.delete(f"day = '{D}' AND shop = 'shop1'")


def other_values(others: Others) -> None:
    others.update("mean", "99.5", f"day = '{D}' AND shop = 'shop1'")


def another_key(others: Others) -> None:
    others.update("shop", "'shop2'", f"day = '{D}' AND shop = 'shop1'")


def another_run(others: Others) -> None:
    others.update("run_id", "'r-1'", f"day = '{D}' AND shop = 'shop1'")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (twice, "10 rows instead of 5; the key day, shop stands twice, as in 2025-01-24, shop0"),
        (fewer, "4 rows instead of 5"),
        (other_values, "other values"),
        (another_key, "the key day, shop stands twice, as in 2025-01-24, shop2"),
    ],
)
def test_what_others_changed_is_due_and_put_right(
    place: Place, change: Callable[[Others], None], why: str
) -> None:
    """Rows twice, rows gone, other values, another key: named, and computed anew."""
    place.ran()
    truth = place.content()
    change(Others(place))
    place = place.again()
    (found,) = place.planned().selected
    assert (found.day, found.state) == (D, DateState.STALE)
    assert found.reason == f"changed by others since it was published: {why}"
    assert place.planned().selected == (found,)  # also from the cache
    report = place.ran()
    assert (report.exit_code, list(report.published)) == (0, [str(D)])
    assert place.content().equals(truth)
    assert place.planned().selected == ()


def test_rows_of_two_runs_in_a_date_are_no_one_runs(place: Place) -> None:
    """A commit replaces a date whole: its rows carry one run's stamp."""
    place.ran()
    another_run(Others(place))
    (found,) = place.again().planned().selected
    assert (found.day, found.reason) == (D, "its rows carry different stamps")


def test_others_may_write_the_same_rows_again(place: Place) -> None:
    """Compaction, a copy and back: other files or another time, the same content."""
    place.ran()
    others = Others(place)
    rows = rows_of(place)
    others.delete(f"day = '{D}'")
    others.add(rows)
    assert place.again().planned().selected == ()


def test_rows_without_a_stamp_are_kept_until_somebody_says_so(place: Place) -> None:
    """Others wrote them into our table: named, and only a word lets them go."""
    place.ran()
    theirs = rows_of(place).select("day", "shop", "mean").with_columns(shop=pl.lit("theirs"))
    _force(place, theirs.head(2))
    place = place.again()
    plan = place.planned()
    why = "2 of its 7 rows carry no stamp: others wrote them"
    assert (plan.kept, plan.selected) == ({D: why}, ())
    allowed = planned(place.house, job=place.name, allow=Allow(removals=1))
    assert [d.day for d in allowed.selected] == [D]


def _force(place: Place, rows: pl.DataFrame) -> None:
    """Add rows that have no stamp to a table that takes none of these."""
    table = place.job.table
    if isinstance(place.house, BigQuery):
        client = _bq_settings.clients(_bq_settings.parse(place.house.uri)).rest
        stored = client.get_table(f"{client.project}.{table.name}")
        fields = [{**field.to_api_repr(), "mode": "NULLABLE"} for field in stored.schema]
        stored.schema = [type(stored.schema[0]).from_api_repr(field) for field in fields]
        client.update_table(stored, ["schema"])
        Others(place).add(rows)
        return
    path = f"{place.house.uri}/{table.name.replace('.', '/')}"
    name = f"day={D}/theirs.parquet"
    rows.drop("day").write_parquet(f"{path}/{name}")
    add = AddAction(name, Path(path, name).stat().st_size, {"day": str(D)}, 0, True, "{}")
    delta = DeltaTable(path)
    delta.create_write_transaction([add], "append", delta.schema(), ["day"])
