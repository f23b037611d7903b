"""Five real seasons, loaded and run through the command line; facts that anyone can look up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import GAME_LINES, RAW_TABLES, SCHEDULE
from tests.conftest import environment
from tests.engine import output
from tests.frames import real_data

pytestmark = pytest.mark.skipif(
    not real_data().is_dir(), reason=f"there is no real data in {real_data()}"
)
SCRIPT = Path(sys.executable).parent / "ray-backfill"
PLAY_IN = ["2022-04-12", "2022-04-13", "2022-04-15", "2023-04-11", "2023-04-12", "2023-04-14"]


def call(lake: Path, *args: str) -> str:
    """Stdout of a command that ends with 0."""
    done = subprocess.run(
        [SCRIPT, *args, "-w", lake], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the real tables loaded and all five seasons computed on local Ray."""
    root = tmp_path_factory.mktemp("real") / "lake"
    for table in RAW_TABLES:
        path = real_data() / f"{table.name.split('.')[1]}.parquet"
        if path.exists():
            call(root, "load", table.name, str(path))
    report = json.loads(
        call(root, "run", "player_context", "--max-dates", "1100", "--workers", "2", "--json")
    )
    assert (report["exit_code"], report["failed"], report["quarantined"]) == (0, {}, {})
    return root


@pytest.fixture(scope="module")
def rows(lake: Path) -> pl.DataFrame:
    return output(open_warehouse(str(lake)), JOB)


@pytest.fixture(scope="module")
def schedule(lake: Path) -> pl.DataFrame:
    names = [c.name for c in SCHEDULE.columns]
    return cast(pl.DataFrame, pl.from_arrow(open_warehouse(str(lake)).read(SCHEDULE, names)))


def player(rows: pl.DataFrame, lookup: str, day: date) -> dict[str, Any]:
    return rows.row(
        by_predicate=(pl.col("player_lookup") == lookup) & (pl.col("game_date") == day), named=True
    )


def test_every_gamebook_row_has_one_row(rows: pl.DataFrame, lake: Path) -> None:
    """All 151,328 player-games are there once, beside the roster rows."""
    assert rows.filter(population="gamebook").height == 151_328
    assert not rows.select("game_date", "player_lookup").is_duplicated().any()


def test_a_second_plan_has_nothing_to_do(lake: Path) -> None:
    """Everything is complete, blocked, future or an off-day, each blocked date by name."""
    plan = json.loads(call(lake, "plan", "player_context", "--json"))
    assert (plan["selected"], plan["states"]["complete"]) == (0, 1022)
    blocked = [d["date"] for d in plan["dates"] if d["state"] == "blocked"]
    assert blocked == [*PLAY_IN, "2026-03-25"]
    assert all("no box scores" in d["reason"] for d in plan["dates"] if d["state"] == "blocked")
    text = call(lake, "plan", "player_context")
    assert all(day in text for day in blocked)


def test_dates_whose_games_are_not_final_are_roster_dates(rows: pl.DataFrame) -> None:
    """2026-04-04, -10 and -12 have rows of rosters, and every row is one."""
    for day in (date(2026, 4, 4), date(2026, 4, 10), date(2026, 4, 12)):
        found = rows.filter(game_date=day)["population"]
        assert found.len() > 30
        assert found.unique().to_list() == ["roster"]


def test_october_and_november_2025_have_a_spread_wherever_there_is_a_line(
    rows: pl.DataFrame, lake: Path
) -> None:
    """Spreads are there, vary, and stand with opposite signs on both sides of a game."""
    months = pl.col("game_date").is_between(date(2025, 10, 1), date(2025, 11, 30))
    found = rows.filter(months)
    names = [c.name for c in GAME_LINES.columns]
    house = open_warehouse(str(lake))
    lines = cast(pl.DataFrame, pl.from_arrow(house.read(GAME_LINES, names))).filter(months)
    quoted = lines.filter(market_key="spreads").select("game_date", "home_team_abbr").unique()
    home = found.filter("home_game").join(
        quoted, left_on=["game_date", "team_abbr"], right_on=["game_date", "home_team_abbr"]
    )
    assert home.height > 3_000
    assert home["game_spread"].null_count() == 0
    assert found["game_spread"].n_unique() > 40
    sides = (
        found.drop_nulls("game_spread")
        .group_by("game_id", "home_game")
        .agg(pl.col("game_spread").unique())
        .explode("game_spread")
        .pivot(on="home_game", index="game_id", values="game_spread")
    )
    assert (sides["true"] == -sides["false"]).all()


def test_coverage_prints_the_months_of_the_case(lake: Path, rows: pl.DataFrame) -> None:
    """The month table counts what the rows hold."""
    arguments = ("--start-date", "2025-10-01", "--end-date", "2025-11-30", "--json")
    found = json.loads(call(lake, "coverage", "player_context", "-c", "game_spread", *arguments))
    for month in found["columns"]:
        truth = rows.filter(pl.col("game_date").dt.strftime("%Y-%m") == month["period"])
        assert (month["total"], month["non_null"]) == (truth.height, truth["game_spread"].count())
        assert month["distinct"] == truth["game_spread"].drop_nulls().n_unique() > 10
        assert not month["constant"]
    assert [m["period"] for m in found["columns"]] == ["2025-10", "2025-11"]


def test_seasons_start_and_last_as_they_did(rows: pl.DataFrame, schedule: pl.DataFrame) -> None:
    """Season starts, and 1,230 regular-season games each."""
    starts = rows.group_by("season").agg(pl.col("game_date").min()).sort("season")
    assert starts["game_date"].to_list() == [
        date(2021, 10, 19),
        date(2022, 10, 18),
        date(2023, 10, 24),
        date(2024, 10, 22),
        date(2025, 10, 21),
    ]
    regular = schedule.filter("is_regular_season").group_by("season").len()
    assert set(regular["len"]) == {1230}


def test_a_60_point_game_enters_the_next_game_and_not_its_own(rows: pl.DataFrame) -> None:
    """Luka Doncic's 60 points of 2022-12-27 raise his averages for 2022-12-29 only."""
    mine = rows.filter(player_lookup="lukadoncic", season="2022-23").sort("game_date")
    on, after = (player(mine, "lukadoncic", d) for d in (date(2022, 12, 27), date(2022, 12, 29)))
    n = on["games_played_season"]
    assert after["games_played_season"] == n + 1
    total = on["points_avg_season"] * n
    assert after["points_avg_season"] * (n + 1) == pytest.approx(total + 60)
    assert after["points_avg_last_5"] > on["points_avg_last_5"]


def test_a_known_back_to_back(rows: pl.DataFrame) -> None:
    """The Lakers played on 2025-01-27 and 2025-01-28; the second has one day of rest."""
    games = rows.filter(team_abbr="LAL").filter(
        pl.col("game_date").is_in([date(2025, 1, 27), date(2025, 1, 28)])
    )
    assert games["game_date"].n_unique() == 2
    second = player(rows, "lebronjames", date(2025, 1, 28))
    assert (second["days_rest"], second["back_to_back"]) == (1, True)


TIERS = {
    "2021-22": (22_255, 2_808, 2_868),
    "2022-23": (22_212, 2_758, 2_653),
    "2023-24": (26_841, 3_585, 4_405),
    "2024-25": (27_309, 3_582, 4_197),
    "2025-26": (12_804, 12_351, 3_137),
}
"""Gold, silver and bronze rows, as the slow reference counts them."""
ISSUES = {
    "no_history": 3_942,
    "thin_history": 6_892,
    "history_gap": 4_298,
    "history_incomplete": 5_011,
    "no_minutes": 4_582,
    "no_tipoff": 18,
    "overdue_game": 1_717,
    "no_game_spread": 345,
    "no_game_total": 382,
    "no_points_line": 139_533,
    "unstamped_line": 50_320,
    "no_injury_report": 143_713,
}
"""Likewise. No tip-off is disputed, no line uniform, no spread or total implausible."""


def test_tiers_and_issues_are_as_often_as_the_reference_says(rows: pl.DataFrame) -> None:
    """Over all 153,765 rows of five seasons."""
    assert rows.height == 153_765
    for season, counts in TIERS.items():
        of_season = rows.filter(season=season)["data_quality_tier"]
        assert tuple((of_season == t).sum() for t in ("gold", "silver", "bronze")) == counts
    issues = rows["data_quality_issues"].explode().drop_nulls().value_counts()
    assert dict(issues.iter_rows()) == ISSUES


def test_lines_rest_and_reports_sum_to_what_the_reference_says(rows: pl.DataFrame) -> None:
    """Known values, and their sums, of the columns that the rules on raw data decide."""
    expected = {
        "current_points_line": (14_232, 202_789.25),
        "opening_points_line": (8_170, 113_036.0),
        "line_movement": (8_170, 88.5),
        "prop_over_streak": (14_232, 13_415),
        "prop_under_streak": (14_232, 12_949),
        "days_rest": (145_534, 536_304),
        "games_in_last_7_days": (149_467, 354_768),
        "missing_box_scores": (153_765, 12_251),
    }
    found = {name: (rows[name].count(), rows[name].sum()) for name in expected}
    assert found == expected
    statuses = dict(rows["player_status"].drop_nulls().value_counts().iter_rows())
    assert statuses == {
        "available": 6_810,
        "questionable": 2_770,
        "out": 413,
        "probable": 44,
        "doubtful": 15,
    }


def test_rows_of_overdue_games_say_so(rows: pl.DataFrame) -> None:
    """All of 2026-04-04, -10 and -12, and what comes behind them knows no rest."""
    overdue = pl.col("data_quality_issues").list.contains("overdue_game")
    days = rows.filter(overdue)["game_date"].unique().sort().to_list()
    assert days[:3] == [date(2026, 4, 4), date(2026, 4, 10), date(2026, 4, 12)]
    assert (len(days), days[-1]) == (9, date(2026, 4, 23))
    behind = rows.filter(pl.col("game_date") == date(2026, 4, 12))
    assert behind["days_rest"].null_count() == behind.height


def test_no_content_column_is_constant(rows: pl.DataFrame) -> None:
    """A constant column is a bug, but where the real data lacks what it is made of."""
    lacking = {
        "injury_reason",  # no reason stands in the real reports
        "points_line_source",  # there is no BettingPros data
    }
    names = [c.name for c in JOB.output.columns if c.kind != "strings"]
    constant = {name for name in names if rows[name].drop_nulls().n_unique() < 2}
    assert constant == lacking


def test_the_report_says_what_matched_nothing(lake: Path) -> None:
    """Lines without a game and props without a player are counted by source."""
    (path,) = (lake / "_ray_backfill" / "reports").rglob("*.json")
    report = json.loads(path.read_text())
    tables = {u["table"] for u in report["unmatched"]}
    assert "nba_raw.odds_api_player_points_props" in tables
    assert "nba_raw.odds_api_game_lines" in tables
    assert all(u["rows"] > 0 and u["why"] for u in report["unmatched"])
    assert os.fspath(lake) in report["warehouse"]
