"""What a run left out or doubted, and names that match nobody: summed up for its report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ray_backfill.job import Unmatched, UnmatchedName

__all__ = ["left_out", "unmatched_names"]

_LIKE, _LEAD = 70.0, 10.0
"""A name is proposed where it is so like, and so far ahead of the next, on each of the dates."""
_LIKELY = 3


def left_out(found: Iterable[Unmatched]) -> list[dict[str, Any]]:
    """One entry for each table, source and reason; those of most rows first.

    Each with `table`, `source`, `why`, `rows`, `dates` (ISO date -> rows), `examples` (`date` and
    `what`, in order) and `mend`, which is empty where there is nothing to mend.
    """
    kinds: dict[tuple[str, str, str], list[Unmatched]] = defaultdict(list)
    for one in found:
        kinds[(one.table, one.source, one.why)].append(one)
    entries = [_kind(*key, sorted(ones, key=lambda u: u.day)) for key, ones in kinds.items()]
    return sorted(entries, key=lambda e: (-e["rows"], e["table"], e["source"], e["why"]))


def _kind(table: str, source: str, why: str, ones: list[Unmatched]) -> dict[str, Any]:
    dates: dict[str, int] = defaultdict(int)
    for one in ones:
        dates[str(one.day)] += one.rows
    given = ones[0].mend
    return {
        "table": table,
        "source": source,
        "why": why,
        "rows": sum(dates.values()),
        "dates": dict(dates),
        "examples": [{"date": str(u.day), "what": what} for u in ones for what in u.examples],
        "mend": f"ray-backfill load {table} FILE" if given is None else given,
    }


def unmatched_names(found: Iterable[UnmatchedName]) -> list[dict[str, Any]]:
    """One entry for each name and table; those of most rows first.

    Each with `name`, `table`, `sources` and `dates` (both -> rows), `rows`, `likely` (`name` and
    its best `likeness`), and `proposed`: the name that stands out on every date, else None.
    """
    names: dict[tuple[str, str], list[UnmatchedName]] = defaultdict(list)
    for one in found:
        names[(one.name, one.table)].append(one)
    entries = [_name(*key, sorted(ones, key=lambda n: n.day)) for key, ones in names.items()]
    return sorted(entries, key=lambda e: (-e["rows"], e["name"], e["table"]))


def _name(name: str, table: str, ones: list[UnmatchedName]) -> dict[str, Any]:
    sources: dict[str, int] = defaultdict(int)
    dates: dict[str, int] = defaultdict(int)
    best: dict[str, float] = defaultdict(float)
    for one in ones:
        sources[one.source] += one.rows
        dates[str(one.day)] += one.rows
        for other, likeness in one.likely:
            best[other] = max(best[other], likeness)
    meant = {_standing_out(one) for one in ones}
    ordered = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "name": name,
        "table": table,
        "rows": sum(dates.values()),
        "sources": dict(sorted(sources.items())),
        "dates": dict(dates),
        "likely": [{"name": other, "likeness": round(x, 1)} for other, x in ordered[:_LIKELY]],
        "proposed": meant.pop() if len(meant) == 1 else None,
    }


def _standing_out(one: UnmatchedName) -> str | None:
    if not one.likely:
        return None
    first, likeness = one.likely[0]
    second = one.likely[1][1] if len(one.likely) > 1 else 0.0
    return first if likeness >= _LIKE and likeness - second >= _LEAD else None
