"""The made-up league in a warehouse: loading it, remembering what it was made from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from jobs.demo_league.league import Chunk, generate, late_lines
from jobs.demo_league.spec import LeagueSpec
from ray_backfill.errors import RefusedError
from ray_backfill.warehouse import Warehouse

__all__ = ["deliver", "load", "make_room", "recall", "remember"]

_KEY = "demo/league.json"


def remember(warehouse: Warehouse, spec: LeagueSpec, *, delivered: bool) -> None:
    """Note in the warehouse what its league is made from, and whether the late lines are in."""
    about = {"spec": asdict(spec), "delivered": delivered}
    warehouse.put_object(_KEY, json.dumps(about, default=str, indent=1).encode())


def recall(warehouse: Warehouse) -> tuple[LeagueSpec, bool] | None:
    """The spec of the warehouse's league and whether its late lines are in; None without one."""
    data = warehouse.get_object(_KEY)
    if data is None:
        return None
    about = json.loads(data)
    days = {
        name: date.fromisoformat(about["spec"][name])
        for name in ("through", "conflict_date")
        if about["spec"][name]
    }
    return LeagueSpec(**{**about["spec"], **days}), about["delivered"]


def make_room(warehouse: Warehouse, *, replace: bool) -> None:
    """See that the warehouse is empty. Only what the demo itself has made is ever deleted."""
    folder = None if "://" in warehouse.uri else Path(warehouse.uri)
    taken = bool(warehouse.tables()) if folder is None else _holds_something(folder)
    if not taken:
        return
    if recall(warehouse) is None:
        raise RefusedError(
            f"{warehouse.uri} is not empty, and what is there was not made by the demo.",
            hint="Give another place with --warehouse.",
        )
    if not replace:
        raise RefusedError(
            f"{warehouse.uri} holds a made-up league already.",
            hint="Give --replace to make it anew, or another place with --warehouse.",
        )
    if folder is None:
        raise RefusedError(
            f"{warehouse.uri} is not a folder of this machine: --replace does not delete there.",
            hint="Delete it yourself, or give another place with --warehouse.",
        )
    shutil.rmtree(folder)


def _holds_something(folder: Path) -> bool:
    return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))


def load(
    warehouse: Warehouse, spec: LeagueSpec, loaded: Callable[[Chunk], None] = lambda chunk: None
) -> int:
    """Write the league, one commit a chunk; returns the rows. `loaded` hears of each chunk."""
    remember(warehouse, spec, delivered=not spec.withhold_lines)
    return _write(warehouse, generate(spec), loaded)


def deliver(
    warehouse: Warehouse, spec: LeagueSpec, loaded: Callable[[Chunk], None] = lambda chunk: None
) -> int:
    """Write the game lines that `load` left out; returns the rows."""
    rows = _write(warehouse, late_lines(spec), loaded)
    remember(warehouse, spec, delivered=True)
    return rows


def _write(warehouse: Warehouse, chunks: Iterable[Chunk], loaded: Callable[[Chunk], None]) -> int:
    total = 0
    for chunk in chunks:
        if not chunk.rows.is_empty():
            warehouse.append(chunk.table, chunk.rows.to_arrow())
            total += chunk.rows.height
        loaded(chunk)
    return total
