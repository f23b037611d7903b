"""Dates, half-open windows `[start, end)`, and seasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

__all__ = [
    "ALL_DATES",
    "DateRange",
    "Season",
    "Window",
    "hull",
    "moved",
    "parse_date",
    "season_of",
]


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """Half-open range of dates `[start, end)`; empty where `end <= start`."""

    start: date
    end: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day < self.end

    def __bool__(self) -> bool:
        return self.start < self.end

    def __str__(self) -> str:
        return f"{self.start} … {moved(self.end, -1)}"

    def holds(self, other: DateRange) -> bool:
        """Whether every date of `other` lies in this range."""
        return not other or (self.start <= other.start and other.end <= self.end)

    def days(self) -> list[date]:
        return [self.start + timedelta(n) for n in range((self.end - self.start).days)]


ALL_DATES = DateRange(date.min, date.max)
"""Every date that can be a partition. The very last date cannot: no half-open range holds it."""


def moved(day: date, days: int) -> date:
    """The date so many days later (negative: earlier), or the end of the calendar before that."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.max if days > 0 else date.min


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
            first, last = _from_day(-self.before), _from_day(self.ahead)
            return first if first == last else f"{first} … {last}"
        if self.kind == "season_to_date":
            last = _from_day(self.ahead) if self.ahead or self.upto_day else "before D"
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
            return DateRange(moved(day, -self.before), moved(day, 1 + self.ahead))
        at = season_of(day, seasons)
        if self.kind == "season_before":
            earlier = [s for s in seasons if s.end <= (at.start if at else day)]
            return earlier[-1].range if earlier else DateRange(day, day)
        if self.kind == "season":
            return at.range if at else DateRange(day, moved(day, 1))
        start = at.start if at else day
        end = moved(day, self.ahead + self.upto_day)
        return DateRange(start, min(end, at.end) if at else end)

    def covers(self, other: Window) -> bool | None:
        """Whether this window holds the other one around every date; None: the seasons decide."""
        if self.kind == "always" or other.kind == "always":
            return self.kind == "always"
        if self.kind == "day":
            if other.kind != "day":
                return None
            return self.before >= other.before and self.ahead >= other.ahead
        if "season_before" in (self.kind, other.kind):
            return self.kind == other.kind
        if other.kind == "day":
            # A window of days does not stop at the ends of its season.
            return other.before <= 0 and other.ahead <= 0 and self._reaches(other)
        if other.kind == "season" and self.kind == "season_to_date":
            return None
        return self._reaches(other)

    def _reaches(self, other: Window) -> bool:
        """Whether it ends no sooner, of two windows that end with their season at the latest."""
        return self.kind == "season" or self.ahead + self.upto_day >= other.ahead + other.upto_day

    def extent(self, days: Sequence[date], seasons: Sequence[Season]) -> DateRange | None:
        """The smallest range that covers the windows of all `days`; None for `always`."""
        if self.kind == "always":
            return None
        bounds = (self.bounds(day, seasons) for day in days)
        return hull(b for b in bounds if b is not None) or DateRange(days[0], days[0])


def _from_day(days: int) -> str:
    return f"D {'-' if days < 0 else '+'} {abs(days)}" if days else "D"


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
