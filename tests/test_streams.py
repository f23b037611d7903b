"""A stream that is lost or poor changes neither what a command does nor its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, environment
from tests.engine import ROLLING, content
from tests.test_cli import SCRIPT

RUN = ("run", ROLLING, "--no-parallel")
POISONED = (*RUN, "-o", f"raise_on={DAYS[8]}")
FAILS = (len(DAYS) - 1) * 5


def call(*words: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own; `how` are its streams and more variables."""
    return started([SCRIPT, *words], **how)


def started(words: list[str], **how: Any) -> subprocess.CompletedProcess[bytes]:
    env = environment() | {"RAY_BACKFILL_JOBS": ROLLING} | how.pop("env", {})
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.run(words, env=env, check=False, **streams)


def plainly(encoding: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return call(*words, env={"PYTHONIOENCODING": encoding})


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1"])
def test_what_cannot_be_encoded_is_replaced(lake: Warehouse, encoding: str) -> None:
    """Tables, ranges and notes hold what these have not; each command ends as it does elsewhere."""
    where, codec = ("-w", lake.uri), encoding.partition(":")[0]
    for words in (
        ("describe", ROLLING),
        ("plan", ROLLING, *where),
        (*RUN, "--log-format", "text", *where),
    ):
        done = plainly(encoding, *words)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        for text in (done.stdout, done.stderr):
            assert text.decode(codec)
    assert content(lake).height == len(DAYS) * 5
    assert "D - 2 ... D" in plainly("ascii", "describe", ROLLING).stdout.decode()


def test_json_is_whole_in_any_encoding() -> None:
    """What cannot stand there as it is is escaped as JSON does, and so is nothing lost."""
    words = ("describe", "player_context", "--json")
    assert json.loads(plainly("ascii", *words).stdout) == json.loads(
        plainly("utf-8", *words).stdout
    )


def test_text_that_is_no_unicode_is_printed_all_the_same(lake: Warehouse) -> None:
    """A word of the command line may hold any bytes."""
    for encoding in ("utf-8", "ascii"):
        done = plainly(encoding, "plan", os.fsdecode(b"caf\xe9\xff:JOB"), "-w", lake.uri)
        assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


def without(which: tuple[int, ...], *words: str) -> list[str]:
    """The command with these descriptors closed.

    By a shell: `preexec_fn` forks this process with all its libraries, and gRPC, where a test
    before has used it, then ends the child now and then.
    """
    closing = " ".join(f"{fd}>&-" for fd in which)
    return ["sh", "-c", f'exec "$@" {closing}', "sh", *words]


@pytest.mark.parametrize("which", [(1,), (0, 1, 2)])
def test_closed_streams_change_nothing(lake: Warehouse, which: tuple[int, ...]) -> None:
    """Also that no file which the run opens gets their numbers, and what is printed with them."""
    done = started(without(which, SCRIPT, *POISONED, "-w", lake.uri))
    assert (done.returncode, done.stdout) == (1, b"")
    assert content(lake).height == FAILS


def unread() -> IO[bytes]:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")


@pytest.mark.parametrize("form", ["json", "text"])
def test_readers_that_go_away_change_nothing(lake: Warehouse, form: str) -> None:
    """`run … | head`: all is published, and the exit code is that of what happened."""
    with unread() as pipe:
        words = (*POISONED, "--log-format", form, "-w", lake.uri)
        assert call(*words, stdout=pipe, stderr=pipe).returncode == 1
    assert content(lake).height == FAILS


@pytest.mark.parametrize("words", [("describe", "player_context"), ("--help",)])
def test_an_answer_that_nobody_reads_on_is_no_error(words: tuple[str, ...]) -> None:
    """`describe … | head`: not a word about it."""
    with unread() as pipe:
        done = call(*words, stdout=pipe)
    assert (done.returncode, b"rror" in done.stderr) == (0, False)


def test_an_answer_that_did_not_arrive_is_a_failure_and_a_run_is_what_it_did(
    lake: Warehouse,
) -> None:
    """On a full disk half a plan would pass for a whole one; of a run the report is kept."""
    with Path("/dev/full").open("wb") as full:
        planned = call("plan", ROLLING, "--json", "-w", lake.uri, stdout=full)
        done = call(*RUN, "--json", "-w", lake.uri, stdout=full)
    for one, code in ((planned, 1), (done, 0)):
        assert one.returncode == code
        assert b"What was printed did not arrive whole: No space left on device." in one.stderr
    assert content(lake).height == len(DAYS) * 5


def test_a_stream_that_takes_no_more_for_a_while_is_waited_for() -> None:
    """A pipe that another program made non-blocking loses nothing of a long answer."""
    words = [SCRIPT, "describe", "player_context", "--json"]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen(words, env=environment(), stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert len(json.loads(pipe.read())["output"]["columns"]) > 80
    assert process.returncode == 0


@pytest.mark.parametrize("which", [(1,), (2,), (0, 1, 2)])
def test_no_file_gets_the_number_of_a_stream_that_was_closed(
    tmp_path: Path, which: tuple[int, ...]
) -> None:
    """What is printed would stand in it, between the bytes of a table."""
    path = tmp_path / "table"
    code = (
        "import sys\nfrom ray_backfill.cli.streams import make_steady\nmake_steady()\n"
        f"with open({str(path)!r}, 'wb') as table:\n"
        "    print('said'); print('said', file=sys.stderr, flush=True); sys.stdout.flush()\n"
        "    table.write(str(table.fileno()).encode())\n"
    )
    done = started(without(which, sys.executable, "-c", code))
    assert done.returncode == 0, done.stderr
    assert int(path.read_bytes()) > 2
