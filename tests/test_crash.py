"""Whatever kills a run, the next one completes it, and no reader ever sees a part of a date."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.conftest import DAYS, environment, sales
from tests.engine import ROLLING, content, output, planned, ran, visible_files
from tests.rolling_job import MEANS, SALES

FAULTS = [
    ("in-compute", 1),
    ("after-stage", 1),
    ("after-stage", 4),
    ("before-commit", 1),
    ("before-commit", 3),
    ("after-commit", 1),
    ("after-commit", 5),
]


def command(house: Warehouse, *args: str) -> list[str]:
    """`ray-backfill run` of the rolling job, in small batches."""
    return ["run", ROLLING, "-w", house.uri, "--batch", "7", "--quiet", *args]


def crash(house: Warehouse, where: str, nth: int) -> int:
    """Exit status of a run in this process's child that was killed at a place."""
    arguments = [sys.executable, "-m", "tests.crash_driver", where, str(nth)]
    done = subprocess.run(
        [*arguments, *command(house, "--no-parallel")],
        env=environment(),
        capture_output=True,
        check=False,
    )
    return done.returncode


def start(house: Warehouse, *args: str) -> subprocess.Popen[str]:
    """A run in a child process, through the real entry point."""
    script = "from ray_backfill.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *command(house, *args)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def undisturbed(tmp_path: Path) -> Warehouse:
    """The same input, run once without any fault."""
    house = open_warehouse(str(tmp_path / "undisturbed"))
    house.append(SALES, sales().to_arrow())
    ran(house)
    return house


def whole_dates(house: Warehouse) -> bool:
    """Whether each visible date has all of its five rows."""
    if not house.exists(MEANS.name):
        return True
    return set(output(house).group_by("day").len()["len"]) <= {5}


@pytest.mark.parametrize(("where", "nth"), FAULTS)
def test_a_killed_driver_leaves_whole_dates_and_the_next_run_completes(
    lake: Warehouse, tmp_path: Path, where: str, nth: int
) -> None:
    """SIGKILL at any point: what is visible is whole, and a re-run ends as if undisturbed."""
    assert crash(lake, where, nth) == -signal.SIGKILL
    assert whole_dates(lake)
    report = ran(lake)
    assert report.exit_code == 0
    assert content(lake).equals(content(undisturbed(tmp_path)))
    assert planned(lake).selected == ()


def test_what_a_dead_run_staged_is_never_visible_and_is_swept_by_age(lake: Warehouse) -> None:
    """Orphans are in no version of the log; a sweep takes them once old, and nothing else."""
    crash(lake, "before-commit", 2)
    root = Path(lake.uri.removeprefix("file://")) / "shop" / "means"
    on_disk = set(root.glob("day=*/*.parquet"))
    visible = {Path(uri.removeprefix("file://")) for uri in visible_files(lake, MEANS.name)}
    assert len(on_disk) > len(visible)
    ran(lake)
    dead, _ = run_ids(lake)
    now = datetime.now(UTC)
    assert lake.sweep(MEANS, ended_runs=[dead], older_than=now - timedelta(days=1)) == 0
    assert lake.sweep(MEANS, ended_runs=[dead], older_than=now + timedelta(days=1)) > 0
    left = set(root.glob("day=*/*.parquet"))
    assert left == {Path(u.removeprefix("file://")) for u in visible_files(lake, MEANS.name)}


def test_a_killed_driver_on_ray_leaves_whole_dates(lake: Warehouse, tmp_path: Path) -> None:
    """SIGKILL of the driver while remote workers stage: the next run completes."""
    arguments = [sys.executable, "-m", "tests.crash_driver", "after-commit", "2"]
    done = subprocess.run(
        [*arguments, *command(lake, "--workers", "2")],
        env=environment(),
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == -signal.SIGKILL
    assert whole_dates(lake)
    assert ran(lake).exit_code == 0
    assert content(lake).equals(content(undisturbed(tmp_path)))


def test_the_first_ctrl_c_stops_gently(lake: Warehouse, tmp_path: Path) -> None:
    """The running span finishes and is published, nothing new begins, exit 130."""
    gate = tmp_path / "gate"
    process = start(lake, "--no-parallel", "-o", f"wait_for={gate}")
    _wait_for(Path(f"{gate}.here"), process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    for line in process.stdout:
        if "Stopping" in line:
            break
    gate.touch()
    process.communicate()
    assert process.returncode == 130
    assert whole_dates(lake)
    published = set(content(lake)["day"])
    assert 0 < len(published) < len(DAYS)
    events = read_journal(lake, run_ids(lake)[-1])
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("end", 130)
    assert ran(lake, [f"wait_for={gate}"]).exit_code == 0
    assert set(content(lake)["day"]) == set(DAYS)


def test_the_second_ctrl_c_stops_at_once(lake: Warehouse, tmp_path: Path) -> None:
    """Twice: the run ends in the middle of a span, and publishes nothing of it."""
    gate = tmp_path / "gate"
    process = start(lake, "--no-parallel", "-o", f"wait_for={gate}")
    _wait_for(Path(f"{gate}.here"), process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    for line in process.stdout:
        if "Stopping" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert output(lake).is_empty()


def test_a_second_run_on_the_same_table_is_refused(lake: Warehouse, tmp_path: Path) -> None:
    """Exit 3, naming the run that holds the table; `--steal-lease` takes it over."""
    gate = tmp_path / "gate"
    first = start(lake, "--no-parallel", "-o", f"wait_for={gate}")
    _wait_for(Path(f"{gate}.here"), first)
    refused = start(lake, "--no-parallel")
    text, _ = refused.communicate()
    assert refused.returncode == 3
    assert run_ids(lake)[0] in text
    assert "--steal-lease" in text
    thief = start(lake, "--no-parallel", "--steal-lease")
    thief.communicate()
    assert thief.returncode == 0
    gate.touch()
    text, _ = first.communicate()
    assert first.returncode == 3, text
    assert set(output(lake)["run_id"]) == {run_ids(lake)[-1]}


def test_a_full_disk_publishes_nothing_by_half(tmp_path: Path) -> None:
    """No space while staging: the run fails with the reason; with space the next completes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with _small_disk(disk) as mounted:
        if not mounted:
            pytest.skip("this user may not mount a small disk")
        house = open_warehouse(str(disk / "lake"))
        house.append(SALES, sales().to_arrow())
        ballast = disk / "ballast"
        _fill(ballast)
        report = _run_without_space(house)
        assert report != 0
        assert whole_dates(house)
        ballast.unlink()
        assert ran(house).exit_code == 0
        assert content(house).equals(content(undisturbed(tmp_path)))


def _run_without_space(house: Warehouse) -> int:
    process = start(house, "--no-parallel")
    text, _ = process.communicate()
    assert "Traceback" not in text
    assert "No space left" in text or "space" in text
    return process.returncode


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


class _small_disk:  # noqa: N801 - used like a function
    """A tmpfs of two megabytes for the block; False where mounting is not allowed."""

    def __init__(self, at: Path) -> None:
        self._at = at

    def __enter__(self) -> bool:
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(self._at)]
        try:
            self._mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            self._mounted = False
        return self._mounted

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._at)], check=False)


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the file is there; fails where the process ended before."""
    ended = threading.Event()
    while not path.exists():
        if process.poll() is not None:
            assert process.stdout is not None
            raise AssertionError(f"it ended before: {process.stdout.read()}")
        ended.wait(0.02)
