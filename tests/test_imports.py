"""Who may import whom: the arrows of docs/architecture.md, type-checking imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = {"ray": "", "google": "", "deltalake": "warehouse"}
"""Libraries, and the room whose modules may import them at the top; "": none."""
FORBIDDEN = {
    "plan": {"engine", "warehouse", "cluster", "cli", "observe", "doctor"},
    "warehouse": {"engine", "cluster", "cli", "observe", "doctor"},
    "engine": {"cluster", "cli", "doctor"},
    "observe": {"cluster", "cli", "doctor", "warehouse", "plan"},
    "cluster": {"engine", "warehouse", "cli", "doctor"},
    "doctor": {"cli", "cluster"},
}
"""Rooms, and those that their modules must not import."""


def _files(base: Path) -> dict[str, Path]:
    """The modules below a package's folder, by their names."""
    found = {}
    for path in base.rglob("*.py"):
        parts = (base.name, *path.relative_to(base).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


ENGINE = _files(ROOT / "ray_backfill")
NBA = _files(ROOT / "jobs" / "ray_backfill_nba")


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@cache
def _imports(name: str) -> frozenset[str]:
    """The modules of ours that one imports, wherever in it."""
    known = ENGINE | NBA
    found = set()
    for full in _named(ast.parse(known[name].read_text())):
        part = full
        while part and part not in known:
            part = part.rpartition(".")[0]
        found.add(part)
    return frozenset(found - {"", name})


def _room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / "ray_backfill" / parts[1]).is_dir() else ""


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_arrow_goes_up(room: str) -> None:
    """A room imports none of those that stand above it."""
    arrows = {(name, other) for name in ENGINE if _room(name) == room for other in _imports(name)}
    assert not {(a, b) for a, b in arrows if _room(b) in FORBIDDEN[room]}


def test_what_a_job_is_stands_below_all_rooms() -> None:
    """Modules of the top level are imported by rooms; only loading reads a warehouse."""
    top = {n for n in ENGINE if not _room(n) and n not in {"ray_backfill", "ray_backfill.__main__"}}
    arrows = {(name, _room(other)) for name in top for other in _imports(name)}
    assert {(a, b) for a, b in arrows if b not in {"", "plan"}} == {
        ("ray_backfill.loading", "warehouse")
    }


def test_the_engine_knows_no_job() -> None:
    """Jobs come in by entry points."""
    assert not {n for n in ENGINE if any(o.startswith("ray_backfill_nba") for o in _imports(n))}


def test_nobody_imports_the_commands() -> None:
    """But commands: ours, and those that another package adds."""
    users = {n for n in ENGINE | NBA if any(_room(o) == "cli" for o in _imports(n))}
    assert {n for n in users if _room(n) != "cli"} == {
        "ray_backfill.__main__",
        "ray_backfill_nba.demo_league.command",
    }


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_where_they_are_used(library: str) -> None:
    """`--help` answers at once, and Ray reads its settings when it is imported."""
    found = {
        name
        for name, path in (ENGINE | NBA).items()
        if _room(name) != (HEAVY[library] or "nowhere")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(full.split(".")[0] == library for full in _named(node))
    }
    assert not found


def _circles() -> list[set[str]]:
    """Modules that reach each other, found by taking away what has nothing left to import."""
    left = {name: set(_imports(name)) for name in ENGINE | NBA}
    while gone := {n for n, to in left.items() if not to} | (
        set(left) - {o for to in left.values() for o in to}
    ):
        left = {n: to - gone for n, to in left.items() if n not in gone}
    return [{n, *to} for n, to in left.items()]


def test_modules_go_in_no_circle_but_the_one_that_is_known() -> None:
    """A job looks at its own definition when it is made, which speaks of jobs."""
    known = {f"ray_backfill.{n}" for n in ("checks", "job", "loaded_code", "options", "rules")}
    assert {n for circle in _circles() for n in circle} == known
