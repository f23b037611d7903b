"""How much memory a span needs: a pure estimate from the rows that its windows hold.

A worker holds the inputs of a span over the hull of their windows, the frames that are derived
of them, and the rows that come out. All three grow with the bytes that are read and written, so
that a span's need is `BASE_BYTES + factor x (input bytes + output bytes)`. The bytes of a row
come from the dtypes of the columns that are used; the rows from the catalogue's metadata.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ray_backfill.errors import UsageError
from ray_backfill.job import Job
from ray_backfill.job.calendar import DateRange, Season, Window
from ray_backfill.job.table import Column, Kind

__all__ = ["BASE_BYTES", "FACTOR", "InputSize", "Sizing", "human_bytes", "parse_bytes", "sizing_of"]

BASE_BYTES = 320 * 2**20
"""A worker with its libraries and no data: more than `python -m benchmarks scaling` measures."""
FACTOR = 5.0
"""Highest measured (peak - base) ÷ bytes of a span, rounded up (`python -m benchmarks memory`).

That of a late date alone, which is nearly all look-back; wide spans need half of it."""

_WIDTH = {
    Kind.STRING: 24,
    Kind.STRINGS: 40,
    Kind.INT: 8,
    Kind.FLOAT: 8,
    Kind.BOOL: 1,
    Kind.DATE: 4,
    Kind.TIMESTAMP: 8,
}
"""Bytes a value in memory: strings as views with short texts."""


@dataclass(frozen=True, slots=True)
class InputSize:
    """One input: its table's partitions in order, and bytes before each (one entry more).

    `whole` are the bytes of a table without partitions, which is read as it is.
    """

    name: str
    window: Window
    row_bytes: int
    days: tuple[date, ...] = ()
    before: tuple[int, ...] = (0,)
    whole: int = 0

    def bytes_in(self, dates: DateRange | None) -> int:
        """Bytes of the partitions within `dates`; None: all of the table."""
        if dates is None:
            return self.whole + self.before[-1]
        low, high = (bisect_left(self.days, day) for day in (dates.start, dates.end))
        return self.whole + self.before[max(low, high)] - self.before[low]


@dataclass(frozen=True)
class Sizing:
    """What a job's spans need. Empty: nothing is known, and every span counts as its output."""

    inputs: Mapping[str, InputSize] = field(default_factory=dict)
    output_row_bytes: int = 0
    factor: float = FACTOR

    def data_bytes(self, days: Sequence[date], rows: int, seasons: Sequence[Season]) -> int:
        """Bytes that are read and written for `days`, which come to `rows` rows."""
        read = sum(
            size.bytes_in(size.window.extent(days, seasons)) for size in self.inputs.values()
        )
        return read + rows * self.output_row_bytes

    def need(self, days: Sequence[date], rows: int, seasons: Sequence[Season]) -> int:
        """Bytes of memory that a worker needs for these days at most."""
        return BASE_BYTES + round(self.factor * self.data_bytes(days, rows, seasons))

    def largest(
        self, days: Sequence[date], seasons: Sequence[Season], count: int = 3
    ) -> list[tuple[str, int, int]]:
        """The inputs that weigh most for these days: name, rows, bytes."""
        found = []
        for size in self.inputs.values():
            held = size.bytes_in(size.window.extent(days, seasons))
            found.append((size.name, held // max(1, size.row_bytes), held))
        return sorted(found, key=lambda entry: -entry[2])[:count]


def sizing_of(
    job: Job, rows: Mapping[str, Mapping[date | None, int]], factor: float = FACTOR
) -> Sizing:
    """The sizing of a job whose inputs hold `rows`: input name -> partition -> rows."""
    inputs = {}
    for source in job.inputs:
        held = rows.get(source.name, {})
        width = _row_bytes([source.table.column(name) for name in source.columns])
        days = tuple(sorted(day for day in held if day is not None))
        before = [0]
        for day in days:
            before.append(before[-1] + held[day] * width)
        inputs[source.name] = InputSize(
            source.name, source.window, width, days, tuple(before), held.get(None, 0) * width
        )
    return Sizing(inputs, _row_bytes(job.table.columns), factor)


def _row_bytes(columns: Sequence[Column]) -> int:
    return sum(_WIDTH[column.kind] for column in columns)


def parse_bytes(text: str) -> int:
    """Bytes of `4GiB`, `512 MiB`, `1.5g` or a plain number; G and GB mean GiB too.

    Raises `UsageError` for anything else, and for nothing at all.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE)
    size = float(found[1]) * 1024.0 ** " kmgt".index(found[2].lower() or " ") if found else 0.0
    if not 1 <= size < 2**63:
        raise UsageError(f"'{text}' is no size of memory.", hint="Write it like 4GiB or 512MiB.")
    return round(size)


def human_bytes(count: float) -> str:
    """`3.4 GiB`, `812 MiB`, `12 bytes`."""
    if count >= 2**30:
        return f"{count / 2**30:,.1f} GiB"
    return f"{count / 2**20:,.0f} MiB" if count >= 2**20 else f"{count:,.0f} bytes"
