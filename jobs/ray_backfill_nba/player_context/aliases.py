"""Spellings of other sources that match nobody, and whom they mean."""

from __future__ import annotations

import polars as pl

__all__ = ["known_aliases", "resolve_lookups"]


def known_aliases(aliases: pl.DataFrame) -> pl.DataFrame:
    """`alias_lookup` -> `player_lookup`, without an alias of several players or of itself."""
    distinct = aliases.unique().filter(
        pl.col("alias_lookup").is_not_null() & pl.col("player_lookup").is_not_null()
    )
    return distinct.filter(
        (pl.len().over("alias_lookup") == 1) & (pl.col("alias_lookup") != pl.col("player_lookup"))
    )


def resolve_lookups(
    frame: pl.DataFrame, people: pl.DataFrame, aliases: pl.DataFrame
) -> pl.DataFrame:
    """`frame` with `player_lookup` replaced by the player that it is an alias of.

    Only lookups that are nobody of the population of the row's `game_date` are replaced.
    `aliases`: as `known_aliases` gives them.
    """
    if aliases.is_empty() or frame.is_empty():
        return frame
    target = aliases.rename({"player_lookup": "target"})
    found = frame.join(target, left_on="player_lookup", right_on="alias_lookup", how="left").join(
        people.select("game_date", "player_lookup", pl.lit(True).alias("is_somebody")),
        on=["game_date", "player_lookup"],
        how="left",
    )
    meant = pl.when(pl.col("is_somebody").is_null()).then("target")
    return found.with_columns(pl.coalesce(meant, "player_lookup").alias("player_lookup")).select(
        frame.columns
    )
