"""A row's stamp is that of the code which computed it; workers with other code compute nothing."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_backfill.catalog import load_job
from ray_backfill.engine.driver import Switch
from ray_backfill.engine.runs import RunOptions, execute
from ray_backfill.engine.task import Emit, Handover, Task
from ray_backfill.engine.worker import run_span
from ray_backfill.errors import CodeDiffersError
from ray_backfill.job import Job
from ray_backfill.plan import Plan, Selection
from ray_backfill.staleness import loaded_code
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS
from tests.engine import INLINE, _unwatched, content, newer_code, on_ray, output, planned, ran
from tests.packages import Package

FEW = Selection(dates=DAYS[:4])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package that is imported nowhere yet, and forgotten afterwards."""
    made = Package(tmp_path / "code")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    # Two edits within a second, of one length, would look alike to Python's own cache.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield made
    for name in [n for n in sys.modules if n.partition(".")[0] == made.name]:
        del sys.modules[name]


def plan_of(house: Warehouse, package: Package) -> tuple[Job, Plan]:
    return load_job(package.job), planned(house, selection=FEW, job=package.job)


def carried_out(house: Warehouse, job: Job, plan: Plan, how: RunOptions) -> Any:
    return execute(house, job, lambda: plan, how, Switch(), _unwatched)


# -- the version of what was imported ------------------------------------------------------------
def test_a_file_that_is_edited_after_its_import_changes_no_version(package: Package) -> None:
    """What computes is what was imported; another process has the new version."""
    job = load_job(package.job)
    before = loaded_code.code_of(job)
    package.edit("values", "1.0", "2.0")
    assert loaded_code.code_of(job) == before


def test_the_version_is_taken_as_the_job_is_defined(package: Package) -> None:
    """Not when it is first asked for, which may be long after."""
    job = importlib.import_module(package.name).JOB
    package.edit("values", "1.0", "2.0")
    first = loaded_code.code_of(job)
    package.edit("values", "2.0", "1.0")
    module = importlib.import_module(f"{package.name}.values")
    assert module.FACTOR == 1.0
    importlib.reload(module)
    assert loaded_code.code_of(job) == first


def test_a_module_that_is_loaded_again_is_looked_at_again(package: Package) -> None:
    """As notebooks do."""
    job = importlib.import_module(package.name).JOB
    before = loaded_code.code_of(job)
    package.edit("values", "1.0", "2.0")
    importlib.reload(importlib.import_module(f"{package.name}.values"))
    assert loaded_code.code_of(job) != before


def test_code_that_is_imported_late_and_was_edited_is_refused(package: Package) -> None:
    """Half of the code is from before and half from after: no version is that of the rows."""
    package.write("late", "X = 1\n")
    job = replace(
        importlib.import_module(package.name).JOB,
        modules=(f"{package.name}.values", f"{package.name}.late"),
    )
    before = loaded_code.code_of(job)
    importlib.import_module(f"{package.name}.late")
    assert loaded_code.code_of(job) == before
    del sys.modules[f"{package.name}.late"]
    package.write("later", "X = 1\n")
    other = replace(job, modules=(f"{package.name}.values", f"{package.name}.later"))
    kept = loaded_code.code_of(other)
    package.write("later", "X = 2\n")
    importlib.import_module(f"{package.name}.later")
    with pytest.raises(CodeDiffersError, match=rf"{kept}.*{package.name}\.later"):
        loaded_code.code_of(other)


# -- in this process -----------------------------------------------------------------------------
def test_a_run_here_stamps_what_it_imported_whatever_the_file_says_now(
    lake: Warehouse, package: Package
) -> None:
    """Edited between plan and run: values and stamps are both of the code in memory."""
    job, plan = plan_of(lake, package)
    package.edit("values", "FACTOR = 1.0", "FACTOR = 100.0")
    report = carried_out(lake, job, plan, replace(INLINE, job=package.job))
    assert report.exit_code == 0
    assert output(lake, job)["code_version"].unique().to_list() == [plan.code_version]
    assert content(lake, job)["mean"].max() < 200


def test_a_plan_of_other_code_is_not_carried_out_here(lake: Warehouse, package: Package) -> None:
    """The module was loaded again since: exit 3, both versions, nothing tried and nothing left."""
    job, plan = plan_of(lake, package)
    package.edit("values", "1.0", "2.0")
    importlib.reload(sys.modules[f"{package.name}.values"])
    refused(lake, job, plan, replace(INLINE, job=package.job), loaded_code.code_of(job))


def refused(house: Warehouse, job: Job, plan: Plan, how: RunOptions, other: str) -> None:
    """The run ends as it should: with both versions, and no date is blamed."""
    assert other != plan.code_version
    with pytest.raises(CodeDiffersError) as found:
        carried_out(house, job, plan, how)
    assert found.value.exit_code == 3
    assert plan.code_version in str(found.value)
    assert other in str(found.value)
    (key,) = house.list_objects("reports/")
    report = json.loads(house.get_object(key) or b"")
    assert (report["exit_code"], report["retries"], report["failed"]) == (3, [], {})
    assert report["not_started"] == [str(day) for day in DAYS[:4]]
    assert house.partitions(job.table) == []


def test_code_that_a_computation_imports_late_must_be_that_of_the_plan(
    lake: Warehouse, package: Package
) -> None:
    """A module that was edited before `compute` imported it: nothing of it is published."""
    package.write("late", "SHIFT = 0\n")
    package.edit("values", "    sold =", "    from . import late\n\n    sold =")
    package.edit("__init__", '.values",', f'.values", "{package.name}.late",')
    job, plan = plan_of(lake, package)
    package.edit("late", "0", "1")
    other = loaded_code.code_version(job.modules)
    refused(lake, job, plan, replace(INLINE, job=package.job), other)


def test_other_gates_are_refused_too(
    lake: Warehouse, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They decide what is published, though not what is computed."""
    job, plan = plan_of(lake, package)
    monkeypatch.setattr("ray_backfill.staleness.loaded_code.rules_of", lambda job: "others")
    with pytest.raises(CodeDiffersError, match=rf"other gates of .*others.*{plan.rules}"):
        carried_out(lake, job, plan, replace(INLINE, job=package.job))
    assert lake.partitions(job.table) == []


def test_what_is_stamped_anew_is_stamped_by_the_code_of_the_run(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with other code than the plan's stamps nothing anew either."""
    ran(lake, selection=FEW)
    before = output(lake)
    newer_code(monkeypatch, "second")
    plan = planned(lake, selection=FEW)
    calls = iter(["second", "third"])
    monkeypatch.setattr(
        "ray_backfill.staleness.loaded_code.code_of", lambda job: next(calls, "third")
    )
    with pytest.raises(CodeDiffersError, match=r"third.*second"):
        carried_out(lake, load_job(INLINE.job), plan, replace(INLINE, verify=1))
    assert output(lake).equals(before)


@pytest.mark.parametrize("version", ["older", ""])
def test_rows_of_a_worker_that_compares_nothing_are_not_published(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """What it hands over says which code it has; one that is too old for that says nothing."""

    def older(task: Task, emit: Emit) -> Iterator[Handover]:
        for handover in run_span(task, emit):
            yield replace(handover, code_version=version)

    monkeypatch.setattr("ray_backfill.engine.worker.run_span", older)
    with pytest.raises(CodeDiffersError, match=version or "not known"):
        ran(lake, selection=FEW)
    assert lake.partitions(load_job(INLINE.job).table) == []


# -- on Ray --------------------------------------------------------------------------------------
def test_workers_that_import_edited_code_end_the_run(
    lake: Warehouse, package: Package, ray_address: str
) -> None:
    """A module is edited after the plan: the workers, which import it now, refuse."""
    job, plan = plan_of(lake, package)
    package.edit("values", "FACTOR = 1.0", "FACTOR = 2.0")
    other = loaded_code.code_version(job.modules)
    refused(lake, job, plan, on_ray(ray_address, job=package.job), other)


def test_workers_that_cannot_load_the_job_end_the_run(
    lake: Warehouse, package: Package, ray_address: str
) -> None:
    """No date is blamed for code that is not there."""
    job, plan = plan_of(lake, package)
    package.path("limits").unlink()
    with pytest.raises(CodeDiffersError, match=rf"cannot load the job of this run.*{package.name}"):
        carried_out(lake, job, plan, on_ray(ray_address, job=package.job))
    assert lake.partitions(job.table) == []
