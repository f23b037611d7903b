"""What a plan is made of, and what it says: plain, frozen data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from ray_backfill.job import Calendar, DateState
from ray_backfill.job.calendar import Season, Window
from ray_backfill.plan.history import Held, InputHistory
from ray_backfill.plan.sizing import Sizing

__all__ = ["NOTHING_ALLOWED", "Allow", "Attempt", "Decision", "Facts", "Plan", "Source", "Stamp"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the output says of one of its dates.

    `mixed`: its rows do not agree. `unreadable`: why its rows cannot be read, where they cannot.
    `empty`: why it is right that it has no rows, where a run published it so.
    `unstamped`: how many of its rows carry no stamp, so that others wrote them. `changed`: what
    others did to what the run had published; `partition_rows` and `content_digest` tell of that,
    and are not known of what older versions published.
    """

    fingerprint: str
    code_version: str
    job_options: str
    rows: int
    computed_at: datetime | None = None
    mixed: bool = False
    unreadable: str = ""
    run_id: str = ""
    partition_rows: int | None = None
    content_digest: str = ""
    unstamped: int = 0
    changed: str = ""
    empty: str = ""

    @property
    def published_rows(self) -> int:
        """The rows that a run published; 0 where that is not known."""
        if self.partition_rows is not None:
            return self.partition_rows
        return 0 if self.changed else self.rows - self.unstamped


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
    guard: str = ""
    """`shrink`: it was kept from being published by that, and may be with a person's word."""


@dataclass(frozen=True)
class Source:
    """An input, and what its table holds now: partition (None: it has none) -> rows and mark."""

    name: str
    table: str
    window: Window
    held: Mapping[date | None, Held]


@dataclass(frozen=True)
class Facts:
    """All that a plan is made of. `today` never enters: a plan depends on data alone.

    `views`: view -> its inputs. `history`: what the inputs held when runs began. `codes`: code
    version -> when it computed last. `replaced`: the stamps of the table whose place the output
    is to take, where that is being rebuilt.
    """

    calendar: Calendar
    fingerprints: Mapping[date, str]
    stamps: Mapping[date, Stamp]
    attempts: Mapping[date, Attempt]
    code_version: str
    job_options: str
    sizing: Sizing = field(default_factory=Sizing)
    rules: str = ""
    """Version of what decides what is published: the gates, beside the code."""
    sources: tuple[Source, ...] = ()
    views: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calendar_inputs: tuple[str, ...] = ()
    history: InputHistory = field(default_factory=InputHistory)
    codes: Mapping[str, datetime] = field(default_factory=dict)
    replaced: Mapping[date, Stamp] = field(default_factory=dict)

    @property
    def standing(self) -> Mapping[date, Stamp]:
        """What people have of each date: in the output, else in the table that it replaces."""
        return {**self.replaced, **self.stamps} if self.replaced else self.stamps

    def stamp_of(self, day: date) -> Stamp:
        """What stands of a date; an empty stamp where it has no rows."""
        return self.stamps.get(day) or self.replaced.get(day) or Stamp("", "", "", 0)

    def inputs_of(self, views: Iterable[str]) -> set[str]:
        """The inputs of these views."""
        return {name for view in views for name in self.views.get(view, ())}


@dataclass(frozen=True, slots=True)
class Decision:
    """One date: its state, why, and what a run would do with it.

    `action` is `compute`, `remove` (its rows belong to nothing any more) or None.
    `code_alone`: stale, and by nothing but the code. `known_bad`: the last attempt failed for
    exactly these inputs, this code and these gates, so that trying again is useless. `empty`: why
    it is complete without rows. `published_rows` are those that a run published before, as far as
    that is known; `changes` what changed in its inputs since. `absent_rows`: how many more it
    would have, were its inputs whole.
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
    published_rows: int = 0
    changes: str = ""
    absent_rows: int = 0


@dataclass(frozen=True, slots=True)
class Allow:
    """What a person's word allows: up to so many dates to lose rows that are theirs or belong to
    nothing any more, dates to shrink, newer code to be replaced by older.
    """

    removals: int = 0
    shrink: bool = False
    older_code: bool = False


NOTHING_ALLOWED = Allow()


@dataclass(frozen=True, slots=True)
class Span:
    """Dates of one season that one task computes together.

    `data_bytes` is what it reads and writes, `memory_bytes` what a worker needs for that.
    """

    id: str
    season: str
    days: tuple[date, ...]
    expected_rows: int
    data_bytes: int = 0
    memory_bytes: int = 0


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
    kept: Mapping[date, str] = field(default_factory=dict)
    """Dates that were asked for and whose rows would be lost: nobody said that they may be."""
    shrinking: Mapping[date, str] = field(default_factory=dict)
    """Dates that were asked for and whose look-back lost what their rows were computed from."""
    allow: Allow = NOTHING_ALLOWED
    older_code: str = ""
    """The newer code that this plan's code would replace, where nobody said that it may."""
    facts: Facts | None = None
    """What it was made of."""

    @property
    def removals(self) -> tuple[date, ...]:
        return tuple(d.day for d in self.selected if d.action == "remove")

    def counts(self) -> dict[str, int]:
        """State -> number of dates, off-days included."""
        found = Counter(d.state for d in self.decisions)
        return {state.value: found[state] for state in DateState}
