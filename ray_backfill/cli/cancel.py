"""`ray-backfill cancel`: stops a run from anywhere that sees its warehouse."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import WarehouseOption, who
from ray_backfill.cli.watch import is_at_work, journalled, run_named, until_ended

app = typer.Typer()


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(help="A run's id, or its submission's.")],
    warehouse: WarehouseOption = "./lake",
    now: Annotated[
        bool, typer.Option("--now", help="End it at once, without its running spans.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for its end.")] = False,
) -> None:
    """Stop a run, here or on a cluster: running spans finish and are published.

    It is asked through its warehouse, and ends with exit 130. What is published stays, and the
    same command goes on with what is left.
    """
    from ray_backfill.engine.control import CancelRequest, forget, request
    from ray_backfill.warehouse import open_warehouse

    house = open_warehouse(warehouse)
    run_id = run_named(house, run)
    progress = journalled(house, run_id)
    if progress.ended is None and is_at_work(house, progress):
        request(house, run_id, CancelRequest(now, who()))
        if no_wait:
            console.note(f"{run_id} is asked to stop.")
            return
        console.note(f"{run_id} is asked to stop; waiting for its end.")
        until_ended(house, lambda: journalled(house, run_id, progress.table), progress)
        forget(house, run_id)
    if progress.ended is None:
        console.note(f"{run_id} died before its end; `ray-backfill run` goes on with what is left.")
    else:
        console.note(f"{run_id} has ended with exit {progress.exit_code}.")
