"""A job is followed through a server's bad moments; what it printed is shown once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ray_backfill.cli import jobs
from ray_backfill.cluster import follow as following
from ray_backfill.cluster.client import JobApi, connect
from ray_backfill.cluster.follow import LostError, follow

JOB = "rolling-all-12345678"
LOG = "first\nsecond\n"


class Dashboard(ThreadingHTTPServer):
    """Answers as Ray's Job API does, without web sockets; `answers` says which errors come first.

    Path's last part -> statuses of its next answers; afterwards all is well. The job runs for
    `running` of its good answers, and has succeeded afterwards.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.running = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Dashboard

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        self.server.asked.append(last)
        waiting = self.server.answers.get(last, [])
        status = waiting.pop(0) if waiting else 200
        runs = last == JOB and status == 200 and self.server.running > 0
        self.server.running -= runs
        body = {
            "version": {"version": "4", "ray_version": "2.60.0", "ray_commit": "x"},
            "logs": {"logs": LOG},
            JOB: {
                "type": "SUBMISSION",
                "submission_id": JOB,
                "status": "RUNNING" if runs else "SUCCEEDED",
                "entrypoint": "x",
                "driver_exit_code": 0,
            },
        }.get(last)
        text = "Traceback: the agent is away" if status >= 500 else json.dumps(body)
        self.send_response(status if body else 404)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self) -> None:
        self.server.asked.append(self.path.rpartition("/")[2])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"stopped": true}')

    def log_message(self, *_: object) -> None:
        """Not to the tests' output."""


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    monkeypatch.setattr(following, "_PAUSES", (0.01, 0.01, 0.01))
    server = Dashboard()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def followed(api: JobApi, patience: float = 60.0) -> tuple[str, list[str], list[str]]:
    """The job's status at its end, its lines, and the notes about the connection."""
    lines: list[str] = []
    notes: list[str] = []
    facts = follow(api, JOB, line=lines.append, note=notes.append, patience=patience)
    return facts.status, lines, notes


def test_a_server_error_is_a_bad_moment_and_not_the_end(dashboard: Dashboard) -> None:
    """500 of the job and of its log: asked again, said once, and no line is lost or doubled."""
    api = connect(dashboard.address)
    dashboard.answers = {JOB: [500, 503], "logs": [500]}
    status, lines, notes = followed(api)
    assert (status, lines) == ("SUCCEEDED", ["first", "second"])
    assert [note.split(":")[0] for note in notes] == ["The connection is lost", "Connected again."]
    assert "the agent is away" in notes[0]


def test_a_log_that_cannot_be_read_does_not_hide_how_the_job_ended(dashboard: Dashboard) -> None:
    """A note says so."""
    api = connect(dashboard.address)
    dashboard.answers = {"logs": [500] * 9}
    status, lines, notes = followed(api)
    assert (status, lines) == ("SUCCEEDED", [])
    assert "The end of the log could not be read" in notes[-1]


def test_the_log_of_a_running_job_that_cannot_be_read_is_no_lost_connection(
    dashboard: Dashboard,
) -> None:
    """Ray answers 500 for one that is not UTF-8: said once, and the job followed to its end."""
    api = connect(dashboard.address)
    dashboard.running = 8
    dashboard.answers = {"logs": [500] * 3}
    status, lines, notes = followed(api)
    assert (status, lines) == ("SUCCEEDED", ["first", "second"])
    assert [note.split(":")[0] for note in notes] == ["The log cannot be read now"]


def test_stopping_a_job_waits_for_its_end_through_bad_moments(
    dashboard: Dashboard, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked once, and what it became is said."""
    dashboard.running = 3
    dashboard.answers = {JOB: [200, 200, 500, 503]}
    jobs.stop(JOB, dashboard.address, patience=60)
    said = capsys.readouterr().err
    assert "The connection is lost" in said
    assert f"{JOB}: SUCCEEDED" in said
    assert dashboard.asked.count("stop") == 1


def test_long_silence_ends_the_following_with_3(dashboard: Dashboard) -> None:
    """Nothing is known of the job then, which 1 would mean."""
    api = connect(dashboard.address)
    dashboard.answers = {JOB: [500] * 99}
    with pytest.raises(LostError, match=JOB) as lost:
        followed(api, patience=0.0)
    assert lost.value.exit_code == 3
