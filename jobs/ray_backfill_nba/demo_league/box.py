"""Box scores: what each player did, adding up to the team's figures and the final score."""

from __future__ import annotations

import polars as pl

from ray_backfill.job.table import Kind
from ray_backfill_nba.demo_league.dice import bell, chance, distribute, number
from ray_backfill_nba.demo_league.faults import BOX_FAULTS, spoiled
from ray_backfill_nba.demo_league.feed_faults import BOX_NAMES
from ray_backfill_nba.demo_league.feeds import conform, repeated
from ray_backfill_nba.demo_league.games import oddities
from ray_backfill_nba.demo_league.spec import LeagueSpec
from ray_backfill_nba.raw_tables import GAMEBOOK

__all__ = ["gamebook"]

_FIGURES = tuple(column.name for column in GAMEBOOK.columns if column.kind is Kind.INT)


def gamebook(spec: LeagueSpec, year: int, players: pl.DataFrame) -> pl.DataFrame:
    """The raw gamebook rows of `players`, a frame of `lineups`: played games only."""
    played = _present(spec, year, players.filter("played"))
    played = played.with_row_index("at")
    figures = _figures(_team_figures(played.filter("plays")))
    rows = played.join(
        figures.select("at", "minutes_decimal", *_FIGURES),
        on="at",
        how="left",
        maintain_order="left",
    )
    benched = ~pl.col("plays") & ~pl.col("out")
    rows = rows.with_columns(
        player_status=pl.when("plays")
        .then(pl.lit("active"))
        .when(benched)
        .then(pl.lit("dnp"))
        .otherwise(pl.lit("inactive")),
        minutes_decimal=pl.when(benched).then(0.0).otherwise("minutes_decimal"),
        **{name: pl.when(benched).then(0).otherwise(name) for name in _FIGURES},
        game_id=pl.format(
            "{}_{}_{}", pl.col("day").dt.strftime("%Y%m%d"), "away_abbr", "home_abbr"
        ),
        game_date="day",
        processed_at=(pl.col("day") + pl.duration(days=1))
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        + pl.duration(hours=9),
    )
    if spec.defects:
        rows = _revised(spec, year, rows)
    rows = spoiled({**BOX_FAULTS, **BOX_NAMES}, spec.faults, rows)
    rows = repeated(spec, rows, "box", 12)
    return conform(GAMEBOOK, _conflicting(spec, rows))


def _present(spec: LeagueSpec, year: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Without the games whose box scores never arrived."""
    odd = oddities(spec, year)
    if odd.blocked is None or odd.partly is None:
        return rows
    lost = (pl.col("day") == odd.partly) & pl.col("first_of_day")
    return rows.filter((pl.col("day") != odd.blocked) & ~lost)


def _team_figures(rows: pl.DataFrame) -> pl.DataFrame:
    """The team's totals in the game: made shots give the score exactly, the rest is drawn."""
    key = "side_key"
    minutes = 240 + 25 * pl.col("overtimes")

    def around(label: str, mean: float, spread: float) -> pl.Expr:
        return (mean + bell(label, key) * spread).clip(mean / 4, mean * 2).round().cast(pl.Int64)

    score = pl.col("score")
    rows = rows.with_columns(
        team_minutes=minutes * 1000,
        team_threes=pl.min_horizontal(around("threes", 13.0, 3.6), score // 7),
        team_frees=pl.min_horizontal(around("frees", 17.0, 5.0), score // 5),
    )
    odd = (score - 3 * pl.col("team_threes") - pl.col("team_frees")) % 2
    rows = rows.with_columns(team_frees=pl.col("team_frees") + odd)
    rows = rows.with_columns(
        team_twos=(score - 3 * pl.col("team_threes") - pl.col("team_frees")) // 2
    )
    made = pl.col("team_twos") + pl.col("team_threes")
    return rows.with_columns(
        miss_twos=pl.col("team_twos") * (70 + number("miss twos", 41, key)) // 100,
        miss_threes=pl.col("team_threes") * (140 + number("miss threes", 71, key)) // 100 + 3,
        miss_frees=pl.col("team_frees") * (15 + number("miss frees", 31, key)) // 100,
        team_orebs=around("orebs", 10.5, 3.0),
        team_drebs=around("drebs", 33.0, 4.0),
        team_assists=made * (50 + number("assists", 26, key)) // 100,
        team_steals=around("steals", 7.5, 2.3),
        team_blocks=around("blocks", 5.0, 1.8),
        team_turnovers=around("turnovers", 13.5, 3.2),
        team_fouls=around("fouls", 18.5, 3.4),
    )


def _figures(rows: pl.DataFrame) -> pl.DataFrame:
    """Shares of the team's figures, by minutes, skill and the day's form."""
    time = pl.col("weight") // 100
    hot = 55 + number("hot a", 46) + number("hot b", 46)

    def share(total: str, skill: str, form: pl.Expr | int = 100) -> pl.Expr:
        return distribute(pl.col(total), time * pl.col(skill) * form, "side")

    def luck(label: str) -> pl.Expr:
        return 40 + number(label, 121)

    rows = rows.with_columns(
        milli=distribute(pl.col("team_minutes"), pl.col("weight"), "side"),
        two=share("team_twos", "twos", hot),
        three=share("team_threes", "threes", hot + number("range", 60)),
        free=share("team_frees", "frees", hot + number("whistle", 120)),
        two_off=share("miss_twos", "twos", luck("two off")),
        three_off=share("miss_threes", "threes", luck("three off")),
        free_off=share("miss_frees", "frees", luck("free off")),
        offensive_rebounds=share("team_orebs", "boards", luck("orebs")),
        defensive_rebounds=share("team_drebs", "boards", luck("drebs")),
        assists=share("team_assists", "passes", luck("assists")),
        steals=share("team_steals", "hands", luck("steals")),
        blocks=share("team_blocks", "boards", luck("blocks")),
        turnovers=share("team_turnovers", "passes", luck("turnovers")),
        personal_fouls=share("team_fouls", "hands", luck("fouls")).clip(0, 6),
    )
    two, three, free = pl.col("two"), pl.col("three"), pl.col("free")
    return rows.with_columns(
        minutes_decimal=pl.col("milli") / 1000,
        points=2 * two + 3 * three + free,
        field_goals_made=two + three,
        field_goals_attempted=two + three + pl.col("two_off") + pl.col("three_off"),
        three_pointers_made=three,
        three_pointers_attempted=three + pl.col("three_off"),
        free_throws_made=free,
        free_throws_attempted=free + pl.col("free_off"),
        total_rebounds=pl.col("offensive_rebounds") + pl.col("defensive_rebounds"),
    )


def _revised(spec: LeagueSpec, year: int, rows: pl.DataFrame) -> pl.DataFrame:
    """On one date some rows stand twice, before and after a correction of the box score."""
    day = oddities(spec, year).revised
    if day is None:
        return rows
    touched = (pl.col("day") == day) & pl.col("plays") & chance("revised", 200)
    first = rows.filter(touched).with_columns(
        assists=pl.col("assists") + 1,
        points=pl.col("points") + 2,
        field_goals_made=pl.col("field_goals_made") + 1,
        field_goals_attempted=pl.col("field_goals_attempted") + 1,
        processed_at=pl.col("processed_at") - pl.duration(hours=4),
    )
    return _beside(rows, first)


def _conflicting(spec: LeagueSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """On the conflict date some rows disagree, and none says when it was scraped."""
    if spec.conflict_date is None:
        return rows
    there = pl.col("day") == spec.conflict_date
    other = rows.filter(there & pl.col("plays") & (pl.col("standing") == 0)).with_columns(
        points=pl.col("points") + 1, free_throws_made=pl.col("free_throws_made") + 1
    )
    unknown = pl.when(there).then(None).otherwise("processed_at")
    return _beside(rows, other).with_columns(processed_at=unknown)


def _beside(rows: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """`more` before the rows of the same player and game."""
    return (
        pl.concat([more.with_columns(nth=0), rows.with_columns(nth=1)])
        .sort("side", "place", "nth")
        .drop("nth")
    )
