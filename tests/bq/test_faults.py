"""Whatever breaks between this project and BigQuery, the table ends exact, without a duplicate."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_backfill.engine.runs import RunOptions
from ray_backfill.errors import LeaseHeldError, LeaseLostError, WarehouseError
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.bigquery import objects as _bq_objects
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from tests.bq import dying_job
from tests.bq.conftest import REAL, Place
from tests.bq.test_contract import lease_of, put, staged_rows
from tests.conftest import DAYS, environment, sales
from tests.emulator import Emulator
from tests.test_engine import as_dict, expected

pytestmark = pytest.mark.skipif(bool(REAL), reason="faults are injected into the emulator alone")

JOBS = r"POST /(upload/)?bigquery/v2/projects/[^/]+/jobs"


def exact(place: Place) -> bool:
    """Whether the output holds every row that it should, each once."""
    content = place.content()
    return content.height == len(DAYS) * 5 and as_dict(content) == expected(sales().rows())


def struck(emulator: Emulator) -> bool:
    """Whether every fault was met."""
    return emulator.pending_faults() == []


# -- the storage APIs ----------------------------------------------------------------------------
def test_a_lost_answer_of_append_rows_writes_no_row_twice(
    bigquery: Place, emulator: Emulator
) -> None:
    """The request is sent again at its offset, and "already exists" is what was wanted."""
    emulator.fail(rpc="AppendRows", code="UNAVAILABLE", after=True, stream="stage__", count=2)
    report = bigquery.ran()
    assert struck(emulator)
    assert (report.exit_code, report.retries) == (0, [])
    assert exact(bigquery)


def test_unavailable_in_the_middle_of_a_stream(
    bigquery: Place, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many requests the unanswered ones are sent again, and only they."""
    monkeypatch.setattr(_bq_stage, "REQUEST_BYTES", 6_000)
    emulator.fail(rpc="AppendRows", code="UNAVAILABLE", stream="stage__", skip=2, count=2)
    emulator.fail(rpc="AppendRows", code="UNAVAILABLE", stream="stage__", skip=3, after=True)
    report = bigquery.ran()
    assert struck(emulator)
    assert (report.exit_code, report.retries) == (0, [])
    assert exact(bigquery)


def test_a_lost_answer_of_batch_commit_is_a_commit(bigquery: Place, emulator: Emulator) -> None:
    """The streams are reported as committed already, which is success."""
    emulator.fail(rpc="BatchCommitWriteStreams", code="UNAVAILABLE", after=True, count=2)
    report = bigquery.ran()
    assert struck(emulator)
    assert (report.exit_code, report.retries) == (0, [])
    assert exact(bigquery)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("rpc", ["CreateWriteStream", "FinalizeWriteStream"])
def test_streams_are_opened_and_closed_in_spite_of_errors(
    bigquery: Place, emulator: Emulator, rpc: str, after: bool
) -> None:
    """A stream that was opened and never known is not committed."""
    emulator.fail(rpc=rpc, code="UNAVAILABLE", after=after, count=2)
    assert bigquery.ran().retries == []
    assert struck(emulator)
    assert exact(bigquery)


def test_a_reading_that_breaks_goes_on_at_its_offset(
    bigquery: Place, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several streams, several answers each: all rows once."""
    days = [day for day in DAYS for _ in range(5000)]
    bigquery.add(*((day, f"s{n}", n) for n, day in enumerate(days)))
    monkeypatch.setattr(_bq_read, "_MANY_ROWS", 1000)
    for skip in (1, 3):
        emulator.fail(rpc="ReadRows", code="UNAVAILABLE", skip=skip)
    found = bigquery.house.read(bigquery.sales, ["shop", "amount"])
    assert struck(emulator)
    assert found.num_rows == len(days) + len(DAYS) * 5
    assert found.column("shop").to_pylist().count("s1234") == 1


def test_a_refusal_of_the_read_api_is_not_repeated(bigquery: Place, emulator: Emulator) -> None:
    """PERMISSION_DENIED ends the reading with a sentence."""
    emulator.fail(rpc="ReadRows", code="PERMISSION_DENIED", count=9)
    with pytest.raises(WarehouseError, match="accessDenied"):
        bigquery.house.read(bigquery.sales, ["shop"])
    assert emulator.pending_faults()[0]["count"] == 8


@pytest.mark.parametrize("code", ["FAILED_PRECONDITION", "OUT_OF_RANGE", "PERMISSION_DENIED"])
def test_an_object_that_cannot_be_written_is_told_in_a_sentence(
    bigquery: Place, emulator: Emulator, code: str
) -> None:
    """Whatever the default stream answers: the key and the table are named."""
    bigquery.house.put_object("notes/a", b"one")
    emulator.fail(rpc="AppendRows", code=code, stream="objects", count=9)
    with pytest.raises(WarehouseError, match=r"Writing .*ray_backfill\.objects failed"):
        bigquery.house.put_object("notes/a", b"two")


def test_what_failed_and_arrived_is_not_added_to(bigquery: Place, emulator: Emulator) -> None:
    """An object's end that came although its sending failed does not stay under the next one."""
    house = bigquery.house
    house.put_object("notes/a", b"one\n")
    emulator.fail(rpc="AppendRows", code="UNAVAILABLE", after=True, stream="objects", count=7)
    with pytest.raises(WarehouseError, match="UNAVAILABLE"):
        house.put_object("notes/a", b"one\ntwo, and longer\n")
    assert struck(emulator)
    house.put_object("notes/a", b"one\n2\n")
    house.put_object("notes/a", b"one\n2\n3\n")
    assert bigquery.again().house.get_object("notes/a") == b"one\n2\n3\n"


@pytest.mark.parametrize("ends", [(b"two\n", b"two\n3\n"), (b"two\n3\n", b"two\n")])
def test_of_two_parts_with_one_start_the_longest_counts(
    bigquery: Place, ends: tuple[bytes, bytes]
) -> None:
    """Whichever came last: a journal does not lose its end."""
    clients = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
    for start, data in ((0, b"one\n"), *((4, b"one\n" + end) for end in ends), (10, b"x" * 11)):
        _bq_objects._send(clients, clients.address.house("objects"), "notes/a", "1", start, data)
    assert bigquery.house.get_object("notes/a") == b"one\ntwo\n3\nx"


# -- jobs ----------------------------------------------------------------------------------------
def test_a_lost_answer_of_the_statement_is_found_by_its_id(
    bigquery: Place, emulator: Emulator
) -> None:
    """The job is there under its id: one statement a commit, none twice."""
    emulator.fail(match=JOBS, body="MERGE", status=503, after=True, count=2)
    report = bigquery.ran()
    assert struck(emulator)
    assert (report.exit_code, report.retries) == (0, [])
    assert exact(bigquery)
    ids = [job["id"] for job in emulator.jobs() if job["sql"].startswith("MERGE")]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [(503, "backendError"), (403, "rateLimitExceeded"), (500, "internalError")],
)
def test_transient_answers_of_rest_are_waited_out(
    fresh: Place, emulator: Emulator, status: int, reason: str
) -> None:
    """Loading, planning and publishing go on, in bounded attempts."""
    for match, count in ((JOBS, 3), (r"GET .*/tables/", 3), (r"PATCH .*/tables/", 2)):
        emulator.fail(match=match, status=status, reason=reason, count=count, skip=1)
    emulator.fail(match=JOBS, body="MERGE", status=status, reason=reason, count=3)
    fresh.house.append(fresh.sales, sales().to_arrow())
    report = fresh.ran()
    assert struck(emulator)
    assert (report.exit_code, report.retries) == (0, [])
    assert exact(fresh)


def test_a_lost_answer_of_a_load_adds_no_row_twice(fresh: Place, emulator: Emulator) -> None:
    """The load job is found by its id, and not sent again."""
    emulator.fail(match="POST /upload", status=503, after=True, count=2)
    fresh.house.append(fresh.sales, sales().to_arrow())
    assert struck(emulator)
    assert fresh.house.read(fresh.sales, ["day"]).num_rows == len(DAYS) * 5


@pytest.mark.parametrize(
    ("status", "reason", "sentence"),
    [
        (403, "quotaExceeded", "quotaExceeded.*That quota of the project is used up"),
        (403, "accessDenied", "accessDenied.*The message names the permission"),
        (404, "notFound", "notFound.*Check the project, the dataset and the location"),
        (400, "invalid", "invalid.*BigQuery does not take"),
    ],
)
def test_what_cannot_pass_stops_at_once(
    bigquery: Place, emulator: Emulator, status: int, reason: str, sentence: str
) -> None:
    """One attempt, and what a person needs to know."""
    emulator.fail(match=JOBS, status=status, reason=reason, count=9)
    with pytest.raises(WarehouseError, match=sentence):
        bigquery.house.partitions(bigquery.sales)
    assert emulator.pending_faults()[0]["count"] == 8


def test_endless_errors_end(bigquery: Place, emulator: Emulator) -> None:
    """After the last attempt the sentence says how often it was tried."""
    emulator.fail(match=JOBS, status=503, count=1000)
    with pytest.raises(WarehouseError, match="failed 7 times, backendError"):
        bigquery.house.partitions(bigquery.sales)


# -- deaths --------------------------------------------------------------------------------------
@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Emulator]]:
    """A server of this test's own, with the sales."""
    running = Emulator(tmp_path / "server").start()
    for name, value in running.settings.items():
        monkeypatch.setenv(name, value)
    place = Place(open_warehouse("bigquery://mortal"), "shop")
    try:
        place.house.append(place.sales, sales().to_arrow())
        yield place, running
    finally:
        running.stop()


def test_a_server_that_is_killed_and_started_again(
    server: Emulator, mortal: tuple[Place, Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between staging and committing, and between committing and the statement."""
    place, running = mortal
    for module, name in ((_bq_publish, "commit_streams"), (_bq_publish, "replace")):
        monkeypatch.setattr(module, name, _first(getattr(module, name), running))
    report = place.ran()
    assert report.exit_code == 0
    assert exact(place)


def _first(real: Any, running: Emulator) -> Any:
    """The function, with the server killed and started before its first call."""
    calls = iter([True])

    def call(*args: Any) -> Any:
        if next(calls, False):
            running.kill()
            running.start()
        return real(*args)

    return call


def test_a_driver_that_dies_between_commit_and_statement(
    bigquery: Place, emulator: Emulator
) -> None:
    """Nothing of it is seen, its lease is free, and the next run completes."""
    arguments = [sys.executable, "-m", "tests.bq.crash", "run", bigquery.name]
    done = subprocess.run(
        [*arguments, "-w", bigquery.house.uri, "--no-parallel", "--quiet"],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert bigquery.content().is_empty()
    assert bigquery.ran().exit_code == 0
    assert exact(bigquery)


def test_a_worker_that_dies_after_finalize(
    bigquery: Place, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream is never committed; another worker computes the span."""
    marker = tmp_path / "died"
    monkeypatch.setenv(dying_job.VARIABLE, str(marker))
    how = RunOptions(f"tests.bq.dying_job:{bigquery.dataset}", workers=2, backoff_seconds=0.01)
    report = bigquery.ran(how=how)
    assert marker.exists()
    assert (report.exit_code, len(report.retries)) == (0, 1)
    assert exact(bigquery)


# -- races ---------------------------------------------------------------------------------------
def test_a_run_whose_table_is_stolen_while_it_commits_publishes_nothing(
    bigquery: Place, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thief's rows stand."""
    first = lease_of(bigquery, "first")
    staged = staged_rows(bigquery, first, *DAYS[:3], mean=1.0)
    real = _bq_publish.commit_streams

    def stolen(*args: Any) -> None:
        real(*args)
        monkeypatch.setattr(_bq_publish, "commit_streams", real)
        put(bigquery, lease_of(bigquery, "thief", steal=True), *DAYS[:3], mean=2.0)

    monkeypatch.setattr(_bq_publish, "commit_streams", stolen)
    with pytest.raises(LeaseLostError, match="thief"):
        bigquery.house.publish(bigquery.job.table, staged, remove=[], lease=first)
    assert bigquery.content()["mean"].to_list() == [2.0, 2.0, 2.0]


def test_two_publishers_at_once_leave_whole_dates(bigquery: Place, emulator: Emulator) -> None:
    """Each date holds the rows of one of them, whichever was last, and no row twice."""
    lease = lease_of(bigquery)
    table, days = bigquery.job.table, DAYS[:10]
    staged = [staged_rows(bigquery, lease, *days, mean=mean) for mean in (1.0, 2.0)]
    together, errors = threading.Barrier(2), []

    def publish(rows: Any) -> None:
        together.wait()
        try:
            bigquery.again().house.publish(table, rows, remove=[], lease=lease)
        except WarehouseError as error:
            errors.append(error)

    threads = [threading.Thread(target=publish, args=(rows,)) for rows in staged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = bigquery.content()
    assert content["day"].to_list() == list(days)
    assert content["mean"].n_unique() == 1
    assert errors == []


def test_two_runs_that_take_the_lease_at_once_get_it_once(
    bigquery: Place, emulator: Emulator
) -> None:
    """The etag lets one of them through; the other is refused."""
    table = bigquery.job.table
    bigquery.house.ensure(table)
    together, won, refused = threading.Barrier(4), [], []

    def take(n: int) -> None:
        house = bigquery.again().house
        together.wait()
        try:
            won.append(house.acquire_lease(table, f"run-{n}", seconds=60, steal=False))
        except LeaseHeldError as error:
            refused.append(error)

    threads = [threading.Thread(target=take, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 3)


def test_an_etag_that_is_old_is_read_again(bigquery: Place, emulator: Emulator) -> None:
    """Labels of others survive; a lost answer to a change of labels is not taken for a loss."""
    lease = lease_of(bigquery)
    emulator.fail(match=r"PATCH .*/tables/", status=412, reason="conditionNotMet", count=1)
    emulator.fail(match=r"PATCH .*/tables/", status=503, after=True, count=1)
    later = bigquery.house.renew_lease(lease, seconds=900)
    assert struck(emulator)
    assert later.epoch == lease.epoch
    assert replace(later, expires_at=lease.expires_at) == lease
