"""The made-up league: one spec makes one league, its contracts hold, and its sums add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ray_backfill.errors import UsageError
from ray_backfill_nba.demo_league import LeagueSpec, generate, late_lines, tables
from ray_backfill_nba.demo_league.fixtures import fixtures, opening_day
from ray_backfill_nba.demo_league.names import FIRST_NAMES, LAST_NAMES, TEAMS
from ray_backfill_nba.demo_league.people import players
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    LOCATIONS,
    POINTS_PROPS,
    RAW_TABLES,
    REGISTRY,
    SCHEDULE,
)

SMALL = LeagueSpec(seed=3, teams=8, games=24, seasons=2)
GOLDEN_POINTS, GOLDEN_SPREADS = 300036, 315402.5
GOLDEN_POINTS, GOLDEN_SPREADS = 302688, 343699.5
GOLDEN_POINTS, GOLDEN_SPREADS = 302688, 343699.5
Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def small() -> Tables:
    return tables(SMALL)


@pytest.fixture(scope="module")
def season() -> Tables:
    return tables(LeagueSpec(seasons=1, first_season=2025))


def finals(found: Tables) -> pl.DataFrame:
    """Each played game once."""
    rows = found[SCHEDULE.name].filter(game_status=3)
    return rows.unique("game_id", keep="any").drop("processed_at")


def played(found: Tables) -> pl.DataFrame:
    """Each player and game once, as last corrected, with the game's id."""
    box = (
        found[GAMEBOOK.name]
        .sort("processed_at")
        .unique(["game_date", "player_lookup"], keep="last")
    )
    return box.filter(player_status="active")


# -- one spec, one league ------------------------------------------------------------------------
def test_equal_specs_make_equal_leagues(small: Tables) -> None:
    """Also when what was made before has been forgotten."""
    fixtures.cache_clear()
    players.cache_clear()
    for name, frame in tables(replace(SMALL)).items():
        assert_frame_equal(frame, small[name])


def test_another_seed_makes_another_league(small: Tables) -> None:
    """In every table that chance has a part in."""
    other = tables(replace(SMALL, seed=4))
    for name, frame in other.items():
        if name != LOCATIONS.name:
            assert not frame.equals(small[name]), name


@pytest.mark.parametrize("chunk_games", [1, 17, 10_000])
def test_chunks_together_are_the_whole(chunk_games: int) -> None:
    """No value and no order depends on where a chunk ends."""
    spec = LeagueSpec(seed=3, teams=4, games=3 if chunk_games == 1 else 24, seasons=1)
    rows: dict[str, list[pl.DataFrame]] = {}
    for chunk in generate(spec, chunk_games=chunk_games):
        rows.setdefault(chunk.table.name, []).append(chunk.rows)
    for name, frame in tables(spec).items():
        assert_frame_equal(pl.concat(rows[name]), frame)


def test_the_league_is_the_one_it_has_always_been(season: Tables) -> None:
    """Numbers of the default seed: a change here changes everybody's demo."""
    points = played(season)["points"].sum()
    spreads = season[GAME_LINES.name].filter(market_key="spreads")["outcome_point"].abs().sum()
    assert (points, spreads) == (GOLDEN_POINTS, GOLDEN_SPREADS)


def test_a_bigger_scale_is_more_leagues_side_by_side(small: Tables) -> None:
    """Teams and players of their own, the same calendar, and no name twice."""
    found = tables(replace(SMALL, scale=3, seasons=1))
    assert found[LOCATIONS.name]["team_abbr"].n_unique() == 24
    lookups = found[REGISTRY.name]["player_lookup"]
    assert lookups.n_unique() == lookups.len() == 3 * 8 * SMALL.roster
    days = finals(found).filter("is_regular_season")["game_date"].unique().sort()
    year = finals(small).filter(pl.col("is_regular_season") & (pl.col("season") == "2024-25"))
    assert days.to_list() == year["game_date"].unique().sort().to_list()
    assert finals(found)["game_id"].n_unique() == finals(found).height


def test_chunks_stay_small_whatever_the_scale() -> None:
    """What is in memory at once is bounded by the games of a chunk, not by the league."""
    most: dict[int, int] = {}
    for scale in (2, 6):
        spec = LeagueSpec(teams=8, games=6, seasons=1, scale=scale)
        chunks = generate(spec, chunk_games=40)
        most[scale] = max(c.rows.height for c in chunks if c.table.partition)
    assert most[6] < 40 * 450
    assert most[6] < most[2] * 1.5


def test_names_cannot_be_confused() -> None:
    """No first name begins another and no surname another, so no two joined names are alike."""
    for names in (FIRST_NAMES, LAST_NAMES):
        lower = sorted(name.lower() for name in names)
        assert not [b for a, b in pairwise(lower) if b.startswith(a)]
    assert len({abbr for abbr, *_ in TEAMS}) == len(TEAMS) == 30


@pytest.mark.parametrize(
    "wrong",
    [{"teams": 7}, {"teams": 32}, {"games": 0}, {"scale": 1001}, {"withhold_lines": "2025-13"}],
)
def test_a_spec_that_cannot_be_made_is_refused(wrong: dict[str, object]) -> None:
    """With the limits in the message."""
    with pytest.raises(UsageError, match=r"cannot be made|is not a month"):
        LeagueSpec(**wrong)  # type: ignore[arg-type]


# -- contracts -----------------------------------------------------------------------------------
def test_contracts_hold(small: Tables) -> None:
    """Columns, dtypes, required values and known values are those of the raw tables."""
    for table in RAW_TABLES:
        frame = small[table.name]
        assert frame.schema == table.schema()
        assert frame.height, table.name
        for column in table.columns:
            values = frame[column.name]
            assert column.nullable or not values.null_count(), column.name
            if column.known_values:
                assert set(values.drop_nulls()) <= column.known_values


def test_every_chunk_has_the_contract() -> None:
    """Also those without rows."""
    for chunk in generate(LeagueSpec(teams=2, games=1, seasons=1), chunk_games=1):
        assert chunk.rows.schema == chunk.table.schema()


# -- a believable season -------------------------------------------------------------------------
def test_seasons_open_when_seasons_open() -> None:
    """The Tuesday of the third full week of October."""
    assert [opening_day(year) for year in range(2021, 2026)] == [
        date(2021, 10, 19),
        date(2022, 10, 18),
        date(2023, 10, 24),
        date(2024, 10, 22),
        date(2025, 10, 21),
    ]


def test_a_real_size_season(season: Tables) -> None:
    """1,230 games, 82 a team and half at home, an All-Star break, play-in and playoffs."""
    games = finals(season)
    regular = games.filter("is_regular_season")
    assert regular.height == 1230
    for side in ("home_team_tricode", "away_team_tricode"):
        assert regular[side].value_counts()["count"].unique().to_list() == [41]
    kinds = dict(games["season_type"].value_counts().iter_rows())
    assert kinds["preseason"] == 2
    assert (kinds["playin"], kinds["allstar"], kinds["cup_final"]) == (6, 1, 1)
    assert 60 <= kinds["playoffs"] <= 105
    days = regular["game_date"].unique().sort()
    assert max(days.diff().drop_nulls().dt.total_days()) == 7
    assert 160 <= days.len() <= 170


def test_playoff_series_end_with_the_fourth_win(season: Tables) -> None:
    """Fifteen series of four to seven games; the winner of each has won four."""
    games = (
        finals(season)
        .filter("is_playoffs")
        .with_columns(
            pair=pl.concat_list("home_team_tricode", "away_team_tricode")
            .list.sort()
            .list.join("-"),
            winner=pl.when(pl.col("home_team_score") > pl.col("away_team_score"))
            .then("home_team_tricode")
            .otherwise("away_team_tricode"),
        )
    )
    series = games.group_by("pair").agg(pl.len(), pl.col("winner").mode().first().alias("best"))
    wins = games.join(series, left_on=["pair", "winner"], right_on=["pair", "best"])
    assert series.height == 15
    assert series["len"].is_between(4, 7).all()
    assert wins.group_by("pair").len()["len"].unique().to_list() == [4]


def test_nobody_plays_twice_a_day(season: Tables) -> None:
    """Neither a team nor a player, and a team never on three days in a row before the playoffs."""
    games = finals(season)
    both = pl.concat(
        [games.select("game_date", team=f"{side}_team_tricode") for side in ("home", "away")]
    )
    assert both.is_unique().all()
    box = season[GAMEBOOK.name].select("game_date", "player_lookup", "game_id").unique()
    assert box.select("game_date", "player_lookup").is_unique().all()
    gaps = both.sort("team", "game_date").with_columns(
        two=(pl.col("game_date") - pl.col("game_date").shift(2).over("team")).dt.total_days()
    )
    assert gaps.filter(pl.col("game_date") < date(2025, 12, 10))["two"].min() > 2
    one = both.sort("team", "game_date")["game_date"].diff().dt.total_days()
    assert 0.08 < (one == 1).mean() < 0.35


def test_scores_and_lines_are_believable(season: Tables) -> None:
    """Points per game, home advantage, and spreads that know something but not the result."""
    games = finals(season).filter("is_regular_season")
    margin = (games["home_team_score"] - games["away_team_score"]).cast(pl.Float64)
    assert 1.0 < margin.mean() < 4.5
    assert (margin != 0).all()
    close = season[GAME_LINES.name].filter(
        (pl.col("market_key") == "spreads")
        & (pl.col("outcome_name") == pl.col("home_team"))
        & (pl.col("snapshot_timestamp").dt.hour() == 11)
        & (pl.col("bookmaker_key") == "draftkings")
    )
    joined = close.unique(["game_date", "home_team_abbr"]).join(
        games,
        left_on=["game_date", "home_team_abbr", "away_team_abbr"],
        right_on=["game_date", "home_team_tricode", "away_team_tricode"],
    )
    real = joined["home_team_score"] - joined["away_team_score"]
    relation = pl.DataFrame({"line": -joined["outcome_point"], "real": real})
    assert 0.25 < relation.select(pl.corr("line", "real")).item() < 0.75
    leaders = played(season).group_by("player_lookup").agg(pl.col("points").mean())
    assert 22 < leaders["points"].max() < 36


# -- sums ----------------------------------------------------------------------------------------
def check_sums(found: Tables) -> None:
    """Minutes, points and scores of every played game."""
    box = played(found).with_columns(
        milli=(pl.col("minutes_decimal") * 1000).round().cast(pl.Int64)
    )
    assert (box["milli"] / 1000 == box["minutes_decimal"]).all()
    assert (
        box["points"]
        == 2 * box["field_goals_made"] + box["three_pointers_made"] + box["free_throws_made"]
    ).all()
    for kind in ("field_goals", "three_pointers", "free_throws"):
        assert (box[f"{kind}_made"] <= box[f"{kind}_attempted"]).all()
    assert (box["three_pointers_attempted"] <= box["field_goals_attempted"]).all()
    assert (box["total_rebounds"] == box["offensive_rebounds"] + box["defensive_rebounds"]).all()
    assert not box.select(pl.col(pl.Int64).min() < 0).row(0).count(True)
    sides = box.group_by("game_date", "team_abbr").agg(
        pl.col("milli").sum(), pl.col("points").sum(), pl.col("milli").max().alias("most"), pl.len()
    )
    overtimes = sides["milli"] - 240_000
    assert (overtimes >= 0).all()
    assert (overtimes % 25_000 == 0).all()
    assert (sides["most"] <= 48_000 + overtimes // 5).all()
    assert sides["len"].min() >= 8
    games = finals(found)
    for side in ("home", "away"):
        joined = sides.join(
            games,
            left_on=["game_date", "team_abbr"],
            right_on=["game_date", f"{side}_team_tricode"],
        )
        assert (joined["points"] == joined[f"{side}_team_score"]).all()
    assert sides.height <= 2 * games.height


def test_box_scores_add_up(season: Tables) -> None:
    """To 240 minutes and 25 an overtime, to the points, and to the final score."""
    check_sums(season)
    minutes = played(season).group_by("game_date", "team_abbr").agg(pl.col("minutes_decimal").sum())
    assert minutes["minutes_decimal"].max() > 260


def test_who_did_not_play_has_no_figures(season: Tables) -> None:
    """Benched players have zeros, inactive ones nothing; both would spoil an average."""
    box = season[GAMEBOOK.name]
    assert (box.filter(player_status="dnp")["points"] == 0).all()
    assert box.filter(player_status="inactive")["points"].null_count() == (
        box.filter(player_status="inactive").height
    )
    assert {"active", "dnp", "inactive"} == set(box["player_status"])


@settings(max_examples=9, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    teams=st.sampled_from([2, 4, 6, 10]),
    games=st.integers(1, 12),
    roster=st.integers(8, 16),
    scale=st.integers(1, 2),
)
def test_any_small_league_adds_up(
    seed: int, teams: int, games: int, roster: int, scale: int
) -> None:
    """Whatever its shape: the sums hold, and every team plays its games."""
    spec = LeagueSpec(seed, 2025, 1, teams, games, roster, scale)
    found = tables(spec)
    check_sums(found)
    regular = finals(found).filter("is_regular_season")
    both = pl.concat([regular["home_team_tricode"], regular["away_team_tricode"]])
    counts = both.value_counts(name="n")
    assert counts["n"].unique().to_list() == [games]
    assert counts.height == teams * scale
    homes = regular["home_team_tricode"].value_counts(name="n")["n"]
    assert homes.max() - (0 if homes.len() < counts.height else homes.min()) <= 1


# -- late lines ----------------------------------------------------------------------------------
def test_withheld_and_delivered_lines_are_all_lines() -> None:
    """And the month is nowhere else: not a line of it before, nothing else after."""
    spec = LeagueSpec(seed=5, first_season=2025, seasons=1, teams=8, games=24)
    held = replace(spec, withhold_lines="2025-11")
    first = tables(held)[GAME_LINES.name]
    late = pl.concat([chunk.rows for chunk in late_lines(held)])
    whole = tables(spec)[GAME_LINES.name]
    november = pl.col("game_date").is_between(date(2025, 11, 1), date(2025, 11, 30))
    assert first.filter(november).is_empty()
    assert late.filter(~november).is_empty()
    assert late.height > 500
    order = GAME_LINES.schema().names()
    assert_frame_equal(pl.concat([first, late]).sort(order), whole.sort(order))
    assert not list(late_lines(spec))


def test_a_league_in_midseason_knows_nothing_of_tomorrow() -> None:
    """Later games are scheduled; no score, no box score and no time lies ahead."""
    spec = LeagueSpec(first_season=2025, seasons=1, teams=8, games=30)
    tomorrow = fixtures(spec, 2025).games[50].day
    today = tomorrow - timedelta(1)
    spec = replace(spec, through=today)
    found = tables(spec)
    games = found[SCHEDULE.name]
    assert games.filter(pl.col("game_date") > today)["game_status"].unique().to_list() == [1]
    assert games["home_team_score"].is_not_null().sum() > 0
    assert found[GAMEBOOK.name]["game_date"].max() <= today
    now = datetime(tomorrow.year, tomorrow.month, tomorrow.day, 17, tzinfo=UTC)
    for table, column in (
        (GAME_LINES, "snapshot_timestamp"),
        (POINTS_PROPS, "snapshot_timestamp"),
        (BETTINGPROS, "bookmaker_last_update"),
        (INJURIES, "report_timestamp"),
    ):
        frame = found[table.name]
        assert frame[column].max() <= now
        assert frame["game_date"].max() == tomorrow
    assert found[ALIASES.name].height
