"""What a command asks for: of which days, and of these which a run takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ray_backfill.errors import UsageError
from ray_backfill.job.calendar import Season
from ray_backfill.plan.model import NOTHING_ALLOWED, Allow, Decision, Facts

__all__ = ["SELECTIONS", "Selection", "asked_days", "pick"]

SELECTIONS = ("missing", "stale", "failed", "blocked", "all")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a command asks for; `end` is exclusive here. Filters narrow each other."""

    seasons: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    dates: tuple[date, ...] = ()
    select: tuple[str, ...] = ("missing", "stale")

    def touches(self, season: Season) -> bool:
        """Whether any date of a season can be meant."""
        return (
            (not self.seasons or season.name in self.seasons)
            and (self.start is None or self.start < season.end)
            and (self.end is None or self.end > season.start)
            and (not self.dates or any(day in season.range for day in self.dates))
        )


def asked_days(facts: Facts, selection: Selection) -> list[date]:
    """The days that a selection means: of seasons and of the output, or those named.

    Raises `UsageError` for a season that the calendar does not have.
    """
    known = {season.name: season for season in facts.calendar.seasons}
    for name in selection.seasons:
        if name not in known:
            raise UsageError(
                f"There is no season '{name}'.",
                hint=f"Seasons in the warehouse: {', '.join(known) or 'none'}.",
            )
    if selection.dates:
        days = set(selection.dates)
    else:
        days = {*facts.standing, *facts.calendar.days}
        days.update(day for season in known.values() for day in season.range.days())
    if selection.seasons:
        chosen = [known[name].range for name in selection.seasons]
        days = {day for day in days if any(day in r for r in chosen)}
    return sorted(
        day
        for day in days
        if (selection.start is None or day >= selection.start)
        and (selection.end is None or day < selection.end)
    )


def pick(
    decisions: Iterable[Decision], select: Sequence[str], allow: Allow = NOTHING_ALLOWED
) -> list[Decision]:
    """The decisions that a run takes: those that can be acted on and are asked for.

    `missing` and `stale` leave out dates that failed for exactly these inputs and this code,
    unless it is allowed now what kept them back; `failed` takes them, `all` takes every due date,
    complete ones too.
    """
    asked = set(select)
    return [d for d in decisions if d.action and _asked(d, asked, allow)]


def _asked(decision: Decision, asked: set[str], allow: Allow) -> bool:
    attempt = decision.attempt
    if "all" in asked or ("failed" in asked and attempt is not None):
        return True
    freed = attempt is not None and attempt.guard == "shrink" and allow.shrink
    return decision.state.value in asked and (freed or not decision.known_bad)
