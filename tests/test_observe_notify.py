"""A webhook is told how a run ended; whatever it answers, the run ends as it would have."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ray_backfill.errors import RefusedError, UsageError
from ray_backfill.observe import notify
from ray_backfill.observe.notify import announced, checked, place, post
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, environment
from tests.engine import ROLLING

SCRIPT = Path(sys.executable).parent / "ray-backfill"
PATH = "T0P/S3cr3tPath"
"""What must appear nowhere."""


class Hook:
    """A webhook on loopback: it answers what it is told to, one status a request."""

    def __init__(self, answers: list[int]) -> None:
        self.answers = answers
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.paths.append(self.path)
                hook.got.append(json.loads(body))
                hook.hold.wait(60)
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                self.send_header("Location", f"http://{hook.host}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/{PATH}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Callable[..., Hook]]:
    """Makes webhooks; `hook(500, 200)` answers 500 first."""
    made: list[Hook] = []

    def make(*answers: int) -> Hook:
        made.append(Hook(list(answers)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run(house: Warehouse, url: str, *args: str) -> subprocess.CompletedProcess[str]:
    """`ray-backfill run` of the rolling job, told to notify."""
    command = [SCRIPT, "run", ROLLING, "-w", house.uri, "--no-parallel", "--json"]
    return subprocess.run(
        [*command, *args],
        env=environment() | {"RAY_BACKFILL_NOTIFY": url},
        capture_output=True,
        text=True,
        check=False,
    )


def warnings_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Messages of the warning lines; the webhook's path is in none of all the output."""
    assert PATH not in done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    return [line["message"] for line in lines if line["level"] == "warning"]


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_run_that_ends_is_told_with_its_report(
    lake: Warehouse, hook: Callable[..., Hook]
) -> None:
    """The report as `--json` prints it, what kind of end it was, and a line for a chat."""
    there = hook()
    done = run(lake, there.url)
    assert done.returncode == 0
    assert warnings_of(done) == []
    (told,) = there.got
    report = json.loads(done.stdout)
    assert {name: told[name] for name in report} == report
    assert told["event"] == "finished"
    verdict = f"all {len(DAYS)} planned dates published (exit 0)"
    assert told["text"] == f"{ROLLING}, run {report['run_id']}: {verdict}"


def test_failed_dates_are_told(lake: Warehouse, hook: Callable[..., Hook]) -> None:
    """A run of which a date failed has finished, with exit 1."""
    there = hook()
    done = run(lake, there.url, "-o", f"raise_on={DAYS[8]}")
    (told,) = there.got
    assert (done.returncode, told["event"], told["exit_code"]) == (1, "finished", 1)
    assert list(told["failed"]) == [str(DAYS[8])]


def test_a_refused_run_is_told(lake: Warehouse, hook: Callable[..., Hook]) -> None:
    """Too many dates: nobody sits before a nightly run to read it."""
    there = hook()
    done = run(lake, there.url, "--max-dates", "3")
    (told,) = there.got
    assert (done.returncode, told["event"], told["exit_code"]) == (3, "aborted", 3)
    assert "more than --max-dates 3" in told["text"]


def test_a_run_that_is_cancelled_is_told(
    lake: Warehouse, tmp_path: Path, hook: Callable[..., Hook]
) -> None:
    """Twice Ctrl-C, in the middle of a span: what was published until then is in the report."""
    there, gate = hook(), tmp_path / "gate"
    command = [SCRIPT, "run", ROLLING, "-w", lake.uri, "--no-parallel", "-o", f"wait_for={gate}"]
    with subprocess.Popen(
        [*command, "--notify", there.url],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if '"stage":"compute"' in line or "Stopping" in line:
                process.send_signal(signal.SIGINT)
        process.wait()
    (told,) = there.got
    assert (process.returncode, told["event"], told["exit_code"]) == (130, "cancelled", 130)
    assert (told["planned"], told["published"], told["rows"]) == (len(DAYS), {}, 0)
    assert PATH not in seen


def test_a_wrong_url_is_refused_before_the_run(lake: Warehouse) -> None:
    """Exit 2, nothing computed, and the URL is not repeated: it may be right but for a letter."""
    done = run(lake, f"htps://hooks.example/{PATH}")
    assert done.returncode == 2
    assert "--notify" in done.stderr
    assert PATH not in done.stderr
    assert not lake.exists("shop.means")


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "hooks.example/x", "https://", "http://a b/x", "http://h:x/", "//h/x"]
)
def test_only_http_and_https_urls_are_taken(url: str) -> None:
    """A host and a scheme that can be posted to."""
    with pytest.raises(UsageError):
        checked(url)
    assert checked("https://hooks.example:8443/x?y=z")
    assert checked("") is checked(None) is None


def test_a_failing_webhook_is_tried_again(hook: Callable[..., Hook]) -> None:
    """500 twice, then 200: told; always 500: given up after three tries."""
    there = hook(500, 503)
    assert post(there.url, {}) == ""
    assert len(there.got) == 3
    always = hook(500, 500, 500, 500)
    assert post(always.url, {}) == "answered 500"
    assert len(always.got) == 3


def test_what_a_webhook_refuses_is_not_tried_again(hook: Callable[..., Hook]) -> None:
    """404 and redirects: the same again would bring the same."""
    for status in (404, 301, 308):
        there = hook(status)
        assert post(there.url, {}) == f"answered {status}"
        assert there.paths == [f"/{PATH}"]


def test_a_webhook_that_hangs_holds_nobody_up(hook: Callable[..., Hook]) -> None:
    """No answer: it is left behind when the time is over."""
    there = hook()
    there.hold.clear()
    assert post(there.url, {}, seconds=0.2) == "did not answer within 0.2 s"


def test_a_refused_connection_changes_nothing_but_a_warning(lake: Warehouse) -> None:
    """The run's exit code is its own; the warning names scheme and host alone."""
    where = f"http://127.0.0.1:{closed_port()}"
    done = run(lake, f"{where}/{PATH}")
    assert done.returncode == 0
    (warning,) = warnings_of(done)
    assert warning.startswith(f"Not notified: {where} could not be reached")


def test_each_way_to_end_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors keep their type and exit code; a wrong command is told to nobody."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(notify, "post", lambda url, body: told.append(dict(body)) or "")

    def announce(error: BaseException) -> None:
        with announced("http://h/x", "j", "w", print) as ending:
            ending.so_far = lambda: {"run_id": "r", "rows": 5}
            raise error

    def end(error: BaseException) -> None:
        with pytest.raises(type(error)):
            announce(error)

    for error in (
        RefusedError("no"),
        KeyboardInterrupt(),
        ValueError("odd\nlines"),
        UsageError(""),
    ):
        end(error)
    assert [(t["event"], t["exit_code"], t["rows"], t["run_id"]) for t in told] == [
        ("aborted", 3, 5, "r"),
        ("cancelled", 130, 5, "r"),
        ("aborted", 1, 5, "r"),
    ]
    assert told[2]["text"] == "j, run r: ended by ValueError: odd (exit 1)"


def test_trouble_in_telling_is_no_trouble_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an error that nobody thought of ends in a line, without what it says."""

    def broken(url: str, body: object) -> str:
        raise RuntimeError(url)

    monkeypatch.setattr(notify, "post", broken)
    warned: list[str] = []
    with announced(f"https://me:pass@h:99/{PATH}", "j", "w", warned.append) as ending:
        ending.report = {"exit_code": 0, "verdict": "done"}
    assert warned == [
        "Not notified: https://h:99 could not be told (RuntimeError). "
        "The run is not touched by that."
    ]
    assert place("http://h/x?y") == "http://h"
