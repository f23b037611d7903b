"""Breaks the code in one place at a time, and counts how often the tests notice.

`make mutants` draws places at random (the same for one seed) and prints each mutant that no test
kills: a line to write a test for. The tests that name the broken module go first, then all of
`make check`. The code is broken in a copy, never in the checkout.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("ray_backfill", "jobs")
COPIED = (*CODE, "tests", "benchmarks", "docs", "README.md", "pyproject.toml", "Makefile")
NEVER = ("cli", "demo_league", "observe")
"""Folders of what is shown, not decided: their tests read sentences, not single operators."""

_COMPARES = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "*", ast.Mod: "+"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`new` in the place of `old`, `at` characters into the source of a file."""

    path: str
    line: int
    at: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {_one_line(self.old)} → {_one_line(self.new)}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Every place of a module that one of our operators changes, in the order of the source."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    encoded, found = source.encode(), []
    for node, new in _changes(ast.parse(source), source):
        low = starts[node.lineno - 1] + node.col_offset
        high = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
        old = encoded[low:high].decode()
        found.append(Mutant(path, node.lineno, len(encoded[:low].decode()), old, new))
    return sorted(found, key=lambda mutant: (mutant.at, mutant.new))


def _changes(tree: ast.Module, source: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Nodes of a module, and the source that stands in for each."""

    def text(node: ast.AST) -> str:
        return ast.get_source_segment(source, node) or ""

    for node in _ours(tree):
        match node:
            case ast.Compare(ops=[op]) if type(op) in _COMPARES:
                left, right = text(node.left), text(node.comparators[0])
                yield node, f"{left} {_COMPARES[type(op)]} {right}"
            case ast.BoolOp(values=[first, *_]):
                yield node, f"({text(first)})"
                yield node, f"({text(node.values[-1])})"
            case ast.UnaryOp(op=ast.Not()):
                yield node, f"bool({text(node.operand)})"
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                yield node, f"{text(node.left)} {_ARITHMETIC[type(op)]} {text(node.right)}"
            case ast.Constant(value=bool() as value):
                yield node, str(not value)
            case ast.Constant(value=int() as number):
                yield node, str(number + 1)
            case ast.IfExp():
                yield node, f"({text(node.body)})"
                yield node, f"({text(node.orelse)})"
            case ast.If():
                yield node.test, "False"
            case ast.Raise() | ast.Expr(value=ast.Call()):
                yield node, "pass"


def _ours(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes of the functions of a module; not of what only a type checker reads."""
    for outer in ast.walk(tree):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in outer.body:
                if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _below(statement)


def _below(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _below(child)


def drawn(count: int, seed: int, places: Sequence[str]) -> list[Mutant]:
    """`count` mutants of the modules below `places`, as many of short modules as of long ones."""
    rng = random.Random(seed)
    paths = [
        path.relative_to(ROOT).as_posix()
        for place in places
        for path in sorted(
            (ROOT / place).rglob("*.py") if (ROOT / place).is_dir() else [ROOT / place]
        )
        if not set(path.parts) & set(NEVER)
    ]
    known = {path: mutants_of(path, (ROOT / path).read_text("utf-8")) for path in paths}
    paths = [path for path in paths if known[path]]
    found: dict[Mutant, None] = {}
    while len(found) < min(count, sum(map(len, known.values()))):
        found[rng.choice(known[rng.choice(paths)])] = None
    return list(found)


def survives(mutant: Mutant, copy: Path) -> bool:
    """Whether every test that concerns a mutant passes with it."""
    path = copy / mutant.path
    source = path.read_text("utf-8")
    assert source[mutant.at : mutant.at + len(mutant.old)] == mutant.old
    path.write_text(source[: mutant.at] + mutant.new + source[mutant.at + len(mutant.old) :])
    try:
        return all(_passes(copy, tests) for tests in _tests_of(mutant.path) if tests)
    finally:
        path.write_text(source)


def _tests_of(path: str) -> list[list[str]]:
    """The tests that name the module, then all of `make check`."""
    module = path.removeprefix("jobs/").removesuffix(".py").replace("/", ".")
    package, _, name = module.rpartition(".")
    named = [
        test.relative_to(ROOT).as_posix()
        for test in sorted((ROOT / "tests").rglob("test_*.py"))
        if module in (text := test.read_text("utf-8")) or f"from {package} import {name}" in text
    ]
    return [named, ["tests"]]


def _passes(copy: Path, tests: Sequence[str]) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
    ]
    done = subprocess.run(
        [*command, "-n", "2", "--dist", "loadfile", *tests],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": f"{copy}{os.pathsep}{copy / 'jobs'}"},
        capture_output=True,
        check=False,
    )
    return done.returncode in (0, 5)  # 5: no test of these is part of `make check`


def main() -> None:
    """Draw, try, print the survivors and the figure; exit 1 where fewer die than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="*", default=CODE, help="files or folders to break")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fail-under", type=float, default=0.0, help="per cent that must die")
    asked = parser.parse_args()
    mutants = drawn(asked.count, asked.seed, asked.places)
    alive = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "results")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        if not _passes(copy, ["tests"]):
            sys.exit("The tests fail before anything is broken: mend them first.")
        for done, mutant in enumerate(mutants, 1):
            lives = survives(mutant, copy)
            alive += [mutant] if lives else []
            print(f"{done}/{len(mutants)} {'SURVIVES' if lives else 'dies'} {mutant}", flush=True)
    killed = 100 * (1 - len(alive) / max(1, len(mutants)))
    print(f"{len(mutants) - len(alive)} of {len(mutants)} mutants died ({killed:.0f}%).")
    sys.exit(killed < asked.fail_under)


def _one_line(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= 60 else f"{short[:57]}…"


if __name__ == "__main__":
    main()
