"""What a job is: tables, calendar, options, gates, and what is wrong with a definition."""

from ray_backfill.job.job import (
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
    View,
)

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
