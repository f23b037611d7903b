"""The plan: which dates need work, and why. A pure function of facts.

The same function serves `plan` and `run`, so that what is shown is what is done.
"""

from __future__ import annotations

from ray_backfill.plan.decide import decide
from ray_backfill.plan.model import Allow, Attempt, Decision, Facts, Plan, Source, Stamp
from ray_backfill.plan.plan import make_plan
from ray_backfill.plan.selection import SELECTIONS, Selection, asked_days, pick

__all__ = [
    "SELECTIONS",
    "Allow",
    "Attempt",
    "Decision",
    "Facts",
    "Plan",
    "Selection",
    "Source",
    "Stamp",
    "asked_days",
    "decide",
    "make_plan",
    "pick",
]
