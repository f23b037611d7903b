"""The contract of a job: what it reads, what it writes, and the pure functions between.

A job is data and pure functions. The engine reads the inputs of a span of dates, calls
`compute`, checks the result against the output's contract and the gates, stages it, and
publishes it. No function of a job reads a clock, a file or a random number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ray_backfill import names
from ray_backfill.calendar import DateRange, Season, Window, season_of
from ray_backfill.contract import STAMP, Table

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Calendar",
    "Computed",
    "Context",
    "DateState",
    "Day",
    "Frames",
    "Input",
    "Job",
    "NoOptions",
    "Unmatched",
    "View",
]

Frames = Mapping[str, "pl.DataFrame"]
"""Input name -> frame with exactly the input's columns in contract dtypes.

An absent optional table comes as an empty frame. Rows are in no particular order and may repeat.
"""


class DateState(StrEnum):
    """What a date is. `failed` and `quarantined` are outcomes of an attempt, shown beside these."""

    NO_GAMES = "no_games"  # an off-day: nothing to compute, never a failure
    BY_DESIGN = "by_design"  # empty on purpose
    FUTURE = "future"  # too far ahead to plan
    BLOCKED = "blocked"  # a required input is absent
    MISSING = "missing"  # due, and no output yet
    STALE = "stale"  # an input view, the code or the options changed since
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Input:
    """A table, the columns that are used of it, and how far around D it is read.

    `name` is the key of its frame. `required`: absent tables block; others count as empty.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    window: Window
    required: bool = False

    def extent(self, days: Sequence[date], seasons: Sequence[Season]) -> DateRange | None:
        """The dates that the table is read over for these days; None: all of it."""
        return self.window.extent(days, seasons) if self.table.partition else None


@dataclass(frozen=True, slots=True)
class View:
    """A projection of inputs whose content decides whether a date is stale.

    `rows(frames, context)` gives a frame with the column `partition` (the output's partition
    column name, a Date), except where the window is `always`; its remaining columns are what
    is hashed, as sorted distinct rows per date. `window` says which of those dates enter the
    fingerprint of D. `local`: a date of the view depends on the same date of its inputs only,
    so that one changed partition is read again alone.
    """

    name: str
    inputs: tuple[str, ...]
    window: Window
    rows: Callable[[Frames, Context], pl.DataFrame]
    local: bool = True


@dataclass(frozen=True, slots=True)
class Day:
    """What the calendar says of one date, before any look at the output.

    `state` is None where the date is due; `expected_rows` is how many it should then have.
    `notes` are facts for the report, like the games of the date that lack box scores.
    """

    day: date
    state: DateState | None
    reason: str = ""
    expected_rows: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """Seasons in order, and every date that is not an off-day.

    Dates that are not listed are `no_games`. A date lies in at most one season.
    """

    seasons: tuple[Season, ...]
    days: Mapping[date, Day]

    def season(self, day: date) -> Season | None:
        return season_of(day, self.seasons)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Input rows of one date that matched nothing, by source: `rows` of `table`, and why."""

    day: date
    table: str
    source: str
    why: str
    rows: int


@dataclass(frozen=True)
class Computed:
    """What `compute` gives back: content rows (without the stamp), and what it has to say.

    `rows`: the output's content columns, in any row order. `quarantined`: date -> the sentence
    that says why its rows must not be published; its rows are then ignored.
    """

    rows: pl.DataFrame
    quarantined: Mapping[date, str] = field(default_factory=dict)
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a computation may know besides its frames: the calendar and the options.

    `wanted`: of a view's rows only those of these dates are looked at, so that it may leave out
    the others; None: all are.
    """

    seasons: tuple[Season, ...]
    season: Season
    options: Any
    wanted: DateRange | None = None


@dataclass(frozen=True)
class NoOptions:
    """The option set of a job that has none."""


@dataclass(frozen=True)
class Job:
    """A date-partitioned table and how to compute it.

    `content` are the columns that `compute` gives; the stamp is added by the engine.
    `calendar(frames, options)` gets the frames of `calendar_inputs` (input name -> columns),
    each over all its dates.
    `compute(frames, dates, context)` gets the frames of one span: dates of one season, every
    input over the hull of its windows. `options` is a frozen dataclass of bool, int, float and
    str fields with defaults; a field's `metadata["help"]` documents it. `modules` are the
    import names of the packages or modules whose code decides values: `code_version` hashes
    them. `gates` are checked on each date before it is published. `allow_removals`: dates that a
    run may empty without a word where nothing says otherwise, see `--allow-removals`.
    """

    name: str
    description: str
    output: Table
    inputs: tuple[Input, ...]
    views: tuple[View, ...]
    calendar: Callable[[Frames, Any], Calendar]
    calendar_inputs: Mapping[str, tuple[str, ...]]
    compute: Callable[[Frames, Sequence[date], Context], Computed]
    modules: tuple[str, ...]
    options: type = NoOptions
    gates: tuple[Callable[[pl.DataFrame, Day], str | None], ...] = ()
    allow_removals: int = 0

    def __post_init__(self) -> None:
        """Raises `UsageError` for a name that could not stand in a path or a fingerprint."""
        names.job_name(self.name)
        for name in [*(i.name for i in self.inputs), *(v.name for v in self.views)]:
            names.field_name(name)

    @property
    def table(self) -> Table:
        """The output with the stamp columns: the table as it stands in the warehouse."""
        from dataclasses import replace

        return replace(self.output, columns=self.output.columns + STAMP)

    def into(self, table: str) -> Job:
        """The same job with its output under another name; as it is where none is given."""
        from dataclasses import replace

        return replace(self, output=replace(self.output, name=table)) if table else self

    def input(self, name: str) -> Input:
        return next(i for i in self.inputs if i.name == name)
