"""A cluster that scales itself: it grows to what a run needs, and to nothing when it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ray_backfill.loading.load import load_files
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests.conftest import environment
from tests.engine import ROLLING, content, ran
from tests.frames import real_data
from tests.league import PLAYER_CONTEXT
from tests.nodes import Cluster, Scaling, until

MOST = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head alone, whose autoscaler may start three nodes."""
    with Cluster(dashboard=False, scaling=Scaling(MOST)) as found:
        yield found


@pytest.fixture(scope="module")
def size(cluster: Cluster) -> Iterator[Callable[[], int]]:
    """How many nodes are alive beside the head."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield lambda: sum(node["Alive"] for node in ray.nodes()) - 1
    ray.shutdown()


@contextmanager
def watched(size: Callable[[], int], grown: Path) -> Iterator[list[int]]:
    """The sizes that the cluster has while the block runs, each noted when it changes.

    The file `grown` is made when it has had all nodes that it may have.
    """
    sizes, ended = [size()], threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            now = size()
            if now != sizes[-1]:
                sizes.append(now)
            if now == MOST:
                grown.touch()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        ended.set()
        thread.join()
        sizes.append(size())


def start(
    cluster: Cluster, house: Warehouse, job: str, *args: str, module: str = "ray_backfill"
) -> subprocess.Popen[str]:
    """`ray-backfill run` of a job on the cluster, in a process group of its own."""
    where = ("-w", house.uri, "--address", cluster.address, "--workers", str(MOST))
    return subprocess.Popen(
        [sys.executable, "-m", module, "run", job, *where, "--json", *args],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(not real_data().is_dir(), reason=f"there is no real data in {real_data()}")
def test_five_real_seasons_on_a_cluster_that_grows_and_shrinks(
    cluster: Cluster, size: Callable[[], int], tmp_path: Path
) -> None:
    """0 → 3 → 0 nodes; the run finishes, and its content equals that of a run in this process.

    However fast the first nodes are: the run's last spans wait until all nodes have joined.
    """
    here, there = (open_warehouse(str(tmp_path / name)) for name in ("here", "there"))
    for table in RAW_TABLES:
        path = real_data() / f"{table.name.split('.')[1]}.parquet"
        if path.exists():
            load_files(here, table, [path])
    shutil.copytree(here.uri, there.uri, dirs_exist_ok=True)
    grown = tmp_path / "grown"
    with watched(size, grown) as sizes:
        # Quiet: a full pipe that nobody reads yet would hold the run up.
        patient = ("--max-dates", "1100", "--quiet", str(grown))
        run = start(cluster, there, "player_context", *patient, module="tests.patient_run")
        assert ran(here, how=PLAYER_CONTEXT).exit_code == 0
        until(lambda: grown.exists() or run.poll() is not None, "all nodes have joined")
        out, err = run.communicate()
        assert run.returncode == 0, err
        until(lambda: size() == 0, "no node is left")
    report = json.loads(out)
    assert (len(report["published"]), report["failed"]) == (1022, {})
    assert report["retry_counts"] == {}
    assert (sizes[0], max(sizes), sizes[-1]) == (0, MOST, 0)
    assert content(there, JOB).equals(content(here, JOB))


def test_a_killed_driver_leaves_no_node_running(
    cluster: Cluster, size: Callable[[], int], lake: Warehouse, tmp_path: Path
) -> None:
    """What it asked for is forgotten when it is not heard of any more."""
    gate = tmp_path / "gate"
    run = start(cluster, lake, ROLLING, "-o", f"wait_for={gate}", module="tests.quick_demand")
    until(Path(f"{gate}.here").exists, "a span has begun")
    assert size() > 0
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    until(lambda: size() == 0, "no node is left")
    assert not demanded(cluster)
    assert ran(lake, [f"wait_for={gate}", "wait_for="]).exit_code == 0


def test_a_cancelled_run_asks_for_nothing_any_more(
    cluster: Cluster, size: Callable[[], int], lake: Warehouse, tmp_path: Path
) -> None:
    """SIGINT twice: at once, with exit 130, and the demand is gone when the command is."""
    run = start(cluster, lake, ROLLING, "-o", f"wait_for={tmp_path / 'gate'}")
    until(lambda: demanded(cluster), "the run has asked for nodes")
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        next((line for line in run.stderr if "Stopping" in line), None)
    run.communicate()
    assert run.returncode == 130
    assert not demanded(cluster)
    until(lambda: size() == 0, "no node is left")


def demanded(cluster: Cluster) -> bool:
    """Whether anything is asked of the autoscaler by request."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(cluster.address)
    asked = status.resource_demands.cluster_constraint_demand
    return any(bundle.count for demand in asked for bundle in demand.bundles_by_count)
