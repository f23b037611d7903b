"""The inputs: the real seasons, and a made-up league of several times their size a season."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.machine import PROJECT
from ray_backfill.loading.load import load_files
from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.demo_league import LeagueSpec
from ray_backfill_nba.demo_league.load import load as load_league
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import RAW_TABLES

__all__ = ["DataSet", "clear_output", "drop_cache", "league", "real", "sample_days", "why_absent"]

_HOUSE = "_ray_backfill"


@dataclass(frozen=True)
class DataSet:
    """A lake with raw tables. `season`: one whole season of it; `seasons`: how many it has."""

    name: str
    lake: Path
    season: str
    seasons: int


def real_data() -> Path:
    """Where the files of real data are, whether or not there are any."""
    default = PROJECT.parent / "shared" / "data" / "nba"
    return Path(os.environ.get("RAY_BACKFILL_REAL_DATA", default))


def why_absent() -> str | None:
    """Why the real seasons cannot be measured; None where they can."""
    if (real_data() / "nbac_schedule.parquet").exists():
        return None
    return f"no real data in {real_data()} (set RAY_BACKFILL_REAL_DATA)"


def real(work: Path) -> DataSet:
    """The real seasons, loaded as a user would."""
    lake = work / "real"
    house = open_warehouse(str(lake))
    for table in RAW_TABLES:
        path = real_data() / f"{table.name.split('.')[1]}.parquet"
        if path.exists():
            load_files(house, table, [path])
    return DataSet("five real seasons", lake, "2024-25", 5)


def league(work: Path, scale: int) -> DataSet:
    """One made-up season of `scale` leagues side by side."""
    lake = work / f"league-{scale}"
    spec = LeagueSpec(scale=scale, seasons=1)
    load_league(open_warehouse(str(lake)), spec)
    return DataSet(f"made-up league × {scale}, one season", lake, "2024-25", 1)


def clear_output(data: DataSet) -> None:
    """Leave the raw tables alone: no output, no cache, no run has ever been."""
    shutil.rmtree(data.lake / JOB.output.name.replace(".", "/"), ignore_errors=True)
    shutil.rmtree(data.lake / _HOUSE, ignore_errors=True)


def drop_cache(data: DataSet) -> None:
    """Lose the digest cache, which may be lost at any time."""
    shutil.rmtree(data.lake / _HOUSE / "cache", ignore_errors=True)


def sample_days(data: DataSet, count: int) -> list[date]:
    """Computed dates spread evenly over the seasons, of those whose games all have box scores.

    The pandas script knows no rosters.
    """
    rows = open_warehouse(str(data.lake)).read(JOB.output, ["game_date", "population"])
    days = (
        pl.DataFrame(rows)
        .group_by("game_date")
        .agg((pl.col("population") == "gamebook").all().alias("booked"))
        .filter("booked")["game_date"]
        .sort()
        .to_list()
    )
    if len(days) <= count:
        return days
    return [days[round((n + 0.5) * len(days) / count - 0.5)] for n in range(count)]
