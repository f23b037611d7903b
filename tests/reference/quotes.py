"""Raw rows as quotes, by source and book. Domain rules, sections 2 and 3."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.reference.aliases import Resolve
from tests.reference.games import Game
from tests.reference.names import code_of_name
from tests.reference.rows import Row

ODDS_API, BETTINGPROS = "ODDS_API", "BETTINGPROS"
HIGHEST_POINTS = 60
WIDEST_SPREAD = 40
TOTALS = (100, 350)

Book = tuple[str, str]
"""A source and a book."""


@dataclass(frozen=True)
class Quote:
    """One line of one book as seen once; `at` is None where it counts as untimed."""

    at: datetime | None
    line: float
    one_price: float | None
    other_price: float | None
    opening_line: float | None = None

    @property
    def both_prices(self) -> bool:
        return self.one_price is not None and self.other_price is not None

    @property
    def gap(self) -> float:
        """How far the two prices are apart; endlessly where one is not known."""
        return abs(self.one_price - self.other_price) if self.both_prices else math.inf


Quotes = dict[Book, list[Quote]]


# What may be used ---------------------------------------------------------------


def usable_points(line: float | None) -> bool:
    return line is not None and 0 < line <= HIGHEST_POINTS


def usable_point(market: str, point: float | None) -> bool:
    """Whether a spread or a total is one."""
    if point is None:
        return False
    if market == "spreads":
        return abs(point) <= WIDEST_SPREAD
    return TOTALS[0] <= point <= TOTALS[1]


def before_tipoff(at: datetime | None, tipoff: datetime | None) -> bool:
    """Strictly before it; where either is unknown nothing can be said, and the line stays."""
    return at is None or tipoff is None or at < tipoff


def time_of(at: datetime | None, tipoff: datetime | None) -> datetime | None:
    """The time that a line counts with: none without a tip-off."""
    return None if tipoff is None else at


def highest(prices: Iterable[float | None]) -> float | None:
    known = [price for price in prices if price is not None and not math.isnan(price)]
    return max(known, default=None)


def decimal_odds(american: int | None) -> float | None:
    """Decimal odds of American ones."""
    if american is None or american == 0:
        return None
    return 1 + american / 100 if american > 0 else 1 + 100 / -american


class Pairing:
    """Collects the prices of each line at each instant, whichever rows bring them."""

    def __init__(self, tipoff: datetime | None) -> None:
        self.tipoff = tipoff
        self.sides: dict[tuple[Book, float, datetime | None], dict[str, list[float | None]]] = {}
        self.openings: dict[tuple[Book, float, datetime | None], dict[str, list[float]]] = (
            defaultdict(lambda: defaultdict(list))
        )

    def add(
        self,
        book: Book,
        line: float,
        at: datetime | None,
        side: str,
        price: float | None,
        opening: float | None = None,
    ) -> None:
        """One side of a line; nothing of a line at tip-off or later."""
        if not before_tipoff(at, self.tipoff):
            return
        key = (book, line + 0.0, at)
        self.sides.setdefault(key, defaultdict(list))[side].append(price)
        if opening is not None:
            self.openings[key][side].append(opening)

    def quotes(self, one: str, other: str) -> Quotes:
        """By source and book; `one` and `other` are the two sides."""
        found: Quotes = defaultdict(list)
        for key, sides in self.sides.items():
            book, line, at = key
            openings = self.openings[key][one] or self.openings[key][other]
            found[book].append(
                Quote(
                    time_of(at, self.tipoff),
                    line,
                    highest(sides[one]),
                    highest(sides[other]),
                    min(openings, default=None),
                )
            )
        return found


# Player points ------------------------------------------------------------------


def points_quotes(
    odds_api: list[Row],
    bettingpros: list[Row],
    player: str,
    team: str,
    game: Game,
    resolve: Resolve,
) -> Quotes:
    """The player's quotes from both sources, of the rows of one date."""
    pairing = Pairing(game.tipoff)
    for row in odds_api:
        sides = (row.get("home_team_abbr"), row.get("away_team_abbr"))
        line, book = row.get("points_line"), row.get("bookmaker")
        if resolve(row.get("player_lookup"), None) != player or book is None:
            continue
        if None in sides or team not in sides or not usable_points(line):
            continue
        at = row.get("snapshot_timestamp")
        pairing.add((ODDS_API, book), line, at, "over", row.get("over_price"))
        pairing.add((ODDS_API, book), line, at, "under", row.get("under_price"))
    for row in bettingpros:
        line, book, side = row.get("points_line"), row.get("bookmaker"), row.get("bet_side")
        if resolve(row.get("player_lookup"), None) != player or book is None:
            continue
        if row.get("market_type") != "points" or row.get("is_active") is False:
            continue
        if side not in ("over", "under") or not usable_points(line):
            continue
        opening = row.get("opening_line")
        pairing.add(
            (BETTINGPROS, book),
            line,
            row.get("bookmaker_last_update"),
            side,
            decimal_odds(row.get("odds_american")),
            opening if usable_points(opening) else None,
        )
    return pairing.quotes("over", "under")


# Game lines ---------------------------------------------------------------------


def game_quotes(rows: list[Row], game: Game, market: str) -> Quotes:
    """The quotes of a game, by book: spreads as the home team has them, or totals."""
    pairing = Pairing(game.tipoff)
    for row in rows:
        if (row.get("home_team_abbr"), row.get("away_team_abbr")) != (game.home, game.away):
            continue
        book, point = row.get("bookmaker_key"), row.get("outcome_point")
        side = outcome(row, market)
        if row.get("market_key") != market or book is None or side is None:
            continue
        if not usable_point(market, point):
            continue
        pairing.add(
            (ODDS_API, book),
            -point if side == "away" else point,
            row.get("snapshot_timestamp"),
            side,
            row.get("outcome_price"),
        )
    return pairing.quotes(*(("home", "away") if market == "spreads" else ("over", "under")))


def outcome(row: Row, market: str) -> str | None:
    """Which side a row is of: by the names of the row, else by the code of its name."""
    name = row.get("outcome_name")
    if name is None:
        return None
    if market == "totals":
        return name if name in ("over", "under") else None
    if name == row.get("home_team"):
        return "home"
    if name == row.get("away_team"):
        return "away"
    team = code_of_name(name)
    if team is None:
        return None
    if team == row.get("home_team_abbr"):
        return "home"
    return "away" if team == row.get("away_team_abbr") else None
