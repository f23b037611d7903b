"""Box scores, aliases, populations and reports of the slow reference, computed by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.reference.load import COLUMNS as REST
from tests.reference.names import GAMEBOOK, REGISTRY, SCHEDULE
from tests.reference.rows import Row
from tests.reference.tiny import Tiny, at, on, opened


def issues(row: Row) -> list[str]:
    return row["data_quality_issues"]


def without(tiny: Tiny, day: date, *players: str, team: str = "") -> Tiny:
    """Takes the rows of players, or of a team, out of a date's box scores."""
    tiny.tables[GAMEBOOK] = [
        row
        for row in tiny.tables[GAMEBOOK]
        if row["game_date"] != day
        or (row["player_lookup"] not in players and row["team_abbr"] != team)
    ]
    return tiny


def box(tiny: Tiny, day: date, player: str) -> Row:
    """A player's row of a date, to be changed."""
    return next(
        row
        for row in tiny.tables[GAMEBOOK]
        if (row["game_date"], row["player_lookup"]) == (day, player)
    )


# Aliases --------------------------------------------------------------------------


def renamed(days: int = 3) -> Tiny:
    """Games on the first days; on the second bos0 stands in the gamebook as bos0jr."""
    tiny = opened(days)
    box(tiny, on(1), "bos0")["player_lookup"] = "bos0jr"
    return tiny


def games_of(tiny: Tiny) -> int:
    """How many games Boston's first player has before the third day."""
    return tiny.row(on(2))["games_played_season"]


def test_an_alias_holds_in_the_gamebook() -> None:
    """Both spellings are one history, and one row on the date itself."""
    assert games_of(renamed()) == 1
    tiny = renamed()
    tiny.alias("BOS0jr ", "bos0")
    assert games_of(tiny) == 2
    assert "bos0jr" not in tiny.rows(on(1))


@pytest.mark.parametrize(
    ("scope", "games"),
    [
        ({"team_abbr": "bos"}, 2),
        ({"team_abbr": "NYK"}, 1),
        ({"season": "2025-26"}, 2),
        ({"season": "2025-2026"}, 2),
        ({"season": "2024-25"}, 1),
        ({"team_abbr": "BOS", "season": "2024-25"}, 1),
    ],
)
def test_an_alias_holds_for_its_team_and_season_only(scope: dict[str, str], games: int) -> None:
    """Where it states them."""
    tiny = renamed()
    tiny.alias("bos0jr", "bos0", **scope)
    assert games_of(tiny) == games


def test_an_alias_of_several_players_is_not_applied() -> None:
    """Unless their teams or seasons tell them apart."""
    tiny = renamed()
    tiny.alias("bos0jr", "bos0")
    tiny.alias("bos0jr", "nyk0")
    assert games_of(tiny) == 1
    scoped = renamed()
    scoped.alias("bos0jr", "bos0", team_abbr="BOS")
    scoped.alias("bos0jr", "nyk0", team_abbr="NYK")
    assert games_of(scoped) == 2


def test_an_alias_of_two_people_is_not_applied() -> None:
    """They stand in the gamebook on one date, whichever date that is."""
    tiny = renamed(4)
    tiny.alias("bos0jr", "bos0")
    tiny.box(on(3), "BOS", "bos0jr", 0, player_status="dnp", minutes_decimal=None)
    assert games_of(tiny) == 1
    tiny.prop(on(2), 20.5, "bos0jr")
    assert tiny.row(on(2))["has_prop_line"] is False


def test_elsewhere_an_alias_holds_for_who_is_not_there() -> None:
    """A lookup of the population is never replaced; the team is that of the player meant."""
    tiny = opened(2)
    tiny.prop(on(1), 20.5, "bos0jr")
    tiny.prop(on(1), 10.5, "nyk1")
    tiny.alias("nyk1", "bos1")
    tiny.alias("bos0jr", "bos0", team_abbr="NYK")
    rows = tiny.rows(on(1))
    assert [rows[p]["has_prop_line"] for p in ("bos0", "bos1", "nyk1")] == [False, False, True]
    tiny.alias("bos0jr", "bos0", team_abbr="BOS", season="2025-26")
    assert tiny.row(on(1))["current_points_line"] == 20.5
    tiny.add(REGISTRY, season="2025-2026", player_lookup="BOS0JR", birth_date=date(2000, 10, 23))
    assert tiny.row(on(1))["player_age"] == 24


# Minutes ----------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "minutes", "played"), [(5, 0.0, 1), (6, None, 1), (0, 0.0, 0)])
def test_no_minutes_with_more_than_five_points_are_unknown(
    points: int, minutes: float | None, played: int
) -> None:
    """Up to five they stand."""
    tiny = opened()
    tiny.game(on(1), score=(80 + points, 90), boxes=False)
    tiny.boxes(on(1), "NYK", 90)
    for n in range(1, 5):
        tiny.box(on(1), "BOS", f"bos{n}", 20)
    tiny.box(on(1), "BOS", "bos0", points, minutes_decimal=0.0)
    reference = tiny.reference()
    mine = [b for b in reference.boxes.of_player["bos0"] if b.day == on(1)]
    assert [b.minutes for b in mine] == [minutes]
    tiny.ahead(on(2))
    assert games_of(tiny) == 1 + played


def test_where_nobody_has_minutes_they_are_unknown() -> None:
    """Also of those without points, who then have played; of one team alone."""
    tiny = opened(2)
    for n in range(5):
        box(tiny, on(1), f"bos{n}")["minutes_decimal"] = 0.0
    box(tiny, on(1), "bos0")["points"] = 0
    box(tiny, on(1), "bos1")["points"] = 40
    tiny.ahead(on(2))
    rows = tiny.rows(on(2))
    assert [rows["bos0"][c] for c in ("games_played_season", "points_avg_last_5")] == [2, 10.0]
    assert rows["bos0"]["minutes_avg_last_10"] == 48.0  # of the first game alone
    assert rows["bos0"]["team_pace_last_10"] == rows["nyk0"]["team_pace_last_10"]
    assert rows["bos0"]["usage_rate_last_10"] == pytest.approx(20.0)
    assert rows["nyk0"]["minutes_in_last_7_days"] == 96.0
    box(tiny, on(1), "bos4")["minutes_decimal"] = 12.0
    assert tiny.rows(on(2))["bos0"]["games_played_season"] == 1


# Complete box scores, strays and gaps ---------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (lambda tiny: None, 0),
        (lambda tiny: without(tiny, on(1), team="BOS"), 1),
        (lambda tiny: without(tiny, on(1), "bos4"), 1),
        (lambda tiny: box(tiny, on(1), "bos4").update(points=21), 1),
        (lambda tiny: box(tiny, on(1), "bos4").update(points=None), 1),
        (lambda tiny: tiny.box(on(1), "BOS", "bos5", 0, player_status="dnp"), 0),
        (lambda tiny: tiny.box(on(1), "BOS", None, 7), 0),  # a row of nobody is no row
        (lambda tiny: tiny.tables[SCHEDULE][1].update(home_team_score=None), 0),  # not usable
        (lambda tiny: tiny.tables[SCHEDULE][1].update(game_status=1), 1),
    ],
)
def test_a_box_score_is_complete_that_adds_up(spoil: Any, missing: int) -> None:
    """Of a played game, with rows whose known points sum to the score where that is usable."""
    tiny = opened(2)
    spoil(tiny)
    tiny.game(on(2), "LAL", "LAC")
    tiny.ahead(on(3))
    row = tiny.row(on(3), "bos1")
    assert row["missing_box_scores"] == missing
    assert ("history_incomplete" in issues(row)) == (missing > 0)
    assert ("history_gap" in issues(row)) == (missing > 0)
    assert ([row[column] for column in REST] == [None] * len(REST)) == (missing > 0)


@pytest.mark.parametrize(("after", "gap"), [(14, True), (15, False)])
def test_a_gap_is_of_fourteen_days(after: int, gap: bool) -> None:
    """A game dated in [D − 14, D); missing_box_scores looks at the whole season."""
    tiny = without(opened(), on(0), team="BOS")
    tiny.game(on(7), "LAL", "LAC")
    tiny.game(on(after))
    row = tiny.row(on(after))
    assert ("history_gap" in issues(row)) is gap
    assert row["missing_box_scores"] == 1


def test_a_game_still_to_be_played_is_a_gap() -> None:
    """What happens in it will count for the day after."""
    tiny = opened()
    tiny.ahead(on(1))
    tiny.ahead(on(2))
    row = tiny.row(on(2))
    assert (row["population"], row["missing_box_scores"]) == ("roster", 1)
    assert row["back_to_back"] is None
    assert "history_gap" in issues(row)


@pytest.mark.parametrize(("players", "stray"), [(5, True), (4, False)])
def test_rows_on_a_date_without_a_game_are_a_stray_date(players: int, stray: bool) -> None:
    """Of five players; counted as a missing box score, and never as a game."""
    tiny = opened()
    for n in range(players):
        tiny.box(on(1), "BOS", f"bos{n}", 20)
    tiny.game(on(3))
    rows = tiny.rows(on(3))
    assert rows["bos0"]["games_played_season"] == 1
    assert rows["bos0"]["missing_box_scores"] == int(stray)
    assert ("history_gap" in issues(rows["bos0"])) is stray
    assert rows["nyk0"]["missing_box_scores"] == 0


def test_rows_before_the_season_or_of_no_team_of_it_are_no_stray_date() -> None:
    """Preseason rows and those of other leagues; rows of an off game are one."""
    tiny = opened(2)
    for day, team in ((on(-5), "BOS"), (on(1), "ZZZ")):
        for n in range(6):
            tiny.box(day, team, f"{team.lower()}x{n}", 20)
    assert tiny.reference().boxes.strays == {}
    tiny.game(on(1), "LAL", "LAC")
    tiny.game(on(1), "MIA", "ORL", score=(None, None), game_status=6)
    assert tiny.reference().boxes.strays == {
        ("2025-26", "MIA"): [on(1)],
        ("2025-26", "ORL"): [on(1)],
    }


# Tiers ------------------------------------------------------------------------------


def season_of(games: int) -> Tiny:
    """So many games of Boston and New York every other day, and one to come."""
    tiny = Tiny()
    for n in range(games):
        tiny.game(on(2 * n))
    tiny.ahead(on(2 * games))
    return tiny


@pytest.mark.parametrize(
    ("games", "unknown", "incomplete", "tier"),
    [
        (4, 0, None, "bronze"),
        (5, 0, None, "silver"),
        (9, 0, None, "silver"),
        (10, 0, None, "gold"),
        (10, 5, None, "gold"),
        (10, 6, None, "silver"),
        (11, 0, 0, "gold"),  # the eleventh game back
        (11, 0, 1, "silver"),
    ],
)
def test_gold_takes_minutes_and_complete_box_scores(
    games: int, unknown: int, incomplete: int | None, tier: str
) -> None:
    """Minutes in half of the newest ten, and each of the team's newest ten complete."""
    tiny = season_of(games)
    for n in range(unknown):
        box(tiny, on(2 * (games - 1 - n)), "bos0")["minutes_decimal"] = None
    if incomplete is not None:
        box(tiny, on(2 * incomplete), "bos4")["points"] = 0
    row = tiny.row(on(2 * games))
    assert (row["games_played_season"], row["data_quality_tier"]) == (games, tier)


def test_no_minutes_are_none_in_the_newest_ten() -> None:
    """An eleventh game with minutes does not help; without history there is nothing to miss."""
    tiny = season_of(11)
    for n in range(1, 11):
        box(tiny, on(2 * n), "bos0")["minutes_decimal"] = None
    row = tiny.row(on(22))
    assert (row["data_quality_tier"], row["minutes_avg_last_10"]) == ("silver", None)
    assert "no_minutes" in issues(row)
    box(tiny, on(20), "bos0")["minutes_decimal"] = 30.0
    assert "no_minutes" not in issues(tiny.row(on(22)))
    assert issues(opened(2).row(on(0)))[0] == "no_history"
    assert "no_minutes" not in issues(opened(2).row(on(0)))


def test_team_figures_take_complete_box_scores_of_both_sides() -> None:
    """A cut-off box score moves no pace; his own side alone decides a player's usage."""
    whole = season_of(3)
    cut = season_of(3)
    box(cut, on(2), "nyk4")["points"] = 0
    box(cut, on(2), "nyk4")["field_goals_attempted"] = 40
    box(cut, on(2), "bos0")["turnovers"] = 8
    one, other = whole.row(on(6)), cut.row(on(6))
    assert one["team_pace_last_10"] == other["team_pace_last_10"] == pytest.approx(54.4)
    # 10 shots, 2 free throws and 8 turnovers of his make 18.88, of the team 18.88 + 4 · 11.88
    assert one["usage_rate_last_10"] == pytest.approx(20.0)
    assert other["usage_rate_last_10"] == pytest.approx((40 + 100 * 18.88 / 66.4) / 3)


def test_wins_are_of_played_games_with_a_usable_score() -> None:
    """Overdue and scoreless games are neither won nor lost."""
    tiny = opened(2)
    tiny.game(on(2), score=(None, None))
    tiny.game(on(3), score=(90, 100))
    tiny.ahead(on(4))
    tiny.game(on(5), "LAL", "LAC")
    tiny.ahead(on(6))
    row = tiny.row(on(6))
    assert row["team_win_pct"] == pytest.approx(2 / 3)
    assert row["opponent_win_pct"] == pytest.approx(1 / 3)
    assert row["opponent_days_rest"] == 2  # the overdue game counts as one of the schedule


# Population -------------------------------------------------------------------------


def test_an_overdue_game_has_the_rosters_of_its_teams() -> None:
    """Its rows say so, and neither its own gamebook rows nor its score are history."""
    tiny = opened(2)
    tiny.game(on(2), boxes=False, game_status=1)
    tiny.game(on(3), "LAL", "LAC")
    rows = tiny.rows(on(2))
    assert {(row["population"], row["team_abbr"]) for row in rows.values()} == {
        ("roster", "BOS"),
        ("roster", "NYK"),
    }
    assert all("overdue_game" in issues(row) for row in rows.values())
    tiny.box(on(2), "BOS", "rookie", 50)
    (row,) = tiny.rows(on(2)).values()
    assert (row["player_lookup"], row["population"]) == ("rookie", "gamebook")
    assert "overdue_game" in issues(row)
    tiny.ahead(on(4))
    later = tiny.rows(on(4))
    assert later["rookie"]["games_played_season"] == 0
    assert later["rookie"]["team_win_pct"] == 1.0


def test_played_dates_without_any_rows_are_blocked() -> None:
    """Where only some teams lack them, the others are computed."""
    tiny = opened(2)
    tiny.game(on(2), boxes=False)
    tiny.game(on(2), "LAL", "LAC", boxes=False, game_status=5)
    assert tiny.reference().day(on(2)).state == "blocked"
    tiny.boxes(on(2), "NYK", 90)
    assert {row["team_abbr"] for row in tiny.rows(on(2)).values()} == {"NYK"}


def test_a_roster_date_without_rosters_is_by_design() -> None:
    """Opening night; preseason rows are no roster. Eight days on is the future."""
    tiny = Tiny()
    tiny.boxes(on(-3), "BOS", 100)
    tiny.ahead(on(0))
    assert tiny.reference().day(on(0)).state == "by_design"
    played = opened()
    played.ahead(on(7))
    played.ahead(on(8))
    assert [played.reference().state(on(n))[0] for n in (7, 8)] == [None, "future"]


# Injuries ---------------------------------------------------------------------------


def test_rows_without_a_player_or_a_known_status_are_no_report() -> None:
    """A team whose only rows are such has none."""
    tiny = opened(2)
    tiny.report(on(1), " ", "out")
    tiny.report(on(1), "bos1", "gtd")
    tiny.report(on(1), "bos2", None)
    assert tiny.row(on(1))["player_status"] is None
    assert "no_injury_report" in issues(tiny.row(on(1)))
    tiny.report(on(1), "bos3", " Day-To-Day", report_timestamp=at(on(1), 10))
    rows = tiny.rows(on(1))
    assert [rows[f"bos{n}"]["player_status"] for n in (1, 2, 3)] == [
        "available",
        "available",
        "questionable",
    ]
    assert rows["bos0"]["questionable_teammates"] == 1
    assert rows["nyk0"]["player_status"] is None


def test_a_row_without_a_team_is_of_the_players_team() -> None:
    """Of the date, else of his latest gamebook row of 30 days, else of nobody."""
    tiny = opened(2)
    tiny.box(on(0), "NYK", "hurt", 0, player_status="inactive")
    tiny.report(on(1), "bos0", "out", team=None)
    tiny.report(on(1), "hurt", "questionable", team=" ")
    tiny.report(on(1), "stranger", "probable", team=None)
    rows = tiny.rows(on(1))
    assert rows["bos0"]["player_status"] == "out"
    assert rows["bos1"]["player_status"] == "available"
    assert (rows["bos0"]["questionable_teammates"], rows["bos1"]["probable_teammates"]) == (0, 0)
    assert (rows["nyk0"]["questionable_teammates"], rows["nyk0"]["probable_teammates"]) == (1, 0)


def test_a_later_report_of_unknown_statuses_does_not_outdate_the_one_before() -> None:
    """It is no report."""
    tiny = opened(2)
    tiny.report(on(1), "bos0", "out", report_timestamp=at(on(1), 10))
    tiny.report(on(1), "bos1", "resting", report_timestamp=at(on(1), 12))
    row = tiny.row(on(1))
    assert (row["player_status"], row["known_at_max"]) == ("out", at(on(1), 10))
