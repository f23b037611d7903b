"""`ray-backfill unmatched`: names in a job's inputs that match nobody, and whom they may mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.reporting import print_names
from ray_backfill.cli.select import (
    DatesOption,
    EndOption,
    JobArgument,
    JobOptionsOption,
    SeasonOption,
    StartOption,
    facts_of,
    selection_of,
)
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from ray_backfill.job import Job, UnmatchedName
    from ray_backfill.plan import Selection
    from ray_backfill.warehouse import Warehouse

app = typer.Typer()


@app.command()
def unmatched(
    job: JobArgument,
    warehouse: WarehouseOption = "./lake",
    season: SeasonOption = None,
    start_date: StartOption = None,
    end_date: EndOption = None,
    dates: DatesOption = None,
    option: JobOptionsOption = None,
    write_aliases: Annotated[
        Path | None,
        typer.Option(
            "--write-aliases",
            help="Write an alias for each name of which one meaning stands out, as CSV: look it "
            "through, then `load` it.",
            metavar="FILE",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List names in the inputs that match nobody of their date, with the likely ones.

    Publishes nothing. Exit 1 where there are any, or where a date could not be looked at.
    """
    from ray_backfill.catalog import load_job
    from ray_backfill.record.left_out import unmatched_names
    from ray_backfill.warehouse import open_warehouse

    loaded = load_job(job)
    _check(loaded, write_aliases)
    selection = selection_of(season, start_date, end_date, dates)
    found, looked, failed = _looked(open_warehouse(warehouse), loaded, option, selection)
    names = unmatched_names(found)
    if write_aliases is not None:
        _write(loaded, names, write_aliases)
    if as_json:
        whys = [{"date": day, "why": why} for day, why in failed.items()]
        console.json_out({"job": job, "dates": looked, "names": names, "not_looked_at": whys})
    else:
        _print(job, names, looked, failed)
    if names or failed:
        raise typer.Exit(1)


def _check(job: Job, path: Path | None) -> None:
    if path is None:
        return
    if job.aliases is None:
        raise UsageError(f"The job {job.name} has no table of aliases to write for.")
    if path.exists():
        raise UsageError(f"{path} is there already.", hint="Give another name, or remove it.")
    if path.suffix != ".csv":
        raise UsageError(f"{path} does not end with .csv.", hint="The proposals are a CSV file.")


def _looked(
    warehouse: Warehouse, job: Job, options: Sequence[str] | None, selection: Selection
) -> tuple[list[UnmatchedName], int, dict[date, str]]:
    """The names, how many dates were looked at, and why others could not be."""
    from rich.progress import Progress

    from ray_backfill.engine.look import looked_at, to_look_at
    from ray_backfill.plan import asked_days, decide

    facts = facts_of(warehouse, job, options, selection)
    todo = to_look_at(decide(facts, asked_days(facts, selection)))
    found: list[UnmatchedName] = []
    looked, failed = 0, {}
    with Progress(console=console.stderr(), transient=True) as bar:
        task = bar.add_task("dates", total=len(todo))
        for part in looked_at(warehouse, job, facts, todo):
            bar.advance(task, len(part.days))
            if part.computed is None:
                failed[part.days[0]] = part.why
                continue
            looked += len(part.days)
            found += part.computed.names
    return found, looked, failed


def _print(
    job: str, names: Sequence[Mapping[str, Any]], looked: int, failed: Mapping[date, str]
) -> None:
    print_names(names, job)
    if not names:
        console.note(f"All names match somebody, of {looked:,} dates.")
    if failed:
        console.table("Dates that could not be looked at", ["date", "why"], list(failed.items()))


def _write(job: Job, names: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write what stands out, with what speaks for it; `load` leaves the latter out."""
    import polars as pl

    assert job.aliases is not None
    meant: dict[str, set[str | None]] = {}
    for entry in names:
        meant.setdefault(entry["name"], set()).add(entry["proposed"])
    rows = [
        {
            job.aliases.alias: entry["name"],
            job.aliases.name: entry["proposed"],
            "likeness": entry["likely"][0]["likeness"],
            "rows": entry["rows"],
            "dates": len(entry["dates"]),
            "first_date": min(entry["dates"]),
            "sources": " ".join(entry["sources"]),
        }
        for entry in names
        if entry["proposed"] and len(meant[entry["name"]]) == 1
    ]
    if not rows:
        console.note(f"No meaning stands out: {path} is not written.")
        return
    kept = pl.DataFrame(rows).unique(job.aliases.alias, maintain_order=True)
    kept.write_csv(path)
    console.note(
        f"{path} has {kept.height:,} aliases. Look them through, then: "
        f"ray-backfill load {job.aliases.table.name} {path}"
    )
