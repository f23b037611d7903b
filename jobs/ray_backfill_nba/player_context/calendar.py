"""Which dates the job has, and what each is before any look at the output."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from ray_backfill.calendar import Season, moved
from ray_backfill.job import Calendar, DateState, Day, Frames
from ray_backfill_nba.player_context.clean import counting, resolve_schedule
from ray_backfill_nba.player_context.league import clean_box, sides_of
from ray_backfill_nba.player_context.options import PlayerContextOptions
from ray_backfill_nba.player_context.population import ROSTER_DAYS, missing_games, people_of

__all__ = ["calendar", "seasons_of"]

FUTURE_DAYS = 7


def calendar(frames: Frames, options: PlayerContextOptions) -> Calendar:
    """Seasons and game dates out of all of the schedule and the gamebook's keys."""
    games = resolve_schedule(frames["schedule"]).rows.filter(counting())
    seasons = seasons_of(games)
    sides = sides_of(_of_seasons(games, seasons))
    key = ["game_date", "team_abbr"]
    box = clean_box(frames["gamebook"]).rows.join(sides.select(key), on=key, how="semi")
    last_final = sides.filter(pl.col("status") == 3)["game_date"].max()
    near = sides
    if isinstance(last_final, date):
        near = sides.filter(pl.col("game_date") <= moved(last_final, FUTURE_DAYS))
    rows = people_of(near, box, box).group_by("game_date").len()
    counts = (
        sides.filter("is_home")
        .group_by("game_date")
        .agg(pl.len().alias("games"), (pl.col("status") == 3).sum().alias("final"))
        .join(missing_games(sides, box).group_by("game_date").agg(_names()), "game_date", "left")
        .join(rows.rename({"len": "rows"}), "game_date", "left")
        .join(near.select("game_date", pl.lit(True).alias("is_near")).unique(), "game_date", "left")
        .sort("game_date")
    )
    days = {day.day: day for day in _days(counts, last_final)}
    return Calendar(seasons, days)


def seasons_of(games: pl.DataFrame) -> tuple[Season, ...]:
    """Seasons in order: from the first regular-season game to the day after the last game.

    A season without a regular-season game has not begun, and is none.
    """
    spans = (
        games.filter(pl.col("season").is_not_null())
        .group_by("season")
        .agg(
            pl.col("game_date").filter(pl.col("is_regular")).min().alias("start"),
            pl.col("game_date").max().alias("last"),
        )
        .drop_nulls()
        .sort("start", "season")
    )
    seasons: list[Season] = []
    for name, start, last in spans.iter_rows():
        end = moved(last, 1)
        if seasons and start < seasons[-1].end:
            seasons[-1] = Season(seasons[-1].name, seasons[-1].start, start)
        seasons.append(Season(name, start, end))
    return tuple(seasons)


def _of_seasons(games: pl.DataFrame, seasons: tuple[Season, ...]) -> pl.DataFrame:
    """Games dated within their season; also those whose season rows disagree on."""
    season, day = pl.col("season"), pl.col("game_date")
    inside = pl.any_horizontal(
        pl.lit(False),
        *(
            (season.is_null() | (season == s.name)) & (day >= s.start) & (day < s.end)
            for s in seasons
        ),
    )
    return games.filter(inside)


def _names() -> pl.Expr:
    return pl.concat_str("away_team", pl.lit(" at "), "home_team").sort().alias("bare")


def _days(counts: pl.DataFrame, last_final: object) -> Iterator[Day]:
    for row in counts.iter_rows(named=True):
        day, rows, bare = row["game_date"], row["rows"] or 0, row["bare"] or []
        if not row["is_near"]:
            why = f"more than {FUTURE_DAYS} days after the last final game ({last_final})"
            yield Day(day, DateState.FUTURE, why)
        elif row["final"] == row["games"] and not rows:
            why = f"no box scores: {_games(row['games'])}, all final, and no gamebook rows"
            yield Day(day, DateState.BLOCKED, why)
        elif not rows:
            why = (
                "no players: nobody's latest gamebook row of the "
                f"{ROSTER_DAYS} days before is for a team that plays"
            )
            yield Day(day, DateState.BY_DESIGN, why, notes=_notes(bare))
        else:
            yield Day(day, None, expected_rows=rows, notes=_notes(bare))


def _games(count: int) -> str:
    return "1 game" if count == 1 else f"{count} games"


def _notes(bare: list[str]) -> tuple[str, ...]:
    return (f"no box scores of {', '.join(bare)}",) if bare else ()
