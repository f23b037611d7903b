"""A check is data: what it asks, what it needs, and what to do where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ray_backfill.errors import BackfillError
from ray_backfill.redact import redacted

__all__ = ["Check", "Finding", "Outcome", "UnfitError", "examine"]


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class UnfitError(BackfillError):
    """A check found something wrong; the hint says what to do about it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One step. `does` gives what it found in a few words, and raises where that is wrong.

    `after` are the checks without which this one means nothing. `needs` is the permission or
    quota that it takes, `mend` what to do where it fails, beside the hint of the error itself.
    """

    name: str
    asks: str
    does: Callable[[], str]
    after: tuple[str, ...] = ()
    needs: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check. `mend` is empty where nothing is to be done."""

    check: str
    asks: str
    outcome: Outcome
    found: str
    needs: str
    mend: str
    seconds: float


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """What came of each check, in their order, as soon as it is done.

    A check whose `after` failed, or was skipped, is skipped. Nothing that a check raises ends
    the others, but for an interruption.
    """
    cause: dict[str, str] = {}
    for check in checks:
        broken = next((cause[name] for name in check.after if name in cause), "")
        began = time.monotonic()
        if broken:
            outcome, found, mend = Outcome.SKIPPED, f"{broken} failed", ""
        else:
            outcome, found, mend = _tried(check)
        if outcome is not Outcome.OK:
            cause[check.name] = broken or check.name
        seconds = round(time.monotonic() - began, 3)
        yield Finding(check.name, check.asks, outcome, found, check.needs, mend, seconds)


def _tried(check: Check) -> tuple[Outcome, str, str]:
    try:
        return Outcome.OK, redacted(check.does()), ""
    except BackfillError as error:
        mend = " ".join(dict.fromkeys(text for text in (error.hint, check.mend) if text))
        return Outcome.FAILED, redacted(error.message), redacted(mend)
    except Exception as error:  # noqa: BLE001 - a check may meet anything; the others go on
        text = " ".join(str(error).split())[:600]
        return Outcome.FAILED, redacted(f"{type(error).__name__}: {text}"), check.mend
