"""The computation of a span: every group of columns over one table of players."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill.job import Computed, Context, Frames
from ray_backfill_nba.history import track
from ray_backfill_nba.league import League, load
from ray_backfill_nba.player_context import (
    boxes,
    form,
    game_lines,
    identity,
    injuries,
    player,
    points_line,
    quality,
    rest,
    schedule_ahead,
    team,
    travel,
)
from ray_backfill_nba.player_context.columns import OUTPUT
from ray_backfill_nba.player_context.conflicts import DROP_ROW, conflicts, torn_players
from ray_backfill_nba.player_context.doubts import doubts
from ray_backfill_nba.player_context.doubts.names import names
from ray_backfill_nba.player_context.local import Local, read_local

__all__ = ["compute"]


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """The rows of `dates`, all of `context.season`, sorted by date and player."""
    league = load(frames, context)
    local = read_local(frames, league, dates)
    reports = injuries.latest_reports(local.games, local.injuries.filter(injuries.is_report()))
    rows = _rows(frames, context, league, local, reports)
    if context.options.on_conflict == DROP_ROW:
        torn = torn_players(league, reports.ties)
        rows = rows.join(torn, on=torn.columns, how="anti", maintain_order="left")
    return Computed(
        rows.select(OUTPUT.schema().names()).cast(OUTPUT.schema()),
        conflicts(league, reports.ties, dates, context.options.on_conflict),
        doubts(frames, league, local, reports.ties, dates),
        names=names(local),
    )


def _rows(
    frames: Frames, context: Context, league: League, local: Local, reports: injuries.Reports
) -> pl.DataFrame:
    """Every column, one row per row of the population."""
    people, strict = local.people, context.options.strict_known_at
    played = league.played()
    team_games = team.team_games(played, league.sides)
    history = form.with_figures(rest.with_neighbours(track(played, "player_lookup")), team_games)
    before = played.clear() if league.before is None else league.before.box.filter("played")
    born = player.birth_dates(people, frames["registry"], league.aliases, league.season.name)
    sides = _of_teams(league, local, team_games, frames["locations"], strict=strict)
    rows = pl.concat(
        [
            people,
            sides[people["slot"]],
            points_line.columns(people, history, local.props, local.bettingpros, strict=strict),
            form.columns(people, history, form.versus_tracks(played, before)),
            player.columns(people, born),
            injuries.columns(people, reports, history),
        ],
        how="horizontal",
    )
    rows = rows.with_columns(rest.columns(rows, history))
    return rows.with_columns(quality.columns(rows))


def _of_teams(
    league: League,
    local: Local,
    team_games: pl.DataFrame,
    locations: pl.DataFrame,
    *,
    strict: bool,
) -> pl.DataFrame:
    """The columns that a side has whatever its players, one row per row of `local.games`."""
    games, results = local.games, team.results_track(league.sides)
    return pl.concat(
        [
            games.select("is_overdue", "tipoff_disputed"),
            identity.columns(games),
            game_lines.columns(games, local.lines, strict=strict),
            boxes.columns(games, league.sides, league.strays),
            team.columns(games, team.ratings_track(team_games), results),
            schedule_ahead.columns(games, league.sides, results),
            travel.columns(games, league.sides, locations),
        ],
        how="horizontal",
    )
