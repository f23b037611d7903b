"""How complete a table is: counts that a constant or a hole cannot hide behind.

The calendar is the denominator: a due date without rows counts as its expected rows, and what
the inputs of a date lack counts too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from ray_backfill.job import DateState
from ray_backfill.plan import Decision

__all__ = ["ColumnCoverage", "DateCoverage", "coverage_of", "dates_of", "rows_by_date"]

_DUE = (DateState.MISSING, DateState.STALE, DateState.COMPLETE)


@dataclass(frozen=True, slots=True)
class ColumnCoverage:
    """One column in one period.

    `pct` = 100 · non_null / total, of the rows that are there; `pct_expected` = 100 · non_null
    / expected, where `expected` = total + rows of due dates without any + rows that inputs lack.
    `zero_pct` is of the non-null rows (None for a column without a zero). `constant`: two or more
    rows with values, all equal.
    """

    period: str
    column: str
    non_null: int
    total: int
    expected: int
    pct: float | None
    pct_expected: float | None
    distinct: int
    zero_pct: float | None
    constant: bool


@dataclass(frozen=True, slots=True)
class DateCoverage:
    """The dates of one period: how many are due, how many have rows, and the holes by reason.

    `lacking`: due dates with rows whose inputs lack more, how many rows that is, and why.
    """

    period: str
    due: int
    with_rows: int
    holes: Mapping[date, str]
    lacking: Mapping[date, tuple[int, str]]
    empty_by_design: int
    off_days: int


def period_of(day: date, by: str) -> str:
    """`2025-11` or `2025-11-04`."""
    return str(day)[:7] if by == "month" else str(day)


def coverage_of(
    rows: pl.DataFrame,
    partition: str,
    columns: Sequence[str],
    decisions: Sequence[Decision],
    by: str,
) -> list[ColumnCoverage]:
    """Coverage of each column in each period that has rows or should have, in order."""
    present = rows_by_date(rows, partition)
    # Where it is not known how many rows a date would have: as many as other dates have.
    usual = round(rows.height / len(present)) if present else 0
    absent: Counter[str] = Counter()
    for d in decisions:
        if _due(d):
            there = d.day in present
            more = _lacking(d, present[d.day]) if there else _whole(d) or usual or 1
            absent[period_of(d.day, by)] += more
    label = pl.col(partition).dt.strftime("%Y-%m" if by == "month" else "%Y-%m-%d")
    frames = {
        str(key[0]): frame
        for key, frame in rows.with_columns(label.alias("__period"))
        .partition_by("__period", as_dict=True)
        .items()
    }
    empty = rows.clear()
    return [
        _one(period, column, frames.get(period, empty)[column], absent[period])
        for period in sorted(frames.keys() | (+absent).keys())
        for column in columns
    ]


def rows_by_date(rows: pl.DataFrame, partition: str) -> dict[date, int]:
    """How many rows each date has, of those that have any."""
    return dict(rows.group_by(partition).len().iter_rows())


def _whole(decision: Decision) -> int:
    return decision.expected_rows + decision.absent_rows


def _lacking(decision: Decision, rows: int) -> int:
    """The rows that a date with rows lacks because its inputs do: it may have them of old."""
    return max(0, min(decision.absent_rows, _whole(decision) - rows))


def _due(decision: Decision) -> bool:
    """Whether rows are to be expected: not of a date that a run published as rightly empty."""
    return decision.state in (*_DUE, DateState.BLOCKED) and not decision.empty


def _one(period: str, column: str, values: pl.Series, absent: int) -> ColumnCoverage:
    total, kept = len(values), values.drop_nulls()
    expected, distinct = total + absent, kept.n_unique() if len(kept) else 0
    zero = _zero_share(kept)
    return ColumnCoverage(
        period=period,
        column=column,
        non_null=len(kept),
        total=total,
        expected=expected,
        pct=_pct(len(kept), total),
        pct_expected=_pct(len(kept), expected),
        distinct=distinct,
        zero_pct=zero,
        constant=distinct == 1 and len(kept) > 1,
    )


def _zero_share(kept: pl.Series) -> float | None:
    if not len(kept) or not (kept.dtype.is_numeric() or kept.dtype == pl.Boolean):
        return None
    return _pct(
        int((kept == 0).sum()) if kept.dtype.is_numeric() else int((~kept).sum()), len(kept)
    )


def _pct(part: int, whole: int) -> float | None:
    return round(100.0 * part / whole, 1) if whole else None


def dates_of(
    decisions: Sequence[Decision], present: Mapping[date, int], by: str
) -> list[DateCoverage]:
    """What became of the calendar's dates, by period."""
    periods: dict[str, list[Decision]] = {}
    for decision in decisions:
        periods.setdefault(period_of(decision.day, by), []).append(decision)
    return [_dates(period, members, present) for period, members in sorted(periods.items())]


def _dates(period: str, members: Sequence[Decision], present: Mapping[date, int]) -> DateCoverage:
    due = [d for d in members if _due(d)]
    return DateCoverage(
        period=period,
        due=len(due),
        with_rows=sum(d.day in present for d in due),
        holes={d.day: f"{d.state.value}: {d.reason}" for d in due if d.day not in present},
        lacking={
            d.day: (lacking, "; ".join(d.notes))
            for d in due
            if d.day in present and (lacking := _lacking(d, present[d.day]))
        },
        empty_by_design=sum(d.state == DateState.BY_DESIGN or bool(d.empty) for d in members),
        off_days=sum(d.state == DateState.NO_GAMES for d in members),
    )
