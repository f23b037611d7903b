"""Answers, labels and objects of another shape, and errors wherever they can arise."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.auth import exceptions as auth  # noqa: TID253 - no test of how quickly it begins

from ray_backfill.errors import LeaseHeldError, UsageError, WarehouseError
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.bigquery import errors as _bq_errors
from ray_backfill.warehouse.bigquery import objects as _bq_objects
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from tests.bq.conftest import REAL, Place
from tests.bq.test_contract import lease_of, put
from tests.bq.test_faults import struck
from tests.conftest import DAYS
from tests.emulator import Emulator
from tests.rolling_job import SALES

pytestmark = pytest.mark.skipif(bool(REAL), reason="faults are injected into the emulator alone")


# -- answers -------------------------------------------------------------------------------------
@contextmanager
def answering(body: bytes, kind: str) -> Iterator[int]:
    """The port of a server of this machine that gives every request the same answer."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Same)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>Please sign in</html>", "text/html"),
        (b"[]", "application/json"),
        (b"{}", "application/json"),
        (b'{"tableReference": 7}', "application/json"),
    ],
)
def test_a_server_that_is_not_bigquery_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, body: bytes, kind: str
) -> None:
    """A proxy's page, or JSON of something else: one attempt, and no traceback."""
    with answering(body, kind) as port:
        monkeypatch.setenv(_bq_settings.REST, f"http://127.0.0.1:{port}")
        monkeypatch.setenv(_bq_settings.GRPC, f"127.0.0.1:{port}")
        house = open_warehouse("bigquery://elsewhere")
        with pytest.raises(WarehouseError, match="what answers is not BigQuery"):
            house.partitions(SALES)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (auth.RefreshError("invalid_grant: Token has been expired or revoked."), "authError"),
        (auth.ReauthFailError("no"), "authError"),
        (auth.RefreshError("503", retryable=True), "connection"),
        (auth.TransportError("reset"), "connection"),
        (auth.DefaultCredentialsError("none"), "authError"),
        (requests.exceptions.ChunkedEncodingError("reset"), "connection"),
    ],
)
def test_sign_in_and_connection_are_told_apart(error: Exception, reason: str) -> None:
    """Credentials that ran out do not come back by trying again; a broken connection does."""
    assert _bq_errors.reason_of(error) == reason
    assert _bq_errors.is_transient(error) == (reason == "connection")


def test_credentials_that_are_refused_say_how_to_sign_in() -> None:
    """Where a token cannot be fetched: one attempt, in REST and in the storage APIs alike."""
    from google.api_core.exceptions import ServiceUnavailable

    plugin = "Getting metadata from plugin failed with error: RefreshError: invalid_grant"
    for error in (auth.RefreshError("invalid_grant"), ServiceUnavailable(plugin)):
        calls = []

        def call(error: Exception = error, calls: list[int] = calls) -> None:
            calls.append(1)
            raise error

        with pytest.raises(WarehouseError, match="authError") as told:
            _bq_errors.tried("Looking", call)
        assert "gcloud auth application-default login" in told.value.hint
        assert len(calls) == 1


@pytest.mark.parametrize("error", [OSError("no such file"), auth.TransportError("no route")])
def test_credentials_that_cannot_be_looked_for_are_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Not only their absence."""
    import google.auth

    def fail(**_: object) -> None:
        raise error

    for name in (_bq_settings.REST, _bq_settings.GRPC):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(google.auth, "default", fail)
    with pytest.raises(WarehouseError, match="Looking for Google credentials failed"):
        open_warehouse("bigquery://nobody-there").exists("a.b")


def test_a_commit_whose_answer_names_other_streams_ends(bigquery: Place) -> None:
    """It is an error, and not asked again for ever."""
    from google.cloud.bigquery_storage_v1 import types

    already = types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
    answer = types.BatchCommitWriteStreamsResponse(
        stream_errors=[types.StorageError(code=already, entity="another", error_message="is done")]
    )
    clients = replace(
        _bq_settings.clients(_bq_settings.parse(bigquery.house.uri)),
        writing=SimpleNamespace(batch_commit_write_streams=lambda *_, **__: answer),  # type: ignore[arg-type]
    )
    with pytest.raises(WarehouseError, match=r"is done\. Nothing was published"):
        _bq_publish.commit_streams(clients, "p.d.t", ["one", "two"])


# -- tidying -------------------------------------------------------------------------------------
def test_what_cannot_be_tidied_is_a_warning(
    bigquery: Place, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that were loaded are loaded, and a lease is released, whatever becomes of staging."""
    emulator.fail(match=r"DELETE .*/tables/", status=403, reason="accessDenied", count=9)
    bigquery.add((DAYS[4], "only", 7), replace_dates=True)
    found = bigquery.house.read(bigquery.sales, ["shop"], [DAYS[4]])
    assert found.column("shop").to_pylist() == ["only"]
    bigquery.house.release_lease(lease_of(bigquery))
    lease_of(bigquery, "next")
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warned) == 2
    assert all("accessDenied" in text and "deletes itself" in text for text in warned)


def test_a_dataset_that_cannot_be_listed_hides_no_other(
    bigquery: Place, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, with the reason."""
    other = replace(bigquery.sales, name="elsewhere.sales")
    bigquery.house.append(
        other, bigquery.house.read(bigquery.sales, [c.name for c in other.columns])
    )
    emulator.fail(match=r"GET .*/datasets/elsewhere/tables", status=404, reason="notFound", count=9)
    assert [info.name for info in bigquery.house.tables()] == [bigquery.sales.name]
    assert "The tables of elsewhere are left out" in caplog.text


def test_a_table_that_is_deleted_while_tables_are_listed_is_left_out(
    bigquery: Place, emulator: Emulator
) -> None:
    """The others are listed."""
    bigquery.house.ensure(bigquery.job.table)
    emulator.fail(match=r"GET .*/tables/means", status=404, reason="notFound", count=9)
    assert [info.name for info in bigquery.house.tables()] == [bigquery.sales.name]
    assert not struck(emulator)


# -- what lies there -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "entry",
    [
        {"at": "yesterday", "action": "publish"},
        {"at": "2026-01-01T00:00:00"},
        {"at": 7},
        {"at": None},
        ["at"],
        "x",
    ],
)
def test_a_history_entry_of_another_shape_is_left_out(bigquery: Place, entry: object) -> None:
    """The others are listed, and their details are text."""
    put(bigquery, lease_of(bigquery), DAYS[0])
    before = bigquery.house.history(bigquery.job.table.name)
    key = f"history/{bigquery.job.table.name}/0000000000000007.json"
    bigquery.house.put_object(key, json.dumps(entry).encode())
    assert bigquery.house.history(bigquery.job.table.name) == before
    bigquery.house.put_object(key, b'{"at": "2026-01-01T00:00:00+00:00", "dates": [1]}')
    assert bigquery.house.history(bigquery.job.table.name)[-1].detail == {"dates": "[1]"}


def test_a_version_that_is_no_time_is_refused(bigquery: Place) -> None:
    """A number of another kind is a usage error."""
    for version in (10**30, -(10**30)):
        with pytest.raises(UsageError, match="has no version"):
            bigquery.house.restore(bigquery.sales.name, version)


def test_a_lease_whose_labels_are_of_another_shape_is_held_until_it_is_stolen(
    bigquery: Place,
) -> None:
    """Nobody knows when it runs out; an epoch that is none counts as absent."""
    lease = lease_of(bigquery, "20261122T100000-aaaaaa")
    client = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri)).rest
    stored = client.get_table(f"{client.project}.{lease.table}", retry=None)
    odd = {"rbf_until": "never", "rbf_epoch": "many", "rbf_pid": "me", "rbf_since": "x" * 30}
    stored.labels = {**stored.labels, **odd}
    client.update_table(stored, ["labels"], retry=None)
    assert bigquery.house.lease_holder(lease.table) == lease.run_id
    with pytest.raises(LeaseHeldError, match="20261122T100000-aaaaaa"):
        lease_of(bigquery, "next")
    put(bigquery, lease_of(bigquery, "thief", steal=True), DAYS[0])
    assert bigquery.content().height == 1


def test_keys_that_could_not_have_been_put_are_not_listed(bigquery: Place) -> None:
    """Whoever wrote them."""
    bigquery.house.put_object("notes/a", b"1")
    clients = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
    _bq_objects._send(clients, clients.address.house("objects"), "notes/../b", "1", 0, b"x")
    assert bigquery.house.list_objects("notes/") == ["notes/a"]
