"""The input views: whose content decides that a date is stale (design, "Staleness, exactly").

Views show what a computation goes on with: resolved content without `processed_at`, so that
another scrape of the same facts touches nothing. Rows of D that disagree stand in the population
as they are, so that any correction of them is tried.
"""

from __future__ import annotations

import polars as pl

from ray_backfill.job import Context, Frames, View
from ray_backfill.job.calendar import Window
from ray_backfill_nba.clean import keep_best
from ray_backfill_nba.league import League, load, people_on, rosters
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context import feeds, injuries
from ray_backfill_nba.player_context.game_lines import is_known
from ray_backfill_nba.player_context.game_lines import is_usable as is_usable_outcome
from ray_backfill_nba.player_context.player import birth_dates
from ray_backfill_nba.player_context.props import SIDES, is_offered, is_usable
from ray_backfill_nba.player_context.travel import locate

__all__ = ["VIEWS"]

_SIDE = ["game_date", "team_abbr"]
_STATISTICS = ("minutes", "points", "fgm", "fga", "fta", "oreb", "tov")


def population(frames: Frames, context: Context) -> pl.DataFrame:
    """Who gets a row, what the schedule says of the game, and the rows of D that disagree."""
    league, people = _people(frames, context)
    games = league.sides.select(
        *_SIDE,
        "home_team",
        "away_team",
        "nba_game_id",
        "season_type",
        "kind",
        "tipoff_at",
        "is_overdue",
    )
    torn = pl.concat([_as_text(league.now.schedule_ties), _as_text(league.now.gamebook.ties)])
    return pl.concat([people.join(games, on=_SIDE, how="left"), torn], how="diagonal")


def _as_text(ties: pl.DataFrame) -> pl.DataFrame:
    """`game_date` and the whole row as text: any correction of it changes the date."""
    return ties.select("game_date", pl.struct(pl.all()).struct.json_encode().alias("conflict"))


def box(frames: Frames, context: Context) -> pl.DataFrame:
    """Figures of every game played."""
    rows = load(frames, context).played()
    return rows.select(*_SIDE, "opponent", "player_lookup", *_STATISTICS)


def results(frames: Frames, context: Context) -> pl.DataFrame:
    """Every game's scores and whether its box scores are complete, and the stray dates."""
    league = load(frames, context)
    scores = [pl.when("is_played").then(name).alias(name) for name in ("own_score", "their_score")]
    sides = league.sides.select(*_SIDE, *scores, "is_complete")
    return pl.concat([sides, league.strays.select(_SIDE)], how="diagonal")


def fixtures(frames: Frames, context: Context) -> pl.DataFrame:
    """Every team's games, played or not, without state and score."""
    sides = load(frames, context).sides
    return sides.select(*_SIDE, "opponent", "is_home", "is_regular", "is_neutral")


def season_before(frames: Frames, context: Context) -> pl.DataFrame:
    """Who scored how much against whom in the season before."""
    league = load(frames, context)
    rows = league.now.box.clear() if league.before is None else league.before.box
    return rows.filter("played").select("game_date", "player_lookup", "opponent", "points")


def game_lines(frames: Frames, context: Context) -> pl.DataFrame:
    """Every usable outcome of the two markets, and when the feed says that the games begin."""
    lines = feeds.clean_lines(frames["game_lines"])
    used = lines.filter(is_known() & is_usable_outcome()).drop("commence_time", "outcome_name")
    return pl.concat([used, feeds.starts_of(lines, "commence_time")], how="diagonal")


def points_props(frames: Frames, context: Context) -> pl.DataFrame:
    """Every usable points line of The Odds API, and when it says that the games begin."""
    props = normalised(frames["points_props"])
    used = props.filter(is_usable() & pl.col("bookmaker").is_not_null()).drop("game_start_time")
    starts = feeds.starts_of(props, "game_start_time")
    return pl.concat([_with_entries(used, frames["aliases"]), starts], how="diagonal")


def bettingpros(frames: Frames, context: Context) -> pl.DataFrame:
    """Every usable points line of BettingPros that is on offer."""
    rows = normalised(frames["bettingpros"])
    known = pl.col("bet_side").is_in(SIDES) & pl.col("bookmaker").is_not_null()
    used = rows.filter(is_offered() & known & is_usable()).drop("market_type", "is_active")
    return _with_entries(used, frames["aliases"])


def _with_entries(rows: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """The rows with what the aliases say of their lookups, as text, in the column `entries`."""
    entry = ["player_lookup", "team_abbr", "season"]
    said = (
        normalised(aliases)
        .select("alias_lookup", pl.struct(entry).struct.json_encode().alias("entry"))
        .group_by("alias_lookup")
        .agg(pl.col("entry").unique().sort().str.join().alias("entries"))
    )
    return rows.join(said, left_on="player_lookup", right_on="alias_lookup", how="left")


def injury_reports(frames: Frames, context: Context) -> pl.DataFrame:
    """Every report on a player, the latest scrape of each, with its team."""
    league, people = _people(frames, context)
    wanted = frames["injuries"].filter(_wanted(context))
    rows = injuries.read(wanted, people, league.aliases, league.season.name)
    rows = rows.filter(injuries.is_report())
    found = injuries.with_teams(rows, people, rosters(league))
    return keep_best(found, injuries.KEY, ["processed_at"]).drop("processed_at")


def ages(frames: Frames, context: Context) -> pl.DataFrame:
    """Birth dates of the population, so that a registry row touches its player's dates."""
    league, people = _people(frames, context)
    born = birth_dates(people, frames["registry"], league.aliases, league.season.name)
    return people.select("game_date", "player_lookup", born.alias("birth_date"))


def aliases(frames: Frames, context: Context) -> pl.DataFrame:
    """Aliases of somebody of the date that do not hold, because they are two people."""
    league, people = _people(frames, context)
    refuted = league.aliases.refuted
    return people.select("game_date", "player_lookup").join(refuted, on="player_lookup")


def locations(frames: Frames, context: Context) -> pl.DataFrame:
    """Where the arenas are."""
    return locate(frames["locations"])


def _people(frames: Frames, context: Context) -> tuple[League, pl.DataFrame]:
    """The season, and the population of the dates that are wanted."""
    league = load(frames, context)
    return league, people_on(league, league.sides.filter(_wanted(context)))


def _wanted(context: Context) -> pl.Expr:
    span = context.wanted
    if span is None:
        return pl.lit(True)
    return pl.col("game_date").is_between(span.start, span.end, closed="left")


_BOOKS = ("schedule", "gamebook", "schedule_before", "gamebook_before", "aliases")
_DAY = Window.around()
_BEFORE = Window.season_to_date(upto_day=False)

VIEWS = (
    # Not local, most of them: what a game is depends on the whole season's schedule and boxes.
    View("population", _BOOKS, _DAY, population, local=False),
    View("box", _BOOKS, _BEFORE, box, local=False),
    View("results", _BOOKS, _BEFORE, results, local=False),
    View("season_before", _BOOKS, Window.season_before(), season_before, local=False),
    View("fixtures", _BOOKS, Window.season_to_date(ahead=14), fixtures, local=False),
    View("game_lines", ("game_lines",), _DAY, game_lines),
    View("points_props", ("points_props", "aliases"), _DAY, points_props),
    View("bettingpros", ("bettingpros", "aliases"), _DAY, bettingpros),
    View("injuries", (*_BOOKS, "injuries"), _DAY, injury_reports, local=False),
    View("ages", (*_BOOKS, "registry"), _DAY, ages, local=False),
    View("aliases", _BOOKS, _DAY, aliases, local=False),
    View("locations", ("locations",), Window.always(), locations),
)
