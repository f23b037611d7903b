"""What a run does not do without a person's word: remove rows, let them shrink, go back to older
code. Pure functions of facts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from ray_backfill.job.calendar import DateRange
from ray_backfill.plan.history import Change, Held, changes, described
from ray_backfill.plan.model import Allow, Decision, Facts, Source

__all__ = [
    "Changes",
    "kept_dates",
    "left_behind",
    "older_code",
    "shrinking_dates",
    "shrunk",
    "views_of",
]

_SHRINK_PERCENT = 80
"""Of its published rows a date has at least so many, or somebody says that fewer are meant."""


# -- what changed --------------------------------------------------------------------------------
class Changes:
    """What the inputs hold now beside what they held when a date was published."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._seasons = facts.calendar.seasons
        self._found: dict[tuple[str, str], tuple[Sequence[Change], list[date]] | None] = {}

    def of(self, day: date, inputs: Iterable[str] | None = None) -> list[Change] | None:
        """Every change in the look-back of a published date, by table and date.

        `inputs`: only in these; None: in all dates of those that the calendar is made of. Gives
        None where it is not known what the date was computed from.
        """
        stamp = self._facts.stamp_of(day)
        names = self._facts.calendar_inputs if inputs is None else set(inputs)
        found: dict[tuple[str, date | None], Change] = {}
        for source in (source for source in self._facts.sources if source.name in names):
            mine = self._in_source(source, day, stamp.run_id, whole=inputs is None)
            if mine is None:
                return None
            found |= {(change.table, change.day): change for change in mine}
        return [found[key] for key in sorted(found, key=lambda k: (k[0], k[1] or date.min))]

    def _in_source(
        self, source: Source, day: date, run_id: str, *, whole: bool
    ) -> list[Change] | None:
        known = self._known(source, run_id)
        then = self._facts.history.seasons_at(run_id)
        if known is None or then is None:
            return None
        every, days = known
        now = None if whole else source.window.bounds(day, self._seasons)
        was = None if whole else source.window.bounds(day, then)
        if now is None or was is None:
            return list(every)
        low, high = min(now.start, was.start), max(now.end, was.end)
        near = every[bisect_left(days, low) : bisect_left(days, high)]
        inside = [c for c in near if c.day is None or c.day in now]
        return inside + (self._outside(source, run_id, was, now) if was != now else [])

    def _known(self, source: Source, run_id: str) -> tuple[Sequence[Change], list[date]] | None:
        key = (run_id, source.name)
        if key not in self._found:
            before = self._facts.history.at(run_id, source.table)
            if before is None:
                self._found[key] = None
            else:
                found = changes(source.table, before, source.held)
                self._found[key] = found, [change.day or date.min for change in found]
        return self._found[key]

    def _outside(self, source: Source, run_id: str, was: DateRange, now: DateRange) -> list[Change]:
        """Partitions that lay in the look-back, and do not any more."""
        before: Mapping[date | None, Held] = self._facts.history.at(run_id, source.table) or {}
        return [
            Change(source.table, day, held.rows, 0, outside=True)
            for day, held in before.items()
            if day is not None and day in was and day not in now
        ]


def _since(stamp_run: str, found: Sequence[Change] | None) -> str:
    if found is None:
        return "what it was computed from is not known"
    told = described(found) or "its inputs hold as many rows as then"
    return f"since run {stamp_run} published it: {told}"


# -- removals ------------------------------------------------------------------------------------
def kept_dates(wanted: Sequence[Decision], facts: Facts, allow: Allow) -> dict[date, str]:
    """The dates whose rows would be lost, each with the reason; none where they are allowed.

    Those that belong to nothing any more, and those that hold rows which others wrote.
    """
    found = [d for d in wanted if d.action == "remove" or facts.stamp_of(d.day).unstamped]
    if len(found) <= allow.removals:
        return {}
    seen = Changes(facts)
    kept = {}
    for decision in found:
        why = decision.reason
        if decision.action == "remove":
            run_id = facts.stamp_of(decision.day).run_id
            why = f"{why}; {_since(run_id, seen.of(decision.day))}"
        kept[decision.day] = why
    return kept


def left_behind(decisions: Sequence[Decision], facts: Facts, allow: Allow) -> dict[date, str]:
    """The dates that a rebuilt table would lack, each with the reason; none where they may go."""
    found = {
        d.day: f"its {facts.replaced[d.day].rows:,} rows would not be in the new table: {d.reason}"
        for d in decisions
        if d.day in facts.replaced and d.action != "compute"
    }
    return found if len(found) > allow.removals else {}


# -- shrinking -----------------------------------------------------------------------------------
def shrinking_dates(wanted: Sequence[Decision], facts: Facts, allow: Allow) -> dict[date, str]:
    """The dates whose look-back lost partitions that their published rows were computed from."""
    if allow.shrink:
        return {}
    seen, found = Changes(facts), {}
    for decision in wanted:
        inputs = facts.inputs_of(views_of(decision, facts))
        if decision.action != "compute" or not inputs:
            continue
        lost = [c for c in seen.of(decision.day, inputs) or () if c.lost]
        if lost:
            found[decision.day] = (
                f"its look-back lost {_partitions(lost)} that its rows were computed from: "
                f"{described(lost)}"
            )
    return found


def views_of(decision: Decision, facts: Facts) -> tuple[str, ...]:
    """The views that changed; all of them where a table is rebuilt, which does not compare them."""
    rebuilt = decision.day not in facts.stamps and decision.day in facts.replaced
    return tuple(facts.views) if rebuilt else decision.views


def _partitions(lost: Sequence[Change]) -> str:
    dates = sum(change.day is not None for change in lost)
    return f"{dates} dates" if dates > 1 else "a date" if dates else "a table"


def shrunk(decision: Decision, rows: int) -> str:
    """Why computed rows must not take the place of a date's published ones; empty if they may."""
    before = decision.published_rows
    if rows * 100 >= before * _SHRINK_PERCENT:
        return ""
    told = f"; {decision.changes}" if decision.changes else ""
    return (
        f"it comes out with {rows:,} rows, {rows * 100 // before}% of its {before:,} published "
        f"ones{told}"
    )


# -- code ----------------------------------------------------------------------------------------
def older_code(facts: Facts) -> str:
    """Which newer code this one would replace, where it was replaced by that before; or nothing."""
    mine = facts.codes.get(facts.code_version)
    standing = Counter(s.code_version for s in facts.standing.values() if s.code_version)
    newer = [code for code in standing if code in facts.codes and code != facts.code_version]
    if mine is None or not newer:
        return ""
    newest = max(newer, key=lambda code: facts.codes[code])
    if facts.codes[newest] <= mine:
        return ""
    return (
        f"The code of this installation ({facts.code_version}) is older than that of the table: "
        f"{newest} replaced it on {facts.codes[newest]:%Y-%m-%d %H:%M} UTC, and computed "
        f"{standing[newest]:,} of its dates."
    )
