"""Machines come and go under a run: every end has exact content, and says what was lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ray_backfill.catalog import load_job
from ray_backfill.engine.driver import Driver, Switch
from ray_backfill.engine.runs import execute
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.conftest import DAYS, environment, sales
from tests.engine import ROLLING, content, on_ray, planned, ran
from tests.nodes import ROLE, Cluster, Node, until
from tests.rolling_job import SALES

_QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "3",
}
"""A machine that is lost is known as such within seconds, and one that has notice goes in three."""
SPANS = 2
"""How many spans the sales of 52 dates make, and machines that compute them."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that no actor is drawn to, so that the machine with the label can be lost."""
    with Cluster(labels=f"{ROLE}=apart", env=_QUICK) as found:
        yield found


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """A test that fails leaves no run behind, which would keep the machines of the next."""
    yield
    for process in Run.started:
        if process.poll() is None:
            process.kill()
            process.communicate()
    Run.started.clear()


@pytest.fixture
def nodes(cluster: Cluster) -> list[Node]:
    """Machines of one CPU each, all there and well."""
    there = [node for node in cluster.nodes if node.process.poll() is None and node.cpus]
    return [*there, *(cluster.add_node(1) for _ in range(SPANS - len(there)))]


@pytest.fixture
def labelled(cluster: Cluster) -> Iterator[Node]:
    """A machine with the label of a head, for actors and submitted drivers; lost at the end."""
    node = cluster.add_node(0, labels=f"{ROLE}=head")
    yield node
    node.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same input, run once where nothing is lost."""
    house = open_warehouse(str(tmp_path_factory.mktemp("undisturbed") / "lake"))
    house.append(SALES, sales().to_arrow())
    ran(house)
    return house


class Run:
    """`ray-backfill run` or `submit` of the rolling job, whose spans wait until they may go on."""

    started: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, house: Warehouse, gate: Path, *command: str) -> None:
        self.house, self.gate = house, gate
        name, *options = command
        options += ["-w", house.uri, "--workers", str(SPANS), "-o", f"wait_for={gate}", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ray_backfill", name, ROLLING, *options],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

        self.started.append(self.process)

    def in_the_middle(self) -> None:
        """Wait until every span computes."""
        until(
            lambda: len(self._computing()) == SPANS or self.process.poll() is not None,
            "the spans compute",
        )
        assert self.process.poll() is None, self.process.communicate()[1]

    def _computing(self) -> set[str]:
        ids = run_ids(self.house)
        events = read_journal(self.house, ids[-1]) if ids else []
        return {e["span"] for e in events if e["event"] == "stage" and e["stage"] == "compute"}

    def phases(self) -> list[str]:
        """Phases that it has gone through."""
        events = read_journal(self.house, run_ids(self.house)[-1])
        return [e["phase"] for e in events if e["event"] == "phase"]

    def let_go(self) -> None:
        self.gate.touch()

    def report(self, exit_code: int = 0) -> dict[str, Any]:
        """What it printed as JSON, once it has ended."""
        self.let_go()
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == exit_code, err
        found: dict[str, Any] = json.loads(out)
        return found


def run_on(cluster: Cluster, lake: Warehouse, tmp_path: Path) -> Run:
    """A run on the cluster, every span of it in the middle."""
    run = Run(lake, tmp_path / "gate", "run", "--address", cluster.address)
    run.in_the_middle()
    return run


def test_no_more_tasks_begin_than_there_is_room_for(
    cluster: Cluster,
    nodes: list[Node],
    lake: Warehouse,
    undisturbed: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten spans and eight workers asked for: as many at once as the machines have CPUs."""
    import ray

    ray.shutdown()
    monkeypatch.setattr("ray_backfill.plan.spans._SHORTEST_SPAN", 5)
    how, events = on_ray(cluster.address, 8), list[Mapping[str, Any]]()

    @contextmanager
    def watched(driver: Driver) -> Iterator[None]:
        driver.watchers.append(events.append)
        yield

    plan = planned(lake, workers=8)
    assert len(plan.spans) > 8
    report = execute(lake, load_job(ROLLING), lambda: plan, how, Switch(), watched)
    assert (report.exit_code, report.workers, report.at_once) == (0, 8, SPANS)
    queues = [event for event in events if event["event"] == "queue"]
    assert max(queue["running"] for queue in queues) == SPANS
    assert max(queue["slots"] for queue in queues) == SPANS
    assert content(lake).equals(content(undisturbed))


def test_a_machine_is_lost_in_the_middle_of_its_span(
    cluster: Cluster, nodes: list[Node], lake: Warehouse, undisturbed: Warehouse, tmp_path: Path
) -> None:
    """Its span is done again elsewhere; the report counts one failure of infrastructure."""
    run = run_on(cluster, lake, tmp_path)
    nodes[0].kill()
    report = run.report()
    assert report["retry_counts"] == {"infrastructure": 1}
    (retry,) = report["retries"]
    assert (retry["kind"], retry["action"], retry["attempt"]) == ("infrastructure", "again", 1)
    assert "NodeDiedError" in retry["message"]
    assert content(lake).equals(content(undisturbed))


def test_a_machine_that_drains_finishes_its_span(
    cluster: Cluster, nodes: list[Node], lake: Warehouse, undisturbed: Warehouse, tmp_path: Path
) -> None:
    """What runs there ends there, nothing new begins there, and nothing is tried again."""
    run = run_on(cluster, lake, tmp_path)
    cluster.drain(nodes[0])
    report = run.report()
    assert report["retry_counts"] == {}
    assert content(lake).equals(content(undisturbed))
    until(lambda: not cluster.is_alive(nodes[0]), "the machine is gone when it is empty")
    nodes[0].kill()


def test_a_spot_notice_moves_the_span_to_another_machine(
    cluster: Cluster, nodes: list[Node], lake: Warehouse, undisturbed: Warehouse, tmp_path: Path
) -> None:
    """SIGTERM to `ray start --block`: what it cannot finish in time is done elsewhere."""
    run = run_on(cluster, lake, tmp_path)
    nodes[0].terminate()
    until(lambda: not cluster.is_alive(nodes[0]), "the machine has left")
    report = run.report()
    assert report["retry_counts"] == {"infrastructure": 1}
    assert content(lake).equals(content(undisturbed))


def test_every_machine_is_lost_and_others_come(
    cluster: Cluster, nodes: list[Node], lake: Warehouse, undisturbed: Warehouse, tmp_path: Path
) -> None:
    """The run waits for machines, and goes on when there are some."""
    run = run_on(cluster, lake, tmp_path)
    for node in nodes:
        node.kill()
    until(lambda: "waiting for workers" in run.phases(), "the run waits for machines")
    cluster.add_node(1)
    report = run.report()
    assert report["retry_counts"] == {"infrastructure": SPANS}
    assert content(lake).equals(content(undisturbed))


def test_the_progress_actor_is_lost_with_its_machine(
    cluster: Cluster,
    nodes: list[Node],
    labelled: Node,
    lake: Warehouse,
    undisturbed: Warehouse,
    tmp_path: Path,
) -> None:
    """It begins anew elsewhere and is told all that was; the run itself does not notice."""
    run = run_on(cluster, lake, tmp_path)
    labelled.kill()
    ask = partial(cluster.progress, run_ids(lake)[-1])
    until(lambda: len(ask().planned) == len(DAYS), "the new actor knows the run")
    report = run.report()
    assert (report["retry_counts"], report["failed"]) == ({}, {})
    assert content(lake).equals(content(undisturbed))


def test_a_cluster_without_room_is_refused_with_the_numbers(
    cluster: Cluster, lake: Warehouse, tmp_path: Path
) -> None:
    """No machine has the memory: not for ever pending, but exit 3."""
    wait = ("--worker-wait", "1", "--address", cluster.address)
    for node in cluster.nodes:
        node.kill()
    run = Run(lake, tmp_path / "gate", "run", *wait)
    _, err = run.process.communicate(timeout=120)
    assert run.process.returncode == 3
    assert "no room" not in err
    assert "1 CPU and 320 MiB" in err


def test_a_run_that_waits_for_machines_can_be_stopped(
    cluster: Cluster, lake: Warehouse, tmp_path: Path
) -> None:
    """There is none: Ctrl-C ends it as any other, with exit 130."""
    for node in cluster.nodes:
        node.kill()
    run = Run(lake, tmp_path / "gate", "run", "--address", cluster.address)
    until(lambda: run_ids(lake) and "waiting for workers" in run.phases(), "the run waits")
    run.process.send_signal(signal.SIGINT)
    run.process.communicate(timeout=120)
    assert run.process.returncode == 130


def test_the_driver_is_lost_with_its_machine_and_the_job_is_submitted_again(
    cluster: Cluster, lake: Warehouse, undisturbed: Warehouse, tmp_path: Path
) -> None:
    """Ray keeps drivers on the head: it is lost with all, and a new cluster does what is left."""
    cluster.add_node(SPANS)
    how = ("--python", sys.executable, "--patience", "5")
    first = Run(lake, tmp_path / "gate", "submit", "--address", cluster.dashboard, *how)
    first.in_the_middle()
    for machine in [cluster.head, *cluster.nodes]:
        machine.kill()
    _, err = first.process.communicate(timeout=120)
    assert first.process.returncode == 3
    assert "has not answered for 5 s" in err
    first.let_go()
    with Cluster() as another:
        another.add_node(SPANS)
        again = Run(lake, tmp_path / "gate", "submit", "--address", another.dashboard, *how)
        assert again.report()["exit_code"] == 0
    assert content(lake).equals(content(undisturbed))
    assert len(run_ids(lake)) == 2
