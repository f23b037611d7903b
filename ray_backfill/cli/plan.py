"""`ray-backfill plan`: which dates need work, and why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ray_backfill.cli import console
from ray_backfill.cli.allow import (
    AllowOlderCodeOption,
    AllowRemovalsOption,
    AllowShrinkOption,
    RebuildOption,
    allow_of,
    refuse_part,
)
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.planned import listed, plan_json, print_cost, print_dates, print_plan
from ray_backfill.cli.select import (
    DatesOption,
    EndOption,
    JobArgument,
    JobOptionsOption,
    SeasonOption,
    SelectOption,
    StartOption,
    facts_of,
    selection_of,
)
from ray_backfill.errors import UsageError

app = typer.Typer()

_CLUSTER_WORKERS = 64
_CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)

WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes; on a cluster, tasks at once at most. "
        "[default: the cores, where there is a GiB for each; on a cluster: 64]",
    ),
]
WorkerMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--worker-memory",
        help="Memory that a task may need, like 4GiB: spans are cut so that each fits. "
        "[default: 4GiB, and here no more than a worker's share of 80% of the machine]",
    ),
]


@app.command()
def plan(
    job: JobArgument,
    warehouse: WarehouseOption = "./lake",
    season: SeasonOption = None,
    start_date: StartOption = None,
    end_date: EndOption = None,
    dates: DatesOption = None,
    select: SelectOption = None,
    option: JobOptionsOption = None,
    workers: WorkersOption = None,
    worker_memory: WorkerMemoryOption = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Plan as `submit` and `run --address` do, by a cluster's defaults."
        ),
    ] = False,
    dates_only: Annotated[
        bool, typer.Option("--dates-only", help="List each date with its state and reason.")
    ] = False,
    allow_removals: AllowRemovalsOption = None,
    allow_shrink: AllowShrinkOption = False,
    allow_older_code: AllowOlderCodeOption = False,
    rebuild: RebuildOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show which dates need work and why; changes nothing."""
    from ray_backfill.catalog import load_job
    from ray_backfill.engine.expiry import expiry_warnings
    from ray_backfill.engine.refusals import refuse_misfit
    from ray_backfill.plan import make_plan
    from ray_backfill.record.report import past_rate
    from ray_backfill.warehouse import open_warehouse

    selection = selection_of(season, start_date, end_date, dates, select)
    loaded, house = load_job(job), open_warehouse(warehouse)
    count = workers_of(workers, here=not cluster)
    memory = memory_of(worker_memory, count, here=not cluster)
    allow = allow_of(loaded, allow_removals, allow_shrink, allow_older_code)
    if rebuild:
        refuse_part(selection)
    refuse_misfit(house, loaded, rebuild=rebuild)
    facts = facts_of(house, loaded, option, selection, rebuild=rebuild)
    found = make_plan(job, facts, selection, count, memory, allow)
    price = getattr(house, "cost", None)
    warnings = expiry_warnings(house, loaded, found)
    if as_json:
        shown = plan_json(found, past_rate(house, loaded.output.name)) | {"warnings": warnings}
        console.json_out(shown | ({"cost": asdict(price(loaded, found))} if price else {}))
    elif dates_only:
        print_dates(found, listed(found, selection.select if select else (), bool(dates)))
    else:
        print_plan(found, past_rate(house, loaded.output.name))
        if price and found.spans:
            print_cost(price(loaded, found))
    for sentence in () if as_json else warnings:
        console.warn(sentence)


def workers_of(asked: int | None, *, here: bool = True) -> int:
    """Tasks at once: by default the CPUs that this process may use, or those of a large cluster.

    Here no more than the memory has a GiB for. A cluster may have no node yet to count; it begins
    no more than it has room for.
    """
    import os

    if asked or not here:
        return asked or _CLUSTER_WORKERS
    known = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    room = _machine_bytes() * 4 // 5 // 2**30
    return max(1, min(cpus, room or cpus))


def memory_of(asked: str | None, workers: int, *, here: bool = True) -> int:
    """Bytes that a task may need; by default no more than its share of this machine."""
    from ray_backfill.plan.sizing import BASE_BYTES, human_bytes, parse_bytes
    from ray_backfill.plan.spans import WORKER_MEMORY

    if asked is not None:
        found = parse_bytes(asked)
        if found < BASE_BYTES:
            raise UsageError(
                f"--worker-memory {human_bytes(found)} is less than a worker needs without any "
                f"data: {human_bytes(BASE_BYTES)}.",
                hint="Write it with its unit, like 4GiB.",
            )
        return found
    share = _machine_bytes() * 4 // 5 // workers if here else WORKER_MEMORY
    return min(WORKER_MEMORY, share or WORKER_MEMORY)


def _machine_bytes() -> int:
    """Memory of this machine, or of the container; 0 where the system does not say."""
    import os

    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):
        found = []
    for limit in _CONTAINER_LIMITS:
        # Without a limit it says `max`, or a number that no machine has.
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text()))
    return min(found, default=0)
