"""Whom a row means, and what disagrees: aliases, reports, conflicts, on rows made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from ray_backfill.errors import UsageError
from ray_backfill_nba import raw_tables as raw
from ray_backfill_nba.player_context import JOB
from tests.frames import calendar_of
from tests.test_player_context_feeds import pro
from tests.test_player_context_lines import (
    ANN,
    TIP,
    D,
    Rows,
    ago,
    computed,
    line,
    prop,
    row,
    season,
    tables,
)

DAY_2, DAY_4 = (D - timedelta(n) for n in (2, 4))


def known_as(spelling: str = "annt", player: str = ANN, **scope: str | None) -> dict[str, Any]:
    """An alias of a player."""
    return {"alias_lookup": spelling, "player_lookup": player, **scope}


# Aliases -----------------------------------------------------------------------------------


def test_aliases_hold_for_every_table_of_players() -> None:
    """History, lines of both sources, reports and birth dates under another spelling."""
    rows = season(*ago(4, 2))
    for one in rows[raw.GAMEBOOK]:
        if one["game_date"] == DAY_4 and one["player_lookup"] == ANN:
            one["player_lookup"] = " AnnT"
    rows[raw.POINTS_PROPS] = [prop(20.5, 60, player_lookup="ANNT ")]
    rows[raw.BETTINGPROS] = [pro(21.5, 5, player_lookup="annt")]
    rows[raw.INJURIES] = [report(player="annt")]
    rows[raw.REGISTRY] = [born("annt")]
    assert row(rows)["games_played_season"] == 1
    rows[raw.ALIASES] = [known_as("Annt ")]
    found = row(rows)
    assert (found["games_played_season"], found["current_points_line"]) == (2, 20.5)
    assert (found["points_line_books"], found["player_status"], found["player_age"]) == (
        1,
        "out",
        25,
    )
    rows[raw.POINTS_PROPS] = []
    assert row(rows)["current_points_line"] == 21.5


def report(hours: float = 1, player: str | None = ANN, **values: Any) -> dict[str, Any]:
    """A row of a team's report, so long before tip-off."""
    return {
        "game_date": D,
        "report_timestamp": TIP - timedelta(hours=hours),
        "team": "BOS",
        "player_lookup": player,
        "injury_status": "out",
        **values,
    }


def born(player: str, **values: Any) -> dict[str, Any]:
    """A row of the registry."""
    birth = {"season": "2025-26", "player_lookup": player, "birth_date": date(2000, 1, 1)}
    return birth | values


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ({"team_abbr": "bos "}, True),
        ({"team_abbr": "NYK"}, False),
        ({"season": "2025-2026"}, True),
        ({"season": "2024-25"}, False),
        ({"team_abbr": "BOS", "season": "2025-26"}, True),
        ({"team_abbr": "", "season": None}, True),
    ],
)
def test_an_alias_holds_for_its_team_and_season(scope: Mapping[str, Any], holds: bool) -> None:
    """In tables without teams, for the team of the player that is meant."""
    rows = season(*ago(4, 2))
    for one in rows[raw.GAMEBOOK]:
        if one["player_lookup"] == ANN and one["game_date"] < D:
            one["player_lookup"] = "annt"
    rows[raw.POINTS_PROPS] = [prop(20.5, 60, player_lookup="annt")]
    rows[raw.INJURIES] = [report(player="annt")]
    rows[raw.REGISTRY] = [born("annt")]
    rows[raw.ALIASES] = [known_as(**scope)]
    found = row(rows)
    assert found["games_played_season"] == (2 if holds else 0)
    assert found["has_prop_line"] == holds
    assert found["player_status"] == ("out" if holds else "available")
    assert (found["player_age"] is not None) == holds


def test_two_people_are_no_alias() -> None:
    """Whose names stand in the gamebook on one date, before D or after it."""
    rows = season(*ago(4, 2)) | {raw.ALIASES: [known_as("cy")]}
    rows[raw.POINTS_PROPS] = [prop(20.5, 60, player_lookup="cy")]
    assert row(rows)["has_prop_line"]
    for day in (DAY_4, D):
        both = rows | {raw.GAMEBOOK: [*rows[raw.GAMEBOOK], line(day, "cy", "NYK")]}
        found = row(both)
        assert (found["has_prop_line"], found["games_played_season"]) == (False, 2), day
    later = rows | {raw.SCHEDULE: [*rows[raw.SCHEDULE], *season(D + timedelta(2))[raw.SCHEDULE]]}
    later[raw.GAMEBOOK] = [*rows[raw.GAMEBOOK], line(D + timedelta(2))]
    assert row(later)["has_prop_line"]
    later[raw.GAMEBOOK].append(line(D + timedelta(2), "cy"))
    assert not row(later)["has_prop_line"]
    # Rows that the alias does not hold for do not speak against it.
    later[raw.ALIASES] = [known_as("cy", team_abbr="NYK"), known_as("cyj")]
    assert not row(later)["has_prop_line"]


def test_an_alias_of_several_players_is_nobody() -> None:
    """Unless team or season tell which is meant."""
    rows = season(D) | {raw.POINTS_PROPS: [prop(20.5, 60, player_lookup="annt")]}
    rows[raw.ALIASES] = [known_as(), known_as(player="bobsmall")]
    assert not row(rows)["has_prop_line"]
    assert not row(rows, "bobsmall")["has_prop_line"]
    rows[raw.ALIASES] = [known_as(season="2025-26"), known_as(player="bobsmall", season="2024-25")]
    assert row(rows)["has_prop_line"]
    rows[raw.ALIASES] = [known_as(team_abbr="BOS"), known_as(player="bobsmall", team_abbr="NYK")]
    assert not row(rows)["has_prop_line"]
    rows[raw.INJURIES] = [report(player="annt")]
    assert row(rows)["player_status"] == "out"
    rows[raw.ALIASES] = [known_as(team_abbr="BOS"), known_as(player="nobody", team_abbr="BOS")]
    assert row(rows)["has_prop_line"]


def test_somebody_of_the_date_is_never_replaced() -> None:
    """Outside the gamebook: a namesake's line stays his own."""
    rows = season(*ago(2)) | {raw.ALIASES: [known_as("cy")]}
    rows[raw.GAMEBOOK] = [one for one in rows[raw.GAMEBOOK] if one["player_lookup"] != ANN]
    rows[raw.GAMEBOOK].append(line(DAY_2))
    rows[raw.GAMEBOOK].append(line(D, "cy"))
    rows[raw.POINTS_PROPS] = [prop(20.5, 60, player_lookup="cy")]
    # In the gamebook cy is Ann, since the two never stand there together.
    found = row(rows)
    assert (found["games_played_season"], found["current_points_line"]) == (1, 20.5)
    # The alias is not of the cy of New York, who therefore stands on D himself.
    rows = season(D) | {raw.ALIASES: [known_as("cy", team_abbr="BOS")]}
    rows[raw.GAMEBOOK].append(line(D, "cy", "NYK"))
    rows[raw.POINTS_PROPS] = [prop(20.5, 60, player_lookup="cy")]
    assert row(rows, "cy")["current_points_line"] == 20.5
    assert not row(rows)["has_prop_line"]


def test_the_calendar_knows_the_aliases() -> None:
    """A player under two spellings is expected once."""
    rows = season(D)
    rows[raw.GAMEBOOK] += [line(D, "annt"), line(D, "annj")]
    rows[raw.ALIASES] = [known_as("annj", "cy"), known_as("annt", "cy")]
    entry = calendar_of(JOB, tables(rows), JOB.options()).days[D]
    assert (entry.expected_rows, computed(rows).rows.height) == (3, 3)


# Reports -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing", [{"player": None}, {"injury_status": "gtd"}, {"injury_status": ""}]
)
def test_a_row_that_reports_nothing_is_no_report(nothing: dict[str, Any]) -> None:
    """Without a player, or of another status: an earlier report still decides."""
    rows = season(D) | {raw.INJURIES: [report(5), report(1, **nothing)]}
    found = row(rows)
    assert found["player_status"] == "out"
    assert found["known_at_max"] == TIP - timedelta(hours=5)
    alone = row(season(D) | {raw.INJURIES: [report(1, **nothing)]})
    assert alone["player_status"] is None
    assert "no_injury_report" in alone["data_quality_issues"]


def test_a_row_without_a_team_is_of_the_players_team() -> None:
    """On D, else of his latest gamebook row within 30 days; else it is left out."""
    rows = season(*ago(31, 30, 24, 17, 10, 3))
    rows[raw.GAMEBOOK] += [
        line(D - timedelta(30), "cy", "NYK"),
        line(D - timedelta(10), "cy", "BOS"),
        line(D - timedelta(31), "dee", "BOS"),
    ]
    teamless = [
        report(player="cy", team=None, injury_status="questionable"),
        report(player="dee", team=None, injury_status="questionable"),
        report(player=ANN, team="", injury_status="probable"),
    ]
    found = row(rows | {raw.INJURIES: teamless})
    assert (found["player_status"], found["questionable_teammates"]) == ("probable", 1)
    assert row(rows | {raw.INJURIES: teamless}, "bobsmall")["player_status"] is None
    rows[raw.GAMEBOOK][-1]["game_date"] = D - timedelta(30)
    assert row(rows | {raw.INJURIES: teamless})["questionable_teammates"] == 2


# Rows that disagree ------------------------------------------------------------------------


def torn() -> Rows:
    """Two rows of Ann on D that disagree."""
    rows = season(*ago(4, 2))
    rows[raw.GAMEBOOK].append(line(D, points=50))
    return rows


def test_a_conflict_quarantines_its_date_or_drops_its_row() -> None:
    """As `on_conflict` says; the others of the date are computed as ever."""
    assert ANN in computed(torn()).quarantined[D]
    dropped = computed(torn(), on_conflict="drop_row")
    assert not dropped.quarantined
    assert dropped.rows["player_lookup"].to_list() == ["bobsmall"]
    assert dropped.rows.equals(computed(torn()).rows.filter(player_lookup="bobsmall"))


def test_a_report_that_disagrees_drops_its_players_row() -> None:
    """A status that is not known is not shown as one."""
    reports = [report(), report(injury_status="probable"), report(player="cy")]
    rows = season(D) | {raw.INJURIES: reports}
    assert ANN in computed(rows).quarantined[D]
    dropped = computed(rows, on_conflict="drop_row")
    assert (dropped.quarantined, dropped.rows["player_lookup"].to_list()) == ({}, ["bobsmall"])


def test_a_game_that_disagrees_quarantines_its_date_in_either_case() -> None:
    """There is no one row to drop; an off game is nobody's trouble."""
    rows = season(*ago(4))
    rows[raw.SCHEDULE].append(rows[raw.SCHEDULE][1] | {"neutral_site_flag": True})
    for choice in ("quarantine", "drop_row"):
        assert "NYK" in computed(rows, on_conflict=choice).quarantined[D]
    assert not computed(rows, DAY_4, on_conflict="drop_row").quarantined
    off = [
        {**rows[raw.SCHEDULE][1], "game_status": 4, "home_team_tricode": "LAL", "game_id": n}
        for n in ("x", "y")
    ]
    whole = season(*ago(4))
    assert not computed(whole | {raw.SCHEDULE: [*whole[raw.SCHEDULE], *off]}).quarantined


def test_later_dates_do_not_know_what_disagrees() -> None:
    """In either case: the figure is unknown, and the team's box score incomplete."""
    for choice in ("quarantine", "drop_row"):
        rows = season(*ago(4, 2))
        rows[raw.GAMEBOOK].append(line(DAY_2, points=50))
        found = row(rows, on_conflict=choice)
        assert (found["games_played_season"], found["l5_games_used"]) == (2, 1)
        assert (found["missing_box_scores"], found["days_rest"]) == (1, None)


def test_names_are_normalised_before_rows_are_compared() -> None:
    """Another case, another code, a blank: the same row."""
    rows = season(*ago(2))
    rows[raw.GAMEBOOK].append(
        line(D, f" {ANN.upper()}", "bos", player_status="ACTIVE", player_name=ANN.title())
    )
    rows[raw.SCHEDULE].append(
        rows[raw.SCHEDULE][1]
        | {"season": "2025-2026", "home_team_tricode": "bos ", "home_team_score": 40}
    )
    rows[raw.SCHEDULE][2] |= {"home_team_score": 40, "away_team_score": 20}
    rows[raw.SCHEDULE][1] |= {"home_team_score": 40, "away_team_score": 20}
    done = computed(rows)
    assert (done.quarantined, done.rows.height) == ({}, 2)


def test_another_word_for_it_is_refused() -> None:
    """The option takes two words."""
    with pytest.raises(UsageError, match="on_conflict cannot be 'ignore'") as refused:
        JOB.options(on_conflict="ignore")
    assert "quarantine, drop_row" in refused.value.hint
