"""A run plans under its lease, and ends as it ended: what comes after decides nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from obstore.exceptions import GenericError, PermissionDeniedError

from ray_backfill.cli.signals import signals
from ray_backfill.engine.driver import Switch
from ray_backfill.errors import LeaseHeldError, RefusedError, WarehouseError
from ray_backfill.plan import Allow
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.record.report import Report
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import lease as _lease
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.conftest import DAYS
from tests.engine import INLINE, content, newer_code, output, ran
from tests.rolling_job import MEANS

WAITING = replace(INLINE, lease_wait=60)


def while_waiting(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """The next lease is held by another run, in which something happens."""
    real = Lake.acquire_lease

    def acquire(self: Lake, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(Lake, "acquire_lease", real)
        happens()
        raise LeaseHeldError("shop.means is held by another run.")

    monkeypatch.setattr(Lake, "acquire_lease", acquire)


# -- the lease comes first -----------------------------------------------------------------------
def test_what_another_run_published_meanwhile_is_not_computed_again(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The survey is made once the table is this run's: it sees all that came before."""
    while_waiting(monkeypatch, lambda: ran(lake))
    report = ran(lake, how=WAITING)
    assert (report.planned, report.verdict) == (0, "nothing to do")
    assert output(lake)["run_id"].unique().to_list() == [run_ids(lake)[0]]
    assert report.run_id == run_ids(lake)[1]  # ids are in the order in which runs held the table


def test_verify_stamps_nothing_that_another_run_published_meanwhile(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of the other's code keep the stamp of the other's code."""
    ran(lake)
    newer_code(monkeypatch)
    while_waiting(monkeypatch, lambda: ran(lake, ["quarantine_on=2030-01-01"]))
    report = ran(lake, how=replace(WAITING, verify=3))
    assert (report.planned, report.restamped) == (0, [])
    assert output(lake)["run_id"].n_unique() == 1
    assert '"quarantine_on":"2030-01-01"' in output(lake)["job_options"][0]


def test_the_lease_is_held_while_the_plan_is_made(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And given back where the plan is refused."""
    held = []

    def refuse(*args: Any, **kwargs: Any) -> None:
        held.append(lake.lease_holder(MEANS.name))
        raise RefusedError("Too many dates.")

    monkeypatch.setattr("tests.engine.make_plan", refuse)
    with pytest.raises(RefusedError, match="Too many"):
        ran(lake)
    assert held[0] is not None
    assert lake.lease_holder(MEANS.name) is None


def test_a_place_without_anything_stays_without_anything(tmp_path: Path) -> None:
    """A wrong path is refused before a lease is written there."""
    with pytest.raises(RefusedError, match=r"ray-backfill load shop\.sales"):
        ran(open_warehouse(str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_a_signal_ends_the_planning_at_once_and_the_work_gently() -> None:
    """Each signal by what goes on: the second one always ends it."""
    switch = Switch()
    with signals(switch) as phase:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert not switch.off
        with phase.working():
            signal.raise_signal(signal.SIGINT)
            assert switch.off
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


# -- places that can only be read ----------------------------------------------------------------
def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(*args: Any, **kwargs: Any) -> bool:
        raise PermissionDeniedError("Read-only file system (os error 30)")

    monkeypatch.setattr(_objects, "put", put)


def test_nothing_to_do_on_a_lake_that_can_only_be_read_is_no_failure(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, with a word on the lease."""
    ran(lake)
    make_read_only(monkeypatch)
    report = ran(lake)
    assert (report.exit_code, report.verdict) == (0, "nothing to do")
    (warning,) = report.warnings
    assert "The lease was not taken, as nothing can be written" in warning
    assert "Read-only file system" in warning


def test_something_to_do_on_a_lake_that_can_only_be_read_is_an_error(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease that could not be taken is the reason."""
    make_read_only(monkeypatch)
    with pytest.raises(WarehouseError, match=r"Taking the lease on shop\.means failed.*Read-only"):
        ran(lake)


# -- after the end -------------------------------------------------------------------------------
def _report_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Lake.put_object

    def put(self: Lake, key: str, data: bytes) -> None:
        if key.startswith("reports/"):
            raise WarehouseError("503 Slow Down")
        real(self, key, data)

    monkeypatch.setattr(Lake, "put_object", put)


def _fails(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def arm(monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise WarehouseError("503 Slow Down")

        monkeypatch.setattr(Lake, name, fail)

    return arm


def _sweep_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise WarehouseError("503 Slow Down")

    monkeypatch.setattr("ray_backfill.engine.tidying.sweep_ended", fail)


def _requests_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise GenericError("503 Slow Down")  # not even one that a person could read

    monkeypatch.setattr("ray_backfill.engine.tidying.forget_ended", fail)


def _ended_as_it_ended(lake: Warehouse, report: Report) -> None:
    assert (report.exit_code, len(report.published)) == (0, len(DAYS))
    assert content(lake).height == len(DAYS) * 5
    (run_id,) = run_ids(lake)
    last = read_journal(lake, run_id)[-1]
    assert (last["event"], last["exit_code"], last["verdict"]) == ("end", 0, report.verdict)


@pytest.mark.parametrize(
    ("arm", "warning"),
    [
        (_report_fails, "The report was not kept"),
        (_sweep_fails, "What earlier runs left behind was not swept"),
        (_requests_fail, "Old requests to cancel were not taken away"),
        (_fails("release_lease"), "The lease was not given back"),
    ],
)
def test_what_cannot_be_tidied_up_is_a_warning(
    lake: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    arm: Callable[[pytest.MonkeyPatch], None],
    warning: str,
) -> None:
    """Everything is published: exit 0, in the journal too."""
    arm(monkeypatch)
    report = ran(lake)
    _ended_as_it_ended(lake, report)
    (told,) = report.warnings
    assert warning in told
    assert "503 Slow Down" in told


def test_a_warning_is_in_the_report_that_is_kept(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written before, and is written again."""
    _sweep_fails(monkeypatch)
    report = ran(lake)
    kept = json.loads(lake.get_object(f"reports/{MEANS.name}/{report.run_id}.json") or b"")
    assert kept["warnings"] == report.warnings != []


def test_ctrl_c_while_tidying_up_changes_nothing_of_the_end(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to tidy up is left to the next run."""

    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ray_backfill.engine.tidying.sweep_ended", interrupt)
    report = ran(lake)
    _ended_as_it_ended(lake, report)
    assert report.warnings == ["Tidying up was cut short: the next run does it."]
    assert lake.lease_holder(MEANS.name) is None


def test_an_executor_that_cannot_be_closed_is_a_warning(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work was done before."""

    def close(self: Any) -> None:
        raise OSError("the connection is gone")

    monkeypatch.setattr("ray_backfill.engine.executor.InlineExecutor.close", close)
    report = ran(lake)
    _ended_as_it_ended(lake, report)
    assert report.warnings == ["Ray was not left in good order: OSError: the connection is gone"]


def test_one_error_of_the_store_at_the_lease_check_is_tried_again(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is infrastructure, and passes: everything is published, exit 0."""
    real, fails = _lease.check, iter([False, True])

    def check(uri: str, lease: Any) -> Any:
        if next(fails, False):
            raise GenericError("503 Slow Down")
        return real(uri, lease)

    monkeypatch.setattr(_lease, "check", check)
    report = ran(lake, how=replace(INLINE, batch=20))
    _ended_as_it_ended(lake, report)
    assert report.retry_counts == {"infrastructure": 1}
    assert report.warnings == []


def test_one_error_of_the_store_while_dates_are_emptied_is_tried_again(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removing is a commit like any other."""
    ran(lake)
    DeltaTable(f"{lake.uri}/shop/sales").delete(f"day = '{DAYS[-1]}'")
    real, fails = _lease.check, iter([True])

    def check(uri: str, lease: Any) -> Any:
        if next(fails, False):
            raise GenericError("503 Slow Down")
        return real(uri, lease)

    monkeypatch.setattr(_lease, "check", check)
    report = ran(lake, allow=Allow(removals=1))
    assert (report.exit_code, report.removed) == (0, [str(DAYS[-1])])
    assert DAYS[-1] not in set(content(lake)["day"])
