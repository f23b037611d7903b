"""What a submission is, without any cluster: ids, commands, variables, ends, logs in pieces."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

from ray_backfill.cli import run as run_command
from ray_backfill.cli import submit as submit_command
from ray_backfill.cluster.client import address_of
from ray_backfill.cluster.follow import LogReader
from ray_backfill.cluster.submission import (
    argv_of,
    base_id,
    check_no_credentials,
    choose_id,
    entrypoint_of,
    outcome_of,
    range_of,
)
from ray_backfill.cluster.variables import (
    NEEDED,
    kept_here,
    require_secrets,
    variables_to_send,
)
from ray_backfill.engine.ray_connect import worker_environment
from ray_backfill.errors import RefusedError, UsageError
from ray_backfill.plan import Selection
from ray_backfill.warehouse import open_warehouse
from tests.conftest import ROOT

FIRST, LAST = date(2025, 10, 21), date(2025, 11, 30)
RANGE = Selection(start=FIRST, end=LAST + timedelta(1))


# -- id ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("selection", "word"),
    [
        (Selection(), "all"),
        (RANGE, "2025-10-21-2025-11-30"),
        (Selection(start=FIRST), "from-2025-10-21"),
        (Selection(end=LAST + timedelta(1)), "until-2025-11-30"),
        (Selection(start=FIRST, end=FIRST + timedelta(1)), "2025-10-21"),
        (Selection(dates=(LAST, FIRST)), "2025-10-21-2025-11-30"),
        (Selection(seasons=("2024-25",)), "2024-25"),
        (Selection(seasons=("2021-22", "2022-23", "2024-25")), "2021-22-2024-25"),
    ],
)
def test_a_range_is_said_in_a_word(selection: Selection, word: str) -> None:
    """What stands in the id and in the list of jobs."""
    assert range_of(selection) == word


def identity(**changes: Any) -> str:
    asked: dict[str, Any] = {
        "name": "player_context",
        "spec": "player_context",
        "selection": RANGE,
        "options": ["form_games=5"],
        "warehouse": "gs://lake",
        "code": "abc",
    }
    return base_id(**asked | changes)


def test_the_same_work_has_the_same_id_and_other_work_another() -> None:
    """Whatever decides what is computed, and where to, is in the id; the order of dates is not."""
    assert identity() == identity()
    assert identity().startswith("player_context-2025-10-21-2025-11-30-")
    others = [
        identity(spec="other.package:JOB"),
        identity(selection=Selection(start=FIRST)),
        identity(selection=Selection(start=FIRST, end=RANGE.end, select=("all",))),
        identity(options=[]),
        identity(warehouse="gs://other"),
        identity(code="abd"),
    ]
    assert len({identity(), *others}) == 7
    assert identity(selection=Selection(dates=(FIRST, LAST))) == identity(
        selection=Selection(dates=(LAST, FIRST))
    )


@given(st.text(max_size=90), st.lists(st.text(max_size=40), max_size=2))
def test_an_id_is_a_plain_name_whatever_it_is_made_of(name: str, seasons: list[str]) -> None:
    """It becomes part of file names and of URLs."""
    made = identity(name=name, selection=Selection(seasons=tuple(seasons)))
    assert len(made) <= 70
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        ([], ("a-1", False)),
        ([("a-2", "RUNNING"), ("a-1x", "RUNNING"), ("b", "PENDING")], ("a-1", False)),
        ([("a-1", "RUNNING")], ("a-1", True)),
        ([("a-1", "PENDING")], ("a-1", True)),
        ([("a-1", "SUCCEEDED")], ("a-1-2", False)),
        ([("a-1", "FAILED"), ("a-1-2", "STOPPED")], ("a-1-3", False)),
        ([("a-1-9", "FAILED"), ("a-1-10", "RUNNING"), ("a-1", "FAILED")], ("a-1-10", True)),
    ],
)
def test_what_runs_is_found_and_what_ended_is_counted_on(
    known: list[tuple[str, str]], chosen: tuple[str, bool]
) -> None:
    """A submission that has not ended is never doubled."""
    assert choose_id("a-1", known) == chosen


# -- command -----------------------------------------------------------------------------------
WORDS = st.text("aé -='\"$`;&|*#\\\n,\t", max_size=8)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value that a parameter of this type may have."""
    if get_origin(annotation) is list:
        return st.lists(WORDS, min_size=1, max_size=3)
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return values_of(parts[0])
    if parts:
        return st.one_of(values_of(part) for part in parts)
    if annotation in NUMBERS:
        return NUMBERS[annotation]
    return WORDS if annotation is str else st.from_type(annotation)


NUMBERS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(1, 10**6),
    float: st.floats(1, 1e6),
}


@settings(max_examples=50)
@given(st.data())
def test_what_submit_sends_parses_in_run_to_the_same_values(data: st.DataObject) -> None:
    """Through the shell's own splitting, for every option that `run` has now or later."""
    command = get_command(run_command.app)
    parameters = inspect.signature(run_command.run, eval_str=True).parameters
    values = {n: data.draw(values_of(p.annotation), label=n) for n, p in parameters.items()}
    line = entrypoint_of("python", argv_of(command, values))
    python, dash_m, module, name, *rest = shlex.split(line)
    assert (python, dash_m, module, name) == ("python", "-m", "ray_backfill", "run")
    parsed = command.make_context("run", rest).params
    assert {n: plain(parsed[n]) for n in values} == {n: plain(v) for n, v in values.items()}


SAYS = '#!/bin/sh\nfor word in $0 "$@"; do printf \'%s\\n\' "$word"; done\n'
PARENT = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


@pytest.mark.parametrize("folder", ["plain", "with space", "it's"])
@pytest.mark.parametrize("known", [True, False])
def test_a_job_runs_under_the_python_of_its_node_s_ray(
    tmp_path: Path, folder: str, known: bool
) -> None:
    """Found by a real shell below a supervisor below a raylet; else what `python` is there."""
    for place in (folder, "path"):
        program = tmp_path / place / "python"
        program.parent.mkdir()
        program.write_text(SAYS.replace("$0", place if place == "path" else "rays"))
        program.chmod(0o755)
    command = subprocess.list2cmdline([str(tmp_path / folder / "python"), "setup.py", "--x=y z"])
    option = "--python_worker_command" if known else "--java_worker_command"
    line = entrypoint_of(None, ["run", "it's; a $job"])
    raylet = [sys.executable, "-c", PARENT]
    supervisor = [
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.run(sys.argv[1], shell=True)",
    ]
    done = subprocess.run(
        [*raylet, *supervisor, line, f"{option}={command}", "--temp_dir=/tmp"],
        env={"PATH": f"{tmp_path / 'path'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    words = ["-m", "ray_backfill", "run", "it's; a $job"]
    assert done.stdout.splitlines() == ["rays" if known else "path", *words]
    assert done.stderr == ""


def test_a_python_without_the_packages_says_so_in_a_sentence(tmp_path: Path) -> None:
    """As one that sees the shipped code and nothing else."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ray_backfill", "--help"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert f"error: This Python, {sys.executable}, has no typer, which" in done.stderr
    assert "--python" in done.stderr


def plain(value: Any) -> Any:
    """Enumerations as they are typed; an empty list is an option that was not given."""
    if isinstance(value, list | tuple):
        return list(value) or None
    return getattr(value, "value", value)


def test_submit_takes_what_run_takes() -> None:
    """All options of `run` but those that mean something only where it runs."""
    names = [
        {p.name for p in get_command(module.app).params}  # type: ignore[attr-defined]
        for module in (run_command, submit_command)
    ]
    assert names[0] - names[1] == {"no_parallel", "log_format", "notify"}


def test_a_warehouse_that_carries_a_secret_is_refused() -> None:
    """The command of a job is for everybody to see."""
    for uri in ("s3://user:pass@host/lake", "az://lake/x?sv=1&sig=abc", "https://h/l?token=x"):
        with pytest.raises(UsageError, match="holds a secret"):
            check_no_credentials(uri)
    for uri in ("/lake", "gs://bucket/lake", "bigquery://p?location=EU"):
        check_no_credentials(uri)


# -- variables ---------------------------------------------------------------------------------
HERE = {
    "LEVEL": "debug",
    "MY_TOKEN": "x1y2z3",
    "RAY_BACKFILL_JOBS": "a:B",
    "RAY_BACKFILL_BIGQUERY_PRICES": "{}",
    "RAY_BACKFILL_NOTIFY": "https://hooks/x",
    "RAY_BACKFILL_WAREHOUSE": "/lake",
    "AWS_ENDPOINT_URL": "http://minio:9000",
    "AWS_REGION": "eu-west-1",
    "AWS_ALLOW_HTTP": "true",
    "AWS_PROFILE": "mine",
    "AWS_ACCESS_KEY_ID": "AKIA123456789",
    "AWS_SECRET_ACCESS_KEY": "x1y2z3",
    "GOOGLE_BASE_URL": "http://gcs:4443",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
    "AZURE_STORAGE_ACCOUNT_NAME": "shop",
    "AZURE_STORAGE_ACCOUNT_KEY": "x1y2z3",
}
NOTHING = re.compile("(?!)")


@pytest.mark.parametrize(
    ("warehouse", "settings"),
    [
        ("/lake", set()),
        ("bigquery://p", {"RAY_BACKFILL_BIGQUERY_PRICES"}),
        ("s3://bucket/lake", {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP"}),
        ("s3a://bucket/lake", {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP"}),
        ("gs://bucket/lake", {"GOOGLE_BASE_URL"}),
        ("az://container/lake", {"AZURE_STORAGE_ACCOUNT_NAME"}),
        ("abfss://c@shop.dfs.core.windows.net/lake", {"AZURE_STORAGE_ACCOUNT_NAME"}),
    ],
)
def test_settings_go_along_and_secrets_by_name_alone(warehouse: str, settings: set[str]) -> None:
    """What the warehouse and the jobs need is sent by itself, whichever it is, so that the run
    looks for it where this machine does; a secret's value never is.
    """
    found = open_warehouse(warehouse).settings
    sent = variables_to_send(["LEVEL"], ["MY_TOKEN", "OTHER_KEY"], HERE, found)
    assert sent == {
        "LEVEL": "debug",
        "RAY_BACKFILL_JOBS": "a:B",
        NEEDED: "MY_TOKEN,OTHER_KEY",
        **{name: HERE[name] for name in settings},
    }
    assert kept_here(HERE, found) == []


def test_a_setting_that_holds_a_secret_stays_here_by_name() -> None:
    """An address may have a user and a password in it."""
    here = {"AWS_ENDPOINT_URL": "http://me:x1y2z3@minio", "AWS_SKIP_SIGNATURE": "true"}
    found = open_warehouse("s3://bucket/lake").settings
    assert variables_to_send([], [], here, found) == {}
    assert kept_here(here, found) == sorted(here)


def test_workers_look_for_the_warehouse_where_their_driver_does() -> None:
    """On a cluster that was started elsewhere too; what may be a secret is not given to Ray."""
    given = worker_environment(HERE)
    stores = {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP", "GOOGLE_BASE_URL"}
    stores |= {"AZURE_STORAGE_ACCOUNT_NAME"}
    assert {name: given.get(name) for name in stores} == {name: HERE[name] for name in stores}
    assert "x1y2z3" not in given.values()
    assert not {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"} & set(given)


@pytest.mark.parametrize("name", ["MY_TOKEN", "LEVEL=debug", "ABSENT", "", "no name", "A-B"])
def test_variables_that_may_not_travel_are_refused_without_their_values(name: str) -> None:
    """Secrets, values on the command line, names that are none; no message holds a value."""
    with pytest.raises(UsageError) as refused:
        variables_to_send([name], [], HERE, NOTHING)
    assert "x1y2z3" not in str(refused.value)
    assert "debug" not in str(refused.value)


def test_a_secret_that_the_cluster_lacks_is_named() -> None:
    """All of those that are absent or empty; without any needed nothing is asked."""
    with pytest.raises(RefusedError, match="no variable B, C"):
        require_secrets({NEEDED: "A,B,C", "A": "set", "C": ""})
    require_secrets({NEEDED: "A", "A": "set"})
    require_secrets({})


# -- end ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "code", "error", "expected", "said"),
    [
        ("SUCCEEDED", 0, None, 0, ""),
        ("FAILED", 1, "JOB_ENTRYPOINT_COMMAND_ERROR", 1, ""),
        ("FAILED", 3, "JOB_ENTRYPOINT_COMMAND_ERROR", 3, ""),
        ("FAILED", 130, "JOB_ENTRYPOINT_COMMAND_ERROR", 130, ""),
        ("STOPPED", None, None, 130, "goes on with what is left"),
        ("FAILED", -9, None, 1, "killed by signal 9"),
        ("FAILED", 137, None, 1, "killed by signal 9"),
        ("FAILED", 127, None, 1, "--python"),
        ("FAILED", 7, None, 1, "ended with code 7"),
        ("FAILED", None, "JOB_SUPERVISOR_ACTOR_DIED", 1, "died before its end (lost)"),
        (
            "FAILED",
            None,
            "RUNTIME_ENV_SETUP_FAILURE",
            3,
            "could not be set up on the cluster: lost",
        ),
    ],
)
def test_an_end_is_the_runs_own_exit_code_or_a_sentence(
    status: str, code: int | None, error: str | None, expected: int, said: str
) -> None:
    """Where the run could not say how it ended, what to do next is said here."""
    outcome = outcome_of(status, code, error, "lost\n")
    assert outcome.exit_code == expected
    assert said in outcome.sentence
    assert bool(said) == bool(outcome.sentence)


# -- log ---------------------------------------------------------------------------------------
@given(st.text("ab\n", max_size=60), st.lists(st.lists(st.integers(1, 30), max_size=6), max_size=5))
def test_every_line_comes_once_however_often_the_connection_drops(
    log: str, connections: list[list[int]]
) -> None:
    """Each connection begins with the log's first character and ends anywhere."""
    reader, lines = LogReader(), []
    for cuts in [*connections, [60]]:
        reader.begin()
        at = 0
        for cut in cuts:
            lines += reader.feed(log[at : at + cut])
            at += cut
    lines += reader.rest()
    assert "\n".join(lines) == log.removesuffix("\n")


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://head:8265/", "http://head:8265"),
        ("head:8265", "http://head:8265"),
        ("https://proxy/ray/", "https://proxy/ray"),
    ],
)
def test_an_address_may_be_typed_in_short(typed: str, url: str) -> None:
    """The scheme may be left out."""
    assert address_of(typed) == url


@pytest.mark.parametrize("typed", ["ray://head:10001", "http://", "http://h:x", ""])
def test_what_can_be_no_address_is_refused(typed: str) -> None:
    """Ray's client port is not its Job API."""
    with pytest.raises(UsageError, match="not the address of a Job API"):
        address_of(typed)
