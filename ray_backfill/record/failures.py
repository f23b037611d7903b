"""What an error means: whose it is, and whether trying again can help."""

from __future__ import annotations

from typing import Literal

from ray_backfill.errors import BackfillError, DataError, LeaseLostError, WarehouseError
from ray_backfill.redact import CleanedError, redacted

__all__ = ["FailureKind", "Remedy", "describe", "ending", "kind_of", "remedy", "was_lost"]

FailureKind = Literal["infrastructure", "data", "code"]
Remedy = Literal["again", "split in halves", "split into dates", "give up"]

_TRIES = 3
_TRIES_OF_LOST = 8
_ALIKE = 8
"""Single dates that failed in one way before spans that fail so are split into dates at once."""

_LOST = ("NodeDiedError", "LocalRayletDiedError", "ObjectLostError", "OwnerDiedError")
"""Ray's errors of a machine that went away. By name: Ray is not imported for a run without it."""

_DIED = {
    "WorkerCrashedError": "the worker's process ended by itself: it was killed (where memory ran "
    "out, by the system), a library crashed, or code of the job ended it, as `os._exit` does"
}
"""What Ray's errors mean here, where they only say which of its logs to read."""


def kind_of(error: BaseException) -> FailureKind:
    """`infrastructure` is tried again with back-off; `data` and `code` are split instead.

    A lost lease is no failure of a task and never comes here.
    """
    assert not isinstance(error, LeaseLostError)
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, WarehouseError | OSError | MemoryError) or _from_ray(error):
        return "infrastructure"
    return "code"


def remedy(
    error: BaseException, attempt: int, lost: int, dates: int, alike: int = 0
) -> tuple[FailureKind, Remedy]:
    """Whose the failure of a task's `attempt` is, `lost` of which a lost machine ended; what helps.

    Infrastructure is tried again, a few times: a lost machine says nothing of the task, as spot
    machines come and go, but a worker that dies by itself may well die of what it computes.
    Anything else is split until the bad date stands alone; so is what ran out of memory, as the
    same again would. Only a date that failed alone is given up, however many were `alike`: single
    dates of its season that failed with the same message. After some of these, halves would fail
    too, and what is left is split into dates at once.
    """
    kind = kind_of(error)
    left = lost + 1 < _TRIES_OF_LOST if was_lost(error) else attempt - lost < _TRIES
    if kind == "infrastructure" and left and not (dates > 1 and _out_of_memory(error)):
        return kind, "again"
    if dates == 1:
        return kind, "give up"
    return kind, "split into dates" if alike >= _ALIKE else "split in halves"


def was_lost(error: BaseException) -> bool:
    """Whether a machine went away, and took the task with it."""
    return type(error).__name__ in _LOST and _from_ray(error)


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        type(error).__name__ == "OutOfMemoryError" and _from_ray(error)
    )


def _from_ray(error: BaseException) -> bool:
    """A worker or node that died, an object that was lost, memory that ran out."""
    return type(error).__module__.split(".")[0] == "ray"


def ending(error: BaseException) -> tuple[int, str]:
    """Exit code and sentence of a run that an error ended."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "cancelled at once; the same command goes on"
    if isinstance(error, BackfillError):
        return error.exit_code, describe(error)
    return 1, f"ended by {describe(error)}"


def describe(error: BaseException) -> str:
    """One line: the type of an unexpected error with its first line, or the message itself.

    Without credentials: what an error says goes from here to journals, reports and logs.
    """
    if isinstance(error, BackfillError):
        return redacted(str(error))
    if type(error).__name__ in _DIED and _from_ray(error):
        return f"{type(error).__name__}: {_DIED[type(error).__name__]}"
    first = str(error).strip().splitlines()[:1]
    kind = error.kind if isinstance(error, CleanedError) else type(error).__name__
    return redacted(f"{kind}: {first[0]}") if first else kind
