"""The games of a season with their results, for every league copy: one row a game.

Results come before box scores: the box scores are then made to add up to them. So the
playoffs, which need results, cost no box score.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from ray_backfill_nba.demo_league.dice import bell, chance, key_of, number, seeded
from ray_backfill_nba.demo_league.fixtures import Fixtures, fixtures
from ray_backfill_nba.demo_league.people import teams
from ray_backfill_nba.demo_league.playoffs import postseason
from ray_backfill_nba.demo_league.spec import LeagueSpec, season_name

__all__ = ["Oddities", "oddities", "season_games", "with_results"]

KINDS = {
    "preseason": "001",
    "regular": "002",
    "allstar": "003",
    "playoffs": "004",
    "playin": "005",
    "cup_final": "006",
}
"""Season types, and what their game ids begin with."""


@lru_cache(maxsize=2)
def season_games(spec: LeagueSpec, year: int) -> pl.DataFrame:
    """All games in order of date, numbered by `game`; `played` are those up to `through`."""
    plan = fixtures(spec, year)
    regular = with_results(spec, year, _dealt(spec, year, _template(spec, plan)))
    games = [regular]
    if spec.playoffs:
        games += postseason(
            spec, year, regular, plan.last, lambda frame: with_results(spec, year, frame)
        )
    frame = pl.concat([g.select(regular.columns) for g in games]).sort(
        "day", "copy", "home", "away"
    )
    if spec.through is not None:
        played = pl.col("day") <= spec.through
        frame = frame.filter(played | ~pl.col("kind").is_in(["playin", "playoffs", "cup_final"]))
        frame = frame.with_columns(played=played)
    return _with_ids(spec, year, frame.drop("strength_home", "strength_away"))


def _template(spec: LeagueSpec, plan: Fixtures) -> pl.DataFrame:
    """The fixtures as rows, with the games that do not count in the season beside them."""
    rows = [(g.day, g.home, g.away, "regular", g.neutral, g.first_date) for g in plan.games]
    if spec.preseason:
        for n in range(min(2, spec.teams // 2)):
            day = plan.opening - timedelta(6 - n)
            rows.append((day, 2 * n, 2 * n + 1, "preseason", False, None))
    if plan.cup_day:
        rows.append((plan.cup_day, 0, spec.teams - 1, "cup_final", True, None))
    if plan.all_star:
        rows.append((plan.all_star, -1, -2, "allstar", True, None))
    schema = {
        "day": pl.Date,
        "home_slot": pl.Int64,
        "away_slot": pl.Int64,
        "kind": pl.String,
        "neutral": pl.Boolean,
        "first_date": pl.Date,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _dealt(spec: LeagueSpec, year: int, template: pl.DataFrame) -> pl.DataFrame:
    """The template's games for every copy, with teams in place of slots."""
    slots = teams(spec, year).select("copy", "slot", "team")
    copies = pl.select(copy=pl.int_range(spec.scale, dtype=pl.Int64))
    games = template.join(copies, how="cross")
    for side in ("home", "away"):
        own = slots.rename({"slot": f"{side}_slot", "team": side})
        games = games.join(own, on=["copy", f"{side}_slot"], how="left", maintain_order="left")
    return games.drop("home_slot", "away_slot")


def with_results(spec: LeagueSpec, year: int, games: pl.DataFrame) -> pl.DataFrame:
    """Add key, tip-off, what is to be expected, and the final score.

    Overtimes come where the regulation margin is small.
    """
    no_team = pl.lit(spec.scale * spec.teams)
    epoch = pl.col("day").cast(pl.Int32).cast(pl.Int64) + 1_000_000
    games = games.with_columns(
        key_of(
            seeded(spec.seed, "game"),
            epoch,
            pl.col("home").fill_null(no_team + pl.col("copy")),
            pl.col("away").fill_null(no_team + pl.col("copy")),
        ).alias("key")
    )
    known = teams(spec, year)
    for side in ("home", "away"):
        own = known.select(
            pl.col("team").alias(side),
            pl.col("strength").alias(f"strength_{side}"),
            pl.col("pace").alias(f"pace_{side}"),
            pl.col("timezone").alias(f"zone_{side}"),
        )
        games = games.join(own, on=side, how="left", maintain_order="left")
    edge = pl.col("strength_home").fill_null(0.0) - pl.col("strength_away").fill_null(0.0)
    pace = pl.col("pace_home").fill_null(0.0) + pl.col("pace_away").fill_null(0.0)
    games = games.with_columns(
        expected_margin=edge + pl.when("neutral").then(0.0).otherwise(2.5),
        expected_total=226.0 + pace,
        tip=_tip_off(),
    )
    return _with_scores(games).drop("pace_home", "pace_away", "zone_home", "zone_away")


def _tip_off() -> pl.Expr:
    """Evenings by the home team's clock, some Sunday afternoons; told in UTC."""
    lag = {"America/Chicago": 1, "America/Denver": 2, "America/Phoenix": 2}
    zone = pl.col("zone_home")
    lag_hours = zone.replace_strict(
        {**lag, "America/Los_Angeles": 3}, default=0, return_dtype=pl.Int64
    )
    early = (pl.col("day").dt.weekday() == 7) & chance("matinee", 350)
    minutes = pl.when(early).then(15 * 60).otherwise(19 * 60) + lag_hours.fill_null(0) * 60
    minutes = minutes + number("half hours", 3) * 30 - 30 * (lag_hours == 3).fill_null(False)
    eastern = pl.col("day").cast(pl.Datetime("us")) + pl.duration(minutes=minutes)
    return eastern.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")


def _with_scores(games: pl.DataFrame) -> pl.DataFrame:
    """In steps, so that no step repeats the arithmetic of the one before."""
    margin, overtimes, total = pl.col("margin"), pl.col("overtimes"), pl.col("total")
    sign = pl.when((margin > 0) | ((margin == 0) & (number("coin", 2) == 0))).then(1).otherwise(-1)
    return (
        games.with_columns(
            margin=(pl.col("expected_margin") + bell("margin") * 11.0).round().cast(pl.Int64)
        )
        .with_columns(
            overtimes=pl.when((margin.abs() <= 9) & chance("overtime", 160))
            .then(1 + chance("second overtime", 150).cast(pl.Int64))
            .otherwise(0)
            .cast(pl.Int64)
        )
        .with_columns(
            total=(pl.col("expected_total") + bell("total") * 15.0 + overtimes * 20.0)
            .clip(175.0, 310.0)
            .round()
            .cast(pl.Int64),
            margin=sign
            * pl.when(overtimes > 0).then(1 + margin.abs()).otherwise(margin.abs().clip(1, 55)),
        )
        .with_columns(total=total + (total + margin) % 2)
        .with_columns(
            home_score=(total + margin) // 2,
            away_score=(total - margin) // 2,
            played=pl.lit(True),
        )
        .drop("margin", "total")
    )


def _with_ids(spec: LeagueSpec, year: int, games: pl.DataFrame) -> pl.DataFrame:
    """Names of the teams, the league's id of the game, and its number in the season."""
    known = teams(spec, year).select("team", "abbr", "full_name")
    for side in ("home", "away"):
        own = known.rename({"team": side, "abbr": f"{side}_abbr", "full_name": f"{side}_name"})
        games = games.join(own, on=side, how="left", maintain_order="left")
    mark = pl.when(pl.col("copy") == 0).then(pl.lit("")).otherwise(pl.col("copy") + 1)
    for side, abbr, name in (("home", "EST", "East All-Stars"), ("away", "WST", "West All-Stars")):
        games = games.with_columns(
            pl.coalesce(f"{side}_abbr", pl.format("{}{}", pl.lit(abbr), mark)),
            pl.coalesce(f"{side}_name", pl.lit(name)),
        )
    ordinal = pl.int_range(1, pl.len() + 1).over("kind").cast(pl.String).str.zfill(5)
    begin = pl.col("kind").replace_strict(KINDS, return_dtype=pl.String)
    return games.with_columns(
        game=pl.int_range(pl.len(), dtype=pl.Int64),
        first_of_day=pl.col("kind").cum_count().over("day") == 1,
        game_id=pl.concat_str(begin, pl.lit(f"{year % 100:02d}"), ordinal),
        season=pl.lit(season_name(year)),
    )


@dataclass(frozen=True, slots=True)
class Oddities:
    """The dates of a season on which a feed fails; None where the season is too short.

    `blocked`: no box score of any game. `partly`: one game without. `revised`: box scores that
    were corrected. `untimed`: lines without a time. `no_tip`: a game without a tip-off.
    """

    blocked: date | None
    partly: date | None
    revised: date | None
    untimed: date | None
    no_tip: date | None


@lru_cache(maxsize=8)
def oddities(spec: LeagueSpec, year: int) -> Oddities:
    """Chosen along the season's played dates, apart from each other, among thin days."""
    slate: dict[date, int] = {}
    for game in fixtures(spec, year).games:
        if spec.through is None or game.day <= spec.through:
            slate[game.day] = slate.get(game.day, 0) + 1
    days = sorted(slate)
    if not spec.defects or len(days) < 20:
        return Oddities(None, None, None, None, None)

    def near(share: float, least: int) -> date:
        middle = int(len(days) * share)
        some = days[middle : middle + max(len(days) // 12, 1)]
        enough = [day for day in some if slate[day] >= least] or some
        return min(enough, key=lambda day: (slate[day], day))

    return Oddities(
        blocked=near(0.65, 1),
        partly=near(0.45, 2),
        revised=near(0.35, 1),
        untimed=near(0.55, 1),
        no_tip=near(0.8, 1),
    )
