"""The plan: which dates need work, and why. A pure function of facts.

The same function serves `plan` and `run`, so that what is shown is what is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from ray_backfill.calendar import Season
from ray_backfill.errors import UsageError
from ray_backfill.fingerprint import changed_views
from ray_backfill.job import Calendar, DateState, Day
from ray_backfill.sizing import Sizing, human_bytes
from ray_backfill.spans import WORKER_MEMORY, Span, make_spans

__all__ = [
    "SELECTIONS",
    "Attempt",
    "Decision",
    "Facts",
    "Plan",
    "Selection",
    "Stamp",
    "asked_days",
    "decide",
    "make_plan",
    "pick",
]

SELECTIONS = ("missing", "stale", "failed", "blocked", "all")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the output says of one of its dates.

    `mixed`: its rows do not agree. `unreadable`: why its rows cannot be read, where they cannot.
    `empty`: why it is right that it has no rows, where a run published it so.
    """

    fingerprint: str
    code_version: str
    job_options: str
    rows: int
    computed_at: datetime | None = None
    mixed: bool = False
    unreadable: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of the last attempt at a date, where it was not published.

    `kind` is `data` (the input must change), `code`, or `infrastructure`. `judged_by`: the
    version of the gates, and what the calendar told them of the date.
    """

    outcome: str
    kind: str
    message: str
    fingerprint: str = ""
    code_version: str = ""
    job_options: str = ""
    judged_by: str = ""


@dataclass(frozen=True)
class Facts:
    """All that a plan is made of. `today` never enters: a plan depends on data alone."""

    calendar: Calendar
    fingerprints: Mapping[date, str]
    stamps: Mapping[date, Stamp]
    attempts: Mapping[date, Attempt]
    code_version: str
    job_options: str
    sizing: Sizing = field(default_factory=Sizing)
    rules: str = ""
    """Version of what decides what is published: the gates, beside the code."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One date: its state, why, and what a run would do with it.

    `action` is `compute`, `remove` (its rows belong to nothing any more) or None.
    `code_alone`: stale, and by nothing but the code. `known_bad`: the last attempt failed for
    exactly these inputs, this code and these gates, so that trying again is useless. `empty`: why
    it is complete without rows.
    """

    day: date
    state: DateState
    reason: str
    season: str = ""
    action: str | None = None
    expected_rows: int = 0
    fingerprint: str = ""
    views: tuple[str, ...] = ()
    code_alone: bool = False
    known_bad: bool = False
    attempt: Attempt | None = None
    notes: tuple[str, ...] = ()
    empty: str = ""


@dataclass(frozen=True)
class Plan:
    """Every decision in the asked range, and the spans of those that are selected."""

    job: str
    code_version: str
    job_options: str
    decisions: tuple[Decision, ...]
    selected: tuple[Decision, ...]
    spans: tuple[Span, ...]
    seasons: tuple[Season, ...]
    attempts: Mapping[date, Attempt]
    """How the last attempt ended at every date of the table that it did not publish."""
    too_large: Mapping[date, str] = field(default_factory=dict)
    """Dates that are due and were left out: alone they need more memory than a worker has."""
    rules: str = ""

    @property
    def removals(self) -> tuple[date, ...]:
        return tuple(d.day for d in self.selected if d.action == "remove")

    def counts(self) -> dict[str, int]:
        """State -> number of dates, off-days included."""
        found = Counter(d.state for d in self.decisions)
        return {state.value: found[state] for state in DateState}


def decide(facts: Facts, days: Iterable[date]) -> list[Decision]:
    """A decision for each day, in order; off-days too."""
    return [_decide(facts, day) for day in sorted(set(days))]


def _decide(facts: Facts, day: date) -> Decision:
    off = Day(day, DateState.NO_GAMES, "off-day: nothing is scheduled")
    entry = facts.calendar.days.get(day, off)
    stamp = facts.stamps.get(day)
    season = facts.calendar.season(day)
    if entry.state is not None:
        return _not_due(entry, stamp, season.name if season else "")
    fingerprint = facts.fingerprints.get(day, "")
    state, reason, views, code_alone = _compare(facts, stamp, fingerprint)
    attempt = facts.attempts.get(day) if state != DateState.COMPLETE else None
    known_bad = (
        attempt is not None
        and attempt.kind == "data"
        and (attempt.fingerprint, attempt.code_version, attempt.job_options)
        == (fingerprint, facts.code_version, facts.job_options)
        and attempt.judged_by == entry.judged_by(facts.rules)
    )
    return Decision(
        day=day,
        state=state,
        reason=f"{reason}; last attempt {attempt.outcome}: {attempt.message}"
        if attempt
        else reason,
        season=season.name if season else "",
        action="compute",
        expected_rows=entry.expected_rows,
        fingerprint=fingerprint,
        views=views,
        code_alone=code_alone,
        known_bad=known_bad,
        attempt=attempt,
        notes=entry.notes,
        empty=stamp.empty if stamp and state == DateState.COMPLETE else "",
    )


def _not_due(entry: Day, stamp: Stamp | None, season: str) -> Decision:
    assert entry.state is not None
    if stamp is not None and entry.state in (DateState.NO_GAMES, DateState.BY_DESIGN):
        return Decision(
            day=entry.day,
            state=DateState.STALE,
            reason=f"its {stamp.rows} rows belong to nothing any more: {entry.reason}",
            season=season,
            action="remove",
            notes=entry.notes,
        )
    return Decision(entry.day, entry.state, entry.reason, season, notes=entry.notes)


def _compare(
    facts: Facts, stamp: Stamp | None, fingerprint: str
) -> tuple[DateState, str, tuple[str, ...], bool]:
    """State, reason, changed views, and whether nothing but the code changed."""
    if stamp is None:
        return DateState.MISSING, "no output yet", (), False
    if stamp.unreadable:
        return DateState.STALE, f"its rows cannot be read: {stamp.unreadable}", (), False
    views = changed_views(stamp.fingerprint, fingerprint)
    reasons = []
    if views:
        reasons.append(f"changed: {', '.join(views)}")
    if stamp.code_version != facts.code_version:
        reasons.append(f"code {stamp.code_version} → {facts.code_version}")
    if stamp.job_options != facts.job_options:
        reasons.append(f"options {stamp.job_options} → {facts.job_options}")
    if stamp.mixed:
        reasons.append("its rows carry different stamps")
    if not reasons:
        complete = f"empty: {stamp.empty}" if stamp.empty else "up to date"
        return DateState.COMPLETE, complete, (), False
    by_code = len(reasons) == 1 and stamp.code_version != facts.code_version
    code_alone = by_code and not stamp.empty  # it has no rows to be stamped anew
    return DateState.STALE, "; ".join(reasons), views, code_alone


def pick(decisions: Iterable[Decision], select: Sequence[str]) -> list[Decision]:
    """The decisions that a run takes: those that can be acted on and are asked for.

    `missing` and `stale` leave out dates that failed for exactly these inputs and this code;
    `failed` takes them, `all` takes every due date, complete ones too.
    """
    asked = set(select)
    return [d for d in decisions if d.action and _asked(d, asked)]


def _asked(decision: Decision, asked: set[str]) -> bool:
    if "all" in asked or ("failed" in asked and decision.attempt is not None):
        return True
    return decision.state.value in asked and not decision.known_bad


@dataclass(frozen=True, slots=True)
class Selection:
    """What a command asks for; `end` is exclusive here. Filters narrow each other."""

    seasons: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    dates: tuple[date, ...] = ()
    select: tuple[str, ...] = ("missing", "stale")

    def touches(self, season: Season) -> bool:
        """Whether any date of a season can be meant."""
        return (
            (not self.seasons or season.name in self.seasons)
            and (self.start is None or self.start < season.end)
            and (self.end is None or self.end > season.start)
            and (not self.dates or any(day in season.range for day in self.dates))
        )


def asked_days(facts: Facts, selection: Selection) -> list[date]:
    """The days that a selection means: of seasons and of the output, or those named.

    Raises `UsageError` for a season that the calendar does not have.
    """
    known = {season.name: season for season in facts.calendar.seasons}
    for name in selection.seasons:
        if name not in known:
            raise UsageError(
                f"There is no season '{name}'.",
                hint=f"Seasons in the warehouse: {', '.join(known) or 'none'}.",
            )
    if selection.dates:
        days = set(selection.dates)
    else:
        days = set(facts.stamps) | set(facts.calendar.days)
        days.update(day for season in known.values() for day in season.range.days())
    if selection.seasons:
        chosen = [known[name].range for name in selection.seasons]
        days = {day for day in days if any(day in r for r in chosen)}
    return sorted(
        day
        for day in days
        if (selection.start is None or day >= selection.start)
        and (selection.end is None or day < selection.end)
    )


def make_plan(
    job: str,
    facts: Facts,
    selection: Selection,
    workers: int,
    worker_memory: int = WORKER_MEMORY,
) -> Plan:
    """Decisions for the asked days, those selected, and their spans.

    A span needs at most `worker_memory` bytes; a date that needs more by itself is not selected.
    """
    decisions = decide(facts, asked_days(facts, selection))
    selected = pick(decisions, selection.select)
    seasons = facts.calendar.seasons
    spans = make_spans(selected, workers, seasons, facts.sizing, worker_memory)
    too_large = {
        span.days[0]: _too_large(span, facts.sizing, seasons, worker_memory)
        for span in spans
        if span.memory_bytes > worker_memory
    }
    return Plan(
        job=job,
        code_version=facts.code_version,
        job_options=facts.job_options,
        decisions=tuple(decisions),
        selected=tuple(d for d in selected if d.day not in too_large),
        spans=tuple(span for span in spans if span.days[0] not in too_large),
        seasons=seasons,
        attempts=facts.attempts,
        too_large=dict(sorted(too_large.items())),
        rules=facts.rules,
    )


def _too_large(span: Span, sizing: Sizing, seasons: Sequence[Season], worker_memory: int) -> str:
    held = ", ".join(
        f"{name} {rows:,} rows" for name, rows, _ in sizing.largest(span.days, seasons) if rows
    )
    return (
        f"its look-back does not fit: it needs about {human_bytes(span.memory_bytes)} "
        f"({held or 'output alone'}), more than --worker-memory {human_bytes(worker_memory)}"
    )
