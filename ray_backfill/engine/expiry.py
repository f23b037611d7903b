"""Whether a warehouse would delete by itself what a plan is about to write."""

from __future__ import annotations

from ray_backfill.job import Job
from ray_backfill.plan import Plan
from ray_backfill.warehouse import Warehouse

__all__ = ["expiry_warnings"]


def expiry_warnings(warehouse: Warehouse, job: Job, plan: Plan) -> list[str]:
    """A sentence for each expiry of the output that is shorter than the dates of the plan."""
    ask = getattr(warehouse, "expiry_warnings", None)
    days = [decision.day for decision in plan.selected if decision.action == "compute"]
    return list(ask(job.table, days)) if ask and days else []
