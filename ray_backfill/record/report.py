"""The end report of a run: what was published, skipped, failed and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ray_backfill.plan import Plan
from ray_backfill.plan.sizing import BASE_BYTES
from ray_backfill.record import state
from ray_backfill.record.state import REPORTS
from ray_backfill.untrusted import doubt, parsed, shaped
from ray_backfill.warehouse import Warehouse

__all__ = ["Report", "new_report", "past_memory_factor", "past_rate", "save_report"]


_JUDGED_RUNS = 10
_TELLING_BYTES = 64 * 2**20
_MARGIN = 1.25
_LEAST_FACTOR = 2.0
_SHAPE = {"rows": int, "compute_seconds": float, "memory_factor": float}
"""What a report must hold for the next plan to learn from it."""


@dataclass
class Report:
    """Kept as JSON under `reports/<table>/<run>.json`; days are ISO text."""

    run_id: str
    job: str
    table: str
    warehouse: str
    code_version: str
    job_options: str
    planned: int
    states: dict[str, int]
    published: dict[str, int] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    """Published without rows, each with the reason."""
    removed: list[str] = field(default_factory=list)
    restamped: list[str] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    rebuild: str = ""
    """Of a run that writes the table anew: whether it took the place of the old one."""
    kept: dict[str, str] = field(default_factory=dict)
    """Dates that would have lost rows which nobody said may be lost."""
    too_large: dict[str, str] = field(default_factory=dict)
    known_bad: dict[str, str] = field(default_factory=dict)
    not_started: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    retries: list[dict[str, Any]] = field(default_factory=list)
    """Each with span, attempt, kind (infrastructure, code, data), action and message."""
    retry_counts: dict[str, int] = field(default_factory=dict)
    """Kind -> retries and splits."""
    warnings: list[str] = field(default_factory=list)
    """What is doubtful about the run as a whole, and no date's own."""
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    """What was left out or doubted, see `left_out`."""
    names: list[dict[str, Any]] = field(default_factory=list)
    """Names that match nobody, see `unmatched_names`."""
    seconds: float = 0.0
    compute_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    workers: int = 1
    at_once: int = 0
    """Tasks that were at work at once, at most: a cluster may have had less room than asked."""
    peak_worker_bytes: int = 0
    memory_factor: float = 0.0
    """Highest (peak - base) ÷ estimated data of a task; the next plan's estimates come of it."""
    cancelled: bool = False
    exit_code: int = 0
    verdict: str = ""
    billed: dict[str, Any] = field(default_factory=dict)
    """Of a warehouse that bills: jobs, bytes and dollars of planning and publishing."""

    def count_retry(self, span: str, attempt: int, kind: str, action: str, message: str) -> None:
        """Note that a task failed and is tried again or split."""
        self.retries.append(
            {"span": span, "attempt": attempt, "kind": kind, "action": action, "message": message}
        )
        self.retry_counts[kind] = self.retry_counts.get(kind, 0) + 1

    def learn_memory(self, peak_bytes: int, data_bytes: int) -> None:
        """Note what a task needed; small ones say nothing of how the need grows."""
        self.peak_worker_bytes = max(self.peak_worker_bytes, peak_bytes)
        if data_bytes >= _TELLING_BYTES:
            grown = max(0, peak_bytes - BASE_BYTES) / data_bytes
            self.memory_factor = max(self.memory_factor, round(grown, 3))

    def settle(self, strict: bool) -> None:
        """Set exit code and the one-sentence verdict from what happened."""
        lost = len(self.not_started)
        settled = len(self.published) + len(self.empty) + len(self.removed)
        done = f"{settled} of {self.planned} dates published{self._of_them()}"
        if self.cancelled:
            self.exit_code = 130
            self.verdict = (
                f"cancelled: {done}, {len(self.not_started)} were not; "
                f"`ray-backfill run {self.job}` goes on with what is missing or stale"
            )
        elif self.failed or self.quarantined or self.known_bad or self.too_large or lost:
            self.exit_code = 1
            parts = [f"{len(self.failed)} failed, {len(self.quarantined)} quarantined, {done}"]
            if self.too_large:
                parts.append(f"{len(self.too_large)} do not fit in --worker-memory")
            if lost:
                parts.append(
                    f"{lost} were planned and never came back from their worker: run again, and "
                    "report it if it stays so"
                )
            if self.known_bad:
                parts.append(
                    f"{len(self.known_bad)} quarantined before on the same inputs: they wait for "
                    "other data, or for --select failed"
                )
            self.verdict = "; ".join(parts)
        elif self.blocked and not any(self.states.get(s) for s in ("missing", "stale", "complete")):
            self.exit_code, self.verdict = 3, f"all {len(self.blocked)} dates are blocked"
        else:
            self.exit_code = 1 if strict and self.blocked else 0
            self.verdict = (
                f"all {self.planned} planned dates published{self._of_them()}"
                if self.planned
                else "nothing to do"
            )
            if self.blocked:
                self.verdict += f"; {len(self.blocked)} blocked"
        if self.rebuild:
            self.verdict += f"; {self.rebuild}"
        if self.kept and self.exit_code != 130:
            self.exit_code = 3
            self.verdict += (
                f"; {len(self.kept)} keep rows that would be lost: "
                f"--allow-removals {len(self.kept)}, if that is meant"
            )

    def _of_them(self) -> str:
        counts = [(len(self.empty), "empty"), (len(self.removed), "removed")]
        told = ", ".join(f"{count} of them {what}" for count, what in counts if count)
        return f", {told}" if told else ""


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
        kept={str(day): why for day, why in plan.kept.items()},
        quarantined={str(day): why for day, why in plan.shrinking.items()},
        too_large={str(day): why for day, why in plan.too_large.items()},
        known_bad={
            str(d.day): d.reason for d in plan.decisions if d.known_bad and d.day not in taken
        },
        notes={str(d.day): list(d.notes) for d in plan.selected if d.notes},
        workers=workers,
    )


def save_report(warehouse: Warehouse, report: Report) -> None:
    data = json.dumps(asdict(report), indent=1).encode()
    warehouse.put_object(state.key(REPORTS, report.table, report.run_id), data)


def past_rate(warehouse: Warehouse, table: str) -> float | None:
    """Rows a second over an output's last few runs that published; None without one.

    Taken together, so that a run of one date weighs no more than its rows.
    """
    rows = seconds = 0.0
    for found in _last_reports(warehouse, table):
        if found["rows"] > 0 and found["compute_seconds"] > 0:
            rows += found["rows"]
            seconds += found["compute_seconds"]
    return rows / seconds if seconds else None


def past_memory_factor(warehouse: Warehouse, table: str) -> float | None:
    """What the last runs of an output say of `Sizing.factor`, with a margin; None without one."""
    factors = [found["memory_factor"] for found in _last_reports(warehouse, table)]
    return max(_LEAST_FACTOR, _MARGIN * max(factors)) if any(factors) else None


def _last_reports(warehouse: Warehouse, table: str) -> Iterator[Mapping[str, Any]]:
    for run in state.newest(warehouse, REPORTS, table, _JUDGED_RUNS):
        key = state.key(REPORTS, table, run.run_id)
        found = parsed(warehouse.get_object(key))
        if shaped(found, _SHAPE) and found.get("table") == table:
            yield found
        else:
            doubt(f"The report {key} in {warehouse.uri} is of another shape: it counts as absent.")
