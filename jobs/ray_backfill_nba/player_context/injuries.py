"""Columns *Injuries*: the team's latest report before tip-off, and who it takes away."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.clean import Resolved, resolve
from ray_backfill_nba.player_context.history import Track, past, sums_newest

__all__ = ["KEY", "columns", "latest_reports", "normalised", "star_flags"]

KEY = ["report_timestamp", "game_date", "team_abbr", "player_lookup"]
_OUT = ["out", "doubtful"]
_COUNTED = ("questionable", "probable", "star")


def normalised(injuries: pl.DataFrame) -> pl.DataFrame:
    """`team` as `team_abbr`, statuses in lower case, `day-to-day` as `questionable`."""
    status = pl.col("injury_status").str.strip_chars().str.to_lowercase()
    return injuries.select(
        "game_date",
        "report_timestamp",
        pl.col("team").alias("team_abbr"),
        "player_lookup",
        pl.when(status == "day-to-day")
        .then(pl.lit("questionable"))
        .otherwise(status)
        .alias("status"),
        "reason",
        "processed_at",
    )


def latest_reports(slate: pl.DataFrame, injuries: pl.DataFrame) -> tuple[Resolved, pl.DataFrame]:
    """The rows of each team's latest report before tip-off, and the reports' times.

    Where the tip-off is not known, before the day begins in the US East. `slate`: `game_date`,
    `team_abbr`, `tipoff_at`. `injuries`: normalised, aliases resolved. The second frame holds
    `game_date`, `team_abbr`, `report_at`; a report may list nobody by a usable name.
    """
    midnight = (
        pl.col("game_date")
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("America/New_York")
        .dt.convert_time_zone("UTC")
    )
    limits = slate.select(
        "game_date", "team_abbr", pl.coalesce("tipoff_at", midnight).alias("limit")
    )
    team = ["game_date", "team_abbr"]
    usable = injuries.join(limits, on=team).filter(pl.col("report_timestamp") < pl.col("limit"))
    times = usable.group_by(team).agg(pl.col("report_timestamp").max().alias("report_at"))
    rows = usable.join(times, on=team).filter(pl.col("report_timestamp") == pl.col("report_at"))
    listed = rows.filter(pl.col("player_lookup").is_not_null()).drop("limit", "report_at")
    return resolve(listed, KEY), times


def star_flags(listed: pl.DataFrame, games: Track) -> pl.Series:
    """Whether each listed player is a star before the date (Boolean).

    At least 18 points, or 28 minutes with 12 points, on average over 5 or more games.
    """
    history = past(games, listed)
    sums = sums_newest(history, ["points", "has_points", "minutes", "has_minutes"])
    # Compared as products of integers: an average of exactly 18 is a star's.
    scored, timed = pl.col("has_points"), pl.col("has_minutes")
    by_points = (scored > 0) & (pl.col("points") >= 18 * scored)
    by_minutes = (timed > 0) & (pl.col("minutes") >= 28_000 * timed)
    by_both = by_minutes & (scored > 0) & (pl.col("points") >= 12 * scored)
    star = (pl.lit(history.n) >= 5) & (by_points | by_both)
    return sums.select(star.alias("star")).to_series()


def _marks(listed: pl.DataFrame, games: Track) -> pl.DataFrame:
    """The listed players with what each adds to his teammates' counts (Boolean)."""
    status = pl.col("status")
    return listed.select(
        "game_date",
        "team_abbr",
        "player_lookup",
        "status",
        "reason",
        (status == "questionable").fill_null(False).alias("questionable"),
        (status == "probable").fill_null(False).alias("probable"),
        (status.is_in(_OUT).fill_null(False) & star_flags(listed, games)).alias("star"),
        pl.lit(True).alias("is_listed"),
    )


def columns(
    people: pl.DataFrame, listed: pl.DataFrame, times: pl.DataFrame, games: Track
) -> pl.DataFrame:
    """The columns of the group and `report_at`, one row per row of `people`.

    `people`: `game_date`, `player_lookup`, `team_abbr`; `listed` and `times`: the latest reports;
    `games`: the games played with `points`, `minutes`, `has_points`, `has_minutes`. Counts Int64.
    """
    marks = _marks(listed, games)
    team = ["game_date", "team_abbr"]
    teams = marks.group_by(team).agg(pl.col(name).sum().alias(f"team_{name}") for name in _COUNTED)
    found = (
        people.select("game_date", "player_lookup", "team_abbr")
        .join(marks, on=[*team, "player_lookup"], how="left", maintain_order="left")
        .join(times, on=team, how="left", maintain_order="left")
        .join(teams, on=team, how="left", maintain_order="left")
    )
    has_report = pl.col("report_at").is_not_null()
    mates = {
        name: pl.when(has_report).then(
            pl.col(f"team_{name}").fill_null(0).cast(pl.Int64)
            - pl.col(name).fill_null(False).cast(pl.Int64)
        )
        for name in _COUNTED
    }
    return found.select(
        pl.when("is_listed")
        .then("status")
        .when(has_report)
        .then(pl.lit("available"))
        .alias("player_status"),
        pl.col("reason").alias("injury_reason"),
        mates["questionable"].alias("questionable_teammates"),
        mates["probable"].alias("probable_teammates"),
        mates["star"].alias("star_teammates_out"),
        "report_at",
    )
