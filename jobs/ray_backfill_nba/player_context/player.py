"""Columns *Player*: age on the day."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.player_context.clean import resolve

__all__ = ["birth_dates", "columns"]


def birth_dates(
    people: pl.DataFrame, registry: pl.DataFrame, aliases: pl.DataFrame, season: str
) -> pl.Series:
    """Birth date of each row of `people`; NULL where not known.

    The registry's row of `season`, else the latest other season that has one. A registry lookup
    that is nobody of the date's population counts for the player that it is an alias of.
    `people`: `game_date`, `player_lookup`; `aliases`: as `known_aliases` gives them.
    """
    named = registry.filter(pl.col("player_lookup").is_not_null())
    who = people.select("game_date", "player_lookup")
    own = who.join(
        _born(named, ["player_lookup"], season),
        on="player_lookup",
        how="left",
        maintain_order="left",
    )
    aliased = _aliased(who, named, aliases)
    if aliased.is_empty():
        return own["birth_date"]
    key = ["game_date", "player_lookup"]
    joined = _born(aliased, key, season).rename({"birth_date": "by_alias"})
    found = own.join(joined, on=key, how="left", maintain_order="left").join(
        aliased.select(*key, pl.lit(True).alias("has_alias")).unique(),
        on=key,
        how="left",
        maintain_order="left",
    )
    choice = pl.when("has_alias").then("by_alias").otherwise("birth_date")
    return found.select(choice.alias("birth_date")).to_series()


def _aliased(who: pl.DataFrame, registry: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """Registry rows per date of the players who have a row under another spelling.

    Under an alias that is nobody of that date's population; with their own rows beside it.
    """
    other = aliases.join(registry, left_on="alias_lookup", right_on="player_lookup", how="semi")
    pairs = who.join(other, on="player_lookup").join(
        who,
        left_on=["game_date", "alias_lookup"],
        right_on=["game_date", "player_lookup"],
        how="anti",
    )
    rows = registry.rename({"player_lookup": "spelling"})
    spelled = pairs.rename({"alias_lookup": "spelling"})
    own = pairs.select("game_date", "player_lookup", pl.col("player_lookup").alias("spelling"))
    every = pl.concat([spelled.select(own.columns), own.unique()])
    return every.join(rows, on="spelling").drop("spelling")


def _born(registry: pl.DataFrame, key: list[str], season: str) -> pl.DataFrame:
    """One birth date per `key`: that of `season`, else of the latest other that has one."""
    rows = resolve(registry, [*key, "season"]).rows.filter(pl.col("birth_date").is_not_null())
    newest = rows.sort(pl.col("season") == season, "season", descending=True)
    return newest.unique(key, keep="first", maintain_order=True).select(*key, "birth_date")


def columns(people: pl.DataFrame, born: pl.Series) -> pl.DataFrame:
    """`player_age` (Int64, completed years), one row per row of `people`.

    Who was born on 29 February completes a year on 1 March of a common year.
    """
    day, birth = pl.col("game_date"), pl.lit(born)
    had_birthday = (day.dt.month() > birth.dt.month()) | (
        (day.dt.month() == birth.dt.month()) & (day.dt.day() >= birth.dt.day())
    )
    years = day.dt.year() - birth.dt.year() - (~had_birthday).cast(pl.Int32)
    return people.select(years.cast(pl.Int64).alias("player_age"))
