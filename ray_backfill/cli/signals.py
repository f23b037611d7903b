"""What SIGINT and SIGTERM do to a run."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ray_backfill.cli import console

if TYPE_CHECKING:
    from ray_backfill.engine.driver import Switch

__all__ = ["Phase", "signals"]


@contextmanager
def signals(switch: Switch) -> Iterator[Phase]:
    """SIGINT and SIGTERM while a run is planned, works, and tidies up: see `Phase`."""
    phase = Phase(switch)
    before = {s: signal.signal(s, phase.on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield phase
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Phase:
    """What a signal does: it ends the planning at once; the first one stops the work gently, and
    changes nothing of a run that has ended; the second ends whatever goes on.
    """

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._now = "planning"
        self._seen_after = False

    def on_signal(self, number: int, frame: object) -> None:
        first = not (self._seen_after if self._now == "ended" else self._switch.off)
        if self._now == "planning" or not first:
            raise KeyboardInterrupt
        if self._now == "ended":
            self._seen_after = True
            console.note("The run has ended; it tidies up. Again to leave that to the next run.")
            return
        self._switch.off = True
        console.note("Stopping: running spans finish. Again to stop at once.")

    @contextmanager
    def working(self) -> Iterator[None]:
        self._now = "working"
        self._switch.interrupt = _thread.interrupt_main
        try:
            yield
        finally:
            self._switch.interrupt = lambda: None
            self._now = "ended"
