"""Progress as a fold over events, which may repeat and come in any order.

The driver's display, the progress actor, `watch` and `status` all use this one fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WORKING", "Progress", "fold"]

WORKING = "working"
"""The phase of a run in which its workers are there."""


@dataclass
class Progress:
    """What is known of a run. Days are ISO text, times are seconds since the epoch (UTC)."""

    run_id: str = ""
    job: str = ""
    table: str = ""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    planned: dict[str, int] = field(default_factory=dict)
    """Day -> expected rows."""
    published: dict[str, int] = field(default_factory=dict)
    """Day -> rows; 0 where it was removed, or published empty."""
    empty: dict[str, str] = field(default_factory=dict)
    """Day -> why it was published without rows."""
    problems: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Day -> (`failed` or `quarantined`, message)."""
    spans: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Span -> its latest attempt, stage and whether it is done."""
    retries: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    phase: str = ""
    worked_from: float | None = None
    """When the workers were there: what came before says nothing of their speed."""
    first_published: float | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one event in; events of unknown kinds are left alone."""
        handler = getattr(self, f"_on_{event.get('event')}", None)
        if handler is not None:
            handler(event)

    def _on_run(self, event: Mapping[str, Any]) -> None:
        self.run_id, self.job, self.table = event["run_id"], event["job"], event["table"]
        self.started = event["at"]
        self.planned = dict(event["planned"])
        self.workers = event["workers"]

    def _on_phase(self, event: Mapping[str, Any]) -> None:
        self.phase = event["phase"]
        if self.phase == WORKING and self.worked_from is None:
            self.worked_from = event["at"]

    def _on_stage(self, event: Mapping[str, Any]) -> None:
        span = self.spans.setdefault(event["span"], {"attempt": 0, "stage": "", "done": False})
        if event["attempt"] >= span["attempt"]:
            span["attempt"] = event["attempt"]
            span["stage"] = event["stage"]

    def _on_span_done(self, event: Mapping[str, Any]) -> None:
        span = self.spans.setdefault(event["span"], {"attempt": 0, "stage": "", "done": False})
        span["done"] = True

    def _on_published(self, event: Mapping[str, Any]) -> None:
        self.published.update(event["days"])
        self.empty.update(event.get("empty") or {})
        for day in event["days"]:
            self.problems.pop(day, None)
        if self.first_published is None or event["at"] < self.first_published:
            self.first_published = event["at"]

    def _on_attempt(self, event: Mapping[str, Any]) -> None:
        if not event.get("carried") and event["day"] not in self.published:
            self.problems[event["day"]] = (event["outcome"], event["message"])

    def _on_retry(self, event: Mapping[str, Any]) -> None:
        self.retries[f"{event['span']}#{event['attempt']}"] = event["message"]

    def _on_end(self, event: Mapping[str, Any]) -> None:
        self.ended, self.exit_code = event["at"], event["exit_code"]

    # -- what a person wants to know -------------------------------------------------------
    @property
    def done(self) -> int:
        """Days that are settled: published, failed or quarantined."""
        return len(self.published.keys() | self.problems.keys())

    @property
    def rows(self) -> int:
        return sum(self.published.values())

    def running(self) -> list[tuple[str, str]]:
        """Spans at work, with their stage."""
        return [(name, s["stage"]) for name, s in sorted(self.spans.items()) if not s["done"]]

    def rows_per_second(self, now: float) -> float | None:
        if self.worked_from is None or self.first_published is None:
            return None
        return self.rows / max(1e-9, (self.ended or now) - self.worked_from)

    def eta_seconds(self, now: float) -> float | None:
        """Seconds left, by the rows that finished spans took; None while that is not known."""
        finished = any(span["done"] for span in self.spans.values())
        if not finished or self.worked_from is None or not self.rows:
            return None
        settled = self.published.keys() | self.problems.keys()
        left = sum(rows for day, rows in self.planned.items() if day not in settled)
        worked = sum(self.planned.get(day, 0) for day in settled)
        return (now - self.worked_from) * left / worked if worked else None


def fold(events: Iterable[Mapping[str, Any]]) -> Progress:
    """The progress that events amount to."""
    progress = Progress()
    for event in events:
        progress.apply(event)
    return progress
