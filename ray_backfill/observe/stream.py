"""Writes log lines as JSON: in the driver to its stderr, in a worker to the log Ray keeps of it.

What a job or a library says through `logging` and `warnings` becomes a line too, with the run
and the span that it was said in; `logger.warning("…", extra={"date": day})` gives it a date.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from contextvars import ContextVar
from typing import Any

from ray_backfill.observe.logs import line, lines_of
from ray_backfill.redact import redacted

__all__ = ["Log", "at_span", "heard", "overheard", "to_stderr", "worker_log"]

_OURS = frozenset({"published", "stage", "span_done", "handover", "phase"})
"""Kinds whose words are all our own: no credentials to look for in the most frequent lines."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SPAN: ContextVar[str | None] = ContextVar("span", default=None)


def to_stderr(text: str) -> None:
    """Write text to file descriptor 2, past Python's buffers.

    A signal's handler may do so while the program is writing: a buffered stream would raise
    there. Nobody reading any more is no reason to end a run.
    """
    data = text.encode("utf-8", "backslashreplace")
    with suppress(OSError):
        while data:
            data = data[os.write(2, data) :]


class Log:
    """The log of one run: JSON lines, each with the run's id once there is one.

    `quiet` leaves out what is no warning, but for notes and the run's end.
    """

    def __init__(
        self,
        job: str,
        run: str | None = None,
        span: str | None = None,
        *,
        quiet: bool = False,
        write: Callable[[str], None] = to_stderr,
    ) -> None:
        self._job = job
        self._run = run
        self._span = span
        self._quiet = quiet
        self._write = write
        self._lock = threading.RLock()

    def event(self, event: Mapping[str, Any]) -> None:
        """Write the lines of an event of the driver or of a worker."""
        if event["event"] == "run":
            self._run = event["run_id"]
        for one in lines_of(event, self._run or "", self._job):
            if not self._quiet or one["level"] != "info" or one["event"] == "end":
                self._put(one)

    def note(self, message: str, level: str = "info", event: str = "note", **fields: Any) -> None:
        """Write a line that is no event of the run; `date` may be among the fields."""
        span = _SPAN.get() or self._span
        said = line(time.time(), level, event, message, run=self._run, job=self._job, span=span)
        self._put(said | fields)

    def failure(self, message: str, error: BaseException) -> None:
        """Write an error that nobody expected, with its traceback."""
        text = "".join(traceback.format_exception(error))
        self.note(message, level="error", event="error", traceback=text)

    def _put(self, one: Mapping[str, Any]) -> None:
        if one["event"] not in _OURS:
            one = {n: redacted(v) if isinstance(v, str) else v for n, v in one.items()}
        text = json.dumps(one, default=str, ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            self._write(text + "\n")


class _Ear(logging.Handler):
    """Makes lines of log records."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if (day := getattr(record, "date", None)) is not None:
            fields["date"] = str(day)
        if record.exc_info and record.exc_info[1] is not None:
            fields["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        names = ((logging.ERROR, "error"), (logging.WARNING, "warning"))
        level = next((name for least, name in names if record.levelno >= least), "info")
        try:
            self._log.note(record.getMessage().strip(), level, "log", **fields)
        except Exception:  # noqa: BLE001 - what logging itself does about it
            self.handleError(record)


class _Said(io.TextIOBase):
    """A stream whose lines become log lines: for what others print."""

    def __init__(self, log: Log, level: str, name: str) -> None:
        self._log, self._level, self._name = log, level, name
        self._rest = ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for one in lines:
            if said := _COLOUR.sub("", one).strip():
                self._log.note(said, self._level, "log", logger=self._name)
        return len(text)


@contextmanager
def overheard(log: Log) -> Iterator[None]:
    """Make lines of what is printed while the block runs: Ray tells of dead workers on stdout."""
    with (
        redirect_stdout(_Said(log, "info", "stdout")),
        redirect_stderr(_Said(log, "warning", "stderr")),
    ):
        yield


@contextmanager
def heard(log: Log) -> Iterator[None]:
    """Make lines of log records and Python warnings while the block runs."""
    ear, root = _Ear(log), logging.getLogger()
    root.addHandler(ear)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(ear)


@contextmanager
def at_span(span: str) -> Iterator[None]:
    """Lines that are written in the block, in this thread, name the span."""
    before = _SPAN.set(span)
    try:
        yield
    finally:
        _SPAN.reset(before)


@contextmanager
def worker_log(job: str, run_id: str, span: str, attempt: int) -> Iterator[Log]:
    """The log of a worker at a task: every line names run and span, and so does what ends it."""
    log = Log(job, run_id, span)
    with heard(log):
        try:
            yield log
        except Exception as error:
            log.failure(f"{span}, attempt {attempt}: {type(error).__name__}", error)
            raise
