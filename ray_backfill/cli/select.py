"""From what was typed to a survey and a plan; shared by `plan`, `run` and `coverage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from ray_backfill.cli import console
from ray_backfill.errors import UsageError
from ray_backfill.job.calendar import moved, parse_date

if TYPE_CHECKING:
    from ray_backfill.catalog import Catalogue
    from ray_backfill.job import Job
    from ray_backfill.plan import Facts, Selection
    from ray_backfill.warehouse import Warehouse

__all__ = [
    "DatesOption",
    "EndOption",
    "JobArgument",
    "JobOptionsOption",
    "SeasonOption",
    "SelectOption",
    "StartOption",
    "facts_of",
    "known_jobs",
    "selection_of",
]

JobArgument = Annotated[
    str, typer.Argument(help="A job's name, or package.module:ATTRIBUTE of one.", metavar="JOB")
]
SeasonOption = Annotated[
    list[str] | None, typer.Option("--season", help="A season, like 2025-26. Repeatable.")
]
StartOption = Annotated[str | None, typer.Option("--start-date", help="First date (YYYY-MM-DD).")]
EndOption = Annotated[
    str | None, typer.Option("--end-date", help="Last date, inclusive (YYYY-MM-DD).")
]
DatesOption = Annotated[
    list[str] | None,
    typer.Option("--dates", help="Dates, separated by commas. Repeatable."),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        help="missing, stale, failed, blocked or all; repeatable or separated by commas. "
        "[default: missing,stale]",
    ),
]
JobOptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--option",
        help="A job option, name=value; remembered by the warehouse. Repeatable.",
    ),
]


def selection_of(
    seasons: Sequence[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    dates: Sequence[str] | None = None,
    select: Sequence[str] | None = None,
) -> Selection:
    """The selection of the usual options; raises `UsageError` for what cannot be meant."""
    from ray_backfill.plan import SELECTIONS, Selection

    first = parse_date(start) if start is not None else None
    last = parse_date(end) if end is not None else None
    for name, given in (("--dates", dates), ("--select", select)):
        if given and not _split(given):
            raise UsageError(f"{name} is given and empty.", hint="Leave it out, or say what.")
    if first and last and first > last:
        raise UsageError(
            f"The range is empty: {first} is after {last}.",
            hint="--end-date is inclusive; it must not be before --start-date.",
        )
    asked = tuple(_split(select)) or ("missing", "stale")
    unknown = [name for name in asked if name not in SELECTIONS]
    if unknown:
        raise UsageError(f"'{unknown[0]}' cannot be selected.", hint=f"One of {SELECTIONS}.")
    return Selection(
        seasons=tuple(seasons or ()),
        start=first,
        end=moved(last, 1) if last else None,
        dates=tuple(parse_date(text) for text in _split(dates)),
        select=asked,
    )


def _split(texts: Sequence[str] | None) -> list[str]:
    return [part.strip() for text in texts or () for part in text.split(",") if part.strip()]


def facts_of(
    warehouse: Warehouse,
    job: Job,
    options: Sequence[str] | None,
    selection: Selection,
    *,
    rebuild: bool = False,
) -> Facts:
    """What a plan of the selection is made of, under the remembered options and those given."""
    from ray_backfill.catalog import check_beside_others
    from ray_backfill.engine.rebuild import rebuild_facts
    from ray_backfill.job.options import parse_options
    from ray_backfill.survey.survey import survey

    warn_of(check_beside_others(job))
    _check_dates(warehouse, selection)
    gather = rebuild_facts if rebuild else survey
    return gather(
        warehouse, job, lambda base: parse_options(job, options or (), base), selection.touches
    )


def _check_dates(warehouse: Warehouse, selection: Selection) -> None:
    held = warehouse.partition_range
    outside = [str(day) for day in selection.dates if day not in held]
    if outside:
        raise UsageError(
            f"No table of {warehouse.uri} can hold {', '.join(outside)}.",
            hint=f"Its dates are {held}.",
        )


def known_jobs() -> Catalogue:
    """All known jobs; those that do not load are named on stderr, and left out."""
    from ray_backfill.catalog import catalogue

    found = catalogue()
    warn_of(found.broken)
    return found


def warn_of(broken: Mapping[str, str]) -> None:
    """Name the jobs that do not load, each once."""
    for why in broken.values():
        _left_out(why)


@cache
def _left_out(why: str) -> None:
    console.warn(f"Left out: {why}")
