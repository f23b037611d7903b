"""Names in the odds feeds that are nobody's of their date, and whom they may mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
from rapidfuzz import fuzz, process

from ray_backfill.job import UnmatchedName
from ray_backfill.job.table import Table
from ray_backfill_nba.player_context.local import Local
from ray_backfill_nba.player_context.props import is_offered
from ray_backfill_nba.raw_tables import BETTINGPROS, POINTS_PROPS

__all__ = ["names"]

_LIKELY = 3
_NAME = ["game_date", "player_lookup", "book"]


def names(local: Local) -> tuple[UnmatchedName, ...]:
    """Names of lines that are nobody's, by date, table and book, with the likely players.

    A name may mean a player of the line's game, or of the night where the line states none. Whom
    the same book has lines of under his own name is not meant.
    """
    offered = local.bettingpros.filter(is_offered())
    return (*_of(POINTS_PROPS, local.props, local), *_of(BETTINGPROS, offered, local))


def _of(table: Table, rows: pl.DataFrame, local: Local) -> Iterator[UnmatchedName]:
    lost = rows.filter(pl.col("row").is_null() & pl.col("player_lookup").is_not_null())
    if lost.is_empty():
        return
    book = pl.col("bookmaker").fill_null("").alias("book")
    matched = rows.filter(pl.col("row").is_not_null())
    taken = set(matched.select("game_date", "player_lookup", book).unique().iter_rows())
    night = {
        day: list(zip(players, teams, strict=True))
        for day, players, teams in local.people.group_by("game_date")
        .agg("player_lookup", "team_abbr")
        .iter_rows()
    }
    for day, name, of, teams, count in _counted(lost, book).iter_rows():
        free = [(p, t) for p, t in night.get(day, []) if (day, p, of) not in taken]
        playing = [p for p, t in free if t in teams] or [p for p, _ in free]
        yield UnmatchedName(day, table.name, of, name, count, _likely(name, playing))


def _counted(lost: pl.DataFrame, book: pl.Expr) -> pl.DataFrame:
    """Distinct rows by date, name and book, with the teams that the lines state."""
    stated = [name for name in ("home_team_abbr", "away_team_abbr") if name in lost.columns]
    teams = pl.concat_list(stated) if stated else pl.lit([], dtype=pl.List(pl.String))
    return (
        lost.unique()
        .with_columns(book, teams.alias("teams"))
        .group_by(_NAME)
        .agg(pl.col("teams").explode().unique().sort(), pl.len())
        .sort(_NAME)
    )


def _likely(name: str, players: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """The likest first. The likeness is rapidfuzz's `ratio`: 100 less what must be edited."""
    found = process.extract(name, sorted(players), scorer=fuzz.ratio, limit=_LIKELY)
    return tuple((player, round(score, 1)) for player, score, _ in found)
