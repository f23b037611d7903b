"""Jobs and commands of other packages: what does not load is named, and stops nothing else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_backfill.catalog import catalogue, check_beside_others, load_job
from ray_backfill.errors import UsageError
from ray_backfill.job import Job
from ray_backfill.job.conflicts import conflicts_of
from ray_backfill.job.plain import views_of
from ray_backfill.job.table import Column, Kind
from ray_backfill.warehouse import Warehouse
from tests.conftest import ROOT, environment
from tests.engine import ROLLING
from tests.rolling_job import INPUT, JOB, MEANS
from tests.test_cli import SCRIPT

BROKEN = {
    "exits": "import sys; sys.exit(0)",
    "raises": "raise RuntimeError('no such thing')",
    "panics": "class Panic(BaseException): pass\nraise Panic('dropped')",
    "unwritten": "def broken(:\n",
    "empty": "",
    "wrong": "JOB = 7",
    "unsound": "from dataclasses import replace\nfrom tests.rolling_job import JOB\n"
    "JOB = replace(JOB, views=(*JOB.views, *JOB.views))",
}
SAYS = {
    "exits": "SystemExit: 0 (exits.py, line 1)",
    "raises": "RuntimeError: no such thing (raises.py, line 1)",
    "panics": "Panic: dropped (panics.py, line 2)",
    "unwritten": "SyntaxError: invalid syntax (unwritten.py, line 1)",
    "empty": "module 'empty' has no attribute 'JOB'",
    "wrong": "'wrong:JOB' is a int, not a ray_backfill.job.Job",
    "unsound": "two views are called 'sales'",
    "absent": "No module named 'absent'.",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules whose jobs do not load, on the path."""
    for name, text in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def installed(folder: Path, name: str, text: str) -> None:
    """As if a package with these entry points were installed in the folder."""
    path = folder / f"{name}-1.0.dist-info"
    path.mkdir(parents=True)
    (path / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (path / "entry_points.txt").write_text(text)


def call(*words: str, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with this folder in front of the path."""
    return subprocess.run(
        [SCRIPT, *words],
        env=environment() | {"PYTHONPATH": f"{path}:{ROOT}"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", SAYS)
def test_a_job_that_does_not_load_is_a_wrong_command(modules: Path, name: str) -> None:
    """Whatever its module raises, it is named with its place, and never ends the program."""
    with pytest.raises(UsageError) as caught:
        load_job(f"{name}:JOB")
    assert SAYS[name] in caught.value.message
    assert f"'{name}:JOB'" in caught.value.message


def test_jobs_that_do_not_load_are_left_out_by_name(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are there."""
    specs = [f"{name}:JOB" for name in SAYS]
    monkeypatch.setenv("RAY_BACKFILL_JOBS", ",".join([*specs, ROLLING, "no job"]))
    found = catalogue()
    assert set(found.jobs) == {"player_context", ROLLING}
    assert set(found.broken) == {*specs, "no job"}
    assert all(SAYS[spec.partition(":")[0]] in found.broken[spec] for spec in specs)
    assert check_beside_others(JOB) == found.broken


def test_commands_name_what_they_left_out(modules: Path, lake: Warehouse) -> None:
    """Those that collect jobs go on with the others; a run says it in a line of its log."""
    listed = f"{ROLLING},raises:JOB"
    done = call("describe", "--json", path=modules, RAY_BACKFILL_JOBS=listed)
    assert [job["job"] for job in json.loads(done.stdout)] == ["player_context", "rolling"]
    assert "Left out: The job 'raises:JOB' does not load: RuntimeError: no such" in done.stderr
    words = ("run", ROLLING, "--no-parallel", "-w", lake.uri)
    done = call(*words, path=modules, RAY_BACKFILL_JOBS=listed)
    assert done.returncode == 0
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [s["level"] for s in said if "'raises:JOB' does not load" in s["message"]] == ["warning"]


COMMANDS = {
    "raises": ("raise RuntimeError('gone')", "RuntimeError: gone (c_raises.py, line 1)"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3 (c_exits.py, line 1)"),
    "number": ("app = 7", "TypeError: a int, not a typer.Typer"),
    "ours": (
        "import typer\napp = typer.Typer()\n@app.command()\ndef run() -> None: ...\n",
        "ValueError: ray-backfill itself has run",
    ),
    "odd": (
        "import typer\napp = typer.Typer()\n@app.command()\ndef odd(x: int | str): ...\n",
        "AssertionError: Typer currently doesn't support Union types",
    ),
    "good": (
        "import typer\napp = typer.Typer()\n@app.command()\ndef good() -> None: print('good')\n",
        "",
    ),
}


def test_commands_that_do_not_load_are_left_out_by_name(tmp_path: Path) -> None:
    """`--help` and all other commands are as they were, and so is what ours are called."""
    lines = "".join(f"{name} = c_{name}:app\n" for name in COMMANDS)
    installed(tmp_path, "extra", f"[ray_backfill.commands]\n{lines}")
    for name, (text, _) in COMMANDS.items():
        (tmp_path / f"c_{name}.py").write_text(text)
    helped, good = call("--help", path=tmp_path), call("good", path=tmp_path)
    assert (helped.returncode, good.returncode, good.stdout) == (0, 0, "good\n")
    assert "demo-deliver" in helped.stdout
    for done in (helped, good):
        said = [line for line in done.stderr.splitlines() if line.startswith("Left out")]
        whys = {name: why for name, (_, why) in COMMANDS.items() if why}
        assert len(said) == len(whys)
        for name, why in whys.items():
            start = f"Left out: the commands '{name}' (c_{name}:app): {why}"
            assert any(line.startswith(start) for line in said)


def test_a_user_s_own_package_called_jobs_hides_nothing(tmp_path: Path, lake: Warehouse) -> None:
    """In front of the path, it is theirs, and ours are found all the same."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").write_text("from tests.rolling_job import JOB\n")
    done = call("describe", "--json", path=tmp_path, RAY_BACKFILL_JOBS="jobs:JOB")
    assert [job["job"] for job in json.loads(done.stdout)] == ["rolling", "player_context"]
    assert call("--help", path=tmp_path).returncode == 0
    words = ("run", "jobs:JOB", "--no-parallel", "--end-date", "2025-01-05", "-w", lake.uri)
    assert call(*words, path=tmp_path).returncode == 0


def test_a_name_that_two_packages_give_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is taken for the other; each can be run by its module."""
    installed(tmp_path, "one", f"[ray_backfill.jobs]\nmeans = {ROLLING}\n")
    installed(tmp_path, "two", "[ray_backfill.jobs]\nmeans = tests.leaky_job:JOB\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="Several packages have a job 'means'") as caught:
        load_job("means")
    assert ROLLING in caught.value.hint
    assert "tests.leaky_job:JOB" in caught.value.hint


# -- together ----------------------------------------------------------------------------------
def other(**changes: Any) -> Job:
    """The rolling job under another name, with another output."""
    return replace(JOB, **{"name": "other", "output": replace(MEANS, name="shop.other")} | changes)


def sentences(**jobs: Job) -> list[str]:
    return [conflict.sentence for conflict in conflicts_of(jobs)]


def reading(made: Job, *columns: str, **changes: Any) -> Job:
    """A job of another output that reads what a job computes."""
    source = replace(INPUT, table=made.output, columns=("day", *columns))
    calendar_inputs = {"sales": ("day",)}
    parts = {"inputs": (source,), "views": views_of((source,)), "calendar_inputs": calendar_inputs}
    return other(**parts | changes)


def test_two_jobs_with_one_output_are_refused_by_name() -> None:
    """One job under two names is no conflict, and neither are jobs of two tables."""
    shouted = replace(MEANS, name="shop.MEANS")
    for table in (MEANS, shouted):
        (said,) = sentences(a=JOB, b=other(output=table))
        assert said.startswith("The jobs 'a' and 'b' compute one table, shop.")
    assert sentences(a=JOB, b=JOB, c=other()) == []
    (said,) = sentences(a=JOB, b=other(name="rolling"))
    assert said == "The jobs 'a' and 'b' are called rolling: they would share a cache"


def test_a_job_that_reads_what_another_computes_agrees_with_it_on_the_columns() -> None:
    """Otherwise one of them is wrong about the table."""
    assert sentences(a=JOB, b=reading(JOB, "mean")) == []
    columns = (*MEANS.columns[:2], Column("mean", Kind.INT), Column("most", Kind.INT))
    thought = replace(JOB, output=replace(MEANS, columns=columns))
    assert sentences(a=JOB, b=reading(thought, "mean", "most")) == [
        "'b' reads mean (int) of shop.means, of which 'a' computes mean as float",
        "'b' reads most (int) of shop.means, of which 'a' computes no most",
    ]


def test_jobs_that_read_each_other_s_output_are_refused_by_name() -> None:
    """As one that reads its own: no order computes them. A chain is none."""
    second = reading(JOB, "mean")
    third = reading(second, "mean", name="third", output=replace(MEANS, name="shop.third"))
    assert sentences(a=JOB, b=second, c=third) == []
    circle = reading(third, "mean", name="rolling", output=MEANS)
    (said,) = sentences(a=circle, b=second, c=third)
    assert said.startswith("The jobs 'a', 'c' and 'b' read each other's output")


def test_conflicts_stop_those_that_are_in_them_and_every_collection(
    tmp_path: Path, lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of another job goes on; what asks for all jobs is refused with both names."""
    (tmp_path / "twin.py").write_text(
        "from dataclasses import replace\nfrom tests.rolling_job import JOB\n"
        "JOB = replace(JOB, name='twin')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RAY_BACKFILL_JOBS", f"{ROLLING},twin:JOB")
    both = f"The jobs '{ROLLING}' and 'twin:JOB' compute one table, shop.means"
    for among in (catalogue, lambda: check_beside_others(JOB)):
        with pytest.raises(UsageError, match=both):
            among()
    check_beside_others(load_job("player_context"))
    monkeypatch.setenv("RAY_BACKFILL_JOBS", "twin:JOB")
    done = call("plan", ROLLING, "-w", lake.uri, path=tmp_path)
    assert done.returncode == 2
    assert "The jobs 'rolling of tests.rolling_job' and 'twin:JOB' compute one" in done.stderr
