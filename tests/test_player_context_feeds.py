"""The odds feeds: tip-offs, names, lines that can be, and which of several, on rows by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ray_backfill_nba import raw_tables as raw
from tests.test_player_context_lines import (
    ANN,
    TIP,
    D,
    Rows,
    game,
    line,
    prop,
    row,
    season,
    spread,
)

# Tip-off ---------------------------------------------------------------------------------


def starts(*hours: float, seen: datetime | None = TIP - timedelta(hours=5)) -> list[dict[str, Any]]:
    """Props of Ann whose feed says that the game begins so many hours after tip-off."""
    return [
        prop(20.5, 300 + n, game_start_time=TIP + timedelta(hours=h)) for n, h in enumerate(hours)
    ]


def tipoff(rows: Rows) -> tuple[datetime | None, bool]:
    """The tip-off of Ann's row, and whether it is disputed."""
    found = row(rows)
    return found["tipoff_at"], "tipoff_disputed" in found["data_quality_issues"]


@pytest.mark.parametrize(("hours", "fed"), [(3, False), (3.02, True), (-3, False), (-4, True)])
def test_the_feed_holds_where_it_is_more_than_three_hours_away(hours: float, fed: bool) -> None:
    """The schedule's time is then disputed."""
    rows = season(D) | {raw.POINTS_PROPS: starts(hours)}
    assert tipoff(rows) == (TIP + timedelta(hours=hours if fed else 0), fed)


def test_the_feed_speaks_where_the_schedule_is_silent() -> None:
    """Or where its time is not on the date in the US East."""
    rows = season(D) | {raw.POINTS_PROPS: starts(0.5)}
    rows[raw.SCHEDULE][0]["game_date_est"] = None
    assert tipoff(rows) == (TIP + timedelta(hours=0.5), False)
    rows[raw.SCHEDULE][0]["game_date_est"] = TIP - timedelta(hours=20)
    assert tipoff(rows) == (TIP + timedelta(hours=0.5), True)
    rows[raw.POINTS_PROPS] = []
    assert tipoff(rows) == (None, True)


def test_a_midnight_in_utc_is_on_the_day_before() -> None:
    """A date written as its midnight loses no line of the evening."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, 60, game_start_time=TIP)]}
    rows[raw.SCHEDULE][0]["game_date_est"] = datetime(D.year, D.month, D.day, tzinfo=TIP.tzinfo)
    found = row(rows)
    assert (found["tipoff_at"], found["current_points_line"]) == (TIP, 20.5)


def test_the_feed_is_the_earlier_middle_of_distinct_pairs() -> None:
    """Over both tables, each pair of snapshot and start once; starts of other days are none."""
    rows = season(D)
    rows[raw.SCHEDULE][0]["game_date_est"] = None
    rows[raw.POINTS_PROPS] = starts(0, 1) * 3
    assert tipoff(rows)[0] == TIP
    same = {"snapshot_timestamp": TIP - timedelta(hours=2), "outcome_price": 1.5}
    rows[raw.GAME_LINES] = [
        spread(-4.5, "Boston", commence_time=TIP + timedelta(hours=2), **same),
        spread(4.5, "New York", commence_time=TIP + timedelta(hours=2), **same),
        spread(4.5, "New York", commence_time=TIP + timedelta(hours=30), **same),
        spread(4.5, "New York", commence_time=None, **same),
    ]
    assert tipoff(rows)[0] == TIP + timedelta(hours=1)
    untimed = {"commence_time": TIP + timedelta(hours=3), "snapshot_timestamp": None}
    rows[raw.GAME_LINES].append(spread(4.5, "New York", market_key="h2h", **untimed))
    assert tipoff(rows)[0] == TIP + timedelta(hours=1)
    rows[raw.GAME_LINES].append(spread(4.5, "x", bookmaker_key=None, **untimed))
    assert tipoff(rows)[0] == TIP + timedelta(hours=1)


def test_a_pair_of_both_tables_counts_once() -> None:
    """Of 0 and of 2 and 2 hours, both of one snapshot, the earlier middle of two is 0."""
    seen = TIP - timedelta(hours=5)
    rows = season(D) | {raw.POINTS_PROPS: starts(0)}
    rows[raw.SCHEDULE][0]["game_date_est"] = None
    late = TIP + timedelta(hours=2)
    rows[raw.POINTS_PROPS].append(prop(20.5, 300, game_start_time=late))
    rows[raw.GAME_LINES] = [spread(-4.5, "x", commence_time=late, snapshot_timestamp=seen)]
    assert tipoff(rows)[0] == TIP


def test_the_feed_of_another_game_says_nothing() -> None:
    """The game's rows are those of the date and its two teams."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, 60, game_start_time=TIP + timedelta(0, 5))]}
    rows[raw.SCHEDULE][0]["game_date_est"] = None
    rows[raw.POINTS_PROPS][0] |= {"home_team_abbr": "NYK", "away_team_abbr": "BOS"}
    assert tipoff(rows)[0] is None


# Names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"outcome_name": " BOSTON "},
        {"outcome_name": "Boston Celtics"},
        {"home_team": "Boston Celtics", "home_team_abbr": None, "outcome_name": "boston celtics"},
        {"home_team": None, "outcome_name": "BOSTON CELTICS"},
        {"market_key": "SPREADS", "bookmaker_key": "Draft_Kings"},
        {"away_team_abbr": "ny"},
    ],
)
def test_a_spread_is_understood_however_it_is_written(values: dict[str, Any]) -> None:
    """By the side's name, else by the code that the name stands for."""
    rows = season(D) | {raw.GAME_LINES: [spread(-4.5, "Boston") | values]}
    assert row(rows)["game_spread"] == -4.5
    assert row(rows, "bobsmall")["game_spread"] == 4.5


@pytest.mark.parametrize(("name", "known"), [("over ", True), ("UNDER", True), ("Ovr", False)])
def test_a_total_is_understood_in_any_case(name: str, known: bool) -> None:
    """Over and Under, and nothing else."""
    total = spread(220.5, name, market_key="Totals")
    found = row(season(D) | {raw.GAME_LINES: [total]})
    assert (found["game_total"] is not None) == known


def test_an_outcome_without_a_name_is_of_no_side() -> None:
    """Also where the home team has no name either."""
    for blank in ("", " ", None):
        rows = season(D) | {raw.GAME_LINES: [spread(-4.5, blank, home_team=blank)]}  # type: ignore[arg-type]
        assert row(rows)["game_spread"] is None


# Lines that can be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "usable"), [(0.0, False), (0.5, True), (60.0, True), (60.5, False), (-3.5, False)]
)
def test_a_points_line_is_above_0_and_60_at_most(points: float, usable: bool) -> None:
    """Another is no line: the next of the book is taken, and the book does not count by it."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(points, 5), prop(20.5, 60, "fanduel")]}
    found = row(rows)
    assert found["current_points_line"] == (points if usable else 20.5)
    assert found["points_line_books"] == 1 + usable


@pytest.mark.parametrize(("point", "usable"), [(40.0, True), (-40.0, True), (40.5, False)])
def test_a_spread_is_40_at_most(point: float, usable: bool) -> None:
    """Either way; beyond 30 it is implausible."""
    found = row(season(D) | {raw.GAME_LINES: [spread(point, "Boston")]})
    assert found["game_spread"] == (point if usable else None)
    assert ("implausible_spread" in found["data_quality_issues"]) == usable
    assert found["spread_books"] == usable


@pytest.mark.parametrize(
    ("point", "usable"), [(99.5, False), (100.0, True), (350.0, True), (350.5, False)]
)
def test_a_total_is_100_to_350(point: float, usable: bool) -> None:
    """Outside 150–300 it is implausible."""
    found = row(season(D) | {raw.GAME_LINES: [spread(point, "Over", market_key="totals")]})
    assert found["game_total"] == (point if usable else None)
    assert ("implausible_total" in found["data_quality_issues"]) == usable


def pro(points: float, minutes_before: float | None, side: str = "over", **values: Any) -> Any:
    """One side of Ann's line at BettingPros."""
    seen = None if minutes_before is None else TIP - timedelta(minutes=minutes_before)
    return {
        "game_date": D,
        "market_type": "points",
        "bet_side": side,
        "player_lookup": ANN,
        "bookmaker": "DraftKings",
        "points_line": points,
        "odds_american": -110,
        "bookmaker_last_update": seen,
        **values,
    }


@pytest.mark.parametrize(("opening", "wanted"), [(18.5, 18.5), (0.0, 19.5), (99.0, 19.5)])
def test_an_opening_that_cannot_be_is_none(opening: float, wanted: float) -> None:
    """The earliest line of the book stands in for it."""
    sides = [pro(19.5, 60), pro(20.5, 5, opening_line=opening)]
    found = row(season(D) | {raw.BETTINGPROS: sides})
    assert (found["current_points_line"], found["opening_points_line"]) == (20.5, wanted)


def test_bettingpros_is_read_in_any_case() -> None:
    """Market and side."""
    sides = [pro(20.5, 5, " OVER", market_type="Points"), pro(20.5, 5, "Under")]
    assert row(season(D) | {raw.BETTINGPROS: sides})["current_points_line"] == 20.5


# Which of several ------------------------------------------------------------------------


def test_prices_of_one_line_at_one_instant_belong_together() -> None:
    """Whichever row brought them: two halves make a pair."""
    halves = [prop(22.5, 5, under_price=None), prop(22.5, 5, over_price=None)]
    worse = prop(20.5, 5, over_price=1.8, under_price=2.0)
    assert row(season(D) | {raw.POINTS_PROPS: [*halves, worse]})["current_points_line"] == 22.5


def test_one_sided_lines_are_left_out_where_the_book_has_pairs() -> None:
    """At any instant, of the current line and of the opening; not of a book without a pair."""
    one = {"under_price": None}
    lines = [prop(25.5, 90, **one), prop(20.5, 60), prop(21.5, 30), prop(25.5, 5, **one)]
    found = row(season(D) | {raw.POINTS_PROPS: lines})
    assert (found["current_points_line"], found["opening_points_line"]) == (21.5, 20.5)
    assert found["points_line_at"] == TIP - timedelta(minutes=30)
    alone = [prop(25.5, 90, **one), prop(24.5, 5, **one)]
    found = row(season(D) | {raw.POINTS_PROPS: alone})
    assert (found["current_points_line"], found["opening_points_line"]) == (24.5, 25.5)
    untimed = [prop(20.5, None), prop(25.5, 5, **one)]
    assert row(season(D) | {raw.POINTS_PROPS: untimed})["current_points_line"] == 25.5


def test_one_sided_spreads_are_not_left_out() -> None:
    """The rule is of points lines."""
    outcomes = [
        spread(-4.5, "Boston", snapshot_timestamp=TIP - timedelta(hours=2)),
        spread(4.5, "New York", snapshot_timestamp=TIP - timedelta(hours=2)),
        spread(-6.5, "Boston"),
    ]
    assert row(season(D) | {raw.GAME_LINES: outcomes})["game_spread"] == -6.5


def test_of_alternates_the_nearest_to_the_other_books_is_taken() -> None:
    """The median of the current lines of those that have just one left at their latest instant."""
    alternates = [prop(points, 5) for points in (15.5, 20.5, 25.5)]
    assert row(season(D) | {raw.POINTS_PROPS: alternates})["current_points_line"] == 15.5
    others = [prop(24.5, 9, "betmgm"), prop(26.5, 8, "caesars"), prop(10.5, 60, "caesars")]
    found = row(season(D) | {raw.POINTS_PROPS: alternates + others})
    assert found["current_points_line"] == 25.5
    # A book with alternates of its own says nothing, of either source.
    unsure = [prop(points, 9, "bovada") for points in (15.5, 16.5)]
    sure = [pro(19.5, 5, bookmaker="BetRivers")]
    rows = season(D) | {raw.POINTS_PROPS: alternates + unsure, raw.BETTINGPROS: sure}
    assert row(rows)["current_points_line"] == 20.5


def test_closer_prices_go_before_the_other_books() -> None:
    """And what is left of a book by its prices is its line for the others."""
    alternates = [prop(15.5, 5), prop(25.5, 5, over_price=1.5)]
    others = [prop(24.5, 9, "betmgm")]
    rows = season(D) | {raw.POINTS_PROPS: alternates + others}
    assert row(rows)["current_points_line"] == 15.5
    tied = [prop(15.5, 9, "fanduel"), prop(24.5, 9, "fanduel")]
    judged = [prop(24.5, 5, "betmgm"), prop(9.5, 5, "betmgm", over_price=1.5)]
    rows = season(D) | {raw.POINTS_PROPS: tied + judged}
    assert row(rows)["current_points_line"] == 24.5


def test_the_opening_is_chosen_in_the_same_way() -> None:
    """A book is not asked about itself."""
    lines = [prop(15.5, 60), prop(25.5, 60), prop(16.0, 5)]
    found = row(season(D) | {raw.POINTS_PROPS: lines})
    assert found["opening_points_line"] == 15.5
    others = [prop(24.5, 9, "betmgm")]
    found = row(season(D) | {raw.POINTS_PROPS: lines + others})
    assert (found["current_points_line"], found["opening_points_line"]) == (16.0, 25.5)


def test_alternates_of_a_spread_are_judged_by_the_market() -> None:
    """By the other books' spreads, not by their totals."""
    outcomes = [spread(point, "Boston") for point in (-12.5, -4.5, 3.5)]
    outcomes.append(spread(-3.5, "Boston", "betmgm"))
    outcomes.append(spread(220.5, "Over", "betmgm", market_key="totals"))
    assert row(season(D) | {raw.GAME_LINES: outcomes})["game_spread"] == -4.5


# Uniform lines ---------------------------------------------------------------------------


@pytest.mark.parametrize(("same", "flagged"), [(10, True), (9, False)])
def test_one_line_for_ten_players_is_doubted(same: int, flagged: bool) -> None:
    """All of a book's current lines on D are one value: a default that nobody quoted."""
    rows = season(D)
    crowd = [f"player{n}" for n in range(same - 1)]
    rows[raw.GAMEBOOK] += [line(D, who) for who in crowd]
    rows[raw.POINTS_PROPS] = [prop(9.5, 5, player_lookup=who) for who in (ANN, *crowd)]
    fanduel = prop(15.5, 5, "fanduel", player_lookup="bobsmall")
    rows[raw.POINTS_PROPS].append(fanduel)
    for who, wanted in ((ANN, flagged), (crowd[0], flagged), ("bobsmall", False)):
        found = row(rows, who)["data_quality_issues"]
        assert ("uniform_points_line" in found) == wanted, who
    rows[raw.POINTS_PROPS].append(prop(10.5, 5, player_lookup="bobsmall"))
    assert "uniform_points_line" not in row(rows)["data_quality_issues"]


def test_a_median_is_no_books_line() -> None:
    """Rows whose line is the consensus of several books carry no such doubt."""
    rows = season(D)
    crowd = [ANN, *(f"player{n}" for n in range(11))]
    rows[raw.GAMEBOOK] += [line(D, who) for who in crowd[1:]]
    rows[raw.POINTS_PROPS] = [prop(9.5, 5, "betmgm", player_lookup=who) for who in crowd]
    assert "uniform_points_line" not in row(rows)["data_quality_issues"]
    pros = [pro(9.5, 5, player_lookup=who, bookmaker="BettingPros Consensus") for who in crowd]
    found = row(rows | {raw.BETTINGPROS: pros})
    assert found["points_line_rank"] == 5
    assert "uniform_points_line" in found["data_quality_issues"]


def test_a_game_of_another_day_has_its_own_tipoff() -> None:
    """A date is judged in the US East, also when its clocks change."""
    day = date(2025, 11, 2)  # clocks go back in the night before
    begins = datetime(2025, 11, 3, 4, 30, tzinfo=TIP.tzinfo)  # 23:30 in New York
    rows = {raw.SCHEDULE: [game(day, game_date_est=begins)], raw.GAMEBOOK: [line(day)]}
    assert row(rows, ANN, day)["tipoff_at"] == begins
    rows[raw.SCHEDULE][0]["game_date_est"] = begins + timedelta(hours=1)
    assert row(rows, ANN, day)["tipoff_at"] is None
