"""Columns *Injuries*: the team's latest report before tip-off, and who it takes away."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ray_backfill_nba.aliases import Aliases, resolve_lookups
from ray_backfill_nba.clean import resolve
from ray_backfill_nba.history import Track, past, sums_newest
from ray_backfill_nba.names import normalised
from ray_backfill_nba.population import latest_rows

__all__ = [
    "KEY",
    "Reports",
    "columns",
    "is_report",
    "latest_reports",
    "read",
    "star_flags",
    "with_teams",
]

KEY = ["report_timestamp", "game_date", "team_abbr", "player_lookup"]
STATUSES = ("out", "doubtful", "questionable", "probable", "available", "day-to-day")
_OUT = ["out", "doubtful"]
_COUNTED = ("questionable", "probable", "star")


@dataclass(frozen=True, slots=True)
class Reports:
    """The latest report of each team: `rows` of `KEY`, `status` and `reason`, one per player.

    `times`: `game_date`, `team_abbr`, `report_at`. `ties`: rows of one key that disagree.
    """

    rows: pl.DataFrame
    times: pl.DataFrame
    ties: pl.DataFrame


def read(
    injuries: pl.DataFrame, people: pl.DataFrame, aliases: Aliases, season: str
) -> pl.DataFrame:
    """Raw rows with normalised names, aliases resolved: `team` as `team_abbr`, and `status`."""
    rows = resolve_lookups(normalised(injuries), people, aliases, pl.lit(season), team="team")
    return rows.rename({"team": "team_abbr", "injury_status": "status"})


def is_report() -> pl.Expr:
    """Whether a row says of somebody how he is."""
    known = pl.col("status").is_in(STATUSES).fill_null(False)
    return pl.col("player_lookup").is_not_null() & known


def with_teams(reports: pl.DataFrame, people: pl.DataFrame, rosters: pl.DataFrame) -> pl.DataFrame:
    """Report rows with the team of those that state none.

    The player's in the population of the date, else that of his latest gamebook row within the
    30 days before, else NULL. `people`, `rosters`: `game_date`, `player_lookup`, `team_abbr`.
    """
    bare = reports.filter(pl.col("team_abbr").is_null())
    if bare.is_empty():
        return reports
    key = ["game_date", "player_lookup"]
    days = bare.select(pl.col("game_date").alias("day")).unique()
    theirs = rosters.join(bare, on="player_lookup", how="semi").select(*key, "team_abbr")
    latest = latest_rows(days, theirs).select(
        pl.col("day").alias("game_date"), "player_lookup", pl.col("team_abbr").alias("last_team")
    )
    found = (
        bare.drop("team_abbr")
        .join(people.select(*key, pl.col("team_abbr").alias("own_team")), on=key, how="left")
        .join(latest, on=key, how="left")
        .with_columns(pl.coalesce("own_team", "last_team").alias("team_abbr"))
    )
    return pl.concat([reports.drop_nulls("team_abbr"), found.select(reports.columns)])


def latest_reports(slate: pl.DataFrame, reports: pl.DataFrame) -> Reports:
    """The rows of each team's latest report before tip-off.

    Where the tip-off is not known, before the day begins in the US East. `slate`: `game_date`,
    `team_abbr`, `tipoff_at`. `reports`: rows that are reports, with their team;
    `day-to-day` counts as questionable.
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
    usable = reports.join(limits, on=team).filter(pl.col("report_timestamp") < pl.col("limit"))
    times = usable.group_by(team).agg(pl.col("report_timestamp").max().alias("report_at"))
    rows = usable.join(times, on=team).filter(pl.col("report_timestamp") == pl.col("report_at"))
    status = pl.col("status").replace({"day-to-day": "questionable"})
    found = resolve(rows.with_columns(status).drop("limit", "report_at"), KEY)
    return Reports(found.rows, times, found.ties)


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


def columns(people: pl.DataFrame, reports: Reports, games: Track) -> pl.DataFrame:
    """The columns of the group and `report_at`, one row per row of `people`.

    `people`: `game_date`, `player_lookup`, `team_abbr`; `games`: the games played with `points`,
    `minutes`, `has_points`, `has_minutes`. Counts Int64.
    """
    marks = _marks(reports.rows, games)
    team = ["game_date", "team_abbr"]
    teams = marks.group_by(team).agg(pl.col(name).sum().alias(f"team_{name}") for name in _COUNTED)
    found = (
        people.select("game_date", "player_lookup", "team_abbr")
        .join(marks, on=[*team, "player_lookup"], how="left", maintain_order="left")
        .join(reports.times, on=team, how="left", maintain_order="left")
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
