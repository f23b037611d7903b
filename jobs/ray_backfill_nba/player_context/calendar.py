"""Which dates the job has, and what each is before any look at the output."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from ray_backfill.job import Calendar, DateState, Day, Frames
from ray_backfill.job.calendar import Season, moved
from ray_backfill_nba.aliases import known_aliases
from ray_backfill_nba.gamebook import clean_box, keys_of, teams_of
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context.options import PlayerContextOptions
from ray_backfill_nba.population import ROSTER_DAYS, absent_people, missing_boxes, people_of
from ray_backfill_nba.schedule import settle_games, sides_of, standing

__all__ = ["calendar", "seasons_of"]

FUTURE_DAYS = 7
_FOLLOWED_DAYS = 7
_SIDE = ["game_date", "team_abbr"]


def calendar(frames: Frames, options: PlayerContextOptions) -> Calendar:
    """Seasons and game dates out of all of the schedule and the gamebook's keys."""
    gamebook = normalised(frames["gamebook"])
    settled = settle_games(frames["schedule"], teams_of(gamebook)).rows
    seasons = seasons_of(_held(standing(settled)))
    listed = standing(settled, [season.name for season in seasons[:-1]])
    games = _held(listed)
    newest = games.filter("is_played")["game_date"].max()
    last = moved(newest, FUTURE_DAYS) if isinstance(newest, date) else date.max
    days: dict[date, Day] = {}
    before: Season | None = None
    earlier: list[pl.DataFrame] = []
    for season in seasons:
        sides = sides_of(_of_season(games, season))
        rows = _box_rows(gamebook, frames["aliases"], season, before)
        box = rows.join(sides.select(_SIDE), on=_SIDE, how="semi")
        near = sides.filter(pl.col("game_date") <= last)
        known = pl.concat([*earlier, box])
        people = people_of(near, box, known)
        missing = missing_boxes(sides, box)
        days |= {day.day: day for day in _off_days(_of_season(listed, season))}
        absent = absent_people(missing, box, known)
        for row in _counts(sides, missing, people, absent).iter_rows(named=True):
            days[row["game_date"]] = _day(row, row["game_date"] <= last, newest)
        before, earlier = season, [box]
    return Calendar(seasons, days)


def _held(games: pl.DataFrame) -> pl.DataFrame:
    """The games that count, stand and are not off."""
    return games.filter(pl.col("counts") & pl.col("stands") & (pl.col("state") != "off"))


def _of_season(games: pl.DataFrame, season: Season) -> pl.DataFrame:
    """The games of a season that are dated within it."""
    return games.filter(_within(season) & (pl.col("season") == season.name))


def _within(season: Season) -> pl.Expr:
    return pl.col("game_date").is_between(season.start, season.end, closed="left")


def _box_rows(
    gamebook: pl.DataFrame, aliases: pl.DataFrame, season: Season, before: Season | None
) -> pl.DataFrame:
    """Gamebook rows of a season, one per date and player, as a computation of it has them."""
    rows = gamebook.filter(_within(season))
    keys = [keys_of(rows, season.name)]
    if before is not None:
        keys.append(keys_of(gamebook.filter(_within(before)), before.name))
    return clean_box(rows, known_aliases(aliases, pl.concat(keys)), season.name).rows


def seasons_of(games: pl.DataFrame) -> tuple[Season, ...]:
    """Seasons in order: from the first regular-season date to the day after the last game.

    The first that another such date follows within 7 days, or the first where none is. A season
    without a regular-season game has not begun, and is none. `games`: those that count.
    """
    regular = (
        games.filter("is_regular")
        .select("season", "game_date")
        .unique()
        .sort("season", "game_date")
        .with_columns(pl.col("game_date").shift(-1).over("season").alias("next"))
    )
    followed = (pl.col("next") - pl.col("game_date")).dt.total_days() <= _FOLLOWED_DAYS
    day = pl.col("game_date")
    starts = regular.group_by("season").agg(
        pl.coalesce(day.filter(followed).min(), day.min()).alias("start")
    )
    last = games.group_by("season").agg(pl.col("game_date").max().alias("last"))
    seasons: list[Season] = []
    for name, start, final in starts.join(last, on="season").sort("start", "season").iter_rows():
        if seasons and start < seasons[-1].end:
            seasons[-1] = Season(seasons[-1].name, seasons[-1].start, start)
        seasons.append(Season(name, start, moved(final, 1)))
    return tuple(seasons)


def _counts(
    sides: pl.DataFrame, missing: pl.DataFrame, people: pl.DataFrame, absent: pl.DataFrame
) -> pl.DataFrame:
    """Per date: `games`, those `played`, `bare` sides, `rows`, `absent`: rosters of bare sides."""

    def many(found: pl.DataFrame, name: str) -> pl.DataFrame:
        return found.group_by("game_date").agg(pl.len().alias(name))

    return (
        sides.group_by("game_date")
        .agg(
            (pl.col("is_home").sum()).alias("games"),
            (pl.col("is_home") & pl.col("is_played")).sum().alias("played"),
        )
        .join(_bare(missing), on="game_date", how="left")
        .join(many(people, "rows"), on="game_date", how="left")
        .join(many(absent, "absent"), on="game_date", how="left")
        .sort("game_date")
    )


def _off_days(games: pl.DataFrame) -> list[Day]:
    """Dates of off games: those that have others too are overwritten by what these make them."""
    status = pl.col("status").cast(pl.String)
    said = pl.concat_str("away_team", pl.lit(" at "), "home_team", pl.lit(" (status "), status)
    off = (
        games.filter(pl.col("counts") & (pl.col("state") == "off"))
        .group_by("game_date")
        .agg((said + pl.lit(")")).sort().alias("said"))
        .sort("game_date")
    )
    return [
        Day(day, DateState.NO_GAMES, f"its games are off: {', '.join(names)}")
        for day, names in off.iter_rows()
    ]


def _bare(missing: pl.DataFrame) -> pl.DataFrame:
    """Per date, the games and sides of played games that have no gamebook rows."""
    missing = missing.filter(pl.col("is_home") | ~pl.col("is_whole"))
    game = pl.concat_str("away_team", pl.lit(" at "), "home_team")
    one = pl.concat_str("team_abbr", pl.lit(" in "), game)
    return missing.group_by("game_date").agg(
        pl.when("is_whole").then(game).otherwise(one).sort().alias("bare")
    )


def _day(row: dict[str, Any], is_near: bool, newest: object) -> Day:
    day, rows, bare = row["game_date"], row["rows"] or 0, row["bare"] or []
    absent = row["absent"] or 0
    if not is_near:
        why = f"more than {FUTURE_DAYS} days after the newest played game ({newest})"
        return Day(day, DateState.FUTURE, why)
    if rows:
        return Day(day, None, expected_rows=rows, notes=_notes(bare), absent_rows=absent)
    if row["played"] == row["games"]:
        why = f"no box scores: {_games(row['games'])}, all played, and no gamebook rows"
        return Day(day, DateState.BLOCKED, why, absent_rows=absent)
    why = (
        "no players: nobody's latest gamebook row of the "
        f"{ROSTER_DAYS} days before is for a team that plays"
    )
    return Day(day, DateState.BY_DESIGN, why, notes=_notes(bare))


def _games(count: int) -> str:
    return "1 game" if count == 1 else f"{count} games"


def _notes(bare: list[str]) -> tuple[str, ...]:
    return (f"no box scores of {', '.join(bare)}",) if bare else ()
