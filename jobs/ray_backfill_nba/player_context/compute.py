"""The computation of a span: every group of columns over one table of players."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill.job import Computed, Context, Frames
from ray_backfill_nba.player_context import (
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
from ray_backfill_nba.player_context.aliases import known_aliases, resolve_lookups
from ray_backfill_nba.player_context.columns import OUTPUT
from ray_backfill_nba.player_context.history import track
from ray_backfill_nba.player_context.league import League, load, people_on, slate
from ray_backfill_nba.player_context.reporting import conflicts, unmatched

__all__ = ["compute"]


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    """The rows of `dates`, all of `context.season`, sorted by date and player."""
    league = load(frames, context)
    games = slate(league, dates).with_row_index("slot")
    people = _people(league, games)
    aliases = known_aliases(frames["aliases"])
    local = {
        name: resolve_lookups(_of(frames[name], dates), people, aliases)
        for name in ("points_props", "bettingpros", "injuries")
    }
    local["game_lines"] = _of(frames["game_lines"], dates)
    reports, report_times = injuries.latest_reports(games, injuries.normalised(local["injuries"]))
    played = league.played()
    team_games = team.team_games(played)
    history = form.with_figures(rest.with_neighbours(track(played, "player_lookup")), team_games)
    before = league.before.filter("played")
    born = player.birth_dates(people, frames["registry"], aliases, league.season)
    sides = _of_teams(league, games, team_games, frames["locations"])
    strict = context.options.strict_known_at
    rows = pl.concat(
        [
            people,
            sides[people["slot"]],
            game_lines.columns(games, local["game_lines"], strict=strict)[people["slot"]],
            points_line.columns(
                people, history, local["points_props"], local["bettingpros"], strict=strict
            ),
            form.columns(people, history, form.versus_tracks(played, before)),
            player.columns(people, born),
            injuries.columns(people, reports.rows, report_times, history),
        ],
        how="horizontal",
    )
    rows = rows.with_columns(rest.columns(rows, history))
    rows = rows.with_columns(quality.columns(rows))
    return Computed(
        rows.select(OUTPUT.schema().names()).cast(OUTPUT.schema()),
        conflicts(league, reports, dates),
        unmatched(_of(frames["gamebook"], dates), local, games, people),
    )


def _people(league: League, games: pl.DataFrame) -> pl.DataFrame:
    """The population with `row`, the position `slot` of its side in `games`, and its tip-off."""
    people = people_on(league, games)
    side = games.select("game_date", "team_abbr", "slot", "opponent", "tipoff_at")
    return people.join(
        side, on=["game_date", "team_abbr"], how="left", maintain_order="left"
    ).with_row_index("row")


def _of(frame: pl.DataFrame, dates: Sequence[date]) -> pl.DataFrame:
    return frame.filter(pl.col("game_date").is_in(list(dates)))


def _of_teams(
    league: League, games: pl.DataFrame, team_games: pl.DataFrame, locations: pl.DataFrame
) -> pl.DataFrame:
    """The columns that a side has whatever its players and lines, one row per row of `games`."""
    results = team.results_track(league.sides)
    return pl.concat(
        [
            identity.columns(games),
            rest.gaps(games, league.sides, league.box).alias("history_gap").to_frame(),
            team.columns(games, team.ratings_track(team_games), results),
            schedule_ahead.columns(games, league.sides, results),
            travel.columns(games, league.sides, locations),
        ],
        how="horizontal",
    )
