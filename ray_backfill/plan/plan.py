"""The plan: decisions, those that are selected, and the spans that compute them."""

from __future__ import annotations

from collections.abc import Sequence

from ray_backfill.calendar import Season
from ray_backfill.plan.decide import decide
from ray_backfill.plan.model import Facts, Plan
from ray_backfill.plan.selection import Selection, asked_days, pick
from ray_backfill.sizing import Sizing, human_bytes
from ray_backfill.spans import WORKER_MEMORY, Span, make_spans

__all__ = ["make_plan"]


def make_plan(
    job: str,
    facts: Facts,
    selection: Selection,
    workers: int,
    worker_memory: int = WORKER_MEMORY,
) -> Plan:
    """Decisions for the asked days, those selected, and their spans.

    A span needs at most `worker_memory` bytes; a date that needs more by itself is not selected.
    """
    decisions = decide(facts, asked_days(facts, selection))
    selected = pick(decisions, selection.select)
    seasons = facts.calendar.seasons
    spans = make_spans(selected, workers, seasons, facts.sizing, worker_memory)
    too_large = {
        span.days[0]: _too_large(span, facts.sizing, seasons, worker_memory)
        for span in spans
        if span.memory_bytes > worker_memory
    }
    return Plan(
        job=job,
        code_version=facts.code_version,
        job_options=facts.job_options,
        decisions=tuple(decisions),
        selected=tuple(d for d in selected if d.day not in too_large),
        spans=tuple(span for span in spans if span.days[0] not in too_large),
        seasons=seasons,
        attempts=facts.attempts,
        too_large=dict(sorted(too_large.items())),
        rules=facts.rules,
    )


def _too_large(span: Span, sizing: Sizing, seasons: Sequence[Season], worker_memory: int) -> str:
    held = ", ".join(
        f"{name} {rows:,} rows" for name, rows, _ in sizing.largest(span.days, seasons) if rows
    )
    return (
        f"its look-back does not fit: it needs about {human_bytes(span.memory_bytes)} "
        f"({held or 'output alone'}), more than --worker-memory {human_bytes(worker_memory)}"
    )
