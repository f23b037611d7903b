"""Dates, half-open windows `[start, end)`, and seasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

__all__ = ["DateRange", "Season", "Window", "hull", "parse_date", "season_of"]


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """Half-open range of dates `[start, end)`; empty where `end <= start`."""

    start: date
    end: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day < self.end

    def __bool__(self) -> bool:
        return self.start < self.end

    def days(self) -> list[date]:
        return [self.start + timedelta(n) for n in range((self.end - self.start).days)]


@dataclass(frozen=True, slots=True, order=True)
class Season:
    """A stretch of the calendar `[start, end)` whose history does not carry over.

    Season-scoped windows begin at `start`; a span never crosses a season.
    """

    name: str
    start: date
    end: date

    @property
    def range(self) -> DateRange:
        return DateRange(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Window:
    """The partitions around a date D that an input or a view is read from.

    `day`            [D - before, D + 1 + ahead)
    `season_to_date` [start of D's season, D + 1 + ahead), or without D itself: `upto_day=False`
    `season`         the whole of D's season: for tables where a later row can correct an earlier
    `season_before`  the whole season before D's season
    `always`         the whole of a table that has no partitions
    """

    kind: Literal["day", "season_to_date", "season", "season_before", "always"]
    before: int = 0
    ahead: int = 0
    upto_day: bool = True

    @classmethod
    def around(cls, *, before: int = 0, ahead: int = 0) -> Window:
        """D itself, `before` days back and `ahead` days on."""
        return cls("day", before=before, ahead=ahead)

    @classmethod
    def season_to_date(cls, *, ahead: int = 0, upto_day: bool = True) -> Window:
        """From the start of D's season; `upto_day=False` ends before D."""
        return cls("season_to_date", ahead=ahead, upto_day=upto_day)

    @classmethod
    def whole_season(cls) -> Window:
        """All of D's season, the days after D too."""
        return cls("season")

    @classmethod
    def season_before(cls) -> Window:
        """The whole season before D's."""
        return cls("season_before")

    @classmethod
    def always(cls) -> Window:
        """All of an unpartitioned table."""
        return cls("always")

    def describe(self) -> str:
        """The window in words, with D for the date that is computed."""
        if self.kind == "day":
            first = f"D - {self.before}" if self.before else "D"
            last = f"D + {self.ahead}" if self.ahead else "D"
            return first if first == last else f"{first} … {last}"
        if self.kind == "season_to_date":
            last = f"D + {self.ahead}" if self.ahead else ("D" if self.upto_day else "before D")
            return f"season start … {last}"
        return {
            "season": "the whole season",
            "season_before": "the season before",
            "always": "all of it",
        }[self.kind]

    def bounds(self, day: date, seasons: Sequence[Season]) -> DateRange | None:
        """The dates that belong to the window of `day`; None for `always`.

        `seasons` are in order; a day outside every season has a season of its own.
        """
        if self.kind == "always":
            return None
        if self.kind == "day":
            return DateRange(day - timedelta(self.before), day + timedelta(1 + self.ahead))
        at = season_of(day, seasons)
        if self.kind == "season_before":
            earlier = [s for s in seasons if s.end <= (at.start if at else day)]
            return earlier[-1].range if earlier else DateRange(day, day)
        if self.kind == "season":
            return at.range if at else DateRange(day, day + timedelta(1))
        start = at.start if at else day
        end = day + timedelta(self.ahead + (1 if self.upto_day else 0))
        return DateRange(start, min(end, at.end) if at else end)

    def extent(self, days: Sequence[date], seasons: Sequence[Season]) -> DateRange | None:
        """The smallest range that covers the windows of all `days`; None for `always`."""
        if self.kind == "always":
            return None
        bounds = (self.bounds(day, seasons) for day in days)
        return hull(b for b in bounds if b is not None) or DateRange(days[0], days[0])


def season_of(day: date, seasons: Sequence[Season]) -> Season | None:
    """The season that `day` lies in."""
    return next((s for s in seasons if day in s.range), None)


def hull(ranges: Iterable[DateRange]) -> DateRange | None:
    """The smallest range that covers all that are not empty; None for none."""
    kept = [r for r in ranges if r]
    return DateRange(min(r.start for r in kept), max(r.end for r in kept)) if kept else None


def parse_date(text: str) -> date:
    """An ISO date; raises `UsageError` for one that does not exist."""
    from ray_backfill.errors import UsageError

    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"'{text}' is not a date: {error}.", hint="Write it as YYYY-MM-DD, like 2025-11-30."
        ) from None
