"""Names that become paths, SQL or object keys: one rule for each kind of them.

They are checked where the thing with the name is made, so that nothing further in has to ask.
Each function gives the name back, or raises `UsageError` with the rule that it breaks.
"""

from __future__ import annotations

import re

from ray_backfill.errors import UsageError

__all__ = [
    "RUN",
    "TABLE",
    "column_name",
    "field_name",
    "job_name",
    "job_spec",
    "run_id",
    "shown",
    "table_name",
]

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"

TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,119}\.[A-Za-z0-9_]{1,120}", re.ASCII)
"""`dataset.table`: two folders of a lake, and a table of BigQuery."""

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}", re.ASCII)
_RESERVED = re.compile(r"__|_(TABLE|FILE|PARTITION|ROW_TIMESTAMP|COLIDENTIFIER)", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
_SPEC = re.compile(rf"{_WORD}(\.{_WORD})*:{_WORD}", re.ASCII)
_LONGEST_SPEC = 300

RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
"""A run's id: part of object keys, of files' names and of BigQuery's job ids."""


def shown(text: str) -> str:
    """Text of unknown origin as it may stand in a message: quoted, printable, not endless."""
    return ascii(text if len(text) <= 80 else f"{text[:80]}…")


def _kept(text: str, good: object, wrong: str, hint: str) -> str:
    """The text itself where it is `good`; else an error that says what is `wrong` with it."""
    if good:
        return text
    raise UsageError(f"{shown(text)} {wrong}.", hint=hint)


def table_name(text: str) -> str:
    """`dataset.table`."""
    hint = "Write it as dataset.table, in letters, digits and underscores."
    return _kept(text, TABLE.fullmatch(text), "is not a table's name", hint)


def column_name(text: str) -> str:
    """A column: what stands in SQL and in the folders of partitions without being quoted."""
    good = _COLUMN.fullmatch(text) and not _RESERVED.match(text)
    hint = (
        "A column has letters, digits and underscores, begins with no digit, and with none "
        "of the prefixes that BigQuery keeps for itself."
    )
    return _kept(text, good, "is not a column's name", hint)


def field_name(text: str) -> str:
    """An input or a view of a job: what a fingerprint lists as `name=digest;name=digest`."""
    hint = "Use letters, digits and underscores, and begin with a letter."
    return _kept(text, _FIELD.fullmatch(text), "cannot name an input or a view", hint)


def job_name(text: str) -> str:
    """What a job calls itself."""
    hint = "Use letters, digits, underscores, hyphens and dots, up to 100 of them."
    return _kept(text, _JOB.fullmatch(text), "is not a job's name", hint)


def job_spec(text: str) -> str:
    """What a job is run as: its name, or `package.module:ATTRIBUTE`."""
    if ":" not in text:
        return job_name(text)
    good = len(text) <= _LONGEST_SPEC and _SPEC.fullmatch(text)
    return _kept(text, good, "is not a job", "Give its name, or write package.module:ATTRIBUTE.")


def run_id(text: str) -> str:
    """The id of a run."""
    hint = "`ray-backfill status` lists the runs."
    return _kept(text, RUN.fullmatch(text), "is not the id of a run", hint)
