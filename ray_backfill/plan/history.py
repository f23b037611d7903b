"""What the inputs of a table held when its runs began: it tells a guard what changed since."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from ray_backfill.job.calendar import Season

__all__ = ["Change", "Entry", "Held", "InputHistory", "changes", "described"]

_NAMED = 3


class Held(NamedTuple):
    """A partition of an input: its rows, and a mark that changes with its content."""

    rows: int
    mark: str


class Entry(NamedTuple):
    """What a partition held from a run on, until the next entry."""

    run_id: str
    held: Held


NOTHING = Held(0, "")


@dataclass(frozen=True)
class InputHistory:
    """Table -> partition (None: the table has none) -> entries in the order of their runs.

    `runs` are those that were noted down; of any other nothing is known. `seasons`: run -> the
    calendar's seasons, where they were others than those of the run before.
    """

    runs: frozenset[str] = frozenset()
    tables: Mapping[str, Mapping[date | None, Sequence[Entry]]] = field(default_factory=dict)
    seasons: Mapping[str, tuple[Season, ...]] = field(default_factory=dict)

    def at(self, run_id: str, table: str) -> dict[date | None, Held] | None:
        """The partitions of a table when a run began; None where that is not known."""
        if run_id not in self.runs:
            return None
        found = {day: _at(entries, run_id) for day, entries in self.tables.get(table, {}).items()}
        return {day: held for day, held in found.items() if held.rows}

    def seasons_at(self, run_id: str) -> tuple[Season, ...] | None:
        """The seasons when a run began; None where that is not known."""
        if run_id not in self.runs:
            return None
        return self.seasons[max(known for known in self.seasons if known <= run_id)]

    def noted(
        self,
        run_id: str,
        inputs: Mapping[str, Mapping[date | None, Held]],
        seasons: tuple[Season, ...],
        needed: Iterable[str],
    ) -> InputHistory:
        """The history with what the tables hold now, as a run begins.

        Only what differs from the newest entry is added, and of what is there only what tells
        of the runs that are `needed` is kept.
        """
        kept = (self.runs & frozenset(needed)) | {run_id}
        tables = {}
        for table in self.tables.keys() | inputs.keys():
            before, now = self.tables.get(table, {}), inputs.get(table, {})
            days = before.keys() | now.keys()
            entries = {
                day: _pruned(_extended(before.get(day, ()), run_id, now.get(day, NOTHING)), kept)
                for day in days
            }
            tables[table] = {day: found for day, found in entries.items() if found}
        earlier = ((run, self.seasons_at(run)) for run in sorted(kept - {run_id}))
        told = {run: found for run, found in earlier if found is not None}
        return InputHistory(kept, tables, _without_repeats(told | {run_id: seasons}))


def _without_repeats(
    seasons: Mapping[str, tuple[Season, ...]],
) -> dict[str, tuple[Season, ...]]:
    runs = [*seasons]
    return {
        run: seasons[run]
        for before, run in zip([None, *runs], runs, strict=False)
        if before is None or seasons[before] != seasons[run]
    }


def _at(entries: Sequence[Entry], run_id: str) -> Held:
    place = bisect_right(entries, run_id, key=lambda entry: entry.run_id)
    return entries[place - 1].held if place else NOTHING


def _extended(entries: Sequence[Entry], run_id: str, held: Held) -> list[Entry]:
    newest = entries[-1].held if entries else NOTHING
    return [*entries] if held == newest else [*entries, Entry(run_id, held)]


def _pruned(entries: Sequence[Entry], runs: frozenset[str]) -> list[Entry]:
    """The entries that hold at one of the runs; an emptiness at the beginning says nothing."""
    ends = [*(entry.run_id for entry in entries[1:]), None]
    kept = [
        entry
        for entry, end in zip(entries, ends, strict=True)
        if any(entry.run_id <= run and (end is None or run < end) for run in runs)
    ]
    return kept[1:] if kept and not kept[0].held.rows else kept


class Change(NamedTuple):
    """A partition of an input that does not hold what it held, or is not looked at any more.

    `outside`: it lies outside of the look-back now, which the calendar has moved.
    """

    table: str
    day: date | None
    before: int
    after: int
    outside: bool = False

    @property
    def lost(self) -> bool:
        return self.before > 0 and self.after == 0


def changes(
    table: str, before: Mapping[date | None, Held], now: Mapping[date | None, Held]
) -> list[Change]:
    """The partitions that differ, by date."""
    days = sorted(before.keys() | now.keys(), key=lambda day: day or date.min)
    pairs = ((day, before.get(day, NOTHING), now.get(day, NOTHING)) for day in days)
    return [Change(table, day, old.rows, new.rows) for day, old, new in pairs if old != new]


def described(found: Sequence[Change]) -> str:
    """`shop.sales 2025-01-05: 5 → 0 rows`; many dates of a table as a range with their sums."""
    texts = []
    for table in dict.fromkeys(change.table for change in found):
        mine = [change for change in found if change.table == table]
        outside = [c for c in mine if c.outside]
        inside = [c for c in mine if not c.outside]
        again = [c for c in inside if c.before == c.after]
        told = [
            *_told([c for c in inside if c.before != c.after]),
            *_told(outside, ", outside of the look-back now"),
        ]
        told += [f"{len(again)} more written again"] if told and again else []
        told = told or _told(again, " written again")
        texts.append(f"{table} {', '.join(told)}")
    return "; ".join(texts)


def _told(found: Sequence[Change], more: str = "") -> list[str]:
    if len(found) > _NAMED:
        first, last = found[0].day, found[-1].day
        return [f"{first} … {last} ({len(found)} dates): {_rows(found)}{more}"]
    return [f"{f'{c.day}: ' if c.day else ''}{_rows([c])}{more}" for c in found]


def _rows(found: Sequence[Change]) -> str:
    before, after = sum(c.before for c in found), sum(c.after for c in found)
    same = before == after or all(c.outside for c in found)
    return f"{before:,} rows" if same else f"{before:,} → {after:,} rows"
