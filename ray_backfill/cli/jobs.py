"""`ray-backfill jobs`: what was submitted to a cluster, its logs, its end."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console, following
from ray_backfill.cli.options import ClusterOption, JsonOption, PatienceOption

if TYPE_CHECKING:
    from ray_backfill.cluster.client import JobFacts

app = typer.Typer()
jobs = typer.Typer(no_args_is_help=True)
app.add_typer(jobs, name="jobs", help="List, follow and stop what was submitted to a Ray cluster.")

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A submission's id, as `jobs list` shows it.")
]


@jobs.command("list")
def list_jobs(
    address: ClusterOption,
    everything: Annotated[
        bool, typer.Option("--all", help="Also jobs that others submitted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what was submitted to the cluster, newest first."""
    from ray_backfill.cluster.client import connect

    api = connect(address)
    found = [_row(job) for job in reversed(api.jobs())]
    rows = [row for row in found if everything or row["ours"]]
    if as_json:
        console.json_out({"address": api.shown, "jobs": rows})
        return
    columns = ["id", "status", "job", "range", "code", "who", "started", "exit"]
    console.table(
        f"Submitted to {api.shown}",
        columns,
        [[_text(row[name]) for name in columns] for row in rows],
        right=["exit"],
    )
    others = len(found) - len(rows)
    if others:
        console.note(f"Not shown: {others} that ray-backfill did not submit; see --all.")


def _row(job: JobFacts) -> dict[str, Any]:
    from ray_backfill.cluster.submission import MARK

    about = job.metadata
    return {
        "id": job.id,
        "status": job.status,
        "job": about.get("job"),
        "range": about.get("range"),
        "code": about.get("code_version"),
        "who": about.get("who"),
        "warehouse": about.get("warehouse"),
        "version": about.get(MARK),
        "started": _at(job.started),
        "ended": _at(job.ended),
        "exit": job.exit_code,
        "ours": MARK in about,
    }


def _at(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _text(value: object) -> object:
    """An exit code is no quantity: it gets no separators."""
    return str(value) if isinstance(value, int) else value


@jobs.command()
def logs(
    submission: IdArgument,
    address: ClusterOption,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    patience: PatienceOption = 600,
) -> None:
    """Print what a job has printed, as it is."""
    from ray_backfill.cluster.client import connect
    from ray_backfill.cluster.follow import follow as follow_job

    api = connect(address)
    if not follow:
        console.text_out(api.logs(submission))
        return
    try:
        job = follow_job(api, submission, line=_print, note=console.note, patience=patience)
    except KeyboardInterrupt:
        console.note(f"Not following any more; {submission} goes on.")
        raise typer.Exit(130) from None
    console.note(f"{submission}: {job.status}, exit {following.exit_code_of(job)}")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@jobs.command()
def stop(
    submission: IdArgument,
    address: ClusterOption,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for its end.")] = False,
    patience: PatienceOption = 600,
) -> None:
    """Ask a job to end: running spans finish first, as after Ctrl-C.

    It is killed where it has not ended after the `--stop-wait` of its submission. Nothing that
    it published is lost; submitting it again goes on with what is left.
    """
    from ray_backfill.cluster.client import connect
    from ray_backfill.cluster.follow import follow

    api = connect(address)
    job = api.job(submission)
    if job.has_ended or not api.stop(submission):
        console.note(f"{submission} had ended already: {api.job(submission).status}.")
        return
    console.note(f"{submission} is asked to end; running spans finish.")
    if not no_wait:
        ended = follow(
            api, submission, line=lambda line: None, note=console.note, patience=patience
        )
        console.note(f"{submission}: {ended.status}")
