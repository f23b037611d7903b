"""The player columns once more with `groupby` over all players of the date: no loop in Python.

The strictest pandas that is still a date at a time: faster than most people write it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

__all__ = ["player_columns"]

_PLAYER = "player_lookup"
Summed = Callable[[pd.Series], pd.Series]


def player_columns(
    day: pd.Timestamp, rows: pd.DataFrame, history: pd.DataFrame, gaps: set[str]
) -> pd.DataFrame:
    """*Rest and load*, *Form* and the streaks, one row per player of `rows`.

    `history`: the season's games before the date, by player, newest first.
    """
    history = history[history[_PLAYER].isin(set(rows[_PLAYER]))]
    history = history.assign(back=history.groupby(_PLAYER).cumcount())
    found = pd.concat([_form(history), _rest(day, history)], axis=1)
    found = found.reindex(rows[_PLAYER]).join(_streaks(rows, history))
    counts = [name for name in found if name.startswith("games_") or name.endswith("_used")]
    zero = [*counts, "back_to_backs_last_14_days"]
    found[zero] = found[zero].fillna(0)
    for days in (7, 14):
        nothing = found[f"games_in_last_{days}_days"] == 0
        minutes = f"minutes_in_last_{days}_days"
        found[minutes] = found[minutes].mask(nothing, 0.0)
    gap = rows["team_abbr"].isin(gaps).to_numpy()
    found["back_to_back"] = (found["days_rest"] == 1).astype(object)
    rest = [name for name in found if name in _REST]
    found.loc[gap, rest] = None
    return found.assign(history_gap=gap).reset_index()


_REST = {
    "days_rest",
    "days_rest_before_last_game",
    "back_to_back",
    "days_since_2_plus_days_rest",
    "games_in_last_7_days",
    "games_in_last_14_days",
    "minutes_in_last_7_days",
    "minutes_in_last_14_days",
    "avg_minutes_per_game_last_7",
    "back_to_backs_last_14_days",
}


def _form(history: pd.DataFrame) -> pd.DataFrame:
    every = history.groupby(_PLAYER)
    five = history[history["back"] < 5].groupby(_PLAYER)
    ten = history[history["back"] < 10].groupby(_PLAYER)
    last_10 = ten[["points", "minutes", "usage"]].mean()
    timed = ten[["timed_points", "timed_minutes"]].sum()
    return pd.DataFrame(
        {
            "points_avg_last_5": five["points"].mean(),
            "points_avg_last_10": last_10["points"],
            "points_avg_season": every["points"].mean(),
            "points_std_last_10": ten["points"].std(),
            "minutes_avg_last_10": last_10["minutes"],
            "ppm_avg_last_10": timed["timed_points"] / timed["timed_minutes"].replace(0, np.nan),
            "usage_rate_last_10": last_10["usage"],
            "shooting_pct_decline_last_5": _percentage(every) - _percentage(five),
            "games_played_season": every.size(),
            "l5_games_used": five["points"].count(),
            "l10_games_used": ten["points"].count(),
        }
    )


def _percentage(groups: pd.api.typing.DataFrameGroupBy) -> pd.Series:
    sums = groups[["paired_fgm", "paired_fga"]].sum()
    return sums["paired_fgm"] / sums["paired_fga"].replace(0, np.nan)


def _rest(day: pd.Timestamp, history: pd.DataFrame) -> pd.DataFrame:
    older = history.groupby(_PLAYER)["game_date"].shift(-1)
    history = history.assign(
        ago=(day - history["game_date"]).dt.days, off=(history["game_date"] - older).dt.days
    )
    newest = history[history["back"] == 0].set_index(_PLAYER)
    week = history[history["ago"] <= 7].groupby(_PLAYER)["minutes"]
    fortnight = history[history["ago"] <= 14]
    rested = history[history["off"] >= 2].drop_duplicates(_PLAYER).set_index(_PLAYER)
    two_weeks = fortnight.groupby(_PLAYER)["minutes"]
    return pd.DataFrame(
        {
            "days_rest": newest["ago"],
            "days_rest_before_last_game": newest["off"],
            "days_since_2_plus_days_rest": rested["ago"],
            "games_in_last_7_days": week.size(),
            "games_in_last_14_days": two_weeks.size(),
            "minutes_in_last_7_days": week.sum(min_count=1),
            "minutes_in_last_14_days": two_weeks.sum(min_count=1),
            "avg_minutes_per_game_last_7": week.mean(),
            "back_to_backs_last_14_days": (fortnight["off"] == 1).groupby(fortnight[_PLAYER]).sum(),
        }
    )


def _streaks(rows: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """The position of the newest game that ends a streak, or all games where none does."""
    lines = rows.set_index(_PLAYER)["current_points_line"].dropna().astype(float)
    games = history[history["points"].notna() & history[_PLAYER].isin(lines.index)]
    games = games.assign(
        back=games.groupby(_PLAYER).cumcount(), line=games[_PLAYER].map(lines).astype(float)
    )
    counts = games.groupby(_PLAYER).size().reindex(lines.index, fill_value=0)
    found = {}
    for name, ends in (
        ("prop_over_streak", games["points"] <= games["line"]),
        ("prop_under_streak", games["points"] >= games["line"]),
    ):
        first = games[ends].drop_duplicates(_PLAYER).set_index(_PLAYER)["back"]
        found[name] = first.reindex(lines.index).fillna(counts)
    return pd.DataFrame(found)
