"""Other spellings of players, and whom they mean."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ray_backfill_nba.names import normalised

__all__ = ["Aliases", "known_aliases", "resolve_lookups", "with_players"]

_ENTRY = ["alias_lookup", "player_lookup", "team_abbr", "season"]


@dataclass(frozen=True, slots=True)
class Aliases:
    """`entries`: distinct rows of `alias_lookup`, `player_lookup`, `team_abbr` and `season`.

    An entry holds for rows of its team and season where it states them. `refuted`: entries that
    are not among them, because their two names stand in the gamebook on one date: two people.
    """

    entries: pl.DataFrame
    refuted: pl.DataFrame


def known_aliases(aliases: pl.DataFrame, boxes: pl.DataFrame) -> Aliases:
    """The table's entries, without those of two people.

    `boxes`: `game_date`, `season`, `team_abbr`, `player_lookup` of all gamebook rows at hand.
    """
    entries = normalised(aliases).select(_ENTRY).unique()
    entries = entries.drop_nulls(["alias_lookup", "player_lookup"]).filter(
        pl.col("alias_lookup") != pl.col("player_lookup")
    )
    if entries.is_empty():
        return Aliases(entries, entries)
    both = (
        entries.with_row_index("entry")
        .join(boxes, left_on="alias_lookup", right_on="player_lookup", suffix="_of_row")
        .filter(_covers("team_abbr"), _covers("season"))
        .join(boxes, on=["game_date", "player_lookup"], how="semi")
    )
    two = pl.int_range(pl.len(), dtype=pl.UInt32).is_in(both["entry"].implode())
    return Aliases(entries.filter(~two), entries.filter(two))


def _covers(scope: str) -> pl.Expr:
    """Whether an entry, joined to a row, holds for the row's value of `scope`."""
    return pl.col(scope).is_null() | (pl.col(scope) == pl.col(f"{scope}_of_row"))


def with_players(frame: pl.DataFrame, aliases: Aliases, season: pl.Expr) -> pl.DataFrame:
    """Rows that have a `team_abbr`, with `player_lookup` replaced by the player that is meant.

    A row that is covered by entries of several players stays as it is. `season` is the row's.
    """
    spelled = _spelled(frame, aliases)
    if spelled.is_empty():
        return frame
    found = _joined(spelled.with_columns(season.alias("season_of_row")), aliases)
    return _replaced(frame, found.filter(_covers("team_abbr"), _covers("season")))


def resolve_lookups(
    frame: pl.DataFrame,
    people: pl.DataFrame,
    aliases: Aliases,
    season: pl.Expr,
    team: str | None = None,
) -> pl.DataFrame:
    """Rows of a table that is not the gamebook, likewise.

    A lookup that is in the population of the row's `game_date` is never replaced. `people`:
    `game_date`, `player_lookup`, `team_abbr`. `team`: the column of the row's team; where there
    is none, or it is NULL, the team of the player meant on the date is the row's.
    """
    key = ["game_date", "player_lookup"]
    spelled = _spelled(frame, aliases).join(people, on=key, how="anti")
    if spelled.is_empty():
        return frame
    own = pl.lit(None, dtype=pl.String) if team is None else pl.col(team)
    spelled = spelled.select("at", *key, own.alias("own_team"), season.alias("season_of_row"))
    meant = people.select(*key, pl.col("team_abbr").alias("team_of_meant"))
    found = _joined(spelled, aliases).join(
        meant, left_on=["game_date", "meant"], right_on=key, how="left"
    )
    found = found.with_columns(pl.coalesce("own_team", "team_of_meant").alias("team_abbr_of_row"))
    return _replaced(frame, found.filter(_covers("team_abbr"), _covers("season")))


def _spelled(frame: pl.DataFrame, aliases: Aliases) -> pl.DataFrame:
    """The rows that an alias may be of, with their position `at`."""
    spellings = aliases.entries["alias_lookup"].implode()
    return frame.with_row_index("at").filter(pl.col("player_lookup").is_in(spellings))


def _joined(spelled: pl.DataFrame, aliases: Aliases) -> pl.DataFrame:
    if "team_abbr" in spelled.columns:
        spelled = spelled.rename({"team_abbr": "team_abbr_of_row"})
    entries = aliases.entries.rename({"player_lookup": "meant"})
    keep = [c for c in spelled.columns if c not in entries.columns]
    return spelled.select(keep).join(entries, left_on="player_lookup", right_on="alias_lookup")


def _replaced(frame: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the lookups of the rows that `found` names one player for."""
    one = (
        found.group_by("at")
        .agg(pl.col("meant").first(), pl.col("meant").n_unique().alias("players"))
        .filter(pl.col("players") == 1)
    )
    placed = frame.with_row_index("at").join(one, on="at", how="left", maintain_order="left")
    meant = pl.coalesce("meant", "player_lookup").alias("player_lookup")
    return placed.with_columns(meant).select(frame.columns)
