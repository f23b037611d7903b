"""Finds jobs: by the name of an entry point, or by `module:ATTRIBUTE`.

A job that does not load is named and left out wherever jobs are collected; it stops nothing but
itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ray_backfill import names
from ray_backfill.errors import BackfillError, DataError, JobCodeError, UsageError
from ray_backfill.job.blame import told
from ray_backfill.job.conflicts import Conflict, conflicts_of
from ray_backfill.job.user_code import called

if TYPE_CHECKING:
    from ray_backfill.job import Job
    from ray_backfill.job.table import Table

__all__ = [
    "GROUP",
    "VARIABLE",
    "Catalogue",
    "catalogue",
    "check_beside_others",
    "job_names",
    "load_job",
    "named",
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

    Raises `UsageError` where there is none, listing those that there are; where it does not
    load, whatever its module raises; and for what cannot be the name of one: nothing is imported
    then.
    """
    from ray_backfill.job import Job

    entry = _entry(names.job_spec(spec))
    try:
        found = called("", entry.load)
    except (JobCodeError, DataError) as error:
        raise _broken(spec, error.__cause__ or error) from error
    if not isinstance(found, Job):
        raise UsageError(f"'{spec}' is a {type(found).__name__}, not a ray_backfill.job.Job.")
    return found


def _broken(spec: str, error: BaseException) -> UsageError:
    if isinstance(error, BackfillError):  # what the job's definition says itself
        return UsageError(f"The job '{spec}' does not load: {error.message}", hint=error.hint)
    return UsageError(
        f"The job '{spec}' does not load: {told(error)}.",
        hint="Check the spelling, that its folder is on PYTHONPATH, and that this Python "
        f"imports it: {sys.executable}. Importing it must not end the program.",
    )


def _entry(spec: str) -> EntryPoint:
    if ":" in spec:
        if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds text
            # As `python -m` does: a job in the folder of the command needs no packaging.
            sys.path.insert(0, os.getcwd())  # noqa: PTH109
        return EntryPoint(spec, spec, GROUP)
    match = {e.value: e for e in entry_points(group=GROUP) if e.name == spec}
    if len(match) == 1:
        return next(iter(match.values()))
    if match:
        raise UsageError(
            f"Several packages have a job '{spec}'.", hint=f"Say which: {' or '.join(match)}."
        )
    raise UsageError(
        f"There is no job '{spec}'.",
        hint=f"Known jobs: {', '.join(job_names()) or 'none'}; "
        "or give one as package.module:ATTRIBUTE.",
    )


# -- all of them -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Catalogue:
    """Every known job by what it is run as, and why those that do not load do not."""

    jobs: Mapping[str, Job]
    broken: Mapping[str, str]

    def outputs(self) -> dict[str, Table]:
        """Full name -> table (with its stamp) of every job's output."""
        return {job.output.name: job.table for job in self.jobs.values()}

    def raw_tables(self) -> dict[str, Table]:
        """Full name -> table of every input that no job computes."""
        outputs = self.outputs()
        found = {i.table.name: i.table for job in self.jobs.values() for i in job.inputs}
        return {name: table for name, table in sorted(found.items()) if name not in outputs}

    def table(self, name: str) -> Table:
        """A table by its full name or its last part; raises `UsageError` listing those known."""
        known = self.raw_tables() | self.outputs()
        hits = named(name, known)
        if len(hits) != 1:
            raise UsageError(
                f"There is no table '{name}' that a job knows."
                if not hits
                else f"'{name}' names {len(hits)} tables.",
                hint=f"Known tables: {', '.join(sorted(known))}.",
            )
        return hits[0]


def named(name: str, tables: Mapping[str, Table]) -> list[Table]:
    """The tables that a name means: by the full name, or by its last part."""
    return [t for full, t in tables.items() if name in (full, full.partition(".")[2])]


def catalogue() -> Catalogue:
    """All known jobs; those that do not load are left out, and said with their reason.

    Raises `UsageError` for jobs that cannot be together, naming them.
    """
    found = _collected(job_names())
    _refuse(conflicts_of(found.jobs))
    return found


def check_beside_others(job: Job) -> Mapping[str, str]:
    """Raises `UsageError` where a job cannot be together with another that is known.

    Gives what could not be asked: jobs that do not load, with their reason.
    """
    found = _collected(job_names())
    known = dict(found.jobs)
    if not any(other is job for other in known.values()):
        known[f"{job.name} of {job.compute.__module__}"] = job
    _refuse([c for c in conflicts_of(known) if any(known[spec] is job for spec in c.specs)])
    return found.broken


def _collected(specs: Sequence[str]) -> Catalogue:
    jobs, broken = {}, {}
    for spec in specs:
        try:
            jobs[spec] = load_job(spec)
        except UsageError as error:
            broken[spec] = str(error)
    return Catalogue(jobs, broken)


def _refuse(found: Sequence[Conflict]) -> None:
    if found:
        raise UsageError(
            f"{'; '.join(conflict.sentence for conflict in found)}.",
            hint="Rename one, take it out of RAY_BACKFILL_JOBS, or uninstall its package.",
        )
