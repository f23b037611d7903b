"""A worker computes with the code that its run was planned with, or not at all."""

from __future__ import annotations

import socket

from ray_backfill.catalog import load_job
from ray_backfill.engine.task import Handover, Task
from ray_backfill.errors import CodeDiffersError
from ray_backfill.job import Job
from ray_backfill.record.failures import describe
from ray_backfill.staleness import loaded_code

__all__ = ["check_handover", "job_of", "same_code"]

_HINT = (
    "Bring what the workers import to the state of this command (--installed and --image use what "
    "the nodes have); where a module was edited during the run, start again."
)


def job_of(task: Task) -> Job:
    """The job of a task, as this process has imported it, with the table that the task writes.

    Raises `CodeDiffersError` where it cannot be imported here, or is not what the task is of.
    """
    try:
        job = load_job(task.job)
    except Exception as error:
        raise CodeDiffersError(
            f"The worker on {socket.gethostname()} cannot load the job of this run: "
            f"{describe(error)}",
            hint=_HINT,
        ) from error
    same_code(job, task)
    return job.into(task.into)


def same_code(job: Job, task: Task) -> str:
    """The version of the code that this process has, which is the task's.

    Raises `CodeDiffersError` where it has other code, or other rules of what is published.
    """
    version = loaded_code.code_of(job)
    pairs = (
        ("code", version, task.code_version),
        ("gates", loaded_code.rules_of(job), task.rules),
    )
    for what, own, planned in pairs:
        if own != planned:
            raise _differs(f"on {socket.gethostname()}", job.name, what, own, planned)
    return version


def check_handover(handover: Handover) -> None:
    """Raise `CodeDiffersError` for rows that other code than that of their task computed."""
    # An older installation compares nothing and says nothing.
    own = getattr(handover, "code_version", "") or "not known"
    if own != handover.task.code_version:
        raise _differs("that computed", handover.task.job, "code", own, handover.task.code_version)


def _differs(who: str, job: str, what: str, own: str, planned: str) -> CodeDiffersError:
    return CodeDiffersError(
        f"The worker {who} has other {what} of {job} than this run: {own}, and the run was "
        f"planned with {planned}. Nothing of it was published.",
        hint=_HINT,
    )
