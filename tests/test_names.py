"""Names of the raw tables are normalised once, on reading."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ray_backfill_nba.names import CODES, TEAMS, code_of_name, normalised


def read(column: str, value: str | None) -> Any:
    """A value of a raw table's column as it is compared."""
    frame = pl.DataFrame({column: [value, None, value]}, schema={column: pl.String})
    first, _, last = normalised(frame)[column]
    assert first == last
    return first


@pytest.mark.parametrize(
    ("column", "given", "wanted"),
    [
        ("player_lookup", " AnnTall ", "anntall"),
        ("alias_lookup", "ANN\t", "ann"),
        ("team_abbr", " brk", "BKN"),
        ("home_team_tricode", "Phl", "PHI"),
        ("away_team_abbr", "utah", "UTA"),
        ("team", "XYZ", "XYZ"),
        ("player_status", "Active ", "active"),
        ("injury_status", " Day-To-Day", "day-to-day"),
        ("bet_side", "OVER", "over"),
        ("market_type", "Points", "points"),
        ("market_key", " Spreads", "spreads"),
        ("bookmaker", "Draft Kings", "draftkings"),
        ("bookmaker_key", "draft_kings!", "draftkings"),
        ("bookmaker", "--", None),
        ("player_name", " Ann Tall ", " Ann Tall "),
        ("player_name", "  ", None),
        ("reason", "", None),
        ("season_type", " ", None),
        ("game_id", " 0022500001 ", "0022500001"),
        ("season", "2025-2026", "2025-26"),
        ("season", " 1999-2000 ", "1999-00"),
        ("season", "2025-2027", "2025-2027"),
        ("season", "2025/26", "2025/26"),
        ("team_abbr", "", None),
        ("player_lookup", None, None),
    ],
)
def test_a_text_is_read_by_its_column(column: str, given: str | None, wanted: str | None) -> None:
    """Players and words in lower case, codes as the schedule's, books by letters and digits."""
    assert read(column, given) == wanted


def test_what_is_no_name_stays() -> None:
    """Numbers, times and columns of other names are left as they are."""
    frame = pl.DataFrame({"points": [1], "outcome_name": [" Over "], "remark": [" X "]})
    assert normalised(frame).row(0) == (1, "over", " X ")
    assert normalised(frame, without=["outcome_name"]).row(0) == (1, " Over ", " X ")


def test_every_code_leads_to_a_team() -> None:
    """30 teams; every other code and every variant of a name is of one of them."""
    teams = set(TEAMS.values())
    assert len(teams) == 30
    assert set(CODES.values()) <= teams
    assert not set(CODES) & teams
    assert all(name == name.lower() for name in TEAMS)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("LA Clippers", "LAC"),
        ("Los Angeles Lakers", "LAL"),
        ("Philadelphia Sixers", "PHI"),
        (" portland trailblazers", "POR"),
        ("Harlem Globetrotters", None),
    ],
)
def test_full_names_stand_for_teams(name: str, code: str | None) -> None:
    """The 30 names and their variants, regardless of case."""
    frame = normalised(pl.DataFrame({"home_team": [name]}))
    assert frame.select(code_of_name("home_team")).item() == code
