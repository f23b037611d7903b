"""The cleaned tables that every job starts from: a season's games, their sides and box scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from ray_backfill.job import Context, Frames
from ray_backfill.job.calendar import Season
from ray_backfill_nba.aliases import Aliases, known_aliases
from ray_backfill_nba.gamebook import Gamebook, clean_box, keys_of, teams_of, with_played
from ray_backfill_nba.names import normalised
from ray_backfill_nba.once import Once
from ray_backfill_nba.population import people_of
from ray_backfill_nba.schedule import GAME, settle_games, sides_of, standing

__all__ = [
    "League",
    "SeasonGames",
    "load",
    "people_on",
    "rosters",
    "season_games",
    "slate",
    "stray_dates",
]

_SIDE = ["game_date", "team_abbr"]
_STRAY_PLAYERS = 5


@dataclass(frozen=True, slots=True)
class SeasonGames:
    """The games of one season that count and are not off.

    `sides`: one row per team and date: `game_date`, `team_abbr`, `opponent`, `is_home`,
    `own_score`, `their_score`, and the columns of the game (see `schedule`). `box`: gamebook rows
    that found their side, with `opponent`, `minutes` in thousandths (Int64) and `played`: a game
    played is one of a played game. `listed`: every game of the schedule that stands, also what
    is off or never counts. `schedule_ties`: rows of one of the games that disagree. `gamebook`:
    how its duplicates were decided, rows without a side included.
    """

    season: Season
    sides: pl.DataFrame
    box: pl.DataFrame
    listed: pl.DataFrame
    schedule_ties: pl.DataFrame
    gamebook: Gamebook


@dataclass(frozen=True, slots=True)
class League:
    """The season of the context and the one before, and the aliases that hold in both.

    `sides` are the season's, with `box_rows`, `box_points` and `is_complete`; `strays`:
    `game_date`, `team_abbr`, `players` of its stray dates.
    """

    season: Season
    sides: pl.DataFrame
    strays: pl.DataFrame
    now: SeasonGames
    before: SeasonGames | None
    aliases: Aliases

    def played(self) -> pl.DataFrame:
        """The box rows of games played this season."""
        return self.now.box.filter("played")


def _load(frames: Frames, context: Context) -> League:
    gamebook, gamebook_before = (
        normalised(frames[name]) for name in ("gamebook", "gamebook_before")
    )
    season, before = context.season, _before(context)
    boxes = [keys_of(gamebook, season.name)]
    if before is not None:
        boxes.append(keys_of(gamebook_before, before.name))
    aliases = known_aliases(frames["aliases"], pl.concat(boxes))
    earlier = [one.name for one in context.seasons[:-1]]
    now = season_games(frames["schedule"], gamebook, aliases, season, earlier)
    strays = stray_dates(now)
    return League(
        season=season,
        sides=_with_completeness(now),
        strays=strays,
        now=now,
        before=None
        if before is None
        else season_games(frames["schedule_before"], gamebook_before, aliases, before, earlier),
        aliases=aliases,
    )


load = Once(_load, "schedule", "gamebook", "schedule_before", "gamebook_before", "aliases")
"""The league of a span out of its frames: rows of other seasons are left out."""


def _before(context: Context) -> Season | None:
    """The season before the context's, as windows have it."""
    earlier = [one for one in context.seasons if one.end <= context.season.start]
    return earlier[-1] if earlier else None


def season_games(
    schedule: pl.DataFrame,
    gamebook: pl.DataFrame,
    aliases: Aliases,
    season: Season,
    earlier: Sequence[str],
) -> SeasonGames:
    """The games of a season out of raw schedule rows and normalised gamebook rows.

    Both cover the whole season: a later row can take a game away from its date. `earlier`: the
    names of all seasons but the last.
    """
    settled = settle_games(schedule, teams_of(gamebook))
    games = standing(settled.rows, earlier)
    here = (pl.col("season") == season.name) & pl.col("game_date").is_between(
        season.start, season.end, closed="left"
    )
    held = pl.col("counts") & pl.col("stands") & (pl.col("state") != "off")
    sides = sides_of(games.filter(here & held))
    boxes = clean_box(gamebook, aliases, season.name)
    box = with_played(boxes.rows).join(sides.select(*_SIDE, "opponent", "is_played"), on=_SIDE)
    box = box.with_columns(pl.col("played") & pl.col("is_played")).drop("is_played")
    return SeasonGames(
        season=season,
        sides=sides,
        box=box,
        listed=games,
        schedule_ties=settled.ties.join(sides.select(GAME), on=GAME, how="semi"),
        gamebook=boxes,
    )


def _with_completeness(games: SeasonGames) -> pl.DataFrame:
    """The sides with what their box scores sum to, and whether these are complete.

    Complete: a played game of which the team has rows that all agree and whose known points sum
    to its score, where that is usable and undisputed.
    """
    sums = games.box.group_by(_SIDE).agg(
        pl.len().cast(pl.Int64).alias("box_rows"), pl.col("points").sum().alias("box_points")
    )
    torn = games.gamebook.ties.select(*_SIDE, pl.lit(True).alias("is_torn")).unique()
    score = pl.col("own_score")
    complete = (
        pl.col("is_played")
        & pl.col("box_rows").is_not_null()
        & ~pl.col("is_score_disputed")
        & pl.col("is_torn").is_null()
        & (score.is_null() | (score == pl.col("box_points"))).fill_null(False)
    )
    return (
        games.sides.join(sums, on=_SIDE, how="left", maintain_order="left")
        .join(torn, on=_SIDE, how="left", maintain_order="left")
        .with_columns(pl.col("box_rows").fill_null(0), complete.alias("is_complete"))
        .drop("is_torn")
    )


def stray_dates(games: SeasonGames) -> pl.DataFrame:
    """Dates with rows of 5 or more players of a team that has no game that stands, or an off one.

    `game_date`, `team_abbr`, `players` (Int64). A game that never counts is a game here.
    """
    held = games.listed.filter((pl.col("state") != "off") & pl.col("stands"))
    sides = [
        held.select("game_date", pl.col(name).alias("team_abbr"))
        for name in ("home_team", "away_team")
    ]
    span, day = games.season, pl.col("game_date")
    rows = games.gamebook.rows.filter(day.is_between(span.start, span.end, closed="left"))
    lost = rows.join(pl.concat(sides), on=_SIDE, how="anti")
    teams = games.sides.select("team_abbr").unique()
    return (
        lost.join(teams, on="team_abbr", how="semi")
        .group_by(_SIDE)
        .agg(pl.len().cast(pl.Int64).alias("players"))
        .filter(pl.col("players") >= _STRAY_PLAYERS)
    )


def slate(league: League, dates: Sequence[date]) -> pl.DataFrame:
    """The sides that play on `dates`, sorted by date and team."""
    return league.sides.filter(pl.col("game_date").is_in(list(dates))).sort(
        "game_date", "team_abbr"
    )


def people_on(league: League, games: pl.DataFrame) -> pl.DataFrame:
    """The population of `games` (sides of some dates), see `people_of`."""
    return people_of(games, league.now.box, rosters(league))


def rosters(league: League) -> pl.DataFrame:
    """`game_date`, `player_lookup`, `player_name`, `team_abbr` of both seasons' box rows."""
    seasons = [one for one in (league.before, league.now) if one is not None]
    return pl.concat(
        one.box.select("game_date", "player_lookup", "player_name", "team_abbr") for one in seasons
    )
