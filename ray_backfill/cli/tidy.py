"""`ray-backfill tidy`: keeps a warehouse small and quick to plan."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.tables import stored_name
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.engine.tidy import TidyReport
    from ray_backfill.warehouse import Warehouse
    from ray_backfill.warehouse.protocol import Tidied

app = typer.Typer()

_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command()
def tidy(
    tables: Annotated[
        list[str] | None,
        typer.Argument(help="Tables: full names or last parts. [default: all of the warehouse]"),
    ] = None,
    warehouse: WarehouseOption = "./lake",
    keep: Annotated[
        str,
        typer.Option(
            "--keep",
            help="How far back versions can be restored afterwards, like 30d, 36h or 8w: "
            "at least 1d. Journals and reports that are older go too, but for the newest ten.",
        ),
    ] = "30d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge the small files of raw tables, and delete what no version since --keep needs.

    Safe beside readers, loads and runs; a table that a run is at work on is left, by name. Dates
    stay up to date: the next plan reads the merged ones once more, and finds the same content.
    On BigQuery it deletes old journals and reports, and staging tables that are left: the rest
    BigQuery does by itself.
    """
    from ray_backfill.engine import tidy as engine
    from ray_backfill.warehouse import open_warehouse

    window = _span(keep, engine.LEAST)
    opened = open_warehouse(warehouse)
    names = [stored_name(opened, name) for name in tables or ()] or _whole(opened)
    report = engine.tidy(opened, names, keep=window, dry_run=dry_run, tell=_tell)
    if as_json:
        console.json_out(asdict(report) | {"dry_run": dry_run, "exit_code": report.exit_code})
    else:
        _print(opened.uri, report, dry_run)
    raise typer.Exit(report.exit_code)


def _span(text: str, least: timedelta) -> timedelta:
    found = _SPAN.fullmatch(text)
    span = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if span < least:
        raise UsageError(
            f"--keep {text!r} is not a time of a day or more.",
            hint="Write it like 30d, 36h or 8w. What readers and runs of the last day may still "
            "need is never deleted.",
        )
    return span


def _whole(warehouse: Warehouse) -> list[str]:
    """All tables; those that are broken are named and left out."""
    found = warehouse.tables()
    for info in found:
        if info.broken:
            console.warn(f"{info.name} is broken and left as it is: {info.broken.rstrip('.')}.")
    return [info.name for info in found if not info.broken]


def _tell(done: Tidied) -> None:
    for problem in done.problems:
        console.warn(f"{done.table}: {problem}")
    for note in done.notes:
        console.note(f"{done.table}: {note}.")


def _print(uri: str, report: TidyReport, dry_run: bool) -> None:
    columns = ["files", "versions", "objects", "MB"]
    console.table(
        f"{'What tidying would change in' if dry_run else 'Tidied'} {uri}",
        ["table", *columns, "merged", "removed"],
        [
            (done.table, *_change(done), done.merged or None, done.removed or None)
            for done in report.tables
        ],
        right=[*columns, "merged", "removed"],
    )
    if report.objects_before != report.objects_after:
        console.note(f"Journals and reports: {report.objects_before:,} → {report.objects_after:,}.")
    if not report.tables:
        console.note(f"There are no tables in {uri}.")


def _change(done: Tidied) -> list[str | None]:
    """Each figure before and after."""
    if done.before is None or done.after is None:
        return [None] * 4
    pairs = [
        (getattr(done.before, name), getattr(done.after, name))
        for name in ("files", "versions", "objects")
    ]
    shown = [f"{a:,}" if a == b else f"{a:,} → {b:,}" for a, b in pairs]
    before, after = (f"{size.bytes / 1e6:,.1f}" for size in (done.before, done.after))
    return [*shown, before if before == after else f"{before} → {after}"]
