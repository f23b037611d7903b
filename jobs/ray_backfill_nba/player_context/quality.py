"""Columns *Quality*: how much a row rests on, and what it lacks."""

from __future__ import annotations

import polars as pl

__all__ = ["ISSUES", "columns"]

ISSUES = (
    "no_history",
    "thin_history",
    "history_gap",
    "history_incomplete",
    "no_minutes",
    "no_tipoff",
    "tipoff_disputed",
    "overdue_game",
    "no_game_spread",
    "no_game_total",
    "no_points_line",
    "unstamped_line",
    "uniform_points_line",
    "no_injury_report",
    "implausible_spread",
    "implausible_total",
)
"""In the order in which a row carries them."""


def columns(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of the group, one row per row of `rows`.

    `rows`: the columns of the other groups, and `history_gap`, `newest_complete`, `l10_timed`,
    `tipoff_disputed`, `is_overdue`, `is_uniform`, `report_at`.
    """
    games = pl.col("games_played_season")
    tier = (
        pl.when((games >= 10) & (pl.col("l10_timed") >= 5) & pl.col("newest_complete"))
        .then(pl.lit("gold"))
        .when(games >= 5)
        .then(pl.lit("silver"))
        .otherwise(pl.lit("bronze"))
    )
    times = ("points_line_at", "spread_at", "total_at", "report_at")
    return rows.select(
        tier.alias("data_quality_tier"),
        _lists(rows).alias("data_quality_issues"),
        pl.max_horizontal(times).alias("known_at_max"),
    )


def _lists(rows: pl.DataFrame) -> pl.Series:
    """The issues of each row as a list; built once per combination, of which there are few."""
    flags = _flags()
    codes = rows.select(
        pl.sum_horizontal(
            flags[name].fill_null(False).cast(pl.Int64) * (1 << bit)
            for bit, name in enumerate(ISSUES)
        ).alias("code")
    )
    distinct = codes["code"].unique().sort()
    lists = pl.DataFrame(
        {
            "code": distinct,
            "issues": [
                [name for bit, name in enumerate(ISSUES) if code >> bit & 1] for code in distinct
            ],
        },
        schema={"code": pl.Int64, "issues": pl.List(pl.String)},
    )
    return codes.join(lists, on="code", how="left", maintain_order="left")["issues"]


def _flags() -> dict[str, pl.Expr]:
    games, spread, total = (
        pl.col(name) for name in ("games_played_season", "game_spread", "game_total")
    )
    lines = (
        ("current_points_line", "points_line_at"),
        ("game_spread", "spread_at"),
        ("game_total", "total_at"),
    )
    return {
        "no_history": games == 0,
        "thin_history": games.is_between(1, 2),
        "history_gap": pl.col("history_gap"),
        "history_incomplete": pl.col("missing_box_scores") > 0,
        "no_minutes": (games > 0) & (pl.col("l10_timed") == 0),
        "no_tipoff": pl.col("tipoff_at").is_null(),
        "tipoff_disputed": pl.col("tipoff_disputed"),
        "overdue_game": pl.col("is_overdue"),
        "no_game_spread": spread.is_null(),
        "no_game_total": total.is_null(),
        "no_points_line": pl.col("current_points_line").is_null(),
        "unstamped_line": pl.any_horizontal(
            pl.col(line).is_not_null() & pl.col(at).is_null() for line, at in lines
        ),
        "uniform_points_line": pl.col("is_uniform"),
        "no_injury_report": pl.col("report_at").is_null(),
        "implausible_spread": spread.abs() > 30,
        "implausible_total": (total < 150) | (total > 300),
    }
