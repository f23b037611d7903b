"""What a computation has to say beside its rows: conflicts, and input that matched nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from ray_backfill.contract import Table
from ray_backfill.job import Frames, Unmatched
from ray_backfill_nba import raw_tables
from ray_backfill_nba.player_context.clean import GAME, Resolved, counting
from ray_backfill_nba.player_context.league import League
from ray_backfill_nba.player_context.props import plays_in

__all__ = ["conflicts", "unmatched"]

_SHOWN = 5


def conflicts(league: League, reports: Resolved, dates: Sequence[date]) -> dict[date, str]:
    """Date -> which keys of which tables disagree with themselves, for those of `dates`.

    Of injury reports only each team's latest before tip-off counts: no other is used.
    """
    found = [
        (raw_tables.SCHEDULE, league.schedule.ties.filter(counting()), GAME[1:]),
        (raw_tables.GAMEBOOK, league.gamebook.ties, ("player_lookup",)),
        (raw_tables.INJURIES, reports.ties, ("report_timestamp", "team_abbr", "player_lookup")),
    ]
    sentences: dict[date, list[str]] = {}
    for table, ties, key in found:
        for day, keys in _keys(ties, key, dates).items():
            sentences.setdefault(day, []).append(_sentence(table, keys))
    return {day: " ".join(sentences[day]) for day in sorted(sentences)}


def _keys(
    ties: pl.DataFrame, key: Sequence[str], dates: Sequence[date]
) -> Mapping[date, list[str]]:
    """The keys of the tied rows by date, as text."""
    rows = (
        ties.filter(pl.col("game_date").is_in(list(dates)))
        .select("game_date", pl.concat_str(key, separator=" ").alias("key"))
        .unique()
        .sort("game_date", "key")
    )
    by_day: dict[date, list[str]] = {}
    for day, name in rows.iter_rows():
        by_day.setdefault(day, []).append(name)
    return by_day


def _sentence(table: Table, keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (
        f"{table.name} has rows of one key that disagree, and no processed_at that decides: "
        f"{', '.join(keys[:_SHOWN])}{more}."
    )


def unmatched(
    gamebook: pl.DataFrame, local: Frames, games: pl.DataFrame, people: pl.DataFrame
) -> tuple[Unmatched, ...]:
    """Distinct rows of the computed dates that belong to no game or player, by source.

    `gamebook` and `local` (game lines, props, reports) hold rows of those dates only.
    """
    player = people.select("game_date", "player_lookup", "team_abbr")
    points = local["bettingpros"].filter(pl.col("market_type") == "points")
    return (
        *_of_gamebook(gamebook, games),
        *_count(
            raw_tables.GAME_LINES,
            "bookmaker_key",
            "no such game on that date",
            local["game_lines"].join(
                games,
                left_on=["game_date", "home_team_abbr", "away_team_abbr"],
                right_on=["game_date", "home_team", "away_team"],
                how="anti",
            ),
        ),
        *_of_props(local["points_props"], player),
        *_count(
            raw_tables.BETTINGPROS,
            "bookmaker",
            "no such player on that date",
            points.join(player, on=["game_date", "player_lookup"], how="anti"),
        ),
        *_of_teams(raw_tables.INJURIES, "team", local["injuries"], games),
    )


def _of_teams(table: Table, team: str, rows: pl.DataFrame, games: pl.DataFrame) -> list[Unmatched]:
    lost = rows.join(
        games, left_on=["game_date", team], right_on=["game_date", "team_abbr"], how="anti"
    )
    return _count(table, team, "the team has no game on that date", lost)


def _of_gamebook(book: pl.DataFrame, games: pl.DataFrame) -> list[Unmatched]:
    nobody = pl.col("player_lookup").is_null()
    return [
        *_count(raw_tables.GAMEBOOK, "team_abbr", "no player_lookup", book.filter(nobody)),
        *_of_teams(raw_tables.GAMEBOOK, "team_abbr", book.filter(~nobody), games),
    ]


def _of_props(props: pl.DataFrame, player: pl.DataFrame) -> list[Unmatched]:
    found = props.join(player, on=["game_date", "player_lookup"], how="left")
    is_nobody = pl.col("team_abbr").is_null()
    return [
        *_count(
            raw_tables.POINTS_PROPS,
            "bookmaker",
            "no such player on that date",
            found.filter(is_nobody),
        ),
        *_count(
            raw_tables.POINTS_PROPS,
            "bookmaker",
            "the player's team is not one of the line's",
            found.filter(~is_nobody & ~plays_in().fill_null(False)),
        ),
    ]


def _count(table: Table, source: str, why: str, rows: pl.DataFrame) -> list[Unmatched]:
    counts = (
        rows.unique()
        .group_by("game_date", pl.col(source).fill_null("").alias("source"))
        .len()
        .sort("game_date", "source")
    )
    return [Unmatched(day, table.name, name, why, n) for day, name, n in counts.iter_rows()]
