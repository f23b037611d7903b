"""When a game begins: what the schedule says against what the feed says. Section 2."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.reference.rows import Row

EASTERN = ZoneInfo("America/New_York")
APART = timedelta(hours=3)

Key = tuple[date, str, str]
"""Date, home team, away team: the only safe join between sources."""


def on_day(time: datetime | None, day: date) -> datetime | None:
    """The time, or None where it does not fall on the day in US Eastern time."""
    if time is None or time.astimezone(EASTERN).date() != day:
        return None
    return time


def feed_tipoffs(lines: Iterable[Row], props: Iterable[Row]) -> dict[Key, datetime]:
    """The feed's tip-off of every game that the two tables name on a date.

    The middle of the distinct pairs of snapshot and start, of an even number the earlier one.
    """
    pairs: dict[Key, set[tuple[datetime | None, datetime]]] = defaultdict(set)
    for rows, column in ((lines, "commence_time"), (props, "game_start_time")):
        for row in rows:
            home, away = row.get("home_team_abbr"), row.get("away_team_abbr")
            if home is not None and away is not None and row.get(column) is not None:
                key = (row["game_date"], home, away)
                pairs[key].add((row.get("snapshot_timestamp"), row[column]))
    starts = {
        (day, home, away): [start for _, start in seen if on_day(start, day) is not None]
        for (day, home, away), seen in pairs.items()
    }
    return {key: lower_median(times) for key, times in starts.items() if times}


def lower_median(times: list[datetime]) -> datetime:
    ordered = sorted(times)
    return ordered[(len(ordered) - 1) // 2]


def tipoff(
    stated: datetime | None, feed: datetime | None, day: date
) -> tuple[datetime | None, bool]:
    """The tip-off, and whether one that the schedule states is not used."""
    schedule = on_day(stated, day)
    chosen = schedule
    if feed is not None and (schedule is None or abs(feed - schedule) > APART):
        chosen = feed
    return chosen, stated is not None and (schedule is None or chosen != schedule)
