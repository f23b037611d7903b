"""What a job is: tables, calendar, options, gates, and what is wrong with a definition."""

from ray_backfill.job.job import (
    Aliases,
    Calendar,
    Computed,
    Context,
    DateState,
    Day,
    Frames,
    Input,
    Job,
    NoOptions,
    Unmatched,
    UnmatchedName,
    View,
)

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
