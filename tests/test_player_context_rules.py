"""History, duplicates and population: rules that are easy to get wrong, on rows made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ray_backfill.job import DateState
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from tests.frames import calendar_of
from tests.test_player_context_lines import (
    ANN,
    TIP,
    D,
    Rows,
    ago,
    computed,
    game,
    line,
    row,
    season,
    tables,
)

# History ----------------------------------------------------------------------------


def test_games_not_played_are_no_games() -> None:
    """DNP rows count nowhere; a row without minutes but with points is a game."""
    rows = season(*ago(6, 4, 2))
    dnp = {"player_status": "dnp", "points": 0, "minutes_decimal": None}
    rows[raw.GAMEBOOK][2] |= dnp
    rows[raw.GAMEBOOK][4] |= {"minutes_decimal": None, "points": 40}
    found = row(rows)
    assert (found["games_played_season"], found["points_avg_last_5"]) == (2, 30.0)
    assert (found["minutes_avg_last_10"], found["days_rest_before_last_game"]) == (30.0, 4)


def test_rest_between_games() -> None:
    """Days since the last pair of games two days apart count from the later of the two."""
    found = row(season(*ago(9, 7, 6, 5, 1)))
    assert (found["days_rest"], found["back_to_back"]) == (1, True)
    assert found["days_since_2_plus_days_rest"] == 1
    found = row(season(*ago(9, 7, 6, 5)))
    assert (found["days_since_2_plus_days_rest"], found["back_to_backs_last_14_days"]) == (7, 2)


def test_a_game_without_box_scores_hides_the_load() -> None:
    """A final game of the team without gamebook rows makes rest and load unknown."""
    rows = season(*ago(6, 4, 2))
    rows[raw.GAMEBOOK] = [r for r in rows[raw.GAMEBOOK] if r["game_date"] != D - timedelta(4)]
    found = row(rows)
    assert "history_gap" in found["data_quality_issues"]
    assert (found["days_rest"], found["back_to_back"], found["games_in_last_7_days"]) == (None,) * 3
    assert found["games_played_season"] == 2


def test_nothing_looks_ahead_from_the_playoffs() -> None:
    """Who plays again is who won; a game after the next 14 days is not looked at."""
    later = [game(D + timedelta(n)) for n in (3, 16)]
    rows = season(*ago(2))
    rows[raw.SCHEDULE] += later
    found = row(rows)
    assert (found["next_game_days_rest"], found["games_in_next_7_days"]) == (3, 1)
    rows[raw.SCHEDULE][1] |= {"season_type": "Play-In", "is_regular_season": False}
    found = row(rows)
    assert found["season_phase"] == "playoffs"
    assert (found["next_game_days_rest"], found["games_in_next_7_days"]) == (None, None)


def test_nobody_knows_the_way_out_of_a_neutral_site() -> None:
    """The leg into a neutral site and the one out of it are unknown, and so is their sum."""
    rows = season(*ago(17, 10, 5))
    rows[raw.SCHEDULE][2] |= {"neutral_site_flag": True}
    found = row(rows, "bobsmall", D)
    assert (found["travel_miles"], found["miles_traveled_last_14_days"]) == (None, None)
    first = row(rows, "bobsmall", D - timedelta(17))
    assert first["travel_miles"] == pytest.approx(188.2, abs=0.1)
    assert row(rows, "bobsmall", D - timedelta(10))["travel_miles"] == 0.0


# Duplicates and reports ---------------------------------------------------------------


def test_rows_that_disagree_quarantine_their_date_alone() -> None:
    """Elsewhere in the history the value they disagree on is not known."""
    rows = season(*ago(4, 2))
    rows[raw.GAMEBOOK].append(line(D - timedelta(2), points=50))
    assert ANN in computed(rows, D - timedelta(2)).quarantined[D - timedelta(2)]
    assert not computed(rows).quarantined
    found = row(rows)
    assert (found["games_played_season"], found["l5_games_used"]) == (2, 1)
    rows[raw.GAMEBOOK][-1]["processed_at"] = TIP
    assert row(rows)["points_avg_last_5"] == 35.0


def test_a_postponed_game_stands_on_one_date() -> None:
    """An id on two dates belongs to the higher status."""
    rows = season(*ago(4))
    postponed = game(D - timedelta(2), game_status=1, game_id=rows[raw.SCHEDULE][1]["game_id"])
    rows[raw.SCHEDULE].append(postponed)
    calendar = calendar_of(JOB, tables(rows), JOB.options())
    assert D - timedelta(2) not in calendar.days


def test_the_latest_report_decides_alone() -> None:
    """Whom the team's latest report before tip-off does not list is available."""

    def report(hours: float, player: str, status: str) -> dict[str, Any]:
        seen = TIP - timedelta(hours=hours)
        return {
            "game_date": D,
            "report_timestamp": seen,
            "team": "BOS",
            "player_lookup": player,
            "injury_status": status,
        }

    reports = [report(9, ANN, "out"), report(1, "cy", "Day-To-Day "), report(-1, ANN, "out")]
    rows = season(D) | {raw.INJURIES: reports}
    found = row(rows)
    assert (found["player_status"], found["questionable_teammates"]) == ("available", 1)
    assert found["known_at_max"] == TIP - timedelta(hours=1)
    assert row(rows, "bobsmall")["player_status"] is None
    torn = season(D) | {raw.INJURIES: [report(9, ANN, "out"), report(9, ANN, "probable")]}
    assert ANN in computed(torn).quarantined[D]
    torn[raw.INJURIES].append(report(1, "cy", "out"))
    assert not computed(torn).quarantined


# Who gets a row -----------------------------------------------------------------------


def test_the_population_is_decided_per_game() -> None:
    """Not final: a roster; final without box scores: nobody, and a note; all of them: blocked."""
    rows = season(*ago(4))
    rows[raw.GAMEBOOK] = [r for r in rows[raw.GAMEBOOK] if r["game_date"] != D]
    blocked = calendar_of(JOB, tables(rows), JOB.options()).days[D]
    assert blocked.state is DateState.BLOCKED
    rows[raw.SCHEDULE].append(game(D, "LAL", "GSW"))
    rows[raw.GAMEBOOK].append(line(D, "lee", "LAL"))
    partly = calendar_of(JOB, tables(rows), JOB.options()).days[D]
    assert (partly.state, partly.expected_rows) == (None, 1)
    assert partly.notes == ("no box scores of GSW in GSW at LAL, NYK at BOS",)
    # Of the sides that are missing only Boston has a roster: the two players of four days before.
    assert (blocked.absent_rows, partly.absent_rows) == (2, 2)
    traded = [*rows[raw.GAMEBOOK], line(D, ANN, "LAL")]
    entry = calendar_of(JOB, tables(rows | {raw.GAMEBOOK: traded}), JOB.options()).days[D]
    assert (entry.expected_rows, entry.absent_rows) == (2, 1)
    rows[raw.SCHEDULE][1]["game_status"] = 1
    assert computed(rows).rows["population"].to_list() == ["roster", "roster", "gamebook"]


def test_a_roster_looks_back_thirty_days() -> None:
    """A latest row on the 30th day before counts, one on the 31st does not."""
    rows = season(*ago(31, 30))
    rows[raw.SCHEDULE][2]["game_status"] = 1
    day_31, day_30 = D - timedelta(31), D - timedelta(30)
    rows[raw.GAMEBOOK] = [line(day_31, "early"), line(day_30, "late"), line(day_31, "moved")]
    rows[raw.GAMEBOOK].append(line(day_30, "moved", "LAL"))
    assert computed(rows).rows["player_lookup"].to_list() == ["late"]


def test_opening_night_before_it_is_played() -> None:
    """A roster of nobody is empty by design."""
    rows: Rows = {raw.SCHEDULE: [game(D, game_status=1)]}
    assert calendar_of(JOB, tables(rows), JOB.options()).days[D].state is DateState.BY_DESIGN
