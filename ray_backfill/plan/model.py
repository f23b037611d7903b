"""What a plan is made of, and what it says: plain, frozen data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from ray_backfill.calendar import Season
from ray_backfill.job import Calendar, DateState
from ray_backfill.sizing import Sizing
from ray_backfill.spans import Span

__all__ = ["Attempt", "Decision", "Facts", "Plan", "Stamp"]


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
