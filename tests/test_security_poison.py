"""A lake that somebody prepared: what lies in it is data, and never runs."""

from __future__ import annotations

import os
import pickle
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ray_backfill.catalog import load_job
from ray_backfill.cli import build
from ray_backfill.errors import BackfillError, LeaseHeldError, RefusedError, WarehouseError
from ray_backfill.record.journal import last_attempts, read_journal, run_ids
from ray_backfill.record.report import past_rate
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import Warehouse
from ray_backfill_nba.demo_league.load import recall
from tests.conftest import DAYS
from tests.engine import ROLLING, content, ran, visible_files
from tests.rolling_job import MEANS, SALES


class Poison:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "pickle": lambda data: data,
    "compressed pickle": zlib.compress,
    "base64 in JSON": lambda data: (
        b'{"py/reduce": [{"py/type": "os.mkdir"}], "x": "%s"}' % data.hex().encode()
    ),
    "JSON of another shape": lambda data: b"[[1, 2], 3]",
    "JSON without end": lambda data: b"[" * 200_000,
    "YAML": lambda data: b"!!python/object/apply:os.mkdir [x]",
    "nothing": lambda data: b"",
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What a poison would make."""
    return tmp_path / "made by the poison"


@pytest.fixture(params=FORMS, ids=lambda name: name.replace(" ", "-"))
def poison(request: pytest.FixtureRequest, made: Path) -> bytes:
    return FORMS[request.param](pickle.dumps(Poison(made)))


def call(*words: str) -> str:
    """What a command prints; its error where it has one that it knows."""
    result = CliRunner().invoke(build(), words)
    if isinstance(result.exception, BackfillError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_the_poison_works(made: Path) -> None:
    """Or these tests would prove nothing."""
    pickle.loads(pickle.dumps(Poison(made)))  # noqa: S301 - the one place that may
    assert made.is_dir()


def test_cache_journals_and_reports_that_are_none_are_passed_over(
    lake: Warehouse, made: Path, poison: bytes
) -> None:
    """Plans, runs, status and watch do as if they were not there, and the data is right."""
    ran(lake)
    expected = content(lake)
    (run_id,) = run_ids(lake)
    for key in lake.list_objects(""):
        if not key.startswith("leases/"):
            lake.put_object(key, poison)
    for key in (f"runs/{MEANS.name}/{run_id}x.ndjson", "control/x.json", f"control/{run_id}.json"):
        lake.put_object(key, poison)
    assert read_journal(lake, run_id) == []
    assert last_attempts(lake, MEANS.name) == {}
    assert past_rate(lake, MEANS.name) is None
    assert call("status", "-w", lake.uri)
    job = load_job(ROLLING)
    facts = survey(lake, job, lambda base: base)
    assert facts is not None
    report = ran(lake)
    assert (report.exit_code, report.planned) == (0, 0)
    assert content(lake).equals(expected)
    assert not made.exists()


def test_a_lease_that_is_none_holds_until_it_is_stolen(
    lake: Warehouse, made: Path, poison: bytes
) -> None:
    """Nobody can say whose it is: one message, which says what to do."""
    lake.put_object(f"leases/{MEANS.name}/00000001.json", poison)
    lake.put_object(f"leases/{MEANS.name}/x.json", poison)
    with pytest.raises(LeaseHeldError, match="--steal-lease"):
        ran(lake)
    assert lake.lease_holder(MEANS.name) == "?"
    lease = lake.acquire_lease(MEANS, "run-1", seconds=60, steal=True)
    lake.release_lease(lease)
    assert ran(lake).exit_code == 0
    assert not made.exists()


def test_the_demo_s_note_that_is_none_is_refused(
    lake: Warehouse, made: Path, poison: bytes
) -> None:
    """`demo-deliver`, `demo` and `demo --replace`: nothing is delivered, and nothing deleted."""
    lake.put_object("demo/league.json", poison)
    before = sorted(Path(lake.uri).rglob("*"))
    with pytest.raises(RefusedError, match="cannot be read"):
        recall(lake)
    for words in (["demo-deliver"], ["demo"], ["demo", "--replace"]):
        with pytest.raises(RefusedError, match="cannot be read"):
            call(*words, "-w", lake.uri)
    assert sorted(Path(lake.uri).rglob("*")) == before
    assert not made.exists()


def test_a_data_file_that_is_none_ends_in_one_message(
    lake: Warehouse, made: Path, poison: bytes
) -> None:
    """Parquet is all that a data file is read as; this job's calendar needs all of them."""
    name = next(uri for uri in visible_files(lake, SALES.name) if f"={DAYS[30]}/" in uri)
    Path(name.removeprefix("file://")).write_bytes(poison)
    with pytest.raises(WarehouseError, match=f"shop.sales: the file of {DAYS[30]}") as refused:
        ran(lake)
    assert not re.search(r"[\x00-\x1f]", str(refused.value))
    assert not made.exists()


def test_a_log_that_is_none_ends_in_one_message(lake: Warehouse, made: Path, poison: bytes) -> None:
    """Or is taken for an entry that says nothing."""
    log = Path(lake.uri) / "shop/sales/_delta_log" / f"{1:020d}.json"
    log.write_bytes(poison)
    with suppress(BackfillError):
        ran(lake)
    assert not made.exists()
