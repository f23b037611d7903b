"""Keeps a warehouse small: its tables, and what runs have left beside them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ray_backfill.engine.control import forget_ended
from ray_backfill.errors import BackfillError, LeaseHeldError
from ray_backfill.record import state
from ray_backfill.record.state import JOURNALS, REPORTS
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Tidied

__all__ = ["LEAST", "OBJECTS", "TidyReport", "tidy"]

LEAST = timedelta(days=1)
"""The shortest window: readers and runs that began within it may need what is older than now."""

OBJECTS = "journals and reports"
_NEWEST = 10
"""Journals and reports of a table that stay whatever their age: later plans learn from them."""


@dataclass(frozen=True, slots=True)
class TidyReport:
    """What was done, or would be: each table, and journals and reports before and after.

    `held`: tables that were left because a run is at work on them.
    """

    tables: tuple[Tidied, ...]
    objects_before: int
    objects_after: int
    held: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0; 1 where something could not be done; 3 where that is a run at work alone."""
        left = [t.table for t in self.tables if t.problems]
        return 0 if not left else 3 if set(left) <= set(self.held) else 1


def tidy(
    warehouse: Warehouse,
    tables: Sequence[str],
    *,
    keep: timedelta,
    dry_run: bool,
    tell: Callable[[Tidied], None] = lambda done: None,
) -> TidyReport:
    """Tidy these tables one after the other, then journals and reports.

    What goes wrong with a table is its problem in the report, and the others go on; `tell` hears
    of each as it is done.
    """
    run_id = f"tidy-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    done, held = [], []
    for name in tables:
        try:
            found = warehouse.tidy(name, keep=keep, run_id=run_id, dry_run=dry_run)
        except LeaseHeldError as error:
            held.append(name)
            found = Tidied(name, problems=(error.message,))
        except BackfillError as error:
            found = Tidied(name, problems=(str(error),))
        done.append(found)
        tell(found)
    before = after = 0
    try:
        before, gone = _old_objects(warehouse, datetime.now(UTC) - keep)
        after = before - len(gone)
        if not dry_run:
            for key in gone:
                warehouse.delete_object(key)
            forget_ended(warehouse, [])
    except BackfillError as error:
        done.append(Tidied(OBJECTS, problems=(str(error),)))
    return TidyReport(tuple(done), before, after, tuple(held))


def _old_objects(warehouse: Warehouse, cutoff: datetime) -> tuple[int, list[str]]:
    """How many journals and reports there are, and the keys of those that can go."""
    count, gone = 0, []
    for kind in (JOURNALS, REPORTS):
        found = state.kept(warehouse, kind)
        count += len(found)
        newest: dict[str, int] = {}
        for run in reversed(found):
            newest[run.table] = newest.get(run.table, 0) + 1
            began = state.begun(run.run_id)
            if newest[run.table] > _NEWEST and began is not None and began < cutoff:
                gone.append(state.key(kind, run.table, run.run_id))
    return count, gone
