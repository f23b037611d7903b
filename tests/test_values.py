"""Every value of player context, against the slow reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest

from ray_backfill.job import Calendar
from ray_backfill_nba.demo_league import LeagueSpec, tables
from ray_backfill_nba.demo_league.faults import BOX_FAULTS, SCHEDULE_FAULTS
from ray_backfill_nba.demo_league.feed_faults import (
    ALIAS_FAULTS,
    BOX_NAMES,
    LINE_FAULTS,
    PRO_FAULTS,
    PROP_FAULTS,
    REPORT_FAULTS,
)
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests.frames import Tables, calendar_of, rows_of, table_of
from tests.reference import Reference, real
from tests.reference.adversarial import DEFECTS, adversarial_tables
from tests.reference.compare import Comparison, compare_calendar, compare_days, spans

needs_real_data = pytest.mark.skipif(real.absent() is not None, reason=str(real.absent()))

ALWAYS = (
    date(2021, 12, 20),  # a game without tip-off
    date(2022, 1, 24),
    date(2024, 4, 16),  # play-in
    date(2024, 6, 6),  # playoffs
    date(2025, 1, 24),  # the day between two games on neutral ground
    date(2025, 10, 21),  # an opening night
    date(2025, 10, 27),
    date(2025, 11, 15),
    date(2026, 2, 10),
    date(2026, 3, 20),
    date(2026, 3, 26),
    date(2026, 4, 12),  # rosters
)
DRAWN = 28
SEEDS = range(5)


QUARANTINE, DROP_ROW = "quarantine", "drop_row"


def options(*, strict_known_at: bool = False, on_conflict: str = QUARANTINE) -> Any:
    """The job's options."""
    if on_conflict == QUARANTINE:  # the default
        return JOB.options(strict_known_at=strict_known_at)
    return JOB.options(strict_known_at=strict_known_at, on_conflict=on_conflict)


def frames_of(rows: dict[str, list[dict[str, Any]]]) -> dict[str, pl.DataFrame]:
    """Raw rows as frames; a table without rows is absent."""
    return {
        table.name: table_of(table, rows[table.name])
        for table in RAW_TABLES
        if rows.get(table.name)
    }


def every_day(reference: Reference) -> list[date]:
    """All dates from before the first game to after the last."""
    first = reference.schedule.games[0].day - timedelta(10)
    last = reference.schedule.games[-1].day + timedelta(10)
    return [first + timedelta(n) for n in range((last - first).days)]


# The real data ------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_calendar() -> Calendar:
    """The job's calendar of five seasons."""
    return calendar_of(JOB, real.tables(), options())


@needs_real_data
def test_calendar_of_five_seasons(real_calendar: Calendar) -> None:
    """Every date of five seasons is what the reference says, with as many rows."""
    reference, comparison = real.reference(), Comparison(rows=1)
    compare_calendar(comparison, reference, real_calendar, every_day(reference))
    comparison.assert_same()


@needs_real_data
def test_values_of_real_dates(real_calendar: Calendar) -> None:
    """On drawn dates of five seasons, and on those known to be odd, every value is the same."""
    reference, comparison, random = real.reference(), Comparison(), Random(20251121)
    due = [day for day in reference.schedule.on_day if reference.state(day)[0] is None]
    days = {*ALWAYS, *random.sample(sorted(set(due) - set(ALWAYS)), DRAWN)}
    for span in spans(days, real_calendar, random, longest=12):
        compare_days(
            comparison,
            JOB,
            real.tables(),
            reference,
            real_calendar,
            span,
            options(),
        )
    comparison.assert_same()


@needs_real_data
def test_values_of_real_dates_without_untimed_lines(real_calendar: Calendar) -> None:
    """With `strict_known_at` lines without a time are as good as absent."""
    comparison = Comparison()
    compare_days(
        comparison,
        JOB,
        real.tables(),
        real.reference().told(strict_known_at=True),
        real_calendar,
        [date(2025, 10, 21), date(2025, 11, 15), date(2026, 1, 20)],
        options(strict_known_at=True),
    )
    comparison.assert_same()


# The made-up league ---------------------------------------------------------------

DEMO = LeagueSpec(
    seed=3,
    teams=6,
    games=20,
    seasons=2,
    through=date(2025, 11, 20),
    conflict_date=date(2025, 11, 10),
)


@pytest.mark.parametrize("strict", [False, True])
def test_values_of_the_made_up_league(strict: bool) -> None:
    """On the dates of a made-up league that is still being played, every value is the same."""
    made_up = tables(DEMO)
    random = Random(f"made up {strict}")
    compare_league(rows_of(made_up), made_up, strict=strict, random=random, dates=40)


FEEDS = {
    "schedule": (*SCHEDULE_FAULTS, "spellings"),
    "gamebook": (*BOX_FAULTS, *BOX_NAMES, *ALIAS_FAULTS),
    "lines": (*LINE_FAULTS, *PROP_FAULTS, *PRO_FAULTS),
    "reports": (*REPORT_FAULTS, "no_codes"),
}


@pytest.mark.parametrize("feed", FEEDS)
def test_values_of_the_made_up_league_with_faults(feed: str) -> None:
    """With all that can be wrong with a feed, every value is the same."""
    made_up = tables(replace(DEMO, faults=FEEDS[feed]))
    compare_league(rows_of(made_up), made_up, strict=False, random=Random(feed), dates=24)


def test_the_made_up_league_has_every_state() -> None:
    """The drawn league has rosters, dates too far ahead, and one that disagrees with itself."""
    reference = Reference(rows_of(tables(DEMO)))
    days = {day: reference.state(day) for day in reference.schedule.on_day}
    assert {"future", None} <= {state for state, _ in days.values()}
    quarantined = reference.day(date(2025, 11, 10)).quarantined
    assert quarantined is not None
    assert "nbac_gamebook_player_stats" in quarantined
    played = reference.schedule.newest_played
    rosters = [day for day, (state, _) in days.items() if state is None and day > played]
    assert rosters


# The adversarial league -----------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_values_of_the_adversarial_league(seed: int, strict: bool) -> None:
    """On every date of a league full of trouble, every value is the same."""
    rows = adversarial_tables(seed)
    compare_league(rows, frames_of(rows), strict=strict, random=Random(seed))


@pytest.mark.parametrize("defect", DEFECTS)
def test_values_with_one_defect(defect: str) -> None:
    """Whichever of the defects the league has, every value is the same."""
    rows = adversarial_tables(7, [defect])
    random = Random(defect)
    compare_league(rows, frames_of(rows), strict=False, random=random, dates=16)


@pytest.mark.parametrize("seed", SEEDS)
def test_values_where_conflicting_rows_are_dropped(seed: int) -> None:
    """With `on_conflict=drop_row` only the players are left out on whom rows disagree."""
    rows = adversarial_tables(seed)
    frames, chosen = frames_of(rows), options(on_conflict=DROP_ROW)
    reference, comparison = Reference(rows, on_conflict=DROP_ROW), Comparison()
    calendar = calendar_of(JOB, frames, chosen)
    days = sorted(set(reference.boxes.disagreeing) & set(reference.schedule.on_day))
    assert days
    for span in spans(days, calendar, Random(seed), longest=24):
        compare_days(comparison, JOB, frames, reference, calendar, span, chosen)
    comparison.assert_same()


def compare_league(
    rows: dict[str, list[dict[str, Any]]],
    frames: Tables,
    *,
    strict: bool,
    random: Random,
    dates: int | None = None,
) -> None:
    """All dates of a league, or so many drawn ones, in spans of drawn lengths."""
    reference, comparison = Reference(rows, strict_known_at=strict), Comparison()
    chosen = options(strict_known_at=strict)
    calendar = calendar_of(JOB, frames, chosen)
    compare_calendar(comparison, reference, calendar, every_day(reference))
    days = sorted(reference.schedule.on_day)
    drawn = days if dates is None else random.sample(days, min(dates, len(days)))
    for span in spans(drawn, calendar, random, longest=24):
        compare_days(comparison, JOB, frames, reference, calendar, span, chosen)
    comparison.assert_same()


def test_the_adversarial_league_meets_every_rule() -> None:
    """Over the seeds used, every rank, book, state, status, tier and issue occurs."""
    met: Counter[Any] = Counter()
    for seed in SEEDS:
        reference = Reference(adversarial_tables(seed))
        met["off"] += len(reference.schedule.off)
        met["stray dates"] += len(reference.boxes.strays)
        met["complete"] += len(reference.boxes.whole)
        for day in reference.schedule.on_day:
            one = reference.day(day)
            met["absent rows"] += reference.absent_rows(day)
            met["state", one.state] += 1
            met["quarantined", one.quarantined is not None] += 1
            for row in one.rows:
                for column in COUNTED:
                    met[column, row[column]] += 1
                for issue in row["data_quality_issues"]:
                    met["issue", issue] += 1
                for column, value in row.items():
                    met[column, "NULL" if value is None else "known"] += 1
    rare = {what: met[what] for what in EXPECTED if met[what] < 2}
    assert not rare, rare


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_is_one(defect: str) -> None:
    """It changes the league, and only where it is switched on."""
    without, with_it = adversarial_tables(7, []), adversarial_tables(7, [defect])
    assert without == adversarial_tables(7, [])
    assert without != with_it


@pytest.mark.parametrize("defect", ["labels", "late scrapes", "spellings", "spelled places"])
def test_some_defects_change_no_value(defect: str) -> None:
    """Other labels than the ids', later scrapes that know less, other spellings."""
    clean = Reference(adversarial_tables(7, []))
    spoiled = Reference(adversarial_tables(7, [defect]))
    days = sorted(clean.schedule.on_day)
    assert days == sorted(spoiled.schedule.on_day)
    for day in Random(defect).sample(days, 16):
        assert clean.day(day).rows == spoiled.day(day).rows


COUNTED = (
    *("points_line_rank", "spread_bookmaker", "total_bookmaker", "population", "season_phase"),
    *("player_status", "home_game", "data_quality_tier"),
)
ISSUES = (
    "no_history",
    "thin_history",
    "history_gap",
    "history_incomplete",
    "no_minutes",
    "no_tipoff",
    "tipoff_disputed",
    "overdue_game",
    "no_game_spread",
    "no_game_total",
    "no_points_line",
    "unstamped_line",
    "uniform_points_line",
    "no_injury_report",
    "implausible_spread",
    "implausible_total",
)
EXPECTED = (
    *("off", "stray dates", "complete", "absent rows"),
    *(("data_quality_tier", tier) for tier in ("gold", "silver", "bronze")),
    *(("state", state) for state in (None, "by_design", "blocked", "future")),
    *(("quarantined", value) for value in (True, False)),
    *(("points_line_rank", rank) for rank in (None, 1, 2, 3, 4, 5)),
    *(("spread_bookmaker", book) for book in (None, "draftkings", "fanduel", "consensus")),
    *(("total_bookmaker", book) for book in (None, "draftkings", "fanduel", "consensus")),
    *(("population", kind) for kind in ("gamebook", "roster")),
    *(("season_phase", phase) for phase in ("early", "mid", "late", "playoffs")),
    *(("player_status", s) for s in (None, "out", "questionable", "available")),
    *(("issue", issue) for issue in ISSUES),
    *(
        (column, known)
        for known in ("NULL", "known")
        for column in (
            "opening_points_line",
            "days_rest",
            "minutes_in_last_14_days",
            "usage_rate_last_10",
            "avg_points_vs_opponent",
            "team_pace_last_10",
            "opponent_ft_rate_allowed",
            "next_game_days_rest",
            "opponent_days_rest",
            "travel_miles",
            "miles_traveled_last_14_days",
            "player_age",
            "injury_reason",
            "star_teammates_out",
            "known_at_max",
        )
    ),
)
