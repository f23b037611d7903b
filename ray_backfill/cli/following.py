"""Shows a job of a cluster while it works, and how it ended; for `submit`, `jobs` and `watch`."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from ray_backfill.cli import console
from ray_backfill.record.progress import Progress

if TYPE_CHECKING:
    from ray_backfill.cluster.client import JobApi, JobFacts
    from ray_backfill.cluster.submission import Outcome

__all__ = ["Followed", "exit_code_of", "print_how", "progress_of", "to_the_end"]

_RAYS_OWN = re.compile(r"Running entrypoint for job |\S+ \S+ INFO job_manager\.py:\d+ -- ")
"""Lines of a job's log that say what the screen says already."""


@dataclass
class Followed:
    """What was seen of a job to its end."""

    status: str
    exit_code: int
    progress: Progress

    def as_json(self) -> dict[str, Any]:
        seen = self.progress
        return {
            "status": self.status,
            "exit_code": self.exit_code,
            "run": seen.run_id or None,
            "job": seen.job or None,
            "planned": len(seen.planned),
            "published": len(seen.published),
            "rows": seen.rows,
            "problems": {
                day: {"outcome": outcome, "why": why}
                for day, (outcome, why) in sorted(seen.problems.items())
            },
        }


def to_the_end(api: JobApi, submission_id: str, *, quiet: bool, patience: float) -> Followed:
    """Show a job until it has ended. Ctrl-C ends the following alone, with exit 130."""
    from ray_backfill.cluster.follow import follow

    screen = _Screen(quiet=quiet)
    try:
        with screen.on():
            facts = follow(
                api, submission_id, line=screen.line, note=console.note, patience=patience
            )
    except KeyboardInterrupt:
        console.note(f"Not following any more; {submission_id} goes on.")
        print_how(api, submission_id)
        raise typer.Exit(130) from None
    outcome = _outcome(facts)
    if screen.verdict:
        console.note(screen.verdict)
    console.note(f"{submission_id}: {facts.status}, exit {outcome.exit_code}")
    if outcome.sentence:
        console.note(outcome.sentence)
    if screen.hint:
        console.note(screen.hint)
    return Followed(facts.status, outcome.exit_code, screen.progress)


def exit_code_of(facts: JobFacts) -> int:
    """The exit code that a job's end means."""
    return _outcome(facts).exit_code


def _outcome(facts: JobFacts) -> Outcome:
    from ray_backfill.cluster.submission import outcome_of

    return outcome_of(facts.status, facts.exit_code, facts.error_type, facts.message)


def progress_of(log: str) -> Progress:
    """What a job's whole log says of its run."""
    screen = _Screen(quiet=True)
    for text in log.splitlines():
        screen.fold(text)
    return screen.progress


def print_how(api: JobApi, submission_id: str) -> None:
    """The commands that follow and stop a job."""
    where = ["--address", api.shown]
    for verb, words in (
        ("Follow it:", ["jobs", "logs", submission_id, "--follow", *where]),
        ("Stop it:  ", ["jobs", "stop", submission_id, *where]),
    ):
        console.note(f"{verb} {shlex.join(['ray-backfill', *words])}")


@dataclass
class _Screen:
    """A job's log as it is best read: folded into a live display on a terminal, else as it is."""

    quiet: bool
    progress: Progress = field(default_factory=Progress)
    hint: str = ""
    verdict: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _drawn: bool = False

    @contextmanager
    def on(self) -> Iterator[None]:
        with self._stack:
            yield

    def line(self, text: str) -> None:
        """Take one line of the log in."""
        record, known = self.fold(text)
        if "No module named" in text and "ray_backfill" in text:
            self.hint = (
                "The cluster's Python lacks ray-backfill: ship a checkout that holds it, or use "
                "--image, or --python for another one."
            )
        if self.quiet:
            if record is None and not _RAYS_OWN.match(text):
                console.note(text)
            elif record is not None and record.get("level") in ("warning", "error"):
                self._say(record, text)
        elif not sys.stderr.isatty():
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        elif record is None and not _RAYS_OWN.match(text):
            console.note(text)
        elif record is not None and not known and _is_for_people(record):
            self._say(record, text)

    def _say(self, record: Mapping[str, Any], text: str) -> None:
        said = (record.get("message") or text, record.get("hint"))
        console.note("\n  ".join(str(part) for part in said if part))

    def fold(self, text: str) -> tuple[dict[str, Any] | None, bool]:
        """A line's JSON, and whether it tells of the run's progress.

        The display stands from the first such line on.
        """
        from ray_backfill.cli.display import live
        from ray_backfill.observe.logs import event_of

        record = _record(text)
        event = None if record is None else event_of(record)
        if event is None or not hasattr(Progress, f"_on_{event['event']}"):
            return record, False
        self.progress.apply(event)
        if event["event"] == "end":
            self.verdict = str((record or {}).get("message") or "")
            # What comes after it is the report, which stands below the display.
            self._stack.close()
        if self.progress.started and not self._drawn and not self.quiet and sys.stderr.isatty():
            self._drawn = True
            self._stack.enter_context(live(self.progress))
        return record, True


def _is_for_people(record: Mapping[str, Any]) -> bool:
    """Of lines that the display does not show: what the run told its user, and what went wrong."""
    return record.get("event") == "note" or record.get("level") != "info"


def _record(text: str) -> dict[str, Any] | None:
    """A line that is one JSON object."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
