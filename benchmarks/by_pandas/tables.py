"""The raw tables in pandas, read and cleaned once a process; every date filters them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

__all__ = ["Tables", "load"]

_SIDE = [
    "nba_game_id",
    "season",
    "game_date",
    "tipoff_at",
    "status",
    "home_team",
    "away_team",
    "season_type",
    "is_regular",
    "is_playoffs",
    "is_neutral",
    "home_score",
    "away_score",
]
_SHORT = {
    "game_id": "nba_game_id",
    "game_date_est": "tipoff_at",
    "game_status": "status",
    "home_team_tricode": "home_team",
    "away_team_tricode": "away_team",
    "is_regular_season": "is_regular",
    "neutral_site_flag": "is_neutral",
    "home_team_score": "home_score",
    "away_team_score": "away_score",
    "team": "team_abbr",
    "field_goals_made": "fgm",
    "field_goals_attempted": "fga",
    "free_throws_attempted": "fta",
    "offensive_rebounds": "oreb",
    "turnovers": "tov",
    "minutes_decimal": "minutes",
}


@dataclass(frozen=True)
class Tables:
    """`sides`: a row per team and game; `box`: gamebook rows with `opponent` and `season`;
    `played`: those that count as played, with `usage`; `rated`: a row per team and complete game
    with pace and ratings. The others are the raw tables.
    """

    sides: pd.DataFrame
    box: pd.DataFrame
    played: pd.DataFrame
    rated: pd.DataFrame
    lines: pd.DataFrame
    props: pd.DataFrame
    bettingpros: pd.DataFrame
    injuries: pd.DataFrame
    registry: pd.DataFrame
    places: pd.DataFrame
    aliases: dict[str, str]


def load(lake: str) -> Tables:
    """Everything that a date may need."""
    sides = _sides(_schedule(_read(lake, "nba_raw/nbac_schedule")))
    box = _box(_read(lake, "nba_raw/nbac_gamebook_player_stats"), sides)
    played = box[box["played"]]
    team_games = _team_games(played)
    return Tables(
        sides=sides,
        box=box,
        played=_with_usage(played, team_games),
        rated=_rated(team_games),
        lines=_read(lake, "nba_raw/odds_api_game_lines").drop_duplicates(),
        props=_read(lake, "nba_raw/odds_api_player_points_props").drop_duplicates(),
        bettingpros=_read(lake, "nba_raw/bettingpros_player_points_props").drop_duplicates(),
        injuries=_read(lake, "nba_raw/nbac_injury_report"),
        registry=_read(lake, "nba_reference/nba_players_registry"),
        places=_read(lake, "nba_reference/team_locations").drop_duplicates().set_index("team_abbr"),
        aliases=_aliases(_read(lake, "nba_reference/player_aliases")),
    )


def _read(lake: str, table: str) -> pd.DataFrame:
    """One table whole; without rows where the lake has none of that name."""
    folder = Path(lake) / table
    if not folder.is_dir():
        return pd.DataFrame({"game_date": pd.to_datetime([])})
    frame = pd.read_parquet(folder).rename(columns=_SHORT)
    if "game_date" in frame:
        frame["game_date"] = pd.to_datetime(frame["game_date"].astype(str))
    return frame


def _aliases(frame: pd.DataFrame) -> dict[str, str]:
    if frame.empty:
        return {}
    one = frame.drop_duplicates().drop_duplicates("alias_lookup", keep=False)
    return dict(zip(one["alias_lookup"], one["player_lookup"], strict=True))


def latest(frame: pd.DataFrame, key: list[str], *order: str) -> pd.DataFrame:
    """One row per key: the highest in `order`, unknown being the lowest."""
    return frame.sort_values(list(order), na_position="first").drop_duplicates(key, keep="last")


def _schedule(games: pd.DataFrame) -> pd.DataFrame:
    """Games that count, one row each, dated within the season that their row names."""
    games = latest(games, ["nba_game_id"], "status", "game_date", "processed_at")
    games = latest(games, ["game_date", "home_team", "away_team"], "status", "processed_at")
    kind = games["season_type"].fillna("").str.lower().str.replace("[^a-z]", "", regex=True)
    out = kind.isin(["preseason", "allstar", "allstargame", "risingstars"])
    games = games[~out & ~games["nba_game_id"].str[:3].isin(["001", "003"])]
    regular = games[games["is_regular"].fillna(False).astype(bool)]
    first = games["season"].map(regular.groupby("season")["game_date"].min())
    return games[games["game_date"] >= first]


def _sides(games: pd.DataFrame) -> pd.DataFrame:
    games = games[_SIDE]
    home = games.assign(team_abbr=games["home_team"], opponent=games["away_team"], is_home=True)
    away = games.assign(team_abbr=games["away_team"], opponent=games["home_team"], is_home=False)
    both = pd.concat([home, away], ignore_index=True)
    both = both.sort_values("status").drop_duplicates(["game_date", "team_abbr"], keep="last")
    return both.sort_values(["team_abbr", "game_date"], ignore_index=True)


def _box(rows: pd.DataFrame, sides: pd.DataFrame) -> pd.DataFrame:
    """Gamebook rows that found their game, one per player and date."""
    rows = rows[rows["player_lookup"].notna()]
    rows = latest(rows, ["game_date", "player_lookup"], "processed_at")
    side = sides[["game_date", "team_abbr", "opponent", "season"]]
    rows = rows.merge(side, on=["game_date", "team_abbr"])
    points, minutes = rows["points"], rows["minutes"]
    did = (minutes > 0) | (points > 0) | (minutes.isna() & points.notna())
    return rows.assign(played=(rows["player_status"] == "active") & did)


def _team_games(played: pd.DataFrame) -> pd.DataFrame:
    """Sums of the players of a team-game, possessions and its length."""
    figures = ["minutes", "points", "fga", "fta", "oreb", "tov"]
    groups = played.groupby(["season", "game_date", "team_abbr", "opponent"])
    known = played[figures].notna().all(axis=1)
    used = played[["minutes", "fga", "fta", "tov"]].notna().all(axis=1)
    keys = [played[k] for k in ("season", "game_date", "team_abbr", "opponent")]
    games = (
        groups[figures]
        .sum()
        .assign(is_complete=known.groupby(keys).all(), has_uses=used.groupby(keys).all())
    )
    overtimes = ((games["minutes"] - 240 + 12.5) // 25).clip(lower=0)
    uses = games["fga"] + 0.44 * games["fta"] + games["tov"]
    return games.assign(
        length=240 + 25 * overtimes, team_uses=uses, possessions=uses - games["oreb"]
    ).reset_index()


def _with_usage(played: pd.DataFrame, games: pd.DataFrame) -> pd.DataFrame:
    team = games[["game_date", "team_abbr", "length", "team_uses", "has_uses"]]
    rows = played.merge(team, on=["game_date", "team_abbr"], how="left")
    uses = rows["fga"] + 0.44 * rows["fta"] + rows["tov"]
    usage = 100 * uses * (rows["length"] / 5) / (rows["minutes"] * rows["team_uses"])
    usable = rows["has_uses"] & (rows["minutes"] > 0) & (rows["team_uses"] != 0)
    rows["usage"] = usage.where(usable)
    # Averages over two figures take the games in which both are known.
    shots = rows["fgm"].notna() & rows["fga"].notna()
    timed = rows["points"].notna() & rows["minutes"].notna()
    rows["paired_fgm"], rows["paired_fga"] = rows["fgm"].where(shots), rows["fga"].where(shots)
    rows["timed_points"] = rows["points"].where(timed)
    rows["timed_minutes"] = rows["minutes"].where(timed)
    return rows.sort_values(["player_lookup", "game_date"], ascending=[True, False])


def _rated(games: pd.DataFrame) -> pd.DataFrame:
    """Pace and ratings of each game of which both sides are complete, newest first."""
    whole = games[games["is_complete"]]
    other = whole[["game_date", "team_abbr", "possessions", "points", "fga", "fta"]]
    both = whole.merge(
        other.rename(columns={"team_abbr": "opponent"}),
        on=["game_date", "opponent"],
        suffixes=("", "_other"),
    )
    possessions = both["possessions"] + both["possessions_other"]
    both["pace"] = 48 * possessions / (2 * both["length"] / 5)
    both["off_rating"] = 100 * both["points"] / both["possessions"]
    both["def_rating"] = 100 * both["points_other"] / both["possessions_other"]
    both["ft_rate_allowed"] = both["fta_other"] / both["fga_other"]
    return both.sort_values("game_date", ascending=False)
