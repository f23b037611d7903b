"""Faults of the made-up league that a spec switches on: each is there, alone, and where it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ray_backfill.errors import UsageError
from ray_backfill_nba.demo_league import LeagueSpec, generate, tables
from ray_backfill_nba.demo_league import faults as schedules_and_boxes
from ray_backfill_nba.demo_league import feed_faults as feeds
from ray_backfill_nba.demo_league.spec import FAULTS
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    POINTS_PROPS,
    SCHEDULE,
)
from tests.frames import rows_of
from tests.reference import Reference, named

SPEC = LeagueSpec(seed=5, first_season=2025, seasons=1, teams=8, games=30)
Tables = Mapping[str, pl.DataFrame]


@cache
def league(*faults: str) -> Tables:
    return tables(replace(SPEC, faults=faults))


@cache
def reference(*faults: str) -> Reference:
    return Reference(rows_of(league(*faults)))


def changed(*faults: str) -> set[str]:
    """The tables that are not what they are without faults."""
    return {name for name, frame in league(*faults).items() if not frame.equals(league()[name])}


def new(table: str, fault: str) -> pl.DataFrame:
    """The rows of a table that it does not have without the fault."""
    return league(fault)[table].join(league()[table], on=pl.all(), how="anti", nulls_equal=True)


def test_every_fault_is_in_a_feed_and_described() -> None:
    """The spec names those that the feeds have, and no others."""
    found: set[str] = set()
    for module in (schedules_and_boxes, feeds):
        for name in module.__all__:
            if isinstance(getattr(module, name), dict):
                found |= set(getattr(module, name))
    assert found == set(FAULTS)


def test_a_fault_that_is_none_is_refused() -> None:
    """With those that there are; the order of naming makes no difference."""
    with pytest.raises(UsageError, match="'rain'") as refused:
        LeagueSpec(faults=("rain",))
    assert "cut_off" in str(refused.value.hint)
    assert LeagueSpec(faults=("tipoffs", "cut_off", "tipoffs")) == LeagueSpec(
        faults=("cut_off", "tipoffs")
    )


def test_a_spec_with_faults_survives_being_written_down() -> None:
    """JSON makes a list of them."""
    spec = LeagueSpec(faults=("tipoffs", "cut_off"))
    assert LeagueSpec(**json.loads(json.dumps(asdict(spec)))) == spec


@pytest.mark.parametrize("chunk_games", [1, 17])
def test_faults_do_not_depend_on_chunks(chunk_games: int) -> None:
    """All of them at once, over a short season."""
    spec = LeagueSpec(seed=3, teams=4, games=8, seasons=1, faults=tuple(FAULTS))
    rows: dict[str, list[pl.DataFrame]] = {}
    for chunk in generate(spec, chunk_games=chunk_games):
        rows.setdefault(chunk.table.name, []).append(chunk.rows)
    for name, frame in tables(spec).items():
        assert_frame_equal(pl.concat(rows[name]), frame)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_its_tables_alone(fault: str) -> None:
    """And what it leaves stands as it stood."""
    names = {
        table
        for table, of_table in (
            (SCHEDULE.name, schedules_and_boxes.SCHEDULE_FAULTS | feeds.SCHEDULE_NAMES),
            (GAMEBOOK.name, schedules_and_boxes.BOX_FAULTS | feeds.BOX_NAMES),
            (GAME_LINES.name, feeds.LINE_FAULTS),
            (POINTS_PROPS.name, feeds.PROP_FAULTS),
            (BETTINGPROS.name, feeds.PRO_FAULTS),
            (INJURIES.name, feeds.REPORT_FAULTS),
            (ALIASES.name, feeds.ALIAS_FAULTS),
        )
        if fault in of_table
    }
    assert changed(fault) == names
    for name in names:
        assert new(name, fault).height < league()[name].height


# What the reference makes of them ------------------------------------------------------


def incomplete(*faults: str) -> int:
    """How many more sides lack a complete box score than without the faults."""
    return len(named.incomplete(reference(*faults))) - len(named.incomplete(reference()))


def test_scoreless_finals_are_games_all_the_same() -> None:
    """Their box scores say so."""
    found = new(SCHEDULE.name, "scoreless_finals")
    assert set(found["game_status"]) == {3}
    assert found["home_team_score"].null_count() == found.height > 0
    games = reference("scoreless_finals").schedule
    assert [g.day for g in games.games] == [g.day for g in reference().schedule.games]
    assert any(game.played and not game.scored for game in games.games)


@pytest.mark.parametrize("fault", ["unplayed_finals", "called_off"])
def test_games_that_were_not_played_are_off(fault: str) -> None:
    """No box score, no score or 0-0, and a status that says final or something else."""
    off = named.in_state(reference(fault), "off")
    assert off
    statuses = {game.status for game in off}
    assert statuses == ({3} if fault == "unplayed_finals" else {5})
    box = league(fault)[GAMEBOOK.name]
    for game in off:
        sides = box.filter(pl.col("game_date") == game.day)["team_abbr"].unique()
        assert not set(sides) & set(game.teams)


def test_stuck_games_are_overdue() -> None:
    """Some have box scores, some have none."""
    found = reference("stuck_games")
    overdue = named.in_state(found, "overdue")
    assert {bool(found.boxes.of_game(game)) for game in overdue} == {True, False}
    assert {game.status for game in overdue} <= {1, 2}


@pytest.mark.parametrize("fault", ["no_status", "late_scrapes", "season_labels", "no_kinds"])
def test_what_is_said_otherwise_changes_no_game(fault: str) -> None:
    """Evidence, the order of scrapes, and the id decide."""
    before, after = reference().schedule, reference(fault).schedule
    assert [(g.day, g.home, g.state, g.season, g.kind, g.home_score) for g in after.games] == [
        (g.day, g.home, g.state, g.season, g.kind, g.home_score) for g in before.games
    ]
    assert after.starts == before.starts


def test_second_games_are_kept_out_and_lone_games_begin_no_season() -> None:
    """The ones stand beside played games, the others weeks before."""
    assert reference("two_games").schedule.kept_out
    assert reference("two_games").schedule.games == reference().schedule.games
    assert new(SCHEDULE.name, "early_games")["is_regular_season"].all()
    assert reference("early_games").schedule.starts == reference().schedule.starts
    first = new(SCHEDULE.name, "early_games")["game_date"].min()
    assert isinstance(first, date)
    assert first < min(reference().schedule.starts.values()) - timedelta(7)


def test_wrong_tipoffs_are_disputed() -> None:
    """And the feed's is used in their place."""
    disputed = named.disputed(reference("tipoffs"))
    assert len(disputed) > 5
    right = {(game.day, game.home): game.tipoff for game in reference().schedule.games}
    close = [g for g in disputed if g.tipoff is not None]
    assert all(abs(g.tipoff - right[g.day, g.home]) < timedelta(hours=1) for g in close)
    assert named.disputed(reference()) == []


@pytest.mark.parametrize("fault", ["missing_sides", "cut_off", "wrong_dates"])
def test_box_scores_that_lack_something_are_incomplete(fault: str) -> None:
    """One side, four players, or all of it, which then stands on a stray date."""
    assert incomplete(fault) > 0
    assert bool(reference(fault).boxes.strays) == (fault == "wrong_dates")


@pytest.mark.parametrize("fault", ["zero_minutes", "no_minutes"])
def test_minutes_that_cannot_be_are_unknown(fault: str) -> None:
    """The box scores are complete; nobody has 0 minutes and more than five points."""
    assert incomplete(fault) == 0
    boxes = [box for day in reference(fault).boxes.on_day.values() for box in day]
    active = [box for box in boxes if box.status == "active"]
    assert sum(box.minutes is None for box in active) > 5
    assert not [box for box in active if box.minutes == 0 and (box.points or 0) > 5]


def test_renamed_players_are_told_by_their_alias() -> None:
    """The gamebook has a spelling of the alias table, and the reference none of it."""
    spellings = set(league()[ALIASES.name]["alias_lookup"])
    found = set(new(GAMEBOOK.name, "renamed_players")["player_lookup"])
    assert found
    assert found <= spellings
    assert not found & set(reference("renamed_players").boxes.of_player)
    means = league("doubtful_aliases")[ALIASES.name].group_by("alias_lookup").len()
    assert means["len"].max() == 2


LINE_ROWS: dict[str, Callable[[pl.DataFrame], pl.Series]] = {
    "unusable_lines": lambda rows: rows["points_line"].is_in([0.0, 75.5]),
    "split_prices": lambda rows: rows["over_price"].is_null() | rows["under_price"].is_null(),
    "one_sided_lines": lambda rows: rows["under_price"].is_null(),
    "uniform_lines": lambda rows: rows["points_line"] == 20.5,
    "no_codes": lambda rows: rows["home_team_abbr"].is_null() | rows["away_team_abbr"].is_null(),
}


@pytest.mark.parametrize("fault", LINE_ROWS)
def test_lines_are_spoiled_as_the_fault_says(fault: str) -> None:
    """All rows that are new are of its kind."""
    found = new(POINTS_PROPS.name, fault)
    assert found.height > 5
    assert LINE_ROWS[fault](found).all()


def test_unusable_outcomes_are_out_of_bounds() -> None:
    """Of spreads and of totals."""
    found = new(GAME_LINES.name, "unusable_lines")
    assert set(found["market_key"]) == {"spreads", "totals"}
    assert set(found["outcome_point"]) == {55.5, 22.0}
    assert named.unusable(reference("unusable_lines")).total() > found.height


def test_a_uniform_book_marks_the_rows_that_take_it() -> None:
    """On some dates, not on all."""
    marked: dict[bool, int] = {True: 0, False: 0}
    spoiled = set(new(POINTS_PROPS.name, "uniform_lines")["game_date"])
    for day in sorted(spoiled)[:3]:
        one = reference("uniform_lines").day(day)
        for row in one.rows:
            marked["uniform_points_line" in row["data_quality_issues"]] += 1
    assert marked[True] > 5
    assert len(spoiled) < league()[POINTS_PROPS.name]["game_date"].n_unique()


def test_the_feed_s_tipoff_moves_with_the_feed() -> None:
    """By hours or to another day, in both of its tables."""
    columns = {GAME_LINES.name: "commence_time", POINTS_PROPS.name: "game_start_time"}
    for table, column in columns.items():
        moved = new(table, "feed_times")
        assert 0 < moved.height < league()[table].height * 0.3
        assert moved[column].null_count() < moved.height
    assert changed("feed_times") == {GAME_LINES.name, POINTS_PROPS.name}


@pytest.mark.parametrize(
    ("fault", "column"),
    [
        ("teamless_reports", "team"),
        ("nameless_reports", "player"),
        ("unknown_statuses", "status"),
    ],
)
def test_reports_lack_what_the_fault_says(fault: str, column: str) -> None:
    """And nothing else."""
    assert named.no_reports(reference()) == {}
    assert set(named.no_reports(reference(fault))) == {column}


def test_spellings_change_no_value_and_empty_texts_are_null() -> None:
    """Wherever names are normalised."""
    clean, spelled = reference(), reference("spellings")
    days = sorted(clean.schedule.on_day)
    assert sorted(spelled.schedule.on_day) == days
    for day in days[10:60:10]:
        assert spelled.day(day) == clean.day(day)
    raw = league("empty_texts")[POINTS_PROPS.name]
    assert "" in set(raw["player_lookup"])
    for rows in reference("empty_texts").raw.values():
        assert not any(isinstance(v, str) and not v.strip() for row in rows for v in row.values())
