"""Columns *Form*: averages over a player's newest games."""

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

__all__ = ["columns", "versus_tracks", "with_figures"]

_SHOTS = ("fgm", "fga")
_USAGE = ("fga", "fta", "tov", "minutes")
_SUMMED = ("points", "has_points", "paired_fgm", "paired_fga")
_TEN = ("squared", "minutes", "has_minutes", "timed_points", "timed_minutes")


def with_figures(games: Track, team_games: pl.DataFrame) -> Track:
    """The games played, by player, with what the averages are made of.

    `team_games`: sums per `game_date`, `team_abbr` where they are known (see `team.team_games`).
    """
    both = known(["points", "minutes"])
    team = team_games.select("game_date", "team_abbr", "length", "team_uses")
    rows = games.rows.join(
        team, on=["game_date", "team_abbr"], how="left", maintain_order="left"
    ).with_columns(
        pl.col("points").is_not_null().alias("has_points"),
        (pl.col("points") * pl.col("points")).alias("squared"),
        pl.col("minutes").is_not_null().alias("has_minutes"),
        pl.when(both).then("points").alias("timed_points"),
        pl.when(both).then("minutes").alias("timed_minutes"),
        *(pl.when(known(_SHOTS)).then(name).alias(f"paired_{name}") for name in _SHOTS),
        _usage().alias("usage"),
    )
    return replace(games, rows=rows.with_columns(mean_newest("usage", 10).alias("usage_mean")))


def _usage() -> pl.Expr:
    """100 · uses · (game minutes / 5) ÷ (minutes · team uses), of integers: one division."""
    uses = 100 * pl.col("fga") + 44 * pl.col("fta") + 100 * pl.col("tov")
    below = 5 * pl.col("minutes") * pl.col("team_uses")
    usable = known(_USAGE) & (pl.col("minutes") > 0) & (below != 0)
    return pl.when(usable).then((100_000 * uses * pl.col("length")) / below)


def columns(people: pl.DataFrame, games: Track, versus: tuple[Track, pl.DataFrame]) -> pl.DataFrame:
    """The columns of the group and `l10_timed` (games), one row per row of `people`.

    `l10_timed`: those of the newest 10 games with known minutes. `people`: `game_date`,
    `player_lookup`, `opponent`. `games`: games played by player, through
    `with_figures`. `versus`: from `versus_tracks`. Averages Float64, counts Int64.
    """
    history = past(games, people)
    sums = pl.concat(
        [
            sums_newest(history, _SUMMED).select(pl.all().name.suffix("_all")),
            sums_newest(history, _SUMMED, 5).select(pl.all().name.suffix("_5")),
            sums_newest(history, (*_SUMMED, *_TEN), 10).select(pl.all().name.suffix("_10")),
            nth(history, "usage_mean"),
            history.n.alias("n").to_frame(),
        ],
        how="horizontal",
    )
    form = sums.select(
        _mean("points", "5").alias("points_avg_last_5"),
        _mean("points", "10").alias("points_avg_last_10"),
        _mean("points", "all").alias("points_avg_season"),
        _deviation().alias("points_std_last_10"),
        (_mean("minutes", "10") / 1000).alias("minutes_avg_last_10"),
        ratio(1000 * pl.col("timed_points_10"), pl.col("timed_minutes_10")).alias(
            "ppm_avg_last_10"
        ),
        pl.col("usage_mean").alias("usage_rate_last_10"),
        (_percentage("all") - _percentage("5")).alias("shooting_pct_decline_last_5"),
        pl.col("n").alias("games_played_season"),
        pl.col("has_points_5").alias("l5_games_used"),
        pl.col("has_points_10").alias("l10_games_used"),
        pl.col("has_minutes_10").alias("l10_timed"),
    )
    return pl.concat([form, _versus(people, versus)], how="horizontal")


def _mean(column: str, newest: str) -> pl.Expr:
    return ratio(pl.col(f"{column}_{newest}"), pl.col(f"has_{column}_{newest}"))


def _percentage(newest: str) -> pl.Expr:
    return ratio(pl.col(f"paired_fgm_{newest}"), pl.col(f"paired_fga_{newest}"))


def _deviation() -> pl.Expr:
    """Sample standard deviation of the newest 10, from integer sums: √((nΣx² − (Σx)²)/(n(n−1)))."""
    count, total = pl.col("has_points_10"), pl.col("points_10")
    return ratio(count * pl.col("squared_10") - total * total, count * (count - 1)).sqrt()


def versus_tracks(played: pl.DataFrame, played_before: pl.DataFrame) -> tuple[Track, pl.DataFrame]:
    """This season's games by player and opponent, and the season before's sums of them."""
    has = pl.col("points").is_not_null().alias("has_points")
    games = played.select("player_lookup", "opponent", "game_date", "points", has)
    before = played_before.group_by("player_lookup", "opponent").agg(
        pl.len().cast(pl.Int64).alias("games_before"),
        pl.col("points").sum().cast(pl.Int64).alias("points_before"),
        has.sum().cast(pl.Int64).alias("has_points_before"),
    )
    return track(games, "player_lookup", "opponent"), before


def _versus(people: pl.DataFrame, versus: tuple[Track, pl.DataFrame]) -> pl.DataFrame:
    """Average and number of games against the opponent, this season and the one before."""
    games, sums = versus
    history = past(games, people)
    before = people.select("player_lookup", "opponent").join(
        sums, on=["player_lookup", "opponent"], how="left", maintain_order="left"
    )
    both = pl.concat(
        [
            before.select(pl.exclude("player_lookup", "opponent").fill_null(0)),
            sums_newest(history, ["points", "has_points"]),
            history.n.alias("n").to_frame(),
        ],
        how="horizontal",
    )
    points = pl.col("points_before") + pl.col("points")
    scored = pl.col("has_points_before") + pl.col("has_points")
    return both.select(
        ratio(points, scored).alias("avg_points_vs_opponent"),
        (pl.col("games_before") + pl.col("n")).alias("games_vs_opponent"),
    )
