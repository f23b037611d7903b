"""Gathers the facts of a plan: calendar, input digests, output stamps, last attempts.

Digests are kept in a cache keyed by the metadata of the partitions that they were made from.
The cache may be lost at any time: metadata saves a reading, it never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import date
from typing import Any

from ray_backfill.errors import JobCodeError, RefusedError, TableNotFoundError, WarehouseError
from ray_backfill.job import Calendar, Context, DateState, Input, Job
from ray_backfill.job.calendar import Season
from ray_backfill.job.options import to_json
from ray_backfill.job.table import Table
from ray_backfill.plan import Facts, Source
from ray_backfill.plan.sizing import FACTOR, sizing_of
from ray_backfill.record.journal import last_attempts
from ray_backfill.record.report import past_memory_factor
from ray_backfill.staleness import loaded_code
from ray_backfill.staleness.code_version import source_version
from ray_backfill.staleness.digest import text_digest
from ray_backfill.survey.cache import Cache
from ray_backfill.survey.calendars import calendar_of
from ray_backfill.survey.digests import InputTokens, SeasonDigests
from ray_backfill.survey.empty_dates import with_empty_dates
from ray_backfill.survey.ledger import Ledger, held_of, past
from ray_backfill.survey.reading import read_frame
from ray_backfill.survey.stamps import read_stamps, remembered_options
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Partition

__all__ = ["survey"]


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
    held = _held(warehouse, job.inputs)
    tokens = _tokens(held)
    cache = Cache.load(warehouse, job.name, f"{_source(job)}/{_contract(job)}/{to_json(chosen)}")
    calendar, is_new = _calendar(warehouse, job, tokens, chosen, cache)
    stamps = with_empty_dates(warehouse, job, calendar, stamps)
    attempts = last_attempts(warehouse, job.output.name)
    known = stamps.keys() | {day for day, attempt in attempts.items() if attempt.kind == "data"}
    found = _seasons(job, calendar, chosen, tokens, cache, known, wanted)
    prints = {d: text for one in found for d, text in one.prints(warehouse).items()}
    _keep(warehouse, job, tokens, cache, found, calendar if is_new else None)
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


def _seasons(
    job: Job,
    calendar: Calendar,
    options: Any,
    tokens: InputTokens,
    cache: Cache,
    known: AbstractSet[date],
    wanted: Callable[[Season], bool],
) -> list[SeasonDigests]:
    """The digests of the seasons that hold something known."""
    found = []
    for season in filter(wanted, calendar.seasons):
        days = [d.day for d in calendar.days.values() if d.state is None and d.day in season.range]
        if not known.isdisjoint(days):
            context = Context(calendar.seasons, season, options)
            found.append(SeasonDigests(job, sorted(days), context, tokens, cache))
    return found


def _source(job: Job) -> str:
    """All code that a calendar or a digest comes from: the job's, what that imports, the engine."""
    functions = (job.calendar, *(view.rows for view in job.views))
    shown = {getattr(function, "__module__", None) for function in functions}
    return source_version(job.modules, sorted(name for name in shown if name))


def _contract(job: Job) -> str:
    """Digest of what the job says of its inputs and views: the same rows read as another kind, or
    shown over another window, are other content.
    """
    inputs = [
        (i.name, i.table.name, i.table.partition, i.window, _read_as(i.table, i.columns))
        for i in job.inputs
    ]
    views = [(v.name, v.inputs, v.window, v.local) for v in job.views]
    calendar = [(n, _read_as(job.input(n).table, c)) for n, c in job.calendar_inputs.items()]
    return text_digest(repr((inputs, views, calendar, job.output.partition)))


def _read_as(table: Table, columns: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, str(dtype)) for name, dtype in table.schema().items() if name in columns]


def _held(warehouse: Warehouse, inputs: Iterable[Input]) -> dict[str, list[Partition]]:
    """Input name -> the partitions of its table; none of a table that is absent."""
    by_table: dict[str, list[Partition]] = {}
    of = {i.name: i.table for i in inputs}
    # Once a table: a job may read one table by several inputs.
    for name, table in {table.name: table for table in of.values()}.items():
        try:
            by_table[name] = warehouse.partitions(table)
        except TableNotFoundError:
            by_table[name] = []
    return {name: by_table[table.name] for name, table in of.items()}


def _tokens(held: Mapping[str, Sequence[Partition]]) -> InputTokens:
    return {name: {p.day: p.token for p in parts} for name, parts in held.items()}


def _calendar(
    warehouse: Warehouse, job: Job, tokens: InputTokens, options: Any, cache: Cache
) -> tuple[Calendar, bool]:
    """The calendar, and whether it was made now, of tables that are all there."""
    absent = [i.table.name for i in job.inputs if i.required and not tokens[i.name]]
    calendar = cache.calendar(_calendar_token(job, tokens))
    if is_new := calendar is None:
        frames = {
            name: read_frame(warehouse, replace(job.input(name), required=False), columns, None)
            for name, columns in job.calendar_inputs.items()
        }
        try:
            calendar = calendar_of(job, frames, options, warehouse.partition_range)
        except (RefusedError, JobCodeError):
            if not absent:
                raise
            calendar = Calendar((), {})  # what it says of empty tables is beside the point
    if absent:
        return _blocked(warehouse, calendar, absent), False
    return calendar, is_new


def _calendar_token(job: Job, tokens: InputTokens) -> str:
    return text_digest(repr([sorted(tokens[n].items(), key=str) for n in job.calendar_inputs]))


def _keep(
    warehouse: Warehouse,
    job: Job,
    tokens: InputTokens,
    cache: Cache,
    seasons: Sequence[SeasonDigests],
    calendar: Calendar | None,
) -> None:
    """Keep what was read, where the tables are still what they were before the reading.

    They are looked at once more for it, and only those that were read.
    """
    read = {name for season in seasons for name in season.read}
    read |= set(job.calendar_inputs) if calendar else set()
    if not read:
        return
    try:
        now = {**tokens, **_tokens(_held(warehouse, map(job.input, sorted(read))))}
    except WarehouseError:
        return
    token = _calendar_token(job, tokens)
    if calendar and token == _calendar_token(job, now):
        cache.put_calendar(token, calendar)
    for season in seasons:
        season.keep(now)
    cache.save()


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
