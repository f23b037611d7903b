"""The guards through the command line: what `plan` announces is what `run` asks for."""

from __future__ import annotations

import json

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS
from tests.engine import ROLLING, content
from tests.test_cli import call, call_json, said

RUN = ("run", ROLLING, "--no-parallel")


@pytest.fixture
def pruned(lake: Warehouse) -> Warehouse:
    """A lake whose output is computed, and whose sales lost a date since."""
    assert call(*RUN, warehouse=lake).returncode == 0
    DeltaTable(f"{lake.uri}/shop/sales").delete(f"day = '{DAYS[20]}'")
    return lake


def test_kept_dates_are_announced_and_end_a_run_with_3(pruned: Warehouse) -> None:
    """The number that allows it is in both; with it they are removed."""
    shown = call("plan", ROLLING, warehouse=pruned)
    assert shown.returncode == 0
    assert f"shop.sales {DAYS[20]}: 5 → 0 rows" in shown.stdout
    assert "--allow-removals 1" in shown.stderr
    assert "--allow-shrink" in shown.stderr
    plan = call_json("plan", ROLLING, warehouse=pruned)
    assert (list(plan["kept"]), len(plan["shrinking"]), plan["selected"]) == (
        [str(DAYS[20])],
        1,
        0,
    )
    refused = call(*RUN, warehouse=pruned)
    assert refused.returncode == 3
    assert "--allow-removals 1, if that is meant" in said(refused)[-1]["message"]
    allowed = ("--allow-removals", "1", "--allow-shrink")
    assert call_json("plan", ROLLING, *allowed, warehouse=pruned)["selected"] == 2
    assert call(*RUN, *allowed, warehouse=pruned).returncode == 0
    assert DAYS[20] not in set(content(pruned)["day"])


def test_a_table_of_others_is_refused_by_plan_and_run_alike(lake: Warehouse) -> None:
    """Exit 3 with what it lacks; nothing of it is touched."""
    theirs = pl.DataFrame({"day": [DAYS[0]], "shop": ["x"], "price": [1.5]})
    write_deltalake(f"{lake.uri}/shop/means", theirs.to_arrow(), partition_by=["day"])
    for command in (("plan", ROLLING), RUN, ("plan", ROLLING, "--rebuild"), (*RUN, "--rebuild")):
        done = call(*command, warehouse=lake)
        assert done.returncode == 3, done.stderr
        assert "shop.means is a table that ray-backfill did not write" in done.stderr
        assert "columns that rolling does not write (price)" in done.stderr
    assert DeltaTable(f"{lake.uri}/shop/means").version() == 0
    assert lake.list_objects("leases/") == []


def test_a_schema_that_changed_is_refused_by_plan_and_run_alike(lake: Warehouse) -> None:
    """The difference, and the command that rebuilds; `plan --rebuild` shows what that does."""
    assert call(*RUN, warehouse=lake).returncode == 0
    delta = DeltaTable(f"{lake.uri}/shop/means")
    rows = pl.DataFrame(delta.to_pyarrow_table()).with_columns(pl.col("mean").cast(pl.String))
    write_deltalake(delta, rows.to_arrow(), mode="overwrite", schema_mode="overwrite")
    for command in (("plan", ROLLING), RUN):
        done = call(*command, warehouse=lake)
        assert done.returncode == 3, done.stderr
        assert "column mean is string" in done.stderr
        assert "--rebuild" in done.stderr
    assert call_json("plan", ROLLING, "--rebuild", warehouse=lake)["selected"] == len(DAYS)
    report = call_json(*RUN, "--rebuild", warehouse=lake)
    assert "took the place of the old one" in report["verdict"]
    assert content(lake).schema["mean"] == pl.Float64
    assert call(*RUN, warehouse=lake).returncode == 0


def test_a_part_of_a_table_is_not_rebuilt(lake: Warehouse) -> None:
    """Exit 2: the new table is whole or it is none."""
    for command in ("plan", "run"):
        done = call(command, ROLLING, "--rebuild", "--end-date", "2025-01-10", warehouse=lake)
        assert done.returncode == 2
        assert "--rebuild computes the whole table" in done.stderr


def test_older_code_is_announced_by_plan_and_refused_by_run(lake: Warehouse) -> None:
    """Both name the newer code; the option lets the older one go on."""
    assert call(*RUN, warehouse=lake).returncode == 0
    _stamp_with_newer_code(lake)
    shown = call("plan", ROLLING, warehouse=lake)
    assert shown.returncode == 0
    assert "is older than that of the table: newer replaced it on" in shown.stderr
    assert "--allow-older-code" in shown.stderr
    refused = call(*RUN, warehouse=lake)
    assert refused.returncode == 3
    assert "--allow-older-code" in json.dumps(said(refused)[-1])
    assert call(*RUN, "--allow-older-code", warehouse=lake).returncode == 0


def _stamp_with_newer_code(lake: Warehouse) -> None:
    delta = DeltaTable(f"{lake.uri}/shop/means")
    later = "CAST(computed_at + INTERVAL '1' HOUR AS TIMESTAMP)"
    delta.update(updates={"code_version": "'newer'", "computed_at": later})
