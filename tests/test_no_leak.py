"""Nothing that happened on or after D, and no line after tip-off, moves a value of D."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

import polars as pl
import pytest

from ray_backfill_nba.demo_league import LeagueSpec, tables
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import (
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    POINTS_PROPS,
    SCHEDULE,
)
from tests.frames import Tables, calendar_of, compute_span, real_data, real_tables

LEAGUE = LeagueSpec(seed=5, first_season=2024, seasons=2, teams=8, games=30)
DRAWN = 8
FIGURES = [c.name for c in GAMEBOOK.columns if c.kind == "int"]


def absurd(raw: Tables, day: date) -> dict[str, pl.DataFrame]:
    """The tables with everything that must not matter for `day` made absurd."""
    changed = dict(raw)
    changed[GAMEBOOK.name] = _absurd_boxes(raw[GAMEBOOK.name], day)
    changed[SCHEDULE.name] = _absurd_results(raw[SCHEDULE.name], day)
    tips = _tips(raw[SCHEDULE.name])
    for table, time, number in (
        (GAME_LINES, "snapshot_timestamp", "outcome_point"),
        (POINTS_PROPS, "snapshot_timestamp", "points_line"),
    ):
        if table.name in raw:
            changed[table.name] = _absurd_lines(raw[table.name], tips, day, time, number)
    for name in (INJURIES.name, BETTINGPROS.name):
        if name in raw:
            changed[name] = _absurd_later(raw[name], tips, day)
    return changed


def _absurd_boxes(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """On D: who played and how is turned around; after D: other people as well."""
    on_or_after = pl.col("game_date") >= day
    status = pl.col("player_status").replace({"active": "dnp", "dnp": "active"})
    return rows.with_columns(
        *(pl.when(on_or_after).then(pl.lit(999)).otherwise(pl.col(n)).alias(n) for n in FIGURES),
        pl.when(on_or_after)
        .then(pl.lit(99.0))
        .otherwise("minutes_decimal")
        .alias("minutes_decimal"),
        pl.when(on_or_after).then(status).otherwise("player_status").alias("player_status"),
        pl.when(pl.col("game_date") > day)
        .then(pl.col("player_lookup") + "x")
        .otherwise("player_lookup")
        .alias("player_lookup"),
    )


def _absurd_results(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """Scores of D and later, and the statuses of games whose id stands on one date."""
    on_or_after = pl.col("game_date") >= day
    alone = (pl.col("game_date").n_unique().over("game_id") == 1) & on_or_after
    return rows.with_columns(
        pl.when(on_or_after).then(pl.lit(1)).otherwise("home_team_score").alias("home_team_score"),
        pl.when(on_or_after)
        .then(pl.lit(500))
        .otherwise("away_team_score")
        .alias("away_team_score"),
        pl.when(alone & (pl.col("game_date") > day))
        .then(4 - pl.col("game_status"))
        .otherwise("game_status")
        .alias("game_status"),
    )


def _tips(rows: pl.DataFrame) -> pl.DataFrame:
    """Earliest known tip-off of each date and home team."""
    keys = {"home_team_tricode": "home_team_abbr"}
    return (
        rows.rename(keys)
        .group_by("game_date", "home_team_abbr")
        .agg(pl.col("game_date_est").max().alias("tip"))
    )


def _absurd_lines(
    rows: pl.DataFrame, tips: pl.DataFrame, day: date, time: str, number: str
) -> pl.DataFrame:
    """Lines after tip-off on D, and all lines of later dates."""
    joined = rows.join(tips, on=["game_date", "home_team_abbr"], how="left")
    late = (pl.col("game_date") == day) & (pl.col(time) >= pl.col("tip"))
    value = (
        pl.when(late | (pl.col("game_date") > day)).then(pl.lit(-77.5)).otherwise(pl.col(number))
    )
    return joined.with_columns(value.alias(number)).select(rows.columns)


def _absurd_later(rows: pl.DataFrame, tips: pl.DataFrame, day: date) -> pl.DataFrame:
    """Later dates are gone; on D comes a row long after the last tip-off."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(3)
    name = "report_timestamp" if "report_timestamp" in rows.columns else "bookmaker_last_update"
    today = rows.filter(pl.col("game_date") == day)
    late = today.with_columns(pl.lit(end).cast(pl.Datetime("us", "UTC")).alias(name))
    if "injury_status" in rows.columns:
        late = late.with_columns(pl.lit("out").alias("injury_status"))
    else:
        late = late.with_columns(pl.lit(77.5).alias("points_line"))
    return pl.concat([rows.filter(pl.col("game_date") <= day), late])


def check(raw: Tables, seed: int, count: int) -> None:
    """Drawn dates: the rows of D stay byte for byte the same."""
    options = JOB.options()
    calendar = calendar_of(JOB, raw, options)
    due = sorted(d for d, entry in calendar.days.items() if entry.state is None)
    for day in Random(seed).sample(due, count):
        before = compute_span(JOB, raw, [day], calendar, options)
        other = absurd(raw, day)
        after = compute_span(JOB, other, [day], calendar, options)
        left, right = (c.rows.sort("player_lookup") for c in (before, after))
        differing = [c for c in left.columns if not left[c].equals(right[c], null_equal=True)]
        assert left.height == right.height, day
        assert differing == [], f"{day}: {differing}"
        assert left.height > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_future_does_not_leak_in_the_made_up_league(seed: int) -> None:
    """Absurd results from D on and absurd lines after tip-off change no value of D."""
    check(tables(LEAGUE), seed, DRAWN)


@pytest.mark.skipif(not real_data().is_dir(), reason=f"there is no real data in {real_data()}")
def test_the_future_does_not_leak_in_the_real_seasons() -> None:
    """The same on drawn dates of five real seasons."""
    check(real_tables(real_data()), 3, DRAWN)


def test_the_check_itself_would_see_a_leak() -> None:
    """What is made absurd does matter to other dates: the day after D changes."""
    raw = tables(LEAGUE)
    options = JOB.options()
    calendar = calendar_of(JOB, raw, options)
    due = sorted(d for d, entry in calendar.days.items() if entry.state is None)
    day, after = due[10], due[11]
    left = compute_span(JOB, raw, [after], calendar, options).rows.sort("player_lookup")
    right = compute_span(JOB, absurd(raw, day), [after], calendar, options).rows
    assert not left.equals(right.sort("player_lookup"))
