"""What is left out of the odds feeds."""

from __future__ import annotations

import polars as pl

from ray_backfill.job import Unmatched
from ray_backfill.job.table import Table
from ray_backfill_nba.player_context.doubts.counted import counted
from ray_backfill_nba.player_context.feeds import MARKETS
from ray_backfill_nba.player_context.game_lines import is_known
from ray_backfill_nba.player_context.game_lines import is_usable as is_usable_outcome
from ray_backfill_nba.player_context.local import Local
from ray_backfill_nba.player_context.props import SIDES, is_offered, is_usable, is_used, plays_in
from ray_backfill_nba.raw_tables import BETTINGPROS, GAME_LINES, POINTS_PROPS

__all__ = ["found"]

_PLAYER = pl.col("player_lookup")
_PAIR = pl.concat_str("away_team", pl.lit(" at "), "home_team", ignore_nulls=True)
_IN_GAME = pl.concat_str(
    "player_lookup",
    pl.concat_str(
        pl.lit(" ("), "away_team_abbr", pl.lit(" at "), "home_team_abbr", pl.lit(")")
    ).fill_null(""),
)
"""A player, and the game where the feed states it."""
_NO_BOOK = "no bookmaker"
_UNUSABLE = "the line cannot be one"
_LATE = "seen at tip-off or later"
_NOBODY = "no such player on that date"

_ALIASES = "ray-backfill unmatched player_context --write-aliases FILE"
_MENDS = {_NOBODY: _ALIASES, _LATE: ""}
"""By why, where loading better rows is not what helps: what comes late is rightly not used."""

_Told = tuple[str, str, pl.Expr, pl.Expr]
"""Why, the column that is named as the source, of which rows, and what an example says."""


def found(local: Local) -> list[Unmatched]:
    """Lines of no game or player, without a book or a side, that cannot be, or came too late."""
    offered = local.bettingpros.filter(is_offered())
    return [
        *_told(GAME_LINES, local.lines, _OF_GAMES),
        *_told(POINTS_PROPS, local.props, _OF_ODDS),
        *_told(BETTINGPROS, offered, _OF_PROS),
    ]


def _told(table: Table, rows: pl.DataFrame, told: tuple[_Told, ...]) -> list[Unmatched]:
    # One pass over the rows tells that there is nothing of most kinds.
    met = rows.select(which.any().alias(str(n)) for n, (_, _, which, _) in enumerate(told))
    return [
        one
        for (why, source, which, example), any_row in zip(told, met.row(0), strict=True)
        if any_row
        for one in counted(table, why, rows.filter(which), source, example, _MENDS.get(why))
    ]


def _late(time: str) -> pl.Expr:
    return (pl.col(time) >= pl.col("tipoff_at")).fill_null(False)


def _value(whose: pl.Expr, column: str) -> pl.Expr:
    value = pl.col(column).cast(pl.String).fill_null("NULL")
    return pl.concat_str(whose.fill_null("of nobody"), pl.lit(": "), value)


_IN_MARKET = pl.col("market_key").is_in(MARKETS).fill_null(False)
_NAMED = pl.col("bookmaker").is_not_null()
_SOMEBODY = pl.col("row").is_not_null()

_OF_GAMES: tuple[_Told, ...] = (
    ("no such game on that date", "bookmaker_key", pl.col("game").is_null(), _PAIR),
    ("the market is neither spreads nor totals", "market_key", ~_IN_MARKET, _PAIR),
    (
        "the outcome is of neither side",
        "outcome_name",
        _IN_MARKET & pl.col("is_first").is_null(),
        _PAIR,
    ),
    (_NO_BOOK, "market_key", _IN_MARKET & pl.col("bookmaker_key").is_null(), _PAIR),
    (_UNUSABLE, "bookmaker_key", is_known() & ~is_usable_outcome(), _value(_PAIR, "outcome_point")),
    (_LATE, "bookmaker_key", is_known() & is_usable_outcome() & _late("snapshot_timestamp"), _PAIR),
)
_OF_ODDS: tuple[_Told, ...] = (
    (_NOBODY, "bookmaker", ~_SOMEBODY, _IN_GAME),
    (
        "the player's team is not one of the line's",
        "bookmaker",
        _SOMEBODY & ~plays_in().fill_null(False),
        _IN_GAME,
    ),
    (_NO_BOOK, "player_lookup", ~_NAMED, _IN_GAME),
    (_UNUSABLE, "bookmaker", ~is_usable(), _value(_IN_GAME, "points_line")),
    (_LATE, "bookmaker", is_used() & plays_in() & _late("snapshot_timestamp"), _IN_GAME),
)
_SIDED = pl.col("bet_side").is_in(SIDES).fill_null(False)
_OF_PROS: tuple[_Told, ...] = (
    (_NOBODY, "bookmaker", ~_SOMEBODY, _PLAYER),
    ("the side is neither over nor under", "bet_side", ~_SIDED, _PLAYER),
    (_NO_BOOK, "player_lookup", ~_NAMED, _PLAYER),
    (_UNUSABLE, "bookmaker", ~is_usable(), _value(_PLAYER, "points_line")),
    (
        "the opening line cannot be one",
        "bookmaker",
        pl.col("opening_line").is_not_null() & ~is_usable("opening_line"),
        _value(_PLAYER, "opening_line"),
    ),
    (_LATE, "bookmaker", is_used() & _SIDED & _late("bookmaker_last_update"), _PLAYER),
)
