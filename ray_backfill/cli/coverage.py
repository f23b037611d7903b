"""`ray-backfill coverage`: what is there, what is missing, and what is there but says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.select import (
    EndOption,
    SeasonOption,
    StartOption,
    facts_of,
    known_jobs,
    selection_of,
)
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.inspect.coverage import ColumnCoverage, DateCoverage
    from ray_backfill.job import Job
    from ray_backfill.plan import Decision
    from ray_backfill.warehouse import Warehouse

app = typer.Typer()

_LISTED = 20


@app.command()
def coverage(
    table: Annotated[str, typer.Argument(help="An output table, or its job.")],
    column: Annotated[
        list[str], typer.Option("--column", "-c", help="A column to look at. Repeatable.")
    ],
    warehouse: WarehouseOption = "./lake",
    by: Annotated[str, typer.Option("--by", help="month or date.")] = "month",
    season: SeasonOption = None,
    start_date: StartOption = None,
    end_date: EndOption = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            min=0,
            max=100,
            help="Exit 1 where a column has values in fewer percent of its expected rows in any "
            "period.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count values by period: non-null, distinct, zeros, constants; with the calendar's holes."""
    from ray_backfill.inspect.coverage import coverage_of, dates_of, rows_by_date
    from ray_backfill.plan import asked_days, decide
    from ray_backfill.warehouse import open_warehouse

    if by not in ("month", "date"):
        raise UsageError(f"--by takes month or date, not '{by}'.")
    job = _job_of(table)
    columns = _columns(job, [part for text in column for part in text.split(",") if part])
    house = open_warehouse(warehouse)
    selection = selection_of(season, start_date, end_date)
    facts = facts_of(house, job, None, selection)
    days = asked_days(facts, selection)
    decisions = decide(facts, days)
    rows = _rows(house, job, columns, decisions)
    partition = cast(str, job.output.partition)
    found = coverage_of(rows, partition, columns, decisions, by)
    dates = dates_of(decisions, rows_by_date(rows, partition), by)
    if as_json:
        console.json_out(
            {"table": job.output.name, "columns": [asdict(c) for c in found], "dates": _json(dates)}
        )
    else:
        print_coverage(job.output.name, by, found, dates)
    _judge(found, fail_under)


def _job_of(name: str) -> Job:
    from ray_backfill.catalog import load_job

    jobs = known_jobs().jobs.values()
    for job in jobs:
        full = job.output.name
        if name in (job.name, full, full.partition(".")[2]):
            return job
    if ":" in name:
        return load_job(name)
    raise UsageError(
        f"No job computes a table '{name}'.",
        hint=f"Tables: {', '.join(job.output.name for job in jobs)}.",
    )


def _columns(job: Job, asked: Sequence[str]) -> list[str]:
    known = [column.name for column in job.table.columns]
    for name in asked:
        if name not in known:
            raise UsageError(
                f"{job.output.name} has no column '{name}'.",
                hint=f"ray-backfill describe {job.name} lists its {len(known)} columns.",
            )
    return list(dict.fromkeys(asked))


def _rows(house: Warehouse, job: Job, columns: Sequence[str], decisions: Sequence[Decision]) -> Any:
    import polars as pl

    from ray_backfill.errors import TableNotFoundError
    from ray_backfill.job.calendar import DateRange

    partition = cast(str, job.output.partition)
    names = list(dict.fromkeys([partition, *columns]))
    if not decisions:
        return job.table.empty().select(names)
    wanted = {d.day for d in decisions}
    try:
        listed = [p.day for p in house.partitions(job.table) if p.day in wanted]
        return pl.from_arrow(
            house.read(job.table, names, cast("Sequence[Any] | DateRange", listed))
        )
    except TableNotFoundError:
        return job.table.empty().select(names)


def print_coverage(
    table: str, by: str, found: Sequence[ColumnCoverage], dates: Sequence[DateCoverage]
) -> None:
    """The coverage table, then the holes with their reasons."""
    by_period = {d.period: d for d in dates}
    headers = [
        by,
        "column",
        "non-null",
        "total",
        "%",
        "% of expected",
        "distinct",
        "zero %",
        "",
        "dates",
        "of due",
    ]
    console.table(
        f"Coverage of {table}",
        headers,
        [_row(c, by_period.get(c.period)) for c in found],
        right=["non-null", "total", "%", "% of expected", "distinct", "zero %", "dates", "of due"],
    )
    holes = [(day, why) for period in dates for day, why in period.holes.items()]
    _print_dates("Due dates without rows", ["date", "why"], holes)
    lacking = [(day, *what) for period in dates for day, what in period.lacking.items()]
    _print_dates("Rows that inputs lack, counted as expected", ["date", "rows", "why"], lacking)
    empty = sum(d.empty_by_design for d in dates)
    off = sum(d.off_days for d in dates)
    console.note(f"Not counted: {off} off-days, {empty} dates that are empty by design.")


def _print_dates(title: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        console.table(title, columns, rows[:_LISTED], right=["rows"])
    if len(rows) > _LISTED:
        console.note(f"… and {len(rows) - _LISTED} more; --json lists all.")


def _row(c: ColumnCoverage, dates: DateCoverage | None) -> tuple[object, ...]:
    return (
        c.period,
        c.column,
        c.non_null,
        c.total,
        c.pct,
        c.pct_expected,
        c.distinct,
        c.zero_pct,
        "CONSTANT" if c.constant else "",
        dates.with_rows if dates else None,
        dates.due if dates else None,
    )


def _json(dates: Sequence[DateCoverage]) -> list[dict[str, Any]]:
    return [
        {
            **asdict(d),
            "holes": [{"date": day, "why": why} for day, why in d.holes.items()],
            "lacking": [
                {"date": day, "rows": rows, "why": why} for day, (rows, why) in d.lacking.items()
            ],
        }
        for d in dates
    ]


def _judge(found: Sequence[ColumnCoverage], fail_under: float | None) -> None:
    if fail_under is None:
        return
    # By the counts: a rounded 100.0 may hide a NULL.
    low = [c for c in found if 100 * c.non_null < fail_under * c.expected or not c.expected]
    if low or not found:
        worst = min(low, key=lambda c: c.pct_expected or 0.0) if low else None
        where = (
            f"{worst.column} in {worst.period} has values in {worst.pct_expected or 0}% "
            "of its expected rows"
            if worst
            else "there are no rows and no due dates at all"
        )
        console.note(f"Under {fail_under:g}%: {where}.")
        raise typer.Exit(1)
