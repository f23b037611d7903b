"""Calls the functions of a job, so that nothing that they raise is taken for anything else.

A job may raise what it likes: an `OSError` of its own is no failure of the store, `sys.exit` does
not end the program, and no error of ours that it raises itself ends a run.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from ray_backfill.errors import ContractError, DataError, JobCodeError

__all__ = ["called"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_RAY_ENDS_IT = "ray_terminate_msg"
"""Ray marks the `SystemExit` by which it ends a worker, as when its machine goes away."""


def called(what: str, function: Callable[..., T], *given: Any) -> T:
    """What a function of a job gives; `what` names it in the message, where it is not empty.

    Raises `DataError` and `MemoryError` as they come, for they say what helps, and `JobCodeError`
    for anything else: also for an exit, an interrupt that nobody sent, or a panic of a library.
    """
    interrupts: list[int] = []
    with _noted(interrupts):
        try:
            return function(*given)
        except BaseException as error:
            if _is_the_process_ending(error, interrupts):
                raise
            passed_on = _plain(what, error)
            if passed_on is error:
                raise
            raise passed_on from error


def _is_the_process_ending(error: BaseException, interrupts: list[int]) -> bool:
    if isinstance(error, KeyboardInterrupt):
        return bool(interrupts)
    return isinstance(error, SystemExit) and hasattr(error, _RAY_ENDS_IT)


def _plain(what: str, error: BaseException) -> BaseException:
    """The error as it may leave a worker: of one of our own types, which every process knows."""
    if type(error) in (DataError, ContractError, MemoryError):
        return error
    said = _said(error)
    if isinstance(error, DataError):
        return DataError(said)
    if isinstance(error, MemoryError):
        return MemoryError(said)
    kind = type(error).__name__
    told = f"{kind}: {said}" if said else kind
    return JobCodeError(f"{what} raised {told}" if what else told)


def _said(error: BaseException) -> str:
    """The first line of what an error says; empty where it cannot even say that."""
    try:
        return next(iter(str(error).strip().splitlines()), "")
    except Exception:  # noqa: BLE001 - it is not our code that says it
        return ""


@contextmanager
def _noted(interrupts: list[int]) -> Iterator[None]:
    """Note each real signal of the block that may raise, which is then handled as before."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        before = handlers[signal.Signals(number)]
        assert callable(before)
        before(number, frame)

    # Elsewhere than in the main thread no signal arrives as an exception.
    here = threading.current_thread() is threading.main_thread()
    noted = [number for number, before in handlers.items() if here and callable(before)]
    try:
        for number in noted:
            signal.signal(number, note)
        yield
    finally:
        for number in noted:
            signal.signal(number, handlers[number])
