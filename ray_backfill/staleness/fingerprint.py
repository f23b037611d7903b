"""The fingerprint of a date: one readable text that names every input view and its digest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import cast

import polars as pl

from ray_backfill.errors import JobCodeError
from ray_backfill.job.calendar import DateRange, Season
from ray_backfill.job.job import Context, Frames, Job, View
from ray_backfill.job.user_code import called
from ray_backfill.staleness.digest import NOTHING, Running, partition_digests

__all__ = ["Digests", "changed_views", "fingerprints", "seen_by_views", "view_digests"]

Digests = Mapping[str, Mapping[date | None, str]]
"""View name -> date (None for a view without dates) -> digest of its rows."""


def view_digests(
    job: Job, view: View, frames: Frames, context: Context, days: Sequence[date] | None = None
) -> dict[date | None, str]:
    """Digest of each date of a view, from the frames that a computation reads.

    `days`: only of the dates that lie in their windows; a late date of a season has all of the
    season in its frames, and most views look at the date alone.
    Raises `JobCodeError` for a view that raises, or gives no frame with its dates.
    """
    context = seen_by_views(context)
    if view.window.kind == "always":
        return partition_digests(_rows(job, view, frames, context), None)
    partition = cast(str, job.output.partition)
    wanted = view.window.extent(days, context.seasons) if days else None
    rows = _rows(job, view, frames, replace(context, wanted=wanted), partition)
    if wanted is not None:
        rows = rows.filter(pl.col(partition).is_between(wanted.start, wanted.end, closed="left"))
    return partition_digests(rows, partition)


def _rows(
    job: Job, view: View, frames: Frames, context: Context, partition: str | None = None
) -> pl.DataFrame:
    what = f"The view {view.name} of {job.name}"
    rows = called(what, view.rows, frames, context)
    if not isinstance(rows, pl.DataFrame):
        raise JobCodeError(f"{what} gave a {type(rows).__name__} where a DataFrame was expected")
    if partition is not None and partition not in rows.columns:
        raise JobCodeError(f"{what} gave rows without the column {partition}")
    return rows


def seen_by_views(context: Context) -> Context:
    """Without later seasons: that there is a new one must not change what an old one shows."""
    seasons = tuple(s for s in context.seasons if s.start <= context.season.start)
    return replace(context, seasons=seasons)


def fingerprints(
    job: Job, digests: Digests, days: Sequence[date], seasons: Sequence[Season]
) -> dict[date, str]:
    """`view=digest;view=digest` of each day, in the order of the job's views."""
    parts: dict[date, list[str]] = {day: [] for day in days}
    for view in job.views:
        found = digests[view.name]
        listed = sorted(day for day in found if day is not None)
        seen: dict[DateRange, str] = {}
        running = Running()
        for day in days:
            bounds = view.window.bounds(day, seasons)
            if bounds is None:
                digest = found.get(None, NOTHING)
            elif bounds in seen:
                digest = seen[bounds]
            else:
                inside = listed[bisect_left(listed, bounds.start) : bisect_left(listed, bounds.end)]
                digest = seen[bounds] = running.combined(inside, found)
            parts[day].append(f"{view.name}={digest}")
    return {day: ";".join(texts) for day, texts in parts.items()}


def changed_views(before: str, after: str) -> tuple[str, ...]:
    """Names of the views whose digests differ between two fingerprints."""
    old, new = _parse(before), _parse(after)
    names = [*new, *(name for name in old if name not in new)]
    return tuple(name for name in names if old.get(name) != new.get(name))


def _parse(fingerprint: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in fingerprint.split(";") if part)
    return {name: digest for name, _, digest in pairs}
