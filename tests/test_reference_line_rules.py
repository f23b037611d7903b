"""Tip-offs and lines of the slow reference, by examples computed by hand from the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.reference.tiny import Tiny, at, on, opened, tip

DAY = on(1)
"""The second day of the season; Boston plays New York at half past seven in the evening."""


def night(**changes: Any) -> Tiny:
    """The league up to that day, with changes to the game's row."""
    tiny = opened()
    tiny.game(DAY, **changes)
    return tiny


def points(tiny: Tiny, player: str = "bos0") -> tuple[Any, ...]:
    row = tiny.row(DAY, player)
    return row["current_points_line"], row["opening_points_line"], row["line_movement"]


# Tip-off --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "feed", "used", "disputed"),
    [
        (tip(DAY), [], tip(DAY), False),
        (tip(DAY), [tip(DAY) + timedelta(hours=3)], tip(DAY), False),  # three hours are not more
        (tip(DAY), [at(DAY, 20.25)], at(DAY, 20.25), True),
        (None, [tip(DAY)], tip(DAY), False),
        (None, [], None, False),
        (at(DAY, 0), [tip(DAY)], tip(DAY), True),  # midnight UTC is the evening before
        (at(DAY, 0), [], None, True),
        (at(DAY, 28), [], None, True),  # midnight Eastern is the next day
        (at(DAY, 4), [], at(DAY, 4), False),
        (at(DAY, 19.5), [tip(DAY)], tip(DAY), True),  # the Eastern clock labelled UTC
        (None, [at(DAY, 48)], None, False),  # the feed's, too, must fall on the day
        (None, [at(DAY, 48), at(DAY, 49), at(DAY, 22)], at(DAY, 22), False),
        (None, [at(DAY, 20), at(DAY, 21), at(DAY, 22), at(DAY, 23)], at(DAY, 21), False),
    ],
)
def test_the_tipoff_is_the_schedules_unless_the_feed_is_hours_away(
    stated: datetime | None, feed: list[datetime], used: datetime | None, disputed: bool
) -> None:
    """The feed's is the middle one, the earlier of two; nothing off the day is a time."""
    tiny = night(game_date_est=stated)
    for n, start in enumerate(feed):
        tiny.prop(DAY, 20.5, player="nobody", hour=n, game_start_time=start)
    row = tiny.row(DAY)
    assert row["tipoff_at"] == used
    assert ("tipoff_disputed" in row["data_quality_issues"]) == disputed
    assert ("no_tipoff" in row["data_quality_issues"]) == (used is None)


def test_the_feed_s_tipoff_counts_a_pair_of_snapshot_and_start_once() -> None:
    """Over both tables, however often a pair stands there, and only of the game's own rows."""
    tiny = night(game_date_est=None)
    for start, hours in ((20, (1,)), (22, (2, 3))):
        for hour in hours:
            for _ in range(3 if start == 20 else 1):
                tiny.prop(DAY, 20.5, hour=hour, game_start_time=at(DAY, start))
                tiny.line(DAY, "Over", 220, hour=hour, commence_time=at(DAY, start))
    tiny.line(DAY, "Over", 220, hour=4, commence_time=at(DAY, 20), home_team_abbr="LAL")
    assert tiny.row(DAY)["tipoff_at"] == at(DAY, 22)


def test_a_tipoff_stored_as_midnight_loses_no_line() -> None:
    """The lines of the afternoon are before the feed's tip-off, and the closing one is found."""
    tiny = night(game_date_est=at(DAY, 0))
    tiny.prop(DAY, 20.5, hour=15)
    tiny.prop(DAY, 21.5, hour=23)
    tiny.prop(DAY, 30.5, hour=23.5)  # at tip-off
    assert points(tiny) == (21.5, 20.5, 1.0)


def test_without_any_tipoff_a_line_is_untimed() -> None:
    """Its time, opening and movement are not known, and the row says so."""
    tiny = night(game_date_est=None)
    tiny.prop(DAY, 20.5, game_start_time=None)
    row = tiny.row(DAY)
    assert points(tiny) == (20.5, None, None)
    assert row["points_line_at"] is None
    assert "unstamped_line" in row["data_quality_issues"]
    assert tiny.row(DAY, strict_known_at=True)["has_prop_line"] is False


# Usable lines -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "usable"), [(0.0, False), (0.5, True), (60.0, True), (60.5, False), (-1.5, False)]
)
def test_points_lines_lie_above_0_and_up_to_60(line: float, usable: bool) -> None:
    """From either source; an opening line out of bounds is none."""
    tiny = night()
    tiny.prop(DAY, line)
    assert tiny.row(DAY)["has_prop_line"] is usable
    pros = night()
    pros.pro(DAY, line)
    pros.pro(DAY, 20.5, player="bos1", opening_line=line)
    assert pros.row(DAY)["has_prop_line"] is usable
    assert pros.row(DAY, "bos1")["opening_points_line"] == (line if usable else 20.5)


def test_a_line_of_0_does_not_win_over_a_real_one() -> None:
    """DraftKings has 0.0, FanDuel a line."""
    tiny = night()
    tiny.prop(DAY, 0.0)
    tiny.prop(DAY, 19.5, bookmaker="fanduel")
    row = tiny.row(DAY)
    assert (row["current_points_line"], row["points_line_rank"]) == (19.5, 3)
    assert row["points_line_books"] == 1


@pytest.mark.parametrize(
    ("name", "point", "usable"),
    [
        ("Boston Celtics", -40.0, True),
        ("New York Knicks", 40.5, False),
        ("Over", 100.0, True),
        ("Under", 350.0, True),
        ("Over", 99.5, False),
        ("Under", 350.5, False),
    ],
)
def test_spreads_and_totals_have_bounds(name: str, point: float, usable: bool) -> None:
    """|spread| up to 40, totals from 100 to 350."""
    tiny = night()
    tiny.line(DAY, name, point)
    row = tiny.row(DAY)
    assert ((row["game_spread"], row["game_total"]) != (None, None)) is usable
    assert row["spread_books"] + row["total_books"] == int(usable)


# Sides ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["over", "OVER ", "Under"])
def test_sides_are_read_regardless_of_case(name: str) -> None:
    """`over` in lower case is a total like any other."""
    tiny = night()
    tiny.line(DAY, name, 221.5, market_key="Totals")
    assert tiny.row(DAY)["game_total"] == 221.5


@pytest.mark.parametrize(
    ("name", "spread"),
    [("boston celtics", -4.5), ("New York Knicks", 4.5), ("Gotham Bats", None), (" ", None)],
)
def test_a_spreads_outcome_is_a_side_of_its_row(name: str, spread: float | None) -> None:
    """By name; the away team's point counts the other way round."""
    tiny = night()
    tiny.line(DAY, name, -4.5, market_key="spreads")
    assert tiny.row(DAY)["game_spread"] == spread


def test_a_spreads_outcome_by_another_name_is_found_by_its_code() -> None:
    """The row says Los Angeles Clippers and its outcome LA Clippers."""
    tiny = opened()
    tiny.game(DAY, "BOS", "LAC")
    names = {"away_team": "Los Angeles Clippers", "away_team_abbr": None}
    tiny.line(DAY, "LA Clippers", 7.5, market_key="spreads", **names)
    assert tiny.row(DAY)["game_spread"] == -7.5


# Prices -----------------------------------------------------------------------------


def test_prices_of_one_line_at_one_instant_belong_together() -> None:
    """Over in one row and under in another make a line with both, which goes first."""
    tiny = night()
    tiny.prop(DAY, 24.5, under_price=None)
    tiny.prop(DAY, 24.5, over_price=None)
    tiny.prop(DAY, 18.5, under_price=None)
    assert points(tiny) == (24.5, 24.5, 0.0)


def test_one_sided_lines_are_left_out_where_a_book_has_two_sided_ones() -> None:
    """At any instant: the earliest and the latest one-sided lines are neither."""
    tiny = night()
    tiny.prop(DAY, 14.5, hour=10, under_price=None)
    tiny.prop(DAY, 19.5, hour=12)
    tiny.prop(DAY, 20.5, hour=14)
    tiny.prop(DAY, 29.5, hour=16, over_price=None)
    tiny.prop(DAY, 25.5, bookmaker="fanduel", under_price=None)  # of another book: stays
    row = tiny.row(DAY)
    assert points(tiny) == (20.5, 19.5, 1.0)
    assert (row["points_line_at"], row["points_line_books"]) == (at(DAY, 14), 2)
    one_sided = night()
    one_sided.prop(DAY, 14.5, hour=10, under_price=None)
    one_sided.prop(DAY, 15.5, hour=12, under_price=None)
    assert points(one_sided) == (15.5, 14.5, 1.0)


def test_a_two_sided_line_in_the_game_leaves_no_other_out() -> None:
    """What came at tip-off or later is no line at all."""
    tiny = night()
    tiny.prop(DAY, 14.5, under_price=None)
    tiny.prop(DAY, 30.5, hour=24)
    assert points(tiny) == (14.5, 14.5, 0.0)


def test_of_several_lines_the_closest_prices_then_the_other_books_then_the_lowest() -> None:
    """In decimal odds; the other books are those with one line left at their latest instant."""
    tiny = night()
    for line in (18.5, 20.5, 24.5):
        tiny.prop(DAY, line)
    tiny.prop(DAY, 30.5, over_price=1.8)
    assert points(tiny)[0] == 18.5  # no other book
    tiny.prop(DAY, 24.0, bookmaker="fanduel")
    tiny.pro(DAY, 22.0)  # the same book at the other source is another one
    assert points(tiny)[0] == 24.5  # 23.0 is nearest to it
    for line in (19.0, 19.5):
        tiny.prop(DAY, line, bookmaker="betmgm")  # two left: says nothing
    assert points(tiny)[0] == 24.5
    tiny.prop(DAY, 19.0, bookmaker="caesars")
    tiny.prop(DAY, 19.5, bookmaker="espnbet")
    assert points(tiny)[0] == 20.5  # 20.75, the middle of 19, 19.5, 22 and 24
    for book in ("bovada", "betus"):
        tiny.prop(DAY, 26.0, bookmaker=book, snapshot_timestamp=None)
    assert points(tiny)[0] == 24.5  # 23.0: a line without a time ranks lower at its own book only


def test_several_game_lines_at_one_instant_are_told_apart_by_the_other_books() -> None:
    """With the prices of the two sides first."""
    tiny = night()
    for total in (210.5, 220.5, 230.5):
        tiny.line(DAY, "Over", total)
        tiny.line(DAY, "Under", total)
    assert tiny.row(DAY)["game_total"] == 210.5
    tiny.line(DAY, "Over", 228.0, bookmaker_key="betmgm")
    tiny.line(DAY, "Over", 221.0, bookmaker_key="fanduel")
    assert tiny.row(DAY)["game_total"] == 220.5  # 224.5
    tiny.line(DAY, "Over", 229.5)
    tiny.line(DAY, "Under", 229.5, outcome_price=1.95)
    assert tiny.row(DAY)["game_total"] == 220.5
    assert tiny.row(DAY)["total_books"] == 3


# Uniform lines ----------------------------------------------------------------------


def uniform(tiny: Tiny) -> list[str]:
    return [
        p for p, r in tiny.rows(DAY).items() if "uniform_points_line" in r["data_quality_issues"]
    ]


def test_ten_rows_of_one_value_are_uniform_and_nine_are_not() -> None:
    """The rows whose line is that book's carry the issue, the others do not."""
    players = [f"{team}{n}" for team in ("bos", "nyk") for n in range(5)]
    tiny = night()
    for player in players[:9]:
        tiny.prop(DAY, 20.5, player)
    assert uniform(tiny) == []
    tiny.prop(DAY, 20.5, players[9], hour=12)
    assert uniform(tiny) == players
    tiny.prop(DAY, 19.5, players[9], hour=13)
    assert uniform(tiny) == []


def test_a_uniform_book_that_is_not_taken_marks_nothing() -> None:
    """FanDuel says the same of everybody, and only one row takes it."""
    tiny = night()
    players = [f"{team}{n}" for team in ("bos", "nyk") for n in range(5)]
    for n, player in enumerate(players):
        tiny.prop(DAY, 20.5, player, bookmaker="fanduel")
        if n:
            tiny.prop(DAY, 10.5 + n, player)
    assert uniform(tiny) == ["bos0"]


def test_lines_of_other_names_count_for_the_player_and_for_one_book() -> None:
    """Spelled in capitals, by a book in two spellings."""
    tiny = night()
    tiny.prop(DAY, 20.5, " BOS0", bookmaker="Draft Kings", home_team_abbr="bos")
    tiny.prop(DAY, 21.5, hour=21)
    row = tiny.row(DAY)
    assert (row["points_line_books"], row["points_line_bookmaker"]) == (1, "draftkings")
    assert points(tiny) == (21.5, 20.5, 1.0)


def test_the_report_before_the_feed_s_tipoff_decides() -> None:
    """The schedule has the wall clock of the East for UTC: the feed's tip-off is the limit."""
    tiny = night(game_date_est=at(DAY, 19.5))
    tiny.prop(DAY, 20.5)
    tiny.report(DAY, "bos0", "out", report_timestamp=datetime(2025, 10, 22, 23, tzinfo=UTC))
    assert tiny.row(DAY)["player_status"] == "out"
