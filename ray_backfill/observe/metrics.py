"""What a run counts for Prometheus, through Ray: each node's agent exports it.

Ray puts `ray_` before each name and `_total` behind a counter's, and adds a label for the
process, so that runs never share a series. Gauges are gone 20 seconds after their run (twice
`metrics_report_interval_ms`); counters and histograms stay with the node. A run without Ray has
no metrics, and those of a Ray that a run started for itself end with the run.

A series' job is `backfill_job`: Prometheus has a label `job` of its own for what it scrapes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ray_backfill.record.progress import Progress

__all__ = ["SPECS", "Metrics", "Spec", "exported"]

_OF = ("backfill_job", "table")
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of a stage's seconds: 0.03-0.4 measured in a lake, 0.1-0.5 in BigQuery; a hundred times
that for spans as large as they come.
"""


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric: its name without Ray's `ray_`, kind, meaning with unit, own labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


SPECS = (
    Spec(
        "backfill_dates",
        "gauge",
        "Dates of the run by state: planned, published, failed, quarantined, blocked, waiting.",
        ("state",),
    ),
    Spec(
        "backfill_settled_dates",
        "counter",
        "Dates that were settled, by outcome: published, failed, quarantined.",
        ("outcome",),
    ),
    Spec("backfill_published_rows", "counter", "Rows that were published."),
    Spec("backfill_staged_bytes", "counter", "Bytes that workers wrote to be published."),
    Spec(
        "backfill_stage_seconds",
        "histogram",
        "Seconds of a stage, for each handover. Ray makes the sum from the middles of the buckets.",
        ("stage",),
    ),
    Spec(
        "backfill_retries",
        "counter",
        "Spans that were tried again or split, by the kind of failure: infrastructure, data, code.",
        ("kind",),
    ),
    Spec("backfill_spans", "gauge", "Spans by state: waiting, running.", ("state",)),
    Spec("backfill_slots", "gauge", "Spans that may run at once, now."),
    Spec("backfill_worker_peak_bytes", "gauge", "Largest resident size of a worker of the run."),
    Spec("backfill_eta_seconds", "gauge", "Seconds that the run is expected to take still."),
    Spec("backfill_run_seconds", "gauge", "Seconds since the run began, at its last event."),
    Spec("backfill_run_info", "gauge", "1 for a run that is there, by its id.", ("run",)),
    Spec("backfill_runs", "counter", "Runs that ended, by exit code.", ("exit_code",)),
    Spec("backfill_last_exit_code", "gauge", "Exit code of the run that ended last."),
    Spec(
        "backfill_last_end_timestamp_seconds",
        "gauge",
        "When the last run ended, in seconds since 1970 (UTC).",
    ),
)


def exported(spec: Spec) -> tuple[str, ...]:
    """The names under which Prometheus knows a metric."""
    if spec.kind == "histogram":
        return tuple(f"ray_{spec.name}_{part}" for part in ("bucket", "sum", "count"))
    return (f"ray_{spec.name}_total" if spec.kind == "counter" else f"ray_{spec.name}",)


class Metrics:
    """The metrics of one run. Make it when Ray is there; `apply` takes each event after that.

    `progress` is the driver's own fold of its events, which is ahead of `apply` or level with it.
    """

    def __init__(self, job: str, table: str, progress: Progress, blocked: int = 0) -> None:
        self._made = _made(job, table)
        self._progress = progress
        self._blocked = blocked
        self._peak = 0
        if progress.run_id:
            self._set("backfill_run_info", 1, run=progress.run_id)
        self._show_dates()

    def apply(self, event: Mapping[str, Any]) -> None:
        """Count an event; kinds that are not known here, and fields that are missing, are not."""
        handler = getattr(self, f"_on_{event.get('event')}", None)
        if handler is not None:
            handler(event)
        if self._progress.started is not None:
            self._set("backfill_run_seconds", max(0.0, event["at"] - self._progress.started))

    def _on_published(self, event: Mapping[str, Any]) -> None:
        rows = [count for count in event["days"].values() if count]
        self._add("backfill_published_rows", sum(rows))
        settled = len(rows) + len(event.get("empty") or ())
        self._add("backfill_settled_dates", settled, outcome="published")
        self._show_dates()

    def _on_attempt(self, event: Mapping[str, Any]) -> None:
        if not event.get("carried"):
            self._add("backfill_settled_dates", 1, outcome=event["outcome"])
            self._show_dates()

    def _on_retry(self, event: Mapping[str, Any]) -> None:
        self._add("backfill_retries", 1, kind=event.get("kind", "unknown"))

    def _on_handover(self, event: Mapping[str, Any]) -> None:
        for stage, seconds in event.get("seconds", {}).items():
            self._made["backfill_stage_seconds"].observe(float(seconds), {"stage": stage})
        self._add("backfill_staged_bytes", event.get("bytes", 0))
        self._peak = max(self._peak, event.get("peak_bytes", 0))
        self._set("backfill_worker_peak_bytes", self._peak)

    def _on_span_done(self, event: Mapping[str, Any]) -> None:
        self._show_dates()

    def _on_queue(self, event: Mapping[str, Any]) -> None:
        for state in ("waiting", "running"):
            self._set("backfill_spans", event[state], state=state)
        self._set("backfill_slots", event["slots"])

    def _on_end(self, event: Mapping[str, Any]) -> None:
        self._show_dates()
        self._on_queue({"waiting": 0, "running": 0, "slots": 0})
        self._set("backfill_eta_seconds", 0)
        self._add("backfill_runs", 1, exit_code=str(event["exit_code"]))
        self._set("backfill_last_exit_code", event["exit_code"])
        self._set("backfill_last_end_timestamp_seconds", event["at"])

    def _show_dates(self) -> None:
        progress = self._progress
        outcomes = Counter(outcome for outcome, _ in progress.problems.values())
        settled = progress.published.keys() | progress.problems.keys()
        found = {
            "planned": len(progress.planned),
            "published": sum(bool(n) or d in progress.empty for d, n in progress.published.items()),
            "failed": outcomes["failed"],
            "quarantined": outcomes["quarantined"],
            "blocked": self._blocked,
            "waiting": len(progress.planned.keys() - settled),
        }
        for state, count in found.items():
            self._set("backfill_dates", count, state=state)
        left = progress.eta_seconds(time.time())
        if left is not None:
            self._set("backfill_eta_seconds", left)

    def _set(self, name: str, value: float, **labels: str) -> None:
        self._made[name].set(float(value), labels)

    def _add(self, name: str, value: float, **labels: str) -> None:
        if value > 0:  # Ray's counters refuse zero
            self._made[name].inc(float(value), labels)


def _made(job: str, table: str) -> dict[str, Any]:
    from ray.util import metrics

    always = {"backfill_job": job, "table": table}
    found: dict[str, Any] = {}
    for spec in SPECS:
        labels = (*_OF, *spec.labels)
        if spec.kind == "histogram":
            one: Any = metrics.Histogram(spec.name, spec.meaning, list(_SECONDS), labels)
        elif spec.kind == "counter":
            one = metrics.Counter(spec.name, spec.meaning, labels)
        else:
            one = metrics.Gauge(spec.name, spec.meaning, labels)
        found[spec.name] = one.set_default_tags(always)
    return found
