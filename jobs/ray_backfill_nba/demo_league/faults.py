"""More that can be wrong with a league's schedule and box scores, each by a switch.

A fault takes the rows of a feed before they are brought into the contract, with the columns of
`games` and `lineups` beside those of the raw table, and gives them back spoiled. It decides by
the keys of the rows alone, so it spoils the same whatever the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import polars as pl

from ray_backfill_nba.demo_league.dice import chance, number

__all__ = ["BOX_FAULTS", "SCHEDULE_FAULTS", "Fault", "beside", "spoiled"]

Fault = Callable[[pl.DataFrame], pl.DataFrame]

_FINAL = 3
_SCORES = ("home_team_score", "away_team_score")
_UNPLAYED, _CALLED_OFF, _STUCK = ("unplayed", 25), ("called off", 25), ("stuck", 40)
_NO_BOX_OF_STUCK = ("stuck without a box score", 500)


def spoiled(
    faults: Mapping[str, Fault], switched_on: tuple[str, ...], rows: pl.DataFrame
) -> pl.DataFrame:
    """The rows with those of the feed's faults that are switched on."""
    for name, fault in faults.items():
        if name in switched_on:
            rows = fault(rows)
    return rows


def beside(rows: pl.DataFrame, chosen: pl.Expr) -> pl.DataFrame:
    """The chosen rows twice, one after the other: column `copied` is TRUE in the second."""
    both = pl.lit([False, True], dtype=pl.List(pl.Boolean))
    one = pl.lit([False], dtype=pl.List(pl.Boolean))
    return rows.with_columns(copied=pl.when(chosen).then(both).otherwise(one)).explode("copied")


# The schedule -----------------------------------------------------------------------


def _final() -> pl.Expr:
    return pl.col("game_status") == _FINAL


def _without_scores(rows: pl.DataFrame, chosen: pl.Expr, score: int | None) -> pl.DataFrame:
    return rows.with_columns(
        pl.when(chosen).then(score).otherwise(name).alias(name) for name in _SCORES
    )


def _scoreless(rows: pl.DataFrame) -> pl.DataFrame:
    return _without_scores(rows, _final() & chance("scoreless", 40), None)


def _unplayed(rows: pl.DataFrame) -> pl.DataFrame:
    return _without_scores(rows, _final() & chance(*_UNPLAYED), 0)


def _called_off(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = _final() & chance(*_CALLED_OFF)
    rows = rows.with_columns(game_status=pl.when(chosen).then(5).otherwise("game_status"))
    return _without_scores(rows, chosen, None)


def _stuck(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = _final() & chance(*_STUCK)
    status = 1 + chance("stuck live", 400).cast(pl.Int64)
    rows = rows.with_columns(game_status=pl.when(chosen).then(status).otherwise("game_status"))
    return _without_scores(rows, chosen, None)


def _without_status(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = _final() & chance("without status", 100)
    return rows.with_columns(game_status=pl.when(chosen).then(None).otherwise("game_status"))


def _late_scrapes(rows: pl.DataFrame) -> pl.DataFrame:
    rows = beside(rows, _final() & chance("late scrape", 100))
    later = pl.col("processed_at") + timedelta(days=5)
    rows = rows.with_columns(
        game_status=pl.when("copied").then(1).otherwise("game_status"),
        processed_at=pl.when("copied").then(later).otherwise("processed_at"),
    )
    return _without_scores(rows, pl.col("copied"), None).drop("copied")


def _labels(rows: pl.DataFrame) -> pl.DataFrame:
    year = pl.col("season_year")
    which = number("label", 40)
    return rows.with_columns(
        season=pl.when(which == 0)
        .then(pl.format("{}-{}", year, year + 1))
        .when(which == 1)
        .then(year.cast(pl.String))
        .when(which == 2)
        .then(pl.lit("Unknown"))
        .when(which == 3)
        .then(pl.format("{}-{}", year - 1, (year % 100).cast(pl.String).str.zfill(2)))
        .otherwise("season")
    )


def _no_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = chance("no kind", 150)
    return rows.with_columns(
        pl.when(chosen).then(None).otherwise(name).alias(name)
        for name in ("season_type", "is_regular_season", "is_playoffs")
    )


def _two_games(rows: pl.DataFrame) -> pl.DataFrame:
    rows = beside(rows, _final() & chance("two games", 30))
    other = pl.lit("TBD")
    rows = rows.with_columns(
        game_id=pl.when("copied")
        .then(pl.concat_str(pl.col("game_id").str.slice(0, 5), pl.lit("9"), _last_digits()))
        .otherwise("game_id"),
        away_team_tricode=pl.when("copied").then(other).otherwise("away_team_tricode"),
        game_status=pl.when("copied").then(1).otherwise("game_status"),
    )
    return _without_scores(rows, pl.col("copied"), None).drop("copied")


def _last_digits() -> pl.Expr:
    return pl.col("game_id").str.slice(6)


def _early_games(rows: pl.DataFrame) -> pl.DataFrame:
    """The first preseason game once more, two weeks before, as one of the regular season."""
    first = (pl.col("kind") == "preseason") & (pl.col("game") == 0) & _final()
    rows = beside(rows, first)
    regular = pl.concat_str(pl.lit("002"), pl.col("game_id").str.slice(3, 2), pl.lit("8"))
    return rows.with_columns(
        game_id=pl.when("copied").then(pl.concat_str(regular, _last_digits())).otherwise("game_id"),
        game_date=pl.when("copied")
        .then(pl.col("game_date") - timedelta(days=14))
        .otherwise("game_date"),
        season_type=pl.when("copied").then(pl.lit("regular")).otherwise("season_type"),
        is_regular_season=pl.col("is_regular_season") | pl.col("copied"),
    ).drop("copied")


def _tipoffs(rows: pl.DataFrame) -> pl.DataFrame:
    midnight = pl.col("game_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    eastern = pl.col("game_date_est").dt.convert_time_zone("America/New_York")
    which = number("tip-off", 10)
    return rows.with_columns(
        game_date_est=pl.when(which == 0)
        .then(midnight)
        .when(which == 1)
        .then(eastern.dt.replace_time_zone("UTC"))
        .otherwise("game_date_est")
    )


SCHEDULE_FAULTS: dict[str, Fault] = {
    "scoreless_finals": _scoreless,
    "unplayed_finals": _unplayed,
    "called_off": _called_off,
    "stuck_games": _stuck,
    "no_status": _without_status,
    "late_scrapes": _late_scrapes,
    "season_labels": _labels,
    "no_kinds": _no_kinds,
    "two_games": _two_games,
    "early_games": _early_games,
    "tipoffs": _tipoffs,
}


# The gamebook -----------------------------------------------------------------------


def _not(chosen: pl.Expr) -> Fault:
    return lambda rows: rows.filter(~chosen)


def _stuck_boxes(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(~(chance(*_STUCK, "game_key") & chance(*_NO_BOX_OF_STUCK, "game_key")))


def _zero_minutes(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = chance("zero minutes", 20, "key") | chance("zero side", 20, "side_key")
    zero = pl.when(pl.col("plays") & chosen).then(0.0).otherwise("minutes_decimal")
    return rows.with_columns(minutes_decimal=zero)


def _no_minutes(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = chance("no minutes", 60, "side_key")
    lost = ("minutes_decimal", "field_goals_attempted", "free_throws_attempted", "turnovers")
    return rows.with_columns(
        pl.when(chosen).then(None).otherwise(name).alias(name) for name in lost
    )


def _wrong_dates(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = chance("wrong date", 20, "game_key")
    next_day = pl.col("game_date") + timedelta(days=1)
    return rows.with_columns(game_date=pl.when(chosen).then(next_day).otherwise("game_date"))


BOX_FAULTS: dict[str, Fault] = {
    "unplayed_finals": _not(chance(*_UNPLAYED, "game_key")),
    "called_off": _not(chance(*_CALLED_OFF, "game_key")),
    "stuck_games": _stuck_boxes,
    "missing_sides": _not(chance("missing side", 30, "side_key")),
    "cut_off": _not(chance("cut off", 40, "side_key") & pl.col("standing").is_between(4, 7)),
    "zero_minutes": _zero_minutes,
    "no_minutes": _no_minutes,
    "wrong_dates": _wrong_dates,
}
