"""`cancel` stops a run through its warehouse, wherever it works."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ray_backfill.engine import control
from ray_backfill.engine.control import CancelRequest, cancellable, find_run
from ray_backfill.engine.driver import Switch
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.record.submitted import JOB_CONFIG
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, environment
from tests.engine import ROLLING, content, ran
from tests.nodes import until
from tests.rolling_job import MEANS
from tests.test_cli import SCRIPT, call, call_json

RUN = "20250101T000000000-abcdef"


@contextmanager
def running(
    lake: Warehouse, gate: Path, *arguments: str, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A run of two batches that computes nothing until the gate is there."""
    command = [SCRIPT, "run", ROLLING, "-w", lake.uri, "-o", f"wait_for={gate}", *arguments]
    process = subprocess.Popen(
        command,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            until(Path(f"{gate}.here").exists, "the run computes")
            yield process
        finally:
            process.kill()


def test_a_run_is_cancelled_gently_from_another_process(
    lake: Warehouse, tmp_path: Path, ray_address: str
) -> None:
    """What runs is finished and published; exit 130; the request is gone; the next run goes on."""
    gate = tmp_path / "gate"
    with running(lake, gate, "--address", ray_address, "--workers", "1") as process:
        (run_id,) = run_ids(lake)
        assert "is asked to stop" in call("cancel", run_id, "--no-wait", warehouse=lake).stderr
        until(lambda: "cancel" in kinds(lake, run_id), "the run knows of it")
        gate.touch()
        output, _ = process.communicate()
    assert process.returncode == 130
    assert "running spans finish" in output
    assert control.requested(lake, run_id) is None
    published = content(lake).height
    assert published > 0
    assert "has ended with exit 130" in call("cancel", run_id, warehouse=lake).stderr
    assert call("run", ROLLING, "--no-parallel", "-o", "wait_for=", warehouse=lake).returncode == 0
    assert content(lake).height == len(DAYS) * 5


def kinds(lake: Warehouse, run_id: str) -> set[str]:
    return {event["event"] for event in read_journal(lake, run_id)}


@pytest.mark.parametrize("where", ["on a cluster", "in its own process"])
def test_now_ends_a_run_at_once(
    lake: Warehouse, tmp_path: Path, ray_address: str, where: str
) -> None:
    """Its spans wait for ever, and it ends all the same, with nothing published."""
    gate = tmp_path / "gate"
    how = ("--address", ray_address) if where == "on a cluster" else ("--no-parallel",)
    with running(lake, gate, *how) as process:
        (run_id,) = run_ids(lake)
        done = call("cancel", run_id, "--now", warehouse=lake)
        output, _ = process.communicate()
    assert done.returncode == 0
    assert f"{run_id} has ended with exit 130" in done.stderr
    assert process.returncode == 130
    assert "it ends at once" in output
    assert control.requested(lake, run_id) is None
    assert read_journal(lake, run_id)[-1]["exit_code"] == 130
    assert content(lake).is_empty()


def test_a_run_that_ended_or_died_is_not_asked(lake: Warehouse, tmp_path: Path) -> None:
    """It says so, and leaves no request behind."""
    with running(lake, tmp_path / "gate", "--no-parallel") as process:
        process.kill()
        process.wait()
        (dead,) = run_ids(lake)
        assert "died before its end" in call("cancel", dead, warehouse=lake).stderr
    call("run", ROLLING, "--no-parallel", "-o", "wait_for=", warehouse=lake)
    ended = run_ids(lake)[-1]
    done = call("cancel", ended, warehouse=lake)
    assert done.returncode == 0
    assert "has ended with exit 0" in done.stderr
    assert lake.list_objects("control/") == []


def test_a_run_is_known_by_its_submission_too(lake: Warehouse) -> None:
    """`status`, `watch` and `cancel` take the id that Ray gave to the driver."""
    told = environment() | {JOB_CONFIG: '{"metadata": {"job_submission_id": "rolling-all-1"}}'}
    command = [SCRIPT, "run", ROLLING, "--no-parallel", "-w", lake.uri]
    subprocess.run(command, env=told, check=True, capture_output=True)
    (run_id,) = run_ids(lake)
    assert find_run(lake, "rolling-all-1") == run_id
    assert call_json("status", warehouse=lake)["runs"][0]["submission"] == "rolling-all-1"
    assert run_id in call("watch", "rolling-all-1", warehouse=lake).stderr
    assert run_id in call("cancel", "rolling-all-1", warehouse=lake).stderr
    assert call("cancel", "rolling-all-2", warehouse=lake).returncode == 2


def test_a_request_turns_the_switch_and_is_taken_away(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gently first; a second one that says now is obeyed too."""
    monkeypatch.setattr(control, "_LOOK_SECONDS", 0.01)
    switch = Switch()
    with cancellable(lake, RUN, switch):
        control.request(lake, RUN, CancelRequest(by="somebody@here"))
        until(lambda: switch.off, "the switch is turned")
        assert not switch.now
        assert switch.told == "Cancelled by somebody@here: running spans finish."
        control.request(lake, RUN, CancelRequest(now=True))
        until(lambda: switch.now, "the switch says now")
    assert lake.list_objects("control/") == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_passed_over(lake: Warehouse, data: bytes) -> None:
    """Whatever lies there: a run is not stopped by what cannot be read."""
    lake.put_object(f"control/{RUN}.json", data)
    assert control.requested(lake, RUN) is None


def test_a_request_that_came_too_late_is_swept_by_the_next_run(lake: Warehouse) -> None:
    """It is for a run that has ended; that of a run at work is left alone."""
    dead, live = "20250101T000000000-000000", "20250101T000000001-000000"
    for run_id in (dead, live):
        control.request(lake, run_id, control.CancelRequest(by="somebody"))
    control.forget_ended(lake, [live])
    assert lake.list_objects("control/") == [f"control/{live}.json"]
    ran(lake)
    assert lake.list_objects("control/") == []


def test_a_request_for_a_run_at_work_on_another_table_is_not_swept(lake: Warehouse) -> None:
    """Several tables of a lake are worked on at once: each run ends by its own requests."""
    other = replace(MEANS, name="shop.other")
    begun = {"run_id": RUN, "job": "other", "workers": 1, "planned": {}, "at": 1735689600.0}
    first = {"event": "run", "table": other.name, **begun}
    lake.put_object(f"runs/{other.name}/{RUN}.ndjson", json.dumps(first).encode())
    lease = lake.acquire_lease(other, RUN, seconds=600, steal=False)
    control.request(lake, RUN, CancelRequest())
    ran(lake)
    assert control.requested(lake, RUN) is not None
    lake.release_lease(lease)
    ran(lake)
    assert control.requested(lake, RUN) is None
