"""The end report of a run: what was published, skipped, failed and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ray_backfill.planner import Plan
from ray_backfill.warehouse import Warehouse

__all__ = ["Report", "new_report", "past_rate", "save_report"]


@dataclass
class Report:
    """Kept as JSON under `reports/<run>.json`; days are ISO text."""

    run_id: str
    job: str
    table: str
    warehouse: str
    code_version: str
    job_options: str
    planned: int
    states: dict[str, int]
    published: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    restamped: list[str] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    known_bad: dict[str, str] = field(default_factory=dict)
    not_started: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    retries: list[str] = field(default_factory=list)
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    compute_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    workers: int = 1
    peak_worker_bytes: int = 0
    cancelled: bool = False
    exit_code: int = 0
    verdict: str = ""
    billed: dict[str, Any] = field(default_factory=dict)
    """Of a warehouse that bills: jobs, bytes and dollars of planning and publishing."""

    def count_unmatched(self, counts: Counter[tuple[str, str, str]]) -> None:
        """Sum up input rows that matched nothing, most first."""
        self.unmatched = [
            {"table": table, "source": source, "why": why, "rows": rows}
            for (table, source, why), rows in sorted(
                counts.items(), key=lambda item: (-item[1], item[0])
            )
        ]

    def settle(self, strict: bool) -> None:
        """Set exit code and the one-sentence verdict from what happened."""
        bad = len(self.failed) + len(self.quarantined)
        listed = len(self.blocked) + len(self.known_bad)
        if self.cancelled:
            self.exit_code, self.verdict = (
                130,
                (
                    f"cancelled: {len(self.published)} of {self.planned} dates were published, "
                    f"{len(self.not_started)} were not started; the same command goes on"
                ),
            )
        elif bad:
            self.exit_code, self.verdict = (
                1,
                (
                    f"{len(self.failed)} failed, {len(self.quarantined)} quarantined, "
                    f"{len(self.published)} of {self.planned} dates published"
                ),
            )
        elif self.blocked and not any(self.states.get(s) for s in ("missing", "stale", "complete")):
            self.exit_code, self.verdict = 3, f"all {len(self.blocked)} dates are blocked"
        else:
            done = (
                f"all {self.planned} planned dates published" if self.planned else "nothing to do"
            )
            self.exit_code, self.verdict = 0, done
        if listed and self.exit_code == 0:
            self.verdict += f"; {len(self.blocked)} blocked"
            if self.known_bad:
                self.verdict += f", {len(self.known_bad)} quarantined before on the same inputs"
            if strict:
                self.exit_code = 1


def new_report(plan: Plan, run_id: str, table: str, warehouse: str, workers: int) -> Report:
    """The report of a run that has not begun: what the plan says of it."""
    taken = {d.day for d in plan.selected}
    return Report(
        run_id=run_id,
        job=plan.job,
        table=table,
        warehouse=warehouse,
        code_version=plan.code_version,
        job_options=plan.job_options,
        planned=len(plan.selected),
        states=plan.counts(),
        blocked={str(d.day): d.reason for d in plan.decisions if d.state == "blocked"},
        known_bad={
            str(d.day): d.reason for d in plan.decisions if d.known_bad and d.day not in taken
        },
        notes={str(d.day): list(d.notes) for d in plan.selected if d.notes},
        workers=workers,
    )


def save_report(warehouse: Warehouse, report: Report) -> None:
    data = json.dumps(asdict(report), indent=1).encode()
    warehouse.put_object(f"reports/{report.run_id}.json", data)


def past_rate(warehouse: Warehouse, job: str) -> float | None:
    """Rows a second of this job's newest run that published; None without one."""
    for key in sorted(warehouse.list_objects("reports/"), reverse=True)[:20]:
        try:
            found: Mapping[str, Any] = json.loads(warehouse.get_object(key) or b"{}")
        except ValueError:
            continue  # cut short: it says nothing
        if found.get("job") == job and found.get("rows") and found.get("compute_seconds"):
            return float(found["rows"]) / float(found["compute_seconds"])
    return None
