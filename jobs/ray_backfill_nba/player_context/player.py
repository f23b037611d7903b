"""Columns *Player*: age on the day."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.aliases import Aliases, resolve_lookups
from ray_backfill_nba.clean import resolve
from ray_backfill_nba.names import normalised

__all__ = ["birth_dates", "columns"]


def birth_dates(
    people: pl.DataFrame, registry: pl.DataFrame, aliases: Aliases, season: str
) -> pl.Series:
    """Birth date of each row of `people`; NULL where not known.

    The registry's row of `season`, else the latest other season that has one. A registry lookup
    that is nobody of the date's population counts for the player that it is an alias of.
    `people`: `game_date`, `player_lookup`, `team_abbr`; `registry`: raw rows.
    """
    named = normalised(registry).filter(pl.col("player_lookup").is_not_null())
    own = people.select("player_lookup").join(
        _born(named, ["player_lookup"], season),
        on="player_lookup",
        how="left",
        maintain_order="left",
    )
    aliased = _aliased(people, named, aliases)
    if aliased.is_empty():
        return own["birth_date"]
    key = ["game_date", "player_lookup"]
    joined = _born(aliased, key, season).rename({"birth_date": "by_alias"})
    found = (
        people.select(key)
        .with_columns(own["birth_date"])
        .join(joined, on=key, how="left", maintain_order="left")
        .join(
            aliased.select(*key, pl.lit(True).alias("has_alias")).unique(),
            on=key,
            how="left",
            maintain_order="left",
        )
    )
    choice = pl.when("has_alias").then("by_alias").otherwise("birth_date")
    return found.select(choice.alias("birth_date")).to_series()


def _aliased(people: pl.DataFrame, registry: pl.DataFrame, aliases: Aliases) -> pl.DataFrame:
    """Registry rows per date of the players who have a row under another spelling.

    Under an alias that is nobody of that date's population; with their own rows beside it.
    """
    spellings = aliases.entries["alias_lookup"].implode()
    days = people.select("game_date").unique()
    spelled = registry.filter(pl.col("player_lookup").is_in(spellings)).join(days, how="cross")
    meant = resolve_lookups(spelled, people, aliases, pl.col("season"))
    meant = meant.filter(meant["player_lookup"] != spelled["player_lookup"])
    own = meant.select("game_date", "player_lookup").unique().join(registry, on="player_lookup")
    return pl.concat([meant, own.select(meant.columns)])


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
