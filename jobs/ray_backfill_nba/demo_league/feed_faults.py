"""More that can be wrong with names, lines and reports, each by a switch; as in `faults`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from ray_backfill_nba.demo_league.dice import chance, key_of, number
from ray_backfill_nba.demo_league.faults import Fault, beside

__all__ = [
    "ALIAS_FAULTS",
    "BOX_NAMES",
    "LINE_FAULTS",
    "PROP_FAULTS",
    "PRO_FAULTS",
    "REPORT_FAULTS",
    "SCHEDULE_NAMES",
]

_UNIFORM = ("uniform lines", 80)
_SAME = 20.5


def _day_key() -> pl.Expr:
    epoch = pl.col("day").cast(pl.Int32).cast(pl.Int64) + 1_000_000
    return key_of(6, epoch)


# Names ------------------------------------------------------------------------------


def _spelled(key: str, names: Sequence[str], others: Sequence[str] = ()) -> Fault:
    """Some of the texts in columns `names` in capitals, some in lower case, some with blanks.

    Those of `others`, of which the case is not told from another text, with blanks alone.
    """

    def fault(rows: pl.DataFrame) -> pl.DataFrame:
        columns = []
        for name in (*names, *others):
            which = number(f"spelled {name}", 20, key)
            text = pl.col(name)
            upper, lower = text.str.to_uppercase(), text.str.to_lowercase()
            columns.append(
                pl.when((which == 0) & (name in names))
                .then(upper)
                .when((which == 1) & (name in names))
                .then(lower)
                .when(which == 2)
                .then(pl.concat_str(pl.lit(" "), text, pl.lit(" ")))
                .otherwise(text)
                .alias(name)
            )
        return rows.with_columns(columns)

    return fault


def _emptied(key: str, names: Sequence[str], value: str | None = "") -> Fault:
    """Some of the texts in columns `names` empty, or NULL."""

    def fault(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(
            pl.when(chance(f"no {name}", 10, key)).then(pl.lit(value)).otherwise(name).alias(name)
            for name in names
        )

    return fault


def _renamed(rows: pl.DataFrame) -> pl.DataFrame:
    """In November some players stand under the spelling that the feeds have for them."""
    chosen = chance("spelled jr", 40, "person_key") & (pl.col("day").dt.month() == 11)
    other = pl.concat_str("player_lookup", pl.lit("jr"))
    return rows.with_columns(player_lookup=pl.when(chosen).then(other).otherwise("player_lookup"))


def _doubtful_aliases(rows: pl.DataFrame) -> pl.DataFrame:
    """Some aliases mean another player too."""
    rows = beside(rows, chance("another player", 300))
    other = pl.concat_str("player_lookup", pl.lit("x"))
    return rows.with_columns(
        player_lookup=pl.when("copied").then(other).otherwise("player_lookup")
    ).drop("copied")


ALIAS_FAULTS: dict[str, Fault] = {"doubtful_aliases": _doubtful_aliases}


# Lines ------------------------------------------------------------------------------


def _unusable_points(key: str, names: Sequence[str]) -> Fault:
    def fault(rows: pl.DataFrame) -> pl.DataFrame:
        which = number("unusable", 40, key)
        return rows.with_columns(
            pl.when(pl.col(name).is_not_null() & (which == 0))
            .then(0.0)
            .when(pl.col(name).is_not_null() & (which == 1))
            .then(75.5)
            .otherwise(name)
            .alias(name)
            for name in names
        )

    return fault


def _unusable_outcomes(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = chance("unusable", 20, "market_key_")
    wrong = pl.when(pl.col("market") == 0).then(55.5).otherwise(22.0)
    return rows.with_columns(outcome_point=pl.when(chosen).then(wrong).otherwise("outcome_point"))


def _split_prices(rows: pl.DataFrame) -> pl.DataFrame:
    rows = beside(rows, chance("split prices", 100, "snap_key"))
    split = chance("split prices", 100, "snap_key")
    return rows.with_columns(
        over_price=pl.when("copied").then(None).otherwise("over_price"),
        under_price=pl.when(split & ~pl.col("copied")).then(None).otherwise("under_price"),
    ).drop("copied")


def _one_sided(rows: pl.DataFrame) -> pl.DataFrame:
    rows = beside(rows, chance("one-sided", 60, "snap_key"))
    return rows.with_columns(
        points_line=pl.when("copied").then(pl.col("points_line") + 8).otherwise("points_line"),
        under_price=pl.when("copied").then(None).otherwise("under_price"),
    ).drop("copied")


def _uniform(book: str) -> Fault:
    def fault(rows: pl.DataFrame) -> pl.DataFrame:
        day = rows.with_columns(_day_key().alias("day_key"))
        chosen = chance(*_UNIFORM, "day_key") & (pl.col("book") == book)
        return day.with_columns(
            points_line=pl.when(chosen).then(_SAME).otherwise("points_line")
        ).drop("day_key")

    return fault


def _moved(column: str, key: str) -> Fault:
    """The feed's tip-off by four hours early, three late, or a day late."""

    def fault(rows: pl.DataFrame) -> pl.DataFrame:
        which = number("feed time", 20, key)
        time = pl.col(column)
        return rows.with_columns(
            pl.when(which == 0)
            .then(time - timedelta(hours=4))
            .when(which == 1)
            .then(time + timedelta(hours=3))
            .when(which == 2)
            .then(time + timedelta(days=1))
            .otherwise(time)
            .alias(column)
        )

    return fault


_SIDES = ("home_team_abbr", "away_team_abbr")

LINE_FAULTS: dict[str, Fault] = {
    "unusable_lines": _unusable_outcomes,
    "feed_times": _moved("commence_time", "key"),
    "no_codes": _emptied("snap_key", _SIDES, None),
    "empty_texts": _emptied("snap_key", ("outcome_name", "bookmaker_key")),
    "spellings": _spelled("market_key_", ("outcome_name", "market_key", "bookmaker_key", *_SIDES)),
}
PROP_FAULTS: dict[str, Fault] = {
    "unusable_lines": _unusable_points("snap_key", ("points_line",)),
    "split_prices": _split_prices,
    "one_sided_lines": _one_sided,
    "uniform_lines": _uniform("draftkings"),
    "feed_times": _moved("game_start_time", "game_key"),
    "no_codes": _emptied("snap_key", _SIDES, None),
    "empty_texts": _emptied("snap_key", ("player_lookup", "bookmaker")),
    "spellings": _spelled("snap_key", ("player_lookup", "bookmaker", *_SIDES)),
}
PRO_FAULTS: dict[str, Fault] = {
    "unusable_lines": _unusable_points("update_key", ("points_line", "opening_line")),
    "uniform_lines": _uniform("BettingPros Consensus"),
    "empty_texts": _emptied("update_key", ("player_lookup", "bet_side", "bookmaker")),
    "spellings": _spelled("update_key", ("player_lookup", "bet_side", "market_type", "bookmaker")),
}
REPORT_FAULTS: dict[str, Fault] = {
    "teamless_reports": _emptied("report_key", ("team",), None),
    "nameless_reports": _emptied("report_key", ("player_lookup",), None),
    "unknown_statuses": _emptied("report_key", ("injury_status",), "game time decision"),
    "empty_texts": _emptied("report_key", ("team", "reason")),
    "spellings": _spelled("report_key", ("player_lookup", "injury_status", "team")),
}
BOX_NAMES: dict[str, Fault] = {
    "renamed_players": _renamed,
    "empty_texts": _emptied("key", ("player_name",)),
    "spellings": _spelled("key", ("player_lookup", "player_status", "team_abbr")),
}
SCHEDULE_NAMES: dict[str, Fault] = {
    "empty_texts": _emptied("key", ("season_type",)),
    "spellings": _spelled("key", ("home_team_tricode", "away_team_tricode")),
}
