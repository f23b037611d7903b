"""How much of the team's past is known: gaps in its box scores."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.history import past, rows_since, sums_newest, sums_since, track

__all__ = ["columns"]

GAP_DAYS = 14
_NEWEST = 10


def columns(slate: pl.DataFrame, sides: pl.DataFrame, strays: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `slate`: what the box scores of the team's games before it lack.

    `sides`: every side of the season with `is_complete`, games still to be played too. `strays`:
    `game_date`, `team_abbr`. Gives `history_gap` (one is missing in the 14 days before),
    `missing_box_scores` (Int64), `newest_complete` (those of the newest 10 games are there).
    """
    bare = (~pl.col("is_complete")).alias("bare")
    games = past(track(sides.select("game_date", "team_abbr", bare), "team_abbr"), slate)
    stray = past(track(strays.select("game_date", "team_abbr"), "team_abbr"), slate)
    near = sums_since(games, ["bare"], GAP_DAYS)["bare"] + rows_since(stray, GAP_DAYS)
    return pl.DataFrame(
        {
            "history_gap": near > 0,
            "missing_box_scores": sums_newest(games, ["bare"])["bare"] + stray.n,
            "newest_complete": sums_newest(games, ["bare"], _NEWEST)["bare"] == 0,
        }
    )
