"""The main job on a made-up league: exactly the dates that a change touches are stale."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.job.table import Table
from ray_backfill.plan import Selection
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill_nba.demo_league import LeagueSpec
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    LOCATIONS,
    POINTS_PROPS,
    REGISTRY,
    SCHEDULE,
)
from tests.engine import break_file, content, on_ray, output, ran
from tests.frames import in_contract
from tests.league import PLAYER_CONTEXT, SMALL, fill, late, plan_of, touched


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the league, computed once."""
    root = tmp_path_factory.mktemp("league") / "lake"
    house = open_warehouse(str(root))
    fill(house)
    report = ran(house, how=PLAYER_CONTEXT)
    assert report.exit_code == 0, report.verdict
    return root


@pytest.fixture
def league(computed: Path, tmp_path: Path) -> Warehouse:
    """A copy of the computed lake that a test may change."""
    root = tmp_path / "lake"
    shutil.copytree(computed, root)
    return open_warehouse(str(root))


def due(house: Warehouse) -> dict[date, str]:
    """Every date that has output rows, with its season."""
    rows = output(house, JOB).select("game_date", "season").unique()
    return dict(rows.sort("game_date").iter_rows())


def stored(house: Warehouse, table: Table) -> pl.DataFrame:
    frame = pl.from_arrow(house.read(table, [c.name for c in table.columns]))
    assert isinstance(frame, pl.DataFrame)
    return frame


def rewrite(house: Warehouse, table: Table, rows: pl.DataFrame) -> None:
    """Make a raw table hold exactly these rows."""
    house.append(table, rows.to_arrow(), replace_dates=True)


def later(house: Warehouse, day: date) -> set[date]:
    """The later dates of the season of `day`, and all of the next season."""
    seasons = due(house)
    return {d for d, season in seasons.items() if d > day or season > seasons[day]}


def in_season(house: Warehouse, days: set[date], season: str) -> set[date]:
    return {d for d in days if due(house)[d] == season}


def test_late_game_lines_touch_their_dates_alone(league: Warehouse) -> None:
    """The case the project was born from: a withheld month comes, and nothing else is planned."""
    lines = late()
    league.append(GAME_LINES, lines.to_arrow())
    plan = touched(plan_of(league))
    assert set(plan) == set(lines["game_date"]) & set(due(league))
    assert set(plan.values()) == {"changed: game_lines"}
    before = content(league, JOB)
    report = ran(league, how=PLAYER_CONTEXT)
    assert set(report.published) == {str(day) for day in plan}
    after = content(league, JOB)
    month = pl.col("game_date").is_between(date(2025, 11, 1), date(2025, 11, 30))
    assert before.filter(month)["game_spread"].null_count() == before.filter(month).height
    assert after.filter(month)["game_spread"].null_count() < after.filter(month).height * 0.2
    assert after.filter(~month).equals(before.filter(~month))


def test_a_season_ingested_again_makes_nothing_stale(league: Warehouse) -> None:
    """Identical rows, shuffled and repeated, in every raw table."""
    for table in (SCHEDULE, GAMEBOOK, GAME_LINES, POINTS_PROPS, INJURIES, REGISTRY, LOCATIONS):
        rows = stored(league, table)
        league.append(table, rows.sample(fraction=1.0, shuffle=True, seed=5).to_arrow())
    assert touched(plan_of(league)) == {}


def test_a_new_scrape_makes_nothing_stale(league: Warehouse) -> None:
    """The same content with a later `processed_at` is the same content."""
    for table in (SCHEDULE, GAMEBOOK, INJURIES):
        rows = stored(league, table)
        league.append(
            table, rows.with_columns(pl.col("processed_at").dt.offset_by("1y")).to_arrow()
        )
    assert touched(plan_of(league)) == {}


def test_a_corrected_box_score_touches_what_comes_after(league: Warehouse) -> None:
    """Points of one player on X: the later dates of its season, and the next season's."""
    rows = stored(league, GAMEBOOK)
    day = sorted(due(league))[12]
    played = (pl.col("game_date") == day) & (pl.col("player_status") == "active")
    who = rows.filter(played, pl.col("points") > 0)["player_lookup"].sort()[0]
    bump = played & (pl.col("player_lookup") == who)
    rewrite(
        league,
        GAMEBOOK,
        rows.with_columns(
            pl.when(bump).then(pl.col("points") + 3).otherwise(pl.col("points")).alias("points"),
            pl.when(bump)
            .then(pl.col("three_pointers_made") + 1)
            .otherwise(pl.col("three_pointers_made"))
            .alias("three_pointers_made"),
        ),
    )
    plan = touched(plan_of(league))
    assert set(plan) == later(league, day)
    assert set(plan.values()) == {"changed: box, results", "changed: season_before"}


def test_a_corrected_final_score_touches_later_dates_of_its_season(league: Warehouse) -> None:
    """A result is history for later dates, and never an input to its own."""
    rows = stored(league, SCHEDULE)
    day = sorted(due(league))[9]
    final = (pl.col("game_date") == day) & (pl.col("game_status") == 3)
    rewrite(
        league,
        SCHEDULE,
        rows.with_columns(
            pl.when(final)
            .then(pl.col("home_team_score") + 40)
            .otherwise(pl.col("home_team_score"))
            .alias("home_team_score")
        ),
    )
    plan = touched(plan_of(league))
    season = due(league)[day]
    assert set(plan) == in_season(league, later(league, day), season)
    assert set(plan.values()) == {"changed: results"}


def test_a_birth_date_touches_its_players_dates(league: Warehouse) -> None:
    """A registry row makes the dates stale on which its player has a row."""
    rows = stored(league, REGISTRY)
    known = rows.drop_nulls("birth_date").sort("player_lookup", "season")
    who = known["player_lookup"][0]
    rewrite(
        league,
        REGISTRY,
        rows.with_columns(
            pl.when(pl.col("player_lookup") == who)
            .then(pl.lit(date(1990, 5, 5)))
            .otherwise(pl.col("birth_date"))
            .alias("birth_date")
        ),
    )
    mine = output(league, JOB).filter(pl.col("player_lookup") == who)
    plan = touched(plan_of(league))
    assert set(plan) == set(mine["game_date"])
    assert set(plan.values()) == {"changed: ages"}


def test_late_props_and_reports_touch_their_dates_alone(league: Warehouse) -> None:
    """A points line and an injury report of D are inputs of D and of no other date."""
    day = sorted(due(league))[30]
    props = stored(league, POINTS_PROPS).filter(pl.col("game_date") == day).head(1)
    league.append(POINTS_PROPS, props.with_columns(points_line=pl.lit(55.5)).to_arrow())
    other = sorted(due(league))[33]
    report = stored(league, INJURIES).filter(pl.col("game_date") == other).head(1)
    league.append(INJURIES, report.with_columns(player_lookup=pl.lit("newcomer")).to_arrow())
    assert touched(plan_of(league)) == {
        day: "changed: points_props",
        other: "changed: injuries",
    }


def test_an_alias_touches_the_dates_of_whom_it_means(league: Warehouse) -> None:
    """A new spelling makes the dates stale on which it stands, and no others."""
    who = output(league, JOB)["player_lookup"].sort()[0]

    def known_as(spelling: str) -> None:
        row = pl.DataFrame([{"alias_lookup": spelling, "player_lookup": who}])
        league.append(ALIASES, in_contract(row, ALIASES).to_arrow())

    known_as("other spelling")
    assert touched(plan_of(league)) == {}
    props = stored(league, POINTS_PROPS)
    people = set(stored(league, REGISTRY)["player_lookup"])
    spellings = set(stored(league, ALIASES)["alias_lookup"])
    nobody = sorted(set(props["player_lookup"].drop_nulls()) - people - spellings)[0]
    known_as(nobody)
    feeds = [props, stored(league, BETTINGPROS).filter(market_type="points")]
    dates = {d for rows in feeds for d in rows.filter(player_lookup=nobody)["game_date"]}
    assert set(touched(plan_of(league))) == dates & set(due(league))
    assert dates


def test_an_arena_that_moved_touches_every_date(league: Warehouse) -> None:
    """Team locations are an input of every date."""
    rows = stored(league, LOCATIONS)
    rewrite(league, LOCATIONS, rows.with_columns(pl.col("latitude") + 1))
    plan = touched(plan_of(league))
    assert set(plan) == set(due(league))
    assert set(plan.values()) == {"changed: locations"}


def test_partly_blocked_dates_are_computed_and_reported(league: Warehouse) -> None:
    """A final game without box scores is named; the other games of its date have rows."""
    noted = {d.day: d.notes for d in plan_of(league).decisions if d.notes}
    assert noted
    for day, notes in noted.items():
        assert day in due(league)
        assert any("box scores" in note for note in notes)


def test_a_blocked_date_is_named_and_never_computed(league: Warehouse) -> None:
    """All games final and no gamebook rows: blocked, with the reason."""
    blocked = {d.day: d.reason for d in plan_of(league).decisions if d.state == "blocked"}
    assert blocked
    assert all("no box scores" in reason for reason in blocked.values())
    assert not set(blocked) & set(due(league))


def test_a_broken_file_of_lines_stops_its_date_alone(league: Warehouse) -> None:
    """Without any cache the plan goes on around the file, and a run names it and its date."""
    day = sorted(due(league))[40]
    break_file(league, GAME_LINES.name, day)
    for key in league.list_objects("cache/"):
        league.put_object(key, b"")
    assert touched(plan_of(league)) == {day: "changed: game_lines"}
    report = ran(league, how=PLAYER_CONTEXT)
    assert (report.exit_code, list(report.failed)) == (1, [str(day)])
    assert "cannot be read" in report.failed[str(day)]


def test_games_of_another_kind_remove_and_hollow_out_nothing(league: Warehouse) -> None:
    """As preseason they count no more: their published rows stay, and what looked there waits."""
    rows, before = stored(league, SCHEDULE), output(league, JOB)
    days = [day for day, season in due(league).items() if season == "2024-25"]
    preseason = pl.concat_str(pl.lit("001"), pl.col("game_id").str.slice(3))
    is_it = pl.col("game_date").is_in(days[21:])
    moved = pl.when(is_it).then(preseason).otherwise("game_id").alias("game_id")
    rewrite(league, SCHEDULE, rows.with_columns(moved))
    plan = plan_of(league)
    assert set(days[21:]) <= set(plan.kept)
    assert set(days[:20]) <= set(plan.shrinking)
    assert all(SCHEDULE.name in why for why in plan.kept.values())
    assert "outside of the look-back now" in plan.shrinking[days[0]]
    report = ran(league, how=PLAYER_CONTEXT)
    assert (report.exit_code, report.removed) == (3, [])
    key = ["game_date", "player_lookup"]
    untouched = pl.col("game_date").is_in([*plan.kept, *plan.shrinking])
    assert (
        output(league, JOB).filter(untouched).sort(key).equals(before.filter(untouched).sort(key))
    )


def test_rows_that_disagree_quarantine_their_date_alone(tmp_path: Path) -> None:
    """Two box scores of one key and no `processed_at`: exit 1, the keys named, others published."""
    plain = replace(SMALL, seasons=1, withhold_lines="")
    day = sorted(set(_dates(plain)))[20]
    house = open_warehouse(str(tmp_path / "lake"))
    fill(house, replace(plain, conflict_date=day))
    report = ran(house, how=PLAYER_CONTEXT)
    assert report.exit_code == 1
    assert list(report.quarantined) == [str(day)]
    assert "nbac_gamebook_player_stats" in report.quarantined[str(day)]
    assert str(day) not in report.published


def _dates(spec: LeagueSpec) -> list[date]:
    from ray_backfill_nba.demo_league import tables

    return tables(spec)[GAMEBOOK.name]["game_date"].to_list()


def test_sameness_whatever_the_workers_spans_and_row_order(
    computed: Path, tmp_path: Path, ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 worker, 4 workers, this process; spans of a day or a season; rows shuffled, repeated."""
    truth = content(open_warehouse(str(computed)), JOB)
    autumn = Selection(start=date(2025, 11, 1), end=date(2025, 11, 25))
    ways = {
        "one worker": (on_ray(ray_address, 1, job="player_context"), 400, Selection()),
        "four workers": (on_ray(ray_address, 4, job="player_context", batch=5), 20, Selection()),
        "a day a span": (PLAYER_CONTEXT, 1, autumn),
    }
    for name, (how, longest, asked) in ways.items():
        house = open_warehouse(str(tmp_path / name))
        for table, rows in fill(house).items():
            _append_again(house, table, rows)
        monkeypatch.setattr("ray_backfill.plan.spans._SHORTEST_SPAN", longest)
        monkeypatch.setattr(
            "ray_backfill.plan.spans._SPANS_PER_WORKER", 1 if longest > 99 else 1000
        )
        assert ran(house, selection=asked, how=how).exit_code == 0
        found = content(house, JOB)
        same = truth.filter(pl.col("game_date").is_in(found["game_date"].implode()))
        assert found.equals(same), name
        assert asked == autumn or found.height == truth.height


def _append_again(house: Warehouse, name: str, rows: pl.DataFrame) -> None:
    from ray_backfill_nba.raw_tables import RAW_TABLES

    table = next(t for t in RAW_TABLES if t.name == name)
    house.append(table, rows.sample(fraction=0.5, shuffle=True, seed=9).to_arrow())
