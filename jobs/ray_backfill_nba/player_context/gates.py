"""Rules that a computed date must pass before it is published.

They ask for what follows from the definitions, never for a share of values that happens to be
usual: a gate that blocks good data does more harm than none. That a date has rows and that its
key is unique is checked for every job, before these.
"""

from __future__ import annotations

import polars as pl

from ray_backfill.job import Day

__all__ = ["GATES"]


def team_in_game(rows: pl.DataFrame, day: Day) -> str | None:
    """`game_id` is made of the date and of the row's two teams, in the order of the venue."""
    home, away = pl.col("team_abbr"), pl.col("opponent_team_abbr")
    first = pl.when("home_game").then(away).otherwise(home)
    second = pl.when("home_game").then(home).otherwise(away)
    made = pl.concat_str(pl.col("game_date").dt.strftime("%Y%m%d"), first, second, separator="_")
    wrong = rows.filter(pl.col("game_id").ne_missing(made) | (home == away))
    return _offenders(wrong["player_lookup"], "are not in the game of their row")


def spreads_mirror(rows: pl.DataFrame, day: Day) -> str | None:
    """The two teams of a game have spreads of opposite signs, and one total."""
    sides = rows.group_by("game_id").agg(
        pl.col("game_spread").filter("home_game").unique().alias("home"),
        pl.col("game_spread").filter(~pl.col("home_game")).unique().alias("away"),
        pl.col("game_total").n_unique().alias("totals"),
    )
    for game, home, away, totals in sides.sort("game_id").iter_rows():
        if len(home) > 1 or len(away) > 1 or totals > 1:
            return f"{game} has several spreads or totals"
        if home and away and home[0] != (None if away[0] is None else -away[0]):
            return f"{game}: the home spread {home[0]} is not the negative of {away[0]}"
    return None


def known_before_tipoff(rows: pl.DataFrame, day: Day) -> str | None:
    """Nothing that a row rests on was known at tip-off or later."""
    times = ("known_at_max", "points_line_at", "spread_at", "total_at")
    late = pl.any_horizontal(pl.col(name) >= pl.col("tipoff_at") for name in times)
    return _offenders(rows.filter(late)["player_lookup"], "use what was known at tip-off or later")


def rest_is_past(rows: pl.DataFrame, day: Day) -> str | None:
    """The last game lies before the date, and `back_to_back` says whether it was the day before."""
    rest, flag = pl.col("days_rest"), pl.col("back_to_back")
    wrong = (rest < 1) | (flag & rest.ne_missing(1)) | (~flag & rest.eq_missing(1))
    return _offenders(rows.filter(wrong)["player_lookup"], "have impossible days of rest")


def _offenders(players: pl.Series, what: str) -> str | None:
    if players.is_empty():
        return None
    more = f" and {len(players) - 3} more" if len(players) > 3 else ""
    return f"{', '.join(str(p) for p in players[:3])}{more} {what}"


GATES = (
    team_in_game,
    spreads_mirror,
    known_before_tipoff,
    rest_is_past,
)
