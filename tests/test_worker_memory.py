"""A run stays within --worker-memory: spans are cut before they run, or dates are refused."""

from __future__ import annotations

import re

import pytest

from ray_backfill.plan import Plan
from ray_backfill.plan.sizing import BASE_BYTES, human_bytes
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill_nba.demo_league import LeagueSpec
from tests.engine import planned
from tests.league import fill
from tests.test_cli import call, said

LEAGUE = LeagueSpec(scale=3, seasons=1, games=20, preseason=False, playoffs=False)
RUN = ("run", "player_context", "--no-parallel", "--log-format", "json")


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Ninety teams side by side, over a month and a half."""
    house = open_warehouse(str(tmp_path_factory.mktemp("league") / "lake"))
    fill(house, LEAGUE)
    return house


@pytest.fixture(scope="module")
def whole(league: Warehouse) -> Plan:
    """The plan where memory is no matter."""
    return planned(league, job="player_context", workers=1)


def test_a_bound_that_no_date_fits_is_refused_with_the_numbers(
    league: Warehouse, whole: Plan
) -> None:
    """Exit 3 before anything is written: the date, its need, the rows, the bound."""
    bound = BASE_BYTES + 2**20
    done = call(*RUN, "--worker-memory", str(bound), warehouse=league)
    assert done.returncode == 3
    message = " ".join(done.stderr.split())
    assert re.search(r"none fits a worker\. \d{4}-\d\d-\d\d: its look-back does not fit", message)
    assert f"more than --worker-memory {human_bytes(bound)}" in message
    assert re.search(r"needs about \d+ MiB \(\w+ [\d,]+ rows, ", message)
    assert f"{len(whole.selected)} dates are due" in message


def test_a_run_is_cut_until_every_task_fits(
    league: Warehouse, whole: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every date is published, in more spans, and no task's measured peak is above the bound."""
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")  # as workers have it
    assert len(whole.spans) == 1
    bound = BASE_BYTES + (whole.spans[0].memory_bytes - BASE_BYTES) // 2
    done = call(*RUN, "--worker-memory", str(bound), warehouse=league)
    assert done.returncode == 0, done.stderr
    handed = [event for event in said(done) if event.get("event") == "handover"]
    assert len({event["span"] for event in handed}) > 1
    assert sum(event["rows"] for event in handed) >= sum(d.expected_rows for d in whole.selected)
    assert 0 < max(event["peak_bytes"] for event in handed) <= bound
