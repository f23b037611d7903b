"""Facts that anybody can look up, and that the reference must agree with."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.reference import Reference, ReferenceDay, named, real
from tests.reference.games import FINAL
from tests.reference.load import history_gap
from tests.reference.names import LINES, PROPS, REGISTRY
from tests.reference.population import members
from tests.reference.quality import newest_complete, tier

pytestmark = pytest.mark.skipif(real.absent() is not None, reason=str(real.absent()))


@pytest.fixture(scope="module")
def reference() -> Reference:
    """The reference over the real data."""
    return real.reference()


def row_of(day: ReferenceDay, player: str) -> dict:
    """One player's row."""
    return next(row for row in day.rows if row["player_lookup"] == player)


def test_seasons_start_with_their_first_regular_game(reference: Reference) -> None:
    """The five opening nights are those of the league."""
    assert reference.schedule.starts == {
        "2021-22": date(2021, 10, 19),
        "2022-23": date(2022, 10, 18),
        "2023-24": date(2023, 10, 24),
        "2024-25": date(2024, 10, 22),
        "2025-26": date(2025, 10, 21),
    }


def test_a_season_has_1230_regular_games(reference: Reference) -> None:
    """Thirty teams play 82 games each."""
    games = [game for game in reference.schedule.games if game.regular]
    assert set(Counter(game.season for game in games).values()) == {1230}
    teams = Counter((game.season, team) for game in games for team in (game.home, game.away))
    assert len(teams) == 150
    assert set(teams.values()) == {82}


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 3, 25),
        date(2022, 4, 12),
        date(2022, 4, 13),
        date(2022, 4, 15),
        date(2023, 4, 11),
        date(2023, 4, 12),
        date(2023, 4, 14),
    ],
)
def test_a_final_date_without_box_scores_is_blocked(reference: Reference, day: date) -> None:
    """Where every game is final and nobody has a row, nothing is computed."""
    assert reference.day(day) == ReferenceDay(state="blocked")


def test_every_date_is_what_it_is_known_to_be(reference: Reference) -> None:
    """Over five seasons seven dates with games are blocked; the others are due or in the future."""
    states = Counter()
    for day in reference.schedule.on_day:
        state, rows = reference.state(day)
        assert (state is None) == (rows > 0)
        states[state] += 1
    assert states["blocked"] == 7
    assert states["by_design"] == 0
    assert states[None] > 900


def test_fifty_two_games_are_overdue(reference: Reference) -> None:
    """Behind 2026-04-24 33 regular-season and 19 playoff games are still called scheduled."""
    overdue = named.in_state(reference, "overdue")
    assert reference.schedule.newest_played == date(2026, 4, 24)
    assert named.games_of(overdue) == {"regular": 33, "playoffs": 19}
    assert {game.day for game in overdue if game.kind == "regular"} == {
        date(2026, 4, 4),
        date(2026, 4, 10),
        date(2026, 4, 12),
    }
    assert named.games_of(named.in_state(reference, "open")) == {"playoffs": 63}
    assert named.in_state(reference, "off") == []
    assert reference.schedule.kept_out == []


def test_box_scores_add_up_or_are_absent(reference: Reference) -> None:
    """Of four regular seasons all 9,840 do; what is missing are 24 games, each as a whole."""
    regular = [
        (game, team)
        for game in reference.schedule.games
        if game.regular and game.season != "2025-26"
        for team in game.teams
    ]
    assert sum(reference.boxes.complete(*one) for one in regular) == len(regular) == 9840
    missing = named.without_rows(reference)
    assert Counter(day for day, _ in missing) == {
        date(2026, 3, 25): 24,
        **dict.fromkeys((date(2022, 4, day) for day in (12, 13, 15)), 4),
        **dict.fromkeys((date(2023, 4, day) for day in (11, 12, 14)), 4),
    }
    assert set(named.incomplete(reference)) == missing
    assert reference.boxes.strays == {}
    assert reference.boxes.disagreeing == {}


def test_of_472_regular_games_only_points_are_known(reference: Reference) -> None:
    """All of 2025-26 and, but for one, after its 690 full box scores; 45 have no row of players."""
    games = named.without_minutes(reference)
    assert named.games_of(games) == {"regular": 472, "playin": 6, "playoffs": 3, "cup_final": 1}
    assert sorted(game.day for game in games)[:2] == [date(2025, 12, 16), date(2026, 1, 27)]
    regular = [g for g in reference.schedule.games if g.regular and g.season == "2025-26"]
    assert sum(not reference.boxes.of_game(game) for game in regular) == 45
    full = [g for g in regular if g not in games and reference.boxes.of_game(g)]
    assert sum(game.day <= date(2026, 1, 26) for game in full) == 690
    assert sum(game.day > date(2026, 1, 26) for game in full) == 1230 - 690 - 472 - 45


def test_no_tipoff_is_disputed(reference: Reference) -> None:
    """Five games have none: Philadelphia at Boston of 2021-12-20, and four finals to come."""
    assert named.disputed(reference) == []
    assert sorted(game.day for game in reference.schedule.games if game.tipoff is None) == [
        date(2021, 12, 20),
        *(date(2026, 6, day) for day in (5, 8, 10, 13)),
    ]


def test_labels_and_sides_are_understood(reference: Reference) -> None:
    """No label is against its id, no outcome of another name, no status unknown."""
    assert named.labels_against_ids(reference) == 0
    assert named.unknown_outcomes(reference) == {}
    assert named.no_reports(reference) == {"team": 344}
    assert named.unusable(reference) == {("spreads", 46.5): 1, ("spreads", -46.5): 1}


def test_lines_of_tipoff_and_later_are_many(reference: Reference) -> None:
    """2,278 points lines and 1,022 outcomes were seen at tip-off or in the game."""
    assert named.late(reference, PROPS) == 2278
    assert named.late(reference, LINES) == 1022


def test_the_two_sides_of_a_spread_have_a_median_of_nothing(reference: Reference) -> None:
    """Where both outcomes of a market stand their points sum to 0, whatever the spread."""
    sums: dict[tuple, list[float]] = {}
    for row in reference.lines[date(2024, 1, 12)]:
        if row["market_key"] == "spreads":
            key = (row["home_team"], row["bookmaker_key"], row["snapshot_timestamp"])
            sums.setdefault(key, []).append(row["outcome_point"])
    pairs = [points for points in sums.values() if len(points) == 2]
    assert len(pairs) > 50
    assert {sum(points) for points in pairs} == {0}
    assert len({abs(points[0]) for points in pairs}) > 10


def test_lines_of_postponed_games_are_of_no_game(reference: Reference) -> None:
    """388 outcomes name 18 games on a date on which they were not played."""
    games = {(game.day, game.home, game.away) for game in reference.schedule.games}
    rows = [
        (row["game_date"], row["home_team_abbr"], row["away_team_abbr"])
        for row in reference.raw[LINES]
    ]
    ghosts = [key for key in rows if key not in games]
    assert (len(ghosts), len(set(ghosts))) == (388, 18)


def test_more_than_a_third_of_the_birth_dates_are_missing(reference: Reference) -> None:
    """1,195 of the registry's 3,274 rows."""
    rows = reference.raw[REGISTRY]
    assert (sum(row["birth_date"] is None for row in rows), len(rows)) == (1195, 3274)


def test_what_the_rules_on_box_scores_change(reference: Reference) -> None:
    """Of 153,765 rows 10,212 are no longer gold, and 2,149 stand behind a game not yet entered.

    Gold was ten games; a gap was a final without any row of the team.
    """
    schedule, boxes = reference.schedule, reference.boxes
    rows, lost, gaps = 0, Counter(), []
    for day in schedule.on_day:
        if reference.state(day)[0] is not None:
            continue
        for member in members(day, schedule, boxes):
            team, season = member.team, member.game.season
            rows += 1
            history = boxes.history(member.player, season, day)
            complete = newest_complete(team, season, day, schedule, boxes)
            if len(history) >= 10 and tier(history, complete) != "gold":
                lost[season] += 1
            recent = [
                game
                for game in schedule.before(team, season, day)
                if game.day >= day - timedelta(14) and game.status == FINAL
            ]
            bare = any(not boxes.side(game, team) for game in recent)
            if history_gap(team, season, day, schedule, boxes) and not bare:
                gaps.append(day)
    assert rows == 153_765
    assert lost == {"2025-26": 9681, "2022-23": 317, "2021-22": 214}
    assert (len(gaps), min(gaps), max(gaps)) == (2149, date(2026, 4, 9), date(2026, 5, 1))


def test_reports_without_a_team_are_found_one(reference: Reference) -> None:
    """On 2026-01-23 and 2026-01-27 no row states a team: 262 players have a status by their own."""
    reported = Counter()
    for day in (date(2026, 1, 23), date(2026, 1, 27)):
        assert {row["team"] for row in reference.reports[day]} == {None}
        for row in reference.day(day).rows:
            reported[day] += row["player_status"] is not None
    assert reported.total() == 262


def test_sixty_points_enter_the_next_game_and_not_their_own(reference: Reference) -> None:
    """Luka Dončić's 60 of 2022-12-27 are history on the day after, and unknown on the day."""
    player, day = "lukadoncic", date(2022, 12, 27)
    box = next(box for box in reference.boxes.of_player[player] if box.day == day)
    assert (box.points, box.team, box.game.home) == (60, "DAL", "DAL")
    following = min(b.day for b in reference.boxes.of_player[player] if b.day > day)
    history = reference.boxes.history(player, "2022-23", day)
    own = row_of(reference.day(day), player)
    after = row_of(reference.day(following), player)
    points = [b.points for b in history]
    assert own["points_avg_last_5"] == pytest.approx(sum(points[:5]) / 5)
    assert own["points_avg_season"] == pytest.approx(sum(points) / len(points))
    assert after["points_avg_last_5"] == pytest.approx((60 + sum(points[:4])) / 5)
    assert after["points_avg_season"] == pytest.approx((60 + sum(points)) / (len(points) + 1))
    assert after["games_played_season"] == own["games_played_season"] + 1


def test_the_later_report_of_a_team_decides(reference: Reference) -> None:
    """On 2025-10-27 a report that lists a player twice is outdated by the team's next report."""
    reports = [row for row in reference.reports[date(2025, 10, 27)] if row["team"] == "DET"]
    twice = [row for row in reports if row["player_lookup"] == "marcussasser"]
    assert {row["injury_status"] for row in twice} == {"out", "day-to-day"}
    assert {row["report_timestamp"] for row in twice} == {
        datetime(2025, 10, 27, 15, 18, 13, tzinfo=UTC)
    }
    day = reference.day(date(2025, 10, 27))
    assert day.quarantined is None
    assert row_of(day, "cadecunningham")["player_status"] == "questionable"
    assert row_of(day, "tobiasharris")["player_status"] == "available"
    assert row_of(day, "tobiasharris")["questionable_teammates"] == 1


def test_a_dnp_is_no_game(reference: Reference) -> None:
    """Rows of players who did not play enter no average."""
    day = date(2025, 1, 24)
    rows = {row["player_lookup"]: row for row in reference.day(day).rows}
    idle = [box for box in reference.boxes.on_day[day] if not box.played]
    assert idle
    for box in idle:
        earlier = [
            b
            for b in reference.boxes.of_player[box.player]
            if b.day < day and b.game.season == "2024-25" and b.status == "active"
        ]
        assert rows[box.player]["games_played_season"] == len(earlier)


def test_home_and_away_see_the_spread_from_their_own_side(reference: Reference) -> None:
    """The two teams of a game have opposite spreads, one total, and implied totals that add up."""
    seen = 0
    for day in (date(2024, 2, 14), date(2025, 11, 15), date(2022, 1, 24)):
        sides: dict[str, dict[bool, dict]] = {}
        for row in reference.day(day).rows:
            sides.setdefault(row["game_id"], {})[row["home_game"]] = row
        for game in sides.values():
            home, away = game[True], game[False]
            if home["game_spread"] is None:
                continue
            seen += 1
            assert home["game_spread"] == -away["game_spread"]
            assert home["game_total"] == away["game_total"]
            implied = home["implied_team_total"] + away["implied_team_total"]
            assert implied == pytest.approx(home["game_total"])
    assert seen > 10


def test_nothing_on_a_row_was_known_after_tip_off(reference: Reference) -> None:
    """`known_at_max` lies before tip-off wherever both are known."""
    for day in (date(2025, 11, 15), date(2026, 2, 10), date(2026, 3, 20), date(2024, 4, 16)):
        rows = [r for r in reference.day(day).rows if r["known_at_max"] and r["tipoff_at"]]
        assert rows
        assert all(row["known_at_max"] < row["tipoff_at"] for row in rows)


def test_paris_is_nobodys_arena(reference: Reference) -> None:
    """The legs into and out of a neutral site are unknown, and so are the sums over them."""
    paris = row_of(reference.day(date(2025, 1, 23)), "victorwembanyama")
    assert paris["travel_miles"] is None
    assert paris["time_zone_changes"] is None
    assert paris["miles_traveled_last_14_days"] is None
    games = reference.schedule.of_team["2024-25", "SAS"]
    following = next(game.day for game in games if game.day > date(2025, 1, 25))
    after = [r for r in reference.day(following).rows if r["team_abbr"] == "SAS"]
    assert after
    assert all(row["travel_miles"] is None for row in after)
    assert all(row["miles_traveled_last_14_days"] is None for row in after)


def test_a_roster_row_stands_for_a_game_not_yet_played(reference: Reference) -> None:
    """On 2026-04-12 some games are not final, and their rows come from recent rosters."""
    day = reference.day(date(2026, 4, 12))
    kinds = Counter(row["population"] for row in day.rows)
    assert kinds["roster"] > 100
    for row in day.rows:
        game = reference.schedule.game_of(row["team_abbr"], date(2026, 4, 12))
        assert (row["population"] == "roster") == (not game.played)


def test_boston_to_los_angeles_is_2600_miles(reference: Reference) -> None:
    """A leg that is well known, as the great circle has it, over three time zones."""
    from tests.reference.travel import miles, zones

    boston, los_angeles = reference.arenas["BOS"], reference.arenas["LAL"]
    assert miles(boston, los_angeles) == pytest.approx(2592, abs=15)
    assert zones(boston, los_angeles, date(2025, 1, 1)) == 3.0
    phoenix, denver = reference.arenas["PHX"], reference.arenas["DEN"]
    assert zones(phoenix, denver, date(2025, 1, 1)) == 0.0
    assert zones(phoenix, denver, date(2025, 4, 1)) == 1.0
