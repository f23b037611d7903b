"""Teams and players of a season: strength, skill, trades, injuries, ages."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from ray_backfill_nba.demo_league.dice import bell, chance, key_of, number, seeded
from ray_backfill_nba.demo_league.fixtures import fixtures
from ray_backfill_nba.demo_league.names import TEAMS, lookup_expr, name_expr
from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["players", "rosters", "teams"]


@lru_cache(maxsize=4)
def teams(spec: LeagueSpec, year: int) -> pl.DataFrame:
    """One row a team: number, league copy, slot in the template, names, place, strength.

    Slots are dealt anew each season. A team keeps most of its strength from year to year.
    """
    rows = []
    for copy in range(spec.scale):
        mark = f"{copy + 1}" if copy else ""
        for at, (abbr, city, nick, latitude, longitude, zone) in enumerate(TEAMS[: spec.teams]):
            name = f"{city} {nick} {mark}".rstrip()
            number_ = copy * spec.teams + at
            rows.append((number_, copy, abbr + mark, name, latitude, longitude, zone))
    names = ("team", "copy", "abbr", "full_name", "latitude", "longitude", "timezone")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        key_of(seeded(spec.seed, "team", year), "team").alias("key"),
        key_of(seeded(spec.seed, "team"), "team").alias("always"),
    )
    return frame.with_columns(
        strength=bell("lasting", "always") * 3.5 + bell("this year") * 3.0,
        pace=bell("pace") * 2.5,
        slot=pl.struct("key", "team").rank("ordinal").over("copy").cast(pl.Int64) - 1,
        east=pl.col("longitude").rank("ordinal", descending=True).over("copy") <= spec.teams // 2,
    ).drop("always")


@lru_cache(maxsize=4)
def players(spec: LeagueSpec, year: int) -> pl.DataFrame:
    """One row a player of the season, by his place on a roster at its start.

    Place 0 is the star and the last place the end of the bench. One player in nine is a
    newcomer each year: a place then passes to a person with a new number.
    """
    places = spec.scale * spec.teams * spec.roster
    frame = pl.select(place_id=pl.int_range(places, dtype=pl.Int64)).with_columns(
        team=pl.col("place_id") // spec.roster, place=pl.col("place_id") % spec.roster
    )
    newcomers = pl.lit(0, dtype=pl.Int64)
    for later in range(spec.first_season + 1, year + 1):
        frame = frame.with_columns(
            key_of(seeded(spec.seed, "turnover", later), "place_id").alias("key")
        )
        came = chance("new", 110)
        newcomers = pl.when(came).then(later - spec.first_season).otherwise(newcomers)
        frame = frame.with_columns(newcomers.alias("since"))
        newcomers = pl.col("since")
    since = newcomers if year > spec.first_season else pl.lit(0, dtype=pl.Int64)
    return (
        frame.with_columns(person=pl.col("place_id") + since * places)
        .with_columns(key_of(seeded(spec.seed, "person"), "person").alias("key"))
        .with_columns(
            key_of(seeded(spec.seed, "year", year), "person").alias("year_key"),
            player_name=name_expr(),
            player_lookup=lookup_expr(),
        )
        .with_columns(*_skills(spec), *_spells(spec, year), _birth_date(spec))
        .select(pl.exclude("since", "place_id"))
    )


def _skills(spec: LeagueSpec) -> list[pl.Expr]:
    """Whole-number weights, that shares of a team's figures are in proportion to."""
    place = pl.col("place")
    ranked = pl.when(place == 0).then(170).when(place == 1).then(140).when(place < 5).then(105)
    star = ranked.otherwise(85)
    big = number("big", 3) == 0

    def around(label: str, base: pl.Expr | int, spread: int) -> pl.Expr:
        return (pl.lit(base) if isinstance(base, int) else base) + number(label, spread)

    return [
        around("twos", star - 15, 40).alias("twos"),
        pl.when(big).then(12).otherwise(around("threes", star // 2, 90)).alias("threes"),
        around("frees", star - 30, 70).alias("frees"),
        (around("boards", 50, 60) + big.cast(pl.Int64) * 110).alias("boards"),
        around("assists", star // 3, 120).alias("passes"),
        around("hands", 60, 80).alias("hands"),
    ]


def _spells(spec: LeagueSpec, year: int) -> list[pl.Expr]:
    """Up to three injuries: first and last day of each, counted from the opening."""
    plan = fixtures(spec, year)
    span = (plan.last - plan.opening).days + 1
    out = []
    for n, odds in enumerate((450, 320, 160)):
        kind = number(f"kind{n}", 100, "year_key")
        length = (
            pl.when(kind < 50)
            .then(2 + number(f"short{n}", 5, "year_key"))
            .when(kind < 85)
            .then(7 + number(f"middle{n}", 14, "year_key"))
            .otherwise(20 + number(f"long{n}", 40, "year_key"))
        )
        hurt = chance(f"hurt{n}", odds, "year_key")
        start = pl.when(hurt).then(number(f"start{n}", span, "year_key")).otherwise(-1000)
        out += [start.alias(f"from{n}"), (start + length - 1).alias(f"upto{n}")]
    return out


def _birth_date(spec: LeagueSpec) -> pl.Expr:
    """Newcomers are about 20; of the others some are past 35."""
    new = pl.col("person") // (spec.scale * spec.teams * spec.roster)
    beyond = (
        pl.when(new > 0)
        .then(number("young", 4 * 365))
        .otherwise(number("age a", 9 * 365) + number("age b", 9 * 365))
    )
    joined = pl.lit(date(spec.first_season, 10, 1)) + pl.duration(days=365 * new)
    return (joined - pl.duration(days=19 * 365 + beyond)).alias("born")


@lru_cache(maxsize=2)
def rosters(spec: LeagueSpec, year: int) -> pl.DataFrame:
    """Players with the team and the days they are there for: `team`, `here_from`, `here_upto`.

    A player who is traded has two rows.
    """
    always, never = date(1900, 1, 1), date(9999, 1, 1)
    whole = players(spec, year).join(
        _trades(spec, year), on=["team", "place"], how="left", maintain_order="left"
    )
    before = whole.with_columns(
        here_from=pl.lit(always),
        here_upto=pl.coalesce(pl.col("traded_on") - pl.duration(days=1), pl.lit(never)),
    )
    after = whole.filter(pl.col("traded_on").is_not_null()).with_columns(
        team=pl.col("partner"), here_from=pl.col("traded_on"), here_upto=pl.lit(never)
    )
    return pl.concat([before, after]).drop("partner", "traded_on")


def _trades(spec: LeagueSpec, year: int) -> pl.DataFrame:
    """Who changes places with whom: `team`, `place` -> `partner`, `traded_on`.

    Some pairs of teams swap two players of one place in the weeks before the deadline.
    """
    plan = fixtures(spec, year)
    span = (plan.last - plan.opening).days
    deadline = plan.opening + timedelta(span * 62 // 100)
    sides = teams(spec, year).select("copy", "slot", "team", "key", pair=pl.col("slot") // 2)
    first = sides.filter(pl.col("slot") % 2 == 0)
    second = sides.filter(pl.col("slot") % 2 == 1).select("copy", "pair", other="team")
    swaps = (
        first.join(second, on=["copy", "pair"], maintain_order="left")
        .filter(chance("trade", 400))
        .with_columns(
            place=2 + number("traded place", 6),
            traded_on=pl.lit(deadline) - pl.duration(days=number("trade day", 1 + span // 10)),
        )
    )
    there = swaps.select("team", "place", "traded_on", partner="other")
    back = swaps.select("place", "traded_on", team="other", partner="team")
    return pl.concat([there, back.select(there.columns)])
