"""Columns *Team and opponent*: pace, ratings and wins of both teams before the date."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ray_backfill_nba.history import (
    Track,
    known,
    mean_newest,
    nth,
    past,
    ratio,
    sums_newest,
    track,
)

__all__ = ["columns", "ratings_track", "results_track", "team_games", "win_pct"]

_FIGURES = ("minutes", "points", "fga", "fta", "oreb", "tov")
_RATINGS = ("pace", "off_rating", "def_rating", "ft_rate_allowed")


def team_games(played: pl.DataFrame, sides: pl.DataFrame) -> pl.DataFrame:
    """Sums of the players who played per `game_date`, `team_abbr`, all integers.

    Of complete box scores in which all of them have all figures. `sides`: with `is_complete`.
    `length`: game minutes; `team_uses`: 100 · (FGA + 0.44 FTA + TOV); `possessions`: in
    hundredths.
    """
    whole = sides.filter("is_complete").select("game_date", "team_abbr")
    over = pl.col("minutes") - 240_000
    return (
        played.group_by("game_date", "team_abbr")
        .agg(
            pl.col("opponent").first(),
            *(pl.col(name).sum() for name in _FIGURES),
            known(_FIGURES).all().alias("is_known"),
        )
        .filter("is_known")
        .join(whole, on=["game_date", "team_abbr"], how="semi")
        .with_columns(
            # Half an overtime rounds up.
            (240 + 25 * ((over + 12_500) // 25_000)).alias("length"),
            (100 * pl.col("fga") + 44 * pl.col("fta") + 100 * pl.col("tov")).alias("team_uses"),
        )
        .with_columns((pl.col("team_uses") - 100 * pl.col("oreb")).alias("possessions"))
    )


def ratings_track(games: pl.DataFrame) -> Track:
    """Games that both sides are known of, by team, with means over each and the nine before it."""
    other = games.select(
        "game_date",
        pl.col("team_abbr").alias("opponent"),
        pl.col("possessions").alias("their_possessions"),
        pl.col("points").alias("their_points"),
        pl.col("fga").alias("their_fga"),
        pl.col("fta").alias("their_fta"),
    )
    both = games.join(other, on=["game_date", "opponent"])
    own, theirs = pl.col("possessions"), pl.col("their_possessions")
    rated = both.select(
        "game_date",
        "team_abbr",
        # 48 · (own + theirs) / (2 · length / 5), possessions being hundredths
        (120 * (own + theirs) / (100 * pl.col("length"))).alias("pace"),
        pl.when(own != 0).then(10_000 * pl.col("points") / own).alias("off_rating"),
        pl.when(theirs != 0).then(10_000 * pl.col("their_points") / theirs).alias("def_rating"),
        pl.when(pl.col("their_fga") != 0)
        .then(pl.col("their_fta") / pl.col("their_fga"))
        .alias("ft_rate_allowed"),
    )
    found = track(rated, "team_abbr")
    means = [mean_newest(name, 10) for name in _RATINGS]
    return replace(found, rows=found.rows.with_columns(means))


def results_track(sides: pl.DataFrame) -> Track:
    """Played games with a usable score by team, with `won`."""
    final = sides.filter(pl.col("is_played") & known(["own_score", "their_score"]))
    won = (pl.col("own_score") > pl.col("their_score")).alias("won")
    return track(final.select("game_date", "team_abbr", won), "team_abbr")


def win_pct(results: Track, asking: pl.DataFrame) -> pl.Series:
    """Wins ÷ games before the date, per row of `asking`; NULL before the first."""
    history = past(results, asking)
    wins = sums_newest(history, ["won"]).with_columns(history.n.alias("games"))
    return wins.select(ratio(pl.col("won"), pl.col("games")).alias("win_pct")).to_series()


def columns(slate: pl.DataFrame, ratings: Track, results: Track) -> pl.DataFrame:
    """The columns of the group (Float64), one row per row of `slate`."""
    team = slate.select("game_date", "team_abbr")
    opponent = slate.select("game_date", pl.col("opponent").alias("team_abbr"))
    own, theirs = past(ratings, team), past(ratings, opponent)
    found = pl.concat(
        [
            nth(own, "pace", "off_rating").rename(
                {"pace": "team_pace_last_10", "off_rating": "team_off_rating_last_10"}
            ),
            nth(theirs, *_RATINGS).rename(
                {
                    "pace": "opponent_pace_last_10",
                    "off_rating": "opponent_off_rating_last_10",
                    "def_rating": "opponent_def_rating_last_10",
                    "ft_rate_allowed": "opponent_ft_rate_allowed",
                }
            ),
            win_pct(results, team).alias("team_win_pct").to_frame(),
            win_pct(results, opponent).alias("opponent_win_pct").to_frame(),
        ],
        how="horizontal",
    )
    pace = pl.col("team_pace_last_10") - pl.col("opponent_pace_last_10")
    return found.with_columns(pace.alias("pace_differential"))
