"""What happened to people with these tables, done to the real ones: the reference stays right."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.frames import rows_of
from tests.reference import Reference, named, real
from tests.reference.load import COLUMNS as REST
from tests.reference.names import GAMEBOOK, LINES, PROPS, SCHEDULE
from tests.reference.rows import Row

pytestmark = pytest.mark.skipif(real.absent() is not None, reason=str(real.absent()))

Tables = dict[str, list[Row]]
NIGHT, NEXT = date(2025, 11, 14), date(2025, 11, 16)
"""Two nights on which Houston plays."""
THREE_DAYS = [date(2025, 11, day) for day in (5, 6, 7)]


@pytest.fixture(scope="module")
def autumn() -> Tables:
    """The first weeks of 2025-26: five weeks of games, and the lines of two of them."""
    days = pl.col("game_date").is_between(date(2025, 10, 21), date(2025, 11, 20))
    lines = pl.col("game_date").is_between(date(2025, 11, 5), date(2025, 11, 16))
    tables = {
        name: frame.filter(lines if name in (LINES, PROPS) else days)
        if "game_date" in frame.columns
        else frame
        for name, frame in real.tables().items()
    }
    return rows_of(tables)


@pytest.fixture(scope="module")
def clean(autumn: Tables) -> Reference:
    return Reference(autumn)


def spoiled(tables: Tables, name: str, spoil: Callable[[Row], Row | None]) -> Reference:
    """The reference where every row of a table is what `spoil` makes of it; None: it is lost."""
    rows = [row for old in tables[name] if (row := spoil(dict(old))) is not None]
    return Reference({**tables, name: rows})


def rows_on(reference: Reference, day: date) -> dict[str, Row]:
    one = reference.day(day)
    assert (one.state, one.quarantined) == (None, None)
    return {row["player_lookup"]: row for row in one.rows}


def of_team(reference: Reference, day: date, team: str) -> dict[str, Row]:
    return {p: row for p, row in rows_on(reference, day).items() if row["team_abbr"] == team}


def values(rows: dict[str, Row], *columns: str) -> dict[str, Any]:
    return {player: [row[column] for column in columns] for player, row in rows.items()}


def is_game(row: Row, team: str) -> bool:
    return row["game_date"] == NIGHT and team in (
        row["home_team_tricode"],
        row["away_team_tricode"],
    )


def test_a_final_without_scores_removes_no_team_from_the_next_night(
    autumn: Tables, clean: Reference
) -> None:
    """Its box scores are the evidence: only the wins are one game fewer."""

    def scoreless(row: Row) -> Row:
        if is_game(row, "HOU"):
            row["home_team_score"] = row["away_team_score"] = None
        return row

    before = of_team(clean, NEXT, "HOU")
    after = of_team(spoiled(autumn, SCHEDULE, scoreless), NEXT, "HOU")
    assert len(before) > 5
    changed = {
        column
        for player, row in before.items()
        for column, value in row.items()
        if value != after[player][column]
    }
    assert changed == {"team_win_pct"}


def test_a_final_without_scores_or_box_scores_was_not_played(autumn: Tables) -> None:
    """It is off, and nobody waits for it."""
    tables = deepcopy({name: autumn[name] for name in (SCHEDULE, GAMEBOOK)})
    game = next(row for row in tables[SCHEDULE] if is_game(row, "HOU"))
    game |= {"home_team_score": 0, "away_team_score": 0}
    teams = (game["home_team_tricode"], game["away_team_tricode"])
    tables[GAMEBOOK] = [
        row
        for row in tables[GAMEBOOK]
        if row["game_date"] != NIGHT or row["team_abbr"] not in teams
    ]
    reference = Reference(tables)
    assert [game.day for game in named.in_state(reference, "off")] == [NIGHT]
    rows = of_team(reference, NEXT, "HOU")
    assert rows
    assert all(row["missing_box_scores"] == 0 for row in rows.values())
    assert {row["days_rest"] for row in rows.values() if row["games_played_season"] > 5} >= {4}


def test_a_team_missing_from_a_box_score_is_named(autumn: Tables) -> None:
    """Its opponent's rows are there; what comes after says that it does not know."""
    reference = spoiled(
        autumn,
        GAMEBOOK,
        lambda row: None if (row["game_date"], row["team_abbr"]) == (NIGHT, "HOU") else row,
    )
    assert named.without_rows(reference) == {(NIGHT, "HOU")}
    ((points, score),) = named.incomplete(reference).values()
    assert points == 0
    assert score > 80
    assert len(of_team(reference, NIGHT, "HOU")) == 0
    rows = of_team(reference, NEXT, "HOU")
    assert rows
    for row in rows.values():
        assert [row[column] for column in REST] == [None] * len(REST)
        assert row["missing_box_scores"] == 1
        assert {"history_gap", "history_incomplete"} <= set(row["data_quality_issues"])
        assert row["data_quality_tier"] != "gold"


def test_a_cut_off_box_score_moves_nobody_s_rest(autumn: Tables, clean: Reference) -> None:
    """Four players lost a game: their rest is not known, rather than as long as since another."""
    before = of_team(clean, NEXT, "HOU")
    scorers = {box.player for box in clean.boxes.on_day[NIGHT] if box.points}
    lost = sorted(scorers & set(before))[:4]
    reference = spoiled(
        autumn,
        GAMEBOOK,
        lambda row: None if row["game_date"] == NIGHT and row["player_lookup"] in lost else row,
    )
    ((side, (points, score)),) = named.incomplete(reference).items()
    assert side == (NIGHT, "HOU")
    assert 0 < points < score
    after = of_team(reference, NEXT, "HOU")
    assert {before[player]["days_rest"] for player in lost} == {2}
    assert {after[player]["days_rest"] for player in lost} == {None}
    assert values(after, "team_win_pct") == values(before, "team_win_pct")


def test_zeros_for_people_who_played_move_no_pace(autumn: Tables, clean: Reference) -> None:
    """Their minutes are unknown: the game is left out of the figures that need them."""

    def zeros(row: Row) -> Row:
        if (row["game_date"], row["team_abbr"]) == (NIGHT, "HOU") and (row["points"] or 0) > 5:
            row["minutes_decimal"] = 0.0
        return row

    def unknown(row: Row) -> Row:
        was = row["minutes_decimal"]
        return row | {"minutes_decimal": None if zeros(row)["minutes_decimal"] != was else was}

    columns = ("team_pace_last_10", "usage_rate_last_10", "minutes_avg_last_10", "days_rest")
    before = of_team(clean, NEXT, "HOU")
    after = of_team(spoiled(autumn, GAMEBOOK, zeros), NEXT, "HOU")
    assert values(after, *columns) == values(
        of_team(spoiled(autumn, GAMEBOOK, unknown), NEXT, "HOU"), *columns
    )
    for player, row in before.items():
        assert abs(after[player]["team_pace_last_10"] - row["team_pace_last_10"]) < 2
        assert after[player]["games_played_season"] == row["games_played_season"]


@pytest.mark.parametrize("hours", [0, -5], ids=["midnight", "Eastern clock"])
def test_a_wrong_tipoff_loses_no_line(autumn: Tables, clean: Reference, hours: int) -> None:
    """The feed's is taken: every line of three days is what it was, and the row says so."""

    def wrong(row: Row) -> Row:
        if row["game_date"] in THREE_DAYS:
            time: datetime = row["game_date_est"]
            midnight = datetime.combine(row["game_date"], datetime.min.time(), tzinfo=UTC)
            row["game_date_est"] = time + timedelta(hours=hours) if hours else midnight
        return row

    reference = spoiled(autumn, SCHEDULE, wrong)
    columns = ("current_points_line", "points_line_at", "game_spread", "game_total", "spread_at")
    lines = 0
    for day in THREE_DAYS:
        before, after = rows_on(clean, day), rows_on(reference, day)
        assert values(after, *columns) == values(before, *columns)
        lines += sum(row["has_prop_line"] for row in after.values())
        assert all("tipoff_disputed" in row["data_quality_issues"] for row in after.values())
    assert lines == 315


def test_a_line_of_0_does_not_win_over_a_real_one(autumn: Tables, clean: Reference) -> None:
    """Where DraftKings says 0.0 the next book has the word."""

    def zero(row: Row) -> Row:
        if row["game_date"] == THREE_DAYS[0] and row["bookmaker"] == "draftkings":
            row["points_line"] = 0.0
        return row

    def gone(row: Row) -> Row | None:
        return None if zero(row)["points_line"] == 0.0 else row

    columns = ("current_points_line", "points_line_rank", "points_line_books")
    zeros, without = (rows_on(spoiled(autumn, PROPS, how), THREE_DAYS[0]) for how in (zero, gone))
    assert values(zeros, *columns) == values(without, *columns)
    assert {row["points_line_rank"] for row in zeros.values()} == {3, 5, None}
    assert values(zeros, *columns) != values(rows_on(clean, THREE_DAYS[0]), *columns)
    assert 0.0 not in {row["current_points_line"] for row in zeros.values()}


def test_sides_in_lower_case_lose_no_total(autumn: Tables, clean: Reference) -> None:
    """Nor do markets in capitals."""

    def lower(row: Row) -> Row:
        name, market = row["outcome_name"].lower(), row["market_key"].upper()
        return row | {"outcome_name": name, "market_key": market}

    reference = spoiled(autumn, LINES, lower)
    for day in THREE_DAYS:
        columns = ("game_total", "total_books", "game_spread", "spread_books")
        rows = rows_on(reference, day)
        assert values(rows, *columns) == values(rows_on(clean, day), *columns)
        assert all(row["game_total"] is not None for row in rows.values())
