"""Asking a run to stop through its warehouse: from any machine that sees the tables.

The request is a small object beside the tables. The run looks for it about once a second and
then does what Ctrl-C does: finish the spans that run, or with `now` end at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ray_backfill import names
from ray_backfill.errors import BackfillError
from ray_backfill.record.journal import journals, read_journal, table_of
from ray_backfill.warehouse import Warehouse

if TYPE_CHECKING:
    from ray_backfill.engine.driver import Switch

__all__ = [
    "CancelRequest",
    "cancellable",
    "find_run",
    "forget",
    "forget_ended",
    "request",
    "requested",
]

_LOOK_SECONDS = 1.0
_SHARE = 0.1
"""Of the time that looking may take: a slow store is asked less often."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """What `cancel` asks for; `by` is who asked."""

    now: bool = False
    by: str = ""

    def sentence(self) -> str:
        how = "it ends at once" if self.now else "running spans finish"
        return f"Cancelled by {self.by or 'somebody'}: {how}."


def _key(run_id: str) -> str:
    return f"control/{names.run_id(run_id)}.json"


def request(warehouse: Warehouse, run_id: str, asked: CancelRequest) -> None:
    """Leave a request for a run; a later one takes its place."""
    warehouse.put_object(_key(run_id), json.dumps(asdict(asked)).encode())


def requested(warehouse: Warehouse, run_id: str) -> CancelRequest | None:
    """The request that waits for a run; None where there is none that can be read."""
    try:
        found = json.loads(warehouse.get_object(_key(run_id)) or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return CancelRequest(bool(found.get("now")), str(found.get("by", "")))


def forget(warehouse: Warehouse, run_id: str) -> None:
    """Take the request away, if there is one."""
    if warehouse.get_object(_key(run_id)):
        warehouse.delete_object(_key(run_id))


def find_run(warehouse: Warehouse, name: str) -> str | None:
    """The id of a run, given by that or by the id of its submission; None where there is none."""
    runs = journals(warehouse)
    if any(run.run_id == name for run in runs):
        return name
    for run in reversed(runs):
        events = read_journal(warehouse, run.run_id, run.table)
        if events and events[0].get("submission") == name:
            return run.run_id
    return None


def forget_ended(warehouse: Warehouse, live: Container[str]) -> None:
    """Take away the requests of runs that have ended: one may come when its run has just done so.

    Left alone are those of `live`, and of runs that hold the lease of their table: others work on
    other tables at the same time. What cannot be looked at now is left to the next run.
    """
    for key in warehouse.list_objects("control/"):
        run_id = key.removeprefix("control/").removesuffix(".json")
        if names.RUN.fullmatch(run_id) and run_id not in live:
            with suppress(BackfillError, OSError):
                if not _holds_its_table(warehouse, run_id):
                    warehouse.delete_object(key)


def _holds_its_table(warehouse: Warehouse, run_id: str) -> bool:
    table = table_of(warehouse, run_id)
    return table is not None and warehouse.lease_holder(table) == run_id


@contextmanager
def cancellable(warehouse: Warehouse, run_id: str, switch: Switch) -> Iterator[None]:
    """While the block runs, a request for the run turns its switch; afterwards it is gone."""
    stop = threading.Event()
    looking = threading.Thread(
        target=_look, args=(warehouse, run_id, switch, stop), name="cancel", daemon=True
    )
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()
        with suppress(BackfillError, OSError):
            forget(warehouse, run_id)


def _look(warehouse: Warehouse, run_id: str, switch: Switch, stop: threading.Event) -> None:
    pause, seen = _LOOK_SECONDS, None
    while not stop.wait(pause) and not switch.now:
        began = time.monotonic()
        try:
            found = requested(warehouse, run_id)
        except (BackfillError, OSError):
            continue
        finally:
            pause = max(_LOOK_SECONDS, (time.monotonic() - began) / _SHARE)
        if found is not None and found != seen:
            seen = found
            switch.told = found.sentence()
            switch.off = True
            if found.now:
                switch.now = True
                switch.interrupt()
