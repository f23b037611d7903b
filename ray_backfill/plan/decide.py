"""The state of each date, and why. Pure functions of facts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ray_backfill.job import DateState, Day
from ray_backfill.plan.model import Decision, Facts, Stamp
from ray_backfill.staleness.fingerprint import changed_views

__all__ = ["decide"]


def decide(facts: Facts, days: Iterable[date]) -> list[Decision]:
    """A decision for each day, in order; off-days too."""
    return [_decide(facts, day) for day in sorted(set(days))]


def _decide(facts: Facts, day: date) -> Decision:
    off = Day(day, DateState.NO_GAMES, "off-day: nothing is scheduled")
    entry = facts.calendar.days.get(day, off)
    stamp = facts.stamps.get(day)
    season = facts.calendar.season(day)
    if entry.state is not None:
        return _not_due(entry, stamp, season.name if season else "")
    fingerprint = facts.fingerprints.get(day, "")
    state, reason, views, code_alone = _compare(facts, stamp, fingerprint)
    attempt = facts.attempts.get(day) if state != DateState.COMPLETE else None
    known_bad = (
        attempt is not None
        and attempt.kind == "data"
        and (attempt.fingerprint, attempt.code_version, attempt.job_options)
        == (fingerprint, facts.code_version, facts.job_options)
        and attempt.judged_by == entry.judged_by(facts.rules)
    )
    return Decision(
        day=day,
        state=state,
        reason=f"{reason}; last attempt {attempt.outcome}: {attempt.message}"
        if attempt
        else reason,
        season=season.name if season else "",
        action="compute",
        expected_rows=entry.expected_rows,
        fingerprint=fingerprint,
        views=views,
        code_alone=code_alone,
        known_bad=known_bad,
        attempt=attempt,
        notes=entry.notes,
        empty=stamp.empty if stamp and state == DateState.COMPLETE else "",
        absent_rows=entry.absent_rows,
    )


def _not_due(entry: Day, stamp: Stamp | None, season: str) -> Decision:
    assert entry.state is not None
    if stamp is not None and entry.state in (DateState.NO_GAMES, DateState.BY_DESIGN):
        return Decision(
            day=entry.day,
            state=DateState.STALE,
            reason=f"its {stamp.rows} rows belong to nothing any more: {entry.reason}",
            season=season,
            action="remove",
            notes=entry.notes,
        )
    return Decision(
        day=entry.day,
        state=entry.state,
        reason=entry.reason,
        season=season,
        notes=entry.notes,
        absent_rows=entry.absent_rows,
    )


def _compare(
    facts: Facts, stamp: Stamp | None, fingerprint: str
) -> tuple[DateState, str, tuple[str, ...], bool]:
    """State, reason, changed views, and whether nothing but the code changed."""
    if stamp is None:
        return DateState.MISSING, "no output yet", (), False
    if stamp.unreadable:
        return DateState.STALE, f"its rows cannot be read: {stamp.unreadable}", (), False
    if stamp.unstamped:
        others = f"{stamp.unstamped:,} of its {stamp.rows:,} rows carry no stamp: others wrote them"
        return DateState.STALE, others, (), False
    views = changed_views(stamp.fingerprint, fingerprint)
    reasons = []
    if views:
        reasons.append(f"changed: {', '.join(views)}")
    if stamp.code_version != facts.code_version:
        reasons.append(f"code {stamp.code_version} → {facts.code_version}")
    if stamp.job_options != facts.job_options:
        reasons.append(f"options {stamp.job_options} → {facts.job_options}")
    if stamp.mixed:
        reasons.append("its rows carry different stamps")
    if stamp.changed:
        reasons.append(f"changed by others since it was published: {stamp.changed}")
    if not reasons:
        complete = f"empty: {stamp.empty}" if stamp.empty else "up to date"
        return DateState.COMPLETE, complete, (), False
    by_code = len(reasons) == 1 and stamp.code_version != facts.code_version
    code_alone = by_code and not stamp.empty  # it has no rows to be stamped anew
    return DateState.STALE, "; ".join(reasons), views, code_alone
