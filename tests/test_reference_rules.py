"""The slow reference itself, by examples small enough to be computed by hand from the rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.reference.games import interpreted, kind_of, season_of
from tests.reference.load import COLUMNS as REST
from tests.reference.names import GAMEBOOK, INJURIES, LINES, PROPS, SCHEDULE, read
from tests.reference.rows import Row
from tests.reference.tiny import Tiny, on, opened

EARLY = datetime(2025, 10, 1, tzinfo=UTC)
LATE = datetime(2025, 11, 30, tzinfo=UTC)


# Names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "code"),
    [
        *[("BRK", "BKN"), ("CHO", "CHA"), ("GS", "GSW"), ("NO", "NOP"), ("NOR", "NOP")],
        *[("NY", "NYK"), ("PHL", "PHI"), ("PHO", "PHX"), ("SA", "SAS"), ("UTAH", "UTA")],
        *[("UTH", "UTA"), ("WSH", "WAS"), (" brk ", "BKN"), ("bos", "BOS"), ("  ", None)],
    ],
)
def test_team_codes_are_the_leagues(other: str, code: str | None) -> None:
    """Trimmed, in upper case, twelve spellings as the league's own; blanks are NULL."""
    assert read(GAMEBOOK, {"team_abbr": other})["team_abbr"] == code
    assert read(INJURIES, {"team": other})["team"] == code
    assert read(SCHEDULE, {"home_team_tricode": other})["home_team_tricode"] == code


def test_lookups_statuses_and_books_have_one_spelling() -> None:
    """Lookups and words without regard to case and blanks, books by letters and digits."""
    assert read(GAMEBOOK, {"player_lookup": " LeBronJames ", "player_status": "DNP "}) == {
        "player_lookup": "lebronjames",
        "player_status": "dnp",
    }
    assert read(PROPS, {"bookmaker": "Draft-Kings 2"})["bookmaker"] == "draftkings2"
    assert read(PROPS, {"bookmaker": " - "})["bookmaker"] is None
    assert read(GAMEBOOK, {"player_name": " "})["player_name"] is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *[("LA Clippers", "LAC"), ("Los Angeles Clippers", "LAC"), ("la lakers", "LAL")],
        *[("Los Angeles Lakers", "LAL"), ("Philadelphia Sixers", "PHI"), ("Gotham Bats", None)],
        *[("Portland Trailblazers", "POR"), ("Portland Trail Blazers ", "POR")],
    ],
)
def test_a_line_without_a_code_takes_the_one_of_its_name(name: str, code: str | None) -> None:
    """The thirty names and their variants; a code that is there stays."""
    row = {"home_team": name, "home_team_abbr": None, "away_team": name, "away_team_abbr": "mia"}
    clean = read(LINES, row)
    assert (clean["home_team_abbr"], clean["away_team_abbr"]) == (code, "MIA")


# Season and kind ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("game_id", "label", "season"),
    [
        ("0022500001", "2025-26", "2025-26"),
        ("0022500001", "2024-25", "2025-26"),  # the id holds
        ("0029900001", "Unknown", "1999-00"),
        ("002250001", "2024-25", "2024-25"),  # nine digits are no id
        ("x", "2024-2025", "2024-25"),
        ("x", "2025", "2023-24"),  # neither: the date
        (None, None, "2023-24"),
    ],
)
def test_the_season_is_the_ids_then_the_labels_then_the_dates(
    game_id: str | None, label: str | None, season: str
) -> None:
    """From id, from label, or from July to June."""
    row = {"game_id": game_id, "season": label, "game_date": date(2024, 6, 30)}
    assert season_of(row) == season
    assert season_of({**row, "game_id": None, "season": None, "game_date": date(2024, 7, 1)}) == (
        "2024-25"
    )


@pytest.mark.parametrize(
    ("season_type", "digit", "flags", "kind"),
    [
        ("Regular Season", "4", (False, True), "regular"),  # the type goes first
        ("PLAY_IN", "2", (None, None), "playin"),
        (None, "5", (True, False), "playin"),
        ("something", "6", (None, None), "cup_final"),
        (None, "9", (None, True), "playoffs"),
        (None, "9", (True, None), "regular"),
        (None, "9", (False, False), None),
    ],
)
def test_the_kind_is_the_types_then_the_ids_then_the_flags(
    season_type: str | None, digit: str, flags: tuple[Any, Any], kind: str | None
) -> None:
    """From type, from the id's digit, or from what the flags say."""
    row = {"season_type": season_type, "game_id": f"00{digit}2500001", "game_date": on(0)}
    row |= {"is_regular_season": flags[0], "is_playoffs": flags[1]}
    assert kind_of(row) == kind
    assert interpreted(row, False)["regular"] == (
        kind == "regular" if flags[0] is None else flags[0]
    )


@pytest.mark.parametrize(
    "changes",
    [{"digit": 1}, {"digit": 3}, {"season_type": "Pre-Season"}, {"season_type": "all-star"}],
)
def test_exhibitions_never_count(changes: dict[str, Any]) -> None:
    """By type or by id, whatever the other says."""
    tiny = opened(2)
    tiny.game(on(2), is_regular_season=True, **changes)
    reference = tiny.reference()
    assert [game.day for game in reference.schedule.games] == [on(0), on(1)]
    assert reference.day(on(2)).state == "no_games"
    assert reference.boxes.strays == {}


def test_a_season_starts_where_it_goes_on_within_a_week() -> None:
    """A lone game eight days before is none of it; one of seven days before is."""
    lone = opened(2)
    lone.game(on(-8))
    assert lone.reference().schedule.starts == {"2025-26": on(0)}
    assert lone.row(on(1))["games_played_season"] == 1
    near = opened(2)
    near.game(on(-7))
    assert near.reference().schedule.starts == {"2025-26": on(-7)}
    only = Tiny()
    only.game(on(3))
    assert only.reference().schedule.starts == {"2025-26": on(3)}


# State of a game ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "score", "boxes", "day", "expected"),
    [
        (3, (100, 90), False, on(1), "played"),
        (3, (None, None), True, on(1), "played"),  # rows of both teams are evidence
        (3, (100, None), False, on(1), "off"),
        (3, (0, 0), False, on(1), "off"),
        (3, (0, 0), False, on(3), "open"),  # the newest played game is no later: not filled in yet
        (3, (None, None), False, on(9), "open"),
        (None, (100, 90), False, on(1), "played"),
        (None, (0, 0), True, on(1), "overdue"),
        (1, (100, 90), True, on(1), "overdue"),
        (2, (50, 40), False, on(1), "overdue"),
        (2, (50, 40), False, on(3), "open"),
        (4, (100, 90), True, on(1), "off"),
        (5, (None, None), False, on(9), "off"),
    ],
)
def test_the_state_of_a_game_is_what_the_evidence_says(
    status: int | None, score: tuple[Any, Any], boxes: bool, day: date, expected: str
) -> None:
    """Against a newest played game of another pair, three days after opening night."""
    tiny = opened()
    tiny.game(on(3), "LAL", "LAC")
    tiny.game(day, score=score, boxes=boxes, game_status=status)
    games = tiny.reference().schedule
    (game,) = [g for g in games.games + games.off if g.day == day and g.has("BOS")]
    assert game.state == expected


def test_one_team_s_rows_do_not_make_a_final_without_a_score_a_game() -> None:
    """Both teams must have rows."""
    tiny = opened(3)
    row = tiny.game(on(1), "LAL", "LAC", boxes=False, home_team_score=None)
    tiny.boxes(on(1), "LAL", 100)
    games = tiny.reference().schedule
    assert [game.home for game in games.off] == [row["home_team_tricode"]]


def test_an_off_game_counts_nowhere() -> None:
    """No population, no fixture, no gap; a date with no others has no games."""
    tiny = opened(2)
    tiny.game(on(2), game_status=5, boxes=False)
    tiny.game(on(4))
    assert tiny.reference().day(on(2)).state == "no_games"
    row = tiny.row(on(4))
    assert (row["days_rest"], row["games_played_season"], row["opponent_days_rest"]) == (3, 2, 3)
    assert (row["missing_box_scores"], row["data_quality_issues"][0]) == (0, "thin_history")
    assert tiny.row(on(1))["next_game_days_rest"] == 3


def test_rows_of_one_game_a_played_one_then_the_latest_then_the_highest_status() -> None:
    """A later scrape that knows less does not undo a game; of two finals the later one holds."""
    tiny = opened(2)
    first = tiny.game(on(2), score=(100, 90), processed_at=EARLY)
    tiny.add(SCHEDULE, **{**first, "game_status": 1, "processed_at": LATE})
    game = tiny.reference().schedule.on_day[on(2)][0]
    assert (game.state, game.home_score) == ("played", 100)
    tiny.add(SCHEDULE, **{**first, "home_team_score": 101, "processed_at": LATE})
    assert tiny.reference().schedule.on_day[on(2)][0].home_score == 101
    ahead = Tiny()
    row = ahead.ahead(on(0))
    ahead.add(SCHEDULE, **{**row, "game_status": 2})
    assert ahead.reference().schedule.on_day[on(0)][0].status == 2


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ({"game_status": 3}, {"game_status": 1}, 0),  # played, then open
        ({"game_status": 1}, {"game_status": 5}, 0),  # open, then off
        ({"game_status": 1}, {"game_status": 1}, 1),  # then the later date
        ({"game_status": 3}, {"game_status": 3}, 1),
    ],
)
def test_an_id_stands_on_one_date(first: Row, second: Row, stands: int) -> None:
    """On that of the played one, then of the open one, then on the later date."""
    tiny = opened()
    days = (on(2), on(4))
    for day, changes in zip(days, (first, second), strict=True):
        score = (100, 90) if changes["game_status"] == 3 else (None, None)
        tiny.game(day, score=score, boxes=False, game_id="0022500099", **changes)
    games = tiny.reference().schedule.games
    assert [game.day for game in games[1:]] == [days[stands]]


def test_a_team_plays_once_a_date() -> None:
    """Of two games a played one, then the first by home and away; the other is kept out."""
    tiny = opened()
    tiny.game(on(1), "LAL", "BOS")
    tiny.ahead(on(1), "BOS", "LAC")
    tiny.ahead(on(3), "NYK", "BOS")
    tiny.ahead(on(3), "BOS", "LAC")
    schedule = tiny.reference().schedule
    assert [(g.home, g.away) for g in schedule.on_day[on(1)]] == [("LAL", "BOS")]
    assert [(g.home, g.away) for g in schedule.on_day[on(3)]] == [("BOS", "LAC")]
    assert len(schedule.kept_out) == 2


# Rows that disagree ---------------------------------------------------------------


def test_the_latest_scrape_settles_a_disagreement() -> None:
    """A row without a time is older than every other."""
    tiny = opened()
    tiny.game(on(1), boxes=False)
    tiny.boxes(on(1), "NYK", 90)
    for n in range(1, 5):
        tiny.box(on(1), "BOS", f"bos{n}", 20)
    tiny.box(on(1), "BOS", "bos0", 33)
    tiny.box(on(1), "BOS", "bos0", 34, processed_at=EARLY)
    tiny.box(on(1), "BOS", "bos0", 20, processed_at=LATE)
    tiny.ahead(on(2))
    assert tiny.reference().day(on(1)).quarantined is None
    assert tiny.row(on(2))["points_avg_last_5"] == 20.0
    assert tiny.row(on(2))["missing_box_scores"] == 0


def conflicting() -> Tiny:
    """On the second day one player of Boston has two rows, and nothing says which is right."""
    tiny = opened(2)
    tiny.box(on(1), "BOS", "bos0", 33)
    tiny.ahead(on(2))
    return tiny


def test_rows_that_disagree_quarantine_their_date_or_drop_the_player() -> None:
    """The option decides for the date itself."""
    quarantined = conflicting().reference().day(on(1)).quarantined
    assert quarantined is not None
    assert "bos0" in quarantined
    assert "points" in quarantined
    rows = conflicting().rows(on(1), on_conflict="drop_row")
    assert sorted(rows) == ["bos1", "bos2", "bos3", "bos4", "nyk0", "nyk1", "nyk2", "nyk3", "nyk4"]


@pytest.mark.parametrize("on_conflict", ["quarantine", "drop_row"])
def test_on_later_dates_what_disagrees_is_unknown(on_conflict: str) -> None:
    """His game stays (his minutes agree), its points do not; the team's box score is incomplete."""
    rows = conflicting().rows(on(2), on_conflict=on_conflict)
    mine, mate, other = rows["bos0"], rows["bos1"], rows["nyk0"]
    assert (mine["games_played_season"], mine["l5_games_used"]) == (2, 1)
    assert mine["points_avg_last_5"] == 20.0
    assert (mine["missing_box_scores"], mate["missing_box_scores"]) == (1, 1)
    assert other["missing_box_scores"] == 0
    assert [mate[column] for column in REST] == [None] * len(REST)
    assert other["days_rest"] == 1


@pytest.mark.parametrize("on_conflict", ["quarantine", "drop_row"])
def test_schedule_rows_that_disagree_quarantine_in_either_case(on_conflict: str) -> None:
    """There is no player's row to leave out."""
    tiny = opened(2)
    row = tiny.game(on(2))
    tiny.add(SCHEDULE, **{**row, "home_team_score": 99})
    tiny.ahead(on(3))
    reference = tiny.reference(on_conflict=on_conflict)
    assert reference.day(on(2)).quarantined is not None
    after = tiny.row(on(3), on_conflict=on_conflict)
    assert after["team_win_pct"] == 1.0  # of the two games with a known score
    assert after["missing_box_scores"] == 1
    assert "history_gap" in after["data_quality_issues"]


def test_rows_that_say_the_same_in_other_words_do_not_disagree() -> None:
    """Another label beside the id, no flag beside the type, no neutral site and none known."""
    tiny = opened()
    row = tiny.game(on(1), season_type="regular", is_regular_season=True)
    other = {"season": "Unknown", "is_regular_season": None, "neutral_site_flag": False}
    tiny.add(SCHEDULE, **{**row, **other})
    assert tiny.reference().day(on(1)).quarantined is None
    tiny.add(SCHEDULE, **{**row, "neutral_site_flag": True})
    assert tiny.reference().day(on(1)).quarantined is not None


def test_reports_that_disagree_drop_the_players_row() -> None:
    """Day-to-day and questionable say the same; out and probable do not."""
    tiny = opened(2)
    tiny.report(on(1), "bos0", "day-to-day")
    tiny.report(on(1), "bos0", "Questionable")
    assert tiny.row(on(1))["player_status"] == "questionable"
    tiny.report(on(1), "bos1", "out")
    tiny.report(on(1), "bos1", "probable")
    assert tiny.reference().day(on(1)).quarantined is not None
    rows = tiny.rows(on(1), on_conflict="drop_row")
    assert "bos1" not in rows
    assert rows["bos0"]["probable_teammates"] == 0
