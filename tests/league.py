"""A small made-up league in a lake, for tests that run the main job through the engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from ray_backfill.engine.runs import RunOptions
from ray_backfill.plan import Plan
from ray_backfill.warehouse import Warehouse
from ray_backfill_nba.demo_league import LeagueSpec, late_lines, tables
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests.engine import planned

PLAYER_CONTEXT = RunOptions("player_context", parallel=False, backoff_seconds=0.01)
SMALL = LeagueSpec(
    seed=11, first_season=2024, seasons=2, teams=6, games=24, withhold_lines="2025-11"
)
LATE = next(table for table in RAW_TABLES if table.name == "nba_raw.odds_api_game_lines")


def fill(house: Warehouse, spec: LeagueSpec = SMALL) -> dict[str, pl.DataFrame]:
    """Load every raw table of a league but its late lines; gives the tables as loaded."""
    return put(house, tables(spec))


def put(house: Warehouse, found: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Load the raw tables of these; gives them."""
    loaded = {table.name: found[table.name] for table in RAW_TABLES if table.name in found}
    for table in RAW_TABLES:
        if table.name in loaded:
            house.append(table, loaded[table.name].to_arrow())
    return loaded


def late(spec: LeagueSpec = SMALL) -> pl.DataFrame:
    """The game lines that `fill` left out."""
    return pl.concat(chunk.rows for chunk in late_lines(spec))


def plan_of(house: Warehouse) -> Plan:
    """What the main job would do."""
    return planned(house, job="player_context")


def touched(plan: Plan) -> dict[date, str]:
    """Selected dates with their reasons."""
    return {d.day: d.reason for d in plan.selected}
