"""Injury reports: several a day and team, in agreement with who then plays."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.demo_league.dice import chance, key_of, number
from ray_backfill_nba.demo_league.faults import spoiled
from ray_backfill_nba.demo_league.feed_faults import REPORT_FAULTS
from ray_backfill_nba.demo_league.feeds import at_hour, conform, each, known_by_now, repeated
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import INJURIES

__all__ = ["injury_reports"]

_REASONS = (
    "Left Ankle; Sprain",
    "Right Knee; Soreness",
    "Lower Back; Tightness",
    "Left Hamstring; Strain",
    "Illness",
    "Right Wrist; Sprain",
    "Concussion Protocol",
    "Left Calf; Contusion",
)
_STATUSES = ("out", "doubtful", "questionable", "day-to-day", "probable", "available")
_OUT, _DOUBTFUL, _QUESTIONABLE, _DAY, _PROBABLE, _AVAILABLE = range(6)


def injury_reports(spec: LeagueSpec, year: int, players: pl.DataFrame) -> pl.DataFrame:
    """The reports for the games of `players`, in their order.

    One team in twenty hands in none. The last report of some comes after tip-off and differs.
    """
    shaky = pl.col("plays") & chance("shaky", 45)
    handed_in = ~chance("no report", 50, "side_key")
    rows = players.with_columns(shaky=shaky).filter(
        handed_in & (pl.col("out") | pl.col("shaky")) & (pl.col("kind") != "preseason")
    )
    rows = each(rows, "nth", 4).with_columns(key_of(5, "key", "nth").alias("report_key"))
    rows = rows.filter((pl.col("nth") < 3) | chance("afterwards", 300, "side_key"))
    rows = _with_status(_with_times(rows))
    if spec.defects:
        rows = _corrected(rows)
    rows = known_by_now(spec, rows, "report_timestamp")
    rows = spoiled(REPORT_FAULTS, spec.faults, rows)
    return conform(INJURIES, repeated(spec, rows, "reports", 25, "report_key"))


def _with_times(rows: pl.DataFrame) -> pl.DataFrame:
    nth = pl.col("nth")
    time = (
        pl.when(nth == 0)
        .then(at_hour("day", -1, 22.5))
        .when(nth == 1)
        .then(at_hour("day", 0, 16.5))
        .when(nth == 2)
        .then(pl.col("tip") - pl.duration(minutes=45))
        .otherwise(pl.col("tip") + pl.duration(minutes=25))
    )
    return rows.with_columns(report_timestamp=time, processed_at=time + pl.duration(minutes=6))


def _with_status(rows: pl.DataFrame) -> pl.DataFrame:
    """What is doubtful the evening before is settled by tip-off."""
    roll = number("status", 100, "report_key")
    nth = pl.col("nth")
    first_out = (
        pl.when(pl.col("resting") | (roll < 15))
        .then(_QUESTIONABLE)
        .when(roll < 30)
        .then(_DOUBTFUL)
        .otherwise(_OUT)
    )
    then_out = pl.when(roll < 6 + 20 * (nth == 1)).then(_DOUBTFUL).otherwise(_OUT)
    first_in = (
        pl.when(roll < 55).then(_QUESTIONABLE).when(roll < 80).then(_PROBABLE).otherwise(_DAY)
    )
    then_in = (
        pl.when(roll < 40).then(_QUESTIONABLE).when(roll < 75).then(_PROBABLE).otherwise(_AVAILABLE)
    )
    is_out = pl.col("out")
    status = (
        pl.when(nth == 3)
        .then(pl.when(is_out).then(_AVAILABLE).otherwise(_OUT))
        .when(is_out & (nth == 0))
        .then(first_out)
        .when(is_out)
        .then(then_out)
        .when(nth == 0)
        .then(first_in)
        .otherwise(then_in)
    )
    words = dict(enumerate(_STATUSES))
    reasons = dict(enumerate(_REASONS))
    why = number("reason", len(_REASONS), "year_key")
    why = why.replace_strict(reasons, return_dtype=pl.String)
    resting = pl.lit("Rest")
    return rows.with_columns(
        game_date="day",
        team="team_abbr",
        injury_status=status.cast(pl.Int64).replace_strict(words, return_dtype=pl.String),
        reason=pl.when("resting")
        .then(resting)
        .otherwise(pl.concat_str(pl.lit("Injury/Illness - "), why)),
    )


def _corrected(rows: pl.DataFrame) -> pl.DataFrame:
    """A few lines of a report were read twice, the first time wrongly."""
    wrong = rows.filter(chance("misread", 6, "report_key")).with_columns(
        injury_status=pl.lit("probable"),
        processed_at=pl.col("processed_at") - pl.duration(minutes=5),
    )
    return (
        pl.concat([wrong.with_columns(read=0), rows.with_columns(read=1)])
        .sort("side", "place", "nth", "read")
        .drop("read")
    )
