"""`ray-backfill run`: compute and publish the dates of a plan."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

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
from ray_backfill.cli.display import LogFormat, LogFormatOption
from ray_backfill.cli.options import NOTIFY, JsonOption, WarehouseOption
from ray_backfill.cli.plan import WorkerMemoryOption, WorkersOption, memory_of, workers_of
from ray_backfill.cli.reporting import print_report
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
from ray_backfill.cli.signals import signals
from ray_backfill.errors import RefusedError, UsageError
from ray_backfill.record.submitted import submission_id

if TYPE_CHECKING:
    from ray_backfill.engine.driver import Driver
    from ray_backfill.engine.runs import RunOptions
    from ray_backfill.observe.notify import Ending
    from ray_backfill.observe.stream import Log
    from ray_backfill.plan import Plan
    from ray_backfill.record.report import Report

app = typer.Typer()


@app.command()
def run(
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
    no_parallel: Annotated[
        bool, typer.Option("--no-parallel", help="The same steps in this process, without Ray.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option("--address", help="A running Ray cluster. [default: start one here]"),
    ] = None,
    worker_wait: Annotated[
        float,
        typer.Option(
            "--worker-wait",
            min=0,
            help="Seconds that the cluster may have no room for any task before it is refused.",
        ),
    ] = 900,
    max_dates: Annotated[
        int, typer.Option("--max-dates", min=1, help="Refuse to plan more dates than this.")
    ] = 500,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Dates that are published in one commit.")
    ] = 28,
    verify: Annotated[
        int,
        typer.Option(
            "--verify",
            min=0,
            help="Compute this many of the dates that are stale by code alone; where they come "
            "out equal, stamp the others anew instead of computing them.",
        ),
    ] = 0,
    allow_removals: AllowRemovalsOption = None,
    allow_shrink: AllowShrinkOption = False,
    allow_older_code: AllowOlderCodeOption = False,
    rebuild: RebuildOption = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Blocked dates make the exit code 1.")
    ] = False,
    steal_lease: Annotated[
        bool,
        typer.Option(
            "--steal-lease",
            help="Take the table from the run that holds it; that run publishes nothing more.",
        ),
    ] = False,
    lease_wait: Annotated[
        float,
        typer.Option(
            "--lease-wait",
            min=0,
            help="Seconds to wait for another run's lease: one whose machine was lost runs out "
            "within 60.",
        ),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    log_format: LogFormatOption = LogFormat.AUTO,
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify",
            envvar=NOTIFY,
            metavar="URL",
            help="A webhook that the end report is posted to as JSON, however the run ends.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute and publish the dates that need it, and report.

    Exit codes: 0 all published or nothing to do; 1 some dates failed or were quarantined;
    2 bad usage; 3 refused; 130 cancelled.
    """
    from ray_backfill.catalog import load_job
    from ray_backfill.cli.display import log_of
    from ray_backfill.cluster.variables import require_secrets
    from ray_backfill.engine.runs import RunOptions
    from ray_backfill.observe.notify import announced, checked
    from ray_backfill.plan import make_plan
    from ray_backfill.warehouse import open_warehouse

    log = log_of(log_format, job, quiet=quiet)
    with console.in_lines(log), announced(checked(notify), job, warehouse, console.warn) as ending:
        require_secrets()
        if no_parallel and (address or workers):
            raise UsageError(
                "--no-parallel works in this process: it takes no --workers or --address."
            )
        selection = selection_of(season, start_date, end_date, dates, select)
        if rebuild:
            refuse_part(selection)
        loaded, house = load_job(job), open_warehouse(warehouse)
        count = 1 if no_parallel else workers_of(workers, here=not address)
        memory = memory_of(worker_memory, count, here=not address)
        allow = allow_of(loaded, allow_removals, allow_shrink, allow_older_code)

        def planned() -> Plan:
            facts = facts_of(house, loaded, option, selection, rebuild=rebuild)
            found = make_plan(job, facts, selection, count, memory, allow)
            _refuse_too_many(found, max_dates)
            _refuse_too_large(found)
            return found

        options = RunOptions(
            job=job,
            workers=count,
            parallel=False if no_parallel else True if workers or address else None,
            address=address,
            batch=batch,
            strict=strict,
            steal_lease=steal_lease,
            verify=verify,
            worker_wait=worker_wait,
            lease_wait=lease_wait,
            rebuild=rebuild,
        )
        report = carry_out(house, loaded, planned, options, quiet=quiet, log=log, ending=ending)
        if as_json:
            console.json_out(asdict(report))
        else:
            print_report(report)
            if log is None:  # the log's last line says it
                console.note(f"{report.verdict} (exit {report.exit_code})")
    raise typer.Exit(report.exit_code)


def _refuse_too_many(plan: Plan, most: int) -> None:
    count = len(plan.selected)
    if count <= most:
        return
    first, last = plan.selected[0].day, plan.selected[-1].day
    raise RefusedError(
        f"{count:,} dates are planned ({first} … {last}), more than --max-dates {most}.",
        hint=f"If that is what you mean, run: {_again(count)}",
    )


def _refuse_too_large(plan: Plan) -> None:
    """Where nothing else is left to do; beside other dates, the report names them."""
    if plan.selected or not plan.too_large:
        return
    day, why = next(iter(plan.too_large.items()))
    raise RefusedError(
        f"{len(plan.too_large):,} dates are due, and none fits a worker. {day}: {why}.",
        hint="Give --worker-memory more, if your workers have it.",
    )


def _again(count: int) -> str:
    """The command as it was typed, with enough dates allowed, and without the secret webhook."""
    if submission_id():
        return f"the same `ray-backfill submit` with --max-dates {count}"
    typed = iter(sys.argv[1:])
    kept = []
    for part in typed:
        if part == "--max-dates":
            next(typed, None)
        elif part == "--notify":
            next(typed, None)
            kept += [part, "URL"]
        elif part.startswith("--notify="):
            kept.append("--notify=URL")
        elif not part.startswith("--max-dates="):
            kept.append(part)
    return shlex.join(["ray-backfill", *kept, "--max-dates", str(count)])


def carry_out(
    house: Any,
    job: Any,
    planned: Callable[[], Plan],
    options: RunOptions,
    *,
    quiet: bool,
    log: Log | None = None,
    ending: Ending | None = None,
) -> Report:
    """Plan under the lease and execute, with progress on stderr or in a log, and a gentle first
    Ctrl-C.

    `ending` is told what there is to report, from the run's begin on.
    """
    from ray_backfill.cli.display import shown
    from ray_backfill.engine.driver import Switch
    from ray_backfill.engine.runs import execute
    from ray_backfill.observe.stream import overheard

    switch = Switch()

    @contextmanager
    def watch(driver: Driver) -> Iterator[None]:
        if ending is not None:
            ending.so_far = lambda: asdict(driver.report)
        if log is not None:
            driver.watchers.append(log.event)
        with phase.working(), shown(driver.progress, quiet=quiet or log is not None):
            yield

    # What is printed on the way, by Ray or by a job, is no part of the results on stdout.
    aside = redirect_stdout(sys.stderr) if log is None else overheard(log)
    with signals(switch) as phase, aside:
        report = execute(house, job, planned, options, switch, watch)
    if ending is not None:
        ending.report = asdict(report)
    return report
