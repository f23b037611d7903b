"""A run computes what is due, publishes it whole, and leaves nothing to the next one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.engine.lease import HeldLease
from ray_backfill.errors import (
    DataError,
    LeaseHeldError,
    LeaseLostError,
    RefusedError,
    WarehouseError,
)
from ray_backfill.job import DateState, Input
from ray_backfill.plan import Allow, Selection
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.record.progress import fold
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.conftest import DAYS, sales
from tests.engine import (
    INLINE,
    break_file,
    content,
    newer_code,
    on_ray,
    output,
    planned,
    ran,
    visible_files,
)
from tests.rolling_job import MEANS, SALES


def expected(rows: list[tuple[date, str, int | None]]) -> dict[tuple[date, str], float | None]:
    """The three-day means, row by row."""
    amounts: dict[tuple[date, str], int | None] = {(day, shop): n for day, shop, n in rows}
    means: dict[tuple[date, str], float | None] = {}
    for day, shop in amounts:
        window = [amounts.get((day - timedelta(n), shop)) for n in range(3)]
        known = [n for n in window if n is not None]
        means[(day, shop)] = sum(known) / len(known) if known else None
    return means


def as_dict(frame: pl.DataFrame) -> dict[tuple[date, str], float | None]:
    return {(day, shop): mean for day, shop, mean in frame.iter_rows()}


def test_a_run_publishes_every_due_date_with_the_right_values(lake: Warehouse) -> None:
    """All values equal a computation by hand, and each row carries its stamp."""
    report = ran(lake)
    assert (report.exit_code, len(report.published), report.rows) == (0, len(DAYS), len(DAYS) * 5)
    assert as_dict(content(lake)) == expected(sales().rows())
    rows = output(lake)
    assert rows["run_id"].unique().to_list() == [report.run_id]
    assert rows["input_fingerprint"].str.contains(r"^sales=[0-9a-f]{16}$").all()


def test_a_second_run_has_nothing_to_do(lake: Warehouse) -> None:
    """What is published is complete: nothing is computed, nothing is written."""
    first = ran(lake)
    second = ran(lake)
    assert (second.exit_code, second.planned, second.verdict) == (0, 0, "nothing to do")
    assert output(lake)["run_id"].unique().to_list() == [first.run_id]


def test_repeated_rows_change_nothing(lake: Warehouse) -> None:
    """A re-ingest of identical rows makes no date stale."""
    ran(lake)
    lake.append(SALES, sales().sample(fraction=1.0, shuffle=True, seed=3).to_arrow())
    assert planned(lake).selected == ()


def test_late_rows_touch_the_dates_whose_window_holds_them(lake: Warehouse) -> None:
    """One late row makes D, D + 1 and D + 2 stale, each naming the view."""
    ran(lake)
    late = DAYS[20]
    row = pl.DataFrame([(late, "late", 1000)], schema=dict(SALES.schema()), orient="row")
    lake.append(SALES, row.to_arrow())
    found = planned(lake).selected
    touched = [late + timedelta(n) for n in range(3) if late + timedelta(n) in DAYS]
    assert [(d.day, d.state, d.reason) for d in found] == [
        (day, DateState.STALE, "changed: sales") for day in touched
    ]
    ran(lake)
    assert as_dict(content(lake)) == expected([*sales().rows(), *row.rows()])


def test_a_lost_cache_changes_no_decision(lake: Warehouse) -> None:
    """Without the cache, or with a broken one, the plan is the same."""
    ran(lake)
    before = planned(lake).decisions
    for key in lake.list_objects("cache/"):
        lake.put_object(key, b"not a cache")
    assert planned(lake).decisions == before


def test_rows_of_a_day_that_is_not_due_any_more_are_removed(lake: Warehouse) -> None:
    """A date that lost all its input loses its output, and nothing else does."""
    ran(lake)
    gone = DAYS[5]
    house = open_warehouse(lake.uri)
    rest = sales().filter(pl.col("day") != gone)
    _rebuild(house, rest)
    report = ran(house, allow=Allow(removals=1, shrink=True))
    assert report.removed == [str(gone)]
    assert as_dict(content(house)) == expected(rest.rows())


def _rebuild(house: Warehouse, rows: pl.DataFrame) -> None:
    """Replace the sales table by another one of the same name."""
    import shutil

    shutil.rmtree(Path(house.uri.removeprefix("file://")) / "shop" / "sales")
    house.append(SALES, rows.to_arrow())


def test_options_are_stamped_and_remembered(lake: Warehouse) -> None:
    """A nightly run without options keeps those that the table was made with."""
    ran(lake, ["quarantine_on=2030-01-01"])
    assert planned(lake).selected == ()
    changed = planned(lake, ["quarantine_on="])
    assert len(changed.selected) == len(DAYS)
    assert "options" in changed.selected[0].reason


def test_only_selected_dates_are_computed(lake: Warehouse) -> None:
    """A range and a list of dates bound what a run touches."""
    ran(lake, selection=Selection(start=DAYS[3], end=DAYS[10]))
    assert set(content(lake)["day"]) == set(DAYS[3:10])
    ran(lake, selection=Selection(dates=(DAYS[20], DAYS[30])))
    assert set(content(lake)["day"]) == {*DAYS[3:10], DAYS[20], DAYS[30]}


def test_an_absent_required_input_is_named(tmp_path: Path) -> None:
    """Nothing to plan from: refused, with the table and the command that loads it."""
    house = open_warehouse(str(tmp_path / "empty"))
    with pytest.raises(RefusedError, match=r"shop\.sales.*ray-backfill load shop\.sales"):
        planned(house)


def test_no_more_is_read_than_the_windows_say(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of two far dates reads the three days of each window's hull, and plans by digests."""
    from ray_backfill.job.calendar import DateRange
    from ray_backfill.survey import reading

    planned(lake)
    asked: list[DateRange] = []
    real = reading.read_frame

    def watched(house: Warehouse, source: Input, columns: Sequence[str], dates: DateRange) -> Any:
        asked.append(dates)
        return real(house, source, columns, dates)

    monkeypatch.setattr(reading, "read_frame", watched)
    ran(lake, selection=Selection(dates=(DAYS[20], DAYS[22])))
    assert asked == [DateRange(DAYS[20] - timedelta(2), DAYS[22] + timedelta(1))]


# -- failures ----------------------------------------------------------------------------------
def test_one_poisoned_date_stands_alone(lake: Warehouse) -> None:
    """All other dates are published; the bad one is named with its error, exit 1."""
    poisoned = DAYS[17]
    report = ran(lake, [f"raise_on={poisoned}"])
    assert report.exit_code == 1
    assert report.failed == {str(poisoned): "ValueError: this date is poisoned"}
    assert set(content(lake)["day"]) == set(DAYS) - {poisoned}
    assert [d.day for d in planned(lake).selected] == [poisoned]


def test_an_error_of_every_date_does_not_become_a_storm(lake: Warehouse) -> None:
    """Each date fails alone, and after several did in one way the rest is not halved any more."""
    report = ran(lake, ["raise_on=all"])
    assert report.exit_code == 1
    assert len(report.failed) == len(DAYS)
    assert len(report.retries) < 30


def test_a_quarantined_date_is_tried_again_when_its_input_changes(lake: Warehouse) -> None:
    """Known-bad dates are skipped on the same inputs, run after run, and listed."""
    bad = DAYS[9]
    negative = pl.DataFrame([(bad, "x", -5)], schema=dict(SALES.schema()), orient="row")
    lake.append(SALES, negative.to_arrow())
    report = ran(lake)
    assert report.exit_code == 1
    assert report.quarantined == {str(bad): "1 means are negative"}
    for _ in range(2):
        again = ran(lake)
        assert (again.exit_code, again.planned, list(again.known_bad)) == (1, 0, [str(bad)])
    assert [d.day for d in planned(lake, selection=Selection(select=("failed",))).selected] == [bad]
    _rebuild(lake, sales())
    fixed = ran(lake)
    assert fixed.exit_code == 0
    assert set(fixed.published) == {str(bad + timedelta(n)) for n in range(3)}


def test_a_run_of_other_dates_forgets_no_failure(lake: Warehouse) -> None:
    """Failed and quarantined dates outside of a run's range keep their last attempt."""
    bad, poisoned = DAYS[9], DAYS[17]
    negative = pl.DataFrame([(bad, "x", -5)], schema=dict(SALES.schema()), orient="row")
    lake.append(SALES, negative.to_arrow())
    ran(lake, [f"raise_on={poisoned}"], Selection(start=DAYS[8], end=DAYS[20]))
    for dates in ((DAYS[30],), (DAYS[31],)):
        ran(lake, [f"raise_on={poisoned}"], Selection(dates=dates))
    plan = planned(lake, [f"raise_on={poisoned}"])
    attempts = {d.day: d.attempt.outcome for d in plan.decisions if d.attempt}
    assert attempts == {bad: "quarantined", poisoned: "failed"}
    assert {d.day for d in plan.decisions if d.known_bad} == {bad}


def test_options_of_a_single_date_do_not_become_those_of_the_table(lake: Warehouse) -> None:
    """The remembered options are those of most dates."""
    ran(lake)
    ran(lake, ["quarantine_on=2030-01-01"], Selection(dates=(DAYS[3],), select=("all",)))
    assert [d.day for d in planned(lake).selected] == [DAYS[3]]


def test_an_output_file_that_cannot_be_read_is_replaced(lake: Warehouse) -> None:
    """A broken file of the output makes its date stale, and a run puts it right."""
    ran(lake)
    truth = content(lake)
    break_file(lake, "shop.means", DAYS[11])
    for key in lake.list_objects("cache/"):
        lake.put_object(key, b"")
    (found,) = planned(lake).selected
    assert (found.day, found.state) == (DAYS[11], DateState.STALE)
    assert "cannot be read" in found.reason
    assert ran(lake).exit_code == 0
    assert content(lake).equals(truth)


def test_an_input_file_that_cannot_be_read_stops_its_dates_alone(lake: Warehouse) -> None:
    """The dates whose window holds the broken file fail by name, all others are published."""
    ran(lake)
    broken = DAYS[20]
    break_file(lake, "shop.sales", broken)
    touched = {broken + timedelta(n) for n in range(3)} & set(DAYS)
    report = ran(lake, selection=Selection(select=("all",)))
    assert (report.exit_code, set(report.failed)) == (1, {str(day) for day in touched})
    assert len(report.published) == len(DAYS) - len(touched)
    assert str(broken) in report.failed[str(broken)]


@pytest.mark.parametrize("table", ["shop.means", "shop.sales"])
def test_a_file_that_is_put_back_is_read_again(lake: Warehouse, table: str) -> None:
    """What cannot be read now is not remembered: nothing else would tell that it is there again."""
    ran(lake)
    (name,) = (uri for uri in visible_files(lake, table) if f"={DAYS[20]}/" in uri)
    path = Path(name.removeprefix("file://"))
    content = path.read_bytes()
    break_file(lake, table, DAYS[20])
    for _ in range(2):
        assert DAYS[20] in [d.day for d in planned(lake).selected]
    path.write_bytes(content)
    assert planned(lake).selected == ()


def test_beside_a_file_that_cannot_be_read_digests_are_kept(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the broken date is looked at again by each plan."""
    from ray_backfill.survey import digests

    ran(lake)
    break_file(lake, "shop.sales", DAYS[20])
    before = planned(lake).decisions
    asked: list[Any] = []
    real = digests.read_frame

    def watched(house: Warehouse, source: Input, columns: Sequence[str], dates: Any) -> Any:
        asked.append(dates)
        return real(house, source, columns, dates)

    monkeypatch.setattr(digests, "read_frame", watched)
    assert planned(lake).decisions == before
    assert asked == [[DAYS[20]], [DAYS[20]]]


def test_digests_of_other_code_are_not_trusted(tmp_path: Path) -> None:
    """An edit of any module beside the value modules makes the cache start anew."""
    package = tmp_path / "somejobs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "values.py").write_text("X = 1\n")
    (package / "views.py").write_text("Y = 1\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); m = ['somejobs.values']; "
    code += "from ray_backfill.staleness.code_version import code_version, source_version; "
    code += "print(code_version(m), source_version(m))"

    def versions() -> list[str]:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return done.stdout.decode().split()

    before = versions()
    (package / "views.py").write_text("Y = 2\n")
    after = versions()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_broken_report_or_journal_stops_nothing(lake: Warehouse) -> None:
    """What only informs may be cut short: plans and runs go on."""
    ran(lake, selection=Selection(dates=(DAYS[0],)))
    lake.put_object(f"reports/{MEANS.name}/99999999T000000000-ffffff.json", b'{"job": "roll')
    lake.put_object(f"runs/{MEANS.name}/99999999T000000000-ffffff.ndjson", b'[1,2]\n{"event":"ru')
    from ray_backfill.record.report import past_rate

    assert past_rate(lake, MEANS.name) is not None
    assert ran(lake).exit_code == 0


def test_verify_stamps_equal_dates_anew(lake: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stale by code alone, and a sample computes to what is there: re-stamped, not computed."""
    first = ran(lake)
    before = content(lake)
    newer_code(monkeypatch)
    assert len(planned(lake).selected) == len(DAYS)
    report = ran(lake, how=replace(INLINE, verify=3))
    assert len(report.restamped) == len(DAYS)
    rows = output(lake)
    assert rows["code_version"].unique().to_list() == ["newer"]
    assert rows["run_id"].unique().to_list() == [report.run_id] != [first.run_id]
    assert content(lake).equals(before)
    assert planned(lake).selected == ()


def test_verify_computes_when_the_sample_differs(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New code that gives other values is run on every date."""
    ran(lake)
    newer_code(monkeypatch)
    from tests import rolling_job

    real = rolling_job._one

    def doubled(frame: pl.DataFrame, day: date) -> pl.DataFrame:
        return real(frame, day).with_columns(pl.col("mean") * 2)

    monkeypatch.setattr(rolling_job, "_one", doubled)
    report = ran(lake, how=replace(INLINE, verify=3))
    assert report.restamped == []
    values = as_dict(content(lake))
    truth = expected(sales().rows())
    assert values == {key: mean and mean * 2 for key, mean in truth.items()}


def test_verify_of_code_that_raises_names_the_date(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the sample means that all are computed, and the bad date is found as ever."""
    ran(lake)
    newer_code(monkeypatch)
    from tests import rolling_job

    real = rolling_job._one

    def raising(frame: pl.DataFrame, day: date) -> pl.DataFrame:
        if day == DAYS[0]:
            raise ValueError("new code")
        return real(frame, day)

    monkeypatch.setattr(rolling_job, "_one", raising)
    report = ran(lake, how=replace(INLINE, verify=2))
    assert report.failed == {str(DAYS[0]): "ValueError: new code"}
    assert len(report.published) == len(DAYS) - 1


# -- Ray ---------------------------------------------------------------------------------------
def test_ray_and_inline_give_equal_content(
    lake: Warehouse, tmp_path: Path, ray_address: str
) -> None:
    """1 worker, 4 workers, this process, batches of 1 and 28: the same rows."""
    ran(lake)
    truth = content(lake)
    for workers, batch in ((1, 28), (4, 1)):
        house = open_warehouse(str(tmp_path / f"lake{workers}"))
        house.append(SALES, sales().sample(fraction=1.0, shuffle=True, seed=workers).to_arrow())
        report = ran(house, how=on_ray(ray_address, workers, batch=batch))
        assert report.exit_code == 0
        assert content(house).equals(truth)


def test_a_worker_that_dies_is_replaced(lake: Warehouse, tmp_path: Path, ray_address: str) -> None:
    """SIGKILL in the middle of a span: tried again, everything published."""
    marker = tmp_path / "died"
    report = ran(lake, [f"die_on={DAYS[30]}", f"die_once={marker}"], how=on_ray(ray_address))
    assert marker.exists()
    assert (report.exit_code, len(report.published)) == (0, len(DAYS))
    assert len(report.retries) == 1
    assert as_dict(content(lake)) == expected(sales().rows())


def test_a_date_that_kills_its_worker_stands_alone(lake: Warehouse, ray_address: str) -> None:
    """A date that takes the process down is found by halving; the others are published."""
    deadly = DAYS[30]
    report = ran(lake, [f"die_on={deadly}"], how=on_ray(ray_address))
    assert (report.exit_code, list(report.failed)) == (1, [str(deadly)])
    assert set(content(lake)["day"]) == set(DAYS) - {deadly}


def test_bisection_on_ray_names_the_date(lake: Warehouse, ray_address: str) -> None:
    """The error of a remote task arrives as itself."""
    poisoned = DAYS[40]
    report = ran(lake, [f"raise_on={poisoned}"], how=on_ray(ray_address, 4))
    assert report.failed == {str(poisoned): "ValueError: this date is poisoned"}


# -- what is left behind -------------------------------------------------------------------------
def test_the_journal_folds_to_the_report(lake: Warehouse) -> None:
    """Progress from the journal, in any order and with repeats, equals the run's end."""
    report = ran(lake, [f"raise_on={DAYS[17]}"])
    (run_id,) = run_ids(lake)
    events = read_journal(lake, run_id)
    progress = fold([*events[::-1], *events])
    assert progress.published == report.published
    assert progress.problems.keys() == report.failed.keys()
    assert (progress.exit_code, progress.done) == (1, len(DAYS))


def test_every_commit_replaces_whole_dates(lake: Warehouse) -> None:
    """Each version of the table holds, for every date, all its rows or none."""
    ran(lake, how=replace(INLINE, batch=7))
    versions = lake.history("shop.means")
    assert len(versions) > len(DAYS) // 7
    from deltalake import DeltaTable

    root = Path(lake.uri.removeprefix("file://")) / "shop" / "means"
    for entry in versions:
        table = DeltaTable(str(root), version=entry.version)
        counts: dict[str, int] = defaultdict(int)
        for action in table.to_pyarrow_table(columns=["day"]).to_pylist():
            counts[str(action["day"])] += 1
        assert set(counts.values()) <= {5}


def test_data_errors_survive_the_way_between_processes() -> None:
    """An expected error keeps its message and hint when it is pickled."""
    import pickle

    error = pickle.loads(pickle.dumps(DataError("what", "do this")))  # noqa: S301
    assert (error.message, error.hint) == ("what", "do this")


def test_a_publish_that_never_works_is_the_reason_of_each_date(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warehouse's own words, one retry for each failure, and of infrastructure."""

    def publish(*args: Any, **kwargs: Any) -> Any:
        raise WarehouseError("403: no permission to write shop.means.")

    monkeypatch.setattr(type(lake), "publish", publish)
    report = ran(lake, selection=Selection(dates=DAYS[:1]))
    assert (report.exit_code, report.retry_counts) == (1, {"infrastructure": 2})
    assert report.failed == {str(DAYS[0]): "403: no permission to write shop.means."}


def test_a_journal_that_cannot_be_written_does_not_end_the_run(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It observes: the dates are published, the report is there."""
    real = type(lake).put_object
    written = 0

    def put(self: Any, key: str, data: bytes) -> None:
        nonlocal written
        written += key.startswith("runs/")
        if key.startswith("runs/") and written > 1:
            raise WarehouseError("the disk is full")
        real(self, key, data)

    monkeypatch.setattr(type(lake), "put_object", put)
    report = ran(lake)
    assert (report.exit_code, len(report.published)) == (0, len(DAYS))
    assert written > 1


def test_a_run_that_an_error_ends_leaves_its_report(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it published until then, what it was ended by, and with which exit code."""
    real, calls = type(lake).publish, iter(range(9))

    def publish(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls) > 0:
            raise LeaseLostError("Another run took shop.means over.")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(lake), "publish", publish)
    with pytest.raises(LeaseLostError):
        ran(lake, how=replace(INLINE, batch=7))
    (kept,) = lake.list_objects("reports/")
    report = json.loads(lake.get_object(kept) or b"")
    assert (report["exit_code"], len(report["published"])) == (3, 7)
    assert "took shop.means over" in report["verdict"]
    assert len(report["not_started"]) == len(DAYS) - 7


def test_waiting_for_a_lease_ends_with_the_run_that_holds_it_or_at_a_signal(
    lake: Warehouse,
) -> None:
    """A dead run's lease runs out while the next waits; Ctrl-C ends the waiting as a cancel."""
    lake.acquire_lease(MEANS, "20250101T000000000-000000", seconds=2, steal=False)
    with pytest.raises(LeaseHeldError):
        HeldLease(lake, MEANS, lambda: "r2", seconds=9, steal=False)
    with pytest.raises(KeyboardInterrupt):
        HeldLease(lake, MEANS, lambda: "r2", seconds=9, steal=False, wait=60, stopped=lambda: True)
    with HeldLease(lake, MEANS, lambda: "r2", seconds=9, steal=False, wait=60) as held:
        assert held.lease.run_id == "r2"
