"""The jobs that are known here: whether they load, and which datasets they touch."""

from __future__ import annotations

from ray_backfill.catalog import job_names, load_job
from ray_backfill.doctor.check import Check, UnfitError

__all__ = ["check", "datasets"]


def check() -> Check:
    """Whether every job that is installed, or that RAY_BACKFILL_JOBS lists, loads."""
    return Check(
        "jobs",
        "the jobs that are known here load",
        _load,
        after=("packages",),
        mend="Run the doctor where the job runs, with what it imports on PYTHONPATH.",
    )


def _load() -> str:
    wrong = []
    for name in job_names():
        try:
            load_job(name)
        except Exception as error:  # noqa: BLE001 - whatever a job's module raises
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    if wrong:
        raise UnfitError("; ".join(wrong))
    return ", ".join(job_names()) or "none is known"


def datasets() -> tuple[list[str], list[str]]:
    """The datasets that the jobs which load read, and those that they write to."""
    reads, writes = set(), set()
    for name in job_names():
        try:
            job = load_job(name)
        except Exception:  # noqa: BLE001, S112 - told by its own check
            continue
        writes.add(job.output.name.partition(".")[0])
        reads |= {source.table.name.partition(".")[0] for source in job.inputs}
    return sorted(reads), sorted(writes)
