"""What a change of the raw rows makes stale, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ray_backfill.job import Context
from ray_backfill.staleness.fingerprint import changed_views, fingerprints, view_digests
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from tests.frames import calendar_of, compute_span, frames_for
from tests.test_player_context_lines import (
    ANN,
    Rows,
    game,
    line,
    prop,
    row,
    scored,
    season,
    tables,
)

FIRST = date(2025, 11, 18)
DAYS = tuple(FIRST + timedelta(2 * n) for n in range(12))
"""D of the made-up lines is the second of them."""
D = DAYS[1]
LAST_YEAR = date(2025, 3, 3)


def league() -> Rows:
    """A game every other day, one of the season before, a line, a report, a birth date."""
    rows = season(*DAYS)
    rows[raw.SCHEDULE].append(game(LAST_YEAR, season="2024-25", game_id="0022400001"))
    rows[raw.GAMEBOOK].append(line(LAST_YEAR))
    rows[raw.POINTS_PROPS] = [prop(20.5, 30)]
    rows[raw.REGISTRY] = [
        {"season": "2025-26", "player_lookup": ANN, "birth_date": date(2000, 1, 1)}
    ]
    rows[raw.INJURIES] = [
        {
            "game_date": D,
            "report_timestamp": datetime(2025, 11, 20, 18, tzinfo=UTC),
            "team": "BOS",
            "player_lookup": ANN,
            "injury_status": "out",
        }
    ]
    return scored(rows)


def prints(rows: Rows) -> dict[date, str]:
    """The fingerprints of all dates of the season."""
    calendar = calendar_of(JOB, tables(rows), JOB.options())
    context = Context(calendar.seasons, calendar.seasons[-1], JOB.options())
    frames = frames_for(JOB, tables(rows), DAYS, calendar.seasons)
    digests = {view.name: view_digests(JOB, view, frames, context) for view in JOB.views}
    return fingerprints(JOB, digests, DAYS, calendar.seasons)


@pytest.mark.parametrize("asked", [DAYS[:1], DAYS[1:2], DAYS[4:7], (DAYS[1], DAYS[5]), DAYS])
def test_digests_for_some_dates_are_those_for_all(asked: tuple[date, ...]) -> None:
    """A worker makes the digests of its own dates alone; the plan's, over the season, agree."""
    calendar = calendar_of(JOB, tables(league()), JOB.options())
    context = Context(calendar.seasons, calendar.seasons[-1], JOB.options())
    frames = frames_for(JOB, tables(league()), asked, calendar.seasons)
    digests = {view.name: view_digests(JOB, view, frames, context, asked) for view in JOB.views}
    found = fingerprints(JOB, digests, asked, calendar.seasons)
    assert found == {day: text for day, text in prints(league()).items() if day in asked}


def touched(change: Callable[[Rows], None]) -> dict[date, tuple[str, ...]]:
    """Date -> the views that a change touches there."""
    before, rows = prints(league()), deepcopy(league())
    change(rows)
    after = prints(rows)
    return {
        day: changed_views(before[day], after[day]) for day in DAYS if before[day] != after[day]
    }


def test_another_scrape_touches_nothing() -> None:
    """The same rows again, with another `processed_at`, in another order."""

    def scrape(rows: Rows) -> None:
        for table in (raw.SCHEDULE, raw.GAMEBOOK, raw.INJURIES, raw.REGISTRY):
            again = [
                {**one, "processed_at": datetime(2026, 5, 5, tzinfo=UTC)} for one in rows[table]
            ]
            rows[table] = [*reversed(again), *rows[table]]
        rows[raw.POINTS_PROPS] *= 3

    assert touched(scrape) == {}


def test_box_scores_touch_the_later_dates() -> None:
    """Their own date does not rest on them. Points must sum to the score as well."""

    def shots(rows: Rows) -> None:
        rows[raw.GAMEBOOK][2]["field_goals_made"] = 9

    def points(rows: Rows) -> None:
        rows[raw.GAMEBOOK][2]["points"] = 33

    assert touched(shots) == {day: ("box",) for day in DAYS if day > D}
    assert touched(points) == {day: ("box", "results") for day in DAYS if day > D}


def test_a_status_that_is_no_game_touches_nothing() -> None:
    """Whether somebody was inactive or did not play is all the same."""
    before, after = league(), league()
    before[raw.GAMEBOOK][2]["player_status"] = "dnp"
    after[raw.GAMEBOOK][2]["player_status"] = "inactive"
    assert prints(before) == prints(after)


def test_a_final_score_touches_the_later_dates() -> None:
    """Its own date only if its population flips, or if the game becomes overdue."""

    def change(rows: Rows) -> None:
        rows[raw.SCHEDULE][1]["home_team_score"] = 99

    assert touched(change) == {day: ("results",) for day in DAYS if day > D}

    def not_final(rows: Rows) -> None:
        rows[raw.SCHEDULE][1]["game_status"] = 2

    assert touched(not_final).pop(D) == ("population",)

    def live(rows: Rows) -> None:
        rows[raw.SCHEDULE][-2]["game_status"] = 2

    assert DAYS[-1] not in touched(live)


def test_a_roster_that_is_played_flips() -> None:
    """A date whose games have no box scores yet is computed again when they come."""
    played, rows = league(), league()
    rows[raw.SCHEDULE][1]["game_status"] = 1
    rows[raw.GAMEBOOK] = [one for one in rows[raw.GAMEBOOK] if one["game_date"] != D]
    assert changed_views(prints(rows)[D], prints(played)[D]) == ("population",)


def test_a_fixture_touches_the_fortnight_before_it() -> None:
    """And every later date."""

    def change(rows: Rows) -> None:
        rows[raw.SCHEDULE][9]["is_regular_season"] = False

    near = DAYS[9] - timedelta(14)
    assert touched(change) == {day: ("fixtures",) for day in DAYS if day >= near}


def test_late_lines_and_reports_touch_their_date_alone() -> None:
    """Views of D."""

    def change(rows: Rows) -> None:
        rows[raw.POINTS_PROPS].append(prop(23.5, 1))
        rows[raw.INJURIES][0]["injury_status"] = "probable"

    assert touched(change) == {D: ("points_props", "injuries")}


def test_the_season_before_touches_all() -> None:
    """Through the games against the opponent, and only through them."""

    def points(rows: Rows) -> None:
        rows[raw.GAMEBOOK][-1]["points"] = 1

    def rebounds(rows: Rows) -> None:
        rows[raw.GAMEBOOK][-1]["offensive_rebounds"] = 9

    assert touched(points) == dict.fromkeys(DAYS, ("season_before",))
    assert touched(rebounds) == {}


def test_a_registry_row_touches_its_player_alone() -> None:
    """Whoever has no row on a date has no birth date there."""

    def other(rows: Rows) -> None:
        rows[raw.REGISTRY].append(
            {"season": "2025-26", "player_lookup": "cy", "birth_date": date(1999, 1, 1)}
        )

    def own(rows: Rows) -> None:
        rows[raw.REGISTRY][0]["birth_date"] = date(1999, 1, 1)
        rows[raw.GAMEBOOK] = [
            one
            for one in rows[raw.GAMEBOOK]
            if one["player_lookup"] != ANN or one["game_date"] != D
        ]

    assert touched(other) == {}
    assert {day for day, views in touched(own).items() if "ages" in views} == set(DAYS)


def test_an_alias_touches_the_dates_of_whom_it_means() -> None:
    """An alias of a stranger touches nothing; a spelling of a report its date."""

    def stranger(rows: Rows) -> None:
        rows[raw.ALIASES] = [{"alias_lookup": "zz", "player_lookup": "nobody"}]

    def listed(rows: Rows) -> None:
        rows[raw.INJURIES].append({**rows[raw.INJURIES][0], "player_lookup": "zz"})
        stranger(rows)

    assert touched(stranger) == {}
    assert touched(listed) == {D: ("injuries",)}


@pytest.mark.parametrize("table", [raw.SCHEDULE, raw.GAMEBOOK])
def test_correcting_a_conflict_touches_the_date_itself(table: raw.Table) -> None:
    """A quarantined date is tried again once its rows agree."""
    torn = league()
    values = {"home_team_score": 1} if table is raw.SCHEDULE else {"points": 1}
    torn[table].append({**next(r for r in torn[table] if r["game_date"] == D), **values})
    calendar = calendar_of(JOB, tables(torn), JOB.options())
    assert compute_span(JOB, tables(torn), [D], calendar, JOB.options()).quarantined
    assert changed_views(prints(torn)[D], prints(league())[D]) == ("population",)


def dnp(played: dict[str, Any]) -> dict[str, Any]:
    """The row as if its player had not played; nothing says which of the two is right."""
    return {**played, "player_status": "dnp"}


def test_a_twin_that_did_not_play_touches_the_later_dates() -> None:
    """Whether the player has played is then unknown, and his own date disagrees with itself."""

    def change(rows: Rows) -> None:
        rows[raw.GAMEBOOK].append(dnp(rows[raw.GAMEBOOK][2]))

    assert rows_of_ann(change, DAYS[2])["games_played_season"] == 1
    later = {day: ("box", "results") for day in DAYS if day > D}
    assert touched(change) == {D: ("population",)} | later


def test_a_twin_in_the_season_before_touches_all() -> None:
    """Through the games against the opponent."""

    def change(rows: Rows) -> None:
        rows[raw.GAMEBOOK].append(dnp(rows[raw.GAMEBOOK][-1]))

    assert rows_of_ann(change, DAYS[0])["games_vs_opponent"] == 0
    assert touched(change) == dict.fromkeys(DAYS, ("season_before",))


def test_a_report_under_an_alias_that_is_scraped_again_touches_its_date() -> None:
    """The latest scrape of a player's rows wins, whatever they call him."""
    early, late = (datetime(2025, 11, 20, hour, tzinfo=UTC) for hour in (19, 20))

    def spelled(rows: Rows) -> None:
        rows[raw.ALIASES] = [{"alias_lookup": "anntalljr", "player_lookup": ANN}]
        (own,) = rows[raw.INJURIES]
        own["processed_at"] = late
        other = {"player_lookup": "anntalljr", "injury_status": "probable", "processed_at": early}
        rows[raw.INJURIES].append({**own, **other})

    def again(rows: Rows) -> None:
        spelled(rows)
        rows[raw.INJURIES][1]["processed_at"] = datetime(2025, 11, 20, 21, tzinfo=UTC)

    assert rows_of_ann(spelled, D)["player_status"] == "out"
    assert rows_of_ann(again, D)["player_status"] == "probable"
    before, after = league(), league()
    spelled(before)
    again(after)
    assert changed_views(prints(before)[D], prints(after)[D]) == ("injuries",)


def test_a_conflict_in_a_fixture_touches_what_rests_on_it() -> None:
    """Whether a game is on neutral ground is not known where its rows disagree on it."""
    plain, torn = league(), league()
    for rows in (plain, torn):
        rows[raw.SCHEDULE][9]["neutral_site_flag"] = True
    torn[raw.SCHEDULE].append({**torn[raw.SCHEDULE][9], "neutral_site_flag": False})
    assert row(plain, ANN, DAYS[10])["miles_traveled_last_14_days"] is None
    assert row(torn, ANN, DAYS[10])["miles_traveled_last_14_days"] == 0.0
    before, after = prints(plain), prints(torn)
    near = DAYS[9] - timedelta(14)
    found = {day: changed_views(before[day], after[day]) for day in DAYS}
    for day in DAYS:
        own = ("population",) if day == DAYS[9] else ()
        # A box score of a game whose rows disagree is as complete as it was.
        assert found[day] == ((*own, "fixtures") if day >= near else ()), day


def test_the_season_before_is_the_last_one() -> None:
    """Of three seasons the first is none of the third's business."""
    long_ago = date(2024, 3, 3)

    def third(rows: Rows) -> None:
        rows[raw.SCHEDULE].append(game(long_ago, season="2023-24", game_id="0022300001"))
        rows[raw.GAMEBOOK].append(line(long_ago, points=50))

    assert touched(third) == {}
    found = rows_of_ann(third, DAYS[0])
    assert (found["games_vs_opponent"], found["avg_points_vs_opponent"]) == (1, 20.0)


def rows_of_ann(change: Callable[[Rows], None], day: date) -> dict[str, Any]:
    """Ann's row of a date of the changed league."""
    rows = deepcopy(league())
    change(rows)
    return row(rows, ANN, day)
