"""Lines before tip-off: which book, which number, since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.reference.boxes import Box
from tests.reference.people import Resolve
from tests.reference.rows import Row, grouped, letters_and_digits, median, positive_zero
from tests.reference.schedule import Game

ODDS_API, BETTINGPROS = "ODDS_API", "BETTINGPROS"
CASCADE = (
    (1, ODDS_API, "draftkings"),
    (2, BETTINGPROS, "draftkings"),
    (3, ODDS_API, "fanduel"),
    (4, BETTINGPROS, "fanduel"),
    (5, BETTINGPROS, "bettingprosconsensus"),
)
CONSENSUS = "bettingprosconsensus"
NO_BOOK = ""


@dataclass(frozen=True)
class Quote:
    """One line of one book as seen once; `at` is None where it counts as untimed."""

    at: datetime | None
    line: float
    one_price: float | None
    other_price: float | None
    opening_line: float | None = None

    @property
    def preference(self) -> tuple[bool, float, float]:
        """Both prices first, then the closest ones, then the lowest line."""
        if self.one_price is None or self.other_price is None:
            return (True, 0.0, self.line)
        return (False, abs(self.one_price - self.other_price), self.line)


@dataclass(frozen=True)
class BookLine:
    """What a book says: its current line, and where that has a time, the opening one."""

    current: float
    opening: float | None
    at: datetime | None


def seen(at: datetime | None, tipoff: datetime | None) -> tuple[bool, datetime | None]:
    """Whether a line may be used, and the time that it counts with."""
    if at is None or tipoff is None:
        return True, None
    return at < tipoff, at


def book_line(quotes: Iterable[Quote], strict: bool) -> BookLine | None:
    """The current and the opening line of one book of one source."""
    quotes = list(quotes)
    timed = [quote for quote in quotes if quote.at is not None]
    if timed:
        last = max(quote.at for quote in timed)
        first = min(quote.at for quote in timed)
        current = best(quote for quote in timed if quote.at == last)
        opening = best(quote for quote in timed if quote.at == first).line
        if current.opening_line is not None:
            opening = current.opening_line
        return BookLine(current.line, opening, last)
    if strict or not quotes:
        return None
    return BookLine(best(quotes).line, None, None)


def best(quotes: Iterable[Quote]) -> Quote:
    return min(quotes, key=lambda quote: quote.preference)


def books(quotes: dict[str, list[Quote]], strict: bool) -> dict[str, BookLine]:
    """Every book with a usable line."""
    lines = {book: book_line(quotes[book], strict) for book in quotes}
    return {book: line for book, line in lines.items() if line is not None}


def middle(lines: list[BookLine]) -> BookLine:
    """The median over books; only those with a time, where there is one."""
    lines = [line for line in lines if line.at is not None] or lines
    current = median([line.current for line in lines])
    if any(line.at is None for line in lines):
        return BookLine(current, None, None)
    return BookLine(
        current, median([line.opening for line in lines]), max(line.at for line in lines)
    )


# Player points ----------------------------------------------------------------


def odds_api_quotes(
    rows: list[Row], player: str, team: str, game: Game, resolve: Resolve
) -> dict[str, list[Quote]]:
    """The player's quotes at the Odds API, by book."""
    quotes: dict[str, list[Quote]] = defaultdict(list)
    for row in rows:
        if resolve(row.get("player_lookup")) != player:
            continue
        sides = (row.get("home_team_abbr"), row.get("away_team_abbr"))
        if None in sides or team not in sides:
            continue
        book, line = letters_and_digits(row.get("bookmaker")), row.get("points_line")
        if book == NO_BOOK or line is None:
            continue
        usable, at = seen(row.get("snapshot_timestamp"), game.tipoff or row.get("game_start_time"))
        if usable:
            quotes[book].append(Quote(at, line, row.get("over_price"), row.get("under_price")))
    return quotes


def bettingpros_quotes(
    rows: list[Row], player: str, game: Game, resolve: Resolve
) -> dict[str, list[Quote]]:
    """The player's quotes at BettingPros, over and under side by side, by book."""
    mine = [
        row
        for row in rows
        if resolve(row.get("player_lookup")) == player
        and row.get("market_type") == "points"
        and row.get("is_active") is not False
        and row.get("bet_side") in ("over", "under")
        and letters_and_digits(row.get("bookmaker")) != NO_BOOK
        and row.get("points_line") is not None
    ]
    quotes: dict[str, list[Quote]] = defaultdict(list)
    for (book, line, when), pair in grouped(
        mine,
        lambda r: (
            letters_and_digits(r["bookmaker"]),
            r["points_line"],
            r.get("bookmaker_last_update"),
        ),
    ).items():
        over = [row for row in pair if row["bet_side"] == "over"]
        under = [row for row in pair if row["bet_side"] == "under"]
        usable, at = seen(when, game.tipoff)
        if usable:
            opening = [r.get("opening_line") for r in over + under]
            quotes[book].append(
                Quote(
                    at,
                    line,
                    highest(decimal_odds(row.get("odds_american")) for row in over),
                    highest(decimal_odds(row.get("odds_american")) for row in under),
                    next((value for value in opening if value is not None), None),
                )
            )
    return quotes


def decimal_odds(american: int | None) -> float | None:
    """Decimal odds of American ones."""
    if american is None or american == 0:
        return None
    return 1 + american / 100 if american > 0 else 1 + 100 / -american


def highest(prices: Iterable[float | None]) -> float | None:
    return max((price for price in prices if price is not None), default=None)


def points_line(
    odds_api: dict[str, list[Quote]],
    bettingpros: dict[str, list[Quote]],
    history: list[Box],
    strict: bool,
) -> tuple[dict[str, Any], bool]:
    """Every column of the group, and whether the line that is used has no time."""
    lines = {
        ODDS_API: books(odds_api, strict),
        BETTINGPROS: books(bettingpros, strict),
    }
    row: dict[str, Any] = {
        "points_line_books": len((set(lines[ODDS_API]) | set(lines[BETTINGPROS])) - {CONSENSUS})
    }
    source = book = rank = line = None
    for step, step_source, step_book in CASCADE:
        if step_book in lines[step_source]:
            rank, source, line = step, step_source, lines[step_source][step_book]
            book = "consensus" if step_book == CONSENSUS else step_book
            break
    else:
        entering = consensus_books(lines)
        if entering:
            rank, book = 5, "consensus"
            line = middle([line for _, line in entering])
            timed = [(s, one) for s, one in entering if one.at is not None] or entering
            source = ODDS_API if ODDS_API in {s for s, _ in timed} else BETTINGPROS
    row |= {
        "has_prop_line": line is not None,
        "current_points_line": line.current if line else None,
        "opening_points_line": line.opening if line else None,
        "line_movement": (
            line.current - line.opening if line and line.opening is not None else None
        ),
        "points_line_source": source,
        "points_line_bookmaker": book,
        "points_line_rank": rank,
        "points_line_at": line.at if line else None,
        "prop_over_streak": streak(history, line.current, 1) if line else None,
        "prop_under_streak": streak(history, line.current, -1) if line else None,
    }
    return row, line is not None and line.at is None


def consensus_books(lines: dict[str, dict[str, BookLine]]) -> list[tuple[str, BookLine]]:
    """Every book once: the Odds API's line, unless only the one of BettingPros has a time."""
    chosen = []
    for book in sorted((set(lines[ODDS_API]) | set(lines[BETTINGPROS])) - {CONSENSUS}):
        ours, theirs = lines[ODDS_API].get(book), lines[BETTINGPROS].get(book)
        only_theirs_timed = (
            theirs is not None and theirs.at is not None and (ours is None or ours.at is None)
        )
        if ours is None or only_theirs_timed:
            chosen.append((BETTINGPROS, theirs))
        else:
            chosen.append((ODDS_API, ours))
    return chosen


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


# Game lines -------------------------------------------------------------------


def game_line_quotes(rows: list[Row], game: Game, market: str) -> dict[str, list[Quote]]:
    """The quotes of a game, by book: home-relative spreads, or totals."""
    prices: dict[tuple[str, datetime | None, bool, float], dict[str, list[float | None]]] = {}
    times: dict[tuple[str, datetime | None, bool, float], datetime | None] = {}
    for row in rows:
        if (row.get("home_team_abbr"), row.get("away_team_abbr")) != (game.home, game.away):
            continue
        book, point = letters_and_digits(row.get("bookmaker_key")), row.get("outcome_point")
        if row.get("market_key") != market or book == NO_BOOK or point is None:
            continue
        side = outcome(row, market)
        if side is None:
            continue
        when = row.get("snapshot_timestamp")
        usable, at = seen(when, game.tipoff or row.get("commence_time"))
        if not usable:
            continue
        point = -point if side == "away" else point
        key = (book, when, at is None, point)
        times[key] = at
        prices.setdefault(key, {}).setdefault(side, []).append(row.get("outcome_price"))
    one, other = ("home", "away") if market == "spreads" else ("over", "under")
    quotes: dict[str, list[Quote]] = defaultdict(list)
    for key, sides in prices.items():
        quotes[key[0]].append(
            Quote(
                times[key],
                key[3],
                highest(sides.get(one, [])),
                highest(sides.get(other, [])),
            )
        )
    return quotes


def outcome(row: Row, market: str) -> str | None:
    """Which side a row is of."""
    name = row.get("outcome_name")
    if market == "totals":
        return {"Over": "over", "Under": "under"}.get(name)
    if name is None:
        return None
    if name == row.get("home_team"):
        return "home"
    return "away" if name == row.get("away_team") else None


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
    lines = books(game_line_quotes(rows, game, market), strict)
    for book in ("draftkings", "fanduel"):
        if book in lines:
            return GameLine(lines[book], book, len(lines))
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
