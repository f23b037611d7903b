"""Who may import whom: the arrows of docs/architecture.md, type-checking imports included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = {"ray": "", "google": "", "deltalake": "warehouse"}
"""Libraries, and the room whose modules may import them at the top; "": none."""
FLOORS = (
    {"job", "staleness"},
    {"plan"},
    {"warehouse"},
    {"loading", "inspect", "record"},
    {"survey", "observe"},
    {"engine", "cluster"},
    {"doctor"},
    {"cli"},
)
"""The rooms, from the lowest floor up: a room imports none that stands above it, or beside it."""
BESIDE = {("job", "staleness"), ("staleness", "job")}
"""A job notes the version of its code as it is defined; what takes that version speaks of jobs."""


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


def _floor(room: str) -> int:
    return next(n for n, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_a_floor() -> None:
    """A folder that is new says where it stands."""
    assert {_room(name) for name in ENGINE} - {""} == {room for rooms in FLOORS for room in rooms}


def test_no_arrow_goes_up() -> None:
    """A room imports none of those that stand above it."""
    arrows = {(_room(name), _room(other)) for name in ENGINE for other in _imports(name)}
    inside = {(a, b) for a, b in arrows if a and b and a != b}
    assert {(a, b) for a, b in inside if _floor(a) <= _floor(b)} == BESIDE


@pytest.mark.parametrize("room", ["job", "staleness", "plan"])
def test_what_decides_reads_and_writes_nothing(room: str) -> None:
    """What a job is, whether it is stale, and what is to do are pure: no warehouse, no Ray."""
    libraries = {"ray", "deltalake", "google", "requests", "obstore"}
    found = {
        (name, full)
        for name, path in ENGINE.items()
        if _room(name) == room
        for full in _named(ast.parse(path.read_text()))
        if full.split(".")[0] in libraries
    }
    assert not found


def test_the_top_level_holds_what_all_rooms_use() -> None:
    """The face, errors, names, redaction, untrusted input, and the catalog of jobs."""
    top = {name.partition(".")[2] for name in ENGINE if not _room(name)}
    assert top == {"", "__main__", "catalog", "errors", "names", "redact", "untrusted"}
    above = {
        (name, _room(other))
        for name in ENGINE
        if not _room(name) and not name.endswith("__main__")
        for other in _imports(name)
    }
    assert {(name, room) for name, room in above if room} == {("ray_backfill.catalog", "job")}


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
    known = {f"ray_backfill.job.{n}" for n in ("checks", "job", "options")}
    known |= {f"ray_backfill.staleness.{n}" for n in ("loaded_code", "rules")}
    assert {n for circle in _circles() for n in circle} == known


def test_the_files_that_the_architecture_names_are_there() -> None:
    """And each of its rooms is a folder."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+(?:/\w+)*\.py)`", page))
    assert len(named) > 15
    known = {str(path.relative_to(ROOT)) for path in ENGINE.values()}
    assert {
        f for f in named if f"ray_backfill/{f}" not in known and not (ROOT / f).exists()
    } == set()
    drawn = set(re.findall(r"(?:^|\s)(\w+)/ ", page)) - {"lake", "bigquery"}
    assert drawn == {room for rooms in FLOORS for room in rooms}
