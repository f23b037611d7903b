"""The lakes of `benchmarks.scaling`: leagues of 1, 10 and 100 times a real one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lakes import DataSet, clear_output, real, why_absent
from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.demo_league import LeagueSpec
from ray_backfill_nba.demo_league.load import load as load_league

__all__ = ["SCALES", "Lake", "clear", "made"]

SCALES = (1, 10, 100)
_SEASONS = {1: 2, 10: 2, 100: 1}
"""So that look-back reaches a season before, where that fits a small machine's disk and time."""


@dataclass(frozen=True)
class Lake:
    """A lake with raw tables. `scale` 0: the real seasons."""

    name: str
    path: Path
    scale: int


def made(work: Path, scale: int) -> Lake | None:
    """The lake of a scale, made if it is not there; None: there is no real data."""
    if scale == 0:
        if why_absent():
            return None
        path = work / "real"
        if not _whole(path):
            real(work)
            _mark(path)
        return Lake("real", path, 0)
    path = work / f"league-{scale}"
    if not _whole(path):
        load_league(open_warehouse(str(path)), LeagueSpec(scale=scale, seasons=_SEASONS[scale]))
        _mark(path)
    return Lake(f"league × {scale}", path, scale)


def clear(lake: Lake) -> None:
    """Leave the raw tables alone, and what the plan keeps of them."""
    clear_output(DataSet(lake.name, lake.path, "", 0))


def _whole(path: Path) -> bool:
    """Whether it was made to its end; what an interrupted benchmark left is made anew."""
    if (path / "whole").exists():
        return True
    shutil.rmtree(path, ignore_errors=True)
    return False


def _mark(path: Path) -> None:
    (path / "whole").touch()
