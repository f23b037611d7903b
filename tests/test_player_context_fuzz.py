"""Whatever changes a value of a date changes its fingerprint: single changes, drawn at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest

from ray_backfill.job import Context
from ray_backfill.job.table import Column
from ray_backfill.staleness.fingerprint import fingerprints, view_digests
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    POINTS_PROPS,
    RAW_TABLES,
    REGISTRY,
    SCHEDULE,
)
from tests.frames import Tables, calendar_of, frames_for
from tests.reference.adversarial import adversarial_tables
from tests.test_values import frames_of

CHANGES = 40
LATER = datetime(2026, 6, 1, tzinfo=UTC)
WEIGHTS = {GAMEBOOK: 6, SCHEDULE: 5, INJURIES: 4, ALIASES: 2, REGISTRY: 2}
"""Where a change has the furthest to go it is drawn most often; 1 for every other table."""
USED = {
    table: sorted({name for one in JOB.inputs if one.table is table for name in one.columns})
    for table in RAW_TABLES
}


@dataclass(frozen=True)
class Seen:
    """What one date is: its rows as one comparable value, and its fingerprint."""

    content: object
    fingerprint: str


def seen(tables: Tables) -> dict[date, Seen]:
    """Every due date of the last season."""
    options = JOB.options()
    calendar = calendar_of(JOB, tables, options)
    due = [day for day, entry in calendar.days.items() if entry.state is None]
    season = calendar.seasons[-1]
    days = sorted(day for day in due if day in season.range)
    if not days:
        return {}
    frames = frames_for(JOB, tables, days, calendar.seasons)
    context = Context(calendar.seasons, season, options)
    digests = {view.name: view_digests(JOB, view, frames, context, days) for view in JOB.views}
    prints = fingerprints(JOB, digests, days, calendar.seasons)
    computed = JOB.compute(frames, days, context)
    by_day = computed.rows.sort("player_lookup").partition_by("game_date", as_dict=True)
    return {
        day: Seen(
            computed.quarantined.get(day) or (by_day[day,].rows() if (day,) in by_day else []),
            prints[day],
        )
        for day in days
    }


def changed(tables: Tables, random: Random) -> tuple[dict[str, pl.DataFrame], str]:
    """The tables with one row changed, doubled, scraped again, taken out or brought in."""
    held = [table for table in RAW_TABLES if table.name in tables]
    (table,) = random.choices(held, [WEIGHTS.get(table, 1) for table in held])
    frame = tables[table.name]
    at = random.randrange(frame.height)
    row = frame.row(at, named=True)
    others = frame.with_row_index().filter(pl.col("index") != at).drop("index")
    kind = random.choice(("value", "value", "twin", "twin", "again", "drop"))
    if kind == "drop":
        return {**tables, table.name: others}, f"{table.name} without {row}"
    other = dict(row)
    if kind != "again":
        column = table.column(random.choice(USED[table]))
        other[column.name] = drawn(column, frame, random)
    if "processed_at" in row and (kind == "again" or random.random() < 0.3):
        other["processed_at"] = random.choice((None, LATER))
    base = others if kind == "value" else frame
    brought = pl.DataFrame([other], schema=frame.schema)
    return {**tables, table.name: pl.concat([base, brought])}, f"{kind} in {table.name}: {other}"


ODD: dict[str, tuple[Any, ...]] = {
    "game_status": (1, 2, 3, 4, None),
    "home_team_score": (0, 100, None),
    "away_team_score": (0, 100, None),
    "season": ("2023-2024", "2024-25", "24/25"),
    "season_type": ("Pre Season", "PLAYOFFS", "Play-In", "something"),
    "game_id": ("0022300001", "0012400002", "0042400003", "x"),
    "minutes_decimal": (0.0, 12.5),
    "points": (0, 5, 6, 30),
    "player_status": ("Active ", "dnp", "suspended"),
    "points_line": (0.0, 20.5, 99.5),
    "opening_line": (0.0, 18.5, 99.5),
    "outcome_point": (0.0, -46.5, 500.0),
    "outcome_name": (" OVER", "under ", "Draw"),
    "bet_side": ("OVER", "yes"),
    "market_type": ("Points", "rebounds"),
    "bookmaker": ("Draft Kings", "fanduel", "-"),
    "bookmaker_key": ("Draft Kings", "fanduel", "-"),
    "injury_status": ("OUT", "day-to-day", "gtd"),
    "team": ("brk ", "DEL"),
    "team_abbr": ("brk ", "DEL"),
}
"""Values that the columns seldom have, and that the rules are about."""


def drawn(column: Column, frame: pl.DataFrame, random: Random) -> Any:
    """A value that the column has elsewhere, or none, or an odd one; a time some hours away."""
    if column.nullable and random.random() < 0.2:
        return None
    if column.name in ODD and random.random() < 0.5:
        return random.choice(ODD[column.name])
    value = random.choice(frame[column.name].to_list())
    if isinstance(value, str) and random.random() < 0.2:
        return f" {value.upper()}"
    if isinstance(value, datetime) and random.random() < 0.5:
        return value + timedelta(hours=random.choice((-4, -2, 2, 4, 30)))
    return value


def small(seed: int) -> Tables:
    """The adversarial league with an eighth of its lines: it has several markets too many."""
    tables = frames_of(adversarial_tables(seed))
    for table in (GAME_LINES, POINTS_PROPS, BETTINGPROS):
        if table.name in tables:
            tables[table.name] = tables[table.name].gather_every(8)
    return tables


@pytest.mark.parametrize("seed", range(4))
def test_what_changes_a_value_changes_the_fingerprint(seed: int) -> None:
    """Over all raw tables: no date comes out otherwise under the fingerprint that it had."""
    tables, random = small(seed), Random(f"fuzz {seed}")
    before, met = seen(tables), Counter[bool]()
    for _ in range(CHANGES):
        other, what = changed(tables, random)
        after = seen(other)
        for day in before.keys() & after.keys():
            moved = before[day].content != after[day].content
            met[moved] += 1
            assert not moved or before[day].fingerprint != after[day].fingerprint, (day, what)
    # Many draws are no change to a date: an unusable line, another scrape, a row of nobody.
    assert met[True] > CHANGES // 4, "hardly any change changed a value"
