"""One row per key out of raw rows that repeat and disagree.

Identical rows count once; of rows that disagree the latest `processed_at` wins, NULL being the
earliest. Rows that still disagree are ties: the value they disagree on is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

__all__ = ["Resolved", "counting", "keep_best", "resolve", "resolve_schedule"]

GAME = ("game_date", "home_team", "away_team")

_NOT_COUNTING = ("preseason", "allstar", "allstargame", "risingstars")


@dataclass(frozen=True, slots=True)
class Resolved:
    """`rows`: one per key, NULL in each column on which its tied rows disagree.

    `ties`: the tied rows as they are, of all keys that stay undecided.
    """

    rows: pl.DataFrame
    ties: pl.DataFrame


def keep_best(frame: pl.DataFrame, key: Sequence[str], order: Sequence[str]) -> pl.DataFrame:
    """The rows that are highest of their key in each column of `order` in turn, NULL lowest.

    Rows of a key that are equal in all of `order` all stay.
    """
    double = frame.select(key).is_duplicated()
    if not double.any():
        return frame
    rest = frame.filter(double)
    for column in order:
        best = pl.col(column).max().over(key)
        rest = rest.filter(pl.col(column).eq_missing(best))
    return pl.concat([frame.filter(~double), rest])


def resolve(
    frame: pl.DataFrame, key: Sequence[str], order: Sequence[str] = ("processed_at",)
) -> Resolved:
    """Decide the rows of each key by `order`. `processed_at` is not a column of the result.

    Every other column of `frame` is compared, so it should hold only those that are used.
    """
    kept = keep_best(frame, key, order).drop("processed_at")
    double = kept.select(key).is_duplicated()
    if not double.any():
        return Resolved(kept, kept.clear())
    rest = kept.filter(double).unique()
    tied = rest.select(key).is_duplicated()
    single, ties = rest.filter(~tied), rest.filter(tied)
    clean = pl.concat([kept.filter(~double), single])
    values = [name for name in kept.columns if name not in key]
    settled = ties.group_by(key).agg(
        pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()) for name in values
    )
    return Resolved(pl.concat([clean, settled.select(kept.columns)]), ties)


def resolve_schedule(frame: pl.DataFrame) -> Resolved:
    """Games out of scrapes: keys `game_date`, `home_team`, `away_team`.

    A `game_id` on two dates belongs to the higher status, then to the later date, then to the
    latest scrape; of several rows of a game the highest status wins, then the latest scrape.
    """
    games = frame.rename(
        {
            "game_id": "nba_game_id",
            "game_date_est": "tipoff_at",
            "game_status": "status",
            "home_team_tricode": "home_team",
            "away_team_tricode": "away_team",
            "is_regular_season": "is_regular",
            "neutral_site_flag": "is_neutral",
            "home_team_score": "home_score",
            "away_team_score": "away_score",
        }
    )
    games = keep_best(games, ["nba_game_id"], ["status", "game_date", "processed_at"])
    return resolve(games, GAME, ["status", "processed_at"])


def kind_of_game() -> pl.Expr:
    """`season_type` in lower case, letters only; '' where unknown."""
    return pl.col("season_type").fill_null("").str.to_lowercase().str.replace_all("[^a-z]", "")


def counting() -> pl.Expr:
    """Whether a game counts: neither preseason nor an All-Star event."""
    prefix = pl.col("nba_game_id").fill_null("").str.slice(0, 3)
    return ~kind_of_game().is_in(_NOT_COUNTING) & ~prefix.is_in(["001", "003"])
