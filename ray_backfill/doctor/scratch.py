"""The table on which a warehouse's protocol is tried: three rows of three dates, removed again.

Its name carries the time at which it was made. Whatever a doctor leaves that was killed is known
by that name, and the next doctor removes it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from ray_backfill.doctor.check import UnfitError
from ray_backfill.job.table import STAMP, Column, Kind, Table

__all__ = [
    "DAYS",
    "LIFE",
    "is_left_over",
    "is_name",
    "new_name",
    "raw",
    "require",
    "rows",
    "table",
    "values",
]

LIFE = timedelta(hours=1)
"""After this long a scratch table belongs to a doctor that was killed."""

DAYS = (date(2001, 1, 1), date(2001, 1, 2), date(2001, 1, 3))
"""Old dates, as a backfill has: what deletes partitions by their date shows with them."""

_NAME = re.compile(r"doctor__(\d{8}T\d{6})__[0-9a-f]{6}")
_COLUMNS = (
    Column("day", Kind.DATE, nullable=False),
    Column("place", Kind.STRING, nullable=False),
    Column("value", Kind.FLOAT),
    Column("tags", Kind.STRINGS),
)


def new_name() -> str:
    """`doctor__20261122T223256__3f9a2c`: of a table, a run, and all that belongs to them."""
    return f"doctor__{datetime.now(UTC):%Y%m%dT%H%M%S}__{secrets.token_hex(3)}"


def is_name(text: str) -> bool:
    """Whether a text is the name of a scratch table, and nothing else."""
    return _NAME.fullmatch(text) is not None


def is_left_over(text: str) -> bool:
    """Whether a name holds that of a scratch table whose doctor must be long gone."""
    found = _NAME.search(text)
    if not found:
        return False
    try:
        made = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return datetime.now(UTC) - made > LIFE


def table(name: str) -> Table:
    """An output, with its stamps, as a job's is."""
    columns = (*_COLUMNS, *STAMP)
    about = "A scratch table of ray-backfill doctor, which removes it again."
    return Table(name, columns, about, ("day", "place"), "day", ("place",))


def raw(name: str) -> Table:
    """The same as a table that files are loaded into."""
    return replace(table(name), columns=_COLUMNS, key=())


def rows(of: Table, run_id: str, found: Sequence[tuple[date, float]]) -> pl.DataFrame:
    """A row a date, with its value, in the columns of a scratch table."""
    at = datetime.now(UTC)
    stamps = {"input_fingerprint": "none", "code_version": "doctor", "job_options": "{}"}
    full = [
        {"day": day, "place": "here", "value": value, "tags": ["a", "b"], **stamps}
        | {"partition_rows": 1, "content_digest": "none", "run_id": run_id, "computed_at": at}
        for day, value in found
    ]
    schema = of.schema()
    return pl.DataFrame([{name: row[name] for name in schema} for row in full], schema=schema)


def values(found: pl.DataFrame) -> list[tuple[date, float]]:
    """Date and value of each row that was read, in their order."""
    return sorted(found.select("day", "value").iter_rows())


def require(what: str, found: object, expected: object) -> None:
    """Raises `UnfitError` where a step left something else than it must."""
    if found != expected:
        raise UnfitError(
            f"{what}: {found!r} was found where {expected!r} must be.",
            hint="The place does not keep what it promises; report it with this output.",
        )
