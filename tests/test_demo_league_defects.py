"""Every fault of real feeds that the made-up league promises is there, and can be switched off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl
import pytest

from ray_backfill_nba.demo_league import LeagueSpec, tables
from ray_backfill_nba.demo_league.games import oddities
from ray_backfill_nba.raw_tables import (
    ALIASES,
    BETTINGPROS,
    GAME_LINES,
    GAMEBOOK,
    INJURIES,
    POINTS_PROPS,
    RAW_TABLES,
    REGISTRY,
    SCHEDULE,
)

SPEC = LeagueSpec(seed=11, first_season=2025, seasons=1, teams=12, games=60)
ODD = oddities(SPEC, 2025)
TIP = ("game_date", "home_team_abbr", "away_team_abbr")
Tables = Mapping[str, pl.DataFrame]


@pytest.fixture(scope="module")
def found() -> Tables:
    return tables(SPEC)


def tips(found: Tables) -> pl.DataFrame:
    """Real games with their tip-off."""
    return (
        found[SCHEDULE.name]
        .filter(game_status=3)
        .select(
            "game_date",
            home_team_abbr="home_team_tricode",
            away_team_abbr="away_team_tricode",
            tip="game_date_est",
        )
        .unique(TIP)
    )


def with_tips(found: Tables, table: str) -> pl.DataFrame:
    return found[table].join(tips(found), on=TIP)


def test_odd_dates_are_apart() -> None:
    """A season of some length has one of each."""
    days = [ODD.blocked, ODD.partly, ODD.revised, ODD.untimed, ODD.no_tip]
    assert None not in days
    assert len(set(days)) == 5


def test_a_market_is_two_rows_with_opposite_points(found: Tables) -> None:
    """Both sides of a spread, so that a median over them is 0; one point for a total."""
    lines = found[GAME_LINES.name].unique()
    key = ["snapshot_timestamp", "game_date", "home_team_abbr", "bookmaker_key", "game_id"]
    one = lines.filter(pl.len().over([*key, "market_key"]) == 2)
    sides = one.group_by([*key, "market_key"]).agg(
        pl.col("outcome_point").sum().alias("sum"),
        pl.col("outcome_point").n_unique().alias("points"),
        pl.col("outcome_name").n_unique().alias("names"),
    )
    spreads = sides.filter(market_key="spreads")
    assert spreads.height > 1000
    assert (spreads["sum"] == 0).all()
    assert (sides.filter(market_key="totals")["points"] == 1).all()
    assert (sides["names"] == 2).all()
    assert not lines.filter(
        (pl.col("outcome_point") == 0) & (1 / pl.col("outcome_point") < 0)
    ).height


@pytest.mark.parametrize("table", [GAME_LINES.name, POINTS_PROPS.name])
def test_snapshots_go_on_in_the_game(found: Tables, table: str) -> None:
    """Some exactly at tip-off, later ones far from the closing line, nothing marks them."""
    rows = with_tips(found, table)
    late = rows.filter(pl.col("snapshot_timestamp") > pl.col("tip"))
    assert late.height > rows.height * 0.04
    assert rows.filter(pl.col("snapshot_timestamp") == pl.col("tip")).height > 5
    if table == GAME_LINES.name:
        spread = (pl.col("market_key") == "spreads") & (
            pl.col("outcome_name") == pl.col("home_team")
        )
        before = rows.filter(spread & (pl.col("snapshot_timestamp") < pl.col("tip")))
        assert late.filter(spread)["outcome_point"].std() > 1.5 * before["outcome_point"].std()


@pytest.mark.parametrize(
    "table",
    [SCHEDULE, GAMEBOOK, GAME_LINES, POINTS_PROPS, BETTINGPROS, INJURIES],
    ids=lambda t: t.name,
)
def test_rows_were_ingested_again(found: Tables, table: object) -> None:
    """Identical copies in every feed."""
    frame = found[table.name]  # type: ignore[attr-defined]
    assert frame.height > frame.unique().height


def test_some_rows_stand_many_times(found: Tables) -> None:
    """Twenty-three copies, so that counting rows as votes shows."""
    counts = found[GAME_LINES.name].group_by(pl.all()).len()
    assert counts["len"].max() >= 23


def test_alternate_lines_stand_at_the_same_instant(found: Tables) -> None:
    """Three totals at once, the outer ones with unequal prices."""
    lines = found[GAME_LINES.name].filter(pl.col("outcome_name") == "Over").unique()
    key = ["snapshot_timestamp", "game_id", "bookmaker_key"]
    several = (
        lines.filter(pl.col("snapshot_timestamp").is_not_null())
        .group_by(key)
        .agg(pl.col("outcome_point").n_unique(), pl.col("outcome_price").max())
    )
    assert several.filter(outcome_point=3)["outcome_price"].min() > 2.2
    props = found[POINTS_PROPS.name].drop_nulls("snapshot_timestamp").unique()
    key = ["snapshot_timestamp", "game_date", "player_lookup", "bookmaker"]
    assert props.group_by(key).agg(pl.col("points_line").n_unique())["points_line"].max() == 3


def test_postponed_games_stand_on_two_dates(found: Tables) -> None:
    """Scheduled on the old one, final on the new one, and lines on both."""
    games = found[SCHEDULE.name]
    twice = games.filter(pl.col("game_date").n_unique().over("game_id") > 1)
    assert twice["game_id"].n_unique() >= 1
    for _, rows in twice.group_by("game_id"):
        first, last = rows["game_date"].min(), rows["game_date"].max()
        assert rows.filter(game_date=first)["game_status"].unique().to_list() == [1]
        assert rows.filter(game_date=last)["game_status"].max() == 3
        home, away = rows["home_team_tricode"][0], rows["away_team_tricode"][0]
        lines = found[GAME_LINES.name].filter(home_team_abbr=home, away_team_abbr=away)
        assert {first, last} <= set(lines["game_date"])


def test_a_game_is_scraped_as_it_goes(found: Tables) -> None:
    """Status and time of the scrape rise together; games that do not count are there too."""
    games = found[SCHEDULE.name].sort("game_id", "processed_at")
    assert {1, 2, 3} == set(games["game_status"])
    steps = games["game_status"].diff().filter(games["game_id"] == games["game_id"].shift())
    assert steps.min() >= 0
    assert {"preseason", "allstar", "cup_final", "playoffs"} <= set(games["season_type"])
    assert found[GAMEBOOK.name]["game_date"].min() < date(2025, 10, 20)
    neutral = games.filter("is_regular_season")["neutral_site_flag"]
    assert {True, False, None} == set(neutral)
    no_tip = games.filter(pl.col("game_date_est").is_null())
    assert set(no_tip["game_date"]) == {ODD.no_tip}


def test_box_scores_of_some_games_never_came(found: Tables) -> None:
    """One date without any, one date without some; both final in the schedule."""
    games, box = tips(found), found[GAMEBOOK.name]
    assert games.filter(game_date=ODD.blocked).height
    assert box.filter(game_date=ODD.blocked).is_empty()
    there = box.filter(game_date=ODD.partly)["game_id"].n_unique()
    assert there == games.filter(game_date=ODD.partly).height - 1 > 0


def test_revised_box_scores_tell_which_is_right(found: Tables) -> None:
    """Rows of one player and game disagree, and have different times of scrape."""
    rows = found[GAMEBOOK.name].unique()
    twice = rows.filter(pl.len().over("game_date", "player_lookup") > 1)
    assert set(twice["game_date"]) == {ODD.revised}
    times = twice.group_by("player_lookup").agg(
        pl.col("processed_at").n_unique(), pl.col("points").n_unique()
    )
    assert (times["processed_at"] == 2).all()
    assert (times["points"] == 2).all()


def test_a_conflict_date_has_rows_that_nothing_settles() -> None:
    """Off by default: two box scores of one player, and no time of scrape."""
    day = date(2025, 10, 28)
    spec = LeagueSpec(seed=1, first_season=2025, seasons=1, teams=6, games=10, conflict_date=day)
    rows = tables(spec)[GAMEBOOK.name].unique()
    twice = rows.filter(pl.len().over("game_date", "player_lookup") > 1)
    assert set(twice["game_date"]) == {day}
    assert twice["processed_at"].null_count() == twice.height


def test_books_are_missing(found: Tables) -> None:
    """Games without DraftKings, without both, and without any line."""
    lines = with_tips(found, GAME_LINES.name)
    books = lines.group_by(TIP).agg(pl.col("bookmaker_key").unique())["bookmaker_key"].to_list()
    assert [b for b in books if "draftkings" not in b]
    assert [b for b in books if not {"draftkings", "fanduel"} & set(b)]
    assert len(books) < tips(found).height


def test_some_lines_have_no_time(found: Tables) -> None:
    """One book never has one, and on one date no book has."""
    for table, book, nameless in (
        (GAME_LINES.name, "bookmaker_key", "unnamed_close"),
        (POINTS_PROPS.name, "bookmaker", "underdog"),
    ):
        rows = found[table]
        null = pl.col("snapshot_timestamp").is_null()
        assert rows.filter(pl.col(book) == nameless).select(null.all()).item()
        assert rows.filter(game_date=ODD.untimed).select(null.all()).item()
        assert rows.filter(~null).height > rows.height * 0.9
    pros = found[BETTINGPROS.name].filter(game_date=ODD.untimed)
    assert pros["bookmaker_last_update"].null_count() == pros.height > 0


def test_some_lines_are_for_games_that_do_not_exist(found: Tables) -> None:
    """Home and away the wrong way round, or a date on which nothing was played."""
    ghosts = found[GAME_LINES.name].join(tips(found), on=TIP, how="anti")
    swapped = tips(found).rename(
        {"home_team_abbr": "away_team_abbr", "away_team_abbr": "home_team_abbr"}
    )
    assert ghosts.join(swapped, on=TIP, how="semi").height
    assert ghosts.join(swapped, on=TIP, how="anti").height


def test_some_spreads_are_misprints(found: Tables) -> None:
    """Beyond 30 points, before tip-off."""
    assert found[GAME_LINES.name].filter(pl.col("outcome_point").is_between(30.5, 40)).height


def test_spellings_need_aliases_and_some_match_nobody(found: Tables) -> None:
    """In both feeds of props."""
    people = set(found[REGISTRY.name]["player_lookup"])
    aliases = dict(found[ALIASES.name].select("alias_lookup", "player_lookup").iter_rows())
    assert aliases
    assert set(aliases.values()) <= people
    for table in (POINTS_PROPS.name, BETTINGPROS.name):
        strange = set(found[table]["player_lookup"]) - people
        assert strange & set(aliases)
        assert strange - set(aliases)


def test_bettingpros_has_every_market_and_inactive_rows(found: Tables) -> None:
    """Mixed-case books, a consensus, American odds, openings that are sometimes missing."""
    rows = found[BETTINGPROS.name]
    assert {"points", "rebounds", "assists"} == set(rows["market_type"])
    assert {"DraftKings", "FanDuel", "BettingPros Consensus"} <= set(rows["bookmaker"])
    assert {True, False, None} == set(rows["is_active"])
    assert (rows["odds_american"].abs() >= 100).all()
    assert 0 < rows["opening_line"].null_count() < rows.height / 3
    assert {"over", "under"} == set(rows["bet_side"])


def test_injury_reports_change_and_agree_with_who_played(found: Tables) -> None:
    """Several reports a day; whoever is out in the last one before tip-off did not play."""
    reports = found[INJURIES.name].unique()
    team = ["game_date", "team"]
    assert (
        reports.group_by(team).agg(pl.col("report_timestamp").n_unique())["report_timestamp"].max()
        == 4
    )
    change = reports.group_by(*team, "player_lookup").agg(pl.col("injury_status").n_unique())
    assert (change["injury_status"] > 1).mean() > 0.2
    sides = pl.concat(
        tips(found).select("game_date", "tip", team=f"{side}_team_abbr")
        for side in ("home", "away")
    )
    known = reports.join(sides, on=team).filter(pl.col("report_timestamp") < pl.col("tip"))
    last = known.filter(pl.col("report_timestamp") == pl.col("report_timestamp").max().over(team))
    last = last.sort("processed_at").unique([*team, "player_lookup"], keep="last")
    box = found[GAMEBOOK.name].select("game_date", "player_lookup", "player_status").unique()
    joined = last.join(box, on=["game_date", "player_lookup"])
    assert set(joined.filter(injury_status="out")["player_status"]) == {"inactive"}
    assert "active" in set(joined.filter(injury_status="questionable")["player_status"])
    after = reports.join(sides, on=team).filter(pl.col("report_timestamp") >= pl.col("tip"))
    assert after.height
    assert known.select(team).unique().height < sides.height


def test_injuries_last_and_players_change_teams(found: Tables) -> None:
    """Some miss many games in a row; a few have two teams in a season."""
    box = (
        found[GAMEBOOK.name]
        .unique(["game_date", "player_lookup"])
        .sort("player_lookup", "game_date")
    )
    runs = box.with_columns(
        run=pl.struct("player_lookup", out=pl.col("player_status") == "inactive").rle_id()
    ).filter(player_status="inactive")
    lengths = runs.group_by("run").len()["len"]
    assert lengths.max() >= 8
    assert (lengths == 1).any()
    teams = box.group_by("player_lookup").agg(pl.col("team_abbr").n_unique())["team_abbr"]
    assert teams.max() == 2
    assert 0 < (teams == 2).sum() <= 12


def test_a_third_of_the_birth_dates_is_missing() -> None:
    """Not always the same ones: another season may know them. Nobody is born twice."""
    rows = tables(LeagueSpec(teams=12, games=4, seasons=3))[REGISTRY.name]
    assert 0.25 < rows["birth_date"].null_count() / rows.height < 0.42
    known = rows.drop_nulls("birth_date")
    assert (
        known.group_by("player_lookup").agg(pl.col("birth_date").n_unique())["birth_date"].max()
        == 1
    )
    partly = rows.group_by("player_lookup").agg(pl.col("birth_date").is_null().mean())
    assert partly["birth_date"].is_between(0, 1, closed="none").any()


def test_defects_can_be_switched_off() -> None:
    """Then each row is there once, each game once, all lines are timed and before tip-off."""
    spec = LeagueSpec(seed=11, first_season=2025, seasons=1, teams=6, games=20, defects=False)
    clean = tables(spec)
    for table in RAW_TABLES:
        assert clean[table.name].is_unique().all(), table.name
    assert clean[SCHEDULE.name]["game_id"].is_unique().all()
    assert clean[GAMEBOOK.name].select("game_date", "player_lookup").is_unique().all()
    assert clean[ALIASES.name].is_empty()
    lines = clean[GAME_LINES.name].filter(pl.col("bookmaker_key") != "unnamed_close")
    timed = lines.join(tips(clean), on=TIP)
    assert timed.height == lines.height
    assert (timed["snapshot_timestamp"] < timed["tip"]).all()
