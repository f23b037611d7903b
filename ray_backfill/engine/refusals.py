"""What a run is refused for before it writes anything, and `plan` alike."""

from __future__ import annotations

from ray_backfill.errors import RefusedError
from ray_backfill.job import Job
from ray_backfill.job.table import STAMP
from ray_backfill.plan import Plan
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Fit

__all__ = ["refuse_misfit", "refuse_older_code"]

_NEEDED = frozenset(column.name for column in STAMP if not column.nullable)
"""The columns by which an output of ours is known."""


def refuse_misfit(warehouse: Warehouse, job: Job, *, rebuild: bool = False) -> bool:
    """Whether the output is there.

    Raises `RefusedError` for a table of that name that is not ours, and for one that new columns
    alone do not bring up to the job's contract, unless it is to be rebuilt.
    """
    fit = warehouse.fit(job.table)
    if fit is None:
        return False
    if lacking := sorted(_NEEDED - fit.columns):
        raise _not_ours(job, fit, lacking)
    if fit.differences and not rebuild:
        raise RefusedError(
            f"{job.output.name} is not what {job.name} writes: {'; '.join(fit.differences)}.",
            hint="Only new nullable columns are added by themselves. `ray-backfill run "
            f"{job.name} --rebuild` writes a new table, which takes the place of this one once it "
            "is whole; `plan` with --rebuild shows what that computes.",
        )
    return True


def _not_ours(job: Job, fit: Fit, lacking: list[str]) -> RefusedError:
    known = {column.name for column in job.output.columns}
    others = sorted(fit.columns - known)
    more = f", and has columns that {job.name} does not write ({', '.join(others)})"
    return RefusedError(
        f"{job.output.name} is a table that ray-backfill did not write: it has no column "
        f"{', '.join(lacking)}{more if others else ''}. It is not touched.",
        hint="Move it away, or give the job's output another name.",
    )


def refuse_older_code(plan: Plan) -> None:
    """Raise `RefusedError` where newer work would be replaced by that of older code."""
    if plan.older_code and plan.selected:
        raise RefusedError(
            plan.older_code,
            hint="Bring this installation up to date; or, if the older code is what you mean, add "
            "--allow-older-code.",
        )
