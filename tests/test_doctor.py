"""`ray-backfill doctor`: each step seen well and seen failing, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ray_backfill.doctor import bigquery, clock, cluster, jobs, lake, machine, scratch
from ray_backfill.doctor.bigquery_steps import BigQueryScratch
from ray_backfill.doctor.check import Check, Finding, Outcome, UnfitError, examine
from ray_backfill.doctor.cluster import Cluster
from ray_backfill.doctor.lake import LakeScratch
from ray_backfill.errors import WarehouseError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import environment
from tests.lakes import OUT
from tests.test_cli import SCRIPT

_DROP_FROM_BOUNDING_SET, _OVERRIDE_PERMISSIONS = 24, 1
OBEY = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_DROP_FROM_BOUNDING_SET}, {_OVERRIDE_PERMISSIONS}, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program that is bound by permissions, also as root."""
"""Of Linux: without this capability root, too, is bound by the permissions of files."""


def doctor(*args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `ray-backfill doctor` in a process of its own."""
    env = environment() | more.pop("env", {})
    return subprocess.run(
        [SCRIPT, "doctor", *args], env=env, capture_output=True, text=True, check=False, **more
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Check -> its finding, of a doctor that was asked for JSON."""
    return {entry["check"]: entry for entry in json.loads(done.stdout)["checks"]}


def outcomes(found: dict[str, dict[str, Any]], outcome: str) -> list[str]:
    return [name for name, entry in found.items() if entry["outcome"] == outcome]


def content(folder: Path) -> dict[str, bytes]:
    """Every file and folder below a folder."""
    below = sorted(folder.rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in below}


# -- checks as data ------------------------------------------------------------------------------
def good() -> str:
    return "well"


def broken() -> str:
    raise WarehouseError("It broke.", hint="Glue it.")


def test_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on() -> None:
    """Also what depends on something skipped; the cause is named, with every hint."""
    checks = [
        Check("one", "?", good),
        Check("two", "?", broken, ("one",), needs="a right", mend="Or buy a new one."),
        Check("three", "?", good, ("two",)),
        Check("four", "?", good, ("one", "three")),
        Check("five", "?", lambda: str(1 // 0), ("one",), mend="Count."),
        Check("six", "?", good),
    ]
    found = list(examine(checks))
    assert [(f.check, f.outcome, f.found, f.mend) for f in found] == [
        ("one", Outcome.OK, "well", ""),
        ("two", Outcome.FAILED, "It broke.", "Glue it. Or buy a new one."),
        ("three", Outcome.SKIPPED, "two failed", ""),
        ("four", Outcome.SKIPPED, "two failed", ""),
        ("five", Outcome.FAILED, "ZeroDivisionError: integer division or modulo by zero", "Count."),
        ("six", Outcome.OK, "well", ""),
    ]
    assert found[1].needs == "a right"


def test_a_finding_is_told_before_the_next_step_begins() -> None:
    """It is long work: each step shows as soon as it is done."""
    begun: list[str] = []

    def step(name: str) -> Check:
        return Check(name, "?", lambda: begun.append(name) or "well")

    seen = examine([step("one"), step("two")])
    assert next(seen).check == "one"
    assert begun == ["one"]


def test_findings_hold_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a problem attaches them to a report."""
    monkeypatch.setenv("MY_TOKEN", "abcdefgh12345")

    def leak() -> str:
        raise ValueError("refused: abcdefgh12345")

    (finding,) = examine([Check("leak", "?", leak)])
    assert finding.found == "ValueError: refused: $MY_TOKEN"


def every_check(tmp_path: Path) -> list[list[Check]]:
    made = LakeScratch(Lake(str(tmp_path)))
    nodes = cluster.checks(Cluster("auto"), "", str, "objects")
    first = [*machine.checks(1, 2**30, {}), jobs.check(), machine.ray_check()]
    houses = [lake.checks(made), bigquery.checks(BigQueryScratch("bigquery://p"), [], [])]
    # On BigQuery nodes wait for another step than on a lake.
    others = cluster.checks(Cluster("auto"), "", str, "project")
    return [[*first, *house, *more] for house, more in zip(houses, (nodes, others), strict=True)]


def test_every_check_waits_for_steps_before_it_and_says_what_to_do(tmp_path: Path) -> None:
    """A name that is misspelt would never skip; a failure without a mend would help nobody."""
    for checks in every_check(tmp_path):
        names = [check.name for check in checks]
        assert len(set(names)) == len(names)
        for number, check in enumerate(checks):
            assert set(check.after) <= set(names[:number]), check.name
            assert check.asks
            assert check.mend or check.needs, check.name
            assert max(map(len, (check.name, *check.after))) <= 17


# -- this machine --------------------------------------------------------------------------------
def test_a_package_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Of all that are installed only it; a Ray is not even started with it."""
    info = tmp_path / "polars-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: polars\nVersion: 0.1\n")
    path = {"PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"}
    done = doctor("--json", "-w", str(tmp_path / "lake"), env=path)
    assert done.returncode == 1
    found = told(done)
    assert found["packages"]["found"] == "polars 0.1 is installed, and <3,>=2.1 is needed."
    assert "requirements.lock" in found["packages"]["mend"]
    assert outcomes(found, "failed") == ["packages"]
    assert outcomes(found, "skipped") == ["jobs", "ray"]


def test_packages_that_are_absent_are_named() -> None:
    """Each in a few words."""
    wanted = {"one": ">=2", "two": ">=1,<2"}
    assert machine.unmet({"one": "2.1", "two": "1.9"}, wanted) == []
    assert machine.unmet({"two": "2.0"}, wanted) == [
        "one is not installed",
        "two 2.0 is installed, and >=1,<2 is needed",
    ]


def test_a_job_that_does_not_load_is_named(tmp_path: Path) -> None:
    """The others load, and the doctor goes on."""
    (tmp_path / "broken_job.py").write_text("raise RuntimeError('no such licence')")
    env = {
        "PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}",
        "RAY_BACKFILL_JOBS": "broken_job:JOB",
    }
    done = doctor("--json", "-w", str(tmp_path / "lake"), "--address", "127.0.0.1:9", env=env)
    found = told(done)
    assert outcomes(found, "failed") == ["jobs", "cluster"]
    assert "broken_job:JOB: " in found["jobs"]["found"]
    assert "no such licence" in found["jobs"]["found"]
    assert found["removed"]["outcome"] == "ok"


def findings(checks: list[Check]) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(checks)}


def test_a_machine_without_room_for_a_worker_is_unfit() -> None:
    """With what it has and what it needs."""
    found = findings(machine.checks(2, 200 * 2**20, {}))["cpus and memory"]
    assert found.outcome is Outcome.FAILED
    assert "200 MiB, and needs 320 MiB" in found.found


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("200000 100000\n", 2.0), ("50000 100000", 0.5), ("max 100000\n", None), ("", None)],
)
def test_a_container_that_may_use_fewer_cpus_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cpus: float | None
) -> None:
    """The kernel shows the machine's; more workers than its share only wait for each other."""
    path = tmp_path / "cpu.max"
    path.write_text(text)
    monkeypatch.setattr(machine, "_CPU_LIMIT", path)
    found = findings(machine.checks(8, 2**30, {}))["cpus and memory"]
    assert found.outcome is Outcome.OK
    assert (
        (f"use {cpus:g} CPUs: give --workers {max(1, int(cpus))}" in found.found)
        if cpus
        else ("container" not in found.found)
    )


@pytest.mark.parametrize(
    ("free", "total", "fits"),
    [(2**31, 2**34, True), (2**29, 2**34, False), (2**34, 2**39, False)],
)
def test_a_disk_that_is_nearly_full_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, total: int, fits: bool
) -> None:
    """By what is free, and by its share: Ray writes no objects to a disk that is 95% full."""
    usage = SimpleNamespace(free=free, total=total, used=total - free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    found = findings(machine.checks(1, 2**30, {"the lake": str(tmp_path / "not" / "there")}))
    assert (found["disk"].outcome is Outcome.OK) == fits
    assert "for the lake" in found["disk"].found


def test_a_real_ray_starts(tmp_path: Path) -> None:
    """Of this machine's own, with a task in another process; no lake is made by it."""
    done = doctor("-w", str(tmp_path / "lake"))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert "ran a task in a process of its own" in lines[-1]
    assert f"{len(lines)} checks: all well." in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- a lake --------------------------------------------------------------------------------------
def test_a_lake_is_as_it_was_afterwards(tmp_path: Path, ray_address: str) -> None:
    """Exit 0 with every step of its protocol, and not a file or folder more or less."""
    house = Lake(str(tmp_path / "lake"))
    house.put_object("runs/a", b"1")
    (tmp_path / "lake" / "shop").mkdir()
    before = content(tmp_path)
    done = doctor("-w", house.uri, "--address", ray_address, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(tmp_path) == before
    document = json.loads(done.stdout)
    assert (document["fit"], document["warehouse"], document["address"]) == (
        True,
        house.uri,
        ray_address,
    )
    found = told(done)
    assert list(found)[5:16] == [
        "lake",
        "objects",
        "clock",
        "create",
        "lease",
        "stage",
        "publish",
        "read",
        "restore",
        "release",
        "removed",
    ]
    assert outcomes(found, "ok") == list(found)
    assert "all packages as here" in found["nodes"]["found"]
    assert done.stderr.count("\n") >= len(found)  # progress, beside the document


@pytest.mark.skipif(sys.platform != "linux", reason="root is bound by permissions on Linux alone")
def test_a_lake_that_may_only_be_read_is_unfit(tmp_path: Path) -> None:
    """Exit 1, with who must be given what; the steps that need it are skipped."""
    house = Lake(str(tmp_path / "lake"))
    house.put_object("runs/a", b"1")
    before = content(tmp_path)
    folders = [tmp_path / "lake", *(p for p in (tmp_path / "lake").rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)

    words = ("-w", house.uri, "--address", "127.0.0.1:9", "--json")
    obeying = [sys.executable, "-c", OBEY, SCRIPT, "doctor", *words]
    done = subprocess.run(obeying, env=environment(), capture_output=True, text=True, check=False)
    for folder in folders:
        folder.chmod(0o755)
    assert done.returncode == 1, done.stderr
    found = told(done)
    assert outcomes(found, "failed") == ["objects", "cluster"]
    assert "Permission denied" in found["objects"]["found"]
    assert "owner of the folder" in found["objects"]["mend"]
    assert {"create", "lease", "publish", "restore"} <= set(outcomes(found, "skipped"))
    assert content(tmp_path) == before


def test_an_object_store_that_nobody_serves_is_unfit(tmp_path: Path) -> None:
    """Without minutes of attempts; everything of the warehouse is skipped."""
    env = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
    }
    done = doctor("-w", "s3://bucket/lake", "--address", "127.0.0.1:9", "--json", env=env)
    assert done.returncode == 1
    found = told(done)
    assert outcomes(found, "failed") == ["lake", "cluster"]
    assert "error sending request" in found["lake"]["found"]
    assert "AWS_ENDPOINT_URL" in found["lake"]["mend"]
    assert found["removed"]["outcome"] == "skipped"


def test_the_mend_stands_below_what_failed(tmp_path: Path) -> None:
    """One line a step, and below a failure what was asked, what it needs and what mends it."""
    done = doctor("-w", str(tmp_path), "--address", "127.0.0.1:9")
    assert done.returncode == 1
    text = done.stdout.partition("failed  cluster")[2]
    assert "No Ray cluster answers at 127.0.0.1:9" in text.splitlines()[0]
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:4]] == [
        "asked",
        "needs",
        "mend",
    ]
    assert "skipped nodes            cluster failed" in text
    assert "1 failed, 2 skipped" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-w", "ftp://example/lake"), "is not a warehouse"),
        (("-w", __file__), "is a file"),
        (("--address", "http://head:8265"), "ray job submit --address http://head:8265"),
    ],
)
def test_what_cannot_be_meant_is_a_wrong_command(arguments: tuple[str, ...], says: str) -> None:
    """Exit 2, before anything is tried."""
    done = doctor(*arguments)
    assert done.returncode == 2
    assert says in done.stderr.replace("\n", " ")
    assert done.stdout == ""


# -- each step of a lake seen failing ------------------------------------------------------------
def _always_new(real: Callable[..., Any]) -> Callable[..., Any]:
    def put(uri: str, path: str, data: bytes, *, create: bool = False) -> bool:
        return bool(real(uri, path, data))

    return put


def _second_wins(real: Callable[..., Any]) -> Callable[..., Any]:
    def acquire(self: Lake, table: Any, run_id: str, **how: Any) -> Any:
        return real(self, table, run_id, **how | {"steal": True})

    return acquire


def _seen_at_once(real: Callable[..., Any]) -> Callable[..., Any]:
    def stage(self: Lake, table: Any, rows: Any, **how: Any) -> Any:
        self.append(table, rows)
        return real(self, table, rows, **how)

    return stage


def _keeping(real: Callable[..., Any]) -> Callable[..., Any]:
    def publish(self: Lake, table: Any, staged: Any, *, remove: Any, lease: Any) -> Any:
        return real(self, table, staged, remove=[], lease=lease)

    return publish


def _nothing(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **how: None


def _half(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **how: real(*args, **how)[:1]


@pytest.mark.parametrize(
    ("where", "name", "fault", "step", "says", "skipped"),
    [
        (_objects, "put", _always_new, "objects", "made a second time", {"create", "lease"}),
        (Lake, "ensure", _nothing, "create", "False was found where True", {"lease", "publish"}),
        (Lake, "acquire_lease", _second_wins, "lease", "Two runs hold one lease", {"publish"}),
        (Lake, "stage", _seen_at_once, "stage", "Rows that are staged alone", {"publish", "read"}),
        (Lake, "publish", _keeping, "publish", "replaced and a removed date", {"read", "restore"}),
        (Lake, "partitions", _half, "read", "The partitions", set()),
        (Lake, "restore", _nothing, "restore", "What was restored", set()),
        (Lake, "release_lease", _nothing, "release", "Who holds the lease", set()),
        (_objects, "delete", _nothing, "removed", "was found where [] must be", set()),
    ],
)
def test_a_lake_that_does_not_keep_its_promise_is_unfit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    fault: Callable[[Any], Any],
    step: str,
    says: str,
    skipped: set[str],
) -> None:
    """The step says what it found, and what it must be; the scratch table is removed anyway."""
    made = LakeScratch(Lake(str(tmp_path / "lake")))
    with monkeypatch.context() as patch, lake.removed(made):
        if step == "removed":
            patch.setattr(shutil, "rmtree", _nothing(None))
        patch.setattr(where, name, fault(getattr(where, name)))
        found = findings(lake.checks(made))
        patch.undo()
    assert found[step].outcome is Outcome.FAILED
    assert says in found[step].found
    assert found[step].mend
    assert skipped <= {name for name, f in found.items() if f.outcome is Outcome.SKIPPED}
    assert list(tmp_path.iterdir()) == []


# -- clocks --------------------------------------------------------------------------------------
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("theirs", "seconds"),
    [(0, 0), (2, 0), (-0.9, 0), (-3, -2), (7, 5), (100, 98), (-60, -59)],
)
def test_clocks_are_as_far_apart_as_two_looks_prove(theirs: float, seconds: float) -> None:
    """Theirs is read between two looks at ours, two seconds apart, and tells whole seconds."""
    then = NOON + timedelta(seconds=theirs)
    found = clock.apart(NOON, then, NOON + timedelta(seconds=2), timedelta(seconds=1))
    assert found == timedelta(seconds=seconds)


@pytest.mark.parametrize(("off", "fits"), [(0, True), (8, True), (-8, True), (60, False)])
def test_a_clock_that_is_wrong_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: int, fits: bool
) -> None:
    """A lease that runs out by it would be taken from a run that lives."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(seconds=off))
    made = LakeScratch(Lake(str(tmp_path)))
    with lake.removed(made):
        found = findings(lake.checks(made))["clock"]
    assert (found.outcome is Outcome.OK) == fits
    assert ("agree" in found.found) == (off == 0)
    if not fits:
        assert "This clock is 59 s ahead of that of the files" in found.found
        assert "NTP" in found.mend


# -- what is left --------------------------------------------------------------------------------
DYING = """
import os, signal, sys
from ray_backfill.cli import main
from ray_backfill.doctor.lake import LakeScratch
how = int(sys.argv.pop())
def die(self):
    os.kill(os.getpid(), how)
LakeScratch.publish = die
sys.argv[0] = "ray-backfill"
main()
"""


def killed(uri: str, how: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A doctor that is ended in the middle of a lake's steps."""
    return subprocess.run(
        [sys.executable, "-c", DYING, "doctor", "-w", uri, str(int(how))],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_doctor_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C, or SIGTERM as a container's end."""
    for how in (signal.SIGINT, signal.SIGTERM):
        done = killed(str(tmp_path / "lake"), how)
        assert done.returncode == 130, done.stderr
        assert list(tmp_path.iterdir()) == []


def test_the_next_doctor_removes_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it must be dead; a doctor that may be at work is left alone."""
    house = Lake(str(tmp_path / "lake"))
    house.release_lease(house.acquire_lease(OUT, "run-1", seconds=60, steal=False))
    before = content(tmp_path)
    assert killed(house.uri, signal.SIGKILL).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "lake" / lake.DATASET).iterdir()
    made = LakeScratch(house)
    found = findings(lake.checks(made))
    assert found["removed"].found == "nothing is left"
    assert left.exists()
    monkeypatch.setattr(scratch, "LIFE", timedelta(seconds=-1))
    made = LakeScratch(house)
    assert "nor of 1 that were killed" in findings(lake.checks(made))["removed"].found
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("doctor__20200101T000000__3f9a2c", True),
        ("stage__house__doctor__20200101T000000__3f9a2c__doctor__20200101T000000__3f9a2c", True),
        pytest.param(scratch.new_name(), False, id="new"),
        ("doctor__20209901T000000__3f9a2c", False),
        ("doctor__20200101T000000", False),
        ("doctors", False),
    ],
)
def test_scratch_names_carry_their_time(name: str, old: bool) -> None:
    """What is no such name is never removed."""
    assert scratch.is_left_over(name) is old


# -- a cluster -----------------------------------------------------------------------------------
@pytest.fixture
def nodes(ray_address: str) -> Iterator[Cluster]:
    """The tests' cluster, joined."""
    with cluster.joined(Cluster(ray_address)) as found:
        assert "1 node with 4 CPUs" in found.join()
        yield found


def test_a_node_that_has_other_packages_is_named(
    nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node, the package and both versions."""
    here = machine.packages()
    monkeypatch.setattr(machine, "packages", lambda: here | {"polars": "2.9"})
    with pytest.raises(UnfitError, match=rf"\): polars {here['polars']} there, 2\.9 here"):
        nodes.versions()


def test_a_node_whose_clock_is_wrong_is_named(
    nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the next driver's."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=5))
    with pytest.raises(UnfitError, match=r"ahead of that of .*; a lease bears 10 s"):
        nodes.versions()


def test_nodes_that_look_elsewhere_are_named(nodes: Cluster, tmp_path: Path) -> None:
    """Another folder of that name, or one that cannot be opened there."""
    house = open_warehouse(str(tmp_path / "lake"))
    house.put_object("doctor/mark", b"1")
    assert str(house.uri) in nodes.seeing(house.uri, "doctor/mark")
    with pytest.raises(UnfitError, match="another place of that name"):
        nodes.seeing(str(tmp_path), "doctor/mark")
    with pytest.raises(UnfitError, match="is not a warehouse that this version knows"):
        nodes.seeing("ftp://example/lake", "doctor/mark")


def test_what_a_node_lacks_is_named() -> None:
    """Absent, out of the range, or another of those that decide values; others may differ."""
    here = {"python": "3.11.7", **machine.packages()}
    assert cluster.differing(here, here) == []
    assert cluster.differing(here, here | {"requests": "2.32.0"}) == []
    assert cluster.differing(here, here | {"python": "3.11.2"}) == [
        "python 3.11.2 there, 3.11.7 here"
    ]
    assert cluster.differing(here, here | {"polars": ""}) == ["polars is not installed"]
    (wrong,) = cluster.differing(here, here | {"ray-backfill": ""})
    assert wrong.startswith("ray-backfill is not installed there")
