"""Lines of player context: rules that are easy to get wrong, each on a few rows made by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ray_backfill.job import Computed
from ray_backfill.job.table import Table
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from tests.frames import calendar_of, compute_span, table_of

D = date(2025, 11, 20)
TIP = datetime(2025, 11, 21, 0, 30, tzinfo=UTC)
ANN = "anntall"

Rows = dict[Table, list[dict[str, Any]]]


def tip(day: date) -> datetime:
    """Half past seven in the evening of the US East, in winter."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=24, minutes=30)


def game(day: date, home: str = "BOS", away: str = "NYK", **values: Any) -> dict[str, Any]:
    """A final regular-season game; its scores are what its players score (see `scored`)."""
    return {
        "game_id": f"002{day:%y%m%d}{home}",
        "season": "2025-26",
        "game_date": day,
        "game_date_est": tip(day),
        "game_status": 3,
        "home_team_tricode": home,
        "away_team_tricode": away,
        "season_type": "regular",
        "is_regular_season": True,
        "is_playoffs": False,
        **values,
    }


def line(day: date, player: str = ANN, team: str = "BOS", **values: Any) -> dict[str, Any]:
    """A gamebook row of 30 minutes and 20 points."""
    return {
        "game_date": day,
        "player_lookup": player,
        "player_name": player.title(),
        "team_abbr": team,
        "player_status": "active",
        "minutes_decimal": 30.0,
        "points": 20,
        "field_goals_made": 8,
        "field_goals_attempted": 16,
        "free_throws_attempted": 4,
        "offensive_rebounds": 1,
        "turnovers": 2,
        **values,
    }


def season(*days: date) -> Rows:
    """Ann of BOS against Bob of NYK on each day, and the locations of both teams."""
    return {
        raw.SCHEDULE: [game(day) for day in days],
        raw.GAMEBOOK: [row for day in days for row in (line(day), line(day, "bobsmall", "NYK"))],
        raw.LOCATIONS: [
            {"team_abbr": t, "latitude": lat, "longitude": lon, "timezone": "America/New_York"}
            for t, lat, lon in (("BOS", 42.3662, -71.0621), ("NYK", 40.7505, -73.9934))
        ],
    }


def scored(rows: Rows) -> Rows:
    """The rows with scores of the final games that state none: 110-100 where nobody has a row."""
    sums: dict[tuple[date, str], int] = {}
    for one in rows.get(raw.GAMEBOOK, []):
        side = one["game_date"], one["team_abbr"]
        sums[side] = sums.get(side, 0) + (one["points"] or 0)
    games = []
    for one in rows.get(raw.SCHEDULE, []):
        scores = {}
        if one["game_status"] == 3:
            for side, usual in (("home", 110), ("away", 100)):
                team = one["game_date"], one[f"{side}_team_tricode"]
                scores[f"{side}_team_score"] = sums.get(team, usual)
        games.append(scores | one)
    return rows | {raw.SCHEDULE: games}


def tables(rows: Rows) -> dict[str, pl.DataFrame]:
    """The rows as frames by table name."""
    return {table.name: table_of(table, some) for table, some in scored(rows).items()}


def computed(rows: Rows, day: date = D, **options: Any) -> Computed:
    """The job's result for one date."""
    chosen = JOB.options(**options)
    return compute_span(JOB, tables(rows), [day], calendar_of(JOB, tables(rows), chosen), chosen)


def row(rows: Rows, player: str = ANN, day: date = D, **options: Any) -> dict[str, Any]:
    """One computed row."""
    return computed(rows, day, **options).rows.row(
        by_predicate=pl.col("player_lookup") == player, named=True
    )


def ago(*days: int) -> tuple[date, ...]:
    """Those days before D, and D."""
    return (*(D - timedelta(n) for n in days), D)


def prop(line: float, minutes_before: float | None, book: str = "draftkings", **values: Any) -> Any:
    """Ann's line at a book, seen some minutes before tip-off."""
    seen = None if minutes_before is None else TIP - timedelta(minutes=minutes_before)
    return {
        "game_date": D,
        "player_lookup": ANN,
        "home_team_abbr": "BOS",
        "away_team_abbr": "NYK",
        "bookmaker": book,
        "points_line": line,
        "snapshot_timestamp": seen,
        "over_price": 1.9,
        "under_price": 1.9,
        **values,
    }


def spread(point: float, team: str, book: str = "draftkings", **values: Any) -> dict[str, Any]:
    """One side of a spread at a book, seen an hour before tip-off."""
    return {
        "game_date": D,
        "snapshot_timestamp": TIP - timedelta(hours=1),
        "home_team": "Boston",
        "away_team": "New York",
        "home_team_abbr": "BOS",
        "away_team_abbr": "NYK",
        "bookmaker_key": book,
        "market_key": "spreads",
        "outcome_name": team,
        "outcome_point": point,
        "outcome_price": 1.9,
        **values,
    }


# Lines ------------------------------------------------------------------------------


def test_a_line_at_tipoff_is_too_late() -> None:
    """The current line is the latest strictly before tip-off."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, 60), prop(21.5, 1), prop(30.5, 0)]}
    found = row(rows)
    assert (found["current_points_line"], found["opening_points_line"]) == (21.5, 20.5)
    assert found["known_at_max"] == TIP - timedelta(minutes=1)


def test_rank_decides_before_time() -> None:
    """An untimed DraftKings line goes before a timed FanDuel line, and says that it is untimed."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, None), prop(22.5, 5, "FanDuel")]}
    found = row(rows)
    assert (found["current_points_line"], found["points_line_rank"]) == (20.5, 1)
    assert (found["opening_points_line"], found["points_line_at"]) == (None, None)
    assert "unstamped_line" in found["data_quality_issues"]
    assert row(rows, strict_known_at=True)["current_points_line"] == 22.5


def test_an_untimed_line_ranks_below_the_timed_lines_of_its_book() -> None:
    """Time decides within one source and book."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, None), prop(22.5, 500)]}
    assert row(rows)["current_points_line"] == 22.5


def test_of_several_lines_at_one_instant() -> None:
    """Both prices known first, then the closest prices, then the lowest line."""
    several = [
        prop(18.5, 5, under_price=None),
        prop(19.5, 5, over_price=1.5, under_price=2.5),
        prop(21.5, 5),
        prop(20.5, 5),
    ]
    assert row(season(D) | {raw.POINTS_PROPS: several})["current_points_line"] == 20.5


def test_a_book_counts_once_in_the_median_of_points() -> None:
    """The Odds API's line of a book stands for it, and a line of no team for nobody."""
    quoted = {
        "game_date": D,
        "market_type": "points",
        "player_lookup": ANN,
        "bet_side": "over",
        "bookmaker": "BetMGM",
        "points_line": 40.5,
        "bookmaker_last_update": TIP - timedelta(minutes=5),
    }
    books = [prop(20.5, 9, "betmgm"), prop(22.5, 8, "caesars")]
    nobody = prop(99.5, 5, "bovada", away_team_abbr=None)
    found = row(season(D) | {raw.POINTS_PROPS: [*books, nobody], raw.BETTINGPROS: [quoted]})
    assert (found["current_points_line"], found["points_line_books"]) == (21.5, 2)
    assert (found["points_line_rank"], found["points_line_source"]) == (5, "ODDS_API")
    assert found["points_line_at"] == TIP - timedelta(minutes=8)


def test_the_two_sides_of_a_spread_are_never_mixed() -> None:
    """Home and away rows have opposite signs; a pick'em is 0.0 on both, never -0.0."""
    rows = season(D) | {raw.GAME_LINES: [spread(-4.5, "Boston"), spread(4.5, "New York")]}
    assert (row(rows)["game_spread"], row(rows, "bobsmall")["game_spread"]) == (-4.5, 4.5)
    even = season(D) | {raw.GAME_LINES: [spread(-0.0, "New York")]}
    for player in (ANN, "bobsmall"):
        found = row(even, player)
        assert str(found["game_spread"]) == "0.0"
        assert str(found["spread_movement"]) == "0.0"


def test_the_consensus_of_game_lines_is_of_timed_books() -> None:
    """The median over books; where one is timed, the untimed ones do not enter."""
    outcomes = [
        spread(-4.0, "Boston", "betmgm"),
        spread(-6.0, "Boston", "caesars"),
        spread(-20.0, "Boston", "close", snapshot_timestamp=None),
    ]
    found = row(season(D) | {raw.GAME_LINES: outcomes})
    assert (found["game_spread"], found["spread_bookmaker"]) == (-5.0, "consensus")
    assert found["spread_books"] == 3


@pytest.mark.parametrize(("points", "over", "under"), [(25, 12, 0), (15, 0, 12), (20, 0, 0)])
def test_a_streak_is_as_long_as_it_is(points: int, over: int, under: int) -> None:
    """Longer than any window, over games with unknown points; a push ends both."""
    rows = season(*ago(*range(14, 0, -1))) | {raw.POINTS_PROPS: [prop(20.0, 5)]}
    scored = {D - timedelta(14): 20, D - timedelta(3): None}
    for one in rows[raw.GAMEBOOK]:
        one["points"] = scored.get(one["game_date"], points)
    found = row(rows)
    assert (found["prop_over_streak"], found["prop_under_streak"]) == (over, under)
