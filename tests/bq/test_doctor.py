"""The doctor of BigQuery: each step of the protocol seen well and seen failing, nothing left."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_backfill.doctor import bigquery, clock, scratch
from ray_backfill.doctor.bigquery_steps import BigQueryScratch
from ray_backfill.doctor.check import Finding, Outcome, examine
from ray_backfill.warehouse.bigquery import catalogue as _bq_catalogue
from ray_backfill.warehouse.bigquery import errors as _bq_errors
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from tests import emulator as emulators
from tests.bq.conftest import REAL
from tests.conftest import environment
from tests.emulator import Emulator, free_port
from tests.test_doctor import doctor, outcomes, told

pytestmark = pytest.mark.skipif(bool(REAL), reason="faults are injected into the emulator alone")

JOBS = r"POST /(upload/)?bigquery/v2/projects/[^/]+/jobs"
RUN = ["lease", "stage", "commit", "merge", "partitions", "view", "restore", "release", "objects"]
EVERY = ["prices", "project", "clock", "locations", "create", "outputs", "load", "read", *RUN]
EVERY += ["removed"]


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A server that keeps tables as they were: restoring is a step, too."""
    if why := emulators.absent():
        pytest.skip(why)
    running = Emulator(tmp_path_factory.mktemp("doctor"), snapshots=True).start()
    yield running
    running.stop()


@pytest.fixture
def server(_server: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    for name, value in _server.settings.items():
        monkeypatch.setenv(name, value)
    yield _server
    _server.mend()


@pytest.fixture
def uri(server: Emulator) -> str:
    """A project without any dataset."""
    return f"bigquery://test-{secrets.token_hex(6)}"


def client(uri: str) -> Any:
    return _bq_settings.clients(_bq_settings.parse(uri)).rest


def stored(uri: str) -> dict[str, list[str]]:
    """Dataset -> its tables."""
    rest = client(uri)
    datasets = [d.dataset_id for d in rest.list_datasets(retry=None)]
    return {name: [t.table_id for t in rest.list_tables(name, retry=None)] for name in datasets}


def dataset(uri: str, name: str, **settings: Any) -> None:
    from google.cloud.bigquery import Dataset

    made = Dataset(f"{client(uri).project}.{name}")
    for key, value in settings.items():
        setattr(made, key, value)
    client(uri).create_dataset(made, retry=None)


def found(
    uri: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()
) -> dict[str, Finding]:
    """Check -> its finding; the scratch tables are gone afterwards."""
    made = BigQueryScratch(uri)
    with bigquery.removed(made):
        return {f.check: f for f in examine(bigquery.checks(made, reads, writes))}


def ended(findings: dict[str, Finding], outcome: Outcome) -> list[str]:
    return [name for name, finding in findings.items() if finding.outcome is outcome]


# -- well ----------------------------------------------------------------------------------------
def test_a_project_is_as_it_was_afterwards(uri: str, ray_address: str) -> None:
    """Exit 0 with every step, what each needs, and no dataset or table more or less."""
    dataset(uri, "nba_analytics")
    before = stored(uri)
    done = doctor("-w", uri, "--address", ray_address, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stored(uri) == before
    seen = told(done)
    assert list(seen)[5:-3] == EVERY
    assert outcomes(seen, "ok") == list(seen)
    needs = {name: seen[name]["needs"] for name in EVERY}
    assert "bigquery.jobs.create" in needs["merge"]
    assert "bigquery.readsessions.create" in needs["read"]
    assert "bigquery.tables.updateData" in needs["commit"]
    assert "10,000 streams opened" in needs["stage"]
    assert "$6.25 a TiB scanned" in seen["prices"]["found"]
    assert "made and deleted in nba_analytics" in seen["outputs"]["found"]
    assert "nba_raw is not there yet" in seen["locations"]["found"]


def test_what_lies_in_the_staging_dataset_stays(uri: str) -> None:
    """Journals, and the tables of others, whatever they are called."""
    dataset(uri, "ray_backfill")
    full = f"{client(uri).project}.ray_backfill"
    for name in ("objects", "doctors", "stage__a__b__c"):
        client(uri).create_table(f"{full}.{name}", retry=None)
    before = stored(uri)
    assert ended(found(uri), Outcome.OK) == EVERY
    assert stored(uri) == before


def test_defaults_of_datasets_are_told_and_do_not_matter(uri: str) -> None:
    """Scratch rows of 2001 survive a default of 60 days, as those of a run do."""
    day = 86_400_000
    dataset(uri, "ray_backfill", default_partition_expiration_ms=60 * day)
    dataset(uri, "shop", default_table_expiration_ms=30 * day)
    seen = found(uri, reads=("shop",), writes=("shop",))
    assert ended(seen, Outcome.OK) == EVERY
    said = seen["locations"].found
    assert "ray_backfill is in US, partitions expire by default after 60 days" in said
    assert "shop is in US, tables expire by default after 30 days" in said


# -- each step seen failing ----------------------------------------------------------------------
def rest(match: str, body: str = "", reason: str = "accessDenied") -> dict[str, Any]:
    return {"match": match, "body": body, "status": 403, "reason": reason, "count": 1000}


def grpc(rpc: str, stream: str = "") -> dict[str, Any]:
    return {"rpc": rpc, "stream": stream, "code": "PERMISSION_DENIED", "count": 1000}


@pytest.mark.parametrize(
    ("fault", "step", "says", "mend", "skipped"),
    [
        (rest(r"GET .*/datasets\?"), "project", "Listing the datasets", "Sign in", EVERY[2:]),
        (rest(JOBS, "CURRENT_TIMESTAMP"), "clock", "Asking for the time", "Job User", []),
        (
            rest(r"GET .*/datasets/ray_backfill\?"),
            "locations",
            "Looking at the dataset",
            "Metadata Viewer",
            ["create", "outputs", "load", "read", *RUN],
        ),
        (
            rest(r"POST .*/datasets/ray_backfill/tables"),
            "create",
            "Creating doctor__",
            "Data Editor",
            ["load", "read", *RUN],
        ),
        (rest(r"POST .*/datasets/shop/tables"), "outputs", "Creating doctor__", "Data Editor", []),
        (
            rest("POST /upload"),
            "load",
            "Loading ray_backfill.doctor__",
            "Job User",
            ["read", "stage", "commit", "merge", "partitions", "view", "restore", "objects"],
        ),
        (
            grpc("ReadRows"),
            "read",
            "Reading test-",
            "Read Session User",
            ["stage", "commit", "merge", "partitions", "view", "restore", "objects"],
        ),
        (
            rest(r"PATCH .*/tables/"),
            "lease",
            "Changing the labels",
            "Data Editor",
            ["merge", "partitions", "view", "restore", "release"],
        ),
        (
            grpc("CreateWriteStream"),
            "stage",
            "Opening a stream",
            "Storage API on",
            ["commit", "merge", "partitions", "view", "restore"],
        ),
        (
            grpc("BatchCommitWriteStreams"),
            "commit",
            "Committing streams",
            "Data Editor",
            ["merge", "partitions", "view", "restore"],
        ),
        (
            rest(JOBS, "MERGE", "billingNotEnabled"),
            "merge",
            "Publishing to ray_backfill.doctor__",
            "Switch billing on",
            ["partitions", "view", "restore"],
        ),
        (rest(JOBS, r"COUNT\(\*\)"), "partitions", "Counting the rows", "Metadata Viewer", []),
        (rest(JOBS, "__view"), "view", "Reading ray_backfill.doctor__", "read views", []),
        (rest(JOBS, "restore__"), "restore", "as it was failed", "time travel", []),
        (grpc("AppendRows", "objects"), "objects", "Writing doctor to", "Data Editor", []),
        (rest(r"DELETE .*/tables/"), "removed", "Deleting test-", "within a day", []),
    ],
    ids=lambda value: value if isinstance(value, str) and value in EVERY else "",
)
def test_a_step_that_is_refused_is_named_with_its_mend(
    uri: str,
    server: Emulator,
    fault: dict[str, Any],
    step: str,
    says: str,
    mend: str,
    skipped: list[str],
) -> None:
    """Google's reason, what the step needs and what mends it; only what follows is skipped."""
    dataset(uri, "shop")
    server.fail(**fault)
    seen = found(uri, writes=("shop",))
    server.mend()
    assert ended(seen, Outcome.SKIPPED) == skipped
    # Where tables cannot be deleted, those of the outputs stay as well.
    assert ended(seen, Outcome.FAILED) == (["outputs", step] if step == "removed" else [step])
    finding = seen[step]
    assert says in finding.found
    assert re.search("accessDenied|billingNotEnabled", finding.found)
    assert mend in finding.mend
    assert finding.needs
    if step != "removed":
        assert stored(uri) == {"shop": []}


def test_a_step_that_leaves_something_else_is_unfit(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that deletes nothing, a listing that forgets a date, an etag that is ignored."""
    real, merged = _bq_catalogue.partitions, _bq_publish.replace
    monkeypatch.setattr(_bq_catalogue, "partitions", lambda *args: real(*args)[:1])
    monkeypatch.setattr(
        _bq_publish, "replace", lambda c, t, staged, remove, *more: merged(c, t, staged, [], *more)
    )
    seen = found(uri)
    assert ended(seen, Outcome.FAILED) == ["merge"]
    assert "A replaced and a removed date" in seen["merge"].found
    monkeypatch.setattr(_bq_publish, "replace", merged)
    seen = found(uri)
    assert ended(seen, Outcome.FAILED) == ["partitions"]
    assert "Partitions and rows" in seen["partitions"].found


def test_a_server_that_forgets_etags_is_unfit(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs could hold one table there."""
    rest = client(uri)
    real = type(rest).update_table

    def update(self: Any, table: Any, names: list[str], **how: Any) -> Any:
        table._properties.pop("etag", None)
        return real(self, table, names, **how)

    monkeypatch.setattr(type(rest), "update_table", update)
    seen = found(uri)
    assert ended(seen, Outcome.FAILED) == ["lease"]
    assert "under an old etag was taken" in seen["lease"].found


def test_datasets_elsewhere_are_named(uri: str) -> None:
    """With the location that the warehouse says, and that they are in."""
    dataset(uri, "nba_raw", location="EU")
    seen = found(uri, reads=("nba_raw",))
    assert ended(seen, Outcome.FAILED) == ["locations"]
    assert "location is US: nba_raw is in EU" in seen["locations"].found
    assert "?location=" in seen["locations"].mend


def test_a_clock_that_is_wrong_is_unfit(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By BigQuery's own."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) - timedelta(minutes=1))
    seen = found(uri)
    assert ended(seen, Outcome.FAILED) == ["clock"]
    assert "behind BigQuery's; a lease bears 10 s" in seen["clock"].found


def test_prices_that_are_not_understood_are_told(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else waits for them."""
    monkeypatch.setenv("RAY_BACKFILL_BIGQUERY_PRICES", '{"query_tib": "much"}')
    assert ended(found(uri), Outcome.FAILED) == ["prices"]


def test_a_project_that_nobody_serves_is_unfit(
    server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, after two attempts; everything else of the warehouse is skipped."""
    port = free_port()
    env = {_bq_settings.REST: f"http://127.0.0.1:{port}", _bq_settings.GRPC: f"127.0.0.1:{port}"}
    done = doctor("-w", "bigquery://nobody", "--address", "127.0.0.1:9", "--json", env=env)
    assert done.returncode == 1
    seen = told(done)
    assert outcomes(seen, "failed") == ["project", "cluster"]
    assert "failed 2 times, connection" in seen["project"]["found"]
    assert "Check the network" in seen["project"]["mend"]
    assert set(EVERY[2:]) <= set(outcomes(seen, "skipped"))


def test_a_refusal_ends_the_command_with_one(uri: str, server: Emulator) -> None:
    """Through the command line: the step, its permission and its mend in lines."""
    server.fail(**rest(JOBS, "MERGE"))
    done = doctor("-w", uri, "--address", "127.0.0.1:9")
    assert done.returncode == 1
    text = done.stdout.partition("failed  merge")[2].partition("skipped partitions")[0]
    assert "accessDenied" in text
    assert "needs: bigquery.jobs.create on the project" in text
    assert "mend: The message names the permission" in text
    assert stored(uri) == {}


# -- what is left --------------------------------------------------------------------------------
DYING = """
import os, signal, sys
from ray_backfill.cli import main
from ray_backfill.doctor.bigquery_steps import BigQueryScratch
how = int(sys.argv.pop())
def die(self):
    os.kill(os.getpid(), how)
BigQueryScratch.merge = die
sys.argv[0] = "ray-backfill"
main()
"""


def killed(uri: str, how: signal.Signals) -> int:
    """How a doctor ended that got a signal between commit and statement."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, "doctor", "-w", uri, str(int(how))],
        env=environment(),
        capture_output=True,
        check=False,
    )
    return done.returncode


def test_a_doctor_that_is_stopped_leaves_nothing(uri: str) -> None:
    """No table, and not the dataset that it made."""
    assert killed(uri, signal.SIGTERM) == 130
    assert stored(uri) == {}


def test_the_next_doctor_removes_what_a_killed_one_left(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table of it expires by itself, and once it must be dead it is removed."""
    assert killed(uri, signal.SIGKILL) == -signal.SIGKILL
    (tables,) = stored(uri).values()
    assert len(tables) == 3
    full = f"{client(uri).project}.ray_backfill"
    now = datetime.now(UTC)
    for name in tables:
        expires = client(uri).get_table(f"{full}.{name}", retry=None).expires
        assert now < expires <= now + timedelta(days=1)
    assert found(uri)["removed"].found.startswith("nothing is left; 8 jobs")
    assert stored(uri) == {"ray_backfill": tables}
    monkeypatch.setattr(scratch, "LIFE", timedelta(seconds=-1))
    assert "nor 3 tables of killed ones" in found(uri)["removed"].found
    assert stored(uri) == {"ray_backfill": []}


def test_few_attempts_are_as_few_as_asked() -> None:
    """The first look at a project is not tried for half a minute."""
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise ConnectionError("no")

    with pytest.raises(Exception, match="failed 2 times"):
        _bq_errors.tried("Looking", call, attempts=2)
    assert len(calls) == 2
