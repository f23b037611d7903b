"""How a run looks while it works: a live display on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ray_backfill.observe.stream import Log
    from ray_backfill.record.progress import Progress

__all__ = [
    "LogFormat",
    "LogFormatOption",
    "human_seconds",
    "live",
    "log_lines",
    "log_of",
    "render",
    "shown",
]


class LogFormat(StrEnum):
    """How a run tells what it does."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar="RAY_BACKFILL_LOG_FORMAT",
        help="How stderr tells of the run: json, a line an event, for programs; text, for "
        "people; auto, text on a terminal and json elsewhere.",
    ),
]
"""Use as `log_format: LogFormatOption = LogFormat.AUTO`."""

_MOST_PROBLEMS = 5
_MOST_SPANS = 8


def log_of(log_format: LogFormat, job: str, *, quiet: bool) -> Log | None:
    """The log that a run of a job writes to stderr; None where people read it instead."""
    from ray_backfill.observe.stream import Log

    for_people = log_format == LogFormat.TEXT or (
        log_format == LogFormat.AUTO and sys.stderr.isatty()
    )
    return None if for_people else Log(job, quiet=quiet)


def human_seconds(seconds: float | None) -> str:
    """`4 s`, `2 min 05 s`, `1 h 10 min`."""
    if seconds is None:
        return "estimating"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def summary(progress: Progress, now: float) -> str:
    """One line: dates, rows, speed, time left."""
    rate = progress.rows_per_second(now)
    speed = f"{rate:,.0f} rows/s" if rate is not None else "– rows/s"
    text = f"{progress.done}/{len(progress.planned)} dates, {progress.rows:,} rows, {speed}"
    if progress.ended is None:
        text += f", left: {human_seconds(progress.eta_seconds(now))}"
    if progress.problems:
        text += f", {len(progress.problems)} not published"
    return text


def render(progress: Progress, now: float) -> RenderableType:
    """The live picture: a bar, the running spans, the newest problems."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    total = max(1, len(progress.planned))
    elapsed = human_seconds((progress.ended or now) - (progress.started or now))
    parts: list[RenderableType] = [
        Text(f"{progress.job} → {progress.table}   run {progress.run_id}   {elapsed}", "bold"),
        # Padded by nothing: a bar alone does not end its line.
        Padding(ProgressBar(total=total, completed=progress.done, width=60), 0),
        Text(summary(progress, now)),
    ]
    running = progress.running()
    if progress.phase and not progress.spans:
        parts.append(Text(f"  {progress.phase}", "dim"))
    parts += [Text(f"  {name}  {stage}", "dim") for name, stage in running[:_MOST_SPANS]]
    if len(running) > _MOST_SPANS:
        parts.append(Text(f"  and {len(running) - _MOST_SPANS} more spans", "dim"))
    if progress.retries:
        parts.append(Text(f"  {len(progress.retries)} retries or splits", "yellow"))
    for day, (outcome, message) in list(progress.problems.items())[-_MOST_PROBLEMS:]:
        parts.append(Text(f"  {outcome} {day}: {message}", "red"))
    return Group(*parts)


@contextmanager
def shown(progress: Progress, *, quiet: bool) -> Iterator[None]:
    """Show a progress that changes while the block runs."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with live(progress):
            yield
    else:
        with log_lines(progress):
            yield


@contextmanager
def live(progress: Progress) -> Iterator[None]:
    """Redraw a few times a second until the block ends."""
    from rich.live import Live

    class _Now:
        def __rich__(self) -> RenderableType:
            return render(progress, time.time())

    with Live(_Now(), console=console.stderr(), refresh_per_second=5):
        yield


@contextmanager
def log_lines(progress: Progress, seconds: float = 5.0) -> Iterator[None]:
    """A line at the start, every few seconds when something changed, at each problem, the end."""
    stop = threading.Event()
    printer = _LinePrinter(progress)
    thread = threading.Thread(target=printer.loop, args=(stop, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        printer.step()


class _LinePrinter:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last: Any = None
        self._problems: set[str] = set()
        self._began = False

    def loop(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds if self._began else 0.2):
            self.step()

    def step(self) -> None:
        progress = self._progress
        if not progress.started:
            return
        if not self._began:
            self._began = True
            console.note(
                f"{_clock()} run {progress.run_id}: {progress.job} → {progress.table}, "
                f"{len(progress.planned)} dates planned"
            )
        for day, (outcome, message) in sorted(progress.problems.items()):
            if day not in self._problems:
                self._problems.add(day)
                console.note(f"{_clock()} {outcome} {day}: {message}")
        state = (progress.done, progress.rows)
        if state != self._last and progress.done:
            self._last = state
            console.note(f"{_clock()} {summary(progress, time.time())}")


def _clock() -> str:
    return time.strftime("%H:%M:%S")
