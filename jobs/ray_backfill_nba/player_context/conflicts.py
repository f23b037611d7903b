"""Rows of one key that disagree, and what becomes of their date (the option `on_conflict`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from ray_backfill.job.table import Table
from ray_backfill_nba import raw_tables
from ray_backfill_nba.league import League
from ray_backfill_nba.schedule import GAME

__all__ = ["DROP_ROW", "conflicts", "torn_players"]

DROP_ROW = "drop_row"
_SHOWN = 5


def torn_players(league: League, reports: pl.DataFrame) -> pl.DataFrame:
    """`game_date`, `player_lookup` of the rows that `drop_row` leaves out.

    `reports`: rows of the latest injury reports that disagree.
    """
    key = ["game_date", "player_lookup"]
    return pl.concat([league.now.gamebook.ties.select(key), reports.select(key)]).unique()


def conflicts(
    league: League, reports: pl.DataFrame, dates: Sequence[date], on_conflict: str
) -> dict[date, str]:
    """Date -> which keys of which tables disagree with themselves, for those of `dates`.

    Of injury reports only each team's latest before tip-off counts: no other is used. With
    `drop_row` the rows of games alone are left.
    """
    found: list[tuple[Table, pl.DataFrame, Sequence[str]]] = [
        (raw_tables.SCHEDULE, league.now.schedule_ties, GAME[1:])
    ]
    if on_conflict != DROP_ROW:
        found += [
            (raw_tables.GAMEBOOK, league.now.gamebook.ties, ("player_lookup",)),
            (raw_tables.INJURIES, reports, ("report_timestamp", "team_abbr", "player_lookup")),
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
