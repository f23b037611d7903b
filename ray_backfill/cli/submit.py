"""`ray-backfill submit`: a run as a job on a Ray cluster, followed from here."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console, following
from ray_backfill.cli import run as run_command
from ray_backfill.cli.options import NOTIFY, ClusterOption, JsonOption, PatienceOption, who
from ray_backfill.cli.select import selection_of
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.cluster.shipping import Shipment
    from ray_backfill.cluster.submission import Submission
    from ray_backfill.plan import Selection
    from ray_backfill.warehouse import Warehouse

app = typer.Typer()

_HERE_ALONE = frozenset({"no_parallel", "address", "quiet", "as_json", "log_format", "notify"})
"""Options of `run` that mean something only where it runs; a notice's address is a secret."""
_THERE = {"address": "auto", "log_format": "json"}
"""What `run` is told on the cluster: which Ray is its own, and to log what is followed here."""

_LEASE_WAIT = 90
"""Seconds: the lease of a submission whose driver was lost with its machine runs out within."""


def _taking_what_run_takes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the parameters of `run` in front of its own: whatever they come to be."""
    theirs = inspect.signature(run_command.run, eval_str=True).parameters.values()
    own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def taking(**values: Any) -> None:
        command(**values)

    keep = [p for p in theirs if p.name not in _HERE_ALONE]
    named = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*keep, *named)]
    taking.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    taking.__annotations__ = {}
    return taking


@app.command()
@_taking_what_run_takes
def submit(
    address: ClusterOption,
    ship: Annotated[
        Path | None,
        typer.Option(
            "--ship",
            help="The folder whose code runs on the cluster, without what git ignores; this "
            "checkout where nothing is said.",
        ),
    ] = None,
    installed: Annotated[
        bool, typer.Option("--installed", help="Ship nothing: the nodes have ray-backfill.")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option("--image", help="Ship nothing: run in this container image, by its URI."),
    ] = None,
    max_ship_mib: Annotated[
        int, typer.Option("--max-ship-mib", min=1, help="Refuse to ship more than this.")
    ] = 100,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", help="A variable whose value here goes with the job. Repeatable."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            help="A variable that the cluster itself has; only its name goes there, and the run "
            "refuses to begin without it. Repeatable.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            help="Python of the cluster's nodes. [default: the one that their Ray runs under]",
        ),
    ] = None,
    stop_wait: Annotated[
        int,
        typer.Option(
            "--stop-wait",
            min=1,
            help="Seconds that `jobs stop` gives the run to end gently before it is killed.",
        ),
    ] = 300,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not follow; print how to.")
    ] = False,
    patience: PatienceOption = 600,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; the end report alone.")
    ] = False,
    as_json: JsonOption = False,
    **asked: Any,
) -> None:
    """Run on a Ray cluster, as a job of its own, and follow it from here.

    The same work is submitted once: one that runs already is found and followed. Ends with the
    run's own exit code; 130 where it was stopped.
    """
    from ray_backfill.cluster.client import connect
    from ray_backfill.cluster.send import send

    _one_way(ship, installed, image)
    shipment = None if installed or image else _shipment(ship, max_ship_mib)
    submission = _submission(
        asked, image or ("installed" if installed else None), env, secret, python, stop_wait
    )
    api = connect(address)
    if shipment is not None:
        for sentence in shipment.left_out:
            console.note(f"Not shipped: {sentence}.")
    submission_id, found = send(api, submission, shipment, image)
    said = "is submitted"
    if found:
        said += " already, and has not ended: it goes on with the options that it was given then"
    console.note(f"{submission_id} {said}.")
    if os.environ.get(NOTIFY) and NOTIFY not in (secret or ()):
        console.note(
            f"The cluster will not notify anybody: {NOTIFY} is a secret and stays here. Set it on "
            f"the cluster's nodes and say --secret {NOTIFY}."
        )
    facts = {"submission": submission_id, "address": api.shown, "found": found}
    if no_wait:
        following.print_how(api, submission_id)
        if as_json:
            console.json_out(facts)
        return
    followed = following.to_the_end(api, submission_id, quiet=quiet, patience=patience)
    if as_json:
        console.json_out(facts | followed.as_json())
    raise typer.Exit(followed.exit_code)


def _one_way(ship: Path | None, installed: bool, image: str | None) -> None:
    ways = [("--ship", ship), ("--installed", installed), ("--image", image)]
    given = [name for name, value in ways if value]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} exclude each other.",
            hint="The code comes from a folder here, or is on the nodes, or in an image.",
        )


def _shipment(ship: Path | None, most_mib: int) -> Shipment:
    from ray_backfill.cluster.shipping import default_folder, gather

    shipment = gather(ship or default_folder(), most_mib)
    console.note(
        f"Shipping {len(shipment.files):,} files of {shipment.folder}, "
        f"{shipment.size / 2**20:.1f} MiB."
    )
    return shipment


def _submission(
    asked: Mapping[str, Any],
    elsewhere: str | None,
    env: Sequence[str] | None,
    secret: Sequence[str] | None,
    python: str | None,
    stop_wait: int,
) -> Submission:
    """What is submitted; `elsewhere` names code that is not this machine's."""
    from typer.main import get_command

    from ray_backfill.cluster import submission as made

    selection = selection_of(
        *(asked[name] for name in ("season", "start_date", "end_date", "dates", "select"))
    )
    opened = _opened(asked["warehouse"])
    warehouse = opened.uri
    options = asked["option"] or ()
    name, code = _job(asked["job"], options, elsewhere)
    argv = made.argv_of(
        get_command(run_command.app),
        {
            **asked,
            **_THERE,
            "warehouse": warehouse,
            "lease_wait": asked["lease_wait"] or _LEASE_WAIT,
        },
        always=("warehouse",),
    )
    return made.Submission(
        base=made.base_id(name, asked["job"], selection, options, warehouse, code),
        entrypoint=made.entrypoint_of(python, argv),
        metadata=_metadata(name, selection, warehouse, code),
        env_vars={**_variables(env or (), secret or (), opened), made.STOP_WAIT: str(stop_wait)},
    )


def _opened(uri: str) -> Warehouse:
    """The warehouse as every node is to see it."""
    from ray_backfill.cluster.submission import check_no_credentials
    from ray_backfill.warehouse import open_warehouse

    check_no_credentials(uri)
    opened = open_warehouse(uri)
    if "://" not in opened.uri:
        console.note(f"The warehouse is the folder {opened.uri}: every node must see it there.")
    return opened


def _variables(env: Sequence[str], secret: Sequence[str], warehouse: Warehouse) -> dict[str, str]:
    """What of the environment goes along; what does so unasked is said."""
    from ray_backfill.cluster.variables import NEEDED, kept_here, variables_to_send

    sent = variables_to_send(env, secret, os.environ, warehouse.settings)
    unasked = sorted(sent.keys() - {NEEDED, *env})
    if unasked:
        console.note(f"Settings go with the job: {', '.join(unasked)}.")
    kept = [name for name in kept_here(os.environ, warehouse.settings) if name not in secret]
    if kept:
        console.note(
            f"The cluster does not get {', '.join(kept)}, which may hold secrets. Set it on the "
            "cluster's nodes and name it with --secret."
        )
    return sent


def _job(spec: str, options: Sequence[str], elsewhere: str | None) -> tuple[str, str]:
    """Name of the job and version of its code; options are checked where the job is here."""
    from ray_backfill.catalog import load_job
    from ray_backfill.job.options import parse_options
    from ray_backfill.staleness.code_version import code_version

    try:
        job = load_job(spec)
    except UsageError:
        if elsewhere is None:
            raise
        return spec.rpartition(".")[2].partition(":")[0], elsewhere
    parse_options(job, options, job.options())
    return job.name, elsewhere or code_version(job.modules)


def _metadata(name: str, selection: Selection, warehouse: str, code: str) -> dict[str, str]:
    from ray_backfill import __version__
    from ray_backfill.cluster.submission import MARK, range_of

    return {
        MARK: __version__,
        "job": name,
        "range": range_of(selection),
        "select": ",".join(selection.select),
        "code_version": code,
        "who": who(),
        "warehouse": warehouse,
    }
