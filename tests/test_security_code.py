"""What may not be in the code at all: objects that run when they are read, and shells."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.cluster.submission import entrypoint_of
from tests.conftest import ROOT

SOURCES = sorted([*(ROOT / "ray_backfill").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")])

MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "code", "pty"}
"""None of them is imported: what they read, they run; or they are shells."""

NAMES = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    "system": "os",
    "popen": "os",
    "spawnlp": "os",
    "execvp": "os",
    "getoutput": "subprocess",
    "getstatusoutput": "subprocess",
    "create_subprocess_shell": "asyncio",
    "load": "yaml",
    "unsafe_load": "yaml",
    "full_load": "yaml",
}
READERS = {"read_pickle", "to_pickle", "deserialize", "unpickle", "load_module", "exec_module"}
"""Of any object: Polars' and Arrow's own formats may hold pickled Python."""

IMPORTERS = {"ray_backfill/catalog.py", "ray_backfill/cli/__init__.py"}
"""The only modules that import by a name: that of a job, and those of our own commands."""


def offences(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything in the source that may not be there."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [n.name for n in names if n.name.split(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module), names=names):
                found = [module] if module.split(".")[0] in MODULES else []
                found += [n.name for n in names if ATTRIBUTES.get(n.name) == module]
            case ast.Name(id=name):
                found = [name] if name in NAMES else []
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                wrong = ATTRIBUTES.get(name) == owner or name in READERS or owner in MODULES
                found = [f"{owner}.{name}"] if wrong and owner != "re" else []
            case ast.Attribute(attr=name):
                found = [name] if name in READERS else []
            case ast.keyword(arg="shell" | "allow_pickle", value=value):
                off = isinstance(value, ast.Constant) and value.value is False
                found = [] if off else [str(node.arg)]
            case _:
                found = []
        yield from ((getattr(node, "lineno", 0), what) for what in found)


def test_nothing_that_is_read_is_run_and_no_shell_is_started() -> None:
    assert len(SOURCES) > 100
    found = {p.relative_to(ROOT).as_posix(): list(offences(p.read_text())) for p in SOURCES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import cloudpickle as c",
        "def f():\n    import shelve",
        "eval('1')",
        "x = exec",
        "import os\nos.system('ls')",
        "from os import system",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
        "subprocess.run(command, shell=flag)",
        "subprocess.getoutput('ls')",
        "np.load(path, allow_pickle=True)",
        "pl.LazyFrame.deserialize(path)",
        "frame.explain().deserialize(path)",
    ],
)
def test_the_walk_sees_each_of_them(line: str) -> None:
    """A guard that sees nothing would pass for ever."""
    assert list(offences(line))


def test_only_jobs_and_our_own_commands_are_imported_by_name() -> None:
    """Nothing that a table, a journal or a report says becomes the name of a module."""
    using = {
        p.relative_to(ROOT).as_posix()
        for p in SOURCES
        if re.search(r"\bimport_module\b|\bspec_from_|\brunpy\b", p.read_text())
    }
    assert using <= IMPORTERS


def test_the_linter_asks_for_the_same() -> None:
    """Ruff's security rules are on for the engine and the jobs, and end `make lint`."""
    wrong = (
        "import pickle\nimport subprocess\nimport os\nimport yaml\n\n\n"
        "def f(data: bytes) -> None:\n    pickle.loads(data)\n    eval(data)\n    exec(data)\n"
        "    yaml.load(data)\n    subprocess.run(str(data), shell=True)\n    os.system(str(data))\n"
    )
    for place in ("ray_backfill/x.py", "jobs/x.py", "jobs/ray_backfill_nba/demo_league/x.py"):
        done = subprocess.run(
            [Path(sys.executable).parent / "ruff", "check", "--stdin-filename", place, "-"],
            input=wrong,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        for rule in ("S301", "S307", "S102", "S506", "S602", "S605"):
            assert rule in done.stdout


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=6))
def test_the_line_of_a_submitted_job_parses_to_the_words_that_were_given(words: list[str]) -> None:
    """Ray hands it to a shell: nothing in it may be more than a word."""
    line = entrypoint_of("python", words)
    assert shlex.split(line) == ["python", "-m", "ray_backfill", *words]


def test_a_real_shell_reads_the_line_of_a_submitted_job_so_too() -> None:
    hostile = [
        "$(touch x)",
        "`id`",
        "a;b",
        "a\nb",
        "'",
        '"',
        "\\",
        "*",
        "~",
        "--o=$HOME && true",
        "",
    ]
    show = "import sys; print(ascii(sys.argv[1:]))"
    line = entrypoint_of(sys.executable, hostile).replace(
        "-m ray_backfill", f"-c {shlex.quote(show)}"
    )
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == hostile
