"""Finds jobs: by the name of an entry point, or by `module:ATTRIBUTE`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from ray_backfill import names
from ray_backfill.errors import BackfillError, JobCodeError, UsageError
from ray_backfill.user_code import called

if TYPE_CHECKING:
    from ray_backfill.contract import Table
    from ray_backfill.job import Job

__all__ = [
    "GROUP",
    "VARIABLE",
    "find_table",
    "job_names",
    "load_job",
    "named",
    "output_tables",
    "raw_tables",
]

GROUP = "ray_backfill.jobs"
"""Installed packages add a job by an entry point of this group that names a `Job`."""


VARIABLE = "RAY_BACKFILL_JOBS"
"""Jobs that are not installed, as `package.module:ATTRIBUTE`, separated by commas."""


def job_names() -> list[str]:
    """What every known job is run as: names of entry points, and what `RAY_BACKFILL_JOBS` lists."""
    listed = [spec.strip() for spec in os.environ.get(VARIABLE, "").split(",")]
    return sorted({e.name for e in entry_points(group=GROUP)} | {spec for spec in listed if spec})


@cache
def load_job(spec: str) -> Job:
    """The job of an entry point's name, or of `package.module:ATTRIBUTE`.

    Raises `UsageError` where there is none, listing those that there are, and for what cannot
    be the name of one: nothing is imported then.
    """
    from ray_backfill.job import Job

    if ":" in names.job_spec(spec):
        found = _import(spec)
    else:
        match = [entry for entry in entry_points(group=GROUP) if entry.name == spec]
        if not match:
            raise UsageError(
                f"There is no job '{spec}'.",
                hint=f"Known jobs: {', '.join(job_names()) or 'none'}; "
                "or give one as package.module:ATTRIBUTE.",
            )
        found = _loaded(spec, match[0].load)
    if not isinstance(found, Job):
        raise UsageError(f"'{spec}' is a {type(found).__name__}, not a ray_backfill.job.Job.")
    return found


def _import(spec: str) -> object:
    module, _, attribute = spec.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds text
        # As `python -m` does: a job in the folder where the command is given needs no packaging.
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    return _loaded(spec, lambda: getattr(import_module(module), attribute))


def _loaded(spec: str, load: Callable[[], object]) -> object:
    """What an import gives; raises `UsageError` for whatever it raises, naming the job."""
    try:
        return called("", load)
    except JobCodeError as error:
        cause = error.__cause__
        if isinstance(cause, BackfillError):
            raise cause from None  # what the job's definition says itself
        absent = isinstance(cause, ImportError | AttributeError)
        raise UsageError(
            f"The job '{spec}' cannot be imported: {cause if absent else error}{_place(cause)}.",
            hint="Check the spelling, and that its folder is on PYTHONPATH."
            if absent
            else "Importing its module must neither fail nor end the program.",
        ) from error


def _place(cause: BaseException | None) -> str:
    """Where it was raised: whoever wrote the module needs no traceback for that."""
    frames = traceback.extract_tb(cause.__traceback__ if cause else None)
    written = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    if not written:
        return ""
    return f" ({Path(written[-1].filename).name}, line {written[-1].lineno})"


def _installed() -> list[Job]:
    return [load_job(name) for name in job_names()]


def output_tables() -> dict[str, Table]:
    """Full name -> table (with its stamp) of every installed job's output."""
    return {job.output.name: job.table for job in _installed()}


def raw_tables() -> dict[str, Table]:
    """Full name -> table of every input of the installed jobs that no job computes."""
    outputs = output_tables()
    found = {i.table.name: i.table for job in _installed() for i in job.inputs}
    return {name: table for name, table in sorted(found.items()) if name not in outputs}


def named(name: str, tables: Mapping[str, Table]) -> list[Table]:
    """The tables that a name means: by the full name, or by its last part."""
    return [t for full, t in tables.items() if name in (full, full.partition(".")[2])]


def find_table(name: str) -> Table:
    """A table by its full name or by its last part; raises `UsageError` listing those known."""
    known = raw_tables() | output_tables()
    hits = named(name, known)
    if len(hits) != 1:
        raise UsageError(
            f"There is no table '{name}' that a job knows."
            if not hits
            else f"'{name}' names {len(hits)} tables.",
            hint=f"Known tables: {', '.join(sorted(known))}.",
        )
    return hits[0]
