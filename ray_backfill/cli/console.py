"""All that is printed goes through here: tables, JSON, notes, errors.

Results go to stdout, everything about the work itself to stderr, so that `--json` can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ray_backfill.errors import BackfillError

__all__ = ["error", "json_out", "note", "stderr", "stdout", "table", "text_out"]


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
        out.add_column(name, justify="right" if name in right else "left", overflow="fold")
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
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, default=_encode, ensure_ascii=False, indent=2) + "\n")


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

    stderr().print(Text(text))


def error(problem: BackfillError) -> None:
    """What happened and what to do, to stderr."""
    from rich.text import Text

    console = stderr()
    console.print(Text.assemble(("error: ", "bold red"), problem.message))
    if problem.hint:
        console.print(Text(f"  {problem.hint}"))
