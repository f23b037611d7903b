"""The command line through its real entry point: output, JSON, errors, exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.cli import plan
from ray_backfill.record.journal import run_ids
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, ROOT, environment
from tests.engine import ROLLING, content
from tests.rolling_job import SALES

SCRIPT = Path(sys.executable).parent / "ray-backfill"


def call(*args: str, warehouse: Warehouse | None = None) -> subprocess.CompletedProcess[str]:
    """Run `ray-backfill` in a process of its own."""
    where = ["-w", warehouse.uri] if warehouse else []
    return subprocess.run(
        [SCRIPT, *args, *where],
        env=environment() | {"RAY_BACKFILL_JOBS": ROLLING},
        capture_output=True,
        text=True,
        check=False,
    )


def call_json(*args: str, warehouse: Warehouse) -> Any:
    """The JSON document of a command that ends with 0."""
    done = call(*args, "--json", warehouse=warehouse)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The log lines of a run: all that it wrote to a stderr that is no terminal."""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_plan_shows_states_spans_and_what_a_run_would_do(lake: Warehouse) -> None:
    """States with counts and reasons; JSON has each date with its reason."""
    done = call("plan", ROLLING, warehouse=lake)
    assert done.returncode == 0
    assert "no output yet" in done.stdout
    assert f"To run: {len(DAYS)} dates, {len(DAYS) * 5} rows expected" in done.stderr
    found = call_json("plan", ROLLING, warehouse=lake)
    assert found["states"]["missing"] == found["selected"] == len(DAYS)
    assert [d["date"] for d in found["dates"]] == [str(day) for day in DAYS]
    assert {d["reason"] for d in found["dates"]} == {"no output yet"}
    assert not lake.exists("shop.means")


def test_dates_only_lists_each_date(lake: Warehouse) -> None:
    """One line a date, off-days too where they are asked for by name."""
    done = call("plan", ROLLING, "--dates-only", "--dates", "2025-01-04,2025-01-05", warehouse=lake)
    lines = [line for line in done.stdout.splitlines() if line.startswith(" 2025-")]
    assert [line.split()[:2] for line in lines][1] == ["2025-01-05", "2025"]
    assert "off-day" in lines[0]
    assert "missing" in lines[1]


def test_dates_only_keeps_to_the_states_that_are_asked_for(lake: Warehouse) -> None:
    """`--select` narrows the list; a state without dates lists none."""
    call("run", ROLLING, "--no-parallel", "--end-date", "2025-01-10", warehouse=lake)
    arguments = ("plan", ROLLING, "--dates-only", "--select")
    missing = call(*arguments, "missing", warehouse=lake).stdout
    assert missing.count("missing") == sum(str(day) > "2025-01-10" for day in DAYS)
    assert "complete" not in missing
    assert "2025-" not in call(*arguments, "blocked", warehouse=lake).stdout


def test_the_version_is_printed() -> None:
    """`--version` names the program and its version."""
    assert re.fullmatch(r"ray-backfill \d+\.\d+\.\d+\n", call("--version").stdout)


def test_run_reports_and_exits_with_what_happened(lake: Warehouse) -> None:
    """Exit 0 with a report as JSON on stdout, kept in the warehouse; then nothing to do."""
    report = call_json("run", ROLLING, "--no-parallel", warehouse=lake)
    assert (report["exit_code"], report["rows"]) == (0, len(DAYS) * 5)
    kept = lake.get_object(f"reports/{report['table']}/{report['run_id']}.json")
    assert kept is not None
    assert json.loads(kept) == report
    again = call("run", ROLLING, "--no-parallel", warehouse=lake)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr


def test_a_local_ray_run_through_the_command_line(lake: Warehouse) -> None:
    """`--workers 2` starts a Ray of its own, publishes all, and leaves no process behind."""
    report = call_json("run", ROLLING, "--workers", "2", "--quiet", warehouse=lake)
    assert (report["exit_code"], len(report["published"])) == (0, len(DAYS))
    assert content(lake).height == len(DAYS) * 5


def test_one_failed_date_exits_1_and_is_named(lake: Warehouse) -> None:
    """The date and its error are on the screen, the others are published."""
    done = call("run", ROLLING, "--no-parallel", "-o", f"raise_on={DAYS[8]}", warehouse=lake)
    assert done.returncode == 1
    assert f"failed {DAYS[8]}: ValueError: this date is poisoned" in done.stderr
    assert content(lake).height == (len(DAYS) - 1) * 5


def test_too_many_dates_are_refused_with_the_command_that_goes_on(lake: Warehouse) -> None:
    """Exit 3; the message holds a command, and that command works."""
    arguments = ("run", ROLLING, "--start-date", "2025-01-01", "--end-date", "2025-02-10")
    refused = call(*arguments, "--max-dates", "10", warehouse=lake)
    assert refused.returncode == 3
    (problem,) = said(refused)
    line = problem["hint"].partition("run: ")[2]
    assert f"-w {lake.uri}" in line
    goes_on = call(*line.split()[1:], "--no-parallel")
    assert goes_on.returncode == 0
    assert content(lake)["day"].max() == max(d for d in DAYS if str(d) <= "2025-02-10")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "nothing"), "There is no job 'nothing'"),
        (("plan", ROLLING, "--start-date", "2025-02-30"), "'2025-02-30' is not a date"),
        (
            ("plan", ROLLING, "--start-date", "2025-03-01", "--end-date", "2025-02-01"),
            "The range is empty",
        ),
        (("plan", ROLLING, "--select", "some"), "'some' cannot be selected"),
        (("plan", ROLLING, "--season", "1999"), "There is no season '1999'"),
        (("plan", ROLLING, "-o", "nothing=1"), "not an option of rolling"),
        (("run", ROLLING, "--no-parallel", "--workers", "2"), "--no-parallel works in this"),
        (("coverage", ROLLING, "--column", "nope"), "has no column 'nope'"),
        (("coverage", ROLLING, "--column", "mean", "--by", "week"), "--by takes month or date"),
        (("plan", ROLLING, "--dates", ","), "--dates is given and empty"),
        (("plan", ROLLING, "--select", ""), "--select is given and empty"),
        (("plan", ROLLING, "--start-date", ""), "'' is not a date"),
        (("plan", ROLLING, "--dates", "9999-12-31"), "can hold 9999-12-31."),
        (("watch", "no-such-run"), "There is no run 'no-such-run'"),
        (("describe", "nothing"), "There is no table 'nothing'"),
    ],
)
def test_bad_usage_exits_2_with_one_clear_message(
    lake: Warehouse, arguments: tuple[str, ...], message: str
) -> None:
    """What cannot be meant is refused in a sentence, without a traceback."""
    done = call(*arguments, warehouse=lake if arguments[0] != "describe" else None)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_range_to_the_ends_of_the_calendar_is_one_without_ends(lake: Warehouse) -> None:
    """`--end-date 9999-12-31` is how many say that there is none."""
    ends = ("--start-date", "0001-01-01", "--end-date", "9999-12-31")
    for words in (("plan", ROLLING), ("coverage", ROLLING, "--column", "mean")):
        done = call(*words, *ends, warehouse=lake)
        assert (done.returncode, done.stdout) == (0, call(*words, warehouse=lake).stdout)


def test_a_warehouse_of_an_unknown_kind_is_refused() -> None:
    """A URL whose scheme nobody knows names those that are known."""
    done = call("tables", "-w", "ftp://example/lake")
    assert done.returncode == 2
    assert "s3" in done.stderr


def test_an_empty_warehouse_is_refused_with_what_to_load(tmp_path: Path) -> None:
    """Nothing to plan from: exit 3 and the command that loads the input."""
    done = call("plan", ROLLING, "-w", str(tmp_path / "none"))
    assert done.returncode == 3
    assert "ray-backfill load shop.sales" in done.stderr


def test_an_address_where_no_ray_is_ends_at_once(lake: Warehouse) -> None:
    """Nothing listens there: refused in a sentence, and the lease is free again."""
    done = call("run", ROLLING, "--address", "127.0.0.1:9", warehouse=lake)
    assert done.returncode == 3
    assert "No Ray cluster answers at 127.0.0.1:9" in done.stderr
    assert call("run", ROLLING, "--no-parallel", warehouse=lake).returncode == 0


def test_a_file_is_no_warehouse(tmp_path: Path) -> None:
    """A path that is a file is a wrong command, not an empty lake."""
    path = tmp_path / "file"
    path.write_text("")
    done = call("tables", "-w", str(path))
    assert done.returncode == 2
    assert "is a file" in done.stderr


def test_watch_and_status_know_a_run_that_died(lake: Warehouse, tmp_path: Path) -> None:
    """A killed driver writes no end: its lease tells that it is gone."""
    gate = tmp_path / "gate"
    arguments = ["run", ROLLING, "-w", lake.uri, "--no-parallel", "-o", f"wait_for={gate}"]
    with subprocess.Popen([SCRIPT, *arguments], env=environment()) as running:
        waiting = threading.Event()
        while not Path(f"{gate}.here").exists():
            assert running.poll() is None
            waiting.wait(0.02)
        assert "running" in call_json("status", warehouse=lake)["runs"][0]["state"]
        running.kill()
    done = call("watch", warehouse=lake)
    assert done.returncode == 1
    assert "died before its end" in done.stderr
    assert "died" in call_json("status", warehouse=lake)["runs"][0]["state"]


def test_coverage_shows_what_a_count_hides(lake: Warehouse) -> None:
    """Distinct values, zeros and constants beside the percentage; holes with their reason."""
    call("run", ROLLING, "--no-parallel", "--end-date", "2025-01-31", warehouse=lake)
    found = call_json("coverage", ROLLING, "--column", "mean", "-c", "run_id", warehouse=lake)
    january, february, *_ = (c for c in found["columns"] if c["column"] == "mean")
    truth = content(lake)
    assert january["total"] == truth.height
    assert january["non_null"] == truth["mean"].count()
    assert january["distinct"] == truth["mean"].drop_nulls().n_unique()
    assert (february["total"], february["non_null"]) == (0, 0)
    assert february["expected"] == 5 * sum(day.month == 2 for day in DAYS)
    assert next(c["constant"] for c in found["columns"] if c["column"] == "run_id") is True
    months = {d["period"]: d for d in found["dates"]}
    assert months["2025-02"]["with_rows"] == 0
    assert "missing: no output yet" in months["2025-02"]["holes"][0]["why"]


def test_coverage_fails_under_a_percentage(lake: Warehouse) -> None:
    """`--fail-under` counts due dates without rows against the column."""
    call("run", ROLLING, "--no-parallel", "--end-date", "2025-01-31", warehouse=lake)
    low = call("coverage", ROLLING, "-c", "mean", "--fail-under", "90", warehouse=lake)
    assert low.returncode == 1
    assert "mean in 2025-02 has values in 0" in low.stderr
    arguments = ("coverage", ROLLING, "-c", "shop", "--end-date", "2025-01-31")
    assert call(*arguments, "--fail-under", "100", warehouse=lake).returncode == 0


def test_status_and_watch_show_past_runs(lake: Warehouse) -> None:
    """Runs with their verdicts; `watch` of an ended run ends at once."""
    call("run", ROLLING, "--no-parallel", "-o", f"raise_on={DAYS[8]}", warehouse=lake)
    (run_id,) = run_ids(lake)
    listed = call_json("status", warehouse=lake)["runs"]
    assert [(r["run"], r["problems"]) for r in listed] == [(run_id, 1)]
    assert listed[0]["state"].startswith("exit 1")
    watched = call("watch", warehouse=lake)
    assert watched.returncode == 0
    assert "It ended with exit 1" in watched.stderr
    assert str(DAYS[8]) in watched.stdout


def test_json_lines_without_a_terminal_and_a_live_display_on_one(lake: Warehouse) -> None:
    """Pipes get a JSON object a line, or a line log where asked; a terminal gets a bar."""
    piped = call("run", ROLLING, "--no-parallel", "--end-date", "2025-01-20", warehouse=lake)
    lines = said(piped)
    assert (lines[0]["event"], lines[-1]["event"]) == ("run", "end")
    published = {line["date"]: line["rows"] for line in lines if line["event"] == "published"}
    assert published == {str(day): 5 for day in DAYS if str(day) <= "2025-01-20"}
    arguments = ("--no-parallel", "--log-format", "text", "--end-date", "2025-01-25")
    plain = call("run", ROLLING, *arguments, warehouse=lake)
    assert "\x1b" not in plain.stderr
    assert "dates planned" in plain.stderr
    text = _on_a_terminal([str(SCRIPT), "run", ROLLING, "--no-parallel", "-w", lake.uri])
    assert "\x1b[" in text
    assert "━" in text


def test_quiet_leaves_out_what_went_well(lake: Warehouse) -> None:
    """Warnings, errors and the end remain; so does `--json` on stdout, with nothing beside it."""
    arguments = ("--no-parallel", "--quiet", "--json", "-o", f"raise_on={DAYS[8]}")
    done = call("run", ROLLING, *arguments, warehouse=lake)
    lines = said(done)
    assert {line["level"] for line in lines} == {"warning", "error"}
    assert lines[-1]["message"] == f"{json.loads(done.stdout)['verdict']} (exit 1)"
    good = call("run", ROLLING, "-q", "-o", "raise_on=", warehouse=lake)
    assert [line["event"] for line in said(good)] == ["end"]


def test_an_error_that_nobody_expected_is_a_line_with_its_traceback(
    lake: Warehouse, tmp_path: Path
) -> None:
    """Of a run: exit 1, and not a word that is no line. A job that does not load is expected."""
    (tmp_path / "broken.py").write_text("raise RuntimeError('this module is broken')")
    (tmp_path / "breaking.py").write_text(
        "import ray_backfill.catalog\nfrom tests.rolling_job import JOB\n"
        "def check(job): raise RuntimeError('this program is broken')\n"
        "ray_backfill.catalog.check_beside_others = check\n"
    )
    for name, code, what in (("breaking", 1, "this program"), ("broken", 2, "this module")):
        done = subprocess.run(
            [SCRIPT, "run", f"{name}:JOB", "-w", lake.uri],
            env=environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )
        (line,) = said(done)
        assert (done.returncode, line["level"], line["job"]) == (code, "error", f"{name}:JOB")
        assert f"{what} is broken" in line["message"]
        assert ("traceback" in line) == (code == 1)


def test_a_package_that_is_absent_is_named_in_a_sentence(tmp_path: Path) -> None:
    """As in a Python that was made for something else: exit 3, and what to do."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['deltalake'] = None\n")
    for words in (("tables",), ("run", ROLLING)):
        done = subprocess.run(
            [SCRIPT, *words, "-w", str(tmp_path / "lake")],
            env=environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (3, False)
        assert f"This Python, {sys.executable}, has no deltalake" in done.stderr


def _on_a_terminal(command: list[str]) -> str:
    master, slave = pty.openpty()
    env = environment() | {"TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(command, env=env, stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass  # the terminal closes with its last writer
    assert process.wait() == 0
    return seen.decode("utf-8", "replace")


def test_loaded_files_feed_a_run(tmp_path: Path) -> None:
    """From a CSV to a table, by commands alone."""
    rows = [(str(day), "a", n) for n, day in enumerate(DAYS[:6])]
    path = tmp_path / "sales.csv"
    pl.DataFrame(rows, schema=list(SALES.schema()), orient="row").write_csv(path)
    where = str(tmp_path / "lake")
    assert call("load", "shop.sales", str(path), "-w", where).returncode == 0
    assert call("run", ROLLING, "--no-parallel", "-w", where).returncode == 0
    found = json.loads(call("tables", "--json", "-w", where).stdout)
    assert {t["name"]: t["rows"] for t in found} == {"shop.sales": 6, "shop.means": 6}


def test_watch_asks_the_progress_actor_of_a_live_run(
    lake: Warehouse, tmp_path: Path, ray_address: str
) -> None:
    """From another process: the named actor shows the run while it works."""
    gate = tmp_path / "gate"
    arguments = ["run", ROLLING, "-w", lake.uri, "--address", ray_address, "--quiet"]
    with subprocess.Popen(
        [SCRIPT, *arguments, "-o", f"wait_for={gate}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        waiting = threading.Event()
        while not Path(f"{gate}.here").exists():
            assert running.poll() is None
            waiting.wait(0.02)
        seen = call_json("watch", "--address", ray_address, warehouse=lake)
        gate.touch()
        running.communicate()
    assert running.returncode == 0
    assert (seen["run_id"], seen["ended"]) == (run_ids(lake)[0], None)
    assert len(seen["planned"]) == len(DAYS)
    assert {span["stage"] for span in seen["spans"].values()} == {"compute"}


def test_watch_falls_back_to_the_journal(lake: Warehouse, ray_address: str) -> None:
    """Where the actor is gone with its run, the journal tells how it ended."""
    call("run", ROLLING, "--address", ray_address, warehouse=lake)
    done = call("watch", "--address", ray_address, warehouse=lake)
    assert done.returncode == 0
    assert "reading its journal" in done.stderr
    assert "It ended with exit 0" in done.stderr


def test_a_plan_for_a_cluster_is_not_bound_by_this_machine(lake: Warehouse) -> None:
    """A thousand workers here leave none enough memory; those of a cluster have their own."""
    here = call_json("plan", ROLLING, "--workers", "1000", warehouse=lake)
    there = call_json("plan", ROLLING, "--workers", "1000", "--cluster", warehouse=lake)
    assert (len(here["too_large"]), here["spans"]) == (len(DAYS), [])
    assert (there["too_large"], there["selected"]) == ({}, len(DAYS))


def test_by_default_there_are_no_more_workers_than_the_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a small container on a large machine each would have less than it needs."""
    monkeypatch.setattr(plan, "_machine_bytes", lambda: 3 * 2**30)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(32)))
    assert plan.workers_of(None) == 2
    assert (plan.workers_of(7), plan.workers_of(None, here=False)) == (7, 64)


def test_memory_that_no_worker_can_work_with_is_a_wrong_command(lake: Warehouse) -> None:
    """A number without its unit is a number of bytes, which nobody means."""
    for text in ("4", "1KiB", "300MiB"):
        done = call("plan", ROLLING, "--worker-memory", text, warehouse=lake)
        assert done.returncode == 2
        assert "320 MiB" in done.stderr
