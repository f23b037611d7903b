"""One emulator for the whole session, and a place to run the rolling job in for each test.

With `RAY_BACKFILL_TEST_PROJECT` the same tests use that project of BigQuery: each makes a
dataset whose name begins with `ray_backfill_test_`, and deletes it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.engine.runs import RunOptions
from ray_backfill.job import Job
from ray_backfill.job.table import Table
from ray_backfill.plan import Allow, Plan, Selection
from ray_backfill.record.report import Report
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill.warehouse.bigquery import errors as _bq_errors
from tests import emulator as emulators
from tests import engine
from tests.conftest import sales
from tests.contract_job import job_of
from tests.emulator import Emulator

REAL = os.environ.get("RAY_BACKFILL_TEST_PROJECT", "")


@dataclass(frozen=True)
class Place:
    """A warehouse with sales in it, and the rolling job over them."""

    house: Warehouse
    dataset: str

    @property
    def job(self) -> Job:
        return job_of(self.dataset)

    @property
    def name(self) -> str:
        """The job as the command line takes it."""
        return f"tests.contract_job:{self.dataset}"

    @property
    def sales(self) -> Table:
        return self.job.inputs[0].table

    @property
    def how(self) -> RunOptions:
        return RunOptions(self.name, parallel=False, backoff_seconds=0.01)

    def ran(
        self,
        *options: str,
        selection: Selection | None = None,
        how: RunOptions | None = None,
        allow: Allow | None = None,
    ) -> Report:
        return engine.ran(self.house, options, selection, how or self.how, allow)

    def planned(self, *options: str, selection: Selection | None = None) -> Plan:
        return engine.planned(self.house, options, selection, self.name)

    def content(self) -> pl.DataFrame:
        return engine.content(self.house, self.job)

    def output(self) -> pl.DataFrame:
        return engine.output(self.house, self.job)

    def add(self, *rows: tuple[object, ...], replace_dates: bool = False) -> None:
        """Add sales: day, shop, amount."""
        frame = pl.DataFrame(rows, schema=dict(self.sales.schema()), orient="row")
        self.house.append(self.sales, frame.to_arrow(), replace_dates=replace_dates)

    def again(self) -> Place:
        """The same place as another process would open it."""
        return replace(self, house=open_warehouse(self.house.uri))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator, with this process's settings pointing at it."""
    if why := emulators.absent():
        pytest.skip(why)
    running = Emulator(tmp_path_factory.mktemp("emulator")).start()
    before = {name: os.environ.get(name) for name in running.settings}
    os.environ.update(running.settings)
    try:
        yield running
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        running.stop()


@pytest.fixture
def emulator(server: Emulator) -> Iterator[Emulator]:
    """The emulator without faults and with an empty request log."""
    server.mend()
    server.forget()
    yield server
    server.mend()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as often as in earnest between attempts, and not as long."""
    monkeypatch.setattr(_bq_errors, "FIRST_PAUSE", 0.01)


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Iterator[Place]:
    """BigQuery without any table: a project of its own, or a dataset of a real project."""
    if REAL:
        dataset = f"ray_backfill_test_{secrets.token_hex(4)}"
        place = Place(open_warehouse(f"bigquery://{REAL}?staging={dataset}_house"), dataset)
        yield place
        client = place.house._clients.rest  # type: ignore[attr-defined]
        for name in (dataset, f"{dataset}_house"):
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
        return
    request.getfixturevalue("emulator")
    yield Place(open_warehouse(f"bigquery://test-{secrets.token_hex(6)}"), "shop")


@pytest.fixture
def bigquery(fresh: Place) -> Place:
    """BigQuery that holds the sales."""
    fresh.house.append(fresh.sales, sales().to_arrow())
    return fresh


@pytest.fixture(params=["lake", "bigquery"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Either warehouse, holding the sales."""
    if request.param == "bigquery":
        found: Place = request.getfixturevalue("bigquery")
        return found
    lake = Place(open_warehouse(str(tmp_path / "lake")), "shop")
    lake.house.append(lake.sales, sales().to_arrow())
    return lake
