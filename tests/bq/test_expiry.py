"""Partitions that expire: what is ours states its own expiry, and others' are warned of."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from tests.bq.conftest import Place
from tests.bq.test_bigquery import client, emulator_only
from tests.bq.test_contract import lease_of
from tests.bq.test_faults import struck
from tests.conftest import DAYS, environment, sales
from tests.emulator import Emulator
from tests.test_cli import SCRIPT

DAY_MS = 86_400_000


def short_lived(place: Place, **defaults: int) -> None:
    """Give the datasets of a place, which are made here, default expiries."""
    from google.cloud.bigquery import Dataset

    rest = client(place)
    house = _bq_settings.parse(place.house.uri)
    for name in (place.dataset, house.staging):
        dataset = Dataset(f"{house.project}.{name}")
        for default, days in defaults.items():
            setattr(dataset, default, days * DAY_MS)
        rest.create_dataset(dataset, retry=None)


def stored(place: Place, full: str) -> Any:
    return client(place).get_table(full, retry=None)


def ours(place: Place) -> dict[str, Any]:
    """The tables that a run of this place makes, as they are stored."""
    house = _bq_settings.parse(place.house.uri)
    staging = house.house(_bq_stage.staging_name(place.job.table.name, "run-1"))
    names = {
        "raw": house.full(place.sales.name),
        "output": house.full(place.job.table.name),
        "staging": staging,
        "objects": house.house("objects"),
    }
    return {name: stored(place, full) for name, full in names.items()}


@pytest.mark.parametrize(
    "defaults",
    [
        {"default_partition_expiration_ms": 60},
        {"default_table_expiration_ms": 60},
        {"default_partition_expiration_ms": 60, "default_table_expiration_ms": 30},
    ],
)
def test_what_is_created_has_its_own_expiry(fresh: Place, defaults: dict[str, int]) -> None:
    """Raw and output tables none, staging a day, objects 400 days: whatever the datasets say."""
    short_lived(fresh, **defaults)
    fresh.house.append(fresh.sales, sales().to_arrow())
    lease = lease_of(fresh, "run-1")
    fresh.house.put_object("notes/a", b"1")
    found = ours(fresh)
    kept = {name: t.time_partitioning.expiration_ms for name, t in found.items()}
    assert kept == {"raw": None, "output": None, "staging": None, "objects": 400 * DAY_MS}
    assert [name for name, t in found.items() if t.expires] == ["staging"]
    left = found["staging"].expires - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    fresh.house.release_lease(lease)
    assert fresh.ran().exit_code == 0


@emulator_only
def test_the_default_is_taken_away_in_spite_of_lost_answers(
    fresh: Place, emulator: Emulator
) -> None:
    """A table that was made and whose answer was lost is ours; an old etag is read again."""
    short_lived(fresh, default_partition_expiration_ms=60)
    emulator.fail(match=r"POST .*/shop/tables", status=503, after=True)
    emulator.fail(match=r"PATCH .*/tables/means", status=412, reason="conditionNotMet")
    fresh.house.ensure(fresh.job.table)
    assert struck(emulator)
    full = _bq_settings.parse(fresh.house.uri).full(fresh.job.table.name)
    assert stored(fresh, full).time_partitioning.expiration_ms is None


def test_an_expiry_that_somebody_chose_stays(fresh: Place) -> None:
    """Tables that are there are not changed."""
    fresh.house.ensure(fresh.job.table)
    keep(fresh, days=60)
    fresh.house.ensure(fresh.job.table)
    lease_of(fresh)
    full = _bq_settings.parse(fresh.house.uri).full(fresh.job.table.name)
    assert stored(fresh, full).time_partitioning.expiration_ms == 60 * DAY_MS


def keep(place: Place, *, days: int) -> None:
    """Let the output keep its dates for so long."""
    table = stored(place, _bq_settings.parse(place.house.uri).full(place.job.table.name))
    by = table.time_partitioning
    by.expiration_ms = days * DAY_MS
    table.time_partitioning = by
    client(place).update_table(table, ["time_partitioning"], retry=None)


def said(place: Place, command: str, *options: str) -> Any:
    # Not with the jobs of other tests: one of them writes a table of this name.
    done = subprocess.run(
        [SCRIPT, command, place.name, *options, "-w", place.house.uri],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_dates_that_would_expire_are_warned_of(bigquery: Place) -> None:
    """By `plan` and by `run`, in words and in JSON: how many, which, and what to do."""
    bigquery.house.ensure(bigquery.job.table)
    age = (datetime.now(UTC).date() - DAYS[10]).days
    keep(bigquery, days=age)
    planned = said(bigquery, "plan", "--json")
    (warning,) = json.loads(planned.stdout)["warnings"]
    assert f"keeps a date for {age} days: 11 of the {len(DAYS)} dates to write" in warning
    assert f"({DAYS[0]} … {DAYS[10]})" in warning
    assert "SET OPTIONS (partition_expiration_days = NULL)" in warning
    assert warning in said(bigquery, "plan").stderr
    report = said(bigquery, "run", "--no-parallel", "--json")
    assert json.loads(report.stdout)["warnings"] == [warning]
    assert warning in report.stderr
    assert json.loads(said(bigquery, "plan", "--json").stdout)["warnings"] == []  # none to write


def test_a_table_that_deletes_itself_is_warned_of(bigquery: Place) -> None:
    """With the moment, as BigQuery has it."""
    bigquery.house.ensure(bigquery.job.table)
    table = stored(bigquery, _bq_settings.parse(bigquery.house.uri).full(bigquery.job.table.name))
    table.expires = datetime(2999, 1, 2, 3, 4, tzinfo=UTC)
    client(bigquery).update_table(table, ["expires"], retry=None)
    (warning,) = json.loads(said(bigquery, "plan", "--json").stdout)["warnings"]
    assert "deletes itself, with all its dates, at 2999-01-02 03:04 UTC" in warning


def test_without_an_expiry_there_is_nothing_to_warn_of(place: Place) -> None:
    """A lake has none; in BigQuery neither a new table nor one that keeps all."""
    assert json.loads(said(place, "plan", "--json").stdout)["warnings"] == []
    assert place.ran().warnings == []
