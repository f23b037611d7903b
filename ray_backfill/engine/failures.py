"""What an error means: whose it is, and whether trying again can help."""

from __future__ import annotations

from typing import Literal

from ray_backfill.errors import BackfillError, DataError, LeaseLostError, WarehouseError
from ray_backfill.redact import CleanedError, redacted

__all__ = ["FailureKind", "describe", "ending", "kind_of", "most_tries", "out_of_memory"]

FailureKind = Literal["infrastructure", "data", "code"]

_LOST = ("NodeDiedError", "LocalRayletDiedError", "ObjectLostError", "OwnerDiedError")
"""Ray's errors of a machine that went away. By name: Ray is not imported for a run without it."""


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


def most_tries(error: BaseException) -> int:
    """How often a task is begun at most where its infrastructure fails.

    A lost machine says nothing of the task: spot machines come and go. A worker that dies by
    itself may well die of what it computes.
    """
    return 8 if type(error).__name__ in _LOST and _from_ray(error) else 3


def out_of_memory(error: BaseException) -> bool:
    """Whether the same again would run out of memory again, where less of it would not."""
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
    first = str(error).strip().splitlines()[:1]
    kind = error.kind if isinstance(error, CleanedError) else type(error).__name__
    return redacted(f"{kind}: {first[0]}") if first else kind
