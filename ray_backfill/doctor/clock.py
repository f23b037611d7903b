"""Clocks: a lease runs out by the clock of whoever looks at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ray_backfill.doctor.check import UnfitError

__all__ = ["MEND", "apart", "compared", "now"]

MOST = timedelta(seconds=10)
"""A run renews its lease of 60 seconds each 20: less than the rest may be lost to clocks."""

MEND = "Let the machine set its clock by itself (chrony, systemd-timesyncd, the host's NTP)."


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def apart(before: datetime, theirs: datetime, after: datetime, step: timedelta) -> timedelta:
    """How far another clock, read between two looks at ours, is from it at least.

    Positive where it is ahead. `step` is the step in which it tells the time, rounded down.
    """
    if theirs + step < before:
        return theirs + step - before
    return max(timedelta(0), theirs - after)


def compared(whose: str, before: datetime, theirs: datetime, after: datetime) -> str:
    """The two clocks in words; raises `UnfitError` where they are too far apart."""
    off = apart(before, theirs, after, timedelta(seconds=1))
    seconds = abs(off.total_seconds())
    if seconds < 1:
        return f"this clock and {whose} agree"
    said = (
        f"this clock is {seconds:,.0f} s {'behind' if off > timedelta(0) else 'ahead of'} {whose}"
    )
    if abs(off) > MOST:
        raise UnfitError(f"{said[0].upper()}{said[1:]}; a lease bears {MOST.seconds} s.")
    return said
