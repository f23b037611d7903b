"""Everything that is left out or doubted is named: by date, table and source, with examples."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ray_backfill_nba import raw_tables as raw
from tests.test_player_context_feeds import pro
from tests.test_player_context_lines import ANN, TIP, D, Rows, computed, game, line, prop, spread
from tests.test_player_context_lines import season as season_of
from tests.test_player_context_people import born, known_as, report

DAY_2, DAY_3, DAY_4 = (D - timedelta(n) for n in (2, 3, 4))
NO_SCORE: dict[str, Any] = {"home_team_score": None, "away_team_score": None}

Told = set[tuple[str, str, int, tuple[str, ...]]]


def told(rows: Rows, table: raw.Table, **options: Any) -> Told:
    """What is said of a table on D: source, why, rows and examples."""
    return {
        (one.source, one.why, one.rows, one.examples)
        for one in computed(rows, **options).unmatched
        if one.table == table.name and one.day == D
    }


def season() -> Rows:
    """Two games before D, and D."""
    return season_of(DAY_4, DAY_2, D)


def test_a_clean_league_leaves_nothing_to_say() -> None:
    """Nothing is named that is as it should be."""
    rows = season() | {
        raw.POINTS_PROPS: [prop(20.5, 5, game_start_time=TIP)],
        raw.BETTINGPROS: [pro(20.5, 5), pro(3.5, 5, market_type="rebounds", bet_side="yes")],
        raw.GAME_LINES: [spread(-4.5, "Boston"), spread(220.5, "over", market_key="totals")],
        raw.INJURIES: [report()],
        raw.REGISTRY: [born(ANN), born(ANN)],
        raw.ALIASES: [known_as()],
    }
    assert computed(rows).unmatched == ()


def game_of(**values: Any) -> Callable[[Rows], None]:
    """Changes the game of DAY_2, which D comes next after."""

    def change(rows: Rows) -> None:
        rows[raw.SCHEDULE][1] |= values
        if values.get("game_date", DAY_2) == DAY_3:
            rows[raw.GAMEBOOK] = [one for one in rows[raw.GAMEBOOK] if one["game_date"] != DAY_2]

    return change


ON = "NYK at BOS on"


@pytest.mark.parametrize(
    ("change", "source", "why", "example"),
    [
        (
            game_of(game_date=DAY_3, **NO_SCORE),
            "status 3",
            "the game is off: final without a score, and older than others",
            f"{ON} {DAY_3}",
        ),
        (
            game_of(game_date=DAY_3, game_status=5),
            "status 5",
            "the game is off by its status",
            f"{ON} {DAY_3}",
        ),
        (
            game_of(game_date=D, away_team_tricode="ATL", game_status=1),
            "status 1",
            "the game is overdue",
            f"ATL at BOS on {D}",
        ),
    ],
)
def test_games_that_are_off_or_late(
    change: Callable[[Rows], None], source: str, why: str, example: str
) -> None:
    """On their date, or on the next one that has games."""
    rows = season()
    change(rows)
    rows[raw.SCHEDULE].append(game(D + timedelta(2)))
    rows[raw.GAMEBOOK] += [line(D + timedelta(2)), line(D + timedelta(2), "bobsmall", "NYK")]
    if source == "status 1":
        rows[raw.SCHEDULE][2] |= {"home_team_tricode": "LAL"}
    found = {(s, w.split(": not")[0], n, e) for s, w, n, e in told(rows, raw.SCHEDULE)}
    assert (source, why, 1, (example,)) in found


@pytest.mark.parametrize(
    ("values", "source", "why"),
    [
        (NO_SCORE, "status 3", "the game was played, and its score is not known"),
        (
            {"game_id": "0022500009", "season": "2024-25"},
            "2024-25",
            "the game is of the season of its game_id, not of its label",
        ),
        ({"game_id": "x", "season": "25/26"}, "25/26", "the season is not understood"),
        ({"season_type": "Exhibition"}, "Exhibition", "the season_type is not understood"),
    ],
)
def test_games_that_the_schedule_is_unsure_of(values: Any, source: str, why: str) -> None:
    """Each with the value that is not understood."""
    rows = season()
    rows[raw.SCHEDULE][2] |= values
    assert told(rows, raw.SCHEDULE) == {(source, why, 1, (f"{ON} {D}",))}


def test_other_rows_of_the_schedule() -> None:
    """Rows that disagree, of no two teams, games on one date, tip-offs that are not used."""
    rows = season()
    rows[raw.SCHEDULE] += [
        rows[raw.SCHEDULE][2] | {"game_date_est": None},
        game(D, "BOS", None, game_id="nameless"),  # type: ignore[arg-type]
        game(D, "BOS", "ATL", game_status=1),
        game(D, "MIA", "LAL", game_status=1, game_date_est=TIP + timedelta(hours=9)),
    ]
    found = {(source, why.split(":")[0]): (n, e) for source, why, n, e in told(rows, raw.SCHEDULE)}
    torn = ("status 3", "rows of the game disagree, and no processed_at decides")
    assert found[torn] == (1, (f"{ON} {D}",))
    assert found["regular", "the row does not name two teams"] == (1, ("nameless",))
    twice = found["BOS", "the team has two games on that date"]
    assert twice == (2, ("ATL at BOS", "NYK at BOS"))
    assert found["", "the tip-off is not used"] == (1, ("LAL at MIA",))


def test_box_scores() -> None:
    """Of nobody, of no game, not complete with both sums, stray, with minutes that cannot be."""
    rows = season()
    rows[raw.SCHEDULE][2] |= {"home_team_score": 50, "away_team_score": 20}
    rows[raw.GAMEBOOK] += [
        line(D, "x", player_lookup=None, player_name="Somebody"),
        line(D, "lost", "LAL"),
        line(D, "dee", player_status="suspended", points=0),
        line(D, "eve", minutes_decimal=0.0, points=6),
        *(line(D - timedelta(1), f"stray{n}") for n in range(5)),
    ]
    assert told(rows, raw.GAMEBOOK) == {
        ("BOS", "no player_lookup", 1, ("Somebody",)),
        ("LAL", "the team has no game on that date", 1, ("lost",)),
        ("suspended", "the player_status is not understood: not a game played", 1, ("dee",)),
        (
            "BOS",
            "the box score is not complete",
            1,
            ("NYK at BOS: BOS has 26 of 50 points in 3 rows",),
        ),
        (
            "BOS",
            "0 minutes cannot be: more than 5 points, or nobody of the team has any",
            1,
            ("eve",),
        ),
        (
            "BOS",
            "a stray date: the schedule has no game of the team, so a box score counts as missing",
            1,
            (f"5 players of BOS on {D - timedelta(1)}",),
        ),
    }


def test_rows_of_a_player_that_disagree() -> None:
    """Also where they are left out instead of quarantining the date."""
    rows = season()
    rows[raw.GAMEBOOK].append(line(D, points=50))
    why = "rows of the player disagree, and no processed_at decides"
    for choice in ("quarantine", "drop_row"):
        assert ("BOS", why, 1, (ANN,)) in told(rows, raw.GAMEBOOK, on_conflict=choice)


def test_game_lines() -> None:
    """Of no game, no market, no side, no book, that cannot be, or too late."""
    rows = season() | {
        raw.GAME_LINES: [
            spread(-4.5, "Boston", away_team_abbr="LAL"),
            spread(-4.5, "Boston", market_key="h2h"),
            spread(-4.5, "Draw"),
            spread(-4.5, "Boston", bookmaker_key="!"),
            spread(-47.5, "Boston"),
            spread(48.5, "Boston", "betmgm"),
            spread(-4.5, "Boston", snapshot_timestamp=TIP),
        ]
    }
    assert told(rows, raw.GAME_LINES) == {
        ("draftkings", "no such game on that date", 1, ("LAL at BOS",)),
        ("h2h", "the market is neither spreads nor totals", 1, ("NYK at BOS",)),
        ("draw", "the outcome is of neither side", 1, ("NYK at BOS",)),
        ("spreads", "no bookmaker", 1, ("NYK at BOS",)),
        ("draftkings", "the line cannot be one", 1, ("NYK at BOS: -47.5",)),
        ("betmgm", "the line cannot be one", 1, ("NYK at BOS: 48.5",)),
        ("draftkings", "seen at tip-off or later", 1, ("NYK at BOS",)),
    }


IN_GAME = "(NYK at BOS)"


def test_points_lines_of_the_odds_api() -> None:
    """Copies count once; examples are the first three by name."""
    strangers = [prop(20.5, 5, player_lookup=f"nobody{n}") for n in (4, 2, 3, 1, 1)]
    rows = season() | {
        raw.POINTS_PROPS: [
            *strangers,
            prop(20.5, 5, away_team_abbr=None),
            prop(20.5, 5, bookmaker=None),
            prop(0.0, 5),
            prop(20.5, 0),
        ]
    }
    nobody = tuple(f"nobody{n} {IN_GAME}" for n in (1, 2, 3))
    assert told(rows, raw.POINTS_PROPS) == {
        ("draftkings", "no such player on that date", 4, nobody),
        ("draftkings", "the player's team is not one of the line's", 1, (ANN,)),
        (ANN, "no bookmaker", 1, (f"{ANN} {IN_GAME}",)),
        ("draftkings", "the line cannot be one", 1, (f"{ANN} {IN_GAME}: 0.0",)),
        ("draftkings", "seen at tip-off or later", 1, (f"{ANN} {IN_GAME}",)),
    }


def test_points_lines_of_bettingpros() -> None:
    """Of the points market alone, and of rows that are on offer."""
    rows = season() | {
        raw.BETTINGPROS: [
            pro(20.5, 5, player_lookup="nobody"),
            pro(20.5, 5, player_lookup="gone", is_active=False),
            pro(20.5, 5, "yes"),
            pro(20.5, 5, bookmaker=""),
            pro(99.5, 5),
            pro(20.5, 5, opening_line=0.0),
            pro(20.5, -5),
        ]
    }
    assert told(rows, raw.BETTINGPROS) == {
        ("draftkings", "no such player on that date", 1, ("nobody",)),
        ("yes", "the side is neither over nor under", 1, (ANN,)),
        (ANN, "no bookmaker", 1, (ANN,)),
        ("draftkings", "the line cannot be one", 1, (f"{ANN}: 99.5",)),
        ("draftkings", "the opening line cannot be one", 1, (f"{ANN}: 0.0",)),
        ("draftkings", "seen at tip-off or later", 1, (ANN,)),
    }


def test_injury_reports() -> None:
    """Of nobody, of an unknown status, of no time, of no team, of one that does not play."""
    rows = season() | {
        raw.INJURIES: [
            report(player=None),
            report(injury_status="GTD"),
            report(report_timestamp=None),
            report(player="nobody", team=None),
            report(team="LAL"),
            report(player="cy"),
            report(player="cy", injury_status="probable"),
        ]
    }
    assert told(rows, raw.INJURIES) == {
        ("BOS", "no player_lookup", 1, ()),
        ("gtd", "the injury_status is not understood", 1, (ANN,)),
        ("BOS", "no report_timestamp", 1, (ANN,)),
        (
            "out",
            "no team, and no gamebook row in the 30 days before that tells it",
            1,
            ("nobody",),
        ),
        ("LAL", "the team has no game on that date", 1, (ANN,)),
        (
            "BOS",
            "rows of the player on one report disagree, and no processed_at decides",
            1,
            ("cy",),
        ),
    }


def test_aliases_births_and_places() -> None:
    """What is not applied, and what is not known because its rows disagree."""
    rows = season()
    rows[raw.ALIASES] = [
        known_as("bobsmall"),
        known_as("annt"),
        known_as("annt", "bobsmall"),
    ]
    rows[raw.REGISTRY] = [born(ANN), born(ANN, birth_date=D)]
    rows[raw.LOCATIONS].append(rows[raw.LOCATIONS][0] | {"latitude": 1.0})
    assert told(rows, raw.ALIASES) == {
        ("bobsmall", "not applied: the two stand in the gamebook on one date", 1, (ANN,)),
        (
            "annt",
            "an alias of several players: applied only where one is meant",
            2,
            (ANN, "bobsmall"),
        ),
    }
    why = "rows of a player's season disagree: its birth date is not known"
    assert told(rows, raw.REGISTRY) == {("2025-26", why, 1, (ANN,))}
    why = "rows of the team disagree: what they disagree on is not known"
    assert told(rows, raw.LOCATIONS) == {("BOS", why, 1, ("BOS",))}
