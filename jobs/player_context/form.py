"""Columns *Form*: averages over a player's newest games."""

from __future__ import annotations

import polars as pl

from jobs.player_context.history import (
    Past,
    Track,
    known,
    mean_newest,
    nth,
    past,
    ratio,
    sum_newest,
    track,
)

__all__ = ["columns", "form_track"]

_SHOTS = ("fgm", "fga")
_USAGE = ("fga", "fta", "tov", "minutes")


def form_track(played: pl.DataFrame, team_games: pl.DataFrame) -> Track:
    """The games played, with what the averages are made of, by player.

    `team_games`: sums per `game_date`, `team_abbr` (see `team.team_games`).
    """
    both = known(["points", "minutes"])
    games = played.join(
        team_games.select("game_date", "team_abbr", "length", "team_uses", "has_uses"),
        on=["game_date", "team_abbr"],
        how="left",
    ).with_columns(
        pl.col("points").is_not_null().alias("has_points"),
        (pl.col("points") ** 2).alias("squared"),
        pl.col("minutes").is_not_null().alias("has_minutes"),
        pl.when(both).then("points").alias("timed_points"),
        pl.when(both).then("minutes").alias("timed_minutes"),
        *(pl.when(known(_SHOTS)).then(name).alias(f"paired_{name}") for name in _SHOTS),
        _usage().alias("usage"),
    )
    found = track(games, "player_lookup")
    usage = mean_newest(found, "usage", 10).alias("usage_mean")
    return Track(found.rows.with_columns(usage), found.by, found.who, found.key, found.since)


def _usage() -> pl.Expr:
    """100 · uses · (game minutes / 5) ÷ (minutes · team uses), of integers: one division."""
    uses = 100 * pl.col("fga") + 44 * pl.col("fta") + 100 * pl.col("tov")
    below = 5 * pl.col("minutes") * pl.col("team_uses")
    usable = pl.col("has_uses") & known(_USAGE) & (pl.col("minutes") > 0) & (below != 0)
    return pl.when(usable).then((100_000 * uses * pl.col("length")) / below)


def columns(people: pl.DataFrame, games: Track, versus: tuple[Track, pl.DataFrame]) -> pl.DataFrame:
    """The columns of the group, one row per row of `people`.

    `people`: `game_date`, `player_lookup`, `opponent`. `games`: from `form_track`. `versus`: from
    `versus_tracks`. Averages Float64, counts Int64.
    """
    history = past(games, people)
    form = pl.DataFrame(
        {
            "points_avg_last_5": _mean(history, "points", "has_points", 5),
            "points_avg_last_10": _mean(history, "points", "has_points", 10),
            "points_avg_season": _mean(history, "points", "has_points", None),
            "points_std_last_10": _deviation(history),
            "minutes_avg_last_10": _mean(history, "minutes", "has_minutes", 10) / 1000,
            "ppm_avg_last_10": ratio(
                1000 * sum_newest(history, "timed_points", 10),
                sum_newest(history, "timed_minutes", 10),
            ),
            "usage_rate_last_10": nth(history, "usage_mean"),
            "shooting_pct_decline_last_5": _percentage(history, None) - _percentage(history, 5),
            "games_played_season": history.n,
            "l5_games_used": sum_newest(history, "has_points", 5),
            "l10_games_used": sum_newest(history, "has_points", 10),
        }
    )
    return pl.concat([form, _versus(people, versus)], how="horizontal")


def _mean(history: Past, column: str, has: str, newest: int | None) -> pl.Series:
    return ratio(sum_newest(history, column, newest), sum_newest(history, has, newest))


def _percentage(history: Past, newest: int | None) -> pl.Series:
    return ratio(
        sum_newest(history, "paired_fgm", newest), sum_newest(history, "paired_fga", newest)
    )


def _deviation(history: Past) -> pl.Series:
    """Sample standard deviation of the newest 10, from integer sums: √((nΣx² − (Σx)²)/(n(n−1)))."""
    count = sum_newest(history, "has_points", 10)
    total = sum_newest(history, "points", 10)
    spread = count * sum_newest(history, "squared", 10) - total * total
    return ratio(spread, count * (count - 1)).sqrt()


def versus_tracks(played: pl.DataFrame, played_before: pl.DataFrame) -> tuple[Track, pl.DataFrame]:
    """This season's games by player and opponent, and the season before's sums of them."""
    has = pl.col("points").is_not_null().alias("has_points")
    games = played.select("player_lookup", "opponent", "game_date", "points", has)
    before = played_before.group_by("player_lookup", "opponent").agg(
        pl.len().cast(pl.Int64).alias("games"),
        pl.col("points").sum().cast(pl.Int64),
        has.sum().cast(pl.Int64),
    )
    return track(games, "player_lookup", "opponent"), before


def _versus(people: pl.DataFrame, versus: tuple[Track, pl.DataFrame]) -> pl.DataFrame:
    """Average and number of games against the opponent, this season and the one before."""
    games, sums = versus
    history = past(games, people)
    before = people.select("player_lookup", "opponent").join(
        sums, on=["player_lookup", "opponent"], how="left", maintain_order="left"
    )
    before = before.with_columns(pl.col("games", "points", "has_points").fill_null(0))
    points = before["points"] + sum_newest(history, "points")
    return pl.DataFrame(
        {
            "avg_points_vs_opponent": ratio(
                points, before["has_points"] + sum_newest(history, "has_points")
            ),
            "games_vs_opponent": before["games"] + history.n,
        }
    )
