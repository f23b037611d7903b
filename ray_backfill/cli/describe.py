"""`ray-backfill describe`: what can be computed, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption
from ray_backfill.cli.select import known_jobs

if TYPE_CHECKING:
    from ray_backfill.job import Job
    from ray_backfill.job.table import Table

app = typer.Typer()


@app.command()
def describe(
    name: Annotated[
        str | None, typer.Argument(help="A job or a table. [default: list the jobs]")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a job as the Markdown page of the docs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a job reads and writes, with the meaning of every column; or list the jobs."""
    from ray_backfill.catalog import job_names, load_job

    if name is None:
        _list_jobs(as_json)
    elif name in job_names() or ":" in name:
        job = load_job(name)
        if as_json:
            console.json_out(_job_json(job))
        elif markdown:
            console.text_out(job_page(job))
        else:
            _print_job(job)
            _print_columns(job.table)
    elif as_json:
        console.json_out(_table_json(known_jobs().table(name)))
    else:
        _print_columns(known_jobs().table(name))


def _list_jobs(as_json: bool) -> None:
    rows = [(job.name, job.output.name, job.description) for job in known_jobs().jobs.values()]
    if as_json:
        console.json_out([dict(zip(("job", "table", "description"), r, strict=True)) for r in rows])
    else:
        console.table("", ["job", "table", "description"], rows)


def _print_job(job: Job) -> None:
    console.note(f"{job.name}: {job.description}")
    console.table(
        "Inputs",
        ["input", "table", "read from", "required"],
        [(i.name, i.table.name, i.window.describe(), i.required) for i in job.inputs],
    )
    console.table(
        "Views that decide staleness",
        ["view", "inputs", "dates"],
        [(v.name, ", ".join(v.inputs), v.window.describe()) for v in job.views],
    )
    options = [(f.name, f.type, f.default, f.metadata.get("help", "")) for f in fields(job.options)]
    if options:
        console.table("Options", ["option", "type", "default", "meaning"], options)


def _print_columns(table: Table) -> None:
    title = f"{table.name}: {table.description}"
    if table.partition:
        title += f" Partition {table.partition}; key {', '.join(table.key) or 'none'}."
    console.table(
        title,
        ["column", "type", "null", "meaning"],
        [(c.name, c.kind.value, c.nullable, c.description) for c in table.columns],
    )


def _table_json(table: Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "description": table.description,
        "partition": table.partition,
        "key": table.key,
        "cluster": table.cluster,
        "columns": [asdict(column) for column in table.columns],
    }


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job": job.name,
        "description": job.description,
        "inputs": [
            {
                "input": i.name,
                "table": i.table.name,
                "columns": i.columns,
                "window": i.window.describe(),
                "required": i.required,
            }
            for i in job.inputs
        ],
        "views": [
            {"view": v.name, "inputs": v.inputs, "window": v.window.describe()} for v in job.views
        ],
        "options": [
            {
                "option": f.name,
                "type": str(f.type),
                "default": f.default,
                "help": f.metadata.get("help", ""),
            }
            for f in fields(job.options)
        ],
        "output": _table_json(job.table),
    }


def job_page(job: Job) -> str:
    """The docs page of a job, generated from its contract."""
    lines = [
        f"# {job.name}",
        "",
        f"{job.description} Output: `{job.output.name}`; partition `{job.output.partition}`, "
        f"key `{', '.join(job.output.key)}`. D is the date that is computed.",
        "",
        "This page is generated: `ray-backfill describe "
        f"{job.name} --markdown > docs/{job.name}.md`.",
        "",
        "## Inputs",
        "",
        *_grid(
            ("input", "table", "read from", "required"),
            [
                (i.name, f"`{i.table.name}`", i.window.describe(), "yes" if i.required else "no")
                for i in job.inputs
            ],
        ),
        "",
        "## Views that decide staleness",
        "",
        *_grid(
            ("view", "inputs", "dates"),
            [(v.name, ", ".join(v.inputs), v.window.describe()) for v in job.views],
        ),
        "",
        "## Options",
        "",
        *_grid(
            ("option", "type", "default", "meaning"),
            [
                (f.name, str(f.type), str(f.default), f.metadata.get("help", ""))
                for f in fields(job.options)
            ],
        ),
        "",
        "## Columns",
        "",
        *_grid(
            ("column", "type", "NULL", "meaning"),
            [
                (f"`{c.name}`", c.kind.value, "may be" if c.nullable else "never", c.description)
                for c in job.table.columns
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *escaped)]
