"""The options by which a person says that what a run guards may be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.job import Job
    from ray_backfill.plan import Allow, Selection

__all__ = [
    "AllowOlderCodeOption",
    "AllowRemovalsOption",
    "AllowShrinkOption",
    "RebuildOption",
    "allow_of",
    "refuse_part",
]

AllowRemovalsOption = Annotated[
    int | None,
    typer.Option(
        "--allow-removals",
        min=0,
        help="Dates at most whose rows may be removed, because they belong to nothing any more or "
        "others wrote them. Where there are more, all are kept. [default: what the job says, or 0]",
    ),
]
AllowShrinkOption = Annotated[
    bool,
    typer.Option(
        "--allow-shrink",
        help="Publish dates also where they come out with fewer than 80% of their rows, or "
        "where their look-back lost what they were computed from.",
    ),
]
AllowOlderCodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-older-code",
        help="Let this code take the place of newer code that replaced it before.",
    ),
]
RebuildOption = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        help="Compute the whole table anew, beside the old one: the new one takes its place, in "
        "one step, once every date of it is there. What schema it had before does not matter.",
    ),
]


def refuse_part(selection: Selection) -> None:
    """Raise `UsageError` for a part of a table that is to be rebuilt: it is whole or it is not."""
    if selection.seasons or selection.start or selection.end or selection.dates:
        raise UsageError(
            "--rebuild computes the whole table: it takes no --season, --start-date, --end-date "
            "or --dates.",
            hint="An interrupted rebuild goes on where it was with the same command.",
        )


def allow_of(job: Job, removals: int | None, shrink: bool, older_code: bool) -> Allow:
    """What the options allow, with the job's own default."""
    from ray_backfill.plan import Allow

    return Allow(job.allow_removals if removals is None else removals, shrink, older_code)
