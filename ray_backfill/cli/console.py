"""All that is printed goes through here: tables, JSON, notes, errors.

Results go to stdout, everything about the work itself to stderr, so that `--json` can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from ray_backfill.errors import BackfillError
from ray_backfill.job.blame import lacking

if TYPE_CHECKING:
    from rich.console import Console

    from ray_backfill.observe.stream import Log

__all__ = [
    "error",
    "in_lines",
    "json_out",
    "later",
    "note",
    "stderr",
    "stdout",
    "table",
    "tell_later",
    "text_out",
    "warn",
]

_WHOLE = ("run", "id")
"""Columns whose values people copy: they are not folded."""
_later: list[str] = []
"""Warnings that wait until it is known how this command speaks."""
_log: Log | None = None
"""Where notes and errors go as JSON lines, while `in_lines` says so."""


def stdout() -> Console:
    """The console of results; wide enough for scripts where there is no terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


@cache
def stderr() -> Console:
    """The console of progress, notes and errors: one, so that notes stand above a live display."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
) -> None:
    """Print a table to stdout; `right` names the columns that are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        out.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name in _WHOLE,
        )
    for row in rows:
        out.add_row(*(Text(_cell(value)) for value in row))
    console = stdout()
    if not sys.stdout.isatty():
        console.width = 240
    console.print(out)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def json_out(value: object) -> None:
    """Print one JSON document to stdout; in ASCII where that may hold nothing else."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(value, default=_encode, ensure_ascii=ascii_only, indent=2)
    sys.stdout.write(text + "\n")


def text_out(text: str) -> None:
    """Print text to stdout as it is."""
    sys.stdout.write(text)


def _encode(value: Any) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def note(text: str) -> None:
    """A line about the work, to stderr."""
    from rich.text import Text

    if _log is not None:
        _log.note(text)
    else:
        stderr().print(Text(text))


def warn(text: str) -> None:
    """A line about something that went wrong beside the work, to stderr."""
    from rich.text import Text

    if _log is not None:
        _log.note(text, level="warning")
    else:
        stderr().print(Text(text, "yellow"))


def later(text: str) -> None:
    """A warning from before it is known whether this command writes text or log lines."""
    _later.append(text)


def tell_later() -> None:
    """Say what waited."""
    while _later:
        warn(_later.pop(0))


def error(problem: BackfillError) -> None:
    """What happened and what to do, to stderr."""
    from rich.text import Text

    if _log is not None:
        code = problem.exit_code
        _log.note(problem.message, "error", "error", hint=problem.hint, exit_code=code)
        return
    console = stderr()
    console.print(Text.assemble(("error: ", "bold red"), problem.message))
    if problem.hint:
        console.print(Text(f"  {problem.hint}"))


@contextmanager
def in_lines(log: Log | None) -> Iterator[None]:
    """While the block runs, all that goes to stderr are lines of this log, the error that ends
    it too; None changes nothing.
    """
    global _log
    if log is None:
        yield
        return
    from ray_backfill.observe.stream import heard

    before, _log = _log, log
    tell_later()
    try:
        with heard(log):
            yield
    except typer.Exit:
        raise
    except BackfillError as problem:
        error(problem)
        raise typer.Exit(problem.exit_code) from problem
    except ModuleNotFoundError as problem:
        error(refused := lacking(problem))
        raise typer.Exit(refused.exit_code) from problem
    except Exception as problem:
        log.failure(f"Ended by {type(problem).__name__}: {problem}", problem)
        raise typer.Exit(1) from problem
    finally:
        _log = before
