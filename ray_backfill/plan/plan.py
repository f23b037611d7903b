"""The plan: decisions, those that are selected, and the spans that compute them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from ray_backfill.job.calendar import Season
from ray_backfill.plan.decide import decide
from ray_backfill.plan.guards import (
    Changes,
    kept_dates,
    left_behind,
    older_code,
    shrinking_dates,
    views_of,
)
from ray_backfill.plan.history import described
from ray_backfill.plan.model import NOTHING_ALLOWED, Allow, Decision, Facts, Plan, Span
from ray_backfill.plan.selection import Selection, asked_days, pick
from ray_backfill.plan.sizing import Sizing, human_bytes
from ray_backfill.plan.spans import WORKER_MEMORY, make_spans

__all__ = ["make_plan"]


def make_plan(
    job: str,
    facts: Facts,
    selection: Selection,
    workers: int,
    worker_memory: int = WORKER_MEMORY,
    allow: Allow = NOTHING_ALLOWED,
) -> Plan:
    """Decisions for the asked days, those selected, and their spans.

    A span needs at most `worker_memory` bytes; a date that needs more by itself is not selected.
    Neither is one that would lose what people have, unless they `allow` it.
    """
    decisions = decide(facts, asked_days(facts, selection))
    wanted = pick(decisions, selection.select, allow)
    kept = kept_dates(wanted, facts, allow) | left_behind(decisions, facts, allow)
    shrinking = shrinking_dates([d for d in wanted if d.day not in kept], facts, allow)
    past = _with_past([d for d in wanted if d.day not in kept and d.day not in shrinking], facts)
    seasons = facts.calendar.seasons
    spans = make_spans([*past.values()], workers, seasons, facts.sizing, worker_memory)
    too_large = {
        span.days[0]: _too_large(span, facts.sizing, seasons, worker_memory)
        for span in spans
        if span.memory_bytes > worker_memory
    }
    return Plan(
        job=job,
        code_version=facts.code_version,
        job_options=facts.job_options,
        decisions=tuple(past.get(d.day, d) for d in decisions),
        selected=tuple(d for d in past.values() if d.day not in too_large),
        spans=tuple(span for span in spans if span.days[0] not in too_large),
        seasons=seasons,
        attempts=facts.attempts,
        too_large=dict(sorted(too_large.items())),
        rules=facts.rules,
        kept=kept,
        shrinking=shrinking,
        allow=allow,
        older_code="" if allow.older_code else older_code(facts),
        facts=facts,
    )


def _with_past(selected: Sequence[Decision], facts: Facts) -> dict[date, Decision]:
    """The decisions with what was published before, and what changed in the inputs since."""
    seen, found = Changes(facts), {}
    for decision in selected:
        inputs = facts.inputs_of(views_of(decision, facts))
        changed = seen.of(decision.day, inputs) if inputs else ()
        found[decision.day] = replace(
            decision,
            published_rows=facts.stamp_of(decision.day).published_rows,
            changes=described(changed or ()),
        )
    return found


def _too_large(span: Span, sizing: Sizing, seasons: Sequence[Season], worker_memory: int) -> str:
    held = ", ".join(
        f"{name} {rows:,} rows" for name, rows, _ in sizing.largest(span.days, seasons) if rows
    )
    return (
        f"its look-back does not fit: it needs about {human_bytes(span.memory_bytes)} "
        f"({held or 'output alone'}), more than --worker-memory {human_bytes(worker_memory)}"
    )
