"""Columns of one player, from his games of the season before the date, newest first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["form", "rest", "streaks", "versus"]

_REST = (
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
)


def rest(games: pd.DataFrame, day: pd.Timestamp, *, gap: bool) -> dict[str, Any]:
    """The columns *Rest and load*."""
    if gap:
        return dict.fromkeys(_REST)
    dates, minutes = games["game_date"], games["minutes"]
    between = -dates.diff().dt.days.to_numpy()[1:]  # days from each game to the next newer one
    week, fortnight = dates >= day - pd.Timedelta(days=7), dates >= day - pd.Timedelta(days=14)
    days_rest = (day - dates.iloc[0]).days if len(games) else None
    rested = np.flatnonzero(between >= 2)
    return {
        "days_rest": days_rest,
        "days_rest_before_last_game": between[0] if len(between) else None,
        "back_to_back": days_rest == 1,
        "days_since_2_plus_days_rest": (day - dates.iloc[rested[0]]).days if len(rested) else None,
        "games_in_last_7_days": int(week.sum()),
        "games_in_last_14_days": int(fortnight.sum()),
        "minutes_in_last_7_days": minutes[week].sum(min_count=1) if week.any() else 0.0,
        "minutes_in_last_14_days": minutes[fortnight].sum(min_count=1) if fortnight.any() else 0.0,
        "avg_minutes_per_game_last_7": minutes[week].mean(),
        "back_to_backs_last_14_days": int((between[fortnight.to_numpy()[:-1]] == 1).sum()),
    }


def form(games: pd.DataFrame) -> dict[str, Any]:
    """The columns *Form* but those against the opponent."""
    last_5, last_10 = games.head(5), games.head(10)
    minutes = last_10["timed_minutes"].sum()
    return {
        "points_avg_last_5": last_5["points"].mean(),
        "points_avg_last_10": last_10["points"].mean(),
        "points_avg_season": games["points"].mean(),
        "points_std_last_10": last_10["points"].std(),
        "minutes_avg_last_10": last_10["minutes"].mean(),
        "ppm_avg_last_10": last_10["timed_points"].sum() / minutes if minutes else None,
        "usage_rate_last_10": last_10["usage"].mean(),
        "shooting_pct_decline_last_5": _percentage(games) - _percentage(last_5),
        "games_played_season": len(games),
        "l5_games_used": int(last_5["points"].notna().sum()),
        "l10_games_used": int(last_10["points"].notna().sum()),
    }


def _percentage(games: pd.DataFrame) -> float:
    attempts = games["paired_fga"].sum()
    return float(games["paired_fgm"].sum() / attempts) if attempts else float("nan")


def streaks(games: pd.DataFrame, line: float | None) -> dict[str, Any]:
    """Newest games in a row above, and below, the line; games without points are passed over."""
    if line is None or np.isnan(line):
        return {"prop_over_streak": None, "prop_under_streak": None}
    points = games["points"].dropna().to_numpy()
    return {
        "prop_over_streak": _run(points > line),
        "prop_under_streak": _run(points < line),
    }


def _run(hits: np.ndarray[Any, Any]) -> int:
    return int(np.argmin(hits)) if not hits.all() else len(hits)


def versus(people: pd.DataFrame, history: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Points and games against the opponent, this season and the one before."""
    columns = ["player_lookup", "opponent", "points"]
    both = pd.concat([history[columns], before[columns]])
    pairs = people[["player_lookup", "opponent"]].merge(both, on=["player_lookup", "opponent"])
    return pairs.groupby("player_lookup")["points"].agg(
        avg_points_vs_opponent="mean", games_vs_opponent="size"
    )
