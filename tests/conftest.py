"""Shared fixtures: a lake of made-up sales, and one Ray cluster for the whole session."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import settings

from ray_backfill.engine.ray_connect import START_WAIT
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.rolling_job import SALES
from tests.scheduling import ByFile, rank

# Every Ray of the tests asks for this token; Ray reads both when it is imported.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# A machine at work may stand still for a while. By default a process that does not hear of its
# cluster for a minute ends itself, this one too. Only what ends processes is more patient: of what
# is tried again after a few seconds, the first try often takes all its time and the second none.
for _name, _value in {
    "agent_register_timeout_ms": 240_000,
    "gcs_rpc_server_reconnect_timeout_s": 240,
    "worker_register_timeout_seconds": 240,
}.items():
    os.environ.setdefault(f"RAY_{_name}", str(_value))

# No test depends on time, and in CI none on chance: a busy machine is no reason to fail.
settings.register_profile("ours", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("ours")

SLOW_FIXTURES = frozenset({"ray_address", "cluster", "bigquery", "server", "months", "observed"})
"""What starts a cluster or a server: tests with one of these are left out of `make check`."""
SLOW_FILES = frozenset(
    f"test_{name}"
    for name in (
        *("autoscaling", "cluster_yaml", "crash", "demo_league", "demo_league_command"),
        *("demo_league_defects", "demo_league_faults", "docs", "docs_scaling", "following"),
        *("growth", "league_runs", "no_leak", "player_context_fuzz", "real_data"),
        *("reference_facts", "reference_real_defects", "security_secrets", "submit", "surviving"),
        *("survey_cache", "tidy", "tidy_runs", "values", "worker_memory", "doctor", "kuberay"),
        *("cancel", "cli", "cli_guards", "observe_notify", "security_audit", "security_poison"),
        *("shipping", "stored_shapes", "streams", "unmatched", "coverage_command"),
    )
)
"""Files of which most tests start programs, or compute whole leagues."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Ours for `--dist loadfile`; xdist's own for all else."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first, and mark what is not part of `make check`."""
    items.sort(key=lambda item: rank(item.path))
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if item.path.stem in SLOW_FILES or item.path.parent.name == "bq" or asked & SLOW_FIXTURES:
            item.add_marker(pytest.mark.slow)


ROOT = Path(__file__).parents[1]
FIRST_DAY = date(2025, 1, 1)
DAYS = tuple(FIRST_DAY + timedelta(n) for n in range(60) if n % 7 != 3)
"""The dates that have sales: each seventh day is an off-day."""


def sales(days: tuple[date, ...] = DAYS, shops: int = 5) -> pl.DataFrame:
    """Made-up sales: deterministic, different on each day, some amounts unknown."""
    rows = [
        (day, f"shop{n}", None if (day.toordinal() + n) % 11 == 0 else day.toordinal() % 97 + n)
        for day in days
        for n in range(shops)
    ]
    return pl.DataFrame(rows, schema=dict(SALES.schema()), orient="row")


@pytest.fixture
def lake(tmp_path: Path) -> Warehouse:
    """A lake that holds the sales."""
    house = open_warehouse(str(tmp_path / "lake"))
    house.append(SALES, sales().to_arrow())
    return house


def environment() -> dict[str, str]:
    """Environment of a child process that can import the tests' jobs."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Ray cluster of four CPUs on this machine, ended by its process group."""
    command = [
        str(Path(sys.executable).parent / "ray"),
        "start",
        "--head",
        "--block",
        "--num-cpus=4",
        "--port=0",
        "--include-dashboard=false",
        "--disable-usage-stats",
    ]
    head = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment() | {START_WAIT: "180"},
        start_new_session=True,
    )
    assert head.stdout is not None
    try:
        yield _address(head.stdout)
    finally:
        # Nothing is worth a graceful end, which takes twenty seconds.
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def _address(lines: Iterator[str]) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        found = re.search(r"--address='?([0-9.]+:\d+)", line)
        if found:
            return found.group(1)
    raise AssertionError("Ray did not start:\n" + "".join(seen))
