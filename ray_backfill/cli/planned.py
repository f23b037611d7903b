"""A plan as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from ray_backfill.cli import console

if TYPE_CHECKING:
    from ray_backfill.plan import Decision, Plan
    from ray_backfill.warehouse.bigquery.cost import Cost

__all__ = ["listed", "plan_json", "print_cost", "print_dates", "print_plan"]

_NAMED = 12


def plan_json(plan: Plan, rate: float | None) -> dict[str, Any]:
    """The whole plan as plain data."""
    chosen = {d.day for d in plan.selected}
    return {
        "job": plan.job,
        "code_version": plan.code_version,
        "job_options": plan.job_options,
        "states": plan.counts(),
        "selected": len(plan.selected),
        "expected_rows": sum(d.expected_rows for d in plan.selected),
        "estimated_seconds": _estimate(plan, rate),
        "spans": [asdict(span) for span in plan.spans],
        "too_large": {str(day): why for day, why in plan.too_large.items()},
        "kept": {str(day): why for day, why in plan.kept.items()},
        "shrinking": {str(day): why for day, why in plan.shrinking.items()},
        "older_code": plan.older_code,
        "dates": [
            {
                "date": d.day,
                "season": d.season,
                "state": d.state.value,
                "reason": d.reason,
                "views": d.views,
                "action": d.action,
                "expected_rows": d.expected_rows,
                "last_attempt": d.attempt and d.attempt.outcome,
                "selected": d.day in chosen,
                "notes": d.notes,
            }
            for d in plan.decisions
            if d.state != "no_games"
        ],
    }


def print_plan(plan: Plan, rate: float | None) -> None:
    from ray_backfill.plan.sizing import human_bytes

    console.table(
        f"{plan.job}, code {plan.code_version}, options {plan.job_options}",
        ["state", "dates", "planned", "expected rows", "reason"],
        _state_rows(plan),
        right=["dates", "planned", "expected rows"],
    )
    if plan.spans:
        console.table(
            "Spans",
            ["season", "from", "to", "dates", "expected rows", "memory"],
            [
                (
                    s.season,
                    s.days[0],
                    s.days[-1],
                    len(s.days),
                    s.expected_rows,
                    human_bytes(s.memory_bytes),
                )
                for s in plan.spans
            ],
            right=["dates", "expected rows", "memory"],
        )
    _print_left_out("Left out", plan.too_large)
    _print_left_out("Kept, though their rows belong to nothing or to others", plan.kept)
    _print_left_out("Quarantined, as their look-back shrank", plan.shrinking)
    _print_words(plan)
    rows = sum(d.expected_rows for d in plan.selected)
    if not plan.selected:
        blocked = plan.counts()["blocked"]
        waits = f" {blocked} blocked dates wait for what they lack." if blocked else ""
        nothing = f"{len(plan.too_large):,} dates are due, and none fits a worker."
        console.note(f"{nothing if plan.too_large else 'Nothing to do.'}{waits}")
        return
    seconds = _estimate(plan, rate)
    took = f"about {seconds:,.0f} s by past runs" if seconds else "no past run to judge by"
    console.note(f"To run: {len(plan.selected):,} dates, {rows:,} rows expected; {took}.")


def _print_left_out(title: str, found: Mapping[date, str]) -> None:
    if found:
        console.table(title, ["date", "why"], list(found.items())[:_NAMED])
    if len(found) > _NAMED:
        console.note(f"… and {len(found) - _NAMED} more, in --json.")


def _print_words(plan: Plan) -> None:
    """What a run asks for before it does what is planned, or what is not."""
    if plan.older_code and plan.selected:
        console.warn(f"{plan.older_code} A run is refused without --allow-older-code.")
    if plan.kept:
        console.warn(
            f"{len(plan.kept):,} dates keep rows that a run would remove: it ends with exit 3 "
            f"without --allow-removals {len(plan.kept)}."
        )
    if plan.shrinking:
        console.warn(
            f"{len(plan.shrinking):,} dates would be computed from less than they were: they are "
            "quarantined without --allow-shrink."
        )


def print_cost(cost: Cost) -> None:
    console.table(
        f"Cost at list prices of {cost.prices.as_of}",
        ["input", "table", "bytes"],
        [(i.name, i.table, "by query" if i.by_query else i.bytes) for i in cost.inputs],
        right=["bytes"],
    )
    console.note(
        f"About ${cost.dollars:.4f}: {cost.read_bytes:,} bytes read, {cost.staged_bytes:,} staged, "
        f"{cost.merge_bytes:,} scanned by MERGE, in {cost.jobs} jobs."
    )
    for sentence in cost.notes:
        console.note(f"{sentence}.")


def _state_rows(plan: Plan) -> list[tuple[object, ...]]:
    chosen = {d.day for d in plan.selected}
    groups: dict[tuple[str, str], list[Decision]] = {}
    for decision in plan.decisions:
        groups.setdefault((decision.state, decision.reason), []).append(decision)
    rows: list[tuple[object, ...]] = []
    for state in plan.counts():
        found = [(why, group) for (of, why), group in groups.items() if of == state]
        for reason, group in sorted(found, key=lambda pair: -len(pair[1])):
            picked = [d for d in group if d.day in chosen]
            rows.append(
                (
                    state,
                    len(group),
                    len(picked) or None,
                    sum(d.expected_rows for d in picked) or None,
                    f"{reason}: {_where(group)}",
                )
            )
    return rows


def _where(group: Sequence[Decision]) -> str:
    """Few dates by name, many as a range."""
    if len(group) <= _NAMED:
        return ", ".join(str(d.day) for d in group)
    return f"{group[0].day} … {group[-1].day}"


def _estimate(plan: Plan, rate: float | None) -> float | None:
    rows = sum(d.expected_rows for d in plan.selected)
    return round(rows / rate, 1) if rate and rows else None


def listed(plan: Plan, states: Sequence[str], by_name: bool) -> list[Decision]:
    """The dates to list: of the states that were asked for; off-days only where named."""
    chosen = set(plan.selected)
    return [
        d
        for d in plan.decisions
        if (by_name or d.state != "no_games")
        and (not states or "all" in states or d.state.value in states or d in chosen)
    ]


def print_dates(plan: Plan, shown: Sequence[Decision]) -> None:
    chosen = set(plan.selected)
    console.table(
        "",
        ["date", "season", "state", "planned", "rows", "reason"],
        [
            (
                d.day,
                d.season,
                d.state.value,
                d in chosen,
                d.expected_rows or None,
                "; ".join([d.reason, *d.notes]),
            )
            for d in shown
        ],
        right=["rows"],
    )
