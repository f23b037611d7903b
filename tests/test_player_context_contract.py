"""The job's declaration: its columns are documented, and what counts as its code is complete."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

import ray_backfill_nba
from ray_backfill.job import Day
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.player_context.gates import (
    known_before_tipoff,
    rest_is_past,
    spreads_mirror,
    team_in_game,
)
from tests.test_player_context_lines import D, computed, season, spread

DECIDE_NOTHING = {
    "ray_backfill_nba.__init__",
    "ray_backfill_nba.raw_tables",
    *(
        f"ray_backfill_nba.player_context.{name}"
        for name in ("__init__", "calendar", "columns", "gates", "inputs", "options", "views")
    ),
}
"""Modules whose code decides no value of a row; beside `doubts`, which only tells."""


def test_every_column_says_what_it_is() -> None:
    """A description each, with what NULL means where there may be one."""
    for column in JOB.output.columns:
        assert column.description, column.name
        assert (
            not column.nullable
            or "NULL" in column.description
            or "of the opponent" in (column.description)
        ), column.name


def test_every_module_that_decides_values_is_in_the_code_version() -> None:
    """Also a new one: it must be listed in the job, or here."""
    root = Path(ray_backfill_nba.__file__).parent
    found = {
        ".".join(("ray_backfill_nba", *path.relative_to(root).with_suffix("").parts))
        for folder in (root, root / "player_context")
        for path in folder.glob("*.py")
    }
    assert set(JOB.modules) == found - DECIDE_NOTHING


def test_inputs_are_columns_of_their_tables() -> None:
    """Every input asks for columns that its table has, and its partition."""
    for one in JOB.inputs:
        names = {column.name for column in one.table.columns}
        assert set(one.columns) <= names, one.name
        assert one.table.partition is None or one.table.partition in one.columns


def rows_of_a_date() -> pl.DataFrame:
    """The rows of a date with a spread."""
    lines = [spread(-4.5, "Boston"), spread(4.5, "New York")]
    return computed(season(D) | {raw.GAME_LINES: lines}).rows


@pytest.mark.parametrize(
    ("gate", "wrong", "says"),
    [
        (spreads_mirror, pl.lit(-4.5).alias("game_spread"), "not the negative"),
        (known_before_tipoff, pl.col("tipoff_at").alias("spread_at"), "known at tip-off"),
        (rest_is_past, pl.lit(0, dtype=pl.Int64).alias("days_rest"), "impossible days of rest"),
        (team_in_game, pl.lit("NYK").alias("opponent_team_abbr"), "not in the game"),
    ],
)
def test_gates(gate: object, wrong: pl.Expr, says: str) -> None:
    """Each passes what is computed and names what cannot be."""
    rows, day = rows_of_a_date(), Day(D, None, expected_rows=2)
    assert callable(gate)
    assert gate(rows, day) is None
    assert re.search(says, gate(rows.with_columns(wrong), day))
