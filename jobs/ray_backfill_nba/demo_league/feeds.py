"""What all feeds have in common: contract dtypes, repeated rows, snapshots, what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from ray_backfill.job.table import Table
from ray_backfill_nba.demo_league.dice import chance, key_of, number
from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["at_hour", "conform", "each", "known_by_now", "offered", "repeated", "spelled"]


def conform(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Exactly the table's columns, in its dtypes."""
    return rows.select(pl.col(column.name).cast(column.kind.polars) for column in table.columns)


def repeated(
    spec: LeagueSpec, rows: pl.DataFrame, label: str, per_mille: int, key: str = "key"
) -> pl.DataFrame:
    """Some rows twice, and of these one in fifty 23 times: ingested again, nothing changed."""
    if not spec.defects:
        return rows
    again = chance(f"again {label}", per_mille, key)
    often = number(f"often {label}", 50, key) == 0
    times = pl.when(again & often).then(23).when(again).then(2).otherwise(1)
    return (
        rows.with_columns(again=pl.lit(0).repeat_by(times.cast(pl.UInt32)))
        .explode("again", empty_as_null=False)
        .drop("again")
    )


def each(rows: pl.DataFrame, name: str, count: int) -> pl.DataFrame:
    """Every row `count` times, numbered in the new column `name`."""
    numbers = pl.lit(list(range(count)), dtype=pl.List(pl.Int64))
    return rows.with_columns(numbers.alias(name)).explode(name)


def offered(rows: pl.DataFrame, books: Mapping[str, int]) -> pl.DataFrame:
    """Every row at the books that quote it: `book`, `book_key`. Books: name -> how many of 1000."""
    rows = each(rows, "nth_book", len(books)).with_columns(
        key_of(0, "key", "nth_book").alias("book_key")
    )
    odds = pl.col("nth_book").replace_strict(dict(enumerate(books.values())))
    names = pl.col("nth_book").replace_strict(dict(enumerate(books)), return_dtype=pl.String)
    return rows.filter(chance("quoted", odds, "book_key")).with_columns(book=names)


def at_hour(day: str, days: int, hours: float) -> pl.Expr:
    """A time in UTC: `hours` after midnight, `days` after the date in column `day`."""
    midnight = pl.col(day).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return midnight + timedelta(days=days, hours=hours)


def known_by_now(spec: LeagueSpec, rows: pl.DataFrame, *times: str) -> pl.DataFrame:
    """Without rows from after the moment at which the league stands."""
    if spec.now is None or spec.through is None:
        return rows
    rows = rows.filter(pl.col("day") <= spec.through + timedelta(1))
    for time in times:
        rows = rows.filter(pl.col(time).is_null() | (pl.col(time) <= spec.now))
    return rows


def spelled(spec: LeagueSpec, suffixes: Sequence[tuple[str, int]]) -> pl.Expr:
    """The player's lookup as betting feeds spell it: for some people with a suffix of theirs."""
    lookup = pl.col("player_lookup")
    if not spec.defects:
        return lookup
    out = lookup
    for suffix, per_mille in suffixes:
        odd = chance(f"spelled {suffix}", per_mille, "person_key")
        out = pl.when(odd).then(pl.concat_str(lookup, pl.lit(suffix))).otherwise(out)
    return out
