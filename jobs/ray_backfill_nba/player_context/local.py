"""The tables of which a date needs its own rows alone, with the players that they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from ray_backfill.job import Frames
from ray_backfill_nba.aliases import resolve_lookups
from ray_backfill_nba.league import League, people_on, rosters, slate
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context import feeds, injuries

__all__ = ["Local", "of_dates", "read_local"]

_GAME = ["game_date", "home_team", "away_team"]


@dataclass(frozen=True, slots=True)
class Local:
    """Everything of some dates.

    `games`: the sides that play, with `slot` (0, 1, …), `tipoff_at` and `tipoff_disputed`.
    `people`: the population with `row` (0, 1, …), the `slot` of its side, `opponent` and
    `tipoff_at`. `lines`: cleaned outcomes, with the number `game` of theirs and its `tipoff_at`.
    `props`, `bettingpros`: normalised rows with the `row` of the player and its `team_abbr` and
    `tipoff_at`. All of these are NULL where there is no such game or player. `injuries`:
    normalised rows with the teams of those that state none; NULL where it is not known.
    """

    games: pl.DataFrame
    people: pl.DataFrame
    lines: pl.DataFrame
    props: pl.DataFrame
    bettingpros: pl.DataFrame
    injuries: pl.DataFrame


def read_local(frames: Frames, league: League, dates: Sequence[date]) -> Local:
    """The local tables of `dates`, aliases resolved."""
    aliases, season = league.aliases, league.season.name
    lines = feeds.clean_lines(of_dates(frames["game_lines"], dates))
    props, pros = (
        normalised(of_dates(frames[name], dates)) for name in ("points_props", "bettingpros")
    )
    starts = pl.concat(
        [feeds.starts_of(lines, "commence_time"), feeds.starts_of(props, "game_start_time")]
    )
    games = feeds.with_tipoff(slate(league, dates), starts).with_row_index("slot")
    people = _people(league, games)
    who = people.select("game_date", "player_lookup", "row", "team_abbr", "tipoff_at")
    props, pros = (
        resolve_lookups(rows, people, aliases, pl.lit(season)).join(
            who, on=["game_date", "player_lookup"], how="left"
        )
        for rows in (props, pros)
    )
    reports = injuries.read(of_dates(frames["injuries"], dates), people, aliases, season)
    numbered = games.select(*_GAME, "tipoff_at").unique(_GAME).with_row_index("game")
    return Local(
        games=games,
        people=people,
        lines=lines.join(numbered, on=_GAME, how="left"),
        props=props,
        bettingpros=pros,
        injuries=injuries.with_teams(reports, people, rosters(league)),
    )


def of_dates(frame: pl.DataFrame, dates: Sequence[date]) -> pl.DataFrame:
    """The rows of some dates."""
    return frame.filter(pl.col("game_date").is_in(list(dates)))


def _people(league: League, games: pl.DataFrame) -> pl.DataFrame:
    side = games.select("game_date", "team_abbr", "slot", "opponent", "tipoff_at")
    return (
        people_on(league, games)
        .join(side, on=["game_date", "team_abbr"], how="left", maintain_order="left")
        .with_row_index("row")
    )
