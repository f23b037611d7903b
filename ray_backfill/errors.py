"""Errors that a person reads: what happened, why, and what to do.

Each carries the exit code that the command line ends with.
"""

from __future__ import annotations

__all__ = [
    "BackfillError",
    "CodeDiffersError",
    "ContractError",
    "DataError",
    "JobCodeError",
    "LeaseHeldError",
    "LeaseLostError",
    "RefusedError",
    "TableNotFoundError",
    "UsageError",
    "WarehouseError",
]


class BackfillError(Exception):
    """Base of every expected error; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # Both positional, so that the error survives pickling between processes.
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(BackfillError):
    """The command cannot be understood: an unknown job, a date that does not exist."""

    exit_code = 2


class RefusedError(BackfillError):
    """The command was understood and not carried out; nothing was changed."""

    exit_code = 3


class CodeDiffersError(RefusedError):
    """A process has other code of the job than the run was planned with: it ends the run."""


class LeaseHeldError(RefusedError):
    """Another live run holds the output table."""


class LeaseLostError(BackfillError):
    """This run's lease was stolen or expired; it must not publish any more."""

    exit_code = 3


class JobCodeError(BackfillError):
    """Stands for whatever a function of a job raised that says nothing of its input."""

    exit_code = 3


class DataError(BackfillError):
    """Input data that cannot be computed from; the same input fails again."""


class ContractError(DataError):
    """A frame does not have the columns, dtypes, nullability or key of its table."""


class WarehouseError(BackfillError):
    """The warehouse could not be read or written."""


class TableNotFoundError(WarehouseError):
    """A table that is needed is not in the warehouse."""
