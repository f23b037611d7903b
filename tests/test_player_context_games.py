"""Games, seasons and box scores: what counts, and what is known of it, on rows made by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ray_backfill.job import Calendar, DateState
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from tests.frames import calendar_of
from tests.test_player_context_lines import (
    ANN,
    TIP,
    D,
    Rows,
    ago,
    game,
    line,
    row,
    season,
    tables,
)


def calendar(rows: Rows) -> Calendar:
    """The job's calendar."""
    return calendar_of(JOB, tables(rows), JOB.options())


def issues(rows: Rows, player: str = ANN, day: date = D) -> list[str]:
    """What a row says that it lacks."""
    return list(row(rows, player, day)["data_quality_issues"])


def without_boxes(rows: Rows, *days: date, team: str | None = None) -> Rows:
    """The rows without the gamebook's of some dates (of one team, or of all)."""
    kept = [
        one
        for one in rows[raw.GAMEBOOK]
        if one["game_date"] not in days or (team is not None and one["team_abbr"] != team)
    ]
    return rows | {raw.GAMEBOOK: kept}


DAY_2, DAY_4, DAY_6 = (D - timedelta(n) for n in (2, 4, 6))
BARE: dict[str, Any] = {"home_team_score": None, "away_team_score": None}

# State of a game -------------------------------------------------------------------------


def test_a_final_without_scores_is_played_where_both_teams_have_rows() -> None:
    """It has no result; its box score is complete, as there is nothing to compare it with."""
    rows = season(*ago(6, 4, 2))
    rows[raw.SCHEDULE][2] |= BARE
    found = row(rows)
    assert (found["games_played_season"], found["missing_box_scores"]) == (3, 0)
    assert found["team_win_pct"] == 0.0  # the other two were ties
    rows[raw.SCHEDULE][2] |= {"home_team_score": 0, "away_team_score": 0}
    assert row(rows)["games_played_season"] == 3
    # One side without points is a score.
    rows[raw.SCHEDULE][2] |= {"home_team_score": 0, "away_team_score": 20}
    found = row(rows, "bobsmall")
    assert (found["team_win_pct"], found["missing_box_scores"]) == (1 / 3, 0)
    assert row(rows)["missing_box_scores"] == 1


def test_a_final_without_scores_and_rows_is_off() -> None:
    """Older than a played game, it is no game at all: no gap, no rest, no date of its own."""
    rows = without_boxes(season(*ago(6, 4, 2)), DAY_4)
    rows[raw.SCHEDULE][1] |= BARE
    found = row(rows)
    assert (found["games_played_season"], found["missing_box_scores"]) == (2, 0)
    assert (found["days_rest"], found["days_rest_before_last_game"]) == (2, 4)
    entry = calendar(rows).days[DAY_4]
    assert entry.state is DateState.NO_GAMES
    assert "NYK at BOS" in entry.reason


def test_rows_of_one_team_prove_nothing() -> None:
    """A final without scores of which only one team has rows is off, and its rows are nobody's."""
    rows = without_boxes(season(*ago(6, 4, 2)), DAY_4, team="NYK")
    rows[raw.SCHEDULE][1] |= BARE
    assert row(rows)["games_played_season"] == 2


def test_a_late_final_without_scores_is_still_open() -> None:
    """Its scores are not filled in yet: a roster, and a gap for what comes after it."""
    rows = without_boxes(season(*ago(4, 2)), D)
    rows[raw.SCHEDULE][2] |= BARE
    found = row(rows)
    assert (found["population"], found["days_rest"]) == ("roster", 2)
    assert "overdue_game" not in found["data_quality_issues"]
    rows[raw.SCHEDULE].append(game(D + timedelta(1), game_status=1))
    after = row(rows, ANN, D + timedelta(1))
    assert "history_gap" in after["data_quality_issues"]
    assert (after["days_rest"], after["missing_box_scores"]) == (None, 1)


def test_other_statuses_are_off() -> None:
    """Postponed or cancelled, whatever the scores and the rows say."""
    rows = season(*ago(6, 4, 2))
    rows[raw.SCHEDULE][1] |= {"game_status": 4, "home_team_score": 99, "away_team_score": 98}
    found = row(rows)
    assert (found["games_played_season"], found["missing_box_scores"]) == (2, 0)
    assert calendar(rows).days[DAY_4].state is DateState.NO_GAMES


def test_a_score_without_a_status_is_a_game_played() -> None:
    """And without a score the game is open."""
    rows = season(*ago(4, 2))
    rows[raw.SCHEDULE][1] |= {"game_status": None, "home_team_score": 20, "away_team_score": 20}
    assert row(rows)["games_played_season"] == 2
    rows[raw.SCHEDULE][1] |= BARE
    found = row(rows)
    assert (found["games_played_season"], found["days_rest"]) == (1, None)


def test_an_overdue_game_has_a_roster_and_says_so() -> None:
    """An open game that is older than a played one, also where it has gamebook rows."""
    rows = without_boxes(season(*ago(6, 4, 2)), DAY_4)
    rows[raw.SCHEDULE][1]["game_status"] = 1
    found = row(rows, ANN, DAY_4)
    assert found["population"] == "roster"
    assert "overdue_game" in found["data_quality_issues"]
    assert "overdue_game" not in issues(rows)
    booked = season(*ago(6, 4, 2))
    booked[raw.SCHEDULE][1]["game_status"] = 2
    found = row(booked, ANN, DAY_4)
    assert (found["population"], "overdue_game" in found["data_quality_issues"]) == (
        "gamebook",
        True,
    )
    assert row(booked)["games_played_season"] == 2


# Of several rows ---------------------------------------------------------------------------


def test_of_several_rows_of_a_game_a_played_one_stands() -> None:
    """Then the latest scrape, whatever its status, then the highest status."""
    rows = season(*ago(4, 2))
    later = rows[raw.SCHEDULE][1] | {"game_status": 1, "processed_at": TIP} | BARE
    rows[raw.SCHEDULE].append(later)
    assert row(rows)["games_played_season"] == 2
    moved = game(D, game_status=4, processed_at=TIP)
    rows = season(*ago(4))
    rows[raw.SCHEDULE] = [
        rows[raw.SCHEDULE][0],
        game(D, game_status=1, processed_at=TIP - timedelta(1)),
        moved,
        game(D + timedelta(2), game_status=1),
    ]
    assert calendar(rows).days[D].state is DateState.NO_GAMES
    rows[raw.SCHEDULE][1]["processed_at"] = TIP + timedelta(1)
    assert calendar(without_boxes(rows, D)).days[D].state is None


def test_an_id_on_several_dates_is_on_the_open_one_before_the_off_one() -> None:
    """A played one before both; of two open ones the later."""
    one = {"game_id": "0022500777", "game_status": 1}
    rows = season(*ago(4))
    rows[raw.SCHEDULE] = [
        rows[raw.SCHEDULE][0],
        game(D, **one),
        game(D + timedelta(2), **(one | {"game_status": 4})),
    ]
    rows = without_boxes(rows, D)
    assert calendar(rows).days[D].state is None
    assert D + timedelta(2) not in calendar(rows).days
    rows[raw.SCHEDULE][2]["game_status"] = 1
    assert D not in calendar(rows).days
    assert calendar(rows).days[D + timedelta(2)].state is None


def test_a_team_plays_one_game_a_date() -> None:
    """The one that was played, then the first by home and away."""
    rows = season(*ago(4))
    rows[raw.SCHEDULE].append(game(D, "BOS", "ATL", game_status=1))
    assert row(rows)["opponent_team_abbr"] == "NYK"
    rows[raw.SCHEDULE][-1] |= {"game_status": 3, "home_team_score": 90, "away_team_score": 80}
    assert row(rows)["opponent_team_abbr"] == "ATL"


# Season and kind ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("game_id", "label", "day", "wanted"),
    [
        ("0022500009", "2024-25", D, "2025-26"),
        ("0029900009", None, D, "1999-00"),
        ("x", "2025-2026", D, "2025-26"),
        ("x", " 2024-25", D, "2024-25"),
        (None, "2025", date(2026, 6, 30), "2025-26"),
        (None, None, date(2026, 7, 1), "2026-27"),
    ],
)
def test_the_season_of_a_game(
    game_id: str | None, label: str | None, day: date, wanted: str
) -> None:
    """By its id, else by its label, else by its date."""
    rows = {raw.SCHEDULE: [game(day, game_id=game_id, season=label)], raw.GAMEBOOK: [line(day)]}
    assert [one.name for one in calendar(rows).seasons] == [wanted]
    assert row(rows, ANN, day)["season"] == wanted


@pytest.mark.parametrize(
    ("values", "kind", "phase"),
    [
        ({"season_type": "Regular Season"}, "Regular Season", "early"),
        ({"season_type": "play-in", "is_playoffs": True}, "play-in", "playoffs"),
        ({"season_type": None, "game_id": "0042500001"}, "playoffs", "playoffs"),
        ({"season_type": None, "game_id": "0052500001"}, "playin", "playoffs"),
        ({"season_type": None, "game_id": "0062500001"}, "cup_final", "early"),
        ({"season_type": None, "game_id": "x", "is_playoffs": True}, "playoffs", "playoffs"),
        ({"season_type": None, "game_id": "x", "is_regular_season": None}, None, "early"),
        ({"season_type": "Exhibition?", "game_id": "x"}, "Exhibition?", "early"),
    ],
)
def test_the_kind_of_a_game(values: dict[str, Any], kind: str | None, phase: str) -> None:
    """By its type, else by its id, else by its flags; the type is shown as it is stated."""
    rows = season(*ago(2))
    rows[raw.SCHEDULE][1] |= values
    found = row(rows)
    assert (found["season_type"], found["season_phase"]) == (kind, phase)


@pytest.mark.parametrize(
    "values",
    [
        {"season_type": "Pre Season"},
        {"season_type": "allstar"},
        {"season_type": "Rising_Stars"},
        {"season_type": None, "game_id": "0012500001"},
        {"season_type": "regular", "game_id": "0032500001"},
    ],
)
def test_what_never_counts(values: dict[str, Any]) -> None:
    """Preseason and All-Star, by the kind or by the id alone."""
    rows = season(*ago(4, 2))
    rows[raw.SCHEDULE][1] |= values
    found = row(rows)
    assert (found["games_played_season"], found["missing_box_scores"]) == (1, 0)
    assert DAY_2 not in calendar(rows).days


def test_a_regular_game_without_the_flag_is_looked_ahead_to() -> None:
    """`is_regular_season` NULL: whether the kind is regular."""
    rows = season(*ago(2))
    rows[raw.SCHEDULE].append(game(D + timedelta(3), is_regular_season=None))
    assert row(rows)["next_game_days_rest"] == 3
    rows[raw.SCHEDULE][-1] |= {"season_type": None, "game_id": "0062500001"}
    assert row(rows)["next_game_days_rest"] is None


def test_a_season_starts_with_a_date_that_is_followed() -> None:
    """A lonely game, as of a misprinted date, does not start it; where all are lonely the first."""
    rows = season(*ago(40, 4, 2))
    assert calendar(rows).seasons[0].start == DAY_4
    assert D - timedelta(40) not in calendar(rows).days
    assert calendar(season(*ago(40, 20))).seasons[0].start == D - timedelta(40)
    assert calendar(season(*ago(40, 14, 7))).seasons[0].start == D - timedelta(14)
    assert calendar(season(*ago(40, 16, 8))).seasons[0].start == D - timedelta(40)


def test_an_off_game_starts_no_season() -> None:
    """Nor does it end one."""
    rows = season(*ago(5, 4, 2))
    rows[raw.SCHEDULE][0]["game_status"] = 4
    assert calendar(rows).seasons[0].start == DAY_4


# Complete box scores --------------------------------------------------------------------------


def test_points_must_sum_to_the_score() -> None:
    """Another sum is a gap in the fortnight after, and a missing box score for good."""
    rows = season(*ago(20, 17, 14))
    rows[raw.SCHEDULE][1] |= {"home_team_score": 21, "away_team_score": 20}
    found = row(rows)
    assert (found["missing_box_scores"], found["days_rest"]) == (1, 14)
    assert "history_incomplete" in found["data_quality_issues"]
    assert "history_gap" not in found["data_quality_issues"]
    assert row(rows, "bobsmall")["missing_box_scores"] == 0
    rows[raw.SCHEDULE][2] |= {"home_team_score": 21, "away_team_score": 20}
    found = row(rows)
    assert (found["missing_box_scores"], found["days_rest"]) == (2, None)
    assert "history_gap" in found["data_quality_issues"]


def test_rows_that_disagree_make_no_complete_box_score() -> None:
    """Also where the known points sum to the score."""
    rows = season(*ago(4, 2))
    rows[raw.GAMEBOOK].append(line(DAY_2, field_goals_made=3))
    rows[raw.SCHEDULE][1] |= {"home_team_score": 20, "away_team_score": 20}
    found = row(rows)
    assert (found["missing_box_scores"], found["days_rest"]) == (1, None)
    assert row(rows, "bobsmall")["missing_box_scores"] == 0


def test_a_game_of_the_team_still_to_be_played_is_a_gap() -> None:
    """Of dates further ahead than the team's next game nobody knows the rest."""
    rows = season(*ago(4, 2))
    rows = without_boxes(rows, D)
    rows[raw.SCHEDULE][2]["game_status"] = 1
    rows[raw.SCHEDULE].append(game(D + timedelta(2), game_status=1))
    assert "history_gap" not in issues(rows)
    later = row(rows, ANN, D + timedelta(2))
    assert (later["days_rest"], later["opponent_days_rest"]) == (None, 2)
    assert later["missing_box_scores"] == 1


def squad(day: date, team: str, size: int) -> list[dict[str, Any]]:
    """Rows of so many players of a team."""
    return [line(day, f"{team.lower()}{n}", team) for n in range(size)]


@pytest.mark.parametrize(("size", "missing"), [(5, 1), (4, 0)])
def test_a_box_score_without_a_game_is_a_stray_date(size: int, missing: int) -> None:
    """Of 5 players or more: a missing box score and a gap, never a game."""
    rows = season(*ago(6, 4))
    rows[raw.GAMEBOOK] += squad(DAY_2, "BOS", size)
    found = row(rows)
    assert found["missing_box_scores"] == missing
    assert ("history_gap" in found["data_quality_issues"]) == bool(missing)
    assert found["games_played_season"] == 2
    assert row(rows, "bobsmall")["missing_box_scores"] == 0


def test_a_stray_date_is_one_of_an_off_game_too() -> None:
    """But not of a game that never counts, nor of a team that the schedule does not have."""
    rows = season(*ago(6, 4))
    rows[raw.GAMEBOOK] += squad(DAY_2, "BOS", 5) + squad(DAY_2, "SEA", 5)
    rows[raw.SCHEDULE].append(game(DAY_2, "BOS", "SEA", game_status=4))
    assert row(rows)["missing_box_scores"] == 1
    rows[raw.SCHEDULE][-1] |= {"game_status": 3, "season_type": "preseason"}
    assert row(rows)["missing_box_scores"] == 0


# Minutes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "average"), [(5, 15.0), (6, 30.0)])
def test_nobody_scores_six_in_no_minutes(points: int, average: float) -> None:
    """Such minutes are unknown; the points count."""
    rows = season(*ago(4, 2))
    rows[raw.GAMEBOOK] += [line(DAY_2, "cy", minutes_decimal=10.0)]
    rows[raw.GAMEBOOK][2] |= {"minutes_decimal": 0.0, "points": points}
    found = row(rows)
    assert (found["minutes_avg_last_10"], found["l10_games_used"]) == (average, 2)


def test_a_team_without_any_minutes_has_unknown_ones() -> None:
    """Where all active rows have 0; one with minutes, or without any, is evidence enough."""
    rows = season(*ago(4, 2))
    rows[raw.GAMEBOOK].append(line(DAY_2, "cy", minutes_decimal=0.0, points=0))
    rows[raw.GAMEBOOK][2] |= {"minutes_decimal": 0.0, "points": 3}
    found = row(rows)
    assert (found["games_played_season"], found["minutes_in_last_7_days"]) == (2, 30.0)
    # Of 0 minutes that are not known, an active row with known points is a game played.
    assert (
        row(rows | {raw.GAMEBOOK: [*rows[raw.GAMEBOOK], line(D, "cy")]}, "cy")[
            "games_played_season"
        ]
        == 1
    )
    rows[raw.GAMEBOOK].append(line(DAY_2, "dee", minutes_decimal=1.0, points=0))
    assert row(rows)["minutes_avg_last_10"] == 15.0


def test_a_row_without_known_minutes_says_so() -> None:
    """`no_minutes`: none of the newest 10 games has any."""
    rows = season(*ago(4, 2))
    for one in rows[raw.GAMEBOOK]:
        one["minutes_decimal"] = None
    assert "no_minutes" in issues(rows)
    assert "no_minutes" not in issues(season(*ago(4, 2)))
    assert "no_minutes" not in issues(season(D))


# Tiers -------------------------------------------------------------------------------------


def test_gold_is_ten_games_with_minutes_and_complete_box_scores() -> None:
    """Known minutes in half of the newest ten, and the team's newest ten box scores."""
    rows = season(*ago(*range(22, 0, -2)))  # 11 games
    assert row(rows)["data_quality_tier"] == "gold"
    for one in rows[raw.GAMEBOOK][2:12]:
        one["minutes_decimal"] = None
    assert row(rows)["data_quality_tier"] == "gold"
    rows[raw.GAMEBOOK][12]["minutes_decimal"] = None
    assert row(rows)["data_quality_tier"] == "silver"
    rows = season(*ago(*range(22, 0, -2)))
    rows[raw.SCHEDULE][0] |= {"home_team_score": 1, "away_team_score": 2}
    assert row(rows)["data_quality_tier"] == "gold"
    rows[raw.SCHEDULE][1] |= {"home_team_score": 1, "away_team_score": 2}
    assert row(rows)["data_quality_tier"] == "silver"
    assert row(season(*ago(*range(18, 0, -2))))["data_quality_tier"] == "silver"
    assert row(season(*ago(8, 6, 4, 2)))["data_quality_tier"] == "bronze"


# What rests on complete box scores ------------------------------------------------------------


def test_ratings_are_of_complete_box_scores() -> None:
    """Both sides' for pace, his own for usage."""
    rows = season(*ago(4, 2))
    base = row(rows)
    assert base["team_pace_last_10"] is not None
    rows[raw.GAMEBOOK][1]["offensive_rebounds"] = 9
    assert row(rows)["team_pace_last_10"] != base["team_pace_last_10"]
    rows[raw.SCHEDULE][0] |= {"home_team_score": 20, "away_team_score": 25}
    found = row(rows)
    assert found["team_pace_last_10"] == base["team_pace_last_10"]
    assert found["usage_rate_last_10"] == base["usage_rate_last_10"]
    rows[raw.SCHEDULE][1] |= {"home_team_score": 25, "away_team_score": 20}
    found = row(rows)
    assert (found["team_pace_last_10"], found["usage_rate_last_10"] is None) == (None, False)
    rows[raw.SCHEDULE][0]["home_team_score"] = 25
    assert row(rows)["usage_rate_last_10"] is None


def test_the_newest_played_game_of_an_earlier_season_is_long_ago() -> None:
    """What an earlier season left without scores is off, and what is open there overdue."""
    before = date(2025, 3, 3)
    rows = season(*ago(2))
    rows[raw.SCHEDULE] += [
        game(before, season="2024-25", game_id="0022400001"),
        game(before + timedelta(1), season="2024-25", game_id="0022400002", **BARE),
        game(before + timedelta(2), season="2024-25", game_id="0022400003", game_status=1),
    ]
    rows[raw.GAMEBOOK] += [line(before), line(before, "bobsmall", "NYK")]
    days = calendar(rows).days
    assert days[before + timedelta(1)].state is DateState.NO_GAMES
    assert days[before + timedelta(2)].state is None
    assert "overdue_game" in issues(rows, ANN, before + timedelta(2))


def test_dates_are_far_ahead_of_the_newest_played_game() -> None:
    """More than seven days after it."""
    rows = season(*ago(2))
    for days in (7, 8):
        rows[raw.SCHEDULE].append(game(D + timedelta(days), game_status=1))
    days = calendar(rows).days
    assert days[D + timedelta(7)].state is None
    assert days[D + timedelta(8)].state is DateState.FUTURE
    assert str(D) in days[D + timedelta(8)].reason
