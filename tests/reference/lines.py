"""Lines before tip-off: which book, which number, since when. Domain rules, section 3."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.reference.boxes import Box
from tests.reference.games import Game
from tests.reference.quotes import BETTINGPROS, ODDS_API, Book, Quote, Quotes, game_quotes
from tests.reference.rows import Row, median, positive_zero

CONSENSUS = "bettingprosconsensus"
CASCADE: tuple[Book, ...] = (
    (ODDS_API, "draftkings"),
    (BETTINGPROS, "draftkings"),
    (ODDS_API, "fanduel"),
    (BETTINGPROS, "fanduel"),
    (BETTINGPROS, CONSENSUS),
)
CONSENSUS_RANK = 5
UNIFORM_ROWS = 10


@dataclass(frozen=True)
class BookLine:
    """What a book says: its current line, and where that has a time, the opening one."""

    current: float
    opening: float | None
    at: datetime | None


# One book -----------------------------------------------------------------------


@dataclass(frozen=True)
class Instants:
    """A book's quotes at its latest and at its earliest instant; `at` None: untimed ones."""

    latest: list[Quote]
    earliest: list[Quote]
    at: datetime | None


def instants(quotes: list[Quote], strict: bool, two_sided: bool) -> Instants | None:
    """The quotes that can be current or opening; None without any.

    A timed quote goes before every untimed one. With `two_sided` a book that has timed quotes
    with both prices has no others.
    """
    timed = [quote for quote in quotes if quote.at is not None]
    if two_sided and any(quote.both_prices for quote in timed):
        timed = [quote for quote in timed if quote.both_prices]
    if timed:
        last, first = max(q.at for q in timed), min(q.at for q in timed)
        return Instants(
            [q for q in timed if q.at == last], [q for q in timed if q.at == first], last
        )
    return None if strict or not quotes else Instants(quotes, [], None)


def left(quotes: list[Quote]) -> list[Quote]:
    """Of several at one instant those with both prices, and of these the closest prices."""
    least = min(quote.gap for quote in quotes)
    return [quote for quote in quotes if quote.gap == least]


def settled_line(found: Instants) -> float | None:
    """The book's current line, where prices alone decide it."""
    lines = {quote.line for quote in left(found.latest)}
    return lines.pop() if len(lines) == 1 else None


def chosen(quotes: list[Quote], others: list[float]) -> Quote:
    """By prices, then the nearest to the median of the other books, then the lowest."""
    middle = median(others) if others else None
    return min(
        left(quotes),
        key=lambda q: (0.0 if middle is None else abs(q.line - middle), q.line),
    )


def books(quotes: Quotes, strict: bool, *, two_sided: bool) -> dict[Book, BookLine]:
    """The line of every book that has a usable one."""
    found = {
        book: one
        for book, of in quotes.items()
        if (one := instants(of, strict, two_sided)) is not None
    }
    settled = {book: settled_line(one) for book, one in found.items()}
    lines = {}
    for book, one in found.items():
        others = [line for b, line in settled.items() if b != book and line is not None]
        current = chosen(one.latest, others)
        opening = None
        if one.at is not None:
            opening = current.opening_line
            if opening is None:
                opening = chosen(one.earliest, others).line
        lines[book] = BookLine(current.line, opening, one.at)
    return lines


def middle(lines: list[BookLine]) -> BookLine:
    """The median over books; only those with a time, where there is one."""
    lines = [line for line in lines if line.at is not None] or lines
    current = median([line.current for line in lines])
    if any(line.at is None for line in lines):
        return BookLine(current, None, None)
    return BookLine(
        current, median([line.opening for line in lines]), max(line.at for line in lines)
    )


# Player points ------------------------------------------------------------------


@dataclass(frozen=True)
class PointsLine:
    """The line of the cascade. `book`: the source and book whose own line it is."""

    line: BookLine | None
    rank: int | None
    source: str | None
    bookmaker: str | None
    book: Book | None
    books: int

    @property
    def untimed(self) -> bool:
        return self.line is not None and self.line.at is None


def points_line(lines: dict[Book, BookLine]) -> PointsLine:
    """The first of the cascade, else the median of the other books."""
    names = {name for _, name in lines} - {CONSENSUS}
    for rank, book in enumerate(CASCADE, start=1):
        if book in lines:
            source, name = book
            recorded = "consensus" if name == CONSENSUS else name
            return PointsLine(lines[book], rank, source, recorded, book, len(names))
    if not names:
        return PointsLine(None, None, None, None, None, 0)
    entering = [(source, lines[source, name]) for source, name in consensus_books(lines)]
    timed = [(source, one) for source, one in entering if one.at is not None] or entering
    source = ODDS_API if ODDS_API in {source for source, _ in timed} else BETTINGPROS
    line = middle([one for _, one in entering])
    return PointsLine(line, CONSENSUS_RANK, source, "consensus", None, len(names))


def consensus_books(lines: dict[Book, BookLine]) -> list[Book]:
    """Every book once: the Odds API's line, unless only the one of BettingPros has a time."""
    found = []
    for name in sorted({name for _, name in lines} - {CONSENSUS}):
        ours, theirs = lines.get((ODDS_API, name)), lines.get((BETTINGPROS, name))
        timed_elsewhere = theirs is not None and theirs.at is not None
        if ours is None or (ours.at is None and timed_elsewhere):
            found.append((BETTINGPROS, name))
        else:
            found.append((ODDS_API, name))
    return found


def uniform_books(lines: Iterable[dict[Book, BookLine]]) -> set[Book]:
    """The books whose current lines are one single value for 10 or more rows of a date."""
    values: dict[Book, Counter[float]] = defaultdict(Counter)
    for of_row in lines:
        for book, line in of_row.items():
            values[book][line.current] += 1
    return {
        book
        for book, counts in values.items()
        if len(counts) == 1 and counts.total() >= UNIFORM_ROWS
    }


def points_columns(found: PointsLine, history: list[Box]) -> dict[str, Any]:
    """Every column of the group."""
    line = found.line
    opening = line.opening if line else None
    return {
        "has_prop_line": line is not None,
        "current_points_line": line.current if line else None,
        "opening_points_line": opening,
        "line_movement": None if opening is None else line.current - opening,
        "points_line_source": found.source,
        "points_line_bookmaker": found.bookmaker,
        "points_line_rank": found.rank,
        "points_line_at": line.at if line else None,
        "points_line_books": found.books,
        "prop_over_streak": streak(history, line.current, 1) if line else None,
        "prop_under_streak": streak(history, line.current, -1) if line else None,
    }


def streak(history: list[Box], line: float, sign: int) -> int:
    """The newest games in a row above (1) or below (-1) the line."""
    length = 0
    for box in history:
        if box.points is None:
            continue
        if (box.points - line) * sign <= 0:
            break
        length += 1
    return length


# Game lines ---------------------------------------------------------------------


@dataclass(frozen=True)
class GameLine:
    """One market of one game."""

    line: BookLine | None
    bookmaker: str | None
    books: int

    @property
    def untimed(self) -> bool:
        return self.line is not None and self.line.at is None


def game_line(rows: list[Row], game: Game, market: str, strict: bool) -> GameLine:
    """DraftKings, else FanDuel, else the median of all books."""
    lines = books(game_quotes(rows, game, market), strict, two_sided=False)
    for name in ("draftkings", "fanduel"):
        if (ODDS_API, name) in lines:
            return GameLine(lines[ODDS_API, name], name, len(lines))
    if lines:
        return GameLine(middle(list(lines.values())), "consensus", len(lines))
    return GameLine(None, None, 0)


def game_lines(spread: GameLine, total: GameLine, home: bool) -> dict[str, Any]:
    """Every column of the group, as the row's team sees it."""
    sign = 1 if home else -1
    row: dict[str, Any] = {}
    for name, movement, market, factor in (
        ("spread", "spread_movement", spread, sign),
        ("total", "total_movement", total, 1),
    ):
        line = market.line
        opening = line.opening if line else None
        row[f"game_{name}"] = positive_zero(factor * line.current) if line else None
        row[f"opening_{name}"] = None if opening is None else positive_zero(factor * opening)
        row[movement] = (
            None if opening is None else positive_zero(factor * (line.current - opening))
        )
        row[f"{name}_bookmaker"] = market.bookmaker
        row[f"{name}_at"] = line.at if line else None
        row[f"{name}_books"] = market.books
    row["implied_team_total"] = None
    if row["game_spread"] is not None and row["game_total"] is not None:
        row["implied_team_total"] = row["game_total"] / 2 - row["game_spread"] / 2
    return row
