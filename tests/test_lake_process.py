"""A lease's process: known to be dead only where that can be seen."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_backfill.warehouse import process as _process
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import environment
from tests.lakes import OUT

WAIT = "import sys; print('here', flush=True); sys.stdin.read()"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """A process that lives until its input is closed."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WAIT], stdin=pipe, stdout=pipe, text=True) as it:
        assert it.stdout is not None
        it.stdout.readline()
        yield it
        it.kill()


def holder(process: subprocess.Popen[str]) -> dict[str, object]:
    """What a lease says of a process."""
    started = _process._started(process.pid)
    return {**_process.identity(), "pid": process.pid, "started": started}


def test_a_process_is_dead_when_it_ended_and_not_before(other: subprocess.Popen[str]) -> None:
    """A zombie holds nothing any more; an id that another process has now is not the holder."""
    held = holder(other)
    assert not _process.is_dead(held)
    assert _process.is_dead({**held, "started": "1"}), "the id was given to another process"
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert _process.is_dead(held), "a zombie"
    other.wait()
    assert _process.is_dead(held)


def test_a_process_that_proc_hides_is_not_dead(
    other: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `hidepid` the folder of another user's process is not there; the process is."""
    held = holder(other)
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    (tmp_path / "sys/kernel/random/boot_id").write_text(boot)
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(Path("/proc/self/ns/pid").readlink())
    monkeypatch.setattr(_process, "_PROC", tmp_path)
    assert not _process.is_dead(held)
    other.kill()
    other.wait()
    assert _process.is_dead(held)


@pytest.mark.parametrize("pid", ["", "x", 0, -1, None, "1e3", 2**70, 3.5])
def test_what_is_no_process_id_is_not_asked_for(pid: object) -> None:
    """Signals to 0 and -1 go to many; an id beyond what the system has is nobody's."""
    held = {**_process.identity(), "pid": pid}
    assert _process.is_dead(held) == (pid == 2**70)


HOLDER = """
import sys
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import OUT
print(Lake(sys.argv[1]).lease_holder(OUT.name))
"""


def test_a_lease_of_another_user_is_held_under_hidepid() -> None:
    """The kernel's own hiding, where a mount namespace may be made: the lease stands."""
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    hidden = f"mount -t proc -o hidepid=2 proc /proc && ! {nobody} ls -d /proc/{os.getpid()}"
    unshare = ["unshare", "--mount", "sh", "-c"]
    if os.geteuid() != 0 or subprocess.run([*unshare, hidden], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        Path(folder).chmod(0o755)
        lake = Lake(f"{folder}/lake")
        lake.acquire_lease(OUT, "run-1", seconds=600, steal=False)
        command = f'{hidden} && exec {nobody} "$0" -c "$1" "$2"'
        done = subprocess.run(
            [*unshare, command, sys.executable, HOLDER, lake.uri],
            capture_output=True,
            text=True,
            env=environment(),
        )
    assert done.stdout == "run-1\n", done.stderr
