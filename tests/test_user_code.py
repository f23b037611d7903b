"""Whatever a function of a job raises is an error of the job: named, and no end of the program."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ray_backfill.catalog import load_job
from ray_backfill.engine.runs import RunOptions
from ray_backfill.errors import ContractError, DataError, JobCodeError, UsageError
from ray_backfill.job.options import from_json, parse_options
from ray_backfill.job.user_code import called
from ray_backfill.plan import Selection
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, ROOT, environment
from tests.engine import INLINE, content, on_ray, planned, ran
from tests.rolling_job import JOB as ROLLING_JOB
from tests.unruly_job import ERRORS, UNRULY

HOW = replace(INLINE, job=UNRULY)
TOLD = {
    "value": "ValueError: asked for",
    "exit": "SystemExit: 0",
    "interrupt": "KeyboardInterrupt",
    "panic": "Panic: asked for",
    "speechless": "SpeechlessError",
    "generator": "GeneratorExit",
    "file": "FileNotFoundError: asked for",
    "store": "WarehouseError: asked for",
    "lease": "LeaseLostError: asked for",
    "differs": "CodeDiffersError: asked for",
}


def raising(what: str) -> None:
    raise ERRORS[what]


# -- one call ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("what", "told"), TOLD.items())
def test_what_user_code_raises_is_told_and_crosses_processes(what: str, told: str) -> None:
    """By its type and first line, after the name of what was called, if that has one."""
    with pytest.raises(JobCodeError) as alone:
        called("", raising, what)
    with pytest.raises(JobCodeError) as named:
        called("The gate g", raising, what)
    assert (str(alone.value), str(named.value)) == (told, f"The gate g raised {told}")
    assert alone.value.__cause__ is ERRORS[what]
    assert str(pickle.loads(pickle.dumps(alone.value))) == told  # noqa: S301


@pytest.mark.parametrize(
    "error", [DataError("bad", "mend it"), ContractError("bad"), MemoryError()]
)
def test_what_says_how_it_can_be_helped_comes_as_it_is(error: Exception) -> None:
    """Data that is bad, and memory that ran out."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as found:
        called("", fail)
    assert found.value is error


def test_own_kinds_of_these_errors_become_those_that_every_process_knows() -> None:
    """A type of the job's own could not be read by a driver that lacks its module."""

    class OddError(DataError):
        def __init__(self) -> None:
            super().__init__("odd rows")

    def fail() -> None:
        raise OddError

    with pytest.raises(DataError) as found:
        called("", fail)
    assert (type(found.value), found.value.message) == (DataError, "odd rows")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_interrupt_is_no_error_of_the_job(number: signal.Signals) -> None:
    """Ctrl-C in the middle of user code ends it as ever, and is handled as before afterwards."""
    kept = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            called("", signal.raise_signal, number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, kept)


def test_a_first_gentle_interrupt_lets_user_code_finish() -> None:
    """A handler that only notes the signal is asked, and what was called goes on."""
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))

    def work() -> str:
        signal.raise_signal(signal.SIGINT)
        return "done"

    try:
        assert called("", work) == "done"
    finally:
        signal.signal(signal.SIGINT, before)
    assert noted == [signal.SIGINT]


def test_ray_may_end_a_worker_in_the_middle_of_user_code() -> None:
    """Its exit of a worker whose machine goes away says nothing of the job."""
    from ray._raylet import raise_sys_exit_with_custom_error_message

    with pytest.raises(SystemExit):
        called("", raise_sys_exit_with_custom_error_message, "The process receives a SIGTERM.")


# -- in a run ------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["compute", "gate"])
@pytest.mark.parametrize(("what", "told"), TOLD.items())
def test_a_date_fails_by_name_whatever_is_raised(
    lake: Warehouse, what: str, told: str, where: str
) -> None:
    """All others are published; it is the job's own error, which no other try can help."""
    bad, days = DAYS[5], DAYS[2:9]
    report = ran(lake, [f"what={what}", f"where={where}", f"on={bad}"], Selection(dates=days), HOW)
    message = told if where == "compute" else f"The gate strict raised {told}"
    assert (report.exit_code, report.failed) == (1, {str(bad): message})
    assert set(report.retry_counts) == {"code"}
    assert set(content(lake)["day"]) == set(days) - {bad}


def test_a_view_that_raises_fails_the_dates_whose_window_shows_it(lake: Warehouse) -> None:
    """In a worker, where the view is asked for what the plan did not need."""
    bad, days = DAYS[5], DAYS[2:11]
    report = ran(lake, ["what=exit", "where=view", f"on={bad}"], Selection(dates=days), HOW)
    touched = {str(day) for day in days if bad <= day <= bad + timedelta(2)}
    assert (report.exit_code, set(report.failed)) == (1, touched)
    assert set(report.failed.values()) == {"The view sales of unruly raised SystemExit: 0"}


@pytest.mark.parametrize("where", ["calendar", "view"])
def test_a_plan_that_user_code_ends_says_which(lake: Warehouse, where: str) -> None:
    """Refused, by the name of the function, and nothing was changed."""
    ran(lake, how=HOW)
    bad = [f"where={where}", "what=exit", f"on={DAYS[5]}"]
    with pytest.raises(
        JobCodeError, match=rf"The {where}.* of unruly raised SystemExit: 0"
    ) as found:
        planned(lake, bad, job=UNRULY)
    assert found.value.exit_code == 3


@pytest.mark.parametrize(
    ("what", "told"), [("exit", TOLD["exit"]), ("interrupt", TOLD["interrupt"])]
)
def test_a_date_fails_by_name_on_ray_too(
    lake: Warehouse, ray_address: str, what: str, told: str
) -> None:
    """The worker lives on, and says what it was."""
    report = ran(lake, [f"what={what}", f"on={DAYS[5]}"], how=ray_of(ray_address))
    assert (report.exit_code, report.failed) == (1, {str(DAYS[5]): told})
    assert set(report.retry_counts) == {"code"}
    assert set(content(lake)["day"]) == set(DAYS) - {DAYS[5]}


def test_a_date_that_ends_its_process_fails_with_a_sentence(
    lake: Warehouse, ray_address: str
) -> None:
    """`os._exit` takes the worker with it; that date alone is not published, and why is said."""
    bad, days = DAYS[5], DAYS[4:7]
    chosen = Selection(dates=days)
    report = ran(lake, ["what=dies", f"on={bad}"], chosen, ray_of(ray_address))
    assert (report.exit_code, list(report.failed)) == (1, [str(bad)])
    assert "the worker's process ended by itself" in report.failed[str(bad)]
    assert set(content(lake)["day"]) == set(days) - {bad}


def ray_of(address: str) -> RunOptions:
    return on_ray(address, job=UNRULY)


def test_options_that_their_own_class_refuses_are_a_usage_error() -> None:
    """Whatever it raises, by the name of the job and with the values."""

    @dataclass(frozen=True)
    class Picky:
        least: int = 1

        def __post_init__(self) -> None:
            if self.least < 1:
                raise SystemExit(0)

    job = replace(ROLLING_JOB, options=Picky)
    assert parse_options(job, ["least=2"], Picky()) == Picky(2)
    with pytest.raises(UsageError, match=r'rolling cannot be \{"least": 0\}: SystemExit: 0'):
        parse_options(job, ["least=0"], Picky())
    with pytest.raises(UsageError, match="SystemExit"):
        from_json(job, '{"least":0}')


# -- at import -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def", "SyntaxError"),
    ],
)
def test_a_job_that_does_not_load_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    """Whatever its import raises: a usage error that says so, never an end without a word."""
    name = f"unloadable_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="does not load") as found:
        load_job(f"{name}:JOB")
    assert name in found.value.message
    assert told in found.value.message


def test_what_a_definition_says_is_wrong_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours at import is already a sentence for a person."""
    (tmp_path / "ill_named.py").write_text(
        "from dataclasses import replace\nfrom tests.rolling_job import JOB\n"
        "JOB = replace(JOB, name='no good')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as found:
        load_job("ill_named:JOB")
    with pytest.raises(UsageError) as said:
        replace(ROLLING_JOB, name="no good")
    assert found.value.message.endswith(said.value.message)


def test_a_command_does_not_end_with_the_exit_code_of_a_job(tmp_path: Path) -> None:
    """A job that exits with 0 when it is imported is no success of `plan`."""
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    done = subprocess.run(
        [sys.executable, "-m", "ray_backfill", "plan", "leaving:JOB", "-w", str(tmp_path / "lake")],
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "leaving:JOB" in done.stderr
    assert "Traceback" not in done.stderr
