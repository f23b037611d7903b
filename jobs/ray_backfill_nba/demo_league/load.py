"""The made-up league in a warehouse: loading it, remembering what it was made from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from ray_backfill.catalog import load_job
from ray_backfill.errors import BackfillError, RefusedError
from ray_backfill.untrusted import parsed
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.objects import HOUSE
from ray_backfill_nba.demo_league.league import Chunk, generate, late_lines
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import RAW_TABLES

__all__ = ["deliver", "load", "make_room", "recall", "remember"]

_KEY = "demo/league.json"
_JOBS = ("player_context",)


def remember(warehouse: Warehouse, spec: LeagueSpec, *, delivered: bool) -> None:
    """Note in the warehouse what its league is made from, and whether the late lines are in."""
    about = {"spec": asdict(spec), "delivered": delivered}
    warehouse.put_object(_KEY, json.dumps(about, default=str, indent=1).encode())


def recall(warehouse: Warehouse) -> tuple[LeagueSpec, bool] | None:
    """The spec of the warehouse's league and whether its late lines are in; None without one.

    Raises `RefusedError` for a note that cannot be read, or that is not of this version.
    """
    data = warehouse.get_object(_KEY)
    if data is None:
        return None
    about = parsed(data)
    try:
        days = {
            name: date.fromisoformat(about["spec"][name])
            for name in ("through", "conflict_date")
            if about["spec"][name]
        }
        return LeagueSpec(**{**about["spec"], **days}), bool(about["delivered"])
    except (KeyError, TypeError, ValueError, BackfillError):
        raise RefusedError(
            f"What the demo noted of its league in {warehouse.uri} cannot be read.",
            hint="Give another place with --warehouse; or delete this one, if it is the demo's.",
        ) from None


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
    others = _not_ours(folder)
    if others:
        raise RefusedError(
            f"{warehouse.uri} holds things that the demo did not make: {', '.join(others[:5])}.",
            hint="--replace deletes nothing then. Move them away, or give another place.",
        )
    shutil.rmtree(folder)


def _not_ours(folder: Path) -> list[str]:
    """What is in the folder beside the league's tables and what is computed from them."""
    outputs = [load_job(name).output.name for name in _JOBS]
    ours = {name.replace(".", "/") for name in [*(t.name for t in RAW_TABLES), *outputs]}
    found = []
    for entry in folder.iterdir():
        inside = [entry] if entry.is_symlink() or not entry.is_dir() else list(entry.iterdir())
        names = (path.relative_to(folder).as_posix() for path in inside)
        found += [n for n in names if n not in ours and not n.startswith(f"{HOUSE}/")]
    return sorted(found)


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
