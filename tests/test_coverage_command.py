"""`coverage` of the main job: a played game whose one side has no box score."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.demo_league import tables
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import GAMEBOOK
from tests.conftest import environment
from tests.engine import output, ran
from tests.league import PLAYER_CONTEXT, SMALL, put
from tests.test_cli import SCRIPT

ROSTER = timedelta(30)


def coverage(lake: Path, *arguments: str) -> str:
    """What the command prints of the player's name, date by date."""
    asked = ("coverage", "player_context", "-c", "player_name", "--by", "date", *arguments)
    done = subprocess.run(
        [SCRIPT, *asked, "-w", str(lake)],
        capture_output=True,
        text=True,
        env=environment() | {"COLUMNS": "160"},
    )
    assert done.returncode == (1 if "--fail-under" in arguments else 0), done.stderr
    return done.stdout + done.stderr


def test_a_missing_side_counts_by_its_roster_and_is_named(tmp_path: Path) -> None:
    """The roster counted by hand: whose latest row of the thirty days before is the team's."""
    found = tables(SMALL)
    gamebook = found[GAMEBOOK.name]
    day = gamebook["game_date"].unique().sort()[-9]
    team = gamebook.filter(game_date=day)["team_abbr"].sort()[0]
    gone = (pl.col("game_date") == day) & (pl.col("team_abbr") == team)
    kept = gamebook.filter(~gone)
    house = open_warehouse(str(tmp_path / "lake"))
    put(house, {**found, GAMEBOOK.name: kept})
    assert ran(house, how=PLAYER_CONTEXT).exit_code == 0
    there = output(house, JOB).filter(game_date=day).height
    roster = _latest(kept, day).filter(team_abbr=team).height
    assert roster > 5
    dates = ("--start-date", str(day), "--end-date", str(day))
    told = json.loads(coverage(tmp_path / "lake", "--json", *dates))
    (column,) = told["columns"]
    assert (column["total"], column["expected"]) == (there, there + roster)
    ((lacking,),) = (period["lacking"] for period in told["dates"])
    assert (lacking["date"], lacking["rows"]) == (str(day), roster)
    assert f"no box scores of {team}" in lacking["why"]
    shown = coverage(tmp_path / "lake", "--fail-under", "100", *dates)
    assert "Rows that inputs lack, counted as expected" in shown
    assert f"no box scores of {team}" in shown


def _latest(gamebook: pl.DataFrame, day: date) -> pl.DataFrame:
    """Each player's latest row of the thirty days before."""
    before = gamebook.filter(pl.col("game_date").is_between(day - ROSTER, day, closed="left"))
    return before.sort("game_date").unique("player_lookup", keep="last")
