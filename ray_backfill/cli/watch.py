"""`ray-backfill status` and `watch`: runs seen from another terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.record.progress import Progress
    from ray_backfill.warehouse import Warehouse

app = typer.Typer()

RunArgument = Annotated[
    str | None,
    typer.Argument(help="A run's id, or its submission's; the newest run where it is left out."),
]
"""Use as `run: RunArgument = None`."""

_LOOKS = 10
"""Polls of a run's progress for each look at its lease."""


@app.command()
def status(
    warehouse: WarehouseOption = "./lake",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Newest runs to list.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, and the date states that the newest one found."""
    from ray_backfill.record.journal import journals, read_journal
    from ray_backfill.record.progress import fold
    from ray_backfill.warehouse import open_warehouse

    house = open_warehouse(warehouse)
    runs = journals(house)[-limit:][::-1]
    found = [read_journal(house, run.run_id, run.table) for run in runs]
    rows = [_status_row(house, fold(events), events) for events in found if events]
    if as_json:
        console.json_out({"runs": rows})
        return
    columns = ["run", "job", "started", "state", "planned", "published", "rows", "problems"]
    if any(row["submission"] for row in rows):
        columns.append("submission")
    console.table(
        f"Runs in {house.uri}",
        columns,
        [[row[name] for name in columns] for row in rows],
        right=["planned", "published", "rows", "problems"],
    )
    newest = next((events for events in found if events), [])
    if newest:
        states = newest[0].get("states", {})
        listed = ", ".join(f"{count:,} {state}" for state, count in states.items() if count)
        console.note(f"The newest run found: {listed}.")


def _status_row(
    house: Warehouse, progress: Progress, events: list[dict[str, Any]]
) -> dict[str, Any]:
    started = time.gmtime(progress.started or 0)
    return {
        "run": progress.run_id,
        "job": progress.job,
        "started": time.strftime("%Y-%m-%d %H:%M:%S", started),
        "state": _state(house, progress, events),
        "planned": len(progress.planned),
        "published": len(progress.published),
        "rows": progress.rows,
        "problems": len(progress.problems),
        "submission": events[0].get("submission"),
    }


def _state(house: Warehouse, progress: Progress, events: list[dict[str, Any]]) -> str:
    if progress.ended is not None:
        return f"exit {progress.exit_code}: {events[-1].get('verdict', '')}"
    if is_at_work(house, progress):
        return "running"
    return "died; the next run goes on"


@app.command()
def watch(
    run: RunArgument = None,
    warehouse: WarehouseOption = "./lake",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Ask the progress actor on this Ray cluster; or with http://HEAD:8265 follow the "
            "logs of a submission, where the warehouse cannot be seen from here.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print where it stands, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Follow a run from another terminal until it ends."""
    from dataclasses import asdict

    from ray_backfill.cli.display import shown
    from ray_backfill.warehouse import open_warehouse

    if address and address.startswith(("http://", "https://")):
        _watch_job(address, run, once=once, as_json=as_json)
        return
    house = open_warehouse(warehouse)
    source = _source(house, run, address)
    progress = source()
    if as_json:
        console.json_out(asdict(progress))
        return
    if not once:
        with shown(progress, quiet=False):
            until_ended(house, source, progress)
    _print_end(progress)
    if progress.ended is None and not once:
        console.note("It died before its end; `ray-backfill run` goes on with what is left.")
        raise typer.Exit(1)


def _watch_job(address: str, submission: str | None, *, once: bool, as_json: bool) -> None:
    """The same over a cluster's Job API: what is known of a run is what its job has printed."""
    from dataclasses import asdict

    from ray_backfill.cli import following
    from ray_backfill.cluster.client import connect
    from ray_backfill.cluster.submission import MARK

    api = connect(address)
    if submission is None:
        ours = [job.id for job in api.jobs() if MARK in job.metadata]
        if not ours:
            raise UsageError(f"Nothing was submitted to {api.shown} yet.")
        submission = ours[-1]
    if once or as_json:
        progress = following.progress_of(api.logs(submission))
    else:
        progress = following.to_the_end(api, submission, quiet=False, patience=600).progress
    if as_json:
        console.json_out(asdict(progress))
        return
    _print_end(progress)
    if progress.ended is None and not once:
        raise typer.Exit(1)


def is_at_work(house: Warehouse, progress: Progress) -> bool:
    """Whether the run still has its table: one that was killed never writes its end."""
    return house.lease_holder(progress.table) == progress.run_id


def until_ended(house: Warehouse, source: Callable[[], Progress], progress: Progress) -> None:
    """Keep `progress` up to date until the run ends, or is not at work any more."""
    looks = 0
    while progress.ended is None:
        alive = looks % _LOOKS or is_at_work(house, progress)
        _copy(source(), progress)
        if not alive:
            return
        looks += 1
        time.sleep(0.5)


def _source(house: Warehouse, run: str | None, address: str | None) -> Callable[[], Progress]:
    """A function that gives the run's progress: from its actor, or from its journal."""
    from ray_backfill.record.journal import table_of

    run_id = run_named(house, run)
    table = table_of(house, run_id) or ""
    if address:
        from ray_backfill.engine.ray_connect import connect_progress

        asked = connect_progress(run_id, address)
        if asked is not None:
            return lambda: asked() or journalled(house, run_id, table)
        console.note("The run has no progress actor there any more; reading its journal.")
    return lambda: journalled(house, run_id, table)


def journalled(house: Warehouse, run_id: str, table: str = "") -> Progress:
    """What a run's journal says of it; without its table, the run is looked for among all."""
    from ray_backfill.record.journal import read_journal
    from ray_backfill.record.progress import fold

    return fold(read_journal(house, run_id, table))


def run_named(house: Warehouse, run: str | None) -> str:
    """The id of a run, given by that, by its submission's, or not at all: then the newest.

    Raises `UsageError` where there is none.
    """
    from ray_backfill.engine.control import find_run
    from ray_backfill.record.journal import run_ids

    if run is None:
        ids = run_ids(house)
        found = ids[-1] if ids else None
    else:
        found = find_run(house, run)
    if found is None:
        raise UsageError(
            f"There is no run '{run}' in {house.uri}." if run else f"No run yet in {house.uri}.",
            hint="ray-backfill status lists the runs.",
        )
    return found


def _copy(new: Progress, into: Progress) -> None:
    into.__dict__.update(new.__dict__)


def _print_end(progress: Progress) -> None:
    from ray_backfill.cli.display import summary

    console.note(f"{progress.run_id}: {summary(progress, time.time())}")
    if progress.problems:
        console.table(
            "Not published",
            ["outcome", "date", "why"],
            [(outcome, day, why) for day, (outcome, why) in sorted(progress.problems.items())],
        )
    if progress.ended is not None:
        console.note(f"It ended with exit {progress.exit_code}.")
