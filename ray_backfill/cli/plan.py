"""`ray-backfill plan`: which dates need work, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
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

if TYPE_CHECKING:
    from ray_backfill.planner import Decision, Plan
    from ray_backfill.warehouse._bq_cost import Cost

app = typer.Typer()

_NAMED = 12
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
    as_json: JsonOption = False,
) -> None:
    """Show which dates need work and why; changes nothing."""
    from ray_backfill.engine.report import past_rate
    from ray_backfill.planner import make_plan
    from ray_backfill.registry import load_job
    from ray_backfill.warehouse import open_warehouse

    selection = selection_of(season, start_date, end_date, dates, select)
    loaded, house = load_job(job), open_warehouse(warehouse)
    count = workers_of(workers, here=not cluster)
    memory = memory_of(worker_memory, count, here=not cluster)
    found = make_plan(job, facts_of(house, loaded, option, selection), selection, count, memory)
    price = getattr(house, "cost", None)
    if as_json:
        shown = plan_json(found, past_rate(house, loaded.output.name))
        console.json_out(shown | ({"cost": asdict(price(loaded, found))} if price else {}))
    elif dates_only:
        _print_dates(found, _listed(found, selection.select if select else (), bool(dates)))
    else:
        _print_plan(found, past_rate(house, loaded.output.name))
        if price and found.spans:
            _print_cost(price(loaded, found))


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
    from ray_backfill.sizing import BASE_BYTES, human_bytes, parse_bytes
    from ray_backfill.spans import WORKER_MEMORY

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


def plan_json(plan: Plan, rate: float | None) -> dict[str, Any]:
    """The whole plan as plain data."""
    return {
        "job": plan.job,
        "code_version": plan.code_version,
        "job_options": plan.job_options,
        "states": plan.counts(),
        "selected": len(plan.selected),
        "expected_rows": sum(d.expected_rows for d in plan.selected),
        "estimated_seconds": _estimate(plan, rate),
        "spans": [asdict(span) for span in plan.spans],
        "too_large": {str(day): why for day, why in plan.too_large.items()},
        "dates": [
            {
                "date": d.day,
                "season": d.season,
                "state": d.state.value,
                "reason": d.reason,
                "views": d.views,
                "action": d.action,
                "expected_rows": d.expected_rows,
                "last_attempt": d.attempt and d.attempt.outcome,
                "selected": d in set(plan.selected),
                "notes": d.notes,
            }
            for d in plan.decisions
            if d.state != "no_games"
        ],
    }


def _print_plan(plan: Plan, rate: float | None) -> None:
    from ray_backfill.sizing import human_bytes

    console.table(
        f"{plan.job}, code {plan.code_version}, options {plan.job_options}",
        ["state", "dates", "planned", "expected rows", "reason"],
        _state_rows(plan),
        right=["dates", "planned", "expected rows"],
    )
    if plan.spans:
        console.table(
            "Spans",
            ["season", "from", "to", "dates", "expected rows", "memory"],
            [
                (
                    s.season,
                    s.days[0],
                    s.days[-1],
                    len(s.days),
                    s.expected_rows,
                    human_bytes(s.memory_bytes),
                )
                for s in plan.spans
            ],
            right=["dates", "expected rows", "memory"],
        )
    if plan.too_large:
        console.table("Left out", ["date", "why"], list(plan.too_large.items())[:_NAMED])
        if len(plan.too_large) > _NAMED:
            console.note(f"… and {len(plan.too_large) - _NAMED} more, in --json.")
    rows = sum(d.expected_rows for d in plan.selected)
    if not plan.selected:
        blocked = plan.counts()["blocked"]
        waits = f" {blocked} blocked dates wait for what they lack." if blocked else ""
        nothing = f"{len(plan.too_large):,} dates are due, and none fits a worker."
        console.note(f"{nothing if plan.too_large else 'Nothing to do.'}{waits}")
        return
    seconds = _estimate(plan, rate)
    took = f"about {seconds:,.0f} s by past runs" if seconds else "no past run to judge by"
    console.note(f"To run: {len(plan.selected):,} dates, {rows:,} rows expected; {took}.")


def _print_cost(cost: Cost) -> None:
    console.table(
        f"Cost at list prices of {cost.prices.as_of}",
        ["input", "table", "bytes"],
        [(i.name, i.table, "by query" if i.by_query else i.bytes) for i in cost.inputs],
        right=["bytes"],
    )
    console.note(
        f"About ${cost.dollars:.4f}: {cost.read_bytes:,} bytes read, {cost.staged_bytes:,} staged, "
        f"{cost.merge_bytes:,} scanned by MERGE, in {cost.jobs} jobs."
    )
    for sentence in cost.notes:
        console.note(f"{sentence}.")


def _state_rows(plan: Plan) -> list[tuple[object, ...]]:
    chosen = set(plan.selected)
    rows: list[tuple[object, ...]] = []
    for state in plan.counts():
        members = [d for d in plan.decisions if d.state == state]
        reasons = Counter(d.reason for d in members)
        for reason, count in reasons.most_common():
            group = [d for d in members if d.reason == reason]
            picked = [d for d in group if d in chosen]
            rows.append(
                (
                    state,
                    count,
                    len(picked) or None,
                    sum(d.expected_rows for d in picked) or None,
                    f"{reason}: {_where(group)}",
                )
            )
    return rows


def _where(group: Sequence[Decision]) -> str:
    """Few dates by name, many as a range."""
    if len(group) <= _NAMED:
        return ", ".join(str(d.day) for d in group)
    return f"{group[0].day} … {group[-1].day}"


def _estimate(plan: Plan, rate: float | None) -> float | None:
    rows = sum(d.expected_rows for d in plan.selected)
    return round(rows / rate, 1) if rate and rows else None


def _listed(plan: Plan, states: Sequence[str], by_name: bool) -> list[Decision]:
    """The dates to list: of the states that were asked for; off-days only where named."""
    chosen = set(plan.selected)
    return [
        d
        for d in plan.decisions
        if (by_name or d.state != "no_games")
        and (not states or "all" in states or d.state.value in states or d in chosen)
    ]


def _print_dates(plan: Plan, listed: Sequence[Decision]) -> None:
    chosen = set(plan.selected)
    console.table(
        "",
        ["date", "season", "state", "planned", "rows", "reason"],
        [
            (
                d.day,
                d.season,
                d.state.value,
                d in chosen,
                d.expected_rows or None,
                "; ".join([d.reason, *d.notes]),
            )
            for d in listed
        ],
        right=["rows"],
    )
