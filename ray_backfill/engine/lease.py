"""Keeps a run's lease alive while it works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from ray_backfill.engine.tidying import warned
from ray_backfill.errors import BackfillError, LeaseHeldError
from ray_backfill.job.table import Table
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease

__all__ = ["HeldLease"]

_log = logging.getLogger(__name__)


class HeldLease:
    """Context manager: acquires the lease, renews it from a thread, releases it at the end.

    A renewal that fails is not acted on here: publishing checks the lease itself, and stops.
    Where the release fails the lease runs out by itself: `warnings` says so.
    Raises `LeaseHeldError` where another run holds the table, and still does after `wait`
    seconds: the lease of a run whose machine was lost runs out within them. `stopped` ends the
    waiting, with `KeyboardInterrupt`. `run_id` is asked at each try: ids are in the order in which
    runs hold the table, and a run that waited comes after the one that it waited for.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        table: Table,
        run_id: Callable[[], str],
        *,
        seconds: int,
        steal: bool,
        wait: float = 0.0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._warehouse = warehouse
        self._seconds = seconds
        self._stop = threading.Event()
        self._stopped = stopped
        self.warnings: list[str] = []
        self.lease: Lease = self._acquire(table, run_id, steal, wait)
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def _acquire(self, table: Table, run_id: Callable[[], str], steal: bool, wait: float) -> Lease:
        deadline, told = time.monotonic() + wait, False
        while True:
            try:
                return self._warehouse.acquire_lease(
                    table, run_id(), seconds=self._seconds, steal=steal
                )
            except LeaseHeldError as error:
                if time.monotonic() >= deadline:
                    raise
                if not told:
                    _log.warning("Waiting up to %.0f s for a lease: %s", wait, error.message)
                    told = True
            if self._stopped():
                raise KeyboardInterrupt
            self._stop.wait(1.0)

    def __enter__(self) -> HeldLease:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        what = f"The lease was not given back, and runs out within {self._seconds} s"
        self.warnings += warned(what, lambda: self._warehouse.release_lease(self.lease))

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                self.lease = self._warehouse.renew_lease(self.lease, seconds=self._seconds)
            except (BackfillError, OSError):
                continue
