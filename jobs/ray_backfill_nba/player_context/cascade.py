"""The line cascade: which source and book is asked first, as data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BETTINGPROS",
    "CONSENSUS",
    "CONSENSUS_BOOK",
    "CONSENSUS_RANK",
    "GAME_LINE_BOOKS",
    "ODDS_API",
    "POINTS_CASCADE",
    "Rung",
]

ODDS_API = "ODDS_API"
BETTINGPROS = "BETTINGPROS"
CONSENSUS = "consensus"
CONSENSUS_RANK = 5
CONSENSUS_BOOK = "bettingprosconsensus"
"""BettingPros' own consensus line, as the book is compared: it is no book of its own."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: the line of `book` at `source` is recorded as `bookmaker` with `rank`."""

    rank: int
    source: str
    book: str
    bookmaker: str


POINTS_CASCADE = (
    Rung(1, ODDS_API, "draftkings", "draftkings"),
    Rung(2, BETTINGPROS, "draftkings", "draftkings"),
    Rung(3, ODDS_API, "fanduel", "fanduel"),
    Rung(4, BETTINGPROS, "fanduel", "fanduel"),
    Rung(CONSENSUS_RANK, BETTINGPROS, CONSENSUS_BOOK, CONSENSUS),
)
"""Tried in this order per player; below it the median of every other book, at rank 5 too."""

GAME_LINE_BOOKS = ("draftkings", "fanduel")
"""Tried in this order per game and market; below it the median of every book."""
