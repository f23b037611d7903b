"""A date that failed its gates is tried again when what decides that was corrected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.catalog import load_job
from ray_backfill.job import Day
from ray_backfill.job.table import Column, Kind
from ray_backfill.staleness import rules
from ray_backfill.staleness.rules import rule_modules, rules_version
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, ROOT
from tests.packages import Package
from tests.rolling_job import JOB


def version(package: Package, folder: Path) -> str:
    """The version of the package's rules, as a new process finds it."""
    code = (
        "from ray_backfill.catalog import load_job; "
        "from ray_backfill.staleness.rules import rules_version; "
        f"print(rules_version(load_job('{package.job}')))"
    )
    return child(folder, "-c", code)


def child(folder: Path, *arguments: str, code: int = 0) -> str:
    """What a new process prints that can import what is in a folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "old", "new", "counts"),
    [
        ("gates", "too high", "far too high", True),
        ("limits", "1e9", "1e8", True),
        ("limits", "1e9", "1e9  # a comment", False),
        ("values", "FACTOR = 1.0", "FACTOR = 2.0", False),
    ],
)
def test_gates_and_what_they_import_count_and_value_modules_do_not(
    tmp_path: Path, module: str, old: str, new: str, counts: bool
) -> None:
    """Value modules count by the code version; comments never."""
    package = Package(tmp_path)
    before = version(package, tmp_path)
    package.edit(module, old, new)
    assert (version(package, tmp_path) != before) is counts


def test_what_compute_imports_counts_where_it_is_no_value_module(tmp_path: Path) -> None:
    """It may be what decides which dates are quarantined."""
    package = Package(tmp_path)
    package.write("conflicts", "ODD = 1\n")
    package.edit("values", "import polars as pl", "import polars as pl\nfrom . import conflicts")
    before = version(package, tmp_path)
    package.edit("conflicts", "1", "2")
    assert version(package, tmp_path) != before


def test_what_is_imported_on_the_way_counts_and_is_not_imported_for_that(tmp_path: Path) -> None:
    """A module that must not be imported here is only read."""
    package = Package(tmp_path)
    package.write("rare", "raise SystemExit(0)\n")
    package.edit("gates", "    high =", "    if False:\n        from . import rare\n    high =")
    before = version(package, tmp_path)
    package.edit("rare", "0", "1")
    assert before != version(package, tmp_path) != ""


def test_a_lone_file_counts_with_the_lone_files_that_it_imports(tmp_path: Path) -> None:
    """A job in a folder of scripts, with its checks in another one."""
    names = ["lone_job", "lone_checks"]
    (tmp_path / "lone_checks.py").write_text("def gate(rows, day):\n    return None\n")
    (tmp_path / "lone_job.py").write_text(
        "from dataclasses import replace\nimport lone_checks\n"
        "from tests.rolling_job import JOB as ROLLING\n"
        "def gate(rows, day):\n    return lone_checks.gate(rows, day)\n"
        "JOB = replace(ROLLING, modules=('lone_job',), gates=(gate,))\n"
    )
    code = (
        "from ray_backfill.catalog import load_job; "
        "from ray_backfill.staleness.rules import rule_modules; "
        "print(*rule_modules(load_job('lone_job:JOB')))"
    )
    assert set(names) <= set(child(tmp_path, "-c", code).split())


def test_the_main_job_counts_what_finds_its_conflicts() -> None:
    """Its modules, its gates, and what quarantines dates while it computes."""
    found = rule_modules(load_job("player_context"))
    package = "ray_backfill_nba.player_context"
    assert {f"{package}.gates", f"{package}.conflicts", "ray_backfill_nba.clean"} <= set(found)
    assert {"ray_backfill.job.gates", "ray_backfill.engine.answer"} <= set(found)
    assert not any(name.startswith("polars") for name in found)


def limit(highest: float) -> Callable[[pl.DataFrame, Day], str | None]:
    """A gate that is made with a parameter."""

    def gate(rows: pl.DataFrame, day: Day) -> str | None:
        return "too high" if rows["mean"].max() > highest else None  # type: ignore[operator]

    return gate


def bound(rows: pl.DataFrame, day: Day, highest: float = 3.0) -> str | None:
    """A gate with a parameter that is bound or has a default."""
    return None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((limit(1.0),), (limit(2.0),)),
        ((partial(bound, highest=1.0),), (partial(bound, highest=2.0),)),
        ((bound,), ()),
        ((bound, limit(1.0)), (limit(1.0), bound)),
    ],
)
def test_parameters_and_the_list_of_gates_count(one: Any, other: Any) -> None:
    """The code of both is the same."""
    versions = [rules_version(replace(JOB, gates=gates)) for gates in (one, other)]
    assert versions[0] != versions[1]
    assert rules_version(replace(JOB, gates=one)) == versions[0]


def test_the_contract_of_the_output_counts_and_its_descriptions_do_not() -> None:
    """What may be NULL and what is unique decides what is published."""
    table, before = JOB.output, rules_version(JOB)
    told = replace(table.columns[1], description="Said better.")
    strict = replace(table.columns[2], nullable=False)
    changed = [
        replace(table, key=("day",)),
        replace(table, columns=(*table.columns[:2], strict)),
        replace(table, columns=(*table.columns, Column("more", Kind.INT))),
    ]
    assert all(rules_version(replace(JOB, output=one)) != before for one in changed)
    same = replace(table, columns=(table.columns[0], told, table.columns[2]))
    assert rules_version(replace(JOB, output=same)) == before


def test_the_gates_of_the_engine_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A date that they quarantined wrongly is tried again after they were corrected."""
    before, real = rules_version(JOB), rules._syntax

    def edited(path: Path) -> str:
        return "edited" if path.name == "gates.py" else real(path)

    monkeypatch.setattr(rules, "_syntax", edited)
    assert rules_version(JOB) != before


def test_a_corrected_gate_frees_what_it_blocked(lake: Warehouse, tmp_path: Path) -> None:
    """Quarantined, known as bad while nothing changes, and published once the gate is right."""
    package = Package(tmp_path / "code")
    package.edit("limits", "1e9", "50")
    run = ["-m", "ray_backfill", "run", package.job, "-w", lake.uri, "--no-parallel", "--quiet"]
    folder, table = tmp_path / "code", load_job("tests.rolling_job:JOB").table
    child(folder, *run, code=1)
    published = len(lake.partitions(table))
    assert 0 < published < len(DAYS)
    assert "0 failed, 0 quarantined, 0 of 0" in child(folder, *run, "--json", code=1)
    package.edit("limits", "50", "1e9")
    child(folder, *run)
    assert len(lake.partitions(table)) == len(DAYS)
