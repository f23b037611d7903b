"""Spans: the runs of dates that one task computes together, cut so that each fits a worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from math import ceil

from ray_backfill.job.calendar import Season
from ray_backfill.plan.model import Decision, Span
from ray_backfill.plan.sizing import Sizing

__all__ = ["WORKER_MEMORY", "make_spans"]

_SHORTEST_SPAN = 42
"""Dates; a shorter span would read more look-back than it computes."""
_SPANS_PER_WORKER = 3
"""Enough to even out, few enough that look-back is not read again and again."""
WORKER_MEMORY = 4 * 2**30
"""Bytes that a span may need at most where nothing else is said."""


def make_spans(
    decisions: Sequence[Decision],
    workers: int,
    seasons: Sequence[Season] = (),
    sizing: Sizing | None = None,
    worker_memory: int = WORKER_MEMORY,
) -> tuple[Span, ...]:
    """Spans over the dates to compute: of one season each, longest first.

    Long spans read the look-back once; there are at least a few a worker, so that the work evens
    out, and none that has more than one date needs more than `worker_memory` bytes. Longest
    first: what comes late, when a cluster has grown, is short, so that no node waits for one.
    """
    todo = [d for d in decisions if d.action == "compute"]
    sizing = sizing or Sizing()
    target = max(_SHORTEST_SPAN, ceil(len(todo) / max(1, workers * _SPANS_PER_WORKER)))
    spans: list[Span] = []
    for season, group in groupby(todo, key=lambda d: d.season):
        members = list(group)
        parts = max(1, ceil(len(members) / target))
        bounds = [round(n * len(members) / parts) for n in range(parts + 1)]
        for low, high in pairwise(bounds):
            spans += _fitting(season, members[low:high], seasons, sizing, worker_memory)
    return tuple(sorted(spans, key=lambda s: (-s.expected_rows, s.days)))


def _fitting(
    season: str,
    members: Sequence[Decision],
    seasons: Sequence[Season],
    sizing: Sizing,
    worker_memory: int,
) -> Iterator[Span]:
    """Halves of halves, until each fits or is a single date."""
    span = _span(season, members, seasons, sizing)
    if span.memory_bytes <= worker_memory or len(members) == 1:
        yield span
        return
    middle = len(members) // 2
    for half in (members[:middle], members[middle:]):
        yield from _fitting(season, half, seasons, sizing, worker_memory)


def _span(
    season: str, members: Sequence[Decision], seasons: Sequence[Season], sizing: Sizing
) -> Span:
    days = tuple(d.day for d in members)
    name = f"{days[0]}" if len(days) == 1 else f"{days[0]}..{days[-1]}"
    rows = sum(d.expected_rows for d in members)
    return Span(
        name,
        season,
        days,
        rows,
        sizing.data_bytes(days, rows, seasons),
        sizing.need(days, rows, seasons),
    )
