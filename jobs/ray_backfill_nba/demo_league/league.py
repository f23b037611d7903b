"""The whole league as a stream of chunks of the raw tables.

Only the games of a season and its players are held whole (about 200 bytes each); everything
that has a row a player or a line is made for at most `CHUNK_GAMES` games at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from ray_backfill.job.table import Table
from ray_backfill_nba.demo_league.box import gamebook
from ray_backfill_nba.demo_league.dice import chance
from ray_backfill_nba.demo_league.faults import spoiled
from ray_backfill_nba.demo_league.feed_faults import ALIAS_FAULTS
from ray_backfill_nba.demo_league.feeds import conform
from ray_backfill_nba.demo_league.games import season_games
from ray_backfill_nba.demo_league.injuries import injury_reports
from ray_backfill_nba.demo_league.lines import game_lines
from ray_backfill_nba.demo_league.lineups import lineups
from ray_backfill_nba.demo_league.people import players, teams
from ray_backfill_nba.demo_league.props import ALIAS, bettingpros, points_props
from ray_backfill_nba.demo_league.schedule import schedule
from ray_backfill_nba.demo_league.spec import LeagueSpec, season_name
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    LOCATIONS,
    POINTS_PROPS,
    RAW_TABLES,
    REGISTRY,
    SCHEDULE,
)

__all__ = ["CHUNK_GAMES", "Chunk", "chunk_count", "generate", "late_lines", "tables"]

CHUNK_GAMES = 1500
"""More than a real season has, so that one is written in one commit a table."""


@dataclass(frozen=True)
class Chunk:
    """Rows of one raw table, in the dtypes of its contract."""

    table: Table
    rows: pl.DataFrame


def generate(spec: LeagueSpec, *, chunk_games: int = CHUNK_GAMES) -> Iterator[Chunk]:
    """All tables in chunks by season and date, without the lines that the spec withholds.

    Whatever `chunk_games` is, the chunks of a table make the same frame when put together.
    """
    yield Chunk(LOCATIONS, conform(LOCATIONS, _teams(spec)))
    for year in spec.years:
        people = players(spec, year)
        for part in people.iter_slices(CHUNK_GAMES * 30):
            yield Chunk(REGISTRY, _registry(year, part))
            if spec.defects:
                yield Chunk(ALIASES, _aliases(spec, year, part))
        for games in _parts(spec, year, chunk_games):
            yield Chunk(SCHEDULE, schedule(spec, year, games))
            lines = _months(spec, game_lines(spec, year, games), withheld=False)
            yield Chunk(GAME_LINES, lines)
            squads = lineups(spec, year, games)
            yield Chunk(GAMEBOOK, gamebook(spec, year, squads))
            yield Chunk(POINTS_PROPS, points_props(spec, year, squads))
            yield Chunk(BETTINGPROS, bettingpros(spec, year, squads))
            yield Chunk(INJURIES, injury_reports(spec, year, squads))


def late_lines(spec: LeagueSpec, *, chunk_games: int = CHUNK_GAMES) -> Iterator[Chunk]:
    """Exactly the game lines that `generate` leaves out."""
    month = spec.withheld
    if month is None:
        return
    for year in spec.years:
        for games in _parts(spec, year, chunk_games):
            near = games.filter(
                pl.any_horizontal(
                    pl.col(name).is_between(month.start, month.end, closed="left").fill_null(False)
                    for name in ("day", "first_date")
                )
            )
            if not near.is_empty():
                rows = _months(spec, game_lines(spec, year, near), withheld=True)
                yield Chunk(GAME_LINES, rows)


def tables(spec: LeagueSpec) -> dict[str, pl.DataFrame]:
    """Every raw table whole, by name; for leagues that fit into memory."""
    rows: dict[str, list[pl.DataFrame]] = {table.name: [table.empty()] for table in RAW_TABLES}
    for chunk in generate(spec):
        rows[chunk.table.name].append(chunk.rows)
    return {name: pl.concat(frames) for name, frames in rows.items()}


def chunk_count(spec: LeagueSpec) -> int:
    """How many chunks `generate` gives, for a progress bar."""
    people = -(-spec.scale * spec.teams * spec.roster // (CHUNK_GAMES * 30))
    total = 1
    for year in spec.years:
        games = -(-season_games(spec, year).height // CHUNK_GAMES)
        total += people * (2 if spec.defects else 1) + games * 6
    return total


def _parts(spec: LeagueSpec, year: int, size: int) -> Iterator[pl.DataFrame]:
    return season_games(spec, year).iter_slices(size)


def _months(spec: LeagueSpec, lines: pl.DataFrame, *, withheld: bool) -> pl.DataFrame:
    """The lines of the withheld month, or all others."""
    month = spec.withheld
    if month is None:
        return lines.clear() if withheld else lines
    inside = pl.col("game_date").is_between(month.start, month.end, closed="left")
    return lines.filter(inside if withheld else ~inside)


def _teams(spec: LeagueSpec) -> pl.DataFrame:
    return teams(spec, spec.first_season).rename({"abbr": "team_abbr"})


def _registry(year: int, people: pl.DataFrame) -> pl.DataFrame:
    """A third of the birth dates are missing, not the same ones every season."""
    unknown = chance("no birth date", 300) | chance("not this year", 60, "year_key")
    rows = people.with_columns(
        season=pl.lit(season_name(year)),
        birth_date=pl.when(unknown).then(None).otherwise("born"),
        processed_at=pl.datetime(year, 10, 1, 6, time_zone="UTC"),
    )
    return conform(REGISTRY, rows)


def _aliases(spec: LeagueSpec, year: int, people: pl.DataFrame) -> pl.DataFrame:
    """Spellings of those who are new this season, or of all in the first."""
    suffix, per_mille = ALIAS
    rows = people.filter(chance(f"spelled {suffix}", per_mille))
    if year > spec.first_season:
        known = players(spec, year - 1).select("person")
        rows = rows.join(known, on="person", how="anti", maintain_order="left")
    rows = rows.with_columns(
        alias_lookup=pl.concat_str("player_lookup", pl.lit(suffix)),
        team_abbr=pl.lit(None, dtype=pl.String),
        season=pl.lit(None, dtype=pl.String),
    )
    return conform(ALIASES, spoiled(ALIAS_FAULTS, spec.faults, rows))
