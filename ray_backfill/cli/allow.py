"""The options by which a person says that what a run guards may be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ray_backfill.job import Job
    from ray_backfill.plan import Allow

__all__ = ["AllowOlderCodeOption", "AllowRemovalsOption", "AllowShrinkOption", "allow_of"]

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


def allow_of(job: Job, removals: int | None, shrink: bool, older_code: bool) -> Allow:
    """What the options allow, with the job's own default."""
    from ray_backfill.plan import Allow

    return Allow(job.allow_removals if removals is None else removals, shrink, older_code)
