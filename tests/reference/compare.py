"""What differs between two computations of the same rows, told so that a person can judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from typing import Any

import polars as pl

from ray_backfill.job import Calendar, Computed, DateState, Job
from ray_backfill.job.calendar import season_of
from tests.frames import compute_span
from tests.reference.context import Reference, ReferenceDay

TOLERANCE = 1e-9
SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """One value on which the two computations differ."""

    day: date
    player: str
    column: str
    expected: Any
    computed: Any

    def __str__(self) -> str:
        return (
            f"{self.day} {self.player} {self.column}: "
            f"reference {self.expected!r}, job {self.computed!r}"
        )


@dataclass
class Comparison:
    """Differences met so far, and how many values were compared."""

    differences: list[Difference] = field(default_factory=list)
    rows: int = 0

    def add(self, day: date, player: str, column: str, expected: Any, computed: Any) -> None:
        self.differences.append(Difference(day, player, column, expected, computed))

    def check(self, day: date, player: str, column: str, expected: Any, computed: Any) -> None:
        if not same(expected, computed):
            self.add(day, player, column, expected, computed)

    def __str__(self) -> str:
        counts = Counter(difference.column for difference in self.differences)
        lines = [f"{len(self.differences)} values differ over {self.rows} rows:"]
        lines += [f"  {column}: {count}" for column, count in counts.most_common()]
        shown: Counter[str] = Counter()
        for difference in self.differences:  # of every column a few
            shown[difference.column] += 1
            if shown[difference.column] <= max(2, SHOWN // len(counts)):
                lines.append(f"  {difference}")
        return "\n".join(lines)

    def assert_same(self) -> None:
        assert self.rows, "no row was compared"
        assert not self.differences, str(self)


def same(expected: Any, computed: Any) -> bool:
    """Equality of one value: None only None, a bool only a bool, floats nearly."""
    if expected is None or computed is None:
        return expected is computed
    if isinstance(expected, bool) or isinstance(computed, bool):
        return expected is computed
    if isinstance(expected, int | float) and isinstance(computed, int | float):
        if computed == 0 and math.copysign(1, computed) < 0:
            return False
        return abs(expected - computed) <= TOLERANCE * (1 + abs(expected))
    if isinstance(expected, datetime) != isinstance(computed, datetime):
        return False
    return type(expected) is type(computed) and expected == computed


def compare_calendar(
    comparison: Comparison, reference: Reference, calendar: Calendar, days: Iterable[date]
) -> None:
    """The states and the expected number of rows of the given dates."""
    starts = {season.name: season.start for season in calendar.seasons}
    ends = {season.name: season.end for season in calendar.seasons}
    for name, start in reference.schedule.starts.items():
        comparison.check(start, "", "season start", start, starts.get(name))
        end = reference.schedule.ends[name]
        comparison.check(end, "", "season end", end, ends.get(name))
    for day in days:
        state, rows = reference.state(day)
        entry = calendar.days.get(day)
        computed = DateState.NO_GAMES if entry is None else entry.state
        comparison.check(day, "", "state", state, None if computed is None else computed.value)
        comparison.check(
            day, "", "expected_rows", rows, 0 if entry is None else entry.expected_rows
        )
        absent = reference.absent_rows(day)
        comparison.check(day, "", "absent_rows", absent, 0 if entry is None else entry.absent_rows)


def compare_rows(
    comparison: Comparison, job: Job, expected: Mapping[date, ReferenceDay], computed: Computed
) -> None:
    """Every row and column of the dates of one span."""
    contract, schema = job.output.schema(), computed.rows.schema
    for column in sorted(set(contract) | set(schema)):
        wanted, got = contract.get(column), schema.get(column)
        if wanted != got:
            comparison.add(min(expected), "", f"dtype of {column}", wanted, got)
    for day, reference in expected.items():
        quarantined = day in computed.quarantined
        if quarantined != (reference.quarantined is not None):
            comparison.add(
                day, "", "quarantined", reference.quarantined, computed.quarantined.get(day)
            )
        if quarantined or reference.quarantined:
            continue
        rows = computed.rows.filter(pl.col("game_date") == day).to_dicts()
        by_player = {row["player_lookup"]: row for row in rows}
        comparison.check(day, "", "rows", len(reference.rows), len(rows))
        wanted = {row["player_lookup"]: row for row in reference.rows}
        for player in sorted(set(wanted) | set(by_player)):
            if player not in wanted or player not in by_player:
                comparison.add(day, player, "row", player in wanted, player in by_player)
                continue
            comparison.rows += 1
            one, other = wanted[player], by_player[player]
            for column in sorted(set(one) | set(other)):
                if column not in one or column not in other:
                    comparison.add(day, player, column, column in one, column in other)
                else:
                    comparison.check(day, player, column, one[column], other[column])
    beyond = set(computed.rows["game_date"].unique().to_list()) - set(expected)
    for day in sorted(beyond):
        comparison.add(day, "", "rows of another date", None, day)


def compare_days(
    comparison: Comparison,
    job: Job,
    tables: Mapping[str, pl.DataFrame],
    reference: Reference,
    calendar: Calendar,
    days: Sequence[date],
    options: Any,
) -> None:
    """The due dates among `days`, which lie in one season, computed as one span."""
    expected = {day: one for day in days if (one := reference.day(day)).state is None}
    if expected:
        computed = compute_span(job, tables, sorted(expected), calendar, options)
        compare_rows(comparison, job, expected, computed)


def spans(
    days: Iterable[date], calendar: Calendar, random: Random, longest: int
) -> list[list[date]]:
    """The dates in spans of drawn lengths, each within one season."""
    seasons: dict[str, list[date]] = {}
    for day in sorted(days):
        season = season_of(day, calendar.seasons)
        if season is not None:
            seasons.setdefault(season.name, []).append(day)
    result = []
    for dates in seasons.values():
        while dates:
            length = random.randint(1, longest)
            result.append(dates[:length])
            dates = dates[length:]
    return result
