"""`load`, `tables`, `history`, `restore`: the tables of a warehouse, and what is in them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.select import known_jobs

if TYPE_CHECKING:
    from ray_backfill.job.table import Table
    from ray_backfill.loading.load import LoadReport
    from ray_backfill.warehouse import Warehouse
    from ray_backfill.warehouse.protocol import Published

__all__ = ["app", "stored_name"]

app = typer.Typer()


@app.command()
def load(
    table: Annotated[str, typer.Argument(help="Raw table: its full name or its last part.")],
    files: Annotated[
        list[str],
        typer.Argument(help="Parquet, CSV or NDJSON files (.gz too), folders, or globs."),
    ],
    warehouse: WarehouseOption = "./lake",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Dates that occur in the files hold only their rows afterwards."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check files against a raw table's contract and add them in one commit, or none of them."""
    from ray_backfill.loading.load import load_files
    from ray_backfill.warehouse import open_warehouse

    target = _raw_table(table)
    report = load_files(open_warehouse(warehouse), target, files, replace)
    if as_json:
        console.json_out(asdict(report))
        return
    for sentence in report.sentences():
        console.note(sentence)
    console.table(
        _headline(report),
        ["file", "rows"],
        [(file.path, file.rows) for file in report.files],
        right=["rows"],
    )


def _headline(report: LoadReport) -> str:
    if not report.rows:
        return f"{report.table}: nothing was loaded"
    verb = "replaced with" if report.replaced else "added"
    dates = f", {report.dates:,} dates from {report.first} to {report.last}" if report.dates else ""
    return f"{report.table}: {verb} {report.rows:,} rows{dates}; version {report.version}"


def _raw_table(name: str) -> Table:
    """A raw table's contract; raises `UsageError` for an output, or a name that is not known."""
    from ray_backfill.catalog import named
    from ray_backfill.errors import UsageError

    known = known_jobs()
    raw = known.raw_tables()
    hits = named(name, raw)
    if len(hits) == 1:
        return hits[0]
    hint = f"Tables that can be loaded: {', '.join(sorted(raw)) or 'none'}."
    if named(name, known.outputs()):
        raise UsageError(f"{name} is computed by a job; it is not loaded from files.", hint=hint)
    if hits:
        full = ", ".join(t.name for t in hits)
        raise UsageError(f"'{name}' names several tables: {full}.", hint="Give the full name.")
    raise UsageError(f"There is no raw table '{name}' that a job reads.", hint=hint)


@app.command()
def tables(warehouse: WarehouseOption = "./lake", as_json: JsonOption = False) -> None:
    """List the tables of the warehouse: rows, dates, when each last changed."""
    from ray_backfill.warehouse import open_warehouse

    opened = open_warehouse(warehouse)
    found = opened.tables()
    if as_json:
        console.json_out([asdict(info) for info in found])
        return
    if not found:
        console.note(f"There are no tables in {opened.uri}.")
        return
    console.table(
        opened.uri,
        ["table", "rows", "dates", "first", "last", "changed (UTC)", "version"],
        [
            (i.name, i.rows, i.partitions or None, i.first, i.last, i.changed_at, i.version)
            if not i.broken
            else (i.name, *[None] * 5, "broken")
            for i in found
        ],
        right=["rows", "dates", "version"],
    )
    for info in found:
        if info.broken:
            console.warn(f"{info.name} is broken: {info.broken.rstrip('.')}.")


@app.command()
def history(
    table: Annotated[str, typer.Argument(help="Table: its full name or its last part.")],
    warehouse: WarehouseOption = "./lake",
    as_json: JsonOption = False,
) -> None:
    """List the versions of a table, newest first: when, by what, which dates."""
    from ray_backfill.warehouse import open_warehouse

    opened = open_warehouse(warehouse)
    name = stored_name(opened, table)
    versions = opened.history(name)
    if as_json:
        console.json_out([asdict(version) for version in versions])
        return
    console.table(
        name,
        ["version", "at (UTC)", "operation", "detail"],
        [
            (
                str(v.version),
                v.at,
                v.operation,
                ", ".join(f"{k}={d}" for k, d in sorted(v.detail.items())),
            )
            for v in versions
        ],
        right=["version"],
    )


def stored_name(warehouse: Warehouse, name: str) -> str:
    """The full name of a table of the warehouse, given by that or by its last part."""
    from ray_backfill.errors import UsageError

    if "." in name:
        return name
    names = [info.name for info in warehouse.tables()]
    hits = [full for full in names if full.partition(".")[2] == name]
    if len(hits) == 1:
        return hits[0]
    raise UsageError(
        f"'{name}' names {len(hits) or 'no'} table{'s' if len(hits) != 1 else ''} "
        f"of {warehouse.uri}.",
        hint=f"There are: {', '.join(names) or 'none'}.",
    )


@app.command()
def restore(
    table: Annotated[str, typer.Argument(help="Table: its full name or its last part.")],
    version: Annotated[int, typer.Option("--version", help="The version to go back to.", min=0)],
    warehouse: WarehouseOption = "./lake",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an old version of a table the newest one; nothing is deleted."""
    from ray_backfill.warehouse import open_warehouse

    opened = open_warehouse(warehouse)
    name = stored_name(opened, table)
    if not yes:
        typer.confirm(f"Restore {name} to version {version}?", abort=True, err=True)
    done = _restored(opened, name, version)
    if as_json:
        console.json_out(asdict(done))
        return
    console.note(
        f"{name} holds version {version} again, as version {done.version}: "
        f"{len(done.dates):,} dates changed."
    )
    console.note(
        "Dates that are no longer up to date are planned again: the next run recomputes them."
    )


def _restored(warehouse: Warehouse, name: str, version: int) -> Published:
    """Restore under a lease of its own, so that no run publishes meanwhile."""
    from datetime import UTC, datetime

    from ray_backfill.job.table import Table

    run_id = f"restore-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    lease = warehouse.acquire_lease(Table(name, ()), run_id, seconds=600, steal=False)
    try:
        return warehouse.restore(name, version)
    finally:
        warehouse.release_lease(lease)
