"""The whole context of one date, put together from the groups of columns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks.by_pandas import grouped
from benchmarks.by_pandas.lines import game_lines, points_lines
from benchmarks.by_pandas.players import form, rest, streaks, versus
from benchmarks.by_pandas.tables import Tables
from benchmarks.by_pandas.teams import gap_teams, injuries, is_postseason, side_columns

__all__ = ["context_of"]


def context_of(day: pd.Timestamp, tables: Tables, *, by_groups: bool) -> pd.DataFrame:
    """A row per player of the date's gamebook, in about the columns of the table.

    `by_groups`: the player columns with `groupby` instead of player by player.
    """
    games = tables.sides[tables.sides["game_date"] == day]
    name = games["season"].iloc[0]
    season = tables.sides[tables.sides["season"] == name]
    people = _people(day, games, tables)
    played = tables.played
    history = played[(played["season"] == name) & (played["game_date"] < day)]
    rows = people.merge(points_lines(day, people, tables), on="player_lookup")
    rows = rows.merge(game_lines(day, games, tables), on="team_abbr")
    gaps = gap_teams(day, season, tables.box)
    player_columns = grouped.player_columns if by_groups else _player_columns
    rows = rows.merge(player_columns(day, rows, history, gaps), on="player_lookup")
    before = played[played["season"] == _season_before(name)]
    rows = rows.merge(versus(people, history, before), on="player_lookup", how="left")
    rows["games_vs_opponent"] = rows["games_vs_opponent"].fillna(0)
    rows = rows.merge(side_columns(day, games, season, tables), on="team_abbr")
    rows = rows.merge(injuries(day, games, people, history, tables), on="player_lookup")
    rows["player_age"] = _ages(day, people, name, tables)
    times = ["points_line_at", "spread_at", "total_at", "report_at"]
    rows["known_at_max"] = rows[times].max(axis=1)
    return _with_quality(rows).rename(columns={"opponent": "opponent_team_abbr"})


def _season_before(name: str) -> str:
    year = int(name[:4])
    return f"{year - 1}-{year % 100:02d}"


def _people(day: pd.Timestamp, games: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The columns *Identity*; dates whose games have no box scores are not for this script."""
    box = tables.box[tables.box["game_date"] == day]
    people = box[["player_lookup", "player_name", "team_abbr"]].merge(games, on="team_abbr")
    pair = people["away_team"] + "_" + people["home_team"]
    return pd.DataFrame(
        {
            "game_date": day,
            "game_id": f"{day:%Y%m%d}_" + pair,
            "nba_game_id": people["nba_game_id"],
            "season": people["season"],
            "season_type": people["season_type"],
            "season_phase": [_phase(day, game) for game in people.itertuples()],
            "tipoff_at": people["tipoff_at"],
            "player_lookup": people["player_lookup"],
            "player_name": people["player_name"].fillna(people["player_lookup"]),
            "team_abbr": people["team_abbr"],
            "opponent": people["opponent"],
            "home_game": people["is_home"],
            "population": "gamebook",
        }
    ).sort_values("player_lookup", ignore_index=True)


def _phase(day: pd.Timestamp, game: Any) -> str:
    if is_postseason(game):
        return "playoffs"
    if day.month in (10, 11):
        return "early"
    return "mid" if day.month in (12, 1, 2) else "late"


def _player_columns(
    day: pd.Timestamp, rows: pd.DataFrame, history: pd.DataFrame, gaps: set[str]
) -> pd.DataFrame:
    """*Rest and load*, *Form* and the streaks, player by player."""
    games_of = dict(list(history.groupby("player_lookup")))
    nothing = history.iloc[:0]
    found = []
    for person in rows.itertuples():
        games = games_of.get(person.player_lookup, nothing)
        found.append(
            {
                "player_lookup": person.player_lookup,
                "history_gap": person.team_abbr in gaps,
                **rest(games, day, gap=person.team_abbr in gaps),
                **form(games),
                **streaks(games, person.current_points_line),
            }
        )
    return pd.DataFrame(found)


def _ages(day: pd.Timestamp, people: pd.DataFrame, season: str, tables: Tables) -> pd.Series:
    """Completed years; the registry's row of the season, else the latest that has a birth date."""
    known = tables.registry.dropna(subset=["player_lookup", "birth_date"])
    spelled, names = set(people["player_lookup"]), known["player_lookup"]
    names = names.where(names.isin(spelled), names.map(tables.aliases).fillna(names))
    known = known.assign(player_lookup=names, is_season=known["season"] == season)
    known = known.sort_values(["is_season", "season", "processed_at"], na_position="first")
    known = known.drop_duplicates("player_lookup", keep="last").set_index("player_lookup")
    born = pd.to_datetime(people["player_lookup"].map(known["birth_date"]))
    later = (born.dt.month > day.month) | ((born.dt.month == day.month) & (born.dt.day > day.day))
    return day.year - born.dt.year - later


def _with_quality(rows: pd.DataFrame) -> pd.DataFrame:
    issues = [_issues(row) for row in rows.itertuples()]
    games = rows["games_played_season"]
    tier = pd.cut(games, [-1, 4, 9, 10_000], labels=["bronze", "silver", "gold"]).astype(str)
    return rows.assign(data_quality_tier=tier, data_quality_issues=issues)


def _issues(row: Any) -> list[str]:
    """In the order of the column's description."""
    lines = (
        (row.current_points_line, row.points_line_at),
        (row.game_spread, row.spread_at),
        (row.game_total, row.total_at),
    )
    flags = {
        "no_history": row.games_played_season == 0,
        "thin_history": 1 <= row.games_played_season <= 2,
        "history_gap": row.history_gap,
        "no_tipoff": pd.isna(row.tipoff_at),
        "no_game_spread": pd.isna(row.game_spread),
        "no_game_total": pd.isna(row.game_total),
        "no_points_line": pd.isna(row.current_points_line),
        "unstamped_line": any(pd.notna(line) and pd.isna(at) for line, at in lines),
        "no_injury_report": pd.isna(row.report_at),
        "implausible_spread": abs(row.game_spread) > 30,
        "implausible_total": row.game_total < 150 or row.game_total > 300,
    }
    return [name for name, flag in flags.items() if flag]
