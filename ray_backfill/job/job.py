"""The contract of a job: what it reads, what it writes, and the pure functions between.

A job is data and pure functions. The engine reads the inputs of a span of dates, calls
`compute`, checks the result against the output's contract and the gates, stages it, and
publishes it. No function of a job reads a clock, a file or a random number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ray_backfill.job.calendar import DateRange, Season, Window, season_of
from ray_backfill.job.table import STAMP, Table
from ray_backfill.staleness import loaded_code

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Aliases",
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
    "UnmatchedName",
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
    `absent_rows`: about how many it would have besides, were its inputs whole; coverage counts
    them as expected. `notes` are facts for the report, like the games of the date that lack box
    scores.
    """

    day: date
    state: DateState | None
    reason: str = ""
    expected_rows: int = 0
    notes: tuple[str, ...] = ()
    absent_rows: int = 0

    def judged_by(self, rules: str) -> str:
        """What decides whether it is published: the gates' version, and what they are told."""
        told = repr((self.expected_rows, self.notes)).encode()
        return f"{rules}/{hashlib.blake2b(told, digest_size=4).hexdigest()}"


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
    """Input of one date that was left out or doubted, by source: `rows` of `table`, and why.

    `examples` are the first of what it is about, in order: players, games, values. `mend`: the
    command that helps, or a sentence; None: to load better rows; empty: there is nothing to mend.
    """

    day: date
    table: str
    source: str
    why: str
    rows: int
    examples: tuple[str, ...] = ()
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class UnmatchedName:
    """A name of one date that is nobody's: `rows` of `table` under `source`.

    `likely`: names of that date that may be meant, each with its likeness from 0 to 100, the
    likeliest first.
    """

    day: date
    table: str
    source: str
    name: str
    rows: int
    likely: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Aliases:
    """The raw table that says which other names mean whom: `alias` and `name` are its columns."""

    table: Table
    alias: str
    name: str


@dataclass(frozen=True)
class Computed:
    """What `compute` gives back: content rows (without the stamp), and what it has to say.

    `rows`: the output's content columns, in any row order, of the dates that were asked for and
    of no other. `quarantined`: date -> the sentence that says why its rows must not be published;
    its rows are then ignored. `empty`: date -> why it is right that it has no rows; it is then
    published without any. A date without rows that is in neither is quarantined. `unmatched`: what
    was left out or doubted, `names`: each name of it that is nobody's.
    """

    rows: pl.DataFrame
    quarantined: Mapping[date, str] = field(default_factory=dict)
    unmatched: tuple[Unmatched, ...] = ()
    empty: Mapping[date, str] = field(default_factory=dict)
    names: tuple[UnmatchedName, ...] = ()


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

    One that could not be what it says is refused where it is made: see `ray_backfill.job.checks`.
    `content` are the columns that `compute` gives; the stamp is added by the engine.
    `calendar(frames, options)` gets the frames of `calendar_inputs` (input name -> columns),
    each over all its dates.
    `compute(frames, dates, context)` gets the frames of one span: dates of one season, every
    input over the hull of its windows. `options` is a frozen dataclass of bool, int, float and
    str fields with defaults; a field's `metadata["help"]` documents it. `modules` name what
    decides values, and `code_version` hashes it: modules as they are imported, packages for all
    below them, and `package:path` for a data file that is read at import. `gates` are checked on
    each date before it is published. `allow_removals`: dates that a run may empty
    without a word where nothing says otherwise, see `--allow-removals`. `aliases`: where names
    that match nobody are mended.
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
    aliases: Aliases | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError` that names all that is wrong with the job's contract."""
        from ray_backfill.job.checks import check_job

        check_job(self)
        loaded_code.taken(self)

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
