"""Rows as dicts: duplicates, disagreements, names, numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from fractions import Fraction
from typing import Any

Row = dict[str, Any]


def grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> dict[Any, list[Row]]:
    """Rows by key, in the order in which the keys were met."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def distinct(rows: Iterable[Row], columns: Sequence[str]) -> list[Row]:
    """The rows without repetitions, looking only at `columns`."""
    seen = {tuple(row.get(column) for column in columns): row for row in rows}
    return list(seen.values())


def latest_scrape(rows: Sequence[Row]) -> list[Row]:
    """The rows of the latest `processed_at`; a row without one is older than every other."""
    times = [row["processed_at"] for row in rows if row.get("processed_at") is not None]
    if not times:
        return list(rows)
    return [row for row in rows if row.get("processed_at") == max(times)]


def settle(rows: Sequence[Row], columns: Sequence[str]) -> tuple[Row, list[str]]:
    """One row for rows of one key, and the columns on which the latest scrape disagrees.

    A column of disagreement is None in the row that comes back.
    """
    if len(rows) == 1:
        return dict(rows[0]), []
    tied = distinct(latest_scrape(rows), columns)
    disagree = [
        column for column in columns if any(r.get(column) != tied[0].get(column) for r in tied)
    ]
    return {**tied[0], **dict.fromkeys(disagree)}, disagree


def letters(text: str | None) -> str:
    """Lower case letters only, for season types."""
    return "".join(c for c in (text or "").lower() if c.isascii() and c.isalpha())


def letters_and_digits(text: str | None) -> str:
    """Lower case letters and digits only, for names of books."""
    return "".join(c for c in (text or "").lower() if c.isascii() and c.isalnum())


def known(values: Iterable[Any]) -> list[Any]:
    """The values that are not None."""
    return [value for value in values if value is not None]


def thousandths(minutes: float | None) -> int | None:
    """Minutes as a whole number of thousandths."""
    return None if minutes is None else round(minutes * 1000)


def exact_mean(values: Sequence[int | Fraction]) -> float | None:
    """The mean as a float; None of nothing."""
    return float(Fraction(sum(values)) / len(values)) if values else None


def median(values: Sequence[float]) -> float:
    """The middle value; of an even count the mean of the two middle ones."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def half_up(value: Fraction) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(value + Fraction(1, 2))


def positive_zero(value: float | None) -> float | None:
    """0.0 for -0.0."""
    return 0.0 if value == 0 else value
