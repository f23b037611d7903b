"""What `compute` gave, looked at as a whole: it fits the output, and is about its dates alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from ray_backfill.errors import ContractError, JobCodeError
from ray_backfill.job import Computed
from ray_backfill.job.gates import check_schema
from ray_backfill.job.table import Table

__all__ = ["checked"]

_NAMED = 5


def checked(table: Table, computed: object, days: Sequence[date]) -> Computed:
    """What a computation of `days` gave, with the columns of the output in order.

    Raises `JobCodeError` for what is no `Computed` of a frame, `ContractError` naming each column
    that does not fit, and each date that is spoken of and was not asked for, with its rows.
    """
    if not isinstance(computed, Computed) or not isinstance(computed.rows, pl.DataFrame):
        what = computed.rows if isinstance(computed, Computed) else computed
        raise JobCodeError(
            f"compute gave {_kind(what)} where a ray_backfill.job.Computed of a pl.DataFrame "
            "was expected"
        )
    rows = check_schema(table, computed.rows)
    counts = _rows_by_date(table, rows)
    problems = [
        *_foreign("rows", counts, days),
        *_foreign("quarantined", dict.fromkeys(computed.quarantined, 1), days),
        *_foreign("empty", dict.fromkeys(computed.empty, 1), days),
        *_foreign("unmatched", Counter(u.day for u in computed.unmatched), days),
        *_foreign("names", Counter(n.day for n in computed.names), days),
        *_contradictions(computed, counts),
    ]
    if problems:
        raise ContractError(
            f"What was computed does not fit the dates asked for: {'; '.join(problems)}.",
            hint="This is an error of the job's code.",
        )
    return replace(computed, rows=rows)


def _kind(what: object) -> str:
    name = type(what).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _rows_by_date(table: Table, rows: pl.DataFrame) -> dict[date | None, int]:
    assert table.partition is not None
    return dict(rows.group_by(table.partition).len().iter_rows())


def _foreign(what: str, counts: Mapping[date | None, int], days: Sequence[date]) -> list[str]:
    """What is of no date, and of dates that were not asked for."""
    asked = set(days)
    found = []
    if nowhere := counts.get(None):
        found.append(f"{nowhere} {what} without a date")
    other = {str(day): n for day, n in counts.items() if day is not None and day not in asked}
    if other:
        found.append(f"{what} of dates that were not asked for: {_listed(other)}")
    return found


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{day} ({n})" for day, n in sorted(counts.items())[:_NAMED]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _contradictions(computed: Computed, counts: Mapping[date | None, int]) -> Iterable[str]:
    """Dates that are said to be empty and are not, and those for which no reason is given."""
    for day in computed.empty:
        if counts.get(day):
            yield f"{day} is said to be empty, and has {counts[day]} rows"
    for what, found in (("empty", computed.empty), ("quarantined", computed.quarantined)):
        for day, why in found.items():
            if not isinstance(why, str) or not why.strip():
                yield f"{day} is {what}, and no reason is given"
