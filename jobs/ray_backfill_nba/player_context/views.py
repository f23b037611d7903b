"""The input views: whose content decides that a date is stale (design, "Staleness, exactly").

Views show what a computation goes on with: resolved content without `processed_at`, so that
another scrape of the same facts touches nothing. Rows of D that disagree stand in the population
as they are, so that any correction of them is tried.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from ray_backfill.calendar import Window
from ray_backfill.job import Context, Frames, View
from ray_backfill_nba.player_context.aliases import known_aliases
from ray_backfill_nba.player_context.clean import GAME, counting, keep_best, resolve_schedule
from ray_backfill_nba.player_context.injuries import KEY as REPORT_KEY
from ray_backfill_nba.player_context.injuries import normalised
from ray_backfill_nba.player_context.league import (
    League,
    clean_box,
    load,
    people_on,
    sides_of,
    with_played,
    with_side,
)
from ray_backfill_nba.player_context.player import birth_dates
from ray_backfill_nba.player_context.travel import locate

__all__ = ["VIEWS"]

_FIXTURE = (
    "nba_game_id",
    "season",
    "tipoff_at",
    "season_type",
    "is_regular",
    "is_playoffs",
    "is_neutral",
)
_SCRAPE = ("processed_at",)
_NEVER = datetime.min.replace(tzinfo=UTC)
_STATISTICS = ("minutes", "points", "fgm", "fga", "fta", "oreb", "tov")


def population(frames: Frames, context: Context) -> pl.DataFrame:
    """Who gets a row and in which game, and the rows of the date that disagree.

    Not whether a game is final: that shows in the roster, which a final game has not.
    """
    league, people = _people(frames, context)
    games = league.sides.select("game_date", "team_abbr", "home_team", "away_team")
    people = people.join(games, on=["game_date", "team_abbr"], how="left")
    torn = pl.concat(
        [_as_text(league.schedule.ties.filter(counting())), _as_text(league.gamebook.ties)]
    )
    return pl.concat([people, torn], how="diagonal")


def _as_text(ties: pl.DataFrame) -> pl.DataFrame:
    """`game_date` and the whole row as text: any correction of it changes the date."""
    return ties.select("game_date", pl.struct(pl.all()).struct.json_encode().alias("conflict"))


def box(frames: Frames, context: Context) -> pl.DataFrame:
    """Figures of every game played; of who did not play, that his team has box scores."""
    rows = with_played(clean_box(frames["gamebook"]).rows)
    return rows.select(
        "game_date",
        "team_abbr",
        "played",
        *(pl.when("played").then(name).alias(name) for name in ("player_lookup", *_STATISTICS)),
    )


def results(frames: Frames, context: Context) -> pl.DataFrame:
    """Final games and their scores, also those without box scores."""
    final = resolve_schedule(frames["schedule"]).rows.filter(counting() & (pl.col("status") == 3))
    return final.select("game_date", "home_team", "away_team", "home_score", "away_score")


def fixtures(frames: Frames, context: Context) -> pl.DataFrame:
    """Every team's games, played or not, without status and score."""
    games = resolve_schedule(frames["schedule"]).rows.filter(counting())
    return sides_of(games).select(*GAME, "team_abbr", "is_home", *_FIXTURE)


def season_before(frames: Frames, context: Context) -> pl.DataFrame:
    """Who scored how much against whom in the season before."""
    games = sides_of(resolve_schedule(frames["schedule_before"]).rows.filter(counting()))
    rows = with_side(with_played(clean_box(frames["gamebook_before"]).rows), games)
    return rows.filter("played").select("game_date", "player_lookup", "opponent", "points")


def game_lines(frames: Frames, context: Context) -> pl.DataFrame:
    """Every outcome of the two markets."""
    return frames["game_lines"].filter(pl.col("market_key").is_in(["spreads", "totals"]))


def points_props(frames: Frames, context: Context) -> pl.DataFrame:
    """Every points line of The Odds API."""
    return frames["points_props"]


def bettingpros(frames: Frames, context: Context) -> pl.DataFrame:
    """Every active points line of BettingPros."""
    active = (pl.col("market_type") == "points") & pl.col("is_active").fill_null(True)
    return frames["bettingpros"].filter(active).drop("market_type", "is_active")


def injury_reports(frames: Frames, context: Context) -> pl.DataFrame:
    """Every row of every report, its latest scrape.

    Rows that an alias may make one player's are ordered by their scrapes: the latest wins.
    """
    rows = normalised(frames["injuries"])
    named = keep_best(rows.filter(pl.col("player_lookup").is_not_null()), REPORT_KEY, _SCRAPE)
    meant = known_aliases(frames["aliases"]).rename({"player_lookup": "meant"})
    named = named.join(
        meant, left_on="player_lookup", right_on="alias_lookup", how="left"
    ).with_columns(pl.coalesce("meant", "player_lookup").alias("meant"))
    one = ["report_timestamp", "game_date", "team_abbr", "meant"]
    order = pl.col("processed_at").fill_null(_NEVER).rank("dense").over(one)
    nobody = rows.filter(pl.col("player_lookup").is_null())
    return pl.concat([named.with_columns(order.alias("scrape")), nobody], how="diagonal").drop(
        "processed_at", "meant"
    )


def ages(frames: Frames, context: Context) -> pl.DataFrame:
    """Birth dates of the population, so that a registry row touches its player's dates."""
    league, people = _people(frames, context)
    born = birth_dates(people, frames["registry"], known_aliases(frames["aliases"]), league.season)
    return people.select("game_date", "player_lookup", born.alias("birth_date"))


def aliases(frames: Frames, context: Context) -> pl.DataFrame:
    """Spellings that mean somebody of the date: of its population, or of its injury reports."""
    known = known_aliases(frames["aliases"])
    if known.is_empty():
        return known.with_columns(pl.lit(None, dtype=pl.Date).alias("game_date"))
    _, people = _people(frames, context)
    who = people.select("game_date", "player_lookup")
    listed = frames["injuries"].select("game_date", alias_lookup="player_lookup").unique()
    pairs = pl.concat(
        [
            who.join(known, on="player_lookup").select(
                "game_date", "alias_lookup", "player_lookup"
            ),
            listed.join(known, on="alias_lookup").select(
                "game_date", "alias_lookup", "player_lookup"
            ),
        ]
    ).unique()
    somebody = who.rename({"player_lookup": "alias_lookup"})
    return pairs.join(somebody, on=["game_date", "alias_lookup"], how="anti")


def locations(frames: Frames, context: Context) -> pl.DataFrame:
    """Where the arenas are."""
    return locate(frames["locations"])


def _people(frames: Frames, context: Context) -> tuple[League, pl.DataFrame]:
    """The season, and the population of the dates that are wanted."""
    league, sides = load(frames, context), pl.col("game_date")
    wanted = context.wanted
    inside = sides.is_between(wanted.start, wanted.end, closed="left") if wanted else True
    return league, people_on(league, league.sides.filter(inside))


_BOOKS = ("schedule", "gamebook", "schedule_before", "gamebook_before")
_DAY = Window.around()
_BEFORE = Window.season_to_date(upto_day=False)

VIEWS = (
    # Not local: the roster of D looks back, and a game's id may stand on another date too.
    View("population", _BOOKS, _DAY, population, local=False),
    View("box", ("gamebook",), _BEFORE, box),
    View("results", ("schedule",), _BEFORE, results, local=False),
    View(
        "season_before",
        ("schedule_before", "gamebook_before"),
        Window.season_before(),
        season_before,
        local=False,
    ),
    View("fixtures", ("schedule",), Window.season_to_date(ahead=14), fixtures, local=False),
    View("game_lines", ("game_lines",), _DAY, game_lines),
    View("points_props", ("points_props",), _DAY, points_props),
    View("bettingpros", ("bettingpros",), _DAY, bettingpros),
    View("injuries", ("injuries", "aliases"), _DAY, injury_reports, local=False),
    View("ages", (*_BOOKS, "registry", "aliases"), _DAY, ages, local=False),
    View("aliases", (*_BOOKS, "injuries", "aliases"), _DAY, aliases, local=False),
    View("locations", ("locations",), Window.always(), locations),
)
