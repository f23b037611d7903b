"""Columns that a side has whatever its players: ratings, results, schedule, travel, injuries."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from benchmarks.by_pandas.tables import Tables, latest

__all__ = ["gap_teams", "injuries", "is_postseason", "side_columns"]

_RATINGS = ["pace", "off_rating", "def_rating", "ft_rate_allowed"]
_EARTH_MILES = 3958.7613


def is_postseason(game: Any) -> bool:
    """Whether a game is of the play-in or the playoffs."""
    kind = "".join(c for c in str(game.season_type).lower() if c.isalpha())
    return game.is_playoffs is True or kind == "playoffs" or kind.startswith("playin")


def side_columns(
    day: pd.Timestamp, games: pd.DataFrame, season: pd.DataFrame, tables: Tables
) -> pd.DataFrame:
    """A row per side of the date: *Team and opponent*, *Schedule ahead*, *Travel*.

    `season`: every side of the season, played or not.
    """
    before = season[season["game_date"] < day]
    rated = tables.rated[
        (tables.rated["season"] == games["season"].iloc[0]) & (tables.rated["game_date"] < day)
    ]
    ratings = rated.groupby("team_abbr").head(10).groupby("team_abbr")[_RATINGS].mean()
    wins = _win_pct(before)
    last = before.groupby("team_abbr")["game_date"].max()
    routes = _by_team(season[season["game_date"] <= day])
    ahead = _by_team(_ahead_games(day, season))
    nothing = season.iloc[:0]
    rows = []
    for game in games.itertuples():
        own, theirs = (ahead.get(team, nothing) for team in (game.team_abbr, game.opponent))
        found = _ahead(day, own, theirs, wins)
        if is_postseason(game):
            found = dict.fromkeys(found)
        rows.append(
            {
                "team_abbr": game.team_abbr,
                **_ratings(ratings, wins, game.team_abbr, game.opponent),
                **found,
                "opponent_days_rest": (day - last[game.opponent]).days
                if game.opponent in last
                else None,
                **_travel(day, game.team_abbr, routes[game.team_abbr], tables.places),
            }
        )
    return pd.DataFrame(rows)


def _by_team(sides: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return dict(list(sides.groupby("team_abbr")))


def _ahead_games(day: pd.Timestamp, season: pd.DataFrame) -> pd.DataFrame:
    """Regular-season games of the 14 days ahead."""
    regular = season["is_regular"].fillna(False).astype(bool)
    until = day + pd.Timedelta(days=14)
    return season[regular & (season["game_date"] > day) & (season["game_date"] <= until)]


def _win_pct(before: pd.DataFrame) -> pd.Series:
    final = before[(before["status"] == 3) & before["home_score"].notna()]
    final = final[final["away_score"].notna()]
    home = final["home_score"] > final["away_score"]
    won = home.where(final["is_home"], final["away_score"] > final["home_score"])
    return won.groupby(final["team_abbr"]).mean()


def _ratings(ratings: pd.DataFrame, wins: pd.Series, team: str, opponent: str) -> dict[str, Any]:
    own, theirs = ratings.reindex([team]).iloc[0], ratings.reindex([opponent]).iloc[0]
    return {
        "team_pace_last_10": own["pace"],
        "team_off_rating_last_10": own["off_rating"],
        "opponent_pace_last_10": theirs["pace"],
        "opponent_off_rating_last_10": theirs["off_rating"],
        "opponent_def_rating_last_10": theirs["def_rating"],
        "opponent_ft_rate_allowed": theirs["ft_rate_allowed"],
        "pace_differential": own["pace"] - theirs["pace"],
        "team_win_pct": wins.get(team),
        "opponent_win_pct": wins.get(opponent),
    }


def _ahead(
    day: pd.Timestamp, own: pd.DataFrame, theirs: pd.DataFrame, wins: pd.Series
) -> dict[str, Any]:
    """From the games ahead of the team and of its opponent, by date."""
    week = day + pd.Timedelta(days=7)
    return {
        "next_game_days_rest": (own["game_date"].iloc[0] - day).days if len(own) else None,
        "games_in_next_7_days": int((own["game_date"] <= week).sum()),
        "next_opponent_win_pct": wins.get(own["opponent"].iloc[0]) if len(own) else None,
        "opponent_games_in_next_7_days": int((theirs["game_date"] <= week).sum()),
        "opponent_next_game_days_rest": (
            (theirs["game_date"].iloc[0] - day).days if len(theirs) else None
        ),
    }


def _travel(
    day: pd.Timestamp, team: str, route: pd.DataFrame, places: pd.DataFrame
) -> dict[str, Any]:
    """The team's route of the season up to the date, leg by leg."""
    neutral = route["is_neutral"].fillna(False).astype(bool)
    arenas = [team, *route["home_team"].where(~neutral, None)]
    places = places.reindex(arenas)
    recent = (route["game_date"] > day - pd.Timedelta(days=14)).to_numpy()
    miles = _miles(places)
    # Only the legs of the last 14 days are asked for, and clocks are slow to ask.
    zones = [
        _hours(places["timezone"].iloc[at], places["timezone"].iloc[at + 1], when)
        for at, when in enumerate(route["game_date"])
        if recent[at]
    ]
    away = ~route["is_home"].to_numpy()[::-1]
    return {
        "travel_miles": miles[-1],
        "time_zone_changes": zones[-1],
        "consecutive_road_games": len(away) if away.all() else int(np.argmin(away)),
        "miles_traveled_last_14_days": miles[recent].sum(),
        "time_zones_crossed_last_14_days": sum(zones),
    }


def _miles(places: pd.DataFrame) -> np.ndarray[Any, Any]:
    latitude = np.radians(places["latitude"].to_numpy())
    longitude = np.radians(places["longitude"].to_numpy())
    chord = (
        np.sin(np.diff(latitude) / 2) ** 2
        + np.cos(latitude[:-1]) * np.cos(latitude[1:]) * np.sin(np.diff(longitude) / 2) ** 2
    )
    return 2 * _EARTH_MILES * np.arcsin(np.sqrt(chord))


def _hours(one: object, other: object, day: pd.Timestamp) -> float:
    """Hours between the clocks of two places at noon."""
    if not isinstance(one, str) or not isinstance(other, str):
        return float("nan")
    noon = day.to_pydatetime().replace(hour=12)
    offsets = [noon.replace(tzinfo=ZoneInfo(zone)).utcoffset() for zone in (one, other)]
    return abs((offsets[0] - offsets[1]).total_seconds()) / 3600


def gap_teams(day: pd.Timestamp, season: pd.DataFrame, box: pd.DataFrame) -> set[str]:
    """Teams with a final game in the 14 days before that has no box scores."""
    recent = season[
        (season["game_date"] < day)
        & (season["game_date"] >= day - pd.Timedelta(days=14))
        & (season["status"] == 3)
    ]
    have = box[box["game_date"].between(day - pd.Timedelta(days=14), day)]
    have = set(zip(have["game_date"], have["team_abbr"], strict=True))
    pairs = zip(recent["game_date"], recent["team_abbr"], strict=True)
    return {team for when, team in pairs if (when, team) not in have}


def injuries(
    day: pd.Timestamp,
    games: pd.DataFrame,
    people: pd.DataFrame,
    history: pd.DataFrame,
    tables: Tables,
) -> pd.DataFrame:
    """The columns *Injuries* and `report_at`, one row per player of `people`."""
    listed, times = _latest_reports(day, games, people, tables)
    stars = _stars(history)
    listed = listed.assign(
        questionable=listed["status"] == "questionable",
        probable=listed["status"] == "probable",
        star=listed["status"].isin(["out", "doubtful"]) & listed["player_lookup"].isin(stars),
    )
    counted = ["questionable", "probable", "star"]
    teams = listed.groupby("team_abbr")[counted].sum().add_prefix("team_").reset_index()
    own = listed[["team_abbr", "player_lookup", "status", "reason", *counted]]
    found = people[["player_lookup", "team_abbr"]].merge(
        times.rename("report_at").reset_index(), on="team_abbr", how="left"
    )
    found = found.merge(own, on=["team_abbr", "player_lookup"], how="left")
    found = found.merge(teams, on="team_abbr", how="left")
    has_report = found["report_at"].notna()
    mates = {
        name: (found[f"team_{name}"].fillna(0) - found[name].eq(True)).where(has_report)
        for name in counted
    }
    return pd.DataFrame(
        {
            "player_lookup": found["player_lookup"],
            "report_at": found["report_at"],
            "player_status": found["status"].fillna("available").where(has_report),
            "injury_reason": found["reason"],
            "questionable_teammates": mates["questionable"],
            "probable_teammates": mates["probable"],
            "star_teammates_out": mates["star"],
        }
    )


def _stars(history: pd.DataFrame) -> set[str]:
    """Players who average 18 points, or 28 minutes with 12 points, over 5 games or more."""
    means = history.groupby("player_lookup").agg(
        points=("points", "mean"), minutes=("minutes", "mean"), games=("points", "size")
    )
    star = (means["games"] >= 5) & (
        (means["points"] >= 18) | ((means["minutes"] >= 28) & (means["points"] >= 12))
    )
    return set(means.index[star])


def _latest_reports(
    day: pd.Timestamp, games: pd.DataFrame, people: pd.DataFrame, tables: Tables
) -> tuple[pd.DataFrame, pd.Series]:
    rows = tables.injuries[tables.injuries["game_date"] == day]
    status = rows["injury_status"].str.strip().str.lower().replace("day-to-day", "questionable")
    known, lookup = set(people["player_lookup"]), rows["player_lookup"]
    rows = rows.assign(
        status=status,
        player_lookup=lookup.where(lookup.isin(known), lookup.map(tables.aliases).fillna(lookup)),
    )
    midnight = day.tz_localize("America/New_York").tz_convert("UTC")
    limits = games[["team_abbr"]].assign(limit=games["tipoff_at"].fillna(midnight))
    rows = rows.merge(limits, on="team_abbr")
    rows = rows[rows["report_timestamp"] < rows["limit"]]
    times = rows.groupby("team_abbr")["report_timestamp"].max()
    newest = rows.groupby("team_abbr")["report_timestamp"].transform("max")
    rows = rows[rows["report_timestamp"] == newest]
    return latest(
        rows.dropna(subset="player_lookup"), ["team_abbr", "player_lookup"], "processed_at"
    ), times
