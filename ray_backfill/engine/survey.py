"""Gathers the facts of a plan: calendar, input digests, output stamps, last attempts.

Digests are kept in a cache keyed by the metadata of the partitions that they were made from.
The cache may be lost at any time: metadata saves a reading, it never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl

from ray_backfill import loaded_code
from ray_backfill.calendar import DateRange, Season, hull
from ray_backfill.code_version import source_version
from ray_backfill.digest import text_digest
from ray_backfill.engine.cache import Cache
from ray_backfill.engine.calendars import calendar_of
from ray_backfill.engine.empty_dates import with_empty_dates
from ray_backfill.engine.journal import last_attempts
from ray_backfill.engine.ledger import Ledger, held_of, past
from ray_backfill.engine.reading import read_frame
from ray_backfill.engine.report import past_memory_factor
from ray_backfill.engine.stamps import read_stamps, remembered_options
from ray_backfill.errors import RefusedError, TableNotFoundError, WarehouseError
from ray_backfill.fingerprint import fingerprints, view_digests
from ray_backfill.job import Calendar, Context, DateState, Frames, Input, Job, View
from ray_backfill.options import to_json
from ray_backfill.plan import Facts, Source
from ray_backfill.sizing import FACTOR, sizing_of
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Partition

__all__ = ["survey"]

UNREADABLE = "unreadable"
"""The digest of a date whose file cannot be read: it differs from every other."""

_Tokens = Mapping[str, Mapping[date | None, str]]
"""Input name -> partition -> token of its metadata."""


def survey(
    warehouse: Warehouse,
    job: Job,
    options: Callable[[Any], Any] | None = None,
    wanted: Callable[[Season], bool] = lambda season: True,
) -> Facts:
    """Everything that a plan is made of.

    `options` turns the remembered option set (that of most dates of the output) into the
    one to use. Only the inputs of `wanted` seasons are looked at, and of these only where a date
    has something to compare with, rows or a failed attempt: other dates have no fingerprint,
    as a missing date is due whatever its inputs are.
    Raises `RefusedError` where a required input is absent and no date can be named.
    """
    ledger = Ledger(warehouse, job.output.name)
    stamps = read_stamps(warehouse, job, ledger)
    remembered = remembered_options(job, stamps)
    chosen = options(remembered) if options else remembered
    version = loaded_code.code_of(job)
    held = _held(warehouse, job)
    tokens = {name: {p.day: p.token for p in parts} for name, parts in held.items()}
    cache = Cache.load(warehouse, job.name, f"{_source(job)}/{to_json(chosen)}")
    calendar = _calendar(warehouse, job, tokens, chosen, cache)
    stamps = with_empty_dates(warehouse, job, calendar, stamps)
    attempts = last_attempts(warehouse, job.output.name)
    known = stamps.keys() | {day for day, attempt in attempts.items() if attempt.kind == "data"}
    prints: dict[date, str] = {}
    for season in filter(wanted, calendar.seasons):
        days = [d.day for d in calendar.days.values() if d.state is None and d.day in season.range]
        if not known.isdisjoint(days):
            context = Context(calendar.seasons, season, chosen)
            prints |= _season_prints(warehouse, job, sorted(days), context, tokens, cache)
    cache.save()
    history, codes = past(ledger, stamps, prints, version)
    return Facts(
        calendar=calendar,
        fingerprints=prints,
        stamps=stamps,
        attempts=attempts,
        code_version=version,
        job_options=to_json(chosen),
        sizing=sizing_of(
            job,
            {name: {p.day: p.rows for p in parts} for name, parts in held.items()},
            # Never less: what wide spans needed says little of a date that is nearly all look-back.
            max(FACTOR, past_memory_factor(warehouse, job.output.name) or 0),
        ),
        rules=loaded_code.rules_of(job),
        sources=tuple(
            Source(i.name, i.table.name, i.window, {p.day: held_of(p) for p in held[i.name]})
            for i in job.inputs
        ),
        views={view.name: view.inputs for view in job.views},
        calendar_inputs=tuple(job.calendar_inputs),
        history=history,
        codes=codes,
    )


def _source(job: Job) -> str:
    """All code that a calendar or a digest comes from: the job's, what that imports, the engine."""
    functions = (job.calendar, *(view.rows for view in job.views))
    shown = {getattr(function, "__module__", None) for function in functions}
    return source_version(job.modules, sorted(name for name in shown if name))


def _held(warehouse: Warehouse, job: Job) -> dict[str, list[Partition]]:
    """Input name -> the partitions of its table; none of a table that is absent."""
    by_table: dict[str, list[Partition]] = {}
    # Once a table: a job may read one table by several inputs.
    for name, table in {i.table.name: i.table for i in job.inputs}.items():
        try:
            by_table[name] = warehouse.partitions(table)
        except TableNotFoundError:
            by_table[name] = []
    return {i.name: by_table[i.table.name] for i in job.inputs}


def _calendar(
    warehouse: Warehouse, job: Job, tokens: _Tokens, options: Any, cache: Cache
) -> Calendar:
    token = text_digest(repr([sorted(tokens[n].items(), key=str) for n in job.calendar_inputs]))
    calendar = cache.calendar(token)
    absent = [i.table.name for i in job.inputs if i.required and not tokens[i.name]]
    if calendar is None:
        frames = {
            name: read_frame(warehouse, replace(job.input(name), required=False), columns, None)
            for name, columns in job.calendar_inputs.items()
        }
        try:
            calendar = calendar_of(job, frames, options, warehouse.partition_range)
        except RefusedError:
            if not absent:
                raise
            calendar = Calendar((), {})  # what it says of empty tables is beside the point
        else:
            cache.put_calendar(token, calendar)
    return _blocked(warehouse, calendar, absent) if absent else calendar


def _blocked(warehouse: Warehouse, calendar: Calendar, absent: Sequence[str]) -> Calendar:
    """The calendar with every due date blocked by the absent tables."""
    reason = f"required input absent: {', '.join(absent)}"
    if not calendar.days:
        raise RefusedError(
            f"Nothing can be planned in {warehouse.uri}: {reason}.",
            hint=f"Load it first: ray-backfill load {absent[0]} FILE",
        )
    days = {
        day: replace(entry, state=DateState.BLOCKED, reason=reason)
        if entry.state is None
        else entry
        for day, entry in calendar.days.items()
    }
    return replace(calendar, days=days)


def _season_prints(
    warehouse: Warehouse,
    job: Job,
    days: Sequence[date],
    context: Context,
    tokens: _Tokens,
    cache: Cache,
) -> dict[date, str]:
    """Fingerprints of one season's due days; reads only what the cache does not know."""
    views = {v.name: _view_tokens(job, v, days, context.seasons, tokens) for v in job.views}
    lacking = {
        view.name: cache.lacking(context.season.name, view.name, views[view.name])
        for view in job.views
    }
    frames, broken = _frames(warehouse, job, days, context.seasons, lacking)
    digests: dict[str, Mapping[date | None, str]] = {}
    for view in job.views:
        fresh = lacking[view.name]
        found = view_digests(job, view, frames, context) if fresh else {}
        bad = {day for name in view.inputs for day in broken.get(name, ())}
        digests[view.name] = cache.update(
            context.season.name,
            view.name,
            views[view.name],
            fresh,
            {**found, **dict.fromkeys(bad, UNREADABLE)},
            keep=not bad,
        )
    return fingerprints(job, digests, days, context.seasons)


def _view_tokens(
    job: Job, view: View, days: Sequence[date], seasons: Sequence[Season], tokens: _Tokens
) -> dict[date | None, str]:
    """The cache keys of a view in one season: token by date; one token for all if not local."""
    window = _hull_of(view, days, seasons)
    inputs = [job.input(name) for name in view.inputs]
    if window is None:
        return {None: text_digest(repr([sorted(tokens[i.name].items(), key=str) for i in inputs]))}
    if not view.local:
        parts = [_within(tokens[i.name], i.extent(days, seasons)) for i in inputs]
        return dict.fromkeys(window.days(), text_digest(repr(parts)))
    present = sorted({d for i in inputs for d in tokens[i.name] if d is not None and d in window})
    # A table without partitions stands under None, and a date of the view rests on all of it.
    return {
        d: "+".join(tokens[i.name].get(d if i.table.partition else None, "-") for i in inputs)
        for d in present
    }


def _within(tokens: Mapping[date | None, str], dates: DateRange | None) -> list[tuple[str, str]]:
    return sorted(
        (str(d), token) for d, token in tokens.items() if dates is None or d is None or d in dates
    )


def _hull_of(view: View, days: Sequence[date], seasons: Sequence[Season]) -> DateRange | None:
    if view.window.kind == "always":
        return None
    found = hull(b for b in (view.window.bounds(d, seasons) for d in days) if b is not None)
    return found or DateRange(days[0], days[0])


def _frames(
    warehouse: Warehouse,
    job: Job,
    days: Sequence[date],
    seasons: Sequence[Season],
    lacking: Mapping[str, Sequence[date | None]],
) -> tuple[Frames, Mapping[str, Sequence[date]]]:
    """Frames of the inputs of the views that lack digests; others come empty.

    An input that only local views ask for is read on the lacking dates alone. Beside them, the
    dates of each input that cannot be read: a plan names them, and goes on with the others.
    """
    frames: dict[str, pl.DataFrame] = {}
    broken: dict[str, Sequence[date]] = {}
    for source in job.inputs:
        asking = [v for v in job.views if source.name in v.inputs and lacking[v.name]]
        if not asking:
            frames[source.name] = source.table.empty().select(source.columns)
            continue
        dates: Any = source.extent(days, seasons)
        if dates is not None and all(v.local for v in asking):
            dates = sorted({d for v in asking for d in lacking[v.name] if d is not None})
        try:
            frames[source.name] = read_frame(warehouse, source, source.columns, dates)
        except WarehouseError:
            if dates is None:
                raise
            frames[source.name], broken[source.name] = _readable(warehouse, source, dates)
    return frames, broken


def _readable(
    warehouse: Warehouse, source: Input, dates: DateRange | Sequence[date]
) -> tuple[pl.DataFrame, list[date]]:
    """What can be read of an input, date by date, and the dates that cannot."""
    parts, broken = [source.table.empty().select(source.columns)], []
    held = [p.day for p in warehouse.partitions(source.table) if p.day is not None]
    for day in (day for day in held if day in dates):
        try:
            parts.append(read_frame(warehouse, source, source.columns, [day]))
        except WarehouseError:
            broken.append(day)
    if not broken:
        raise WarehouseError(
            f"{source.table.name} could be read date by date, but not as a whole.",
            hint="Try again; if it stays so, its files change while they are read.",
        )
    return pl.concat(parts), broken
