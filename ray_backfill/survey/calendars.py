"""A job's calendar: called, and checked before anything is planned from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

from ray_backfill.errors import RefusedError
from ray_backfill.job import Calendar, DateState, Day, Frames, Job
from ray_backfill.job.calendar import DateRange, Season, Window
from ray_backfill.job.checks import covered, undecided_views, wider
from ray_backfill.job.user_code import called

__all__ = ["calendar_of"]

_SAID = frozenset({DateState.NO_GAMES, DateState.BY_DESIGN, DateState.FUTURE, DateState.BLOCKED})
"""States that a calendar gives; the others come of looking at the output."""
_NAMED = 3


def calendar_of(job: Job, frames: Frames, options: Any, dates: DateRange) -> Calendar:
    """The job's calendar; due dates outside of `dates`, which no table can hold, are blocked.

    Raises `JobCodeError` where the job's function raises, and `RefusedError` where it gives no
    calendar, or one that contradicts itself; all that is wrong with it is named at once.
    """
    found = called(f"The calendar of {job.name}", job.calendar, frames, options)
    if not isinstance(found, Calendar):
        raise _refused(job, [f"it is a {type(found).__name__}, not a ray_backfill.job.Calendar"])
    problems = [*_of_seasons(found.seasons), *_of_days(found.days)]
    if problems:
        raise _refused(job, problems)
    kept = replace(found, days={d.day: _held(d, dates) for d in found.days.values()})
    due = sorted(d.day for d in kept.days.values() if d.state is None)
    problems = [*_outside(due, kept.seasons), *_too_wide(job, due, kept.seasons)]
    if problems:
        raise _refused(job, problems)
    return kept


def _refused(job: Job, problems: Sequence[str]) -> RefusedError:
    return RefusedError(
        f"The calendar of the job {job.name} cannot be planned from: {'; '.join(problems)}.",
        hint="This is an error of the job's code.",
    )


def _held(entry: Day, dates: DateRange) -> Day:
    if entry.state is not None or entry.day in dates:
        return entry
    why = f"no table here can hold the date: it is outside of {dates}"
    return replace(entry, state=DateState.BLOCKED, reason=why)


def _of_seasons(seasons: Sequence[Season]) -> Iterator[str]:
    wrong = [s for s in seasons if not isinstance(s, Season) or not s.range]
    if wrong:
        yield f"seasons without dates: {_some(wrong)}"
        return
    for before, after in pairwise(seasons):
        if after.start < before.end:
            yield (
                f"the season {after.name} begins on {after.start}, before {before.name} has ended "
                f"on {before.end}"
            )
    names = [season.name for season in seasons]
    if len(set(names)) < len(names):
        yield f"several seasons have one name, of {_some(sorted(names))}"


def _of_days(days: Mapping[date, Day]) -> Iterator[str]:
    strange = [key for key in days if type(key) is not date]
    if strange:
        yield f"days that are no dates: {_some(strange)}"
    moved = [key for key, entry in days.items() if entry.day != key]
    if moved:
        yield f"days under the date of another: {_some(moved)}"
    known = (None, *_SAID)
    states = [d.day for d in days.values() if d.state not in known or type(d.state) is str]
    if states:
        listed = ", ".join(sorted(_SAID))
        yield f"days whose state is neither None, which means due, nor of {listed}: {_some(states)}"
    for name in ("expected_rows", "absent_rows"):
        counts = {d.day: getattr(d, name) for d in days.values()}
        wrong = [day for day, count in counts.items() if type(count) is not int or count < 0]
        if wrong:
            yield f"days whose {name} is no count: {_some(wrong)}"


def _outside(due: Sequence[date], seasons: Sequence[Season]) -> Iterator[str]:
    """The due dates of no season: nothing would ever compute them."""
    starts = [season.start for season in seasons]
    at = ((day, bisect_right(starts, day) - 1) for day in due)
    lost = [day for day, n in at if n < 0 or day not in seasons[n].range]
    if lost:
        yield f"{len(lost):,} due dates lie in no season: {_some(lost)}"


def _too_wide(job: Job, due: Sequence[date], seasons: Sequence[Season]) -> Iterator[str]:
    def covers(outer: Window, inner: Window) -> bool | None:
        known = outer.covers(inner)
        if known is not None:
            return known
        pairs = ((outer.bounds(day, seasons), inner.bounds(day, seasons)) for day in due)
        return all(held is None or shown is None or held.holds(shown) for held, shown in pairs)

    for view in undecided_views(job):
        if covered(job, view, covers) is False:
            yield wider(job, view)


def _some(listed: Sequence[object]) -> str:
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return ", ".join(str(one) for one in listed[:_NAMED]) + more
